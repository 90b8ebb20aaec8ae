/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What the module informs the loop of: its configuration, and calls that are over
 */

#include "information.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "session.h"

/* The lock is held for a pointer or two: a channel thread may take it. */
static struct {
	pthread_mutex_t lock;
	struct convai_information *first;	/*!< newest first */
	unsigned int count;
	int accepting;
} waiting = { .lock = PTHREAD_MUTEX_INITIALIZER };

void convai_information_free(struct convai_information *information)
{
	convai_pairs_free(information->pairs, information->pair_count);
	free(information);
}

void convai_information_accept(void)
{
	pthread_mutex_lock(&waiting.lock);
	waiting.accepting = 1;
	pthread_mutex_unlock(&waiting.lock);
}

void convai_information_refuse(void)
{
	struct convai_information *each;

	pthread_mutex_lock(&waiting.lock);
	waiting.accepting = 0;
	pthread_mutex_unlock(&waiting.lock);
	each = convai_information_take();
	while (each) {
		struct convai_information *next = each->next;

		convai_information_free(each);
		each = next;
	}
}

struct convai_information *convai_information_take(void)
{
	struct convai_information *newest;
	struct convai_information *oldest = NULL;

	pthread_mutex_lock(&waiting.lock);
	newest = waiting.first;
	waiting.first = NULL;
	waiting.count = 0;
	pthread_mutex_unlock(&waiting.lock);
	while (newest) {
		struct convai_information *next = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	return oldest;
}

/*! \return 0, or what is to be in errno */
static int list(struct convai_information *information)
{
	int failure = 0;

	pthread_mutex_lock(&waiting.lock);
	if (!waiting.accepting) {
		failure = ESHUTDOWN;
	} else if (waiting.count >= CONVAI_INFORMED) {
		failure = EBUSY;
	} else {
		information->next = waiting.first;
		waiting.first = information;
		waiting.count++;
	}
	pthread_mutex_unlock(&waiting.lock);
	return failure;
}

int convai_information_put(uint32_t what, const struct convai_pair *pairs, uint32_t pair_count)
{
	struct convai_information *information = calloc(1, sizeof(*information));
	int failure = ENOMEM;

	if (!information) {
		errno = ENOMEM;
		return -1;
	}
	information->what = what;
	if (!convai_pairs_copy(pairs, pair_count, &information->pairs, &information->pair_count)) {
		failure = list(information);
	}
	if (failure) {
		convai_information_free(information);
		errno = failure;
		return -1;
	}
	return 0;
}
