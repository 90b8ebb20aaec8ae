/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What programs are told of a call when it is over, and what is recorded of it: the same figures
 */

#ifndef CALL_CLOSING_H
#define CALL_CLOSING_H

#include <stdint.h>

#include "call/quality.h"
#include "convai_ops.h"

struct call;

/*! Of the call with the agent that was tried last; zero where none was, but for the queue */
struct closing {
	uint64_t queued_us;	/*!< in the service's queue, with all agents */
	uint64_t talked_ms;	/*!< since an agent was there */
	uint64_t agent_ms;	/*!< of the agent's audio that was played */
	uint64_t caller_ms;	/*!< of the caller's audio that was speech */
	uint64_t turns;		/*!< responses of the agent's */
	uint64_t interruptions;
	uint64_t steps;
	uint64_t tools_done;	/*!< calls of tools, steps included, that the agent was answered */
	uint64_t tools_failed;	/*!< ... with an error, or a refusal */
	uint64_t events_left_out;
	struct convai_turn_times latency;	/*!< how soon the agent has answered */
	struct quality quality;
};

/*!
 * \brief Sum a call up
 *
 * Any thread, at any time until the application returns; neither the call nor its channel is locked. What is
 * still to come is not in it.
 */
void closing_take(struct closing *closing, struct call *call);

/*! So many are told: see closing_figures */
#define CLOSING_FIGURES 19

/*! Room for one of them as text */
#define CLOSING_TEXT_SIZE 24

/*! As programs and the engine are told: names as in docs/events.md; decimal numbers, or "" for what is not known */
struct closing_figures {
	struct convai_argument figures[CLOSING_FIGURES];
	char texts[CLOSING_FIGURES][CLOSING_TEXT_SIZE];
};

/*! \brief Write them out. They borrow from both. */
void closing_write(struct closing_figures *figures, const struct closing *closing);

/*! \brief The text of one of them, which there must be */
const char *closing_figure(const struct closing_figures *figures, const char *name);

#endif /* CALL_CLOSING_H */
