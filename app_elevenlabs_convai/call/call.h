/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief One call with an agent, from the moment it is admitted to the status it ends
 * with
 */

#ifndef CALL_CALL_H
#define CALL_CALL_H

#include "call/struct_call.h"

/*! \brief A call that has not begun, or NULL when out of memory */
struct call *call_make(struct ast_channel *channel, struct config_agent *agent,
	const struct convai_ops *ops);

/*!
 * \brief Answer and connect, in the order that is wanted, talk, and clean up behind it
 *
 * Blocks the channel thread until the call with the agent is over. Afterwards the ending
 * and conversation_id are set, the session is released and the channel has its formats
 * back.
 */
void call_run(struct call *call, const struct call_options *options);

#endif /* CALL_CALL_H */
