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
 */

#include "inquiry.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "session.h"

static struct {
	pthread_mutex_t lock;
	/* Under the lock */
	struct convai_inquiry *first;	/*!< newest first */
	int accepting;

	atomic_uint count;		/*!< that have not been freed */
} inquiries = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void free_inquiry(struct convai_inquiry *inquiry)
{
	atomic_fetch_sub(&inquiries.count, 1);
	convai_pairs_free(inquiry->pairs, inquiry->pair_count);
	free(inquiry->kind);
	free(inquiry->agent);
	free(inquiry->answer);
	if (inquiry->event_fd >= 0) {
		close(inquiry->event_fd);
	}
	free(inquiry);
}

void convai_inquiry_unref(struct convai_inquiry *inquiry)
{
	if (atomic_fetch_sub_explicit(&inquiry->references, 1, memory_order_acq_rel) == 1) {
		free_inquiry(inquiry);
	}
}

/*! \brief Make one, with two references. \return NULL with errno set: ENOMEM, EMFILE, EBUSY */
static struct convai_inquiry *new_inquiry(const struct convai_question *question)
{
	struct convai_inquiry *inquiry = calloc(1, sizeof(*inquiry));
	int cause;

	if (!inquiry) {
		errno = ENOMEM;
		return NULL;
	}
	inquiry->event_fd = -1;
	if (atomic_fetch_add(&inquiries.count, 1) >= CONVAI_INQUIRIES) {
		free_inquiry(inquiry);
		errno = EBUSY;
		return NULL;
	}
	atomic_init(&inquiry->references, 2);
	inquiry->limit_ms = question->limit_ms;
	inquiry->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	cause = inquiry->event_fd < 0 ? errno : ENOMEM;
	inquiry->kind = strdup(question->kind);
	inquiry->agent = strdup(question->agent);
	if (inquiry->event_fd < 0 || !inquiry->kind || !inquiry->agent
		|| convai_pairs_copy(question->pairs, question->pair_count, &inquiry->pairs,
			&inquiry->pair_count)) {
		free_inquiry(inquiry);
		errno = cause;
		return NULL;
	}
	return inquiry;
}

/* ---- Whoever opens and closes the engine ---- */

void convai_inquiries_accept(void)
{
	pthread_mutex_lock(&inquiries.lock);
	inquiries.accepting = 1;
	pthread_mutex_unlock(&inquiries.lock);
}

void convai_inquiries_refuse(void)
{
	struct convai_inquiry *inquiry;

	pthread_mutex_lock(&inquiries.lock);
	inquiries.accepting = 0;
	pthread_mutex_unlock(&inquiries.lock);
	inquiry = convai_inquiries_take();
	while (inquiry) {
		struct convai_inquiry *next = inquiry->next;

		convai_inquiry_answer(inquiry, CONVAI_OUTCOME_FAILED, "the engine has been stopped");
		convai_inquiry_unref(inquiry);
		inquiry = next;
	}
}

/* ---- Loop thread ---- */

struct convai_inquiry *convai_inquiries_take(void)
{
	struct convai_inquiry *first;

	pthread_mutex_lock(&inquiries.lock);
	first = inquiries.first;
	inquiries.first = NULL;
	pthread_mutex_unlock(&inquiries.lock);
	return first;
}

void convai_inquiry_answer(struct convai_inquiry *inquiry, uint32_t outcome, const char *answer)
{
	if (atomic_load_explicit(&inquiry->outcome, memory_order_relaxed) == CONVAI_OUTCOME_NONE) {
		inquiry->answer = strdup(answer);	/* NULL reads as "" */
		atomic_store_explicit(&inquiry->outcome, outcome, memory_order_release);
		convai_signal(inquiry->event_fd);
	}
}

/* ---- Any thread but the loop's ---- */

struct convai_inquiry *convai_inquiry_ask(const struct convai_question *question)
{
	struct convai_inquiry *inquiry = new_inquiry(question);
	int accepted;

	if (!inquiry) {
		return NULL;
	}
	pthread_mutex_lock(&inquiries.lock);
	accepted = inquiries.accepting;
	if (accepted) {
		inquiry->next = inquiries.first;
		inquiries.first = inquiry;
	}
	pthread_mutex_unlock(&inquiries.lock);
	if (!accepted) {
		free_inquiry(inquiry);
		errno = ESHUTDOWN;
		return NULL;
	}
	return inquiry;
}

int convai_op_inquiry_fd(const struct convai_inquiry *inquiry)
{
	return inquiry->event_fd;
}

uint32_t convai_op_inquiry_poll(const struct convai_inquiry *inquiry, const char **answer)
{
	uint32_t outcome = atomic_load_explicit(&inquiry->outcome, memory_order_acquire);

	*answer = outcome != CONVAI_OUTCOME_NONE && inquiry->answer ? inquiry->answer : "";
	return outcome;
}

void convai_inquiry_leave(struct convai_inquiry *inquiry)
{
	atomic_store_explicit(&inquiry->given_up, 1, memory_order_release);
	convai_inquiry_unref(inquiry);
}
