/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The caller's side of a call: what of the caller's audio the agent hears, and why
 * the caller has gone
 */

#include "asterisk.h"

#include "asterisk/channel.h"	/* soft hang-up flags, control frames */

#include "call/caller.h"

enum caller_verdict caller_voice(const struct caller *caller, uint32_t state, int is_tone)
{
	/* What comes on hold is music, mostly, which is not meant for the agent. */
	int is_foreign = is_tone || caller->on_hold;

	switch (state) {
	case CONVAI_STATE_CONNECTING:
	case CONVAI_STATE_QUEUED:
		/* Neither is a first word, and nobody is there yet to hear silence. */
		return is_foreign ? CALLER_DROP : CALLER_KEEP;
	case CONVAI_STATE_TALKING:
		return is_foreign ? CALLER_MUTE : CALLER_PUSH;
	default:
		return CALLER_DROP;
	}
}

int caller_control(struct caller *caller, int control)
{
	unsigned int before = caller->on_hold;

	if (control == AST_CONTROL_HOLD) {
		caller->on_hold = 1;
	} else if (control == AST_CONTROL_UNHOLD) {
		caller->on_hold = 0;
	}
	return caller->on_hold != before;
}

void caller_left(const struct caller_facts *facts, struct ending *ending)
{
	int flags = facts->flags;

	if (facts->taken_away) {
		/* Asterisk hangs up what is left of it. */
		ending_set(ending, CONVAI_STATUS_HANGUP,
			"the caller was taken out of the channel: redirected or bridged elsewhere");
	} else if (flags & AST_SOFTHANGUP_HANGUP_EXEC) {
		/* Before the h extension Asterisk sets APPUNLOAD as well, which means nothing then. */
		ending_set(ending, CONVAI_STATUS_HANGUP, "the channel was hung up before");
	} else if (flags & AST_SOFTHANGUP_APPUNLOAD && facts->unloading) {
		ending_set(ending, CONVAI_STATUS_UNLOADED, "the module was unloaded");
	} else if (flags == AST_SOFTHANGUP_APPUNLOAD) {
		ending_set(ending, CONVAI_STATUS_HANGUP,
			"another module that the channel uses was unloaded by force");
	} else if (facts->by_operator) {
		ending_set(ending, CONVAI_STATUS_HANGUP, "hung up by a command or a program");
	} else if (flags & AST_SOFTHANGUP_ASYNCGOTO) {
		ending_set(ending, CONVAI_STATUS_HANGUP,
			"the channel was sent elsewhere in the dialplan");
	} else if (flags & AST_SOFTHANGUP_SHUTDOWN) {
		ending_set(ending, CONVAI_STATUS_HANGUP, "Asterisk is stopping");
	} else if (flags & AST_SOFTHANGUP_TIMEOUT) {
		ending_set(ending, CONVAI_STATUS_TIMEOUT,
			"the channel's absolute time-out was reached");
	} else {
		ending_set(ending, CONVAI_STATUS_HANGUP, "the caller hung up");
	}
}
