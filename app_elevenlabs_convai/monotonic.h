/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The clock that all times of this module are of, and that of a thread's own work
 */

#ifndef MONOTONIC_H
#define MONOTONIC_H

#include <stdint.h>
#include <time.h>

/*! \brief Microseconds of CLOCK_MONOTONIC */
static inline int64_t monotonic_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/*! \brief Microseconds of processor that the calling thread has used; a call of the kernel, some 0.2 us */
static inline int64_t thread_us(void)
{
	struct timespec used;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	return (int64_t) used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

#endif /* MONOTONIC_H */
