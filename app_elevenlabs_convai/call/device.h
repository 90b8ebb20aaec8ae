/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The device behind a channel, and when another one takes its place
 *
 * An attended transfer, an INVITE with Replaces and a pick-up put another device into the channel
 * that we serve (a masquerade). Asterisk tells nobody but the channel's datastores.
 */

#ifndef CALL_DEVICE_H
#define CALL_DEVICE_H

struct ast_channel;

/*! One channel's, for as long as the application runs on it */
struct device;

/*!
 * \brief Watch a channel. Its own thread; locks it.
 * \return NULL when out of memory, which the others take: then nothing is noticed
 */
struct device *device_watch(struct ast_channel *channel);

/*! \brief Whether another device has taken the channel over since the last look. Any thread. */
int device_replaced(struct device *device);

/*! \brief Watch it no more. Nothing of ours stays on the channel. Its own thread; locks it. */
void device_unwatch(struct device *device);

#endif /* CALL_DEVICE_H */
