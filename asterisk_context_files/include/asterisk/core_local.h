/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */
/*!
 * \file
 * \brief Local channels
 */

#ifndef CONTEXT_CORE_LOCAL_H
#define CONTEXT_CORE_LOCAL_H

struct ast_channel;

/*! \brief The other half, with a reference, or NULL; the channel is locked */
struct ast_channel *ast_local_get_peer(struct ast_channel *ast);

#endif /* CONTEXT_CORE_LOCAL_H */
