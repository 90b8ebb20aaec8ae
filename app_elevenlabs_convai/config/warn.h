/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What elevenlabs.conf may say, but rarely means to
 */

#ifndef CONFIG_WARN_H
#define CONFIG_WARN_H

struct ast_variable;
struct config;
struct config_agent;
struct config_report;

/*! \brief Warn about an agent, at the line that is its first, or NULL */
void config_warn_about_agent(struct config_report *report,
	const struct config_agent *agent, const struct ast_variable *first);

/*!
 * \brief Warn about keys in a file that every user of the machine may read
 * \param has_key whether [general] has one
 */
void config_warn_about_file(struct config_report *report, const struct config *config,
	int has_key);

#endif /* CONFIG_WARN_H */
