/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief User events of a channel
 */

#ifndef CONTEXT_STASIS_H
#define CONTEXT_STASIS_H

struct ast_channel;
struct ast_json;
struct stasis_message_type;

struct stasis_message_type *ast_multi_user_event_type(void);
/*! The channel is locked by the caller. */
void ast_multi_object_blob_single_channel_publish(struct ast_channel *chan,
	struct stasis_message_type *type, struct ast_json *blob);

#endif /* CONTEXT_STASIS_H */
