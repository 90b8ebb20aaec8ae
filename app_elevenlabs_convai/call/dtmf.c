/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Digits that the caller presses: collected, for the agent and for the dialplan
 */

#include "asterisk.h"

#include "call/dtmf.h"
#include "config/config.h"

#define DIGITS "0123456789*#ABCD"
/*! Ends a group of digits in the queue */
#define GROUP_END '\n'
/*!
 * A tone in the audio comes a little later than its event, through a gateway that sends
 * both
 */
#define TAIL_US 60000
/*! A key that is held for longer is stuck, or its end was lost: the caller is heard again */
#define HELD_MAX_US 10000000
/*! The sentence around digits that are told as context */
#define CONTEXT "The caller has pressed %.*s on the telephone's keypad."

static void append(char *text, size_t size, char c)
{
	size_t length = strlen(text);

	if (length + 1 < size) {
		text[length] = c;
		text[length + 1] = '\0';
	}
}

static int is_full(const struct dtmf *dtmf)
{
	return strlen(dtmf->waiting) == sizeof(dtmf->waiting) - 1;
}

/*! \brief Whether no digit of the group that is being pressed waits */
static int group_is_empty(const struct dtmf *dtmf)
{
	size_t length = strlen(dtmf->waiting);

	return !length || dtmf->waiting[length - 1] == GROUP_END;
}

/*!
 * \brief Queue a digit for the agent
 * \return 1 if it has ended its group. Pressed alone, the key that ends is a digit itself.
 */
static int collect(struct dtmf *dtmf, char digit, char end)
{
	if (digit != end || group_is_empty(dtmf)) {
		append(dtmf->waiting, sizeof(dtmf->waiting), digit);
	}
	if (digit == end) {
		append(dtmf->waiting, sizeof(dtmf->waiting), GROUP_END);
	}
	return digit == end;
}

void dtmf_down(struct dtmf *dtmf, int64_t now)
{
	dtmf->mute_until_us = now + HELD_MAX_US;
	dtmf->resumed_us = 0;
}

int dtmf_up(struct dtmf *dtmf, char digit, char end, int64_t now)
{
	dtmf->mute_until_us = now + TAIL_US;
	if (!digit || !strchr(DIGITS, digit)) {
		return 0;
	}
	dtmf->last_us = now;
	append(dtmf->kept, sizeof(dtmf->kept), digit);
	/* Also where this agent is not to be told: a fallback_agent may be. */
	return !collect(dtmf, digit, end);
}

int dtmf_covers_audio(const struct dtmf *dtmf, int64_t now)
{
	return now < dtmf->mute_until_us;
}

/*! \brief Length of the oldest group that waits, without what ends it */
static size_t group_length(const struct dtmf *dtmf)
{
	return strcspn(dtmf->waiting, (char []) { GROUP_END, '\0' });
}

int dtmf_due(struct dtmf *dtmf, const struct config_agent *agent, int64_t now,
	struct dtmf_message *message)
{
	int length = group_length(dtmf);
	int is_ended = dtmf->waiting[length] == GROUP_END;

	if (agent->dtmf == DTMF_FOR_DIALPLAN) {
		/* The agent is there, so no other will be asked. */
		dtmf->waiting[0] = '\0';
		return 0;
	}
	if (!is_ended && !is_full(dtmf)
		&& (!length || now - dtmf->last_us < agent->dtmf_timeout_ms * INT64_C(1000))) {
		return 0;
	}
	message->kind = agent->dtmf == DTMF_AS_MESSAGE ? CONVAI_SAY_MESSAGE : CONVAI_SAY_CONTEXT;
	snprintf(message->text, sizeof(message->text),
		agent->dtmf == DTMF_AS_MESSAGE ? "%.*s" : CONTEXT, length, dtmf->waiting);
	return 1;
}

void dtmf_forget(struct dtmf *dtmf)
{
	dtmf->waiting[0] = '\0';
	dtmf->mute_until_us = 0;
}

void dtmf_resume(struct dtmf *dtmf, int64_t now)
{
	dtmf->resumed_us = now;
	dtmf->mute_until_us = now + TAIL_US;
}

int dtmf_is_foreign(struct dtmf *dtmf, int64_t now)
{
	int is_foreign = dtmf->resumed_us && now - dtmf->resumed_us < HELD_MAX_US;

	dtmf->resumed_us = 0;
	if (is_foreign) {
		dtmf->mute_until_us = now + TAIL_US;
	}
	return is_foreign;
}

void dtmf_told(struct dtmf *dtmf)
{
	size_t length = group_length(dtmf);

	length += dtmf->waiting[length] == GROUP_END;
	memmove(dtmf->waiting, dtmf->waiting + length, strlen(dtmf->waiting + length) + 1);
}
