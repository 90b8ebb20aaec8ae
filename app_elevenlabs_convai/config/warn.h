/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Checks over the whole configuration, beyond each key by itself: what is allowed, but
 * rarely meant, and where fallback_agent leads
 */

#ifndef CONFIG_WARN_H
#define CONFIG_WARN_H

struct ast_config;
struct ast_variable;
struct config;
struct config_agent;
struct config_report;

/*! \brief Warn about an agent, at the line that is its first, or NULL */
void config_check_agent(struct config_report *report,
	const struct config_agent *agent, const struct ast_variable *first);

/*! \brief Warn, once, where nothing limits calls, neither their number nor their time */
void config_check_limits(struct config_report *report, const struct config *config);

/*! \brief Name each fallback_agent that does not exist, or that leads back to where it began */
void config_check_fallbacks(struct config_report *report, const struct ast_config *file,
	const struct config *config);

#endif /* CONFIG_WARN_H */
