/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief From the name of an agent to the result on the channel, over a second agent if
 * the first cannot be had
 *
 * All of it runs on the channel thread.
 */

#include "asterisk.h"

#include "asterisk/astobj2.h"	/* references to calls and agents */
#include "asterisk/channel.h"	/* channels */
#include "asterisk/utf8.h"	/* ast_utf8_copy_string */
#include "asterisk/utils.h"	/* ast_copy_string */

#include "call/agent_state.h"
#include "call/attempt.h"
#include "call/call.h"
#include "call/closing.h"
#include "call/device.h"
#include "call/events.h"
#include "call/feed.h"
#include "call/lookup.h"
#include "call/recording.h"
#include "call/registry.h"
#include "call/totals.h"
#include "call/variables.h"
#include "config/config.h"
#include "door.h"
#include "engine/generation.h"
#include "monotonic.h"

/*! Room for each of two reasons, and for each agent's name, in ENDING_REASON_SIZE */
#define REASON_PART 191
#define NAME_PART 41
/*! Room for each of two details */
#define DETAIL_PART 252

/*! One run of the application, and what it has come to so far */
struct attempt {
	struct ast_channel *channel;
	const struct call_options *options;
	const struct config *config;
	struct device *device;	/*!< whose caller it is; may be NULL */
	struct call *first;	/*!< the call that failed, with what the caller has said meanwhile */
	const char *agent;	/*!< the one that was tried last */
	struct ending ending;
	char conversation_id[128];
	const char *asked;	/*!< the agent that the application was given */
	struct closing closing;	/*!< of the agent that was tried last */
	int to_ari;	/*!< its key ari_events */
	struct recording *recording;	/*!< with a reference; NULL: nothing is recorded */
	struct feed *feed;	/*!< with a reference; NULL: memory was short */
	/*! that the agents before were on, held: the next one, and the record, are the same engine's */
	struct generation *generation;
	unsigned int another:1;	/*!< another agent may do better, and nobody has heard this one */
};

/*! \brief End without a call, and log why. Arguments as for ending_set. */
#define end_without_call(attempt, ...) do { \
	ending_set(&(attempt)->ending, __VA_ARGS__); \
	totals_add_end((attempt)->agent, (attempt)->ending.status); \
	attempt_refuse((attempt)->channel, &(attempt)->ending); \
} while (0)

/*! \brief Whether another agent is to be tried: the engine could not have this one, and the caller is still there */
static int could_not_be_had(struct call *call)
{
	if (call->progress.state != CONVAI_STATE_ENDED || call->progress.talked
		|| ast_check_hangup(call->channel)) {
		return 0;
	}
	switch (call->ending.status) {
	case CONVAI_STATUS_UNREACHABLE:
	case CONVAI_STATUS_TIMEOUT:
	case CONVAI_STATUS_LIMIT:
	case CONVAI_STATUS_ERROR:
	case CONVAI_STATUS_AUTH:
	case CONVAI_STATUS_REJECTED:
		return 1;
	default:
		return 0;
	}
}

/*! \brief Copy the debug setting of the failed call to the fallback's call */
static void take_over_debug(struct call *call)
{
	enum convai_debug debug = CONVAI_DEBUG_AS_ALL;

	if (call->failed_attempt) {
		ao2_lock(call->failed_attempt);
		debug = call->failed_attempt->debug;
		ao2_unlock(call->failed_attempt);
	}
	if (debug != CONVAI_DEBUG_AS_ALL) {
		ao2_lock(call);
		call->debug = debug;
		ao2_unlock(call);
	}
}

/*! \brief Run a call that the registry has admitted, and note its result */
static void carry_out(struct attempt *attempt, struct call *call)
{
	call->failed_attempt = ao2_bump(attempt->first);
	call->device = attempt->device;
	take_over_debug(call);
	call_run(call, attempt->options);
	totals_add_call(call);
	registry_remove(call);
	if (call->engine_closed && registry_is_closed()) {
		call->ending.status = CONVAI_STATUS_UNLOADED;
	}
	attempt->ending = call->ending;
	totals_add_end(call->agent->name, call->ending.status);
	ast_copy_string(attempt->conversation_id, call->conversation_id,
		sizeof(attempt->conversation_id));
	closing_take(&attempt->closing, call);
	if (call->begun) {
		events_publish(&call->source, "ElevenLabsQuality", QUALITY_FIELDS(&attempt->closing.quality), SENTINEL);
	}
	attempt->another = could_not_be_had(call);
	result_set(call->channel, &call->ending, call->conversation_id);
	result_set_digits(call->channel, call->dtmf.kept);
	result_set_latency(call->channel, &call->turns);
	door_verbose(3, "%s: agent %s %s after %d s: " ENDING_FORMAT "\n",
		ast_channel_name(call->channel), call->agent->name, status_name(call->ending.status),
		(int) ((monotonic_us() - call->started_us) / 1000000),
		ENDING_ARGS(call->ending.reason, call->ending.detail));
}

