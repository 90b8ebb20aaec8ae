/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief When the bytes of a ring were put: a short queue of times for one writer and one reader
 *
 * The channel thread puts, the loop thread looks. A time that finds no room is left out, and so are the
 * bytes that it was for: no other time is taken for theirs. When the loop is held up, the oldest times
 * stay, which are those of the bytes that wait longest.
 */

#ifndef CONVAI_STAMPS_H
#define CONVAI_STAMPS_H

#include <stdatomic.h>
#include <stdint.h>

#include "ring.h"	/* CONVAI_CACHE_LINE */

/*! 320 ms of a caller whose frames have 20 ms */
#define CONVAI_STAMPS 16

struct convai_stamp {
	uint64_t from, to;	/*!< positions in the ring: of the first byte, and behind the last */
	int64_t put_us;
};

/*! Zero at the start */
struct convai_stamps {
	struct convai_stamp stamps[CONVAI_STAMPS];
	_Alignas(CONVAI_CACHE_LINE) atomic_uint_fast64_t put;	/*!< channel thread writes */
	_Alignas(CONVAI_CACHE_LINE) atomic_uint_fast64_t taken;	/*!< loop thread writes */
};

/*! \brief The bytes from one position to another were put at this time. Channel thread. */
static inline void convai_stamps_put(struct convai_stamps *stamps, uint64_t from, uint64_t to,
	int64_t now_us)
{
	uint64_t at = atomic_load_explicit(&stamps->put, memory_order_relaxed);

	if (at - atomic_load_explicit(&stamps->taken, memory_order_acquire) == CONVAI_STAMPS) {
		return;
	}
	stamps->stamps[at % CONVAI_STAMPS] = (struct convai_stamp) { from, to, now_us };
	atomic_store_explicit(&stamps->put, at + 1, memory_order_release);
}

/*!
 * \brief When the byte at a position was put; forgets all times before that. Loop thread.
 * \param position never lower than the one before
 * \return microseconds, or 0 if that is not known
 */
static inline int64_t convai_stamps_find(struct convai_stamps *stamps, uint64_t position)
{
	uint64_t put = atomic_load_explicit(&stamps->put, memory_order_acquire);
	uint64_t at = atomic_load_explicit(&stamps->taken, memory_order_relaxed);
	int64_t found_us = 0;

	while (at != put && stamps->stamps[at % CONVAI_STAMPS].to <= position) {
		at++;
	}
	if (at != put && stamps->stamps[at % CONVAI_STAMPS].from <= position) {
		found_us = stamps->stamps[at % CONVAI_STAMPS].put_us;
	}
	atomic_store_explicit(&stamps->taken, at, memory_order_release);
	return found_us;
}

#endif /* CONVAI_STAMPS_H */
