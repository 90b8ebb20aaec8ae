/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Threads that are held up at random: what a test takes for an order of threads, and is none, shows
 *
 * HOST_JITTER is the longest delay in ms of real time, none if it is not set. Virtual time stands still meanwhile.
 */

#include "host_internal.h"

/*! A thread passes so many places for each delay: one of these, as it is drawn; some threads are slow and some are not */
static const unsigned int passes[] = { 1, 3, 10, 40, 400 };
/*! Most delays of a thread: one that never waits passes 100,000 places */
#define DELAYS_MAX 40

static unsigned int longest_ms;
static _Thread_local unsigned int seed;
static _Thread_local unsigned int every;
static _Thread_local unsigned int delays;

void host_jitter_begin(void)
{
	const char *text = getenv("HOST_JITTER");

	longest_ms = text ? (unsigned int) atoi(text) : 0;
}

static unsigned int draw(unsigned int below)
{
	return (unsigned int) rand_r(&seed) % below;
}

void host_jitter(void)
{
	int error = errno;

	if (!longest_ms || delays == DELAYS_MAX) {
		return;
	}
	if (!every) {
		seed = (unsigned int) host_real_us() ^ (unsigned int) (uintptr_t) &seed;
		every = passes[draw(ARRAY_LEN(passes))];
	}
	if (!draw(every)) {
		delays++;
		__real_poll(NULL, 0, 1 + (int) draw(longest_ms));
		errno = error;
	}
}
