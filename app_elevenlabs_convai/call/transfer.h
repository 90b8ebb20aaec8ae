/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */
/*!
 * \file
 * \brief The caller goes elsewhere because the agent has said so, as far as transfer_allow lets it
 *
 * The channel thread calls all of it. Nothing waits: the far end's answer to a REFER is read as any other
 * frame.
 */

#ifndef CALL_TRANSFER_H
#define CALL_TRANSFER_H

#include <stddef.h>
#include <stdint.h>

#include "config/destinations.h"

struct ast_channel;
struct ast_frame;
struct config_agent;
struct convai_step;

/*! A destination that is allowed */
struct transfer {
	char exten[DESTINATION_NAME_SIZE];
	char place[DESTINATION_PLACE_SIZE];	/*!< the context, or the host; "" for a host that is not said */
	int priority;
	unsigned int by_refer:1;	/*!< the caller's line is asked to call there */
};

/*! \brief What the agent has given under this name, or "" */
const char *transfer_argument(const struct convai_step *what, const char *name);

/*!
 * \brief See where a destination is
 * \param why what the agent is told if it is not to be
 * \return enum convai_step_outcome: CONVAI_STEP_DONE if the transfer may be made
 */
uint32_t transfer_find(struct transfer *transfer, struct ast_channel *channel,
	const struct config_agent *agent, const char *destination, char *why, size_t size);

/*!
 * \brief Send the caller there: the channel itself, or whoever is bridged to it through a Local channel
 *
 * The application is to return then. A redirect by others that is under way goes before.
 *
 * \return 0, or -1 with a sentence in why; "" if the channel is wanted elsewhere
 */
int transfer_blind(const struct transfer *transfer, struct ast_channel *channel,
	const struct convai_step *what, char *why, size_t size);

/*!
 * \brief Ask the caller's line to call there. It answers with a frame, or never.
 * \return 0, or -1 with a sentence in why: it cannot be asked
 */
int transfer_refer(const struct transfer *transfer, struct ast_channel *channel, char *why, size_t size);

/*! \brief Leave reason and summary on the channel that has been transferred */
void transfer_set_words(struct ast_channel *channel, const struct convai_step *what);

/*!
 * \brief The far end's answer to a REFER
 * \param frame AST_FRAME_CONTROL
 * \return 0: it has called there, and was answered; -1: this is no answer, or not the last; else why not: a
 *         SIP status, or 1 if that is not known
 */
int transfer_answer(const struct ast_frame *frame);

#endif /* CALL_TRANSFER_H */
