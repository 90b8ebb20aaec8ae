/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What the caller hears while the agent is not there yet
 *
 * Asterisk's own tones and music, on the channel's own generator: no frame of ours is
 * written meanwhile. While the service has the call in its queue, its hold audio may take
 * their place. All of it is called from the channel thread.
 */

#ifndef CALL_WAITING_H
#define CALL_WAITING_H

struct ast_channel;
struct call_options;

/*! \brief Begin to ring or to play. \return 1 if there is something to hear, else 0 */
int waiting_begin(struct ast_channel *channel, const struct call_options *options);

/*!
 * \brief From now on the caller hears audio that we write: hold audio of the service's
 *
 * Ringing ends; a channel that is not answered is told to carry early media, where it can.
 */
void waiting_yield(struct ast_channel *channel);

/*! \brief Stop what waiting_begin has begun, and any tone or music of the dialplan's */
void waiting_end(struct ast_channel *channel, const struct call_options *options);

#endif /* CALL_WAITING_H */
