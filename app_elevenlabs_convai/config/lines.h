/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The text of elevenlabs.conf and of what it includes, line by line
 *
 * Asterisk's parser logs what it does not understand and then, most of the time, skips it
 * and reports success; where it does stop, only the log knows why, and in an included file
 * it does so silently. So the lines are looked at here as well, to name every fault with
 * its place to whoever asked.
 */

#ifndef CONFIG_LINES_H
#define CONFIG_LINES_H

#include "asterisk/vector.h"	/* AST_VECTOR */

#include "config/report.h"

struct ast_variable;

/*! One text file. Owned by config_lines. */
struct config_file {
	const char *shown;	/*!< as faults name it */
	int lines;		/*!< as the parser counts them */
	int before;		/*!< of files that the same pattern included: it counts on */
	char path[];
};

/*! Where a section begins. Owned by config_lines. */
struct config_section {
	const struct config_file *file;
	int line;
	int is_template;
	char name[];
};

/*! What the text shows, and the parsed file does not. Of one thread. */
struct config_lines {
	AST_VECTOR(, struct config_file *) files;
	AST_VECTOR(, struct config_section *) sections;	/*!< in the order of the text */
	int stops;	/*!< the parser does not see all lines */
	int partial;	/*!< a program or a database has sections that are not known here */
};

/*!
 * \brief Read all lines, and report those that Asterisk would skip or stop at
 *
 * A configuration in a database has no lines, and no faults here.
 *
 * \param lines afterwards to be freed by config_lines_free, whatever happened
 */
void config_lines_check(struct config_lines *lines, struct config_report *report);

void config_lines_free(struct config_lines *lines);

/*!
 * \brief Call a function for each `key = value` line, without reporting anything
 *
 * For files that the parser gave up. The line's name and value are valid during the call.
 */
void config_lines_each(const char *file,
	void (*function)(void *data, const char *section, const struct ast_variable *line),
	void *data);

/*!
 * \brief Set file and line of a section's head
 * \return 0, or -1 if it is not known, and then place is as it was
 */
int config_lines_head(const struct config_lines *lines, const char *section,
	struct ast_variable *place);

/*! \brief The number of a parsed line in its own file */
int config_lines_number(const struct config_lines *lines, const struct ast_variable *line);

#endif /* CONFIG_LINES_H */
