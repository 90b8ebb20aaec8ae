/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The module's metrics as Prometheus reads them
 *
 * A family of metrics is one heading and a sample for each agent, in base units: seconds and bytes. Labels
 * are names of agents, states and the like; nothing that a caller or the service has said is in them, so
 * that their number stays small. docs/metrics.md has all of them.
 */

#include "asterisk.h"

#include "asterisk/ast_version.h"	/* ast_get_version */
#include "asterisk/astobj2.h"	/* ao2_lock */
#include "asterisk/strings.h"	/* ast_str */
#include "asterisk/utils.h"	/* ARRAY_LEN */

#include "call/call.h"
#include "call/registry.h"
#include "call/totals.h"
#include "call/variables.h"
#include "config/config.h"
#include "config/rows.h"
#include "control/metrics.h"
#include "engine/embed.h"
#include "engine/generation.h"
#include "words.h"

/*! Room for a label's value, escaped */
#define LABEL_SIZE (2 * CONFIG_SECTION_SIZE + UTF8_LONGEST)
/*! Bytes of the longest character */
#define UTF8_LONGEST 4

/*! \brief Begin a family of metrics */
static void family(struct ast_str **out, const char *name, const char *type, const char *help)
{
	ast_str_append(out, 0, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/*! \brief A label's value: Prometheus's escapes, no other control characters, and nothing that is no UTF-8 */
static const char *escaped(const char *value, char text[LABEL_SIZE])
{
	char *to = text;

	while (*value && to < text + LABEL_SIZE - UTF8_LONGEST) {
		uint32_t code;
		size_t length = words_character((const unsigned char *) value, strlen(value), &code);

		if (!length || code < ' ') {
			*to++ = '?';
			value++;
			continue;
		}
		if (code == '\\' || code == '"') {
			*to++ = '\\';
		}
		memcpy(to, value, length);
		to += length;
		value += length;
	}
	*to = '\0';
	return text;
}

/* ---- Sums over all calls ---- */

static const struct {
	const char *name;
	const char *labels;	/*!< behind the agent's */
	const char *help;	/*!< NULL: of the family above */
	double unit;	/*!< one of what is counted, in the metric's unit */
} sums[TOTAL_COUNT] = {
	[TOTAL_CALLS] = { "elevenlabs_calls_total", "", "Calls that an agent was asked for.", 1 },
	[TOTAL_CALLER_BYTES] = {
		"elevenlabs_audio_bytes_total", ",direction=\"caller\"",
		"Audio given to the agent (caller) and played to the caller (agent).", 1
	},
	[TOTAL_AGENT_BYTES] = { "elevenlabs_audio_bytes_total", ",direction=\"agent\"", NULL, 1 },
	[TOTAL_CALLER_LOST_BYTES] = {
		"elevenlabs_overrun_bytes_total", ",direction=\"caller\"",
		"Audio lost because a queue was full, or the socket took no more.", 1
	},
	[TOTAL_AGENT_LOST_BYTES] = {
		"elevenlabs_overrun_bytes_total", ",direction=\"agent\"", NULL, 1
	},
	[TOTAL_UNDERRUNS] = {
		"elevenlabs_underruns_total", "",
		"Short pauses in the agent's speech because its audio came too late.", 1
	},
	[TOTAL_LATE_FRAMES] = {
		"elevenlabs_late_frames_total", "",
		"Frames written to the caller more than a frame after their time.", 1
	},
	[TOTAL_INSERTED_MS] = {
		"elevenlabs_caller_missing_seconds_total", "",
		"Silence in place of audio that the caller's line did not bring (lag).", 1e-3
	},
	[TOTAL_LATE_US] = {
		"elevenlabs_caller_late_seconds_total", "",
		"Audio of the caller's that came too late, and was dropped (lead).", 1e-6
	},
	[TOTAL_INTERRUPTIONS] = {
		"elevenlabs_interruptions_total", "", "Times that callers interrupted the agent.", 1
	},
	[TOTAL_MESSAGES] = {
		"elevenlabs_messages_total", "", "Messages received from the service.", 1
	},
	[TOTAL_DIGITS] = { "elevenlabs_digits_total", "", "Digits that callers pressed.", 1 },
	[TOTAL_STEPS] = {
		"elevenlabs_steps_total", "", "Tools that the dialplan ran on the caller's channel.", 1
	},
	[TOTAL_TOOLS_DONE] = {
		"elevenlabs_tools_total", ",result=\"done\"",
		"Tools that agents called, of all kinds, by how the agent was answered.", 1
	},
	[TOTAL_TOOLS_FAILED] = { "elevenlabs_tools_total", ",result=\"failed\"", NULL, 1 },
	[TOTAL_WAITS] = {
		"elevenlabs_queue_wait_seconds_count", "",
		"Time that callers waited in the service's queue, and how many.", 1
	},
	[TOTAL_WAITED_US] = { "elevenlabs_queue_wait_seconds_sum", "", NULL, 1e-6 },
};

/*! \brief The family of a sum, without what its samples add to the name */
static void sum_family(struct ast_str **out, enum total id)
{
	if (id == TOTAL_WAITS) {
		family(out, "elevenlabs_queue_wait_seconds", "summary", sums[id].help);
	} else if (sums[id].help) {
		family(out, sums[id].name, "counter", sums[id].help);
	}
}

static void append_sums(struct ast_str **out, const struct totals_list *list)
{
	char agent[LABEL_SIZE];
	size_t id;
	size_t i;

	for (id = 0; id < TOTAL_COUNT; id++) {
		sum_family(out, id);
		for (i = 0; i < list->count; i++) {
			if (list->agents[i].agent[0]) {
				ast_str_append(out, 0, "%s{agent=\"%s\"%s} %.15g\n", sums[id].name,
					escaped(list->agents[i].agent, agent), sums[id].labels,
					list->agents[i].totals.counts[id] * sums[id].unit);
			}
		}
	}
}

static void append_ends(struct ast_str **out, const struct totals_list *list)
{
	char agent[LABEL_SIZE];
	size_t status;
	size_t i;

	family(out, "elevenlabs_ends_total", "counter",
		"How the application ended, by ELEVENLABSSTATUS; without an agent: there is none of that name.");
	for (i = 0; i < list->count; i++) {
		const uint64_t *ends = list->agents[i].totals.ends;

		for (status = CONVAI_STATUS_NONE + 1; status < ARRAY_LEN(list->agents[i].totals.ends); status++) {
			ast_str_append(out, 0, "elevenlabs_ends_total{agent=\"%s\",status=\"%s\"} %" PRIu64 "\n",
				escaped(list->agents[i].agent, agent), status_name(status), ends[status]);
		}
	}
}

/* ---- What is now ---- */

static const char * const states[] = {
	"connecting", "queued", "talking", "step", "ending", "leaving",
};

/*! Of an agent's calls that are up */
struct now {
	unsigned int in_state[ARRAY_LEN(states)];
	uint64_t behind_us;	/*!< the worst of them */
	uint64_t ahead_us;
};

static void look_at(struct call *call, struct now *now)
{
	struct call_statistics statistics;
	const char *state;
	size_t i;

	statistics_copy(&call->statistics, &statistics);
	if (statistics.behind_us > now->behind_us) {
		now->behind_us = statistics.behind_us;
	}
	if (statistics.ahead_us > now->ahead_us) {
		now->ahead_us = statistics.ahead_us;
	}
	ao2_lock(call);
	state = registry_state_name(call);
	ao2_unlock(call);
	for (i = 0; i < ARRAY_LEN(states); i++) {
		now->in_state[i] += !strcmp(state, states[i]);
	}
}

/*! \brief What the calls of each agent do, in the order of the configuration; NULL when out of memory */
static struct now *look_at_all(const struct config *config)
{
	struct now *all = ast_calloc(AST_VECTOR_SIZE(&config->agents) + 1, sizeof(*all));
	struct call **calls;
	size_t count = registry_list(&calls);
	size_t agent;
	size_t i;

	for (i = 0; all && i < count; i++) {
		for (agent = 0; agent < AST_VECTOR_SIZE(&config->agents); agent++) {
			if (!strcasecmp(AST_VECTOR_GET(&config->agents, agent)->name, calls[i]->agent->name)) {
				look_at(calls[i], &all[agent]);
			}
		}
	}
	registry_free_list(calls, count);
	return all;
}

static void append_states(struct ast_str **out, const char *agent, const struct now *now)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(states); i++) {
		ast_str_append(out, 0, "elevenlabs_sessions{agent=\"%s\",state=\"%s\"} %u\n", agent, states[i],
			now->in_state[i]);
	}
}

