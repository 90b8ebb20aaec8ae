/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Members that are strings: what they look like, and nothing that fills them
 */

#ifndef CONTEXT_STRINGFIELDS_H
#define CONTEXT_STRINGFIELDS_H

#include "asterisk/vector.h"

struct ast_string_field_pool;

typedef const char *ast_string_field;

AST_VECTOR(ast_string_field_vector, const char **);

struct ast_string_field_mgr {
	ast_string_field last_alloc;
	struct ast_string_field_pool *embedded_pool;
	struct ast_string_field_vector string_fields;
};

#define AST_STRING_FIELD(name) const ast_string_field name

#define AST_DECLARE_STRING_FIELDS(field_list) \
	struct ast_string_field_pool *__field_mgr_pool; \
	field_list \
	struct ast_string_field_mgr __field_mgr

#endif /* CONTEXT_STRINGFIELDS_H */
