/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief JSON
 */

#ifndef CONTEXT_JSON_H
#define CONTEXT_JSON_H

#include <stddef.h>

struct ast_json;
struct ast_json_error;

enum ast_json_type {
	AST_JSON_OBJECT,
	AST_JSON_ARRAY,
	AST_JSON_STRING,
	AST_JSON_INTEGER,
	AST_JSON_REAL,
	AST_JSON_TRUE,
	AST_JSON_FALSE,
	AST_JSON_NULL,
};

/*! \return a list or an object, with a reference for the caller, or NULL */
struct ast_json *ast_json_load_string(const char *input, struct ast_json_error *error);
void ast_json_unref(struct ast_json *value);
enum ast_json_type ast_json_typeof(const struct ast_json *value);
size_t ast_json_array_size(const struct ast_json *array);
/*! \return borrowed */
struct ast_json *ast_json_array_get(const struct ast_json *array, size_t index);

int ast_json_utf8_check(const char *str);
#define AST_JSON_UTF8_VALIDATE(str) (ast_json_utf8_check(str) ? (str) : "")

struct ast_json *ast_json_object_create(void);
struct ast_json *ast_json_string_create(const char *value);
int ast_json_object_set(struct ast_json *object, const char *key, struct ast_json *value);

#endif /* CONTEXT_JSON_H */
