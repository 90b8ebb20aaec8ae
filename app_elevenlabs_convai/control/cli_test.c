/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief `elevenlabs test agent` and the action ElevenLabsTest: reach an agent as a call does, without a call
 *
 * Signed URL, socket, first message, metadata; then the conversation is closed. It runs
 * on a thread of Asterisk's and uses the engine as a channel thread would.
 */

#include "asterisk.h"

#include <errno.h>	/* ENOMEM */
#include <poll.h>	/* poll(2) */

#include "asterisk/astobj2.h"	/* references to agents */
#include "asterisk/cli.h"	/* CLI_SUCCESS */
#include "asterisk/utils.h"	/* ast_copy_string */

#include "call/lookup.h"
#include "call/media.h"
#include "call/registry.h"
#include "call/variables.h"
#include "call/watchdog.h"
#include "config/config.h"
#include "control/agent_test.h"
#include "control/cli_commands.h"
#include "door.h"
#include "engine/generation.h"
#include "monotonic.h"

/*! How often to look whether the module is to go */
#define LOOK_MS 100

static int failed(struct agent_test *test, enum convai_status status, const char *reason,
	const char *detail)
{
	ending_set(&test->ending, status, "%s", reason);
	ending_set_detail(&test->ending, detail);
	return -1;
}

/*!
 * \brief Wait until the conversation is there, or has ended
 * \return 0; -1 when neither has happened in time
 */
static int await(const struct convai_ops *ops, struct convai_session *session,
	struct convai_progress *progress, int64_t deadline_us)
{
	struct pollfd event = { .fd = ops->event_fd(session), .events = POLLIN };

	for (;;) {
		ops->poll(session, progress);
		if (progress->state != CONVAI_STATE_CONNECTING) {
			return 0;
		}
		if (monotonic_us() >= deadline_us || registry_is_closed()) {
			return -1;
		}
		poll(&event, 1, LOOK_MS);
	}
}

static int note(struct agent_test *test, const struct convai_progress *progress, int64_t began_us)
{
	test->full = progress->queue != CONVAI_QUEUE_NONE;
	test->ms = (monotonic_us() - began_us) / 1000;
	if (progress->state == CONVAI_STATE_ENDED && !progress->talked && !test->full) {
		return failed(test, progress->status, progress->reason, progress->detail);
	}
	ast_copy_string(test->conversation_id, progress->conversation_id, sizeof(test->conversation_id));
	media_format_name(&progress->caller, test->hears, sizeof(test->hears));
	media_format_name(&progress->agent, test->speaks, sizeof(test->speaks));
	return 0;
}

static int converse(struct agent_test *test, const struct config_agent *agent,
	const struct convai_ops *ops, const struct pair_list *pairs)
{
	int64_t began_us = monotonic_us();
	struct convai_request request = {
		.channel = "elevenlabs test agent",
		.agent = agent->name,
		.pairs = pairs->pairs,
		.pair_count = pairs->count,
	};
	struct convai_progress progress;
	struct convai_session *session = ops->open(&request);
	int res;

	if (!session) {
		return failed(test, CONVAI_STATUS_ERROR, strerror(errno), "");
	}
	if (await(ops, session, &progress, began_us
		+ agent->connect_timeout * INT64_C(1000000) + ENGINE_GRACE_US)) {
		res = failed(test, CONVAI_STATUS_ERROR,
				registry_is_closed() ? "the module is being unloaded"
				: "the engine does not answer", "");
	} else {
		res = note(test, &progress, began_us);
	}
	ops->release(session);
	return res;
}

static int reach(struct agent_test *test, const struct config_agent *agent)
{
	struct generation *generation;
	struct pair_list pairs;
	int res;

	if (!strcmp(agent->values[KEY_AUTH], "signed_url") && !agent->values[KEY_API_KEY][0]) {
		return failed(test, CONVAI_STATUS_AUTH, "no api_key in " CONFIG_FILE, "");
	}
	generation = generation_take();
	if (!generation) {
		return failed(test, CONVAI_STATUS_ERROR, "the engine is not running", "");
	}
	if (pair_list_fill_agent(&pairs, agent)) {
		res = failed(test, CONVAI_STATUS_ERROR, strerror(ENOMEM), "");
	} else {
		res = converse(test, agent, generation_ops(generation), &pairs);
	}
	pair_list_free(&pairs);
	generation_leave(generation);
	return res;
}

int agent_test(struct agent_test *test, const char *name)
{
	struct config *config = config_get();
	struct config_agent *agent;
	int res;

	memset(test, 0, sizeof(*test));
	agent = lookup_agent(config, name, NULL, &test->ending);
	ao2_cleanup(config);
	ast_copy_string(test->agent, agent ? agent->name : name, sizeof(test->agent));
	if (!strcmp(test->ending.detail, name)) {
		/* The name is told of anyway. */
		test->ending.detail[0] = '\0';
	}
	res = agent ? reach(test, agent) : -1;
	ao2_cleanup(agent);
	return res;
}

void agent_test_tell(const struct agent_test *test, char *text, size_t size)
{
	if (test->ending.status) {
		snprintf(text, size, "Agent %s: FAILED, %s: " ENDING_FORMAT, test->agent,
			status_name(test->ending.status), ENDING_ARGS(test->ending.reason, test->ending.detail));
	} else {
		snprintf(text, size, "Agent %s: OK, %s after %d ms; it hears %s and speaks %s%s", test->agent,
			test->conversation_id, test->ms, test->hears, test->speaks,
			test->full ? "; but it is full, and the service lets callers wait" : "");
	}
}

char *cli_test_agent(struct ast_cli_args *a)
{
	struct agent_test test;
	char text[AGENT_TEST_SIZE];
	int res;

	if (a->argc != 4) {
		return CLI_SHOWUSAGE;
	}
	res = agent_test(&test, a->argv[3]);
	agent_test_tell(&test, text, sizeof(text));
	door_cli(a->fd, "%s\n", text);
	return res ? CLI_FAILURE : CLI_SUCCESS;
}
