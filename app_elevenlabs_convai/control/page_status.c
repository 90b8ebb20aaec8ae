/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What the live page shows, as JSON
 *
 * It is made of what C has: counters, feeds, the configuration. So it is there also while an engine hangs.
 */

#include "asterisk.h"

#include <inttypes.h>	/* PRIu64 */
#include <time.h>	/* clock_gettime(2) */

#include "asterisk/ast_version.h"	/* ast_get_version */
#include "asterisk/astobj2.h"	/* ao2_lock */
#include "asterisk/paths.h"	/* ast_config_AST_SYSTEM_NAME */
#include "asterisk/strings.h"	/* ast_str */
#include "asterisk/utils.h"	/* ARRAY_LEN */

#include "call/agent_state.h"
#include "call/feed.h"
#include "call/registry.h"
#include "call/totals.h"
#include "call/variables.h"
#include "config/config.h"
#include "config/rows.h"
#include "control/page_status.h"
#include "control/view.h"
#include "door.h"
#include "engine/generation.h"

/*! Levels of each call, ten a second: what a viewer has not had, with as many again in case it was late */
#define LEVELS_NEW 20
/*! ... to begin with: half a minute */
#define LEVELS_FIRST 300
/*! ... of the call that is looked at: a minute */
#define LEVELS_LOOKED_AT 600
/*! Turns of that call whose times are told */
#define ANSWERS_MAX 60

/*! \brief A member of an object, with a comma behind it */
static void text(struct ast_str **out, const char *name, const char *value)
{
	ast_str_append(out, 0, "\"%s\":", name);
	door_json(out, value);
	ast_str_append(out, 0, ",");
}

static void number(struct ast_str **out, const char *name, uint64_t value)
{
	ast_str_append(out, 0, "\"%s\":%" PRIu64 ",", name, value);
}

/*! \brief The last member of an object, and its end: so no comma stands alone */
static void end(struct ast_str **out, const char *name, uint64_t value)
{
	ast_str_append(out, 0, "\"%s\":%" PRIu64 "}", name, value);
}

/* ---- The module ---- */

/*! When the module was loaded: since 1970, in ms. Written before anybody may ask. */
static uint64_t loaded_ms;

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * UINT64_C(1000) + now.tv_nsec / 1000000;
}

void page_status_begin(void)
{
	if (!loaded_ms) {
		loaded_ms = now_ms();
	}
}

void page_status_since(struct page_cursor *cursor, uint64_t since)
{
	if (since != loaded_ms) {
		cursor->call = cursor->from = cursor->ended = cursor->has_levels = 0;
	}
}

static void append_engine(struct ast_str **out)
{
	struct generation_view view;

	ast_str_append(out, 0, "\"engine\":");
	if (!generation_list(&view, 1) || !view.in_service) {
		ast_str_append(out, 0, "null,");
		return;
	}
	ast_str_append(out, 0, "{");
	text(out, "version", view.version);
	text(out, "build", view.build_id);
	end(out, "running", view.running);
	ast_str_append(out, 0, ",");
}

static void append_module(struct ast_str **out, const struct config *config, const struct page_cursor *cursor)
{
	number(out, "since", loaded_ms);
	number(out, "now", now_ms());
	text(out, "system", S_OR(ast_config_AST_SYSTEM_NAME, ""));
	text(out, "asterisk", ast_get_version());
	text(out, "module", CONVAI_VERSION);
	append_engine(out);
	number(out, "may_call", cursor->may_call);
	number(out, "draining", registry_is_draining());
	number(out, "max_sessions", config->max_sessions);
}

/* ---- Agents ---- */

static const char *state_name(const char *agent)
{
	switch (agent_state_get(agent)) {
	case AST_DEVICE_NOT_INUSE:
		return "free";
	case AST_DEVICE_BUSY:
		return "full";
	default:
		return "away";
	}
}

static const struct totals *totals_of(const struct totals_list *list, const char *agent)
{
	static const struct totals none;
	size_t i;

	for (i = 0; list && i < list->count; i++) {
		if (!strcasecmp(list->agents[i].agent, agent)) {
			return &list->agents[i].totals;
		}
	}
	return &none;
}

/*! \brief How many have ended how */
static void append_ends(struct ast_str **out, const uint64_t *ends)
{
	const char *comma = "";
	size_t status;

	ast_str_append(out, 0, "\"ends\":{");
	for (status = CONVAI_STATUS_NONE + 1; status <= CONVAI_STATUS_UNLOADED; status++) {
		if (ends[status]) {
			ast_str_append(out, 0, "%s\"%s\":%" PRIu64, comma, status_name(status), ends[status]);
			comma = ",";
		}
	}
	ast_str_append(out, 0, "},");
}

