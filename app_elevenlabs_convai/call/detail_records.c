/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What stays of a call in Asterisk's own records: channel event logging and call detail records
 */

#include "asterisk.h"

#include "asterisk/cdr.h"	/* ast_cdr_is_enabled */
#include "asterisk/cel.h"	/* ast_cel_publish_event */
#include "asterisk/json.h"	/* events of CEL */
#include "asterisk/pbx.h"	/* ast_func_write */

#include "call/detail_records.h"

void detail_records_event(struct ast_channel *channel, const char *name, struct ast_json *fields)
{
	struct ast_json *event = ast_cel_check_enabled() ? ast_json_object_create() : NULL;

	if (!event) {
		return;
	}
	/* ast_cel_publish_user_event does the same, but not in all versions. */
	if (!ast_json_object_set(event, "event", ast_json_string_create(name))
		&& !ast_json_object_set(event, "extra", ast_json_ref(fields))) {
		ast_cel_publish_event(channel, AST_CEL_USER_DEFINED, event);
	}
	ast_json_unref(event);
}

void detail_records_set(struct ast_channel *channel, struct ast_json *fields)
{
	char *text;

	/* By the dialplan's function: it knows what the thread of CDR has not got round to yet. */
	if (!ast_cdr_is_enabled() || !ast_custom_function_find("CDR")) {
		return;
	}
	text = ast_json_dump_string(fields);
	if (text) {
		ast_func_write(channel, "CDR(elevenlabs)", text);
	}
	ast_json_free(text);
}
