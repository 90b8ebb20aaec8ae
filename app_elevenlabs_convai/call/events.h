/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What programs are told of a call over AMI
 */

#ifndef CALL_EVENTS_H
#define CALL_EVENTS_H

struct ast_channel;

/*!
 * \brief Tell programs of something that has happened to a channel
 *
 * The channel thread, without a lock; waits for nothing. Behind the event's name
 * come pairs of field and value, and SENTINEL; the channel's own fields come along. When
 * memory is short, some or all of it is left out.
 */
void events_publish(struct ast_channel *channel, const char *name, ...)
__attribute__((sentinel));

#endif /* CALL_EVENTS_H */
