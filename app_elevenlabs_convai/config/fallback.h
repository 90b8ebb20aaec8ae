/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Where fallback_agent leads
 */

#ifndef CONFIG_FALLBACK_H
#define CONFIG_FALLBACK_H

struct ast_config;
struct config;
struct config_report;

/*! \brief Name each fallback_agent that does not exist, or that leads back to where it began */
void config_check_fallbacks(struct config_report *report, const struct ast_config *file,
	const struct config *config);

#endif /* CONFIG_FALLBACK_H */