static void append_lag(struct ast_str **out, const char *agent, const struct now *now)
{
	ast_str_append(out, 0, "elevenlabs_caller_lag_seconds{agent=\"%s\"} %.15g\n", agent,
		now->behind_us * 1e-6);
}

static void append_lead(struct ast_str **out, const char *agent, const struct now *now)
{
	ast_str_append(out, 0, "elevenlabs_caller_lead_seconds{agent=\"%s\"} %.15g\n", agent,
		now->ahead_us * 1e-6);
}

static const struct {
	const char *name;
	const char *help;
	void (*append)(struct ast_str **out, const char *agent, const struct now *now);
} gauges[] = {
	{ "elevenlabs_sessions", "Calls that are up, by what they do.", append_states },
	{
		"elevenlabs_caller_lag_seconds",
		"How far the agent was behind the caller at worst, in calls that are up.", append_lag
	},
	{
		"elevenlabs_caller_lead_seconds",
		"How far the agent was ahead of the caller at worst, in calls that are up.", append_lead
	},
};

static void append_gauges(struct ast_str **out, const struct config *config)
{
	struct now *all = look_at_all(config);
	char name[LABEL_SIZE];
	size_t gauge;
	size_t i;

	for (gauge = 0; all && gauge < ARRAY_LEN(gauges); gauge++) {
		family(out, gauges[gauge].name, "gauge", gauges[gauge].help);
		for (i = 0; i < AST_VECTOR_SIZE(&config->agents); i++) {
			gauges[gauge].append(out, escaped(AST_VECTOR_GET(&config->agents, i)->name, name),
				&all[i]);
		}
	}
	ast_free(all);
}

