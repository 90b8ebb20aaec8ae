/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What is wrong with elevenlabs.conf, said to whoever asked for it to be read
 */

#ifndef CONFIG_REPORT_H
#define CONFIG_REPORT_H

#include <stddef.h>

#include "asterisk/vector.h"	/* AST_VECTOR */

struct ast_str;
struct ast_variable;

/*! A line with a semicolon that may have been meant to be part of its value */
struct config_suspect {
	char *path;
	int number;
	char *text;	/*!< "": all lines of the file were looked at, and this is the last one's number */
};

/*! Room for a fault in words, with its terminator: for answers of one line. What is longer is cut. */
#define CONFIG_FIRST_SIZE 512

/*!
 * Where a load says what it finds. There may be much of it: each is said as it is found.
 */
struct config_report {
	int fd;		/*!< a CLI descriptor, or -1 for the log */
	const char *file;	/*!< what is being read, or the family of a row; set by config_read */
	unsigned int in_database:1;	/*!< that comes from a database, by extconfig.conf: there are no lines, and no file */
	unsigned int faults;	/*!< of these one is enough to refuse the file */
	unsigned int warnings;
	char first[CONFIG_FIRST_SIZE];	/*!< the first fault in words; "" if there is none */
	/*! of all files that were looked at; lines.c fills it, and config_read empties it */
	AST_VECTOR(, struct config_suspect) suspects;
};

/*!
 * \brief Report something about the file, a section of it, or one of its lines
 * \param level __LOG_ERROR for a fault, __LOG_WARNING for what only deserves a look
 * \param section NULL when it concerns no section
 * \param line NULL when it concerns no single line
 */
void __attribute__((format(printf, 5, 6))) config_say(struct config_report *report,
	int level, const char *section, const struct ast_variable *line, const char *format, ...);

/*! \brief Append where that is, as it is said: "elevenlabs.conf:7 [sales]" */
void config_append_place(struct ast_str **text, const struct config_report *report,
	const char *section, const struct ast_variable *line);

/*! \brief Report what makes the file invalid */
#define config_fault(report, section, line, ...) \
	config_say(report, __LOG_ERROR, section, line, __VA_ARGS__)
/*! \brief Report what is allowed, but deserves a look */
#define config_warning(report, section, line, ...) \
	config_say(report, __LOG_WARNING, section, line, __VA_ARGS__)

/*! \brief Full path of a file as Asterisk names it, written to path */
const char *config_path(const char *file, char *path, size_t size);

/*! \brief Full path of the file that a line is of, written to path */
const char *config_line_path(const struct config_report *report, const struct ast_variable *line,
	char *path, size_t size);

/*! \brief What a fault may show of the file: the text, or words in place of what looks like a secret */
const char *config_shown(const char *text);

/*! \brief Overwrite a text that may be a secret, before it is freed; NULL is none */
void config_erase(char *text);

#endif /* CONFIG_REPORT_H */
