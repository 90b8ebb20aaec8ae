/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief A step of one session on its way: from the loop thread to the channel thread, and back
 *
 * One slot with one state, and one thread that may change it next:
 *
 *   FREE -> OFFERED            loop     convai_step_offer
 *   OFFERED -> TAKEN           channel  convai_step_take
 *   OFFERED -> FREE            loop     convai_step_withdraw: nobody has taken it
 *   TAKEN -> GIVEN_UP          loop     convai_step_withdraw: it may not begin any more
 *   TAKEN -> RUNNING           channel  convai_step_begin
 *   any that is taken -> OVER  channel  convai_step_end
 *   OVER -> FREE               loop     convai_step_collect
 *
 * What a state tells of is written before it (release) and read behind it (acquire). Nothing waits.
 */

#ifndef CONVAI_STEP_H
#define CONVAI_STEP_H

#include <stdatomic.h>
#include <stdint.h>

#include "convai_ops.h"

enum convai_step_state {
	CONVAI_STEP_FREE = 0,
	CONVAI_STEP_OFFERED = 1,
	CONVAI_STEP_TAKEN = 2,
	CONVAI_STEP_GIVEN_UP = 3,
	CONVAI_STEP_RUNNING = 4,
	CONVAI_STEP_OVER = 5,
};

/*! One session's; zero at first */
struct convai_step_slot {
	atomic_uint state;		/*!< enum convai_step_state */
	struct convai_step *step;	/*!< owned; NULL while free */
	int64_t began_us, ended_us;	/*!< CLOCK_MONOTONIC; 0: it has not run */
	uint32_t outcome;		/*!< enum convai_step_outcome */
	char *result;			/*!< owned; NULL reads as "" */
};

static inline uint32_t convai_step_state(const struct convai_step_slot *slot)
{
	return atomic_load_explicit(&slot->state, memory_order_acquire);
}

/* ---- Loop thread ---- */

/*!
 * \brief Offer a step, all of which is copied; the caller wakes the channel thread
 * \param kind enum convai_step_kind
 * \param arguments name, value, name, value ...
 * \return 0, or -1: the slot is not free, or memory is short
 */
int convai_step_offer(struct convai_step_slot *slot, uint32_t kind, const char *tool,
	const char *const *arguments, uint32_t argument_count);

/*! \brief Take it back. \return 1 if it has not begun and never will, 0 if it is too late */
int convai_step_withdraw(struct convai_step_slot *slot);

/*! \brief Make the slot free again once the step is over. Outcome and result must have been read. */
void convai_step_collect(struct convai_step_slot *slot);

/* ---- Channel thread ---- */

/*! As convai_ops.h says of take_step, begin_step and end_step */
const struct convai_step *convai_step_take(struct convai_step_slot *slot);
int convai_step_begin(struct convai_step_slot *slot);
void convai_step_end(struct convai_step_slot *slot, uint32_t outcome, const char *result);

/* ---- Any thread ---- */

/*!
 * \brief A step, its arguments and all texts in one piece of memory, which free frees
 * \param kind enum convai_step_kind
 * \param texts name, value, name, value ...
 * \return it, or NULL when memory is short
 */
struct convai_step *convai_step_copy(uint32_t kind, const char *tool, const char *const *texts,
	uint32_t argument_count);

/* ---- The last owner of the session ---- */

void convai_step_free(struct convai_step_slot *slot);

#endif /* CONVAI_STEP_H */
