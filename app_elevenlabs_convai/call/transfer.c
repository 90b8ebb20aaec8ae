/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */
/*!
 * \file
 * \brief The caller goes elsewhere because the agent has said so, as far as transfer_allow lets it
 */

#include "asterisk.h"

#include "asterisk/bridge.h"	/* ast_bridge_transfer_blind */
#include "asterisk/channel.h"	/* channels and their technology */
#include "asterisk/core_local.h"	/* ast_local_get_peer */
#include "asterisk/frame.h"	/* AST_CONTROL_TRANSFER */
#include "asterisk/pbx.h"	/* ast_exists_extension, ast_explicit_goto */
#include "asterisk/strings.h"	/* S_OR */
#include "asterisk/utils.h"	/* ast_copy_string */

#include "call/transfer.h"
#include "config/config.h"
#include "convai_ops.h"
#include "door.h"

/*! AST_TRANSFER_PROGRESS, which older versions do not have */
#define TRANSFER_PROGRESS 2
/*! From here on what a REFER is answered with is a status of SIP */
#define SIP_STATUS_LEAST 300
#define PRIORITY_MAX 9999
/*! What a name may have in a SIP address, besides letters and digits: nothing that adds a parameter or a header */
#define ADDRESS_SIGNS "*+._-"

const char *transfer_argument(const struct convai_step *what, const char *name)
{
	uint32_t i;

	for (i = 0; i < what->argument_count; i++) {
		if (!strcmp(what->arguments[i].name, name)) {
			return what->arguments[i].value;
		}
	}
	return "";
}

/* ---- Where it is ---- */

/*! \brief Copy a part of a destination. \return 0, or -1 if it is too long or has anything else in it */
static int take(char *part, size_t size, const char *text, const char *signs)
{
	if (strlen(text) >= size || !destination_has_only(text, signs)) {
		return -1;
	}
	ast_copy_string(part, text, size);
	return 0;
}

/*! \brief context,exten,priority */
static int parse_location(struct transfer *transfer, char *context)
{
	char *exten = strchr(context, ',');
	char *priority = exten ? strchr(exten + 1, ',') : NULL;
	char *end;
	long number;

	if (!priority) {
		return -1;
	}
	*exten++ = *priority++ = '\0';
	number = strtol(priority, &end, 10);
	if (*end || end == priority || number < 1 || number > PRIORITY_MAX) {
		return -1;
	}
	if (take(transfer->place, DESTINATION_PLACE_SIZE - sizeof(":9999"), context, "._-")) {
		return -1;
	}
	if (number != 1) {
		sprintf(transfer->place + strlen(transfer->place), ":%ld", number);
	}
	return take(transfer->exten, sizeof(transfer->exten), exten, "*#+._-");
}

/*! \brief sip:name\@host */
static int parse_address(struct transfer *transfer, char *address)
{
	char *host = strrchr(address, '@');

	if (!host) {
		return -1;
	}
	*host++ = '\0';
	return take(transfer->place, sizeof(transfer->place), host, "._-:[]")
		|| take(transfer->exten, sizeof(transfer->exten), address, ADDRESS_SIGNS ":") ? -1 : 0;
}

/*! \brief Read what the agent has given; nothing of it is believed */
static int parse(struct transfer *transfer, const char *destination)
{
	char *text = ast_strdupa(destination);

	if (!transfer->by_refer) {
		return strchr(text, ',') ? parse_location(transfer, text)
			: take(transfer->exten, sizeof(transfer->exten), text, "*#+._-");
	}
	return strncmp(text, "sip:", 4) && strncmp(text, "sips:", 5)
		? take(transfer->exten, sizeof(transfer->exten), text, ADDRESS_SIGNS)
		: parse_address(transfer, text);
}

/*! \brief Whether the dialplan has it, for this caller */
static int is_there(struct transfer *transfer, struct ast_channel *channel)
{
	char number[80];
	char *priority = strchr(transfer->place, ':');

	transfer->priority = priority ? atoi(priority + 1) : 1;
	if (priority) {
		*priority = '\0';
	}
	ast_channel_lock(channel);
	ast_copy_string(number, S_COR(ast_channel_caller(channel)->id.number.valid,
		ast_channel_caller(channel)->id.number.str, ""), sizeof(number));
	ast_channel_unlock(channel);
	return ast_exists_extension(channel, transfer->place, transfer->exten, transfer->priority,
			S_OR(number, NULL));
}

