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
 * written meanwhile. All of it is called from the channel thread.
 */

#ifndef WAITING_H
#define WAITING_H

struct ast_channel;

/*! What the dialplan wants for one call; lives as long as the application runs */
struct call_options {
	unsigned int answer:1;		/*!< answer, now or when the agent is there */
	unsigned int connect_first:1;	/*!< answer when the agent is there */
	unsigned int ring:1;		/*!< ring until then */
	unsigned int music:1;		/*!< play music until then */
	unsigned int protect_greeting:1;	/*!< the caller cannot interrupt the greeting */
	const char *music_class;	/*!< "" for the channel's own */
};

/*! \brief Begin to ring or to play. \return 1 if there is something to hear, else 0 */
int waiting_begin(struct ast_channel *channel, const struct call_options *options);

/*! \brief Stop what waiting_begin has begun, and any tone or music of the dialplan's */
void waiting_end(struct ast_channel *channel, const struct call_options *options);

#endif /* WAITING_H */
