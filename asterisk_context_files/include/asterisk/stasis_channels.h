/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What Asterisk has published of a channel
 */

#ifndef CONTEXT_STASIS_CHANNELS_H
#define CONTEXT_STASIS_CHANNELS_H

struct ast_channel_snapshot;

struct ast_channel_snapshot *ast_channel_snapshot_get_latest(const char *uniqueid);

/*! \brief The channel is locked */
void ast_channel_publish_snapshot(struct ast_channel *chan);

#endif /* CONTEXT_STASIS_CHANNELS_H */
