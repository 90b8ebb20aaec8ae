/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Inquiries: what commands and programs ask the loop, without a call
 *
 * An inquiry has two owners, who asks and the loop thread; the last to let go frees it. They are rare, so
 * a mutex guards the list of new ones; no audio path touches it. The answer is written before the outcome
 * is published (release) and read after it was seen (acquire).
 */

#ifndef CONVAI_INQUIRY_H
#define CONVAI_INQUIRY_H

#include <stdatomic.h>
#include <stdint.h>

#include "convai_ops.h"

struct convai_inquiry {
	atomic_uint references;		/*!< who asks, and the loop thread */
	int event_fd;			/*!< wakes who asks */
	struct convai_inquiry *next;	/*!< in the list of new ones */
	char *kind, *agent;
	struct convai_pair *pairs;
	uint32_t pair_count;
	uint32_t limit_ms;
	atomic_int given_up;		/*!< who asks waits no longer */
	char *answer;			/*!< loop thread, before the outcome */
	atomic_uint outcome;		/*!< enum convai_outcome */
};

/* ---- Whoever opens and closes the engine: any thread; with or without the engine's lock ---- */

/*! \brief Accept inquiries from now on */
void convai_inquiries_accept(void);

/*! \brief Accept no more, and fail those that the loop has not taken */
void convai_inquiries_refuse(void);

/* ---- Loop thread ---- */

/*!
 * \brief Take every new inquiry
 * \return a list, linked by next: the caller has a reference to each; NULL for none
 */
struct convai_inquiry *convai_inquiries_take(void);

/*! \brief Whether who has asked waits no longer */
static inline int convai_inquiry_given_up(struct convai_inquiry *inquiry)
{
	return atomic_load_explicit(&inquiry->given_up, memory_order_acquire);
}

/*!
 * \brief Answer, and wake who asks. Only the first answer has an effect.
 * \param outcome enum convai_outcome
 * \param answer copied
 */
void convai_inquiry_answer(struct convai_inquiry *inquiry, uint32_t outcome, const char *answer);

/*! \brief Let go of the loop thread's reference */
void convai_inquiry_unref(struct convai_inquiry *inquiry);

/* ---- Any thread but the loop's; the caller wakes the loop ---- */

/*!
 * \brief Ask what convai_ops.h says of inquire
 * \return the inquiry, or NULL with errno set as it is there
 */
struct convai_inquiry *convai_inquiry_ask(const struct convai_question *question);

/*! \brief The last word of who asks: the pointer is dead afterwards */
void convai_inquiry_leave(struct convai_inquiry *inquiry);

/* Entries of struct convai_ops */
int convai_op_inquiry_fd(const struct convai_inquiry *inquiry);
uint32_t convai_op_inquiry_poll(const struct convai_inquiry *inquiry, const char **answer);

#endif /* CONVAI_INQUIRY_H */
