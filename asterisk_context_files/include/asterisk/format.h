/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Formats of media
 */

#ifndef CONTEXT_FORMAT_H
#define CONTEXT_FORMAT_H

#include "asterisk/codec.h"

struct ast_format;

enum ast_format_cmp_res {
	AST_FORMAT_CMP_EQUAL = 0,
	AST_FORMAT_CMP_NOT_EQUAL,
	AST_FORMAT_CMP_SUBSET,
};

enum ast_format_cmp_res ast_format_cmp(const struct ast_format *format1,
	const struct ast_format *format2);
unsigned int ast_format_get_sample_rate(const struct ast_format *format);
enum ast_media_type ast_format_get_type(const struct ast_format *format);
const char *ast_format_get_name(const struct ast_format *format);

#endif /* CONTEXT_FORMAT_H */
