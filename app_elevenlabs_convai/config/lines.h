/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What a line of elevenlabs.conf says that was hardly meant: quotes around its value, or a
 * semicolon in it
 *
 * Asterisk's parser stays the only one. It gives a value with the quotes that stand around it, and
 * without what stands behind a semicolon. The second can only be seen in the file: so its lines are
 * looked at once more, and nothing is made of them but a warning.
 */

#ifndef CONFIG_LINES_H
#define CONFIG_LINES_H

struct ast_variable;
struct config_report;

/*! What quotes mean in a value */
enum config_line_kind {
	CONFIG_LINE_WORD,	/*!< a word, a number, a path: there is none at either end */
	CONFIG_LINE_TEXT,	/*!< they may be meant, but hardly around all of it */
	CONFIG_LINE_JSON,	/*!< the straight double ones are part of it */
};

/*! \brief Warn about what a line says that was hardly meant. The value is not shown. */
void config_check_line(struct config_report *report, const char *section,
	const struct ast_variable *line, enum config_line_kind kind);

/*! \brief Forget what was seen in the files; before a report ends */
void config_lines_free(struct config_report *report);

#endif /* CONFIG_LINES_H */