static void append_agent(struct ast_str **out, const struct config_agent *agent, const struct totals *totals)
{
	ast_str_append(out, 0, "{");
	text(out, "name", agent->name);
	text(out, "state", state_name(agent->name));
	number(out, "sessions", registry_count(agent->name));
	number(out, "max_sessions", agent->max_sessions);
	append_ends(out, totals->ends);
	end(out, "calls", totals->counts[TOTAL_CALLS]);
}

/*! \brief The same of all together, those of agents that there are not among them */
static void append_all_ends(struct ast_str **out, const struct totals_list *list)
{
	uint64_t ends[CONVAI_STATUS_UNLOADED + 1] = { 0 };
	size_t status;
	size_t i;

	for (i = 0; list && i < list->count; i++) {
		for (status = 0; status < ARRAY_LEN(ends); status++) {
			ends[status] += list->agents[i].totals.ends[status];
		}
	}
	append_ends(out, ends);
}

static void append_agents(struct ast_str **out, const struct config *config)
{
	struct totals_list *list = totals_take();
	size_t i;

	append_all_ends(out, list);

	ast_str_append(out, 0, "\"agents\":[");
	for (i = 0; i < AST_VECTOR_SIZE(&config->agents); i++) {
		const struct config_agent *agent = AST_VECTOR_GET(&config->agents, i);

		ast_str_append(out, 0, i ? "," : "");
		append_agent(out, agent, totals_of(list, agent->name));
	}
	ast_str_append(out, 0, "],");
	ast_free(list);
}

/* ---- Calls ---- */

/*! \brief Who it is, with commas behind each: of a call, or of one that is over */
static void append_parties(struct ast_str **out, const struct feed *feed)
{
	number(out, "id", feed->number);
	number(out, "started", feed->started_ms);
	number(out, "outbound", feed->parties.outbound);
	text(out, "caller", feed->parties.caller);
	text(out, "name", feed->caller_name);
	text(out, "called", feed->parties.called);
	text(out, "unique_id", feed->unique_id);
}

/*! \brief What the feed has of a call that goes on */
static void append_feed(struct ast_str **out, struct feed *feed)
{
	ao2_lock(feed);
	text(out, "jitter_ms", feed->quality.jitter);
	text(out, "loss_percent", feed->quality.loss);
	text(out, "round_trip_ms", feed->quality.round_trip);
	text(out, "mos", feed->quality.mos);
	text(out, "speaker", feed->speaker);
	text(out, "said", feed->said);
	ao2_unlock(feed);
}

static void append_counters(struct ast_str **out, const struct call_view *view)
{
	number(out, "seconds", view->seconds);
	number(out, "queued", (uint64_t) view->queued);
	number(out, "hold", view->statistics.on_hold);
	number(out, "steps", view->statistics.steps);
	number(out, "tools", view->counters.tools_done + view->counters.tools_failed);
	number(out, "interruptions", view->counters.interruptions);
	number(out, "heard_ms", call_view_seconds(&view->caller, view->counters.pushed_bytes) * 1000);
	number(out, "spoken_ms", call_view_seconds(&view->agent, view->counters.played_bytes) * 1000);
	number(out, "missing_ms", view->statistics.inserted_ms);
	number(out, "late_ms", view->statistics.caller_late_us / 1000);
	number(out, "answers", view->turns.count);
	number(out, "answer_ms", latency_ms(view->turns.median_us));
	end(out, "answer_max_ms", latency_ms(view->turns.worst_us));
}

/*! \brief The newest levels, as pairs of caller and agent (struct convai_level), and the number of the first */
static void append_levels(struct ast_str **out, struct call *call, uint32_t most)
{
	struct convai_level levels[LEVELS_LOOKED_AT];
	uint32_t all = 0;
	uint32_t count;
	uint32_t i;

	ao2_lock(call);
	if (call->session) {
		all = call->ops->levels(call->session, levels, most);
	}
	ao2_unlock(call);
	count = MIN(all, most);
	number(out, "levels_at", all - count);
	ast_str_append(out, 0, "\"levels\":[");
	for (i = 0; i < count; i++) {
		ast_str_append(out, 0, "%s%u,%u", i ? "," : "", levels[i].caller, levels[i].agent);
	}
	ast_str_append(out, 0, "],");
}

static void append_call(struct ast_str **out, struct call *call, uint32_t levels)
{
	struct call_view view;

	call_view_take(call, &view);
	ast_str_append(out, 0, "{");
	append_parties(out, call->feed);
	text(out, "agent", call->agent->name);
	text(out, "channel", view.channel);
	text(out, "conversation_id", view.conversation_id);
	text(out, "state", view.state);
	append_feed(out, call->feed);
	append_levels(out, call, levels);
	append_counters(out, &view);
}

