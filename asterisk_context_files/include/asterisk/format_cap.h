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

size_t ast_format_cap_count(const struct ast_format_cap *cap);
/*! \return with a reference */
struct ast_format *ast_format_cap_get_format(const struct ast_format_cap *cap, int position);

#endif /* CONTEXT_FORMAT_CAP_H */
