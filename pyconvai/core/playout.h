/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Agent audio on its way to the caller: a queue of segments for one writer and one reader
 *
 * The agent sends faster than real time, up to minutes ahead, in pieces of any size. Each piece is
 * decoded into a segment of its own, so the queue costs what is queued and no more. The loop thread
 * appends, flushes and frees; the channel thread only moves its own position. A barge-in is one
 * store: the reader skips to the flush mark when it next looks, at most one frame later.
 *
 * Ownership of segments: the reader never frees. It may stand on a segment that it has used up, for
 * that is where the pointer to the next one will appear, so the writer frees a segment only once
 * the reader's position is beyond its end.
 */

#ifndef CONVAI_PLAYOUT_H
#define CONVAI_PLAYOUT_H

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ring.h"	/* CONVAI_CACHE_LINE, convai_advance */

struct convai_segment {
	_Atomic(struct convai_segment *) next;
	uint64_t end;		/*!< position of the first byte after this segment */
	int64_t idle_us;	/*!< when it was read, if nothing was queued then; else 0 */
	uint32_t length;
	uint8_t data[];
};

struct convai_playout {
	/* Loop thread */
	struct convai_segment *oldest;		/*!< first one not yet freed */
	struct convai_segment *newest;
	uint32_t segments;			/*!< from oldest to newest */
	atomic_uint_fast64_t appended;		/*!< bytes appended since the start */
	atomic_uint_fast64_t flush_mark;	/*!< everything before this position is stale */
	atomic_int_fast64_t flushed_us;		/*!< since when */
	/* Channel thread */
	_Alignas(CONVAI_CACHE_LINE) struct convai_segment *reading;
	uint32_t offset;			/*!< into reading */
	atomic_uint_fast64_t position;		/*!< bytes played or skipped since the start */
	atomic_uint_fast64_t skipped;		/*!< of these, skipped at a flush */
	/* What the reader has met since it last looked, in microseconds; 0: nothing of the kind */
	int64_t met_idle_us;			/*!< the idle_us of a segment that it has begun */
	int64_t met_flush_us;			/*!< when what it has skipped was made stale */
};

/*! \brief A segment for length bytes, which the caller fills in and appends. NULL: no memory. */
static inline struct convai_segment *convai_segment_new(uint32_t length)
{
	struct convai_segment *segment = malloc(sizeof(*segment) + length);

	if (segment) {
		atomic_init(&segment->next, NULL);
		segment->length = length;
		segment->end = 0;
		segment->idle_us = 0;
	}
	return segment;
}

/*! \return 0, or -1 when memory is short. Call before the queue is shared. */
static inline int convai_playout_init(struct convai_playout *playout)
{
	struct convai_segment *empty = convai_segment_new(0);

	playout->oldest = playout->newest = playout->reading = empty;
	playout->segments = 1;
	playout->offset = 0;
	atomic_init(&playout->appended, 0);
	playout->met_idle_us = playout->met_flush_us = 0;
	atomic_init(&playout->flush_mark, 0);
	atomic_init(&playout->flushed_us, 0);
	atomic_init(&playout->position, 0);
	atomic_init(&playout->skipped, 0);
	return empty ? 0 : -1;
}

/*! \brief Free every segment. Only once neither thread uses the queue any more. */
static inline void convai_playout_free(struct convai_playout *playout)
{
	struct convai_segment *segment = playout->oldest;

	while (segment) {
		struct convai_segment *next = atomic_load_explicit(&segment->next, memory_order_relaxed);

		free(segment);
		segment = next;
	}
	playout->oldest = playout->newest = playout->reading = NULL;
}

/*! \brief Free what the reader has left behind. Loop thread. */
static inline void convai_playout_reclaim(struct convai_playout *playout)
{
	uint64_t position = atomic_load_explicit(&playout->position, memory_order_acquire);

	while (playout->oldest != playout->newest && playout->oldest->end < position) {
		struct convai_segment *gone = playout->oldest;

		playout->oldest = atomic_load_explicit(&gone->next, memory_order_relaxed);
		playout->segments--;
		free(gone);
	}
}

