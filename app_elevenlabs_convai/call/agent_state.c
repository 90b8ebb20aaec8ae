/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Device states: whether an agent can be had, for hints, lamps and queues
 */

#include "asterisk.h"

#include "asterisk/astobj2.h"	/* references to the configuration */
#include "asterisk/config.h"	/* ast_check_realtime */
#include "asterisk/devicestate.h"	/* providers and their states */
#include "asterisk/linkedlists.h"	/* AST_LIST */
#include "asterisk/lock.h"	/* AST_MUTEX_DEFINE_STATIC */
#include "asterisk/sched.h"	/* a thread that tells */
#include "asterisk/utils.h"	/* ast_calloc */

#include "call/agent_state.h"
#include "call/registry.h"
#include "config/config.h"
#include "config/rows.h"
#include "engine/generation.h"
#include "monotonic.h"

#define PROVIDER "ElevenLabs"

/*! The scheduler goes by the time of day: what is so late waits for a clock that was set back, and is asked for anew */
#define OVERDUE_US 1000000

/*! An agent that others know of, or are to be told of */
struct known {
	AST_LIST_ENTRY(known) entry;
	enum ast_device_state told;	/*!< UNKNOWN: nothing yet */
	int64_t away_until_us;	/*!< CLOCK_MONOTONIC; 0: it is not away */
	char agent[];
};

AST_MUTEX_DEFINE_STATIC(lock);
static AST_LIST_HEAD_NOLOCK_STATIC(agents, known);
/*! NULL while nobody is to be told */
static struct ast_sched_context *scheduler;
/*! When the next look is due, CLOCK_MONOTONIC; 0: none is */
static int64_t look_due_us;
/*! The same of the looks that come again and again, while agents are away */
static int64_t watch_due_us;

/*! \brief The entry of an agent, new if need be; NULL when out of memory. The lock is held. */
static struct known *find(const char *agent)
{
	size_t size = strlen(agent) + 1;
	struct known *known;

	AST_LIST_TRAVERSE(&agents, known, entry) {
		if (!strcasecmp(known->agent, agent)) {
			return known;
		}
	}
	known = ast_calloc(1, sizeof(*known) + size);
	if (known) {
		memcpy(known->agent, agent, size);
		AST_LIST_INSERT_TAIL(&agents, known, entry);
	}
	return known;
}

/* ---- The state ---- */

static int is_full(const struct config *config, const struct config_agent *agent)
{
	return (config->max_sessions && registry_count(NULL) >= config->max_sessions)
		|| (agent->max_sessions && registry_count(agent->name) >= agent->max_sessions);
}

/*! \brief An agent of the file, or one that a database has told of; with a reference, or NULL */
static struct config_agent *find_agent(const struct config *config, const char *name, int *is_unknown)
{
	struct config_agent *agent = config_find_agent(config, name);
	struct rows_view view;

	if (!agent) {
		rows_look(name, &view);
		agent = view.agent;
		*is_unknown = view.state != ROWS_NONE;
	}
	return agent;
}

/*! \param is_away calls have no prospect */
static enum ast_device_state state_in(const struct config *config, const char *name, int is_away)
{
	int is_unknown = 0;
	struct config_agent *agent = find_agent(config, name, &is_unknown);
	enum ast_device_state state = AST_DEVICE_NOT_INUSE;

	if (!agent) {
		/* Nobody asks the database for a lamp: whether it has the agent a call will tell. */
		return is_unknown && ast_check_realtime(ROWS_FAMILY) ? AST_DEVICE_UNKNOWN : AST_DEVICE_INVALID;
	}
	if (is_away || registry_is_closed() || registry_is_draining() || !generation_serves()) {
		state = AST_DEVICE_UNAVAILABLE;
	} else if (is_full(config, agent)) {
		state = AST_DEVICE_BUSY;
	}
	ao2_ref(agent, -1);
	return state;
}

static enum ast_device_state state_of(const char *agent, int is_away)
{
	struct config *config = config_get();
	enum ast_device_state state = config ? state_in(config, agent, is_away) : AST_DEVICE_INVALID;

	ao2_cleanup(config);
	return state;
}

/*! \brief Whether calls have no prospect now. The lock is held. */
static int is_away(const struct known *known)
{
	return known->away_until_us && monotonic_us() < known->away_until_us;
}

/*!
 * \brief Asterisk asks
 *
 * Any thread, with Asterisk's list of providers locked: nothing that is locked here may be held by
 * whoever takes the provider off that list.
 */
enum ast_device_state agent_state_get(const char *agent)
{
	struct known *known;
	int away = 0;

	ast_mutex_lock(&lock);
	AST_LIST_TRAVERSE(&agents, known, entry) {
		if (!strcasecmp(known->agent, agent)) {
			away = is_away(known);
		}
	}
	ast_mutex_unlock(&lock);
	return state_of(agent, away);
}

/* ---- Telling. The scheduler's thread ---- */

