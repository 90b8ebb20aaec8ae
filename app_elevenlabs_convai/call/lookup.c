/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The agent of a name: elevenlabs.conf's, else that of a row in a database
 */

#include "asterisk.h"

#include <poll.h>	/* poll(2) */
#include <sys/eventfd.h>	/* eventfd(2) */
#include <unistd.h>	/* close(2) */

#include "asterisk/astobj2.h"	/* references */
#include "asterisk/channel.h"	/* ast_autoservice_start */
#include "asterisk/config.h"	/* ast_load_realtime */
#include "asterisk/linkedlists.h"	/* AST_LIST */
#include "asterisk/lock.h"	/* AST_MUTEX_DEFINE_STATIC */
#include "asterisk/utils.h"	/* ast_copy_string */

#include "call/agent_state.h"
#include "call/caller.h"
#include "call/lookup.h"
#include "call/pool.h"
#include "call/registry.h"
#include "call/stack.h"
#include "config/config.h"
#include "config/row.h"
#include "config/rows.h"
#include "door.h"
#include "monotonic.h"

/*! How often who waits looks whether the caller is gone, the module is to go, or a thread is free */
#define LOOK_MS 10
/*! So long the channel is not read: a look-up that is over by then costs the caller no word */
#define UNREAD_US 100000

/*! What a thread of the pool is to ask the database for. An ao2 object; all but the name and fd is guarded by the lock. */
struct lookup {
	AST_LIST_ENTRY(lookup) entry;
	int fd;			/*!< becomes readable, and stays so, when it is over */
	int64_t asked_us;	/*!< since when a thread is in the database for it; 0: it waits for a thread */
	unsigned int waiters;	/*!< who wait for it */
	unsigned int over:1;
	unsigned int said:1;	/*!< that it has been given up */
	char name[LOOKUP_NAME_MAX + 1];
};

AST_MUTEX_DEFINE_STATIC(lock);
/*! Those that are not over, oldest first; owns a reference to each */
static AST_LIST_HEAD_NOLOCK_STATIC(lookups, lookup);
/*! Threads of the pool that are ours */
static unsigned int threads;

/*! \brief Whether it has been in the database for longer than anybody waits. The lock is held. */
static int hangs(const struct lookup *lookup)
{
	return lookup->asked_us && monotonic_us() - lookup->asked_us >= LOOKUP_LIMIT_MS * INT64_C(1000);
}

/* ---- On a thread of the pool ---- */

/*! \brief Make an agent of what the database has given, and keep both. Reads files. */
static void take_row(const char *name, struct ast_variable *row)
{
	struct config_agent *agent = NULL;
	struct config_report report;
	unsigned int epoch;

	do {
		struct config *config = config_get();

		ao2_cleanup(agent);
		agent = NULL;
		epoch = rows_epoch();
		if (!config || rows_repeat(name, row, epoch)) {
			/* The module goes, or there is nothing new. */
			rows_erase(row);
			ao2_cleanup(config);
			return;
		}
		report = (struct config_report) { .fd = -1 };
		agent = config_read_row(&report, config, name, row);
		ao2_ref(config, -1);
	} while (rows_put(name, row, agent, report.first, epoch));
	if (agent) {
		agent_state_changed();
		ao2_ref(agent, -1);
	}
}

/*! \brief Whether the database gives anything at all: what is down gives nothing, as it does where there is no such row */
static int gives_any(void)
{
	struct ast_variable *row = ast_load_realtime(ROWS_FAMILY, ROWS_NAME_COLUMN " LIKE", "%", SENTINEL);

	rows_erase(row);
	return row != NULL;
}

static void take_nothing(const char *name)
{
	struct rows_view view;
	int age_s;

	rows_look(name, &view);
	if (!view.agent) {
		rows_put_none(name);
		return;
	}
	ao2_ref(view.agent, -1);
	if (gives_any()) {
		rows_put_none(name);
		agent_state_changed();
		return;
	}
	age_s = rows_put_failure(name);
	if (age_s < 0) {
		door_log(LOG_WARNING,
			"Agent %s: the database has given nothing for more than %d s, and its row "
			"does not count any more\n", name, ROWS_KEPT_MS / 1000);
		agent_state_changed();
	} else {
		door_log(LOG_WARNING,
			"Agent %s: the database gives neither its row nor any other, which is taken for a "
			"failure: the row of %d s ago counts (elevenlabs reload forgets it)\n", name, age_s);
	}
}