/*! \brief Admit the call, and run it if there is room. The generation is the attempt's, or left, in any case. */
static void admit(struct attempt *attempt, struct config_agent *agent,
	struct generation *generation)
{
	struct call *call = call_make(attempt->channel, agent, generation_ops(generation));
	unsigned int max_sessions = attempt->config->max_sessions;

	if (call) {
		call->generation = generation;
		call->recording = ao2_bump(attempt->recording);
		call->feed = ao2_bump(attempt->feed);
		feed_take_agent(call->feed, agent);
	} else {
		generation_leave(generation);
	}
	switch (call ? registry_admit(call, max_sessions) : REGISTRY_NO_MEMORY) {
	case REGISTRY_ADMITTED:
		agent_state_changed();
		carry_out(attempt, call);
		break;
	case REGISTRY_FULL:
		end_without_call(attempt, CONVAI_STATUS_LIMIT,
			"all %u sessions of max_sessions in [general] are in use", max_sessions);
		break;
	case REGISTRY_AGENT_FULL:
		end_without_call(attempt, CONVAI_STATUS_LIMIT,
			"all %u sessions of max_sessions in [%s] are in use",
			agent->max_sessions, agent->name);
		attempt->another = 1;
		break;
	case REGISTRY_NESTED:
		end_without_call(attempt, CONVAI_STATUS_LIMIT,
			"%d agents have this caller already, each in a step of the one before; end a "
			"conversation with ELEVENLABS(end) before the next", REGISTRY_NESTED_MAX);
		break;
	case REGISTRY_DRAINING:
		end_without_call(attempt, CONVAI_STATUS_LIMIT,
			"draining: an operator wants no new calls (elevenlabs drain off ends that)");
		break;
	case REGISTRY_CLOSED:
		end_without_call(attempt, CONVAI_STATUS_UNLOADED, "the module is being unloaded");
		break;
	case REGISTRY_NO_MEMORY:
		end_without_call(attempt, CONVAI_STATUS_ERROR, "out of memory");
		break;
	}
	if (call) {
		attempt->generation = registry_withdraw(call);
		agent_state_changed();
	}
	ao2_replace(attempt->first, attempt->another ? call : NULL);
	ao2_cleanup(call);
}

/*! \brief Hold the engine that is in service now for as long as the call lasts */
static void run_on_engine(struct attempt *attempt, struct config_agent *agent)
{
	struct generation *generation = attempt->generation ? attempt->generation : generation_take();

	attempt->generation = NULL;
	if (generation) {
		admit(attempt, agent, generation);
	} else if (registry_is_closed()) {
		end_without_call(attempt, CONVAI_STATUS_UNLOADED, "the module is being unloaded");
	} else {
		end_without_call(attempt, CONVAI_STATUS_ERROR,
			"the engine is not running; "
			"module reload app_elevenlabs_convai starts it, or the log says why not");
	}
}

/*! \brief Refuse an agent without a key before touching the channel; else run the call */
static void run_agent(struct attempt *attempt, struct config_agent *agent)
{
	attempt->another = 0;
	attempt->agent = agent->name;
	attempt->to_ari = agent->ari_events;
	attempt->closing = (struct closing) { .queued_us = attempt->closing.queued_us };
	if (!strcmp(agent->values[KEY_AUTH], "signed_url")
		&& !agent->values[KEY_API_KEY][0]) {
		end_without_call(attempt, CONVAI_STATUS_AUTH, "no api_key for agent %s in %s",
			agent->name, CONFIG_FILE);
		attempt->another = 1;
	} else {
		run_on_engine(attempt, agent);
	}
}

/*! \brief Join what was said of both attempts, the second's words first */
static void join_details(struct attempt *attempt, const struct ending *first, const char *second)
{
	char parts[2][DETAIL_PART];
	char both[ENDING_REASON_SIZE];

	ast_utf8_copy_string(parts[0], second, sizeof(parts[0]));
	ast_utf8_copy_string(parts[1], first->detail, sizeof(parts[1]));
	snprintf(both, sizeof(both), *parts[0] && *parts[1] ? "%s / %s" : "%s%s", parts[0], parts[1]);
	ending_set_detail(&attempt->ending, both);
}

/*! \brief Join two reasons: how the second agent's call ended, and why that agent was tried */
static void join_reasons(struct attempt *attempt, const struct ending *first,
	const struct config_agent *agent, const struct config_agent *other)
{
	char parts[2][REASON_PART];
	char names[2][NAME_PART];
	char second[ENDING_REASON_SIZE];

	ast_copy_string(second, attempt->ending.detail, sizeof(second));
	ast_utf8_copy_string(parts[0], attempt->ending.reason, sizeof(parts[0]));
	ast_utf8_copy_string(parts[1], first->reason, sizeof(parts[1]));
	ast_utf8_copy_string(names[0], other->name, sizeof(names[0]));
	ast_utf8_copy_string(names[1], agent->name, sizeof(names[1]));
	ending_set(&attempt->ending, attempt->ending.status,
		"%s (agent %s, in place of %s, %s: %s)", parts[0], names[0], names[1],
		status_name(first->status), parts[1]);
	join_details(attempt, first, second);
	result_set_reason(attempt->channel, &attempt->ending);
}

