/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief One line of elevenlabs.conf: between config_lines.c, which reads the files, and
 * config_syntax.c, which knows what a line may be
 */

#ifndef CONFIG_SYNTAX_H
#define CONFIG_SYNTAX_H

#include "config/keys.h"
#include "config/lines.h"

/*! Longest line that Asterisk's parser takes, with its terminator */
#define LINE_SIZE 8192
/*! Longest name of a section that it keeps, with its terminator */
#define SECTION_SIZE 80

/*! One pass over all files */
struct walk {
	struct config_lines *lines;
	const char *name;		/*!< of the first file, as it was asked for */
	struct config_report *report;	/*!< NULL: say nothing */
	void (*each)(void *data, const char *section, const struct ast_variable *line);
	void *data;
	/*! of whichever file is read; no longer needed when a line includes another */
	char line[LINE_SIZE];
};

/*! One file while it is read */
struct reader {
	struct walk *walk;
	const struct reader *parent;	/*!< whose line included this, or NULL */
	const struct config_file *file;
	unsigned int depth;
	int number;		/*!< of the line */
	int lines;		/*!< of the whole file, when it is read */
	unsigned int comments;	/*!< `;--` that are open */
	int comment_number;	/*!< where the outermost was opened */
	int in_section;
	char section[SECTION_SIZE];
	int key_numbers[KEY_COUNT];	/*!< lines since the section's head */
};

/*! \brief Report something about the line, unless nothing is to be said */
#define say(reader, level, section, ...) do { \
	if ((reader)->walk->report) { \
		config_say((reader)->walk->report, level, section, (reader)->file->shown, \
			(reader)->number, __VA_ARGS__); \
	} \
} while (0)

/*! \brief Report a line that Asterisk would skip */
#define fault(reader, ...) say(reader, __LOG_ERROR, NULL, __VA_ARGS__)

/*! \brief Report a line behind which Asterisk reads no further in this file */
#define stop(reader, ...) do { \
	(reader)->walk->lines->stops = 1; \
	fault(reader, __VA_ARGS__); \
} while (0)

/*!
 * \brief Check a line, and take what it says into the tables
 * \param line is written to, and no longer needed when the line includes a file
 */
void config_check_line(struct reader *reader, char *line);

/* ---- What config_lines.c does for a line ---- */

/*! \brief Read a file, or several, where a directive says so */
void config_include(struct reader *reader, const char *name, int optional);

/*! \brief The last section of this name, also a template if wanted, or NULL */
const struct config_section *config_find_section(const struct config_lines *lines,
	const char *name, int template_too);

/*! \brief Report it. \return NULL */
void *config_out_of_memory(const struct walk *walk);

#endif /* CONFIG_SYNTAX_H */
