/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What one section says, or one row of a database: its lines are checked, and an agent is made of them
 */

#ifndef CONFIG_LEVEL_H
#define CONFIG_LEVEL_H

#include "config/keys.h"
#include "config/pairs.h"

struct ast_variable;
struct config_agent;
struct config_report;

enum level_kind {
	LEVEL_GENERAL,	/*!< [general] */
	LEVEL_SECTION,	/*!< an agent's, in the file */
	LEVEL_ROW,	/*!< an agent's, in a database */
};

/*! The keys that one section sets, itself */
struct level {
	const char *section;
	enum level_kind kind;
	char *values[KEY_COUNT];	/*!< canonical; NULL where the section says nothing */
	/*! its lines, also where the value is not allowed */
	const struct ast_variable *origin[KEY_COUNT];
	struct config_pairs pairs;
};

/*! What a section inherits. Nothing of it is owned. */
struct level_base {
	char *const *values;	/*!< KEY_COUNT of them; where one is NULL or "" the key's preset counts */
	const struct config_pairs *pairs;
};

/*!
 * \brief Check the lines of a section, and keep what they say
 *
 * Reads files; never call it from a channel thread.
 *
 * \param section outlives the level, as the lines do
 */
void level_read(struct config_report *report, struct level *level, enum level_kind kind,
	const char *section, const struct ast_variable *lines);

void level_free(struct level *level);

/*! \brief The agent that a section makes, with a reference for the caller; NULL when out of memory */
struct config_agent *level_agent(const char *name, const struct level_base *base,
	const struct level *own);

/*!
 * \brief Report a webhook_url without its webhook_secret: nobody could tell a record that is not signed from a forged one
 * \param first where to point at if the section does not say so itself; NULL if not known
 */
void level_check_webhook(struct config_report *report, const struct config_agent *agent,
	const struct level *own, const struct ast_variable *first);

#endif /* CONFIG_LEVEL_H */
