/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Who else may read the keys of elevenlabs.conf, or write what it says
 */

#ifndef CONFIG_EXPOSURE_H
#define CONFIG_EXPOSURE_H

struct ast_config;
struct ast_variable;
struct config_report;

/*!
 * \brief Warn about keys that others may read, and about files that others may write
 *
 * Each line, and each file, is warned about once, however many agents have it of a template.
 */
void config_check_exposure(struct config_report *report, struct ast_config *file);

/*! \brief The same of one agent's row of a database */
void config_check_row_exposure(struct config_report *report, const char *name,
	const struct ast_variable *row);

#endif /* CONFIG_EXPOSURE_H */
