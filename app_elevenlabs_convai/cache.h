/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The processor's caches
 *
 * A call is worked on every 20 ms, and between two times other calls and threads have had the caches. What is
 * touched one after the other is then waited for one after the other, from each line 20 to 100 ns. What is fetched
 * together comes together, while something else is done.
 */

#ifndef CACHE_H
#define CACHE_H

#include <stddef.h>
#include <stdint.h>

/*! Bytes that come and go together; where a processor has more, fetching asks for some of it twice */
#define CACHE_LINE 64

/*! \brief Have the processor fetch these bytes, and go on. They need not be anybody's. Any thread. */
static inline void cache_fetch(const void *from, size_t bytes)
{
	uintptr_t at = (uintptr_t) from & ~(uintptr_t) (CACHE_LINE - 1), end = (uintptr_t) from + bytes;

	for (; at < end; at += CACHE_LINE) {
		__builtin_prefetch((const void *) at);
	}
}

#endif /* CACHE_H */
