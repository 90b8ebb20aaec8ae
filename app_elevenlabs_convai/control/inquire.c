/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Asking the engine in service something that is not about a call, and waiting for the answer
 */

#include "asterisk.h"

#include <errno.h>	/* EBUSY */
#include <poll.h>	/* poll(2) */

#include "asterisk/utils.h"	/* ast_strdup */

#include "call/registry.h"
#include "call/variables.h"
#include "call/watchdog.h"
#include "control/inquire.h"
#include "door.h"
#include "engine/generation.h"
#include "monotonic.h"

/*! How often to look whether the module is to go */
#define LOOK_MS 100

/*!
 * \brief Wait for the answer
 * \return enum convai_outcome: CONVAI_OUTCOME_NONE when it has not come in time
 */
static uint32_t await(const struct convai_ops *ops, struct convai_inquiry *inquiry,
	int64_t deadline_us, const char **answer)
{
	struct pollfd event = { .fd = ops->inquiry_fd(inquiry), .events = POLLIN };

	for (;;) {
		uint32_t outcome = ops->inquiry_poll(inquiry, answer);

		if (outcome != CONVAI_OUTCOME_NONE || monotonic_us() >= deadline_us
			|| registry_is_closed()) {
			return outcome;
		}
		poll(&event, 1, LOOK_MS);
	}
}

static const char *refusal(int cause)
{
	switch (cause) {
	case EBUSY:
		return "too many ask the engine already; try again later";
	case ESHUTDOWN:
		return "the engine is being stopped";
	default:
		return strerror(cause);
	}
}

static int ask(const struct convai_ops *ops, const struct convai_question *question,
	int64_t grace_us, char **answer)
{
	int64_t deadline_us = monotonic_us() + question->limit_ms * INT64_C(1000) + grace_us;
	struct convai_inquiry *inquiry = ops->inquire(question);
	const char *text;
	uint32_t outcome;

	if (!inquiry) {
		*answer = ast_strdup(refusal(errno));
		return 0;
	}
	outcome = await(ops, inquiry, deadline_us, &text);
	if (outcome == CONVAI_OUTCOME_NONE) {
		text = registry_is_closed() ? "the module is being unloaded" : "the engine does not answer";
	}
	*answer = ast_strdup(text);
	ops->inquiry_release(inquiry);
	return outcome == CONVAI_OUTCOME_OK;
}

/*! \brief As inquire; grace_us: who asks waits so much longer than the engine has */
static int inquire_with(const char *kind, const char *agent, const struct pair_list *pairs,
	uint32_t limit_ms, int64_t grace_us, char **answer)
{
	struct convai_question question = {
		.kind = kind,
		.agent = agent,
		.pairs = pairs->pairs,
		.pair_count = pairs->count,
		.limit_ms = limit_ms,
	};
	struct generation *generation = generation_take();
	int ok;

	if (!generation) {
		*answer = ast_strdup("the engine is not running");
		return 0;
	}
	ok = ask(generation_ops(generation), &question, grace_us, answer);
	generation_leave(generation);
	return ok;
}

int inquire(const char *kind, const char *agent, const struct pair_list *pairs, uint32_t limit_ms,
	char **answer)
{
	return inquire_with(kind, agent, pairs, limit_ms, ENGINE_GRACE_US, answer);
}

int inquire_briefly(const char *kind, const struct pair_list *pairs, uint32_t limit_ms, char **answer)
{
	return inquire_with(kind, "", pairs, limit_ms, 0, answer);
}

void inquire_print(int fd, const char *answer)
{
	const char *line = answer ? answer : "out of memory";

	for (;;) {
		size_t length = strcspn(line, "\n");

		door_cli(fd, "%.*s\n", (int) length, line);
		if (!line[length]) {
			return;
		}
		line += length + 1;
	}
}
