/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief A step: the agent's tool is dialplan, and runs on the caller's own channel
 *
 * The channel thread calls all of it, and runs the dialplan itself: call.c reads and writes nothing
 * meanwhile. What the channel has of ours is given back before and taken anew behind, here alone.
 * Steps of other kinds wait for their turn here as well; channel_tool.c does them.
 */

#ifndef CALL_STEP_H
#define CALL_STEP_H

#include <stddef.h>
#include <stdint.h>

#include "call/channel_tool.h"

struct ast_frame;
struct event_source;
struct convai_step;
struct device;
struct hearing;
struct speaking;
struct telling;

/*! One call's; all pointers but waiting are borrowed from it */
struct step {
	const struct event_source *source;
	struct telling *telling;
	struct hearing *hearing;
	struct speaking *speaking;
	struct device *device;	/*!< may be NULL */
	const struct convai_step *waiting;	/*!< the engine's: taken, and not begun; NULL: none */
	struct channel_tool tool;	/*!< what is no dialplan */
	int64_t taken_us;
	unsigned int hurried:1;	/*!< the caller has pressed a key, which is for the step that waits */
};

/*! \brief Take what the agent wants done, if it can and may be. After each poll while talking. */
void step_take(struct step *step, int64_t now);

/*!
 * \brief A key has gone down or up: give it to the step that waits, if one does
 * \param frame AST_FRAME_DTMF_BEGIN or AST_FRAME_DTMF_END
 * \return 1 if it is the step's, 0 if it is the conversation's
 */
int step_takes_key(struct step *step, struct ast_frame *frame);

/*! \brief Whether the step that waits is to run: the agent has been heard out. On every wake. */
int step_is_due(const struct step *step, int64_t now);

/*!
 * \brief Run it. Blocks for as long as the dialplan takes.
 *
 * Afterwards the caller may be gone, or somebody else's: look at the channel before anything else.
 *
 * \return 0, or -1 with a sentence in reason: the channel cannot carry the conversation any more
 */
int step_run(struct step *step, char *reason, size_t size);

/*! \brief The call is over: what waits, or is being done beside it, is not done. May be called when nothing waits. */
void step_drop(struct step *step);

#endif /* CALL_STEP_H */
