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

/*!
 * After so long without a voice frame (muted, DTX, a quiet Local channel) the agent gets
 * silence in its place, because it only advances on audio. Jitter stays below that.
 */
#define GAP_US 300000
/*! Silence in place of missing audio is given in whole steps of this */
#define GAP_STEP_MS 20
/*!
 * A longer gap at once is a stall of this thread, not of the caller; the rest of it is
 * forgotten
 */
#define GAP_MS_MAX 1000

void caller_start(struct caller *caller, int64_t now)
{
	caller->heard_us = now;
	caller->covered_us = now;
}

enum caller_verdict caller_voice(struct caller *caller, uint32_t state, int is_tone,
	int64_t now)
{
	if (caller->on_hold) {
		/* Music, mostly, which is not meant for the agent: it gets silence as in any gap. */
		return CALLER_DROP;
	}
	caller_start(caller, now);
	switch (state) {
	case CONVAI_STATE_CONNECTING:
	case CONVAI_STATE_QUEUED:
		/* A tone is no first word, and nobody is there yet to hear silence. */
		return is_tone ? CALLER_DROP : CALLER_KEEP;
	case CONVAI_STATE_TALKING:
		return is_tone ? CALLER_MUTE : CALLER_PUSH;
	default:
		return CALLER_DROP;
	}
}

void caller_control(struct caller *caller, int control)
{
	if (control == AST_CONTROL_HOLD) {
		caller->on_hold = 1;
	} else if (control == AST_CONTROL_UNHOLD) {
		caller->on_hold = 0;
	}
}

unsigned int caller_gap_ms(struct caller *caller, int64_t now)
{
	unsigned int missing_ms;

	if (now - caller->heard_us < GAP_US) {
		return 0;
	}
	missing_ms = (now - caller->covered_us) / 1000 / GAP_STEP_MS * GAP_STEP_MS;
	if (missing_ms > GAP_MS_MAX) {
		caller->covered_us = now;
		return GAP_MS_MAX;
	}
	caller->covered_us += (int64_t) missing_ms * 1000;
	return missing_ms;
}

void caller_left(int flags, int by_operator, struct ending *ending)
{
	if (flags & AST_SOFTHANGUP_HANGUP_EXEC) {
		/* Before the h extension Asterisk sets APPUNLOAD as well, which means nothing then. */
		ending_set(ending, CONVAI_STATUS_HANGUP, "the channel was hung up before");
	} else if (flags & AST_SOFTHANGUP_APPUNLOAD) {
		ending_set(ending, CONVAI_STATUS_UNLOADED, "the module was unloaded");
	} else if (by_operator) {
		ending_set(ending, CONVAI_STATUS_HANGUP, "hung up from the Asterisk CLI");
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
