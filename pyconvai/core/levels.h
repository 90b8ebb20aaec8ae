/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief How loud both sides were, ten times a second, for who looks at a call
 *
 * The channel thread writes, on its own time line: the caller's frames as they are heard, the agent's as they
 * are played. It pays for one look at some 20 samples of a frame, which turns.h takes of the caller's anyway;
 * no lock, no allocation. Any thread that holds the session reads what is complete.
 */

#ifndef CONVAI_LEVELS_H
#define CONVAI_LEVELS_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>

#include "convai_ops.h"

#define CONVAI_LEVELS_BYTES (CONVAI_LEVELS_KEPT * sizeof(uint16_t))

/*! Whose frame it is: which byte of struct convai_level */
enum convai_side {
	CONVAI_SIDE_CALLER = 0,
	CONVAI_SIDE_AGENT = 1,
};

/*! Zero, then convai_levels_init */
struct convai_levels {
	/*! Owned; CONVAI_LEVELS_KEPT of them, the agent's in the upper byte; NULL before. Pages of its own, of which a call
	 * uses one in three minutes: from the heap all of them would be written to at once, to be zero */
	_Atomic(uint16_t) *kept;
	/*! When the conversation began, in microseconds of CLOCK_MONOTONIC; the loop thread writes it before it is published */
	_Atomic(int64_t) zero_us;
	/*! So many are complete; the channel thread writes them before this */
	atomic_uint count;
	/* Channel thread: what has come in the piece after those */
	int64_t own_zero_us;	/*!< by which it counts */
	uint32_t loudest[2];	/*!< mean amplitude of the loudest frame, of 32767 */
	uint8_t speaks[2];	/*!< 0 or CONVAI_LEVEL_SPEAKS */
};

/*! \brief Make room. Loop thread, before the state is published. \return 0, or -1 when memory is short */
static inline int convai_levels_init(struct convai_levels *levels)
{
	void *pages = mmap(NULL, CONVAI_LEVELS_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED) {
		return -1;
	}
	levels->kept = pages;
	return 0;
}

/*! \brief The last owner */
static inline void convai_levels_free(struct convai_levels *levels)
{
	if (levels->kept) {
		munmap((void *) levels->kept, CONVAI_LEVELS_BYTES);
	}
}

/*! \brief The conversation begins now, or begins anew. Loop thread, before it publishes that. */
static inline void convai_levels_begin(struct convai_levels *levels, int64_t now_us)
{
	atomic_store_explicit(&levels->zero_us, now_us, memory_order_relaxed);
}

/*!
 * \brief A mean amplitude as it is kept: in half decibels, 127 is full scale
 *
 * The logarithm between two powers of two is taken for straight, which is wrong by half a decibel at most.
 */
static inline uint8_t convai_level_of(uint32_t amplitude)
{
	int exponent, level;

	if (!amplitude) {
		return 0;
	}
	exponent = 31 - __builtin_clz(amplitude);
	/* 12 half decibels are a factor of two; 2 to the 15th is full scale. */
	level = 127 - 12 * 15 + 12 * exponent + (int) (((uint64_t) (amplitude - (1u << exponent)) * 12) >> exponent);
	return level < 0 ? 0 : level > 127 ? 127 : level;
}

static inline void convai_levels_clear(struct convai_levels *levels)
{
	levels->loudest[0] = levels->loudest[1] = 0;
	levels->speaks[0] = levels->speaks[1] = 0;
}

/*! \brief Complete what came before this piece of time, CONVAI_LEVELS_KEPT at most; where nothing came is silence */
static inline void convai_levels_go_to(struct convai_levels *levels, uint32_t place)
{
	uint32_t count = atomic_load_explicit(&levels->count, memory_order_relaxed);
	uint16_t caller, agent;

	if (count >= place) {
		return;
	}
	caller = convai_level_of(levels->loudest[CONVAI_SIDE_CALLER]) | levels->speaks[CONVAI_SIDE_CALLER];
	agent = convai_level_of(levels->loudest[CONVAI_SIDE_AGENT]) | levels->speaks[CONVAI_SIDE_AGENT];
	atomic_store_explicit(&levels->kept[count++], agent << 8 | caller, memory_order_relaxed);
	while (count < place) {
		atomic_store_explicit(&levels->kept[count++], 0, memory_order_relaxed);
	}
	convai_levels_clear(levels);
	atomic_store_explicit(&levels->count, count, memory_order_release);
}

/*!
 * \brief A frame was heard or played. Channel thread, once the conversation is published.
 * \param side enum convai_side
 * \param amplitude its mean, of 32767
 * \param speaks whether it is taken for speech
 */
static inline void convai_levels_add(struct convai_levels *levels, uint32_t side, uint32_t amplitude,
	int speaks, int64_t now_us)
{
	int64_t zero_us = atomic_load_explicit(&levels->zero_us, memory_order_relaxed);
	int64_t place;

	if (!zero_us || now_us < zero_us) {
		return;
	}
	if (levels->own_zero_us != zero_us) {
		levels->own_zero_us = zero_us;
		atomic_store_explicit(&levels->count, 0, memory_order_relaxed);
		convai_levels_clear(levels);
	}
	place = (now_us - zero_us) / CONVAI_LEVEL_US;
	convai_levels_go_to(levels, place < CONVAI_LEVELS_KEPT ? place : CONVAI_LEVELS_KEPT);
	if (amplitude > levels->loudest[side]) {
		levels->loudest[side] = amplitude;
	}
	if (speaks) {
		levels->speaks[side] = CONVAI_LEVEL_SPEAKS;
	}
}

/*! \brief Copy the newest, from old to new. Any thread that holds the session. \return how many there are in all */
static inline uint32_t convai_levels_read(const struct convai_levels *levels, struct convai_level *newest,
	uint32_t most)
{
	uint32_t count = atomic_load_explicit(&levels->count, memory_order_acquire);
	uint32_t from = count > most ? count - most : 0, i;

	for (i = from; i < count; i++) {
		uint16_t kept = atomic_load_explicit(&levels->kept[i], memory_order_relaxed);

		newest[i - from] = (struct convai_level) { kept & 0xff, kept >> 8 };
	}
	return count;
}

#endif /* CONVAI_LEVELS_H */
