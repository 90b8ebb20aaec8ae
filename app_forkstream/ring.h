/*
 * app_forkstream: copy a call's audio to a listener
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief From the channel's thread to the network's: frames in order, without a lock
 *
 * One thread pushes, one takes. A record is four words (samples, rate, and what was lost before it)
 * and the samples. What finds no room is lost, and the next record says how much that was.
 */

#ifndef FORKSTREAM_RING_H
#define FORKSTREAM_RING_H

#include <stdint.h>
#include <string.h>

#include "bounds.h"

#define RING_HEADER 4u

struct ring {
	uint32_t head;	/*!< words pushed; written by the channel's thread alone */
	uint32_t tail;	/*!< words taken; written by the network's thread alone */
	uint32_t lost;	/*!< samples since the last record, of this rate; both are the channel's thread's */
	uint32_t rate;	/*!< Hz */
	uint64_t dropped;	/*!< samples in all; written by the channel's thread, read by anybody */
	int16_t words[RING_WORDS];
};

struct ring_record {
	unsigned int samples;
	unsigned int rate;	/*!< Hz */
	uint32_t lost;	/*!< samples, of this rate, that are missing before it */
};

static inline void ring_copy_in(struct ring *ring, uint32_t at, const int16_t *words, uint32_t count)
{
	uint32_t start = at % RING_WORDS;
	uint32_t first = count < RING_WORDS - start ? count : RING_WORDS - start;

	memcpy(ring->words + start, words, first * sizeof(*words));
	memcpy(ring->words, words + first, (count - first) * sizeof(*words));
}

static inline void ring_copy_out(const struct ring *ring, uint32_t at, int16_t *words, uint32_t count)
{
	uint32_t start = at % RING_WORDS;
	uint32_t first = count < RING_WORDS - start ? count : RING_WORDS - start;

	memcpy(words, ring->words + start, first * sizeof(*words));
	memcpy(words + first, ring->words, (count - first) * sizeof(*words));
}

/*! \brief Push samples, RECORD_SAMPLES_MAX at most. The channel's thread: no lock, no allocation. */
static inline void ring_push(struct ring *ring, const int16_t *samples, unsigned int count, unsigned int rate)
{
	uint32_t used = ring->head - __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
	int16_t header[RING_HEADER];

	if (ring->rate != rate) {
		ring->lost = ring->lost ? (uint32_t) ((uint64_t) ring->lost * rate / ring->rate) : 0;
		ring->rate = rate;
	}
	if (used + RING_HEADER + count > RING_WORDS) {
		ring->lost += count;
		__atomic_store_n(&ring->dropped, ring->dropped + count, __ATOMIC_RELAXED);
		return;
	}
	header[0] = (int16_t) count;
	header[1] = (int16_t) (uint16_t) (rate / 100);
	memcpy(header + 2, &ring->lost, sizeof(ring->lost));
	ring->lost = 0;
	ring_copy_in(ring, ring->head, header, RING_HEADER);
	ring_copy_in(ring, ring->head + RING_HEADER, samples, count);
	__atomic_store_n(&ring->head, ring->head + RING_HEADER + count, __ATOMIC_RELEASE);
}

/*! \brief Look at the next record. \return 0 if there is none */
static inline int ring_peek(const struct ring *ring, struct ring_record *record)
{
	int16_t header[RING_HEADER];

	if (__atomic_load_n(&ring->head, __ATOMIC_ACQUIRE) == ring->tail) {
		return 0;
	}
	ring_copy_out(ring, ring->tail, header, RING_HEADER);
	record->samples = (unsigned int) header[0];
	record->rate = (unsigned int) (uint16_t) header[1] * 100;
	memcpy(&record->lost, header + 2, sizeof(record->lost));
	return 1;
}

/*! \brief Take the record that was looked at */
static inline void ring_take(struct ring *ring, const struct ring_record *record, int16_t *samples)
{
	ring_copy_out(ring, ring->tail + RING_HEADER, samples, record->samples);
	__atomic_store_n(&ring->tail, ring->tail + RING_HEADER + record->samples, __ATOMIC_RELEASE);
}

#endif /* FORKSTREAM_RING_H */
