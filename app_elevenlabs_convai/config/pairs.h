/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Lines of elevenlabs.conf that each agent may have any number of: dynamic variables
 * and overrides
 *
 * var_NAME, json_NAME and override_NAME say for every call what the channel variables
 * ELEVENLABS_VAR_NAME, ELEVENLABS_JSON_NAME and ELEVENLABS_OVERRIDE_NAME say for one.
 */

#ifndef CONFIG_PAIRS_H
#define CONFIG_PAIRS_H

#include "asterisk/vector.h"	/* AST_VECTOR */

#include "convai_ops.h"

struct ast_variable;
struct config_report;

/*! Owns names and values; of one name are one override and one variable at most */
AST_VECTOR(config_pairs, struct convai_pair);

/*!
 * \brief Take a line, if it is such a one, or report what is wrong with it
 * \return 0 if it is another line
 */
int config_pairs_read_line(struct config_pairs *pairs, struct config_report *report,
	const char *section, const struct ast_variable *line);

/*! \brief Copy what is not there yet. \return 0, or -1 when out of memory */
int config_pairs_inherit(struct config_pairs *pairs, const struct config_pairs *more);

/*! \brief The value of this kind and name, or NULL */
const char *config_pairs_value(const struct config_pairs *pairs, uint32_t kind,
	const char *name);

/*! \brief What a pair's key is called in the file, before its name, such as "var_" */
const char *config_pairs_prefix(uint32_t kind);

/*! \brief Whether there is an override of this name */
int config_override_exists(const char *name);

void config_pairs_free(struct config_pairs *pairs);

#endif /* CONFIG_PAIRS_H */
