/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */
/*!
 * \file
 * \brief Steps that are no dialplan: a transfer, tones, a variable
 */

#include "asterisk.h"

#include "asterisk/channel.h"	/* ast_channel_name */

#include "call/channel_tool.h"
#include "call/events.h"
#include "call/telling.h"
#include "config/config.h"
#include "convai_ops.h"
#include "door.h"
#include "monotonic.h"

/*! So long the far end's answer to a REFER is waited for: about as long as a telephone rings */
#define REFER_US 30000000
/*! Room for what the agent is told: a destination and the words around it */
#define TEXT_SIZE 256

static void finish(struct channel_tool *tool, uint32_t outcome, const char *text)
{
	tool->what = NULL;
	tool->telling->ops->end_step(tool->telling->session, outcome, text);
}

/* ---- What may be done ---- */

/*! \brief Whether a name is in a list, as it is written there */
static int is_listed(const char *list, const char *name)
{
	size_t length = strlen(name);
	const char *found = list;

	if (!strcmp(list, "none") || strchr(name, ',')) {
		return 0;
	}
	while (length && (found = strstr(found, name))) {
		if ((found == list || found[-1] == ',') && (!found[length] || found[length] == ',')) {
			return 1;
		}
		found += length;
	}
	return 0;
}

static uint32_t check_variable(const struct channel_tool *tool, const char *name, char *why, size_t size)
{
	if (!is_listed(tool->telling->agent->values[KEY_SET_VARIABLE_ALLOW], name)) {
		snprintf(why, size, "This phone system does not let you set %s (set_variable_allow).", name);
		return CONVAI_STEP_REFUSED;
	}
	return CONVAI_STEP_DONE;
}

static uint32_t check_digits(const char *digits, char *why, size_t size)
{
	if (!tones_count(digits)) {
		snprintf(why, size, "There may be 1 to %d digits in one go: 0 to 9, *, #, A to D, and w for a "
			"pause of half a second.", TONES_SIZE - 1);
		return CONVAI_STEP_FAILED;
	}
	return CONVAI_STEP_DONE;
}

static uint32_t check_transfer(struct channel_tool *tool, const struct convai_step *what, char *why,
	size_t size)
{
	if (tool->refer_open) {
		snprintf(why, size, "The caller's line has not answered the transfer before.");
		return CONVAI_STEP_FAILED;
	}
	return transfer_find(&tool->transfer, tool->telling->channel, tool->telling->agent,
			transfer_argument(what, "destination"), why, size);
}

uint32_t channel_tool_check(struct channel_tool *tool, const struct convai_step *what, char *why,
	size_t size)
{
	switch (what->kind) {
	case CONVAI_STEP_TRANSFER:
		return check_transfer(tool, what, why, size);
	case CONVAI_STEP_DIGITS:
		return check_digits(transfer_argument(what, "digits"), why, size);
	case CONVAI_STEP_VARIABLE:
		return check_variable(tool, transfer_argument(what, "name"), why, size);
	default:
		return CONVAI_STEP_UNKNOWN;
	}
}

int channel_tool_takes_keys(const struct channel_tool *tool, const struct convai_step *what)
{
	return what->kind == CONVAI_STEP_TRANSFER && !tool->transfer.by_refer;
}

/* ---- What is done ---- */

static void note_transferred(struct channel_tool *tool)
{
	const struct transfer *transfer = &tool->transfer;

	tool->transferred = 1;
	snprintf(tool->reason, sizeof(tool->reason), "the agent has transferred the caller to %s%s%s%s",
		transfer->exten, *transfer->place ? transfer->by_refer ? "@" : " in " : "",
		transfer->place, transfer->by_refer ? ", by REFER" : "");
	events_log(tool->source, "ElevenLabsTransfer", "Destination", transfer->exten, "Place", transfer->place,
		"Method", transfer->by_refer ? "refer" : "blind", SENTINEL);
}

static void begin_transfer(struct channel_tool *tool, const struct convai_step *what, int64_t now)
{
	struct ast_channel *channel = tool->telling->channel;
	char why[TEXT_SIZE] = "";
	int failed;

	door_verbose(3, "%s: agent %s transfers the caller to %s\n", ast_channel_name(channel),
		tool->telling->agent->name, transfer_argument(what, "destination"));
	if (tool->transfer.by_refer) {
		failed = transfer_refer(&tool->transfer, channel, why, sizeof(why));
		tool->asked_us = now;
		tool->refer_open = !failed;
		if (!failed) {
			return;
		}
	} else {
		failed = transfer_blind(&tool->transfer, channel, what, why, sizeof(why));
	}
	if (!failed) {
		note_transferred(tool);
	}
	finish(tool, failed ? CONVAI_STEP_FAILED : CONVAI_STEP_DONE,
		failed ? *why ? why : "The phone system has sent the caller elsewhere."
		: "The caller has been transferred.");
}

void channel_tool_begin(struct channel_tool *tool, const struct convai_step *what, int64_t now)
{
	tool->what = what;
	switch (what->kind) {
	case CONVAI_STEP_TRANSFER:
		begin_transfer(tool, what, now);
		break;
	case CONVAI_STEP_DIGITS:
		door_verbose(3, "%s: agent %s sends %zu digits\n", ast_channel_name(tool->telling->channel),
			tool->telling->agent->name, tones_count(transfer_argument(what, "digits")));
		tones_begin(&tool->tones, transfer_argument(what, "digits"), now);
		break;
	default:
		door_variable(tool->telling->channel, transfer_argument(what, "name"),
			transfer_argument(what, "value"), WORDS_DATA);
		finish(tool, CONVAI_STEP_DONE, "It is set.");
	}
}

void channel_tool_look(struct channel_tool *tool, int64_t now)
{
	if (tones_look(&tool->tones, tool->telling->channel, now)) {
		finish(tool, CONVAI_STEP_DONE, "The digits have been sent.");
	} else if (tool->what && tool->what->kind == CONVAI_STEP_TRANSFER && now - tool->asked_us >= REFER_US) {
		finish(tool, CONVAI_STEP_FAILED, "The caller's line has not told in time whether it transfers.");
	}
}

void channel_tool_take(struct channel_tool *tool, const struct ast_frame *frame)
{
	int answer = tool->refer_open ? transfer_answer(frame) : -1;
	char text[TEXT_SIZE];

	if (answer < 0) {
		return;
	}
	tool->refer_open = 0;
	if (!answer) {
		note_transferred(tool);
		if (tool->what) {
			transfer_set_words(tool->telling->channel, tool->what);
			finish(tool, CONVAI_STEP_DONE, "The caller has been transferred.");
		}
		return;
	}
	snprintf(text, sizeof(text), answer == 1 ? "The transfer has failed."
		: answer == 486 || answer == 600 ? "The destination is busy (%d)."
		: "The transfer was refused (%d).", answer);
	if (tool->what) {
		finish(tool, CONVAI_STEP_FAILED, text);
	}
}

void channel_tool_move(struct channel_tool *tool)
{
	tool->refer_open = 0;
	if (tool->what) {
		tones_lose(&tool->tones, tool->telling->channel);
		finish(tool, CONVAI_STEP_FAILED, "The caller is on another device now.");
	}
}

void channel_tool_drop(struct channel_tool *tool)
{
	if (tool->what) {
		tones_stop(&tool->tones, tool->telling->channel, monotonic_us());
		finish(tool, CONVAI_STEP_FAILED, "The conversation is over.");
	}
}
