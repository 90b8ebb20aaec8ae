/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Strings
 */

#ifndef CONTEXT_STRINGS_H
#define CONTEXT_STRINGS_H

#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/types.h>

#include "asterisk/astmm.h"

struct ast_threadstorage;

struct ast_str {
	size_t len;	/*!< bytes of room */
	size_t used;	/*!< of these, bytes in use without the terminator */
	struct ast_threadstorage *ts;	/*!< or what kind of memory it is in */
	char str[0];
};

#define DS_MALLOC ((struct ast_threadstorage *) 1)

int ast_true(const char *val);
int ast_false(const char *val);

static inline int ast_strlen_zero(const char *s)
{
	return s == NULL || *s == '\0';
}

#define S_COR(a, b, c) ({ \
	typeof(&((b)[0])) context_x = (b); \
	(a) && !ast_strlen_zero(context_x) ? context_x : (c); \
})
#define S_OR(a, b) ({ \
	__typeof__(&((a)[0])) mock_first = (a); \
	ast_strlen_zero(mock_first) ? (b) : mock_first; \
})

/*! \brief Copy as much as fits; always terminated, if there is any room */
static inline void ast_copy_string(char *dst, const char *src, size_t size)
{
	size_t length = strnlen(src, size);

	if (length == size && size) {
		length--;
	}
	memcpy(dst, src, length);
	if (size) {
		dst[length] = '\0';
	}
}

/*! A blank is a space or any control character */
static inline char *ast_skip_blanks(const char *str)
{
	while (str && *str && (unsigned char) *str <= ' ') {
		str++;
	}
	return (char *) str;
}

static inline char *ast_trim_blanks(char *str)
{
	size_t length = str ? strlen(str) : 0;

	while (length && (unsigned char) str[length - 1] <= ' ') {
		str[--length] = '\0';
	}
	return str;
}

static inline char *ast_strip(char *s)
{
	return ast_trim_blanks(ast_skip_blanks(s));
}

int __attribute__((format(printf, 4, 0))) __ast_str_helper(struct ast_str **buf,
	ssize_t max_len, int append, const char *fmt, va_list ap, const char *file,
	int lineno, const char *func);

static inline struct ast_str *_ast_str_create(size_t init_len, const char *file,
	int lineno, const char *func)
{
	struct ast_str *buf = __ast_calloc(1, sizeof(*buf) + init_len, file, lineno, func);

	if (buf) {
		buf->len = init_len;
		buf->ts = DS_MALLOC;
	}
	return buf;
}
#define ast_str_create(init_len) \
	_ast_str_create(init_len, __FILE__, __LINE__, __PRETTY_FUNCTION__)

static inline char *ast_str_buffer(const struct ast_str *buf)
{
	return buf->len ? (char *) buf->str : (char *) "";
}

static inline size_t ast_str_strlen(const struct ast_str *buf)
{
	return buf->used;
}

static inline void ast_str_reset(struct ast_str *buf)
{
	buf->used = 0;
	if (buf->len) {
		buf->str[0] = '\0';
	}
}

static inline int __attribute__((format(printf, 3, 0))) ast_str_set_va(
	struct ast_str **buf, ssize_t max_len, const char *fmt, va_list ap)
{
	return __ast_str_helper(buf, max_len, 0, fmt, ap, __FILE__, __LINE__, __func__);
}

static inline int __attribute__((format(printf, 3, 0))) ast_str_append_va(
	struct ast_str **buf, ssize_t max_len, const char *fmt, va_list ap)
{
	return __ast_str_helper(buf, max_len, 1, fmt, ap, __FILE__, __LINE__, __func__);
}

static inline int __attribute__((format(printf, 3, 4))) ast_str_set(
	struct ast_str **buf, ssize_t max_len, const char *fmt, ...)
{
	va_list ap;
	int res;

	va_start(ap, fmt);
	res = ast_str_set_va(buf, max_len, fmt, ap);
	va_end(ap);
	return res;
}

static inline int __attribute__((format(printf, 3, 4))) ast_str_append(
	struct ast_str **buf, ssize_t max_len, const char *fmt, ...)
{
	va_list ap;
	int res;

	va_start(ap, fmt);
	res = ast_str_append_va(buf, max_len, fmt, ap);
	va_end(ap);
	return res;
}

#endif /* CONTEXT_STRINGS_H */
