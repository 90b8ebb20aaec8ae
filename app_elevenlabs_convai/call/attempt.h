/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief From the name of an agent to the result on the channel, over a second agent if
 * the first cannot be had
 */

#ifndef CALL_ATTEMPT_H
#define CALL_ATTEMPT_H

#include "convai_ops.h"

struct ast_channel;
struct call_options;
struct ending;

/*!
 * \brief Let the caller talk with this agent, or with its fallback_agent
 *
 * Blocks until it is over. Afterwards the result is on the channel.
 *
 * \return how it ended
 */
enum convai_status attempt_run(struct ast_channel *channel, const char *name,
	const struct call_options *options);

/*! \brief Log that there is no call, and why, and leave that as the result */
void attempt_refuse(struct ast_channel *channel, const struct ending *ending);

#endif /* CALL_ATTEMPT_H */