/*!
 * \brief The calls that are up
 * \param[out] looked_at the one that the viewer looks at, with a reference, or NULL
 */
static void append_calls(struct ast_str **out, struct page_cursor *cursor, struct call **looked_at)
{
	struct call **calls;
	size_t count = registry_list(&calls);
	const char *comma = "";
	size_t i;

	ast_str_append(out, 0, "\"calls\":[");
	for (i = 0; i < count; i++) {
		if (!calls[i]->feed) {
			continue;
		}
		ast_str_append(out, 0, "%s", comma);
		comma = ",";
		if (calls[i]->feed->number == cursor->call) {
			append_call(out, calls[i], LEVELS_LOOKED_AT);
			ao2_replace(*looked_at, calls[i]);
		} else {
			append_call(out, calls[i], cursor->has_levels ? LEVELS_NEW : LEVELS_FIRST);
		}
	}
	ast_str_append(out, 0, "]");
	registry_free_list(calls, count);
	cursor->has_levels = 1;
}

/* ---- Those that are over ---- */

static void append_ending(struct ast_str **out, const struct feed *feed)
{
	ast_str_append(out, 0, "{");
	append_parties(out, feed);
	text(out, "channel", feed->channel);
	ast_str_append(out, 0, "\"ending\":%s,", S_OR(feed->ending, "null"));
	end(out, "number", feed->ended);
}

/*!
 * \brief Those that have ended since the cursor, newest first
 * \param[in,out] found the feed that the viewer looks at, with a reference, if it is among all of them
 */
static void append_endings(struct ast_str **out, struct page_cursor *cursor, struct feed **found)
{
	struct feed *feeds[FEED_ENDINGS];
	size_t count = feed_endings(feeds);
	const char *comma = "";
	size_t i;

	ast_str_append(out, 0, "\"endings\":[");
	for (i = 0; i < count; i++) {
		if (feeds[i]->ended > cursor->ended) {
			ast_str_append(out, 0, "%s", comma);
			comma = ",";
			append_ending(out, feeds[i]);
		}
		if (feeds[i]->number == cursor->call) {
			ao2_replace(*found, feeds[i]);
		}
	}
	ast_str_append(out, 0, "],");
	if (count && feeds[0]->ended > cursor->ended) {
		cursor->ended = feeds[0]->ended;
	}
	while (count) {
		ao2_ref(feeds[--count], -1);
	}
}

/*! \brief How soon each of the newest turns was answered, in ms */
static void append_answers(struct ast_str **out, struct call *call)
{
	struct convai_turn turns[ANSWERS_MAX];
	uint32_t all = 0;
	uint32_t i;

	ao2_lock(call);
	if (call->session) {
		all = call->ops->turn_list(call->session, turns, ANSWERS_MAX);
	}
	ao2_unlock(call);
	ast_str_append(out, 0, "\"answers\":[");
	for (i = 0; i < MIN(all, ANSWERS_MAX); i++) {
		ast_str_append(out, 0, "%s%u", i ? "," : "", latency_ms(turns[i].us));
	}
	ast_str_append(out, 0, "],");
}

/*!
 * \brief What there is of the call that the viewer looks at beside the others
 * \param call NULL: it is over
 */
static void append_looked_at(struct ast_str **out, struct page_cursor *cursor, struct feed *feed,
	struct call *call)
{
	ast_str_append(out, 0, ",\"call\":{");
	number(out, "id", feed->number);
	if (call) {
		append_answers(out, call);
	}
	ast_str_append(out, 0, "\"events\":[");
	cursor->from = feed_append(feed, out, cursor->from);
	ast_str_append(out, 0, "],");
	end(out, "next", cursor->from);
}

void page_status_append(struct ast_str **out, struct page_cursor *cursor)
{
	struct config *config = config_get();
	struct config *agents;
	struct call *call = NULL;
	struct feed *looked_at = NULL;

	ast_str_append(out, 0, "{");
	if (config) {
		append_module(out, config, cursor);
	}
	agents = rows_config(ao2_bump(config));
	if (agents) {
		append_agents(out, agents);
	}
	/* First those that are over: one that ends meanwhile is not shown as up beside its own ending. */
	append_endings(out, cursor, &looked_at);
	append_calls(out, cursor, &call);
	if (call) {
		ao2_replace(looked_at, call->feed);
	}
	if (looked_at) {
		append_looked_at(out, cursor, looked_at, call);
	}
	ast_str_append(out, 0, "}");
	ao2_cleanup(looked_at);
	ao2_cleanup(call);
	ao2_cleanup(agents);
	ao2_cleanup(config);
}
