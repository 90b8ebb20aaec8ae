/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What all calls of an agent have counted, since the module was loaded
 */

#include "asterisk.h"

#include "asterisk/astobj2.h"	/* ao2_lock */
#include "asterisk/linkedlists.h"	/* AST_LIST */
#include "asterisk/lock.h"	/* AST_MUTEX_DEFINE_STATIC */
#include "asterisk/utils.h"	/* ast_calloc, ARRAY_LEN */

#include "call/call.h"
#include "call/registry.h"
#include "call/totals.h"
#include "config/config.h"
#include "monotonic.h"

/*! Kept by name: it outlives a reload, and the agent itself */
struct tally {
	AST_LIST_ENTRY(tally) entry;
	struct totals totals;
	char agent[];
};

AST_MUTEX_DEFINE_STATIC(lock);
static AST_LIST_HEAD_NOLOCK_STATIC(tallies, tally);
static size_t tally_count;

/*! \brief The tally of an agent, new if need be; NULL when out of memory. The lock is held. */
static struct tally *find(const char *agent)
{
	size_t size = strlen(agent) + 1;
	struct tally *tally;

	AST_LIST_TRAVERSE(&tallies, tally, entry) {
		if (!strcasecmp(tally->agent, agent)) {
			return tally;
		}
	}
	tally = ast_calloc(1, sizeof(*tally) + size);
	if (tally) {
		memcpy(tally->agent, agent, size);
		AST_LIST_INSERT_TAIL(&tallies, tally, entry);
		tally_count++;
	}
	return tally;
}

static void counters_of(struct call *call, struct convai_counters *counters)
{
	ao2_lock(call);
	if (call->session) {
		call->ops->counters(call->session, counters);
	} else {
		*counters = call->counters;
	}
	ao2_unlock(call);
}

/*! \brief Add what one call has counted until now */
static void add(struct totals *totals, struct call *call)
{
	uint64_t *counts = totals->counts;
	struct call_statistics s;
	struct convai_counters c;
	uint64_t waited_us;

	statistics_copy(&call->statistics, &s);
	counters_of(call, &c);
	waited_us = statistics_queued_us(&s, monotonic_us());
	counts[TOTAL_CALLS]++;
	counts[TOTAL_CALLER_BYTES] += c.pushed_bytes;
	counts[TOTAL_AGENT_BYTES] += c.played_bytes;
	counts[TOTAL_CALLER_LOST_BYTES] += c.push_dropped_bytes + c.send_dropped_bytes;
	counts[TOTAL_AGENT_LOST_BYTES] += c.overflow_dropped_bytes;
	counts[TOTAL_UNDERRUNS] += s.underruns;
	counts[TOTAL_LATE_FRAMES] += s.late_frames;
	counts[TOTAL_INSERTED_MS] += s.inserted_ms;
	counts[TOTAL_LATE_US] += s.caller_late_us;
	counts[TOTAL_INTERRUPTIONS] += c.interruptions;
	counts[TOTAL_MESSAGES] += c.messages_received;
	counts[TOTAL_DIGITS] += s.digits;
	counts[TOTAL_STEPS] += s.steps;
	counts[TOTAL_TOOLS_DONE] += c.tools_done;
	counts[TOTAL_TOOLS_FAILED] += c.tools_failed;
	counts[TOTAL_WAITS] += waited_us > 0;
	counts[TOTAL_WAITED_US] += waited_us;
}

void totals_add_call(struct call *call)
{
	SCOPED_MUTEX(locked, &lock);
	struct tally *tally = find(call->agent->name);

	call->counted = 1;
	if (tally) {
		add(&tally->totals, call);
	}
}

void totals_add_end(const char *agent, enum convai_status status)
{
	SCOPED_MUTEX(locked, &lock);
	struct tally *tally = find(agent ? agent : "");

	if (tally) {
		/* One that this module does not know is shown as an error as well. */
		tally->totals.ends[status < ARRAY_LEN(tally->totals.ends) ? status : CONVAI_STATUS_ERROR]++;
	}
}

/*! \brief Add a call that is up to what its agent has */
static void add_live(struct totals_list *list, struct call *call)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		if (!strcasecmp(list->agents[i].agent, call->agent->name)) {
			add(&list->agents[i].totals, call);
			return;
		}
	}
}

/*! \brief Have a tally for each agent that has a call, so that the list has room for it. The lock is held. */
static void know_all(struct call **calls, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		find(calls[i]->agent->name);
	}
}

static struct totals_list *copy(void)
{
	struct totals_list *list = ast_calloc(1,
			sizeof(*list) + tally_count * sizeof(list->agents[0]));
	struct tally *tally;

	if (!list) {
		return NULL;
	}
	AST_LIST_TRAVERSE(&tallies, tally, entry) {
		struct agent_totals *agent = &list->agents[list->count++];

		ast_copy_string(agent->agent, tally->agent, sizeof(agent->agent));
		agent->totals = tally->totals;
	}
	return list;
}

struct totals_list *totals_take(void)
{
	struct totals_list *list;
	struct call **calls;
	size_t count;
	size_t i;

	ast_mutex_lock(&lock);
	count = registry_list(&calls);
	know_all(calls, count);
	list = copy();
	for (i = 0; list && i < count; i++) {
		if (!calls[i]->counted) {
			add_live(list, calls[i]);
		}
	}
	ast_mutex_unlock(&lock);
	/* One of them may be over by now, and its channel goes with it. */
	registry_free_list(calls, count);
	return list;
}

unsigned int totals_calls(const char *agent)
{
	struct totals_list *list = totals_take();
	unsigned int calls = 0;
	size_t i;

	for (i = 0; list && i < list->count; i++) {
		if (!agent || !strcasecmp(list->agents[i].agent, agent)) {
			calls += list->agents[i].totals.counts[TOTAL_CALLS];
		}
	}
	ast_free(list);
	return calls;
}

void totals_clear(void)
{
	struct tally *tally;
	SCOPED_MUTEX(locked, &lock);

	while ((tally = AST_LIST_REMOVE_HEAD(&tallies, entry))) {
		ast_free(tally);
	}
	tally_count = 0;
}