uint32_t transfer_find(struct transfer *transfer, struct ast_channel *channel,
	const struct config_agent *agent, const char *destination, char *why, size_t size)
{
	char own[DESTINATION_PLACE_SIZE] = "";

	*transfer = (struct transfer) {
		.by_refer = !strcmp(agent->values[KEY_TRANSFER_METHOD], "refer"),
	};
	if (parse(transfer, destination)) {
		snprintf(why, size, "That is no destination; give %s.", transfer->by_refer
			? "a number or sip:name@host" : "an extension or context,extension,priority");
		return CONVAI_STEP_FAILED;
	}
	if (!transfer->by_refer) {
		ast_channel_lock(channel);
		ast_copy_string(own, ast_channel_context(channel), sizeof(own));
		ast_channel_unlock(channel);
	}
	if (!destination_is_admitted(agent->values[KEY_TRANSFER_ALLOW], transfer->exten, own,
		transfer->place)) {
		snprintf(why, size, "This phone system does not allow a transfer to %s (transfer_allow).",
			destination);
		return CONVAI_STEP_REFUSED;
	}
	if (!transfer->by_refer && !is_there(transfer, channel)) {
		snprintf(why, size, "There is no extension %s in context %s.", transfer->exten,
			transfer->place);
		return CONVAI_STEP_FAILED;
	}
	return CONVAI_STEP_DONE;
}

/* ---- The dialplan goes on there ---- */

void transfer_set_words(struct ast_channel *channel, const struct convai_step *what)
{
	door_variable(channel, "ELEVENLABS_TRANSFER_REASON", transfer_argument(what, "reason"), WORDS_DATA);
	door_variable(channel, "ELEVENLABS_TRANSFER_SUMMARY", transfer_argument(what, "summary"), WORDS_DATA);
}

static void set_words(struct ast_channel *channel, struct transfer_channel_data *data,
	enum ast_transfer_type type)
{
	transfer_set_words(channel, data->data);
}

/*! \brief The other half of a Local channel, if a caller is bridged to it, with a reference */
static struct ast_channel *bridged_half(struct ast_channel *channel)
{
	struct ast_channel *half;
	int is_bridged = 0;

	ast_channel_lock(channel);
	half = ast_local_get_peer(channel);
	ast_channel_unlock(channel);
	if (half) {
		ast_channel_lock(half);
		is_bridged = ast_channel_is_bridged(half);
		ast_channel_unlock(half);
	}
	return is_bridged ? half : ast_channel_cleanup(half);
}

/*! \brief The caller leaves the Local channel, which ends, and ours with it */
static int blind_through(const struct transfer *transfer, struct ast_channel *half,
	const struct convai_step *what, char *why, size_t size)
{
	if (transfer->priority != 1) {
		snprintf(why, size, "On this line a transfer begins at priority 1 of an extension.");
		return -1;
	}
	if (ast_bridge_transfer_blind(1, half, transfer->exten, transfer->place, set_words, (void *) what)
		!= AST_BRIDGE_TRANSFER_SUCCESS) {
		snprintf(why, size, "The phone system could not transfer the caller.");
		return -1;
	}
	return 0;
}

int transfer_blind(const struct transfer *transfer, struct ast_channel *channel,
	const struct convai_step *what, char *why, size_t size)
{
	struct ast_channel *half = bridged_half(channel);
	int res;

	*why = '\0';
	if (half) {
		res = blind_through(transfer, half, what, why, size);
		ast_channel_cleanup(half);
		return res;
	}
	if (!ast_channel_pbx(channel)) {
		snprintf(why, size, "This call is not in the dialplan, and cannot go on there.");
		return -1;
	}
	/* It fails while the channel is wanted elsewhere: somebody else has decided. */
	if (ast_explicit_goto(channel, transfer->place, transfer->exten, transfer->priority)) {
		return -1;
	}
	transfer_set_words(channel, what);
	return 0;
}

/* ---- The caller's line calls there ---- */

int transfer_refer(const struct transfer *transfer, struct ast_channel *channel, char *why, size_t size)
{
	char address[DESTINATION_NAME_SIZE + DESTINATION_PLACE_SIZE + sizeof("sip:@")];
	int res = -1;

	snprintf(address, sizeof(address), "%s%s%s%s",
		*transfer->place && !strchr(transfer->exten, ':') ? "sip:" : "", transfer->exten,
		*transfer->place ? "@" : "", transfer->place);
	ast_channel_lock(channel);
	if (!ast_check_hangup(channel) && ast_channel_tech(channel)->transfer) {
		res = ast_channel_tech(channel)->transfer(channel, address);
	}
	ast_channel_unlock(channel);
	if (res) {
		snprintf(why, size, "The caller's line cannot be asked to call elsewhere.");
	}
	return res ? -1 : 0;
}

int transfer_answer(const struct ast_frame *frame)
{
	int32_t answer;

	if (frame->subclass.integer != AST_CONTROL_TRANSFER || frame->datalen < (int) sizeof(answer)) {
		return -1;
	}
	memcpy(&answer, frame->data.ptr, sizeof(answer));
	if (answer == AST_TRANSFER_SUCCESS) {
		return 0;
	}
	return answer == TRANSFER_PROGRESS ? -1 : answer >= SIP_STATUS_LEAST ? answer : 1;
}
