/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What programs are told of a call when it is over, and what is recorded of it: the same figures
 */

#include "asterisk.h"

#include <inttypes.h>	/* PRIu64 */

#include "asterisk/astobj2.h"	/* ao2_lock */
#include "asterisk/utils.h"	/* ARRAY_LEN */

#include "call/call.h"
#include "call/closing.h"
#include "call/variables.h"
#include "monotonic.h"

static uint64_t bytes_to_ms(const struct convai_format *format, uint64_t bytes)
{
	uint64_t second = (uint64_t) format->rate * (format->encoding == CONVAI_ENCODING_SLIN ? 2 : 1);

	return second ? bytes * 1000 / second : 0;
}

/*! \brief What the session has counted, whether it is up or over */
static void look(struct closing *closing, struct call *call)
{
	struct convai_counters counters;

	ao2_lock(call);
	counters = call->counters;
	closing->latency = call->turns;
	if (call->session) {
		call->ops->counters(call->session, &counters);
		call->ops->turns(call->session, &closing->latency);
	}
	closing->agent_ms = bytes_to_ms(&call->progress.agent, counters.played_bytes);
	ao2_unlock(call);
	closing->turns = counters.turns;
	closing->interruptions = counters.interruptions;
	closing->tools_done = counters.tools_done;
	closing->tools_failed = counters.tools_failed;
	closing->events_left_out = counters.events_dropped;
}

void closing_take(struct closing *closing, struct call *call)
{
	int64_t now = monotonic_us();
	struct call_statistics statistics;

	statistics_copy(&call->statistics, &statistics);
	*closing = (struct closing) {
		.queued_us = statistics_queued_us(&statistics, now),
		.caller_ms = statistics.speech_ms,
		.steps = statistics.steps,
	};
	if (call->failed_attempt) {
		closing->queued_us += call->failed_attempt->statistics.queued_us;
	}
	if (statistics.talking_us) {
		closing->talked_ms = (now - call->started_us - statistics.talking_us) / 1000;
	}
	look(closing, call);
	quality_read(&closing->quality, call->channel);
}

void closing_write(struct closing_figures *figures, const struct closing *closing)
{
	const struct quality *line = &closing->quality;
	const struct {
		const char *name;
		uint64_t value;
	} numbers[] = {
		{ "TalkedMs", closing->talked_ms },
		{ "AgentSpokeMs", closing->agent_ms },
		{ "CallerSpokeMs", closing->caller_ms },
		{ "Queued", statistics_seconds(closing->queued_us) },
		{ "Turns", closing->turns },
		{ "Interruptions", closing->interruptions },
		{ "Steps", closing->steps },
		{ "ToolsDone", closing->tools_done },
		{ "ToolsFailed", closing->tools_failed },
		{ "EventsLeftOut", closing->events_left_out },
		{ "Answers", closing->latency.count },
		{ "LatencyMs", latency_ms(closing->latency.median_us) },
		{ "LatencyMaxMs", latency_ms(closing->latency.worst_us) },
	};
	const char * const texts[] = { QUALITY_FIELDS(line) };
	size_t i;
	size_t j;

	_Static_assert(ARRAY_LEN(numbers) + ARRAY_LEN(texts) / 2 == CLOSING_FIGURES, "all of them, and no more");
	for (i = 0; i < ARRAY_LEN(numbers); i++) {
		snprintf(figures->texts[i], CLOSING_TEXT_SIZE, "%" PRIu64, numbers[i].value);
		figures->figures[i] = (struct convai_argument) { numbers[i].name, figures->texts[i] };
	}
	for (j = 0; j < ARRAY_LEN(texts); j += 2) {
		figures->figures[i++] = (struct convai_argument) { texts[j], texts[j + 1] };
	}
}

const char *closing_figure(const struct closing_figures *figures, const char *name)
{
	size_t i = 0;

	while (i < CLOSING_FIGURES - 1 && strcmp(figures->figures[i].name, name)) {
		i++;
	}
	return figures->figures[i].value;
}