static void append_limits(struct ast_str **out, const struct config *config)
{
	char name[LABEL_SIZE];
	size_t i;

	family(out, "elevenlabs_sessions_max", "gauge",
		"max_sessions of the agents that have it; with an empty agent: of all together.");
	if (config->max_sessions) {
		ast_str_append(out, 0, "elevenlabs_sessions_max{agent=\"\"} %u\n", config->max_sessions);
	}
	for (i = 0; i < AST_VECTOR_SIZE(&config->agents); i++) {
		const struct config_agent *agent = AST_VECTOR_GET(&config->agents, i);

		if (agent->max_sessions) {
			ast_str_append(out, 0, "elevenlabs_sessions_max{agent=\"%s\"} %u\n",
				escaped(agent->name, name), agent->max_sessions);
		}
	}
	family(out, "elevenlabs_draining", "gauge", "1 while an operator wants no new calls.");
	ast_str_append(out, 0, "elevenlabs_draining %d\n", registry_is_draining());
}

/* ---- The engine ---- */

/*! A family of histograms; bounds are the upper ones of its buckets, in microseconds */
struct histogram {
	const char *name;
	const char *label;
	const uint64_t *bounds_us;
	size_t bound_count;
};

static const uint64_t delay_bounds_us[] = {
	1000, 2500, 5000, 10000, 15000, 20000, 25000, 30000, 40000, 50000, 100000, 250000, 500000, 1000000,
};

/*! How long people wait for an answer */
static const uint64_t turn_bounds_us[] = {
	250000, 500000, 750000, 1000000, 1500000, 2000000, 3000000, 5000000, 10000000,
};

static const struct histogram delays = {
	"elevenlabs_delay_seconds", "stage", delay_bounds_us, ARRAY_LEN(delay_bounds_us)
};
static const struct histogram turns = {
	"elevenlabs_turn_seconds", "agent", turn_bounds_us, ARRAY_LEN(turn_bounds_us)
};

const struct timing_name timing_names[CONVAI_TIMING_COUNT] = {
	[CONVAI_TIMING_TICK] = { "tick", "The engine's tick, behind its time" },
	[CONVAI_TIMING_UPLINK] = { "uplink", "Caller's frame read, until given to the socket" },
	[CONVAI_TIMING_DOWNLINK] = { "downlink", "Agent's first audio read, until it is played" },
	[CONVAI_TIMING_INTERRUPTION] = { "interruption", "Interruption read, until playing stops" },
	[CONVAI_TIMING_GAP] = { "gap", "From one frame of the agent's to the next" },
	[CONVAI_TIMING_TURN] = { "turn", "Caller's last word read, until the agent's first" },
};

