/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What a database has said of single agents: rows by name, bounded in number and age
 */

#include "asterisk.h"

#include "asterisk/astobj2.h"	/* references to agents */
#include "asterisk/config.h"	/* struct ast_variable */
#include "asterisk/linkedlists.h"	/* AST_LIST */
#include "asterisk/lock.h"	/* AST_MUTEX_DEFINE_STATIC */
#include "asterisk/strings.h"	/* S_OR */
#include "asterisk/utils.h"	/* ast_calloc */

#include "config/rows.h"
#include "config/snapshot.h"
#include "monotonic.h"

/*! What is known of one name, as it was asked for: whether case counts is up to the database */
struct known {
	AST_LIST_ENTRY(known) entry;
	enum rows_state state;
	struct ast_variable *row;	/*!< the last one, valid or not */
	struct config_agent *agent;	/*!< the last one that was valid; owns a reference */
	char *fault;			/*!< of the row; NULL: none */
	int64_t given_us;		/*!< when the database gave a row */
	int64_t due_us;			/*!< when it is to be asked again */
	char name[];
};

AST_MUTEX_DEFINE_STATIC(lock);
/*! Those asked for last are last */
static AST_LIST_HEAD_NOLOCK_STATIC(names, known);
static unsigned int epoch_now;

void rows_erase(struct ast_variable *row)
{
	struct ast_variable *each;

	for (each = row; each; each = each->next) {
		config_erase((char *) each->value);
	}
	ast_variables_destroy(row);
}

/*! \brief Forget the row, and all that was made of it */
static void forget_row(struct known *known)
{
	rows_erase(known->row);
	ast_free(known->fault);
	ao2_cleanup(known->agent);
	known->row = NULL;
	known->fault = NULL;
	known->agent = NULL;
}

static void known_free(struct known *known)
{
	forget_row(known);
	ast_free(known);
}

/*! \brief The entry that was asked for by this name, else one whose row has it; NULL if there is none */
static struct known *find(const char *name)
{
	struct known *known;
	struct known *spelled = NULL;

	AST_LIST_TRAVERSE(&names, known, entry) {
		if (!strcmp(known->name, name)) {
			return known;
		}
		if (known->agent && !strcmp(known->agent->name, name)) {
			spelled = known;
		}
	}
	return spelled;
}

/*! \brief Let go of those that were not asked for the longest, of agents and of others each */
static void trim(void)
{
	unsigned int counts[2] = { 0, 0 };
	struct known *known;
	struct known *next;

	AST_LIST_TRAVERSE(&names, known, entry) {
		counts[known->agent != NULL]++;
	}
	for (known = AST_LIST_FIRST(&names); known; known = next) {
		next = AST_LIST_NEXT(known, entry);
		if (counts[known->agent != NULL] > ROWS_MAX) {
			counts[known->agent != NULL]--;
			AST_LIST_REMOVE(&names, known, entry);
			known_free(known);
		}
	}
}

/*! \brief The entry of a name, new if need be, behind all others; NULL when out of memory */
static struct known *touch(const char *name)
{
	size_t size = strlen(name) + 1;
	struct known *known = find(name);

	if (known) {
		AST_LIST_REMOVE(&names, known, entry);
	} else {
		known = ast_calloc(1, sizeof(*known) + size);
		if (!known) {
			return NULL;
		}
		memcpy(known->name, name, size);
	}
	AST_LIST_INSERT_TAIL(&names, known, entry);
	return known;
}

static void settle(struct known *known, enum rows_state state, int ms)
{
	known->state = state;
	known->due_us = monotonic_us() + ms * INT64_C(1000);
	trim();
}

void rows_look(const char *name, struct rows_view *view)
{
	int64_t now = monotonic_us();
	const struct known *known;
	SCOPED_MUTEX(locked, &lock);

	memset(view, 0, sizeof(*view));
	known = find(name);
	if (known) {
		view->state = known->state;
		view->agent = ao2_bump(known->agent);
		view->fresh = now < known->due_us;
		view->age_s = (now - known->given_us) / 1000000;
		ast_copy_string(view->fault, S_OR(known->fault, ""), sizeof(view->fault));
	}
}

unsigned int rows_epoch(void)
{
	SCOPED_MUTEX(locked, &lock);

	return epoch_now;
}

/*! \brief Whether two rows say the same, in the same order, as a table gives them */
static int is_same(const struct ast_variable *one, const struct ast_variable *other)
{
	while (one && other && !strcmp(one->name, other->name) && !strcmp(one->value, other->value)) {
		one = one->next;
		other = other->next;
	}
	return !one && !other;
}

