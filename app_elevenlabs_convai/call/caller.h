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

/*! The caller's, whoever the agent is: a call with another agent takes it over. Zero at first */
struct caller {
	unsigned int on_hold:1;	/*!< the caller's device has put us on hold */
};

/*!
 * \brief A voice frame has come: say what becomes of it
 * \param state enum convai_state of the conversation
 * \param is_tone the frame is, or may be, the tone of a key
 */
enum caller_verdict caller_voice(const struct caller *caller, uint32_t state, int is_tone);

/*!
 * \brief A control frame has come
 * \param control enum ast_control_frame_type
 * \return 1 if on_hold has changed by it
 */
int caller_control(struct caller *caller, int control);

/*! \brief Why a channel gives nothing any more */
struct caller_facts {
	int flags;			/*!< its soft hang-up flags */
	unsigned int taken_away:1;	/*!< its device has been put into another channel */
	unsigned int unloading:1;	/*!< the module is to go */
	unsigned int by_operator:1;	/*!< `elevenlabs hangup` ended the call */
};

/*!
 * \brief Say why the channel gives nothing any more
 *
 * The caller is gone, sent elsewhere, or the module is to go.
 */
void caller_left(const struct caller_facts *facts, struct ending *ending);

#endif /* CALL_CALLER_H */