static void append_histogram(struct ast_str **out, const struct histogram *histogram, const char *value,
	const struct convai_timings *timings, size_t kind)
{
	const struct convai_timing *timing = &timings->timings[kind];
	uint64_t count = 0;
	double sum_us = 0;
	size_t bound = 0;
	size_t i;

	for (i = 0; i < CONVAI_TIMING_BUCKETS; i++) {
		while (bound < histogram->bound_count && timings->upper_us[i] > histogram->bounds_us[bound]) {
			ast_str_append(out, 0, "%s_bucket{%s=\"%s\",le=\"%.15g\"} %" PRIu64 "\n", histogram->name,
				histogram->label, value, histogram->bounds_us[bound++] * 1e-6, count);
		}
		count += timing->counts[i];
		sum_us += timing->counts[i] * (double) MIN(timings->upper_us[i], timing->max_us);
	}
	ast_str_append(out, 0, "%s_bucket{%s=\"%s\",le=\"+Inf\"} %" PRIu64 "\n", histogram->name,
		histogram->label, value, count);
	ast_str_append(out, 0, "%s_sum{%s=\"%s\"} %.15g\n", histogram->name, histogram->label, value,
		sum_us * 1e-6);
	ast_str_append(out, 0, "%s_count{%s=\"%s\"} %" PRIu64 "\n", histogram->name, histogram->label, value,
		count);
}

static void append_delays(struct ast_str **out, const struct convai_ops *ops, struct convai_timings *timings)
{
	size_t kind;

	family(out, delays.name, "histogram",
		"Delays inside the module, of the engine that is in service; the sum is reckoned from buckets.");
	ops->timings(timings);
	for (kind = 0; kind < CONVAI_TIMING_COUNT; kind++) {
		/* How soon an agent answers is no delay of the module's, and has a family of its own. */
		if (kind != CONVAI_TIMING_TURN) {
			append_histogram(out, &delays, timing_names[kind].name, timings, kind);
		}
	}
}

static void append_turns(struct ast_str **out, const struct convai_ops *ops, struct convai_timings *timings,
	const struct config *config)
{
	char agent[LABEL_SIZE];
	size_t i;

	family(out, turns.name, "histogram",
		"From the caller's last word to the agent's first, in the engine that is in service.");
	for (i = 0; i < AST_VECTOR_SIZE(&config->agents); i++) {
		const char *name = AST_VECTOR_GET(&config->agents, i)->name;

		if (!ops->agent_timings(name, timings)) {
			append_histogram(out, &turns, escaped(name, agent), timings, CONVAI_TIMING_TURN);
		}
	}
}

/*! \brief What the engine in service counts. It is not asked: all of it stands in memory. */
static void append_counted(struct ast_str **out, const struct config *config)
{
	struct generation *generation = generation_take();
	struct convai_timings *timings = ast_calloc(1, sizeof(*timings));

	family(out, "elevenlabs_webhooks_waiting", "gauge",
		"Records that wait to be sent, those included that nobody takes.");
	ast_str_append(out, 0, "elevenlabs_webhooks_waiting %" PRIu64 "\n",
		generation ? generation_ops(generation)->webhooks_waiting() : 0);
	if (generation && timings) {
		append_delays(out, generation_ops(generation), timings);
		if (config) {
			append_turns(out, generation_ops(generation), timings, config);
		}
	}
	if (generation) {
		generation_leave(generation);
	}
	ast_free(timings);
}

static void append_engine(struct ast_str **out)
{
	struct generation_view views[GENERATIONS_SHOWN];
	size_t count = generation_list(views, ARRAY_LEN(views));
	int serves = count && views[0].in_service && views[0].running;
	char build[LABEL_SIZE];
	char version[LABEL_SIZE];

	family(out, "elevenlabs_engine_up", "gauge", "1 while an engine is in service.");
	ast_str_append(out, 0, "elevenlabs_engine_up %d\n", serves);
	family(out, "elevenlabs_generations", "gauge", "Engines that are alive, the one in service included.");
	ast_str_append(out, 0, "elevenlabs_generations %zu\n", count);
	family(out, "elevenlabs_build_info", "gauge", "1; what is loaded, in its labels.");
	ast_str_append(out, 0, "elevenlabs_build_info{module=\"%s\",contract=\"%d\",", CONVAI_VERSION,
		CONVAI_ABI_VERSION);
	ast_str_append(out, 0, "engine=\"%s\",build=\"%s\",", serves ? escaped(views[0].version, version) : "",
		serves ? escaped(views[0].build_id, build) : "");
	ast_str_append(out, 0, "python=\"%s\",asterisk=\"%s\"} 1\n", embed_python_version(), ast_get_version());
}

void metrics_append(struct ast_str **out)
{
	struct totals_list *list = totals_take();
	struct config *config = rows_config(config_get());

	append_engine(out);
	if (config) {
		append_gauges(out, config);
		append_limits(out, config);
	}
	if (list) {
		append_sums(out, list);
		append_ends(out, list);
	}
	append_counted(out, config);
	ao2_cleanup(config);
	ast_free(list);
}
