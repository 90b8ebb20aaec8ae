/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The calls that are up, and how many there have been
 */

#include "asterisk.h"

#include "asterisk/astobj2.h"	/* references to calls */
#include "asterisk/channel.h"	/* ast_channel_name */
#include "asterisk/linkedlists.h"	/* AST_LIST */
#include "asterisk/lock.h"	/* AST_MUTEX_DEFINE_STATIC */
#include "asterisk/logger.h"	/* ast_log */
#include "asterisk/utils.h"	/* ast_calloc */
#include "asterisk/vector.h"	/* AST_VECTOR */

#include "call/call.h"
#include "call/registry.h"
#include "config/config.h"
#include "door.h"

AST_MUTEX_DEFINE_STATIC(lock);
static AST_VECTOR(, struct call *) live;
static AST_LIST_HEAD_NOLOCK_STATIC(tallies, tally);
static int is_closed;
static int is_draining;

/*! \brief Calls of an agent that are up. The lock is held. */
static unsigned int count_live(const char *agent)
{
	unsigned int found = 0;
	size_t i;

	for (i = 0; i < AST_VECTOR_SIZE(&live); i++) {
		found += !strcasecmp(AST_VECTOR_GET(&live, i)->agent->name, agent);
	}
	return found;
}

/*!
 * \brief The tally of an agent, new if need be; NULL when out of memory. The lock is
 * held.
 */
static struct tally *find_tally(const char *agent)
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
	}
	return tally;
}

static enum registry_verdict admit(struct call *call, unsigned int max_sessions)
{
	const struct config_agent *agent = call->agent;
	struct tally *tally;

	if (is_closed) {
		return REGISTRY_CLOSED;
	}
	if (is_draining) {
		return REGISTRY_DRAINING;
	}
	if (max_sessions && AST_VECTOR_SIZE(&live) >= max_sessions) {
		return REGISTRY_FULL;
	}
	if (agent->max_sessions && count_live(agent->name) >= agent->max_sessions) {
		return REGISTRY_AGENT_FULL;
	}
	tally = find_tally(agent->name);
	if (!tally || AST_VECTOR_APPEND(&live, call)) {
		return REGISTRY_NO_MEMORY;
	}
	ao2_ref(call, +1);
	tally->in_all++;
	return REGISTRY_ADMITTED;
}

enum registry_verdict registry_admit(struct call *call, unsigned int max_sessions)
{
	SCOPED_MUTEX(locked, &lock);

	return admit(call, max_sessions);
}

/*! \return whether this was the last call that an operator waits for */
static int remove_call(struct call *call)
{
	SCOPED_MUTEX(locked, &lock);

	if (AST_VECTOR_REMOVE_ELEM_ORDERED(&live, call, AST_VECTOR_ELEM_CLEANUP_NOOP)) {
		return 0;
	}
	ao2_ref(call, -1);
	return is_draining && !AST_VECTOR_SIZE(&live);
}

void registry_remove(struct call *call)
{
	if (remove_call(call)) {
		door_log(LOG_NOTICE, "Drained: the last call with an ElevenLabs agent is over\n");
	}
}

void registry_close(int closed)
{
	SCOPED_MUTEX(locked, &lock);

	is_closed = closed;
}

int registry_is_closed(void)
{
	SCOPED_MUTEX(locked, &lock);

	return is_closed;
}

void registry_drain(int draining)
{
	SCOPED_MUTEX(locked, &lock);

	is_draining = draining;
}

int registry_is_draining(void)
{
	SCOPED_MUTEX(locked, &lock);

	return is_draining;
}

size_t registry_list(struct call ***calls)
{
	size_t count;
	size_t i;
	SCOPED_MUTEX(locked, &lock);

	count = AST_VECTOR_SIZE(&live);
	*calls = ast_calloc(count + 1, sizeof(**calls));
	if (!*calls) {
		return 0;
	}
	for (i = 0; i < count; i++) {
		(*calls)[i] = ao2_bump(AST_VECTOR_GET(&live, i));
	}
	return count;
}

void registry_free_list(struct call **calls, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		ao2_ref(calls[i], -1);
	}
	ast_free(calls);
}

void registry_end_all(void)
{
	struct call **calls;
	size_t count = registry_list(&calls);
	size_t i;

	for (i = 0; i < count; i++) {
		ao2_lock(calls[i]);
		calls[i]->unloading = 1;
		if (calls[i]->session) {
			/* Under the lock: without a session the call is leaving, and the flag would stay. */
			ast_softhangup(calls[i]->channel, AST_SOFTHANGUP_APPUNLOAD);
		}
		ao2_unlock(calls[i]);
	}
	registry_free_list(calls, count);
}

const char *registry_state_name(const struct call *call)
{
	static const char * const names[] = {
		[CONVAI_STATE_CONNECTING] = "connecting",
		[CONVAI_STATE_TALKING] = "talking",
		[CONVAI_STATE_ENDED] = "ending",
		[CONVAI_STATE_QUEUED] = "queued",
	};

	if (!call->session || call->progress.state >= ARRAY_LEN(names)) {
		return "leaving";
	}
	if (call->asked) {
		return names[CONVAI_STATE_ENDED];
	}
	return __atomic_load_n(&call->statistics.in_step, __ATOMIC_RELAXED) ? "step"
		: names[call->progress.state];
}

void registry_channel_name(const struct call *call, char *name, size_t size)
{
	ast_channel_lock(call->channel);
	ast_copy_string(name, ast_channel_name(call->channel), size);
	ast_channel_unlock(call->channel);
}

/*! \brief The newest call of which this is so, for a step of one may have called another; with a reference */
static struct call *find_newest(int (*is_it)(struct call *call, const void *what), const void *what)
{
	struct call **calls;
	struct call *found = NULL;
	size_t count = registry_list(&calls);
	size_t i;

	for (i = 0; i < count && !found; i++) {
		char name[AST_CHANNEL_NAME];

		registry_channel_name(calls[i], name, sizeof(name));
		if (!strcasecmp(name, channel)) {
			found = ao2_bump(calls[i]);
		}
	}
	registry_free_list(calls, count);
	return found;
}

struct registry_numbers registry_numbers(const char *agent)
{
	struct registry_numbers numbers = { 0, 0 };
	struct tally *tally;
	SCOPED_MUTEX(locked, &lock);

	numbers.now = agent ? count_live(agent) : AST_VECTOR_SIZE(&live);
	AST_LIST_TRAVERSE(&tallies, tally, entry) {
		if (!agent || !strcasecmp(tally->agent, agent)) {
			numbers.in_all += tally->in_all;
		}
	}
	return numbers;
}

void registry_clear(void)
{
	struct tally *tally;
	SCOPED_MUTEX(locked, &lock);

	while ((tally = AST_LIST_REMOVE_HEAD(&tallies, entry))) {
		ast_free(tally);
	}
	AST_VECTOR_FREE(&live);
	is_draining = 0;
}