static void ask(const struct lookup *lookup)
{
	struct ast_variable *row = ast_load_realtime(ROWS_FAMILY, ROWS_NAME_COLUMN, lookup->name, SENTINEL);

	if (row) {
		take_row(lookup->name, row);
	} else {
		take_nothing(lookup->name);
	}
}

/*! \brief One that waits for a thread, now asked; NULL if none does. The lock is held. */
static struct lookup *begin_next(void)
{
	struct lookup *lookup;

	AST_LIST_TRAVERSE(&lookups, lookup, entry) {
		if (!lookup->asked_us) {
			lookup->asked_us = monotonic_us();
			return ao2_bump(lookup);
		}
	}
	return NULL;
}

/*!
 * \brief Let those who wait know, and the thread have something else to do, or nothing
 * \param[out] said whether it had been given up
 */
static struct lookup *end_one(struct lookup *lookup, int *said)
{
	struct lookup *next;
	SCOPED_MUTEX(locked, &lock);

	lookup->over = 1;
	*said = lookup->said;
	eventfd_write(lookup->fd, 1);
	AST_LIST_REMOVE(&lookups, lookup, entry);
	ao2_ref(lookup, -1);
	next = begin_next();
	threads -= !next;
	return next;
}

/*! \brief What a thread does: one look-up behind the other, until none waits */
static void work(void *data)
{
	struct lookup *lookup = data;

	while (lookup) {
		struct lookup *next;
		int said;

		ask(lookup);
		next = end_one(lookup, &said);
		if (said) {
			door_log(LOG_NOTICE, "Agent %s: the database has answered, after %d s\n", lookup->name,
				(int) ((monotonic_us() - lookup->asked_us) / 1000000));
		}
		ao2_ref(lookup, -1);
		lookup = next;
	}
}

/* ---- Who waits ---- */

/*! \brief Have threads for those that wait for one, as far as may be. The lock is held. */
static void use_threads(void)
{
	struct lookup *next;

	while (threads < LOOKUP_THREADS && (next = begin_next())) {
		if (pool_run(work, next)) {
			/* All are busy: who waits looks again. */
			next->asked_us = 0;
			ao2_ref(next, -1);
			return;
		}
		threads++;
	}
}

static void lookup_destructor(void *object)
{
	struct lookup *lookup = object;

	if (lookup->fd >= 0) {
		close(lookup->fd);
	}
}

/*! \brief The look-up of this name for which one may still wait; NULL if there is none. The lock is held. */
static struct lookup *find(const char *name)
{
	struct lookup *lookup;

	AST_LIST_TRAVERSE(&lookups, lookup, entry) {
		if (!strcmp(lookup->name, name) && !hangs(lookup)) {
			break;
		}
	}
	return lookup;
}

/*! \brief A new look-up, in the list; NULL when out of memory or descriptors. The lock is held. */
static struct lookup *make(const char *name)
{
	struct lookup *lookup = ao2_alloc_options(sizeof(*lookup), lookup_destructor, AO2_ALLOC_OPT_LOCK_NOLOCK);

	if (!lookup) {
		return NULL;
	}
	lookup->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (lookup->fd < 0) {
		ao2_ref(lookup, -1);
		return NULL;
	}
	ast_copy_string(lookup->name, name, sizeof(lookup->name));
	AST_LIST_INSERT_TAIL(&lookups, lookup, entry);
	return lookup;
}

/*! \brief Whether every thread that may ask hangs in the database. The lock is held. */
static int all_hang(void)
{
	const struct lookup *lookup;
	unsigned int hanging = 0;

	AST_LIST_TRAVERSE(&lookups, lookup, entry) {
		hanging += hangs(lookup);
	}
	return hanging >= LOOKUP_THREADS;
}

/*! How a wait has ended */
enum outcome {
	OUTCOME_ANSWERED,	/*!< the cache has it */
	OUTCOME_GONE,		/*!< the caller, or the module */
	OUTCOME_SILENT,		/*!< the database has not answered */
	OUTCOME_HANGING,	/*!< it has not been asked: all who may ask wait for it already */
	OUTCOME_BUSY,		/*!< it has not been asked: no thread was free for it */
	OUTCOME_FAILED,		/*!< out of memory or descriptors */
};

/*! \brief Whether what the database has said counts still */
static int is_known(const char *name)
{
	struct rows_view view;

	rows_look(name, &view);
	ao2_cleanup(view.agent);
	return view.fresh;
}

/*! \brief Join a look-up of this name, or begin one. \return with a reference, or NULL and why not */
static struct lookup *join(const char *name, enum outcome *why)
{
	struct lookup *lookup;
	SCOPED_MUTEX(locked, &lock);

