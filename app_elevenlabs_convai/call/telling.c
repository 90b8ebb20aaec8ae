/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief From the caller to the agent: what it is told besides the voice
 */

#include "asterisk.h"

#include "asterisk/channel.h"	/* ast_channel_name */

#include "call/caller.h"
#include "call/dtmf.h"
#include "call/media.h"
#include "call/parties.h"
#include "call/statistics.h"
#include "call/telling.h"
#include "call/watchdog.h"
#include "config/config.h"
#include "convai_ops.h"
#include "door.h"

void telling_digit(struct telling *telling, char digit, int64_t now)
{
	if (dtmf_is_foreign(telling->dtmf, now)) {
		return;
	}
	statistics_count(&telling->statistics->digits);
	watchdog_notice(telling->watchdog, now);
	if (dtmf_up(telling->dtmf, digit, telling->agent->dtmf_end, now)
		&& telling->progress->state == CONVAI_STATE_TALKING
		&& telling->agent->dtmf != DTMF_FOR_DIALPLAN) {
		/* The agent waits for the rest. If that cannot be told, it may talk: no harm. */
		telling->ops->send(telling->session, CONVAI_SAY_ACTIVITY, "");
	}
}

void telling_hold(struct telling *telling)
{
	if (telling->caller->on_hold) {
		statistics_count(&telling->statistics->holds);
	}
	statistics_set(&telling->statistics->on_hold, telling->caller->on_hold);
	telling->ops->hold(telling->session, telling->caller->on_hold);
}

/*! \brief Tell the agent, as soon as one is there, that somebody else may be there now */
static void tell_move(struct telling *telling)
{
	char text[PARTIES_NUMBER_SIZE + 64];
	struct parties parties;
	const char *number;

	if (!telling->moved) {
		return;
	}
	telling->moved = 0;
	parties_read(&parties, telling->channel, 0);
	number = telling->agent->send_caller_number ? parties_other(&parties) : "";
	snprintf(text, sizeof(text), "The call has been moved to another telephone%s%s.",
		number[0] ? ", whose number is " : "", number);
	/* If that cannot be told, the agent hears it. */
	telling->ops->send(telling->session, CONVAI_SAY_CONTEXT, text);
}

void telling_device(struct telling *telling)
{
	door_verbose(3, "%s has taken over the call with agent %s\n",
		ast_channel_name(telling->channel), telling->agent->name);
	dtmf_forget(telling->dtmf);
	media_preroll_drop(telling->media);
	if (caller_control(telling->caller, AST_CONTROL_UNHOLD)) {
		telling_hold(telling);
	}
	telling->moved = 1;
}

void telling_look(struct telling *telling, int64_t now)
{
	struct dtmf_message message;

	tell_move(telling);
	if (dtmf_due(telling->dtmf, telling->agent, now, &message)
		&& !telling->ops->send(telling->session, message.kind, message.text)) {
		dtmf_told(telling->dtmf);
		if (message.kind == CONVAI_SAY_MESSAGE) {
			watchdog_asked(telling->watchdog, now);
		}
	}
}
