/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief A tool that is a subroutine of the dialplan: its arguments, and what it leaves
 */

#include "asterisk.h"

#include "asterisk/app.h"	/* ast_app_exec_sub */
#include "asterisk/channel.h"	/* ast_check_hangup */
#include "asterisk/pbx.h"	/* extensions and channel variables */
#include "asterisk/stasis_channels.h"	/* ast_channel_publish_snapshot */
#include "asterisk/strings.h"	/* ast_strlen_zero */
#include "asterisk/utils.h"	/* ARRAY_LEN */

#include "call/dialplan.h"
#include "config/config.h"
#include "convai_ops.h"
#include "door.h"
#include "words.h"

/*! Room for a context and a tool's name, and what stands around them */
#define PLACE_SIZE (CONFIG_VALUE_SIZE + 128)
/*! Room for the name of a variable of ours and of an argument, which has 64 characters */
#define NAME_SIZE 128

/*! What the dialplan leaves behind of its own accord: the result of a tool that returns none */
static const char * const outcomes[] = {
	"DIALSTATUS", "QUEUESTATUS", "TRANSFERSTATUS", "CONFBRIDGE_RESULT", "VMSTATUS", "RECORD_STATUS",
	"PLAYBACKSTATUS", "READSTATUS", "AGISTATUS", "SYSTEMSTATUS",
};

/*! \brief Copy what fits, whole characters alone; a byte that is no UTF-8 becomes a question mark */
static void copy_utf8(char *copy, const char *text, size_t size)
{
	size_t left = strlen(text);

	while (left) {
		uint32_t code;
		size_t length = words_character((const unsigned char *) text, left, &code);
		size_t taken = length ? length : 1;

		if (taken >= size) {
			break;
		}
		memcpy(copy, length ? text : "?", taken);
		copy += taken;
		size -= taken;
		text += taken;
		left -= taken;
	}
	*copy = '\0';
}

/*! \brief Copy a channel variable. \return whether there is anything in it */
static int copy_variable(struct ast_channel *channel, const char *name, char *text, size_t size)
{
	const char *value;

	ast_channel_lock(channel);
	value = pbx_builtin_getvar_helper(channel, name);
	copy_utf8(text, value ? value : "", size);
	ast_channel_unlock(channel);
	return !ast_strlen_zero(text);
}

/*! \brief Whether a channel variable is there, be it empty */
static int is_set(struct ast_channel *channel, const char *name)
{
	int is;

	ast_channel_lock(channel);
	is = pbx_builtin_getvar_helper(channel, name) != NULL;
	ast_channel_unlock(channel);
	return is;
}

/*! \brief Take a variable off the channel if it is there: others are told of each that is set */
static void clear(struct ast_channel *channel, const char *name)
{
	if (is_set(channel, name)) {
		door_variable(channel, name, NULL, WORDS_DATA);
	}
}

/*! \brief What was left by a tool, or by the dialplan, before is not the result of this one */
static void clear_results(struct ast_channel *channel)
{
	size_t i;

	clear(channel, "GOSUB_RETVAL");
	for (i = 0; i < ARRAY_LEN(outcomes); i++) {
		clear(channel, outcomes[i]);
	}
}

/*! \brief Set what the agent has given to its tool, or take it off again */
static void give_arguments(struct ast_channel *channel, const struct convai_step *what, int on)
{
	uint32_t i;

	door_variable(channel, "ELEVENLABS_TOOL", on ? what->tool : NULL, WORDS_DATA);
	for (i = 0; i < what->argument_count; i++) {
		char name[NAME_SIZE];

		snprintf(name, sizeof(name), "ELEVENLABS_ARG_%s", what->arguments[i].name);
		door_variable(channel, name, on ? what->arguments[i].value : NULL, WORDS_DATA);
	}
}

/*!
 * \brief What the agent is told: what the subroutine returned, else what its applications left
 *
 * One that ends before its Return(), for an application that Asterisk does not have for example, may
 * have done nothing: nobody is told that it is done.
 *
 * \return enum convai_step_outcome
 */
static uint32_t read_result(struct ast_channel *channel, const char *tool, char *text, size_t size)
{
	char value[64];
	size_t used = 0;
	size_t i;

	if (copy_variable(channel, "GOSUB_RETVAL", text, size)) {
		return CONVAI_STEP_DONE;
	}
	for (i = 0; i < ARRAY_LEN(outcomes); i++) {
		if (copy_variable(channel, outcomes[i], value, sizeof(value))) {
			used += snprintf(text + used, size - used, "%s%s=%s", used ? ", " : "", outcomes[i],
					value);
		}
	}
	if (!used && ast_check_hangup(channel)) {
		snprintf(text, size, "%s was broken off.", tool);
		return CONVAI_STEP_FAILED;
	}
	/* Return() sets this, also where it returns nothing. */
	if (!used && !is_set(channel, "GOSUB_RETVAL")) {
		door_log(LOG_WARNING, "Tool %s has ended without Return(), and has left no status: where the"
							  " lines before this one do not say why, let its subroutine end with Return()\n", tool);
		snprintf(text, size, "%s has ended without a result; the phone system's log tells more.", tool);
		return CONVAI_STEP_FAILED;
	}
	if (!used) {
		snprintf(text, size, "%s is done.", tool);
	}
	return CONVAI_STEP_DONE;
}

int dialplan_has(struct ast_channel *channel, const char *context, const char *tool)
{
	char number[80];

	ast_channel_lock(channel);
	ast_copy_string(number, S_COR(ast_channel_caller(channel)->id.number.valid,
		ast_channel_caller(channel)->id.number.str, ""), sizeof(number));
	ast_channel_unlock(channel);
	return ast_exists_extension(channel, context, tool, 1, S_OR(number, NULL));
}

uint32_t dialplan_run(struct ast_channel *channel, const char *context, const struct convai_step *what,
	int runs_on, char *result, size_t size)
{
	char place[PLACE_SIZE];
	int failed;

	snprintf(place, sizeof(place), "%s,%s,1", context, what->tool);
	clear_results(channel);
	give_arguments(channel, what, 1);
	/* No autoservice, for this thread is the one that serves the channel. */
	failed = ast_app_exec_sub(NULL, channel, place, runs_on);
	give_arguments(channel, what, 0);
	/* Else lists of channels show Return() with what it has told the agent, for as long as the call lasts. */
	ast_channel_lock(channel);
	ast_channel_publish_snapshot(channel);
	ast_channel_unlock(channel);
	if (failed) {
		snprintf(result, size, "%s could not be run; the phone system's log tells why.", what->tool);
		return CONVAI_STEP_FAILED;
	}
	return read_result(channel, what->tool, result, size);
}
