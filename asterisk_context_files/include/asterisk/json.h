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
#include <stdint.h>

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
struct ast_json *ast_json_ref(struct ast_json *value);
void ast_json_free(void *p);

enum ast_json_encoding_format {
	AST_JSON_COMPACT,
};

/*! \return to be freed with ast_json_free, or NULL */
char *ast_json_dump_string_format(struct ast_json *root, enum ast_json_encoding_format format);
#define ast_json_dump_string(root) ast_json_dump_string_format(root, AST_JSON_COMPACT)
enum ast_json_type ast_json_typeof(const struct ast_json *value);
size_t ast_json_array_size(const struct ast_json *array);
/*! \return borrowed */
struct ast_json *ast_json_array_get(const struct ast_json *array, size_t index);

/*! \return borrowed, or NULL */
struct ast_json *ast_json_object_get(struct ast_json *object, const char *key);
const char *ast_json_string_get(const struct ast_json *string);
#define ast_json_object_string_get(object, key) ast_json_string_get(ast_json_object_get(object, key))

int ast_json_utf8_check(const char *str);
#define AST_JSON_UTF8_VALIDATE(str) (ast_json_utf8_check(str) ? (str) : "")

struct ast_json *ast_json_object_create(void);
struct ast_json *ast_json_string_create(const char *value);
struct ast_json *ast_json_integer_create(intmax_t value);
int ast_json_object_update(struct ast_json *object, struct ast_json *other);
int ast_json_object_set(struct ast_json *object, const char *key, struct ast_json *value);
int ast_json_object_del(struct ast_json *object, const char *key);

#endif /* CONTEXT_JSON_H */
