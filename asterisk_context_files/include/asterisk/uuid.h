/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Ids that nobody can guess
 */

#ifndef CONTEXT_UUID_H
#define CONTEXT_UUID_H

#include <stddef.h>

#define AST_UUID_STR_LEN (36 + 1)

char *ast_uuid_generate_str(char *buf, size_t size);

#endif /* CONTEXT_UUID_H */