int rows_repeat(const char *name, const struct ast_variable *row, unsigned int epoch)
{
	struct known *known;
	SCOPED_MUTEX(locked, &lock);

	known = find(name);
	if (epoch != epoch_now || !known || !known->row || !is_same(known->row, row)) {
		return 0;
	}
	touch(name);
	known->given_us = monotonic_us();
	settle(known, ROWS_GIVEN, ROWS_FRESH_MS);
	return 1;
}

int rows_put(const char *name, struct ast_variable *row, struct config_agent *agent, const char *fault,
	unsigned int epoch)
{
	struct known *known;
	SCOPED_MUTEX(locked, &lock);

	if (epoch != epoch_now) {
		return -1;
	}
	known = touch(name);
	if (!known) {
		rows_erase(row);
		return 0;
	}
	rows_erase(known->row);
	known->row = row;
	ast_free(known->fault);
	known->fault = agent ? NULL : ast_strdup(fault);
	if (agent) {
		ao2_replace(known->agent, agent);
	}
	known->given_us = monotonic_us();
	settle(known, ROWS_GIVEN, ROWS_FRESH_MS);
	return 0;
}

void rows_put_none(const char *name)
{
	struct known *known;
	SCOPED_MUTEX(locked, &lock);

	known = touch(name);
	if (known) {
		forget_row(known);
		settle(known, ROWS_NONE, ROWS_NONE_MS);
	}
}

int rows_put_failure(const char *name)
{
	int64_t age_us;
	struct known *known;
	SCOPED_MUTEX(locked, &lock);

	known = touch(name);
	if (!known) {
		return -1;
	}
	age_us = monotonic_us() - known->given_us;
	if (!known->agent || age_us > ROWS_KEPT_MS * INT64_C(1000)) {
		forget_row(known);
		settle(known, ROWS_NONE, ROWS_NONE_MS);
		return -1;
	}
	settle(known, ROWS_FAILED, ROWS_FRESH_MS);
	return age_us / 1000000;
}

void rows_put_silence(const char *name)
{
	struct known *known;
	SCOPED_MUTEX(locked, &lock);

	known = touch(name);
	if (known) {
		settle(known, ROWS_SILENT, ROWS_SILENT_MS);
	}
}

void rows_forget(void)
{
	struct known *known;
	SCOPED_MUTEX(locked, &lock);

	epoch_now++;
	while ((known = AST_LIST_REMOVE_HEAD(&names, entry))) {
		known_free(known);
	}
}

struct rows_numbers rows_count(void)
{
	struct rows_numbers numbers = { 0, 0 };
	const struct known *known;
	SCOPED_MUTEX(locked, &lock);

	AST_LIST_TRAVERSE(&names, known, entry) {
		numbers.agents += known->agent != NULL;
		numbers.others += known->agent == NULL;
	}
	return numbers;
}

/*! \brief Append an agent to a list. \return 0, or -1 when out of memory */
static int append(struct config *list, struct config_agent *agent)
{
	if (AST_VECTOR_APPEND(&list->agents, agent)) {
		return -1;
	}
	ao2_ref(agent, +1);
	return 0;
}

/*! \brief Append the agents of rows, each name once: one that was asked for in two spellings is in two entries */
static int append_rows(struct config *list)
{
	const struct known *known;
	int res = 0;

	AST_LIST_TRAVERSE(&names, known, entry) {
		struct config_agent *other = known->agent ? config_find_agent(list, known->agent->name) : NULL;

		if (known->agent && !other) {
			res |= append(list, known->agent);
		}
		ao2_cleanup(other);
	}
	return res;
}

static struct config *make_list(const struct config *config)
{
	struct config *list = config_make_empty();
	int res = 0;
	size_t i;
	SCOPED_MUTEX(locked, &lock);

	for (i = 0; list && i < AST_VECTOR_SIZE(&config->agents); i++) {
		res |= append(list, AST_VECTOR_GET(&config->agents, i));
	}
	if (list && (res || append_rows(list))) {
		ao2_ref(list, -1);
		return NULL;
	}
	if (list) {
		list->max_sessions = config->max_sessions;
	}
	return list;
}

struct config *rows_config(struct config *config)
{
	struct config *list;

	if (!config || !rows_count().agents) {
		return config;
	}
	list = make_list(config);
	ao2_ref(config, -1);
	return list;
}
