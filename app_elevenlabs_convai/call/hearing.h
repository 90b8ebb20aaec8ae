/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief From the caller to the agent: what is heard of each frame, and silence for those
 * that do not come
 *
 * The channel thread calls all of it, in state TALKING where nothing else is said.
 */

#ifndef CALL_HEARING_H
#define CALL_HEARING_H

#include <stdint.h>

struct ast_frame;
struct call;

/*! \brief The conversation is up: what was said before goes first, with its pauses */
void hearing_begin(struct call *call, int64_t now);

/*! \brief A voice frame has been read, in any state. It is not kept. */
void hearing_take(struct call *call, struct ast_frame *frame, int64_t now);

/*!
 * \brief See what is due though no frame has come: silence for a gap, the end of a
 * protected greeting. On every wake.
 */
void hearing_look(struct call *call, int64_t now);

#endif /* CALL_HEARING_H */
