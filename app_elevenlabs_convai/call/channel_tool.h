/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */
/*!
 * \file
 * \brief Steps that are no dialplan: a transfer, tones, a variable
 *
 * The channel thread calls all of it. The conversation goes on beside one that takes time, but for the
 * agent's voice, which waits while tones are sent. Each that has begun is ended here.
 */

#ifndef CALL_CHANNEL_TOOL_H
#define CALL_CHANNEL_TOOL_H

#include <stddef.h>
#include <stdint.h>

#include "call/ending.h"
#include "call/tones.h"
#include "call/transfer.h"

struct ast_frame;
struct convai_step;
struct event_source;
struct telling;

/*! One call's; zero at first, but for source and telling, which are borrowed from the call */
struct channel_tool {
	const struct event_source *source;
	struct telling *telling;
	const struct convai_step *what;	/*!< the engine's: being done; NULL: nothing is */
	struct transfer transfer;	/*!< of what was checked last */
	struct tones tones;
	int64_t asked_us;	/*!< when a REFER was sent that is waited for */
	unsigned int refer_open:1;	/*!< the far end owes an answer to a REFER, waited for or not */
	unsigned int transferred:1;	/*!< the caller is elsewhere, or will be when the application returns */
	char reason[ENDING_REASON_SIZE];	/*!< then: a sentence for the ending */
};

/*!
 * \brief Whether a step may be done
 * \param why what the agent is told if it may not
 * \return enum convai_step_outcome: CONVAI_STEP_DONE if it may
 */
uint32_t channel_tool_check(struct channel_tool *tool, const struct convai_step *what, char *why,
	size_t size);

/*! \brief Whether a step takes the caller away from this channel, and with them what they press */
int channel_tool_takes_keys(const struct channel_tool *tool, const struct convai_step *what);

/*! \brief Begin a step that may be done, and for which begin_step has been called */
void channel_tool_begin(struct channel_tool *tool, const struct convai_step *what, int64_t now);

/*! \brief Do what is due. On every wake while talking. */
void channel_tool_look(struct channel_tool *tool, int64_t now);

/*! \brief Take a control frame: it may be a far end's answer */
void channel_tool_take(struct channel_tool *tool, const struct ast_frame *frame);

/*! \brief Another device has the channel: it knows nothing of what the one before was sent, or asked for */
void channel_tool_move(struct channel_tool *tool);

/*! \brief Whether tones are being sent: what is written meanwhile would be lost */
static inline int channel_tool_sounds(const struct channel_tool *tool)
{
	return tool->tones.busy;
}

/*! \brief The call is over: end what is being done. May be called when nothing is. */
void channel_tool_drop(struct channel_tool *tool);

#endif /* CALL_CHANNEL_TOOL_H */
