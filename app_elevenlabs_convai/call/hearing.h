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
 * The channel thread calls all of it.
 */

#ifndef CALL_HEARING_H
#define CALL_HEARING_H

#include <stdint.h>

#include "call/caller.h"
#include "call/caller_clock.h"

struct ast_frame;
struct call_statistics;
struct convai_ops;
struct convai_session;
struct media;
struct watchdog;

/*! The agent's ear in one call; all pointers are borrowed from the call */
struct hearing {
	const struct convai_ops *ops;
	struct convai_session *session;
	struct media *media;
	struct watchdog *watchdog;
	struct call_statistics *statistics;
	struct caller_clock clock;	/*!< zero until hearing_begin */
	unsigned int protect_greeting:1;	/*!< the agent hears silence until its greeting is over */
};

/*! \brief The conversation is up: what was said before goes first, with its pauses */
void hearing_begin(struct hearing *hearing, int64_t now);

/*!
 * \brief A voice frame has been read. It is not kept.
 * \param verdict the agent hears it, or silence, after hearing_begin only
 */
void hearing_take(struct hearing *hearing, struct ast_frame *frame, enum caller_verdict verdict,
	int64_t now);

/*!
 * \brief See what is due though no frame has come: silence for a gap, the end of a
 * protected greeting. On every wake while the conversation is up.
 *
 * \param is_idle nothing waits to be read from the channel
 */
void hearing_look(struct hearing *hearing, int is_idle, int64_t now);

#endif /* CALL_HEARING_H */
