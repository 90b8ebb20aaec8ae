/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The calls that are up
 */

#include "asterisk.h"

#include "asterisk/astobj2.h"	/* references to calls */
#include "asterisk/channel.h"	/* ast_channel_name */
#include "asterisk/lock.h"	/* AST_MUTEX_DEFINE_STATIC */
#include "asterisk/utils.h"	/* ast_calloc */
#include "asterisk/vector.h"	/* AST_VECTOR */

#include "call/call.h"
#include "call/registry.h"
#include "config/config.h"
#include "door.h"
#include "engine/generation.h"

AST_MUTEX_DEFINE_STATIC(lock);
static AST_VECTOR(, struct call *) live;
static int is_closed;
static int is_draining;

/*! \brief Calls that this channel has. The lock is held. */
static unsigned int count_nested(const struct ast_channel *channel)
{
	unsigned int found = 0;
	size_t i;

	for (i = 0; i < AST_VECTOR_SIZE(&live); i++) {
		found += AST_VECTOR_GET(&live, i)->channel == channel;
	}
	return found;
}

/*! \brief Conversations with an agent, or (NULL) with all, that are up. The lock is held. */
static unsigned int count_live(const char *agent)
{
	unsigned int found = 0;
	size_t i;

	for (i = 0; i < AST_VECTOR_SIZE(&live); i++) {
		const struct call *call = AST_VECTOR_GET(&live, i);

		found += !call->placeless && (!agent || !strcasecmp(call->agent->name, agent));
	}
	return found;
}

static enum registry_verdict admit(struct call *call, unsigned int max_sessions)
{
	const struct config_agent *agent = call->agent;

	if (is_closed) {
		return REGISTRY_CLOSED;
	}
	if (is_draining) {
		return REGISTRY_DRAINING;
	}
	if (count_nested(call->channel) >= REGISTRY_NESTED_MAX) {
		return REGISTRY_NESTED;
	}
	if (max_sessions && count_live(NULL) >= max_sessions) {
		return REGISTRY_FULL;
	}
	if (agent->max_sessions && count_live(agent->name) >= agent->max_sessions) {
		return REGISTRY_AGENT_FULL;
	}
	if (AST_VECTOR_APPEND(&live, call)) {
		return REGISTRY_NO_MEMORY;
	}
	ao2_ref(call, +1);
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

struct generation *registry_withdraw(struct call *call)
{
	struct generation *generation;

	ao2_lock(call);
	generation = call->generation;
	call->generation = NULL;
	ao2_unlock(call);
	ast_mutex_lock(&lock);
	call->placeless = 1;
	ast_mutex_unlock(&lock);
	return generation;
}

int registry_is_empty(void)
{
	SCOPED_MUTEX(locked, &lock);

	return !AST_VECTOR_SIZE(&live);
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
		/* The channel first: Asterisk has it locked where it asks the function ELEVENLABS for an event. */
		ast_channel_lock(calls[i]->channel);
		ao2_lock(calls[i]);
		calls[i]->unloading = 1;
		if (calls[i]->session) {
			/* Under the lock: without a session the call is leaving, and the flag would stay. */
			ast_softhangup(calls[i]->channel, AST_SOFTHANGUP_APPUNLOAD);
		}
		ao2_unlock(calls[i]);
		ast_channel_unlock(calls[i]->channel);
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

	for (i = count; i && !found; i--) {
		if (is_it(calls[i - 1], what)) {
			found = ao2_bump(calls[i - 1]);
		}
	}
	registry_free_list(calls, count);
	return found;
}

static int has_name(struct call *call, const void *channel)
{
	char name[AST_CHANNEL_NAME];

	registry_channel_name(call, name, sizeof(name));
	return !strcasecmp(name, channel);
}

static int had_unique_id(struct call *call, const void *unique_id)
{
	int res;

	ao2_lock(call);
	res = !strcmp(call->unique_id, unique_id);
	ao2_unlock(call);
	return res;
}

struct call *registry_find(const char *channel)
{
	return find_newest(has_name, channel);
}

static int has_session(struct call *call, const void *session)
{
	int res;

	ao2_lock(call);
	res = call->session == session;
	ao2_unlock(call);
	return res;
}

struct call *registry_find_session(const struct convai_session *session)
{
	return find_newest(has_session, session);
}

struct call *registry_find_unique_id(const char *unique_id)
{
	return find_newest(had_unique_id, unique_id);
}

struct call *registry_find_channel(const struct ast_channel *channel)
{
	struct call *found = NULL;
	size_t i;
	SCOPED_MUTEX(locked, &lock);

	/* The newest, as above, but without the channel's lock. */
	for (i = AST_VECTOR_SIZE(&live); i && !found; i--) {
		if (AST_VECTOR_GET(&live, i - 1)->channel == channel) {
			found = ao2_bump(AST_VECTOR_GET(&live, i - 1));
		}
	}
	return found;
}

unsigned int registry_count(const char *agent)
{
	SCOPED_MUTEX(locked, &lock);

	return count_live(agent);
}

void registry_clear(void)
{
	SCOPED_MUTEX(locked, &lock);

	AST_VECTOR_FREE(&live);
	is_draining = 0;
}
