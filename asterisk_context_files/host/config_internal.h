/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Configuration files: between config.c, which reads them, and config_parse.c, which
 * knows what a line may be
 */

#ifndef CONFIG_INTERNAL_H
#define CONFIG_INTERNAL_H

#include "host_internal.h"

#define LINE_SIZE 8192
#define MAX_DEPTH 10

/*! What parsing a file comes to */
enum parsed {
	PARSED,
	PARSED_NOTHING,		/*!< there is no file, or none that can be read */
	PARSED_PARTLY,		/*!< up to the line that is said in the log */
};

struct ast_category {
	char name[80];
	int is_template;
	struct ast_variable *first;
	struct ast_variable *last;
	struct ast_category *next;
};

struct included {
	char name[256];
	unsigned int count;
	struct included *next;
};

struct ast_config {
	struct ast_category *first;
	struct ast_category *last;
	struct ast_category *current;	/*!< while parsing */
	struct included *included;	/*!< what lines of the files have named */
	unsigned int depth;	/*!< of includes */
	const char *path;	/*!< while parsing: of the file */
	int number;		/*!< while parsing: of the line */
};

void __attribute__((format(printf, 1, 2))) host_complain(const char *format, ...);
/*! \brief Say what is wrong with the line that is parsed, as Asterisk's log does */
#define COMPLAIN(config, format, ...) \
	host_complain(format ", line %d of %s\n", ##__VA_ARGS__, (config)->number, \
		(config)->path)

/*! \brief One that is no template, as most who ask for a section mean */
struct ast_category *host_category_find(const struct ast_config *config, const char *name);

/*! \param called what its lines give as their file; NULL for its path */
enum parsed host_parse_file(struct ast_config *config, const char *name,
	const char *called);

/*! \param file as the variables of this line are to name it */
int host_parse_line(struct ast_config *config, const char *file, char *line);

/*! \brief Cut the line where its comment begins, and leave out what a comment block covers */
void host_uncomment(char *line, int *depth);

#endif /* CONFIG_INTERNAL_H */
