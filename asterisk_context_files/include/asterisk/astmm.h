/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Memory
 */

#ifndef CONTEXT_ASTMM_H
#define CONTEXT_ASTMM_H

#include <alloca.h>
#include <stddef.h>
#include <string.h>

#include "asterisk/compiler.h"

void *__ast_calloc(size_t nmemb, size_t size, const char *file, int lineno, const char *func)
	attribute_warn_unused_result;
void *__ast_realloc(void *ptr, size_t size, const char *file, int lineno, const char *func)
	attribute_warn_unused_result;
char *__ast_strdup(const char *s, const char *file, int lineno, const char *func)
	attribute_warn_unused_result;
void __ast_free(void *ptr, const char *file, int lineno, const char *func);

#define ast_calloc(num, len) \
	__ast_calloc((num), (len), __FILE__, __LINE__, __PRETTY_FUNCTION__)
#define ast_realloc(p, len) \
	__ast_realloc((p), (len), __FILE__, __LINE__, __PRETTY_FUNCTION__)
#define ast_strdup(str) __ast_strdup((str), __FILE__, __LINE__, __PRETTY_FUNCTION__)
#define ast_free(a) __ast_free((a), __FILE__, __LINE__, __PRETTY_FUNCTION__)

#define ast_strdupa(s) ({ \
	const char *mock_text = (s); \
	size_t mock_size = strlen(mock_text) + 1; \
	(char *) memcpy(__builtin_alloca(mock_size), mock_text, mock_size); \
})

#endif /* CONTEXT_ASTMM_H */
