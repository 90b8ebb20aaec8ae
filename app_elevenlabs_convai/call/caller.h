/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The caller's side of a call: what comes from the channel, and how it ends
 *
 * All of it is called from the channel thread.
 */

#ifndef CALLER_H
#define CALLER_H

#include <stdint.h>

struct ast_frame;
struct call;

/*!
 * \brief Read what has come from the channel, and pass it on
 * \return length of the voice frame that was read, in microseconds, or 0
 */
int64_t caller_read(struct call *call);

/*! \brief Give the agent a voice frame in the caller format. A call, as media_preroll_drain has it. */
void caller_push(void *data, struct ast_frame *frame);

/*! \brief Give the agent silence for the time in which no voice frame came. On every wake. */
void caller_fill_gap(struct call *call, int64_t now);

/*!
 * \brief End the call because the channel gives nothing any more
 *
 * The caller is gone, sent elsewhere, or the module is to go.
 */
void caller_left(struct call *call);

#endif /* CALLER_H */
