/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Version of Asterisk
 */

#ifndef CONTEXT_AST_VERSION_H
#define CONTEXT_AST_VERSION_H

const char *ast_get_version(void);

#endif /* CONTEXT_AST_VERSION_H */
