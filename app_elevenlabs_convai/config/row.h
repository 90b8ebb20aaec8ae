/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief An agent out of a row of a database, by the very checks of a section of elevenlabs.conf
 */

#ifndef CONFIG_ROW_H
#define CONFIG_ROW_H

struct ast_variable;
struct config;
struct config_agent;
struct config_report;

/*!
 * \brief Make an agent of a row, whose columns are keys
 *
 * The columns `name` and `id` are the table's own. What a row does not set it inherits from [general].
 * Reads files; never call it from a channel thread.
 *
 * \param config the snapshot whose [general] counts
 * \param asked the name by which the row was asked for
 * \return the agent, with a reference for the caller; NULL after at least one fault was reported
 */
struct config_agent *config_read_row(struct config_report *report, const struct config *config,
	const char *asked, const struct ast_variable *row);

#endif /* CONFIG_ROW_H */
