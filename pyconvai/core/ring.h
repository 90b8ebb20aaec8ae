/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Caller audio on its way to the agent: a byte ring for one writer and one reader
 *
 * The channel thread puts, the loop thread takes. No lock and no allocation on either side; each
 * side writes one position and reads the other's. Positions count bytes since the start and never
 * wrap in practice (64 bits at 96,000 bytes a second last six million years).
 */

#ifndef CONVAI_RING_H
#define CONVAI_RING_H

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cache.h"

/*! Writers of different threads must not share a cache line */
#define CONVAI_CACHE_LINE CACHE_LINE

/*! \brief Add to what one thread writes and others read, as it may. That thread. */
static inline void convai_advance(atomic_uint_fast64_t *position, uint64_t n, memory_order order)
{
	/* Not one step of the processor's, which is only needed for several writers, and costs. */
	atomic_store_explicit(position, atomic_load_explicit(position, memory_order_relaxed) + n, order);
}

struct convai_ring {
	uint8_t *data;
	uint64_t capacity;				/*!< bytes; fixed before the ring is shared */
	_Alignas(CONVAI_CACHE_LINE) atomic_uint_fast64_t put;	/*!< channel thread writes */
	_Alignas(CONVAI_CACHE_LINE) atomic_uint_fast64_t taken;	/*!< loop thread writes */
};

/*! \return 0, or -1 when memory is short. Call before the ring is shared. */
static inline int convai_ring_init(struct convai_ring *ring, uint64_t capacity)
{
	ring->data = malloc(capacity);
	ring->capacity = ring->data ? capacity : 0;
	atomic_init(&ring->put, 0);
	atomic_init(&ring->taken, 0);
	return ring->data ? 0 : -1;
}

static inline void convai_ring_free(struct convai_ring *ring)
{
	free(ring->data);
	ring->data = NULL;
	ring->capacity = 0;
}

/*! \brief Room for the writer, in bytes. Channel thread. */
static inline uint64_t convai_ring_room(struct convai_ring *ring)
{
	return ring->capacity - (atomic_load_explicit(&ring->put, memory_order_relaxed)
		- atomic_load_explicit(&ring->taken, memory_order_acquire));
}

/*! \brief Bytes waiting for the reader. Loop thread. */
static inline uint64_t convai_ring_waiting(struct convai_ring *ring)
{
	return atomic_load_explicit(&ring->put, memory_order_acquire)
		- atomic_load_explicit(&ring->taken, memory_order_relaxed);
}

/*! \brief Bytes from a position to the end of the memory */
static inline uint64_t convai_ring_run(const struct convai_ring *ring, uint64_t position)
{
	return ring->capacity - position % ring->capacity;
}

/*!
 * \brief Put all of these bytes, or none. Channel thread.
 * \param bytes NULL puts the byte \a fill length times
 * \return length, or 0 when there is no room
 */
static inline uint32_t convai_ring_put(struct convai_ring *ring, const uint8_t *bytes, int fill,
	uint32_t length)
{
	uint64_t at = atomic_load_explicit(&ring->put, memory_order_relaxed);
	uint64_t done = 0;

	if (convai_ring_room(ring) < length) {
		return 0;
	}
	while (done < length) {
		uint64_t run = convai_ring_run(ring, at + done);
		uint8_t *to = ring->data + (at + done) % ring->capacity;

		if (run > length - done) {
			run = length - done;
		}
		if (bytes) {
			memcpy(to, bytes + done, run);
		} else {
			memset(to, fill, run);
		}
		done += run;
	}
	atomic_store_explicit(&ring->put, at + length, memory_order_release);
	return length;
}

/*!
 * \brief Take exactly length bytes. Loop thread, after convai_ring_waiting has promised them.
 */
static inline void convai_ring_take(struct convai_ring *ring, uint8_t *out, uint64_t length)
{
	uint64_t at = atomic_load_explicit(&ring->taken, memory_order_relaxed);
	uint64_t run = convai_ring_run(ring, at);

	if (run > length) {
		run = length;
	}
	memcpy(out, ring->data + at % ring->capacity, run);
	memcpy(out + run, ring->data, length - run);
	atomic_store_explicit(&ring->taken, at + length, memory_order_release);
}

/*! \brief Throw waiting bytes away. Loop thread. */
static inline void convai_ring_skip(struct convai_ring *ring, uint64_t length)
{
	convai_advance(&ring->taken, length, memory_order_release);
}

#endif /* CONVAI_RING_H */
