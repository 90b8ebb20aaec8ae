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
struct ast_frame;

/*! One channel's, for as long as the application runs on it */
struct device;

/*!
 * \brief Watch a channel. Its own thread; locks it.
 * \return NULL when out of memory, which device_unwatch takes: then nothing is noticed
 */
struct device *device_watch(struct ast_channel *channel);

/*!
 * \brief Whether a control frame that was read from the channel is the mark between two devices:
 * what is read from now on is of the one that has taken the channel over
 */
int device_is_mark(const struct ast_frame *frame);

/*!
 * \brief A mark has been read. The channel's own thread.
 * \return 1, or 0 if it has been dealt with: device_take_moves
 */
int device_take_move(struct device *device);

/*!
 * \brief Whether there has been a mark that we have not read: the dialplan had the channel, and may have.
 * The channel's own thread. Those that are still to come are dealt with.
 */
int device_take_moves(struct device *device);

/*! \brief Watch it no more. Nothing of ours stays on the channel. Its own thread; locks it. */
void device_unwatch(struct device *device);

#endif /* CALL_DEVICE_H */
