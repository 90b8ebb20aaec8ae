/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Configuration files
 */

#ifndef CONTEXT_CONFIG_H
#define CONTEXT_CONFIG_H

#include "asterisk/utils.h"	/* struct ast_flags */

struct ast_category;
struct ast_comment;
struct ast_config;

struct ast_variable {
	const char *name;
	const char *value;
	struct ast_variable *next;
	const char *file;
	int lineno;
	int object;
	int blanklines;
	int inherited;
	struct ast_comment *precomments;
	struct ast_comment *sameline;
	struct ast_comment *trailing;
	char stuff[0];
};

#define CONFIG_STATUS_FILEMISSING ((void *) 0)
#define CONFIG_STATUS_FILEUNCHANGED ((void *) -1)
#define CONFIG_STATUS_FILEINVALID ((void *) -2)

struct ast_config *ast_config_load2(const char *filename, const char *who_asked,
	struct ast_flags flags);
#define ast_config_load(filename, flags) ast_config_load2(filename, AST_MODULE, flags)
void ast_config_destroy(struct ast_config *config);

struct ast_category *ast_category_browse_filtered(struct ast_config *config,
	const char *category_name, struct ast_category *prev, const char *filter);
const char *ast_category_get_name(const struct ast_category *category);
struct ast_variable *ast_category_first(struct ast_category *cat);
struct ast_variable *ast_variable_browse(const struct ast_config *config,
	const char *category_name);

void ast_variables_destroy(struct ast_variable *var);
int ast_check_realtime(const char *family);
struct ast_variable *ast_load_realtime(const char *family, ...) __attribute__((sentinel));

#endif /* CONTEXT_CONFIG_H */
