/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What programs ask for, and are told, over AMI
 */

#ifndef MANAGER_H
#define MANAGER_H

struct ast_channel;

/*! \brief Register the actions, unless they are. \return 0, or -1 */
int manager_register(void);

/*!
 * \brief Unregister the actions, and wait until none runs any more
 * \return 0, or -1 if one still runs when the limit is reached
 */
int manager_unregister(int limit_ms);

/*!
 * \brief Tell programs of something that has happened to a channel
 *
 * The channel thread, without a lock; waits for nothing. Behind the event's name come pairs of
 * field and value, and SENTINEL; the channel's own fields come along. When memory is short, some or
 * all of it is left out.
 */
void manager_publish(struct ast_channel *channel, const char *name, ...)
__attribute__((sentinel));

#endif /* MANAGER_H */