	lookup = find(name);
	if (!lookup && is_known(name)) {
		/* One has ended since the caller has looked. */
		*why = OUTCOME_ANSWERED;
		return NULL;
	}
	if (!lookup && all_hang()) {
		*why = OUTCOME_HANGING;
		return NULL;
	}
	lookup = lookup ? lookup : make(name);
	if (!lookup) {
		*why = OUTCOME_FAILED;
		return NULL;
	}
	lookup->waiters++;
	use_threads();
	return ao2_bump(lookup);
}

/*! \brief Wait no more. What nobody waits for is not asked any more, unless it is already. */
static enum outcome leave(struct lookup *lookup, int is_gone)
{
	enum outcome outcome;
	SCOPED_MUTEX(locked, &lock);

	outcome = lookup->over ? OUTCOME_ANSWERED : is_gone ? OUTCOME_GONE
		: lookup->asked_us ? OUTCOME_SILENT : all_hang() ? OUTCOME_HANGING : OUTCOME_BUSY;
	if (!--lookup->waiters && !lookup->asked_us) {
		AST_LIST_REMOVE(&lookups, lookup, entry);
		ao2_ref(lookup, -1);
	}
	return outcome;
}

/*! \brief Whether there is nobody any more for whom to wait */
static int is_gone(struct ast_channel *channel)
{
	if (registry_is_closed()) {
		return 1;
	}
	if (!channel || !ast_check_hangup(channel)) {
		return 0;
	}
	/* Another module that merely looks at the channel, and is unloaded by force, is no reason (end_by_channel). */
	return ast_channel_softhangup_internal_flag(channel) != AST_SOFTHANGUP_APPUNLOAD
		|| stack_has_other_module();
}

/*! \brief Wait until the database has answered, nobody waits any more, or it is too late */
static enum outcome await_answer(struct lookup *lookup, struct ast_channel *channel)
{
	struct pollfd event = { .fd = lookup->fd, .events = POLLIN };
	int64_t began_us = monotonic_us();
	int64_t waited_us = 0;
	int is_read = 0;
	int gone;

	while (!(gone = is_gone(channel)) && waited_us < LOOKUP_LIMIT_MS * INT64_C(1000)
		&& poll(&event, 1, LOOK_MS) <= 0) {
		waited_us = monotonic_us() - began_us;
		if (channel && !is_read && waited_us >= UNREAD_US) {
			is_read = !ast_autoservice_start(channel);
		}
		ast_mutex_lock(&lock);
		use_threads();
		ast_mutex_unlock(&lock);
	}
	if (is_read) {
		ast_autoservice_stop(channel);
	}
	return leave(lookup, gone);
}

/*! \return whether this is the first who says that it has been given up; not if it is over by now */
static int is_first(struct lookup *lookup)
{
	int first;
	SCOPED_MUTEX(locked, &lock);

	first = !lookup->said && !lookup->over;
	lookup->said |= !lookup->over;
	return first;
}

/*! \brief Ask the database, and wait */
static enum outcome consult(const char *name, struct ast_channel *channel)
{
	enum outcome outcome = OUTCOME_GONE;
	struct lookup *lookup = is_gone(channel) ? NULL : join(name, &outcome);

	if (!lookup) {
		if (outcome == OUTCOME_HANGING) {
			rows_put_silence(name);
		}
		return outcome;
	}
	outcome = await_answer(lookup, channel);
	if (outcome == OUTCOME_SILENT || outcome == OUTCOME_HANGING) {
		rows_put_silence(name);
	}
	if (outcome == OUTCOME_SILENT && is_first(lookup)) {
		struct lookup_numbers numbers = lookup_count();

		door_log(LOG_WARNING,
			"Agent %s: the database has not answered within %d ms; %u of %d threads wait "
			"for it\n", name, LOOKUP_LIMIT_MS, numbers.asked, LOOKUP_THREADS);
	}
	ao2_ref(lookup, -1);
	return outcome;
}

/* ---- The answer ---- */

/*! \brief How a call ends whose caller, or module, has not waited */
static void end_gone(struct ast_channel *channel, struct ending *ending)
{
	struct caller_facts facts = { .unloading = registry_is_closed() };

	if (!channel || facts.unloading) {
		ending_set(ending, CONVAI_STATUS_UNLOADED, "the module is being unloaded");
		return;
	}
	ast_channel_lock(channel);
	facts.flags = ast_channel_softhangup_internal_flag(channel);
	facts.taken_away = ast_test_flag(ast_channel_flags(channel), AST_FLAG_ZOMBIE) != 0;
	ast_channel_unlock(channel);
	caller_left(&facts, ending);
}

