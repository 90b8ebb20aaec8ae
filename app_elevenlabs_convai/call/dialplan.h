/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief A tool that is a subroutine of the dialplan: its arguments, and what it leaves
 *
 * The thread that serves the channel calls all of it: the channel thread for a step, one of the pool's
 * for a tool beside the call.
 */

#ifndef CALL_DIALPLAN_H
#define CALL_DIALPLAN_H

#include <stddef.h>
#include <stdint.h>

struct ast_channel;
struct convai_step;

/*! \brief Whether the tool is an extension of this context, for whoever calls on this channel */
int dialplan_has(struct ast_channel *channel, const char *context, const char *tool);

/*!
 * \brief Run the tool by Gosub, and say what the agent is to be told. Blocks for as long as it takes.
 * \param runs_on whether it runs to its end although the channel is hung up meanwhile
 * \return enum convai_step_outcome
 */
uint32_t dialplan_run(struct ast_channel *channel, const char *context, const struct convai_step *what,
	int runs_on, char *result, size_t size);

#endif /* CALL_DIALPLAN_H */
