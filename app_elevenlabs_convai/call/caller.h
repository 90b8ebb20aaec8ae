/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The caller's side of a call: what of the caller's audio the agent hears, and why
 * the caller has gone
 *
 * Facts come in, verdicts go out; call.c acts on them. The channel thread calls all of it.
 */

#ifndef CALL_CALLER_H
#define CALL_CALLER_H

#include <stdint.h>

#include "call/ending.h"

/*! What becomes of one of the caller's voice frames */
enum caller_verdict {
	CALLER_PUSH,	/*!< the agent hears it */
	CALLER_MUTE,	/*!< the agent hears silence of its length */
	CALLER_KEEP,	/*!< no agent is there yet: the pre-roll keeps it */
	CALLER_DROP,	/*!< nobody hears it */
};

/*! One call's; zero at first */
struct caller {
	unsigned int on_hold:1;	/*!< the caller's telephone has put us on hold */
};

/*!
 * \brief A voice frame has come: say what becomes of it
 * \param state enum convai_state of the conversation
 * \param is_tone the frame is, or may be, the tone of a key
 */
enum caller_verdict caller_voice(const struct caller *caller, uint32_t state, int is_tone);

/*! \brief A control frame has come. \param control enum ast_control_frame_type */
void caller_control(struct caller *caller, int control);

/*!
 * \brief Say why the channel gives nothing any more
 *
 * The caller is gone, sent elsewhere, or the module is to go.
 *
 * \param flags the channel's soft hang-up flags
 * \param by_operator `elevenlabs hangup` ended the call
 */
void caller_left(int flags, int by_operator, struct ending *ending);

#endif /* CALL_CALLER_H */
