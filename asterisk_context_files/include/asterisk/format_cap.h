/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Sets of formats
 */

#ifndef CONTEXT_FORMAT_CAP_H
#define CONTEXT_FORMAT_CAP_H

#include <stddef.h>

struct ast_format;
struct ast_format_cap;

enum ast_format_cap_flags {
	AST_FORMAT_CAP_FLAG_DEFAULT = 0,
};

/*! \brief An empty one, with a reference for the caller, or NULL */
struct ast_format_cap *__ast_format_cap_alloc(enum ast_format_cap_flags flags, const char *tag,
	const char *file, int line, const char *func);
#define ast_format_cap_alloc(flags) \
	__ast_format_cap_alloc((flags), "ast_format_cap_alloc", __FILE__, __LINE__, __PRETTY_FUNCTION__)
int __ast_format_cap_append(struct ast_format_cap *cap, struct ast_format *format,
	unsigned int framing, const char *tag, const char *file, int line, const char *func);
#define ast_format_cap_append(cap, format, framing) \
	__ast_format_cap_append((cap), (format), (framing), "ast_format_cap_append", __FILE__, __LINE__, \
		__PRETTY_FUNCTION__)

size_t ast_format_cap_count(const struct ast_format_cap *cap);
/*! \return with a reference */
struct ast_format *ast_format_cap_get_format(const struct ast_format_cap *cap, int position);

#endif /* CONTEXT_FORMAT_CAP_H */
