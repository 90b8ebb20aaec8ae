/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief A histogram of times that many threads may add to: no lock, no allocation
 *
 * Times are in microseconds. Below 16 each has a bucket of its own; above, each power of two is cut into
 * 16 buckets, so that a bucket is at most a sixteenth as wide as what it counts, up to 16.8 s. All that
 * is longer is in the last bucket.
 */

#ifndef CONVAI_HISTOGRAM_H
#define CONVAI_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

#include "convai_ops.h"
#include "ring.h"	/* CONVAI_CACHE_LINE */

/*! Buckets of one power of two, as a power of two */
#define CONVAI_HISTOGRAM_BITS 4

/*! Zero at the start. Relaxed, for it is only shown: a copy is not all of one moment. */
struct convai_histogram {
	_Alignas(CONVAI_CACHE_LINE) atomic_uint_fast64_t counts[CONVAI_TIMING_BUCKETS];
	atomic_uint_fast64_t max_us;
};

/*! \brief The bucket that counts a time in microseconds */
static inline uint32_t convai_histogram_bucket(uint64_t us)
{
	uint32_t octave, bucket;

	if (us < 1 << CONVAI_HISTOGRAM_BITS) {
		return us;
	}
	octave = 63 - __builtin_clzll(us) - CONVAI_HISTOGRAM_BITS;
	bucket = (octave << CONVAI_HISTOGRAM_BITS) + (us >> octave);
	return bucket < CONVAI_TIMING_BUCKETS ? bucket : CONVAI_TIMING_BUCKETS - 1;
}

/*! \brief The longest time, in microseconds, that a bucket counts; the last one counts longer ones too */
static inline uint64_t convai_histogram_upper(uint32_t bucket)
{
	uint64_t within = bucket & ((1 << CONVAI_HISTOGRAM_BITS) - 1);
	uint32_t octave = bucket >> CONVAI_HISTOGRAM_BITS;

	if (!octave) {
		return bucket;
	}
	return ((within + (1 << CONVAI_HISTOGRAM_BITS) + 1) << (octave - 1)) - 1;
}

/*! \brief Count one time, in microseconds; one below zero as zero. Any thread. */
static inline void convai_histogram_add(struct convai_histogram *histogram, int64_t us)
{
	uint64_t time_us = us < 0 ? 0 : us;
	uint_fast64_t max_us = atomic_load_explicit(&histogram->max_us, memory_order_relaxed);

	atomic_fetch_add_explicit(&histogram->counts[convai_histogram_bucket(time_us)], 1,
		memory_order_relaxed);
	while (time_us > max_us
		&& !atomic_compare_exchange_weak_explicit(&histogram->max_us, &max_us, time_us,
			memory_order_relaxed, memory_order_relaxed)) {
		continue;
	}
}

/*! \brief Copy it while others go on adding. Any thread. */
static inline void convai_histogram_copy(struct convai_histogram *histogram, struct convai_timing *timing)
{
	uint32_t i;

	timing->max_us = atomic_load_explicit(&histogram->max_us, memory_order_relaxed);
	for (i = 0; i < CONVAI_TIMING_BUCKETS; i++) {
		timing->counts[i] = atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
	}
}

#endif /* CONVAI_HISTOGRAM_H */