/*! \brief Append a filled segment of at least one byte; the queue owns it from here. Loop thread. */
static inline void convai_playout_append(struct convai_playout *playout, struct convai_segment *segment)
{
	uint64_t end = atomic_load_explicit(&playout->appended, memory_order_relaxed) + segment->length;

	segment->end = end;
	atomic_store_explicit(&playout->newest->next, segment, memory_order_release);
	playout->newest = segment;
	playout->segments++;
	atomic_store_explicit(&playout->appended, end, memory_order_release);
	convai_playout_reclaim(playout);
}

/*! \brief Bytes that neither have been played nor are stale. Any thread. */
static inline uint64_t convai_playout_queued(const struct convai_playout *playout)
{
	/* The reader's position is read first: appended, read later, can only be further on. */
	uint64_t from = atomic_load_explicit(&playout->position, memory_order_acquire);
	uint64_t mark = atomic_load_explicit(&playout->flush_mark, memory_order_acquire);

	if (from < mark) {
		from = mark;
	}
	return atomic_load_explicit(&playout->appended, memory_order_acquire) - from;
}

/*! \brief Bytes that were ever played or skipped. Any thread. */
static inline uint64_t convai_playout_position(const struct convai_playout *playout)
{
	return atomic_load_explicit(&playout->position, memory_order_acquire);
}

/*! \brief Bytes that were ever appended, played and stale ones included. Loop thread. */
static inline uint64_t convai_playout_appended(const struct convai_playout *playout)
{
	return atomic_load_explicit(&playout->appended, memory_order_relaxed);
}

/*!
 * \brief Make all that is queued stale. Loop thread.
 * \param now_us of CLOCK_MONOTONIC
 * \return bytes that will not be played
 */
static inline uint64_t convai_playout_flush(struct convai_playout *playout, int64_t now_us)
{
	uint64_t stale = convai_playout_queued(playout);

	/* Before the mark: whoever sees that has this time, or that of a flush behind it. */
	atomic_store_explicit(&playout->flushed_us, now_us, memory_order_relaxed);
	atomic_store_explicit(&playout->flush_mark,
		atomic_load_explicit(&playout->appended, memory_order_relaxed), memory_order_release);
	return stale;
}

/*! \brief Go to the segment that holds the reader's next byte. \return bytes there, 0 at the end */
static inline uint32_t convai_playout_advance(struct convai_playout *playout)
{
	while (playout->offset == playout->reading->length) {
		struct convai_segment *next =
			atomic_load_explicit(&playout->reading->next, memory_order_acquire);

		if (!next) {
			return 0;
		}
		playout->reading = next;
		playout->offset = 0;
		if (next->idle_us) {
			playout->met_idle_us = next->idle_us;
		}
	}
	return playout->reading->length - playout->offset;
}

/*! \brief Copy (or, with out NULL, skip) up to length bytes. Channel thread. \return bytes done */
static inline uint64_t convai_playout_move(struct convai_playout *playout, uint8_t *out, uint64_t length)
{
	uint64_t done = 0;

	while (done < length) {
		uint64_t run = convai_playout_advance(playout);

		if (!run) {
			break;
		}
		if (run > length - done) {
			run = length - done;
		}
		if (out) {
			memcpy(out + done, playout->reading->data + playout->offset, run);
		}
		playout->offset += run;
		done += run;
	}
	return done;
}

/*!
 * \brief Take what is due. Channel thread.
 * \param sample_bytes only whole samples are taken; the rest waits for its other half
 * \return bytes copied to out, at most length
 */
static inline uint32_t convai_playout_take(struct convai_playout *playout, uint8_t *out, uint32_t length,
	uint32_t sample_bytes)
{
	uint64_t mark = atomic_load_explicit(&playout->flush_mark, memory_order_acquire);
	uint64_t position = atomic_load_explicit(&playout->position, memory_order_relaxed);
	uint64_t waiting;

	if (position < mark) {
		uint64_t stale = convai_playout_move(playout, NULL, mark - position);

		position += stale;
		playout->met_idle_us = 0;	/* of what nobody heard */
		playout->met_flush_us = atomic_load_explicit(&playout->flushed_us, memory_order_relaxed);
		convai_advance(&playout->skipped, stale, memory_order_relaxed);
	}
	waiting = atomic_load_explicit(&playout->appended, memory_order_acquire) - position;
	waiting -= waiting % sample_bytes;
	waiting = convai_playout_move(playout, out, waiting < length ? waiting : length);
	atomic_store_explicit(&playout->position, position + waiting, memory_order_release);
	return waiting;
}

#endif /* CONVAI_PLAYOUT_H */
