/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What a reload has changed, said to whoever asked for it
 *
 * Snapshots do not change, so nothing here takes a lock.
 */

#include "asterisk.h"

#include "asterisk/astobj2.h"	/* references to agents */
#include "asterisk/cli.h"	/* ast_cli, ESS */
#include "asterisk/strings.h"	/* ast_str */

#include "config/config.h"
#include "config/diff.h"
#include "config/report.h"
#include "door.h"

/*! Enough for the names of a few keys; it grows */
#define KEYS_SIZE 128

static void __attribute__((format(printf, 2, 3))) say_line(int fd, const char *format, ...)
{
	char line[CONFIG_VALUE_SIZE];
	va_list ap;

	va_start(ap, format);
	vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	if (fd >= 0) {
		door_cli(fd, "  %s\n", line);
	} else {
		door_log(LOG_NOTICE, "ElevenLabs configuration: %s\n", line);
	}
}

static int has_agent(const struct config *config, const char *name)
{
	struct config_agent *agent = config_find_agent(config, name);

	ao2_cleanup(agent);
	return agent != NULL;
}

/*! \brief Say which agents one snapshot has and the other has not. \return how many */
static unsigned int say_missing(const struct config *in, const struct config *not_in,
	const char *what, int fd)
{
	unsigned int count = 0;
	size_t i;

	for (i = 0; i < AST_VECTOR_SIZE(&in->agents); i++) {
		const char *name = AST_VECTOR_GET(&in->agents, i)->name;

		if (!has_agent(not_in, name)) {
			say_line(fd, "%s: %s", what, name);
			count++;
		}
	}
	return count;
}

/*! \brief Append a name to a list; nothing if there was no memory for the list */
static void add_name(struct ast_str **names, int count, const char *prefix, const char *name)
{
	if (*names) {
		ast_str_append(names, 0, "%s%s%s", count ? ", " : "", prefix, name);
	}
}

/*! \brief Name the pairs of one snapshot that the other one lacks, or has with another value */
static int add_pairs(struct ast_str **names, int count, const struct config_pairs *pairs,
	const struct config_pairs *others, int only_missing)
{
	size_t i;

	for (i = 0; i < AST_VECTOR_SIZE(pairs); i++) {
		const struct convai_pair *pair = AST_VECTOR_GET_ADDR(pairs, i);
		const char *other = config_pairs_value(others, pair->kind, pair->name);

		if (!other || (!only_missing && strcmp(other, pair->value))) {
			add_name(names, count++, config_pairs_prefix(pair->kind), pair->name);
		}
	}
	return count;
}

static int key_differs(const struct config_agent *before, const struct config_agent *after,
	enum config_key_id id)
{
	if (id == KEY_MAX_SESSIONS) {
		/* What is inherited is the limit of all agents, and not of this one. */
		return before->max_sessions != after->max_sessions;
	}
	return strcmp(before->values[id], after->values[id]);
}

/*!
 * \brief Say which keys of an agent have changed
 *
 * If there is no memory for their names, say that some have.
 *
 * \return whether any has
 */
static int say_agent(const struct config_agent *before, const struct config_agent *after,
	int fd)
{
	struct ast_str *keys = ast_str_create(KEYS_SIZE);
	int count = 0;
	size_t i;

	for (i = 0; i < KEY_COUNT; i++) {
		if (key_differs(before, after, i)) {
			add_name(&keys, count++, "", config_keys[i].name);
		}
	}
	count = add_pairs(&keys, count, &after->pairs, &before->pairs, 0);
	count = add_pairs(&keys, count, &before->pairs, &after->pairs, 1);
	if (count) {
		say_line(fd, "changed: %s (%s)", after->name, keys ? ast_str_buffer(keys) : "...");
	}
	ast_free(keys);
	return count;
}

/*! \brief Say which agents of both snapshots have changed. \return how many */
static unsigned int say_changed(const struct config *before, const struct config *after,
	int fd)
{
	unsigned int count = 0;
	size_t i;

	for (i = 0; i < AST_VECTOR_SIZE(&after->agents); i++) {
		const struct config_agent *agent = AST_VECTOR_GET(&after->agents, i);
		struct config_agent *other = config_find_agent(before, agent->name);

		count += other && say_agent(other, agent, fd);
		ao2_cleanup(other);
	}
	return count;
}

/*! \brief Say which keys have changed that [general] alone may have. \return whether any has */
static int say_general(const struct config *before, const struct config *after, int fd)
{
	struct ast_str *keys = ast_str_create(KEYS_SIZE);
	int count = 0;
	size_t i;

	if (before->max_sessions != after->max_sessions) {
		add_name(&keys, count++, "", config_keys[KEY_MAX_SESSIONS].name);
	}
	for (i = 0; i < KEY_COUNT; i++) {
		if (strcmp(S_OR(before->general[i], ""), S_OR(after->general[i], ""))) {
			add_name(&keys, count++, "", config_keys[i].name);
		}
	}
	if (count) {
		say_line(fd, "changed: [general] (%s)", keys ? ast_str_buffer(keys) : "...");
	}
	ast_free(keys);
	return count;
}

void config_diff(const struct config *before, const struct config *after, int fd)
{
	unsigned int count = say_missing(after, before, "added", fd);

	count += say_missing(before, after, "removed", fd);
	count += say_changed(before, after, fd);
	count += say_general(before, after, fd);
	if (!count) {
		say_line(fd, "nothing changed");
	}
}

static void say_success(size_t agents, int fd)
{
	if (fd >= 0) {
		door_cli(fd, "ElevenLabs configuration reloaded successfully: %zu agent%s\n", agents,
			ESS(agents));
	} else {
		door_log(LOG_NOTICE, "ElevenLabs configuration reloaded successfully: %zu agent%s\n",
			agents, ESS(agents));
	}
}

int config_reload(struct config_report *report)
{
	struct config_change change;

	if (config_load(report, &change)) {
		return -1;
	}
	say_success(AST_VECTOR_SIZE(&change.after->agents), report->fd);
	if (change.before) {
		config_diff(change.before, change.after, report->fd);
	}
	config_change_release(&change);
	return 0;
}