/*! \brief Try the fallback_agent, once. The reason then names both agents. */
static void run_fallback(struct attempt *attempt, const struct config_agent *agent)
{
	const struct ending first = attempt->ending;
	struct ending missing;
	struct config_agent *other = lookup_agent(attempt->config, agent->values[KEY_FALLBACK_AGENT],
			attempt->channel, &missing);

	if (!other) {
		/* The file is checked for that; a database is not. */
		door_log(LOG_WARNING, "%s: fallback_agent %s of agent %s is not tried: " ENDING_FORMAT "\n",
			ast_channel_name(attempt->channel), agent->values[KEY_FALLBACK_AGENT], agent->name,
			ENDING_ARGS(missing.reason, missing.detail));
		return;
	}
	door_log(LOG_WARNING, "%s: agent %s %s: " ENDING_FORMAT "; trying fallback_agent %s\n",
		ast_channel_name(attempt->channel), agent->name, status_name(first.status),
		ENDING_ARGS(first.reason, first.detail), other->name);
	run_agent(attempt, other);
	join_reasons(attempt, &first, agent, other);
	ao2_ref(other, -1);
}

static void publish_end(const struct attempt *attempt, const struct closing_figures *figures, int64_t began_us)
{
	const struct event_source source = {
		.channel = attempt->channel,
		.agent = attempt->agent,
		.conversation_id = attempt->conversation_id,
		.to_ari = attempt->to_ari,
		.feed = attempt->feed,
	};
	const char *status = status_name(attempt->ending.status);
	char seconds[24];
	const struct convai_argument first[] = {
		{ "Status", status }, { "Reason", attempt->ending.reason }, { "Detail", attempt->ending.detail },
		{ "AskedAgent", attempt->asked }, { "RecordId", recording_id(attempt->recording) },
		{ "Duration", seconds },
	};
	struct convai_argument fields[ARRAY_LEN(first) + CLOSING_FIGURES];
	const struct convai_event end = {
		.field_count = ARRAY_LEN(fields), .at_ms = EVENT_NOW, .fields = fields,
	};

	snprintf(seconds, sizeof(seconds), "%d", (int) ((monotonic_us() - began_us) / 1000000));
	memcpy(fields, first, sizeof(first));
	memcpy(fields + ARRAY_LEN(first), figures->figures, sizeof(figures->figures));
	events_publish_told(&source, "ElevenLabsEnd", &end);
	events_leave(&source, "Status", status, "TalkedMs", closing_figure(figures, "TalkedMs"),
		"Queued", closing_figure(figures, "Queued"), "Steps", closing_figure(figures, "Steps"),
		"LatencyMs", closing_figure(figures, "LatencyMs"),
		"LatencyMaxMs", closing_figure(figures, "LatencyMaxMs"), SENTINEL);
}

void attempt_refuse(struct ast_channel *channel, const struct ending *ending)
{
	if (ending->status == CONVAI_STATUS_HANGUP) {
		/* While a database was asked for the agent. */
		door_verbose(3, "%s: HANGUP: %s\n", ast_channel_name(channel), ending->reason);
	} else {
		door_log(LOG_WARNING, "%s: %s: " ENDING_FORMAT "\n", ast_channel_name(channel),
			status_name(ending->status), ENDING_ARGS(ending->reason, ending->detail));
	}
	result_set(channel, ending, "");
}

enum convai_status attempt_run(struct ast_channel *channel, const char *name,
	const struct call_options *options)
{
	struct config *config = config_get();
	struct attempt attempt = {
		.channel = channel, .options = options, .config = config, .agent = name, .asked = name,
		.device = device_watch(channel),
	};
	int64_t began_us = monotonic_us();
	struct config_agent *agent = lookup_agent(config, name, channel, &attempt.ending);
	struct closing_figures figures;

	attempt.recording = recording_begin(channel, config, agent, name);
	attempt.feed = feed_begin(channel, config, agent, recording_key(attempt.recording));
	if (agent) {
		run_agent(&attempt, agent);
		if (attempt.another && agent->values[KEY_FALLBACK_AGENT][0]) {
			run_fallback(&attempt, agent);
		}
	} else {
		totals_add_end(NULL, attempt.ending.status);
		attempt_refuse(channel, &attempt.ending);
	}
	closing_write(&figures, &attempt.closing);
	recording_end(attempt.recording, attempt.generation, attempt.agent, &attempt.ending, figures.figures,
		CLOSING_FIGURES);
	if (attempt.generation) {
		generation_leave(attempt.generation);
	}
	device_unwatch(attempt.device);
	result_set_queued(channel, statistics_seconds(attempt.closing.queued_us));
	publish_end(&attempt, &figures, began_us);
	feed_end(attempt.feed, channel);
	ao2_cleanup(attempt.first);
	ao2_cleanup(attempt.recording);
	ao2_cleanup(attempt.feed);
	ao2_cleanup(agent);
	ao2_cleanup(config);
	return attempt.ending.status;
}
