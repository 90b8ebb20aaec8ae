/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The `elevenlabs debug` command: of all calls, or of one. Threads of Asterisk's.
 */

#include "asterisk.h"

#include "asterisk/astobj2.h"	/* ao2_lock */
#include "asterisk/cli.h"	/* CLI_SUCCESS */
#include "asterisk/utils.h"	/* ast_true */

#include "call/call.h"
#include "call/registry.h"
#include "config/config.h"
#include "control/cli_commands.h"
#include "door.h"
#include "engine/generation.h"

/*! \brief Set a call's debug; a session opened later takes it over */
static void set_call(struct call *call, enum convai_debug debug)
{
	ao2_lock(call);
	call->debug = debug;
	if (call->session) {
		call->ops->set_session_debug(call->session, debug);
	}
	ao2_unlock(call);
}

/*! \brief Set debug for all calls, and drop what was set for single ones */
static void set_all(int on)
{
	struct call **calls;
	size_t count;
	size_t i;

	generation_set_debug(on);
	count = registry_list(&calls);
	for (i = 0; i < count; i++) {
		set_call(calls[i], CONVAI_DEBUG_AS_ALL);
	}
	registry_free_list(calls, count);
}

char *cli_debug(struct ast_cli_args *a)
{
	/* `elevenlabs debug on` and `elevenlabs set debug on` come here. */
	int at = 2 + !strcasecmp(a->argv[1], "set");
	int on = a->argc > at && !strcasecmp(a->argv[at], "on");
	const char *done = on ? "enabled" : "disabled";
	struct call *call;

	if (a->argc <= at || a->argc > at + 2 || (!on && strcasecmp(a->argv[at], "off"))) {
		return CLI_SHOWUSAGE;
	}
	if (a->argc == at + 1) {
		set_all(on);
		door_cli(a->fd, "ElevenLabs debug %s\n", done);
		return CLI_SUCCESS;
	}
	call = registry_find(a->argv[at + 1]);
	if (!call) {
		door_cli(a->fd, "There is no session on channel %s\n", a->argv[at + 1]);
		return CLI_FAILURE;
	}
	set_call(call, on ? CONVAI_DEBUG_ON : CONVAI_DEBUG_OFF);
	ao2_ref(call, -1);
	door_cli(a->fd, "ElevenLabs debug %s on channel %s\n", done, a->argv[at + 1]);
	return CLI_SUCCESS;
}

const char *cli_debug_state(const struct call *call)
{
	switch (call->debug) {
	case CONVAI_DEBUG_ON:
		return "on, for this call";
	case CONVAI_DEBUG_OFF:
		return "off, for this call";
	case CONVAI_DEBUG_AS_ALL:
		break;
	}
	if (generation_debug()) {
		return "on, for all calls";
	}
	return ast_true(call->agent->values[KEY_DEBUG]) ? "on, by debug of the agent" : "off";
}