/*! \brief Let the agents of file and database be among those that are told of. The lock is held. */
static void know_configured(void)
{
	struct config *config = rows_config(config_get());
	size_t i;

	for (i = 0; config && i < AST_VECTOR_SIZE(&config->agents); i++) {
		find(AST_VECTOR_GET(&config->agents, i)->name);
	}
	ao2_cleanup(config);
}

/*! \brief Let go of those of whom nothing is known, and nothing has been told. The lock is held. */
static void forget_unknown(void)
{
	struct known *known;
	struct known *next;

	for (known = AST_LIST_FIRST(&agents); known; known = next) {
		next = AST_LIST_NEXT(known, entry);
		if (known->told == AST_DEVICE_UNKNOWN && !is_away(known)
			&& state_of(known->agent, 0) == AST_DEVICE_UNKNOWN) {
			AST_LIST_REMOVE(&agents, known, entry);
			ast_free(known);
		}
	}
}

/*! \brief One agent whose state is another than was told last, or NULL. It stays until this thread lets go of it. */
static const struct known *next_change(void)
{
	struct known *known;
	SCOPED_MUTEX(locked, &lock);

	AST_LIST_TRAVERSE(&agents, known, entry) {
		enum ast_device_state state = state_of(known->agent, is_away(known));

		if (state != known->told) {
			known->told = state;
			break;
		}
	}
	return known;
}

static void tell(const char *agent, enum ast_device_state state)
{
	ast_devstate_changed(state, AST_DEVSTATE_CACHABLE, PROVIDER ":%s", agent);
}

static int look(const void *data)
{
	const struct known *known;

	ast_mutex_lock(&lock);
	look_due_us = 0;	/* what changes from here on is for the next look */
	know_configured();
	ast_mutex_unlock(&lock);
	while ((known = next_change())) {
		tell(known->agent, known->told);
	}
	ast_mutex_lock(&lock);
	forget_unknown();
	ast_mutex_unlock(&lock);
	return 0;
}

/*! \brief See who is back. \return whether to come again */
static int watch(const void *data)
{
	struct known *known;
	int any = 0;

	look(NULL);
	ast_mutex_lock(&lock);
	AST_LIST_TRAVERSE(&agents, known, entry) {
		any |= is_away(known);
	}
	watch_due_us = any ? monotonic_us() + AGENT_STATE_WATCH_MS * INT64_C(1000) : 0;
	ast_mutex_unlock(&lock);
	return any;
}

/* ---- What others say ---- */

/*! \brief Have this done after so many ms, unless it will be. The lock is held. */
static void schedule(int64_t *due_us, int ms, int (*what)(const void *data))
{
	int64_t now = monotonic_us();

	if (scheduler && (!*due_us || now > *due_us + OVERDUE_US)
		&& ast_sched_add(scheduler, ms, what, NULL) >= 0) {
		*due_us = now + ms * INT64_C(1000);
	}
}

/*! \brief The lock is held */
static void look_soon(void)
{
	schedule(&look_due_us, AGENT_STATE_PACE_MS, look);
}

void agent_state_changed(void)
{
	SCOPED_MUTEX(locked, &lock);

	look_soon();
}

void agent_state_away(const char *agent, uint32_t ms)
{
	struct known *known;
	SCOPED_MUTEX(locked, &lock);

	known = scheduler ? find(agent) : NULL;
	if (!known || (!ms && !known->away_until_us)) {
		return;
	}
	known->away_until_us = ms ? monotonic_us() + ms * INT64_C(1000) : 0;
	if (ms) {
		schedule(&watch_due_us, AGENT_STATE_WATCH_MS, watch);
	}
	look_soon();
}

/* ---- Beginning and end ---- */

int agent_state_start(void)
{
	struct ast_sched_context *started;

	if (scheduler) {
		return 0;
	}
	started = ast_sched_context_create();
	if (!started) {
		return -1;
	}
	if (ast_sched_start_thread(started) || ast_devstate_prov_add(PROVIDER, agent_state_get)) {
		ast_sched_context_destroy(started);
		return -1;
	}
	ast_mutex_lock(&lock);
	scheduler = started;
	look_soon();
	ast_mutex_unlock(&lock);
	return 0;
}

void agent_state_stop(void)
{
	struct ast_sched_context *stopped;
	struct known *known;
	char device[CONFIG_VALUE_SIZE];

	ast_mutex_lock(&lock);
	stopped = scheduler;
	scheduler = NULL;
	look_due_us = watch_due_us = 0;
	ast_mutex_unlock(&lock);
	if (!stopped) {
		return;
	}
	ast_sched_context_destroy(stopped);
	ast_devstate_prov_del(PROVIDER);
	/* Nobody looks any more: the engine's word, which may still come, changes nothing but the time. */
	while ((known = AST_LIST_FIRST(&agents))) {
		if (known->told != AST_DEVICE_UNKNOWN) {
			tell(known->agent, AST_DEVICE_UNAVAILABLE);
			snprintf(device, sizeof(device), PROVIDER ":%s", known->agent);
			ast_device_state_clear_cache(device);
		}
		ast_mutex_lock(&lock);
		AST_LIST_REMOVE_HEAD(&agents, entry);
		ast_mutex_unlock(&lock);
		ast_free(known);
	}
}
