/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Formats that are always there
 */

#ifndef CONTEXT_FORMAT_CACHE_H
#define CONTEXT_FORMAT_CACHE_H

#include "asterisk/format.h"

extern struct ast_format *ast_format_ulaw;
extern struct ast_format *ast_format_alaw;
/*! What a channel has before it has any */
extern struct ast_format *ast_format_none;

struct ast_format *ast_format_cache_get_slin_by_rate(unsigned int rate);
int ast_format_cache_is_slinear(struct ast_format *format);

#endif /* CONTEXT_FORMAT_CACHE_H */
