/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief UTF-8
 */

#ifndef CONTEXT_UTF8_H
#define CONTEXT_UTF8_H

#include <stddef.h>

int ast_utf8_is_valid(const char *str);
/*! \brief Copy whole characters, up to what does not fit or is not UTF-8 */
void ast_utf8_copy_string(char *dst, const char *src, size_t size);

#endif /* CONTEXT_UTF8_H */