/*! \brief How a call ends for which there is no agent */
static void end_without(const char *name, enum outcome outcome, const struct rows_view *view,
	struct ending *ending)
{
	const char *detail = name;
	char why[ENDING_REASON_SIZE];

	if (view->fault[0]) {
		snprintf(why, sizeof(why), "its row in the database is not valid: the log has said what is wrong");
		detail = view->fault;
	} else if (outcome == OUTCOME_HANGING) {
		snprintf(why, sizeof(why), "the database was not asked: %d look-ups wait for it already, beyond their limit",
			LOOKUP_THREADS);
	} else if (outcome == OUTCOME_BUSY) {
		snprintf(why, sizeof(why),
			"the database was not asked: no thread was free for it within %d ms, of %d for "
			"look-ups and %d for these and tools", LOOKUP_LIMIT_MS, LOOKUP_THREADS, POOL_THREADS);
	} else if (outcome == OUTCOME_FAILED) {
		snprintf(why, sizeof(why), "the database was not asked: no memory, or no descriptor");
	} else if (view->state == ROWS_SILENT) {
		snprintf(why, sizeof(why), "the database has not answered within %d ms", LOOKUP_LIMIT_MS);
	} else {
		snprintf(why, sizeof(why), "the database has none either");
	}
	ending_set(ending, CONVAI_STATUS_NOAGENT, "%s has no such agent, and %s", CONFIG_FILE, why);
	ending_set_detail(ending, detail);
}

/*!
 * \brief Whether the database may be asked for this name
 *
 * It may come from a caller. No driver is trusted to make every sign harmless: what may stand in data may
 * be asked for, which leaves out quotes, signs of patterns, and line ends.
 */
static int is_askable(const char *name)
{
	const unsigned char *text = (const unsigned char *) name;
	size_t length = strlen(name);
	size_t at = 0;

	while (at < length && length <= LOOKUP_NAME_MAX) {
		uint32_t code = 0;
		size_t size = words_character(text + at, length - at, &code);

		if (!size || !words_is_data(code) || (code != ' ' && words_is_unseen(code))) {
			break;
		}
		at += size;
	}
	return length && at == length;
}

/*! \brief The database's agent. \return with a reference, or NULL */
static struct config_agent *find_in_database(const char *name, struct ast_channel *channel,
	struct ending *ending)
{
	enum outcome outcome = OUTCOME_ANSWERED;
	struct rows_view view;

	rows_look(name, &view);
	if (!view.fresh) {
		ao2_cleanup(view.agent);
		outcome = consult(name, channel);
		rows_look(name, &view);
	}
	if (outcome == OUTCOME_GONE) {
		ao2_cleanup(view.agent);
		end_gone(channel, ending);
		return NULL;
	}
	if (!view.agent) {
		end_without(name, outcome, &view, ending);
	} else if (outcome != OUTCOME_ANSWERED) {
		door_log(LOG_WARNING, "Agent %s is as the database said %d s ago\n", name, view.age_s);
	}
	return view.agent;
}

struct config_agent *lookup_agent(const struct config *config, const char *name,
	struct ast_channel *channel, struct ending *ending)
{
	struct config_agent *agent = config ? config_find_agent(config, name) : NULL;

	if (agent) {
		return agent;
	}
	if (!ast_check_realtime(ROWS_FAMILY)) {
		ending_set(ending, CONVAI_STATUS_NOAGENT, "there is no such agent in %s", CONFIG_FILE);
	} else if (!is_askable(name)) {
		ending_set(ending, CONVAI_STATUS_NOAGENT,
			"there is no such agent in %s, and the database is asked only "
			"for names of letters, digits, blanks and : . _ - / +, of %d bytes at most", CONFIG_FILE,
			LOOKUP_NAME_MAX);
	} else {
		return find_in_database(name, channel, ending);
	}
	ending_set_detail(ending, name);
	return NULL;
}

struct lookup_numbers lookup_count(void)
{
	struct lookup_numbers numbers = { 0, 0, 0 };
	const struct lookup *lookup;
	SCOPED_MUTEX(locked, &lock);

	AST_LIST_TRAVERSE(&lookups, lookup, entry) {
		numbers.asked += lookup->asked_us != 0;
		numbers.late += hangs(lookup);
		numbers.waiting += !lookup->asked_us;
	}
	return numbers;
}
