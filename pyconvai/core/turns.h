/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief How soon the agent answers: from the caller's last frame of speech to the agent's first word
 *
 * The channel thread gives each frame of the caller's, and says with each of the agent's whether there was
 * anything in it; any thread may ask for what has been counted. No lock, no allocation.
 *
 * Speech is what is loud: the mean amplitude of a frame, taken from every CONVAI_TURN_STRIDE-th sample; and the softer
 * end of a word that follows at once. So the time is exact to the length of a frame. Where the line is as
 * loud as the caller nothing is counted, rather than something wrong. The agent's first word begins with the
 * first frame of its audio that is not silence.
 */

#ifndef CONVAI_TURNS_H
#define CONVAI_TURNS_H

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "convai_ops.h"

/*! One sample of so many is looked at, some 20 in a frame of 20 ms; a prime, so that no tone of a line fits into it */
#define CONVAI_TURN_STRIDE 7

/*! Mean amplitude of speech, of 32767: -42 dB of full scale, as call/watchdog.c has it */
#define CONVAI_TURN_LEVEL 256

/*! Speech is so many times louder than the line by itself ... */
#define CONVAI_TURN_ABOVE_NOISE 3

/*! ... but nobody has to shout: -24 dB are always enough */
#define CONVAI_TURN_LEVEL_MAX 2048

/*! So long without a pause: a click is shorter */
#define CONVAI_TURN_SPEECH_US 60000

/*! The end of a word (an s, a t behind its closure) is softer or shorter, but louder than so much, -48 dB, ... */
#define CONVAI_TURN_FADING_LEVEL 128

/*! ... and than the line by so many times ... */
#define CONVAI_TURN_FADING_ABOVE_NOISE 2

/*! ... and within this of the speech before it */
#define CONVAI_TURN_FADING_US 200000

/*! Who sends nothing for so long (a telephone that suppresses silence) has paused */
#define CONVAI_TURN_BREAK_US 100000

/*! What is loud for so long without a pause may be the line itself, for words have gaps: until it falls silent */
#define CONVAI_TURN_STEADY_US 2000000

/*! Mean amplitude of the agent's audio that is a word already, and not the silence before it: -54 dB */
#define CONVAI_TURN_AUDIBLE 64

/*! Who has spoken so shortly before is still speaking: the agent talks into it, and answers nothing */
#define CONVAI_TURN_SPEAKING_US 100000

/*! A pause of the agent's that is shorter is within its turn */
#define CONVAI_TURN_GAP_US 200000

/*! Who has spoken so shortly before the agent fell silent has interrupted it, and is answered next */
#define CONVAI_TURN_OVERLAP_US 500000

/*! What comes later answers nothing any more; the watchdog thinks so as well */
#define CONVAI_TURN_LONGEST_US 30000000

/*! So many of the last turns are looked through for one: responses that programs are not told of yet are fewer */
#define CONVAI_TURNS_RECENT 8

/*! Zero at the start */
struct convai_turns {
	/* Channel thread */
	uint32_t noise;		/*!< mean amplitude of the line by itself */
	uint32_t loud_us;	/*!< how long the caller has been loud without a pause */
	uint32_t loud_level;	/*!< mean amplitude meanwhile, the last frames above all */
	int64_t loud_at_us;	/*!< when the last of it was read */
	int64_t heard_us;	/*!< when the last frame was read */
	int64_t spoke_us;	/*!< when the last frame of speech was read that nothing has answered; 0: none */
	int64_t word_us;	/*!< when the agent's last frame that is not silence was played; 0: it has not spoken */
	int speaking;		/*!< the agent is, and has audio yet */
	/* The channel thread writes, any thread reads */
	atomic_uint_fast64_t count, worst_us;
	_Atomic(uint64_t) kept[CONVAI_TURNS_KEPT];	/*!< convai_turn_packed */
	_Atomic(uint32_t) kept_place_ms[CONVAI_TURNS_KEPT];	/*!< where in the agent's audio each answer begins */
};

/*! \brief One turn in a word of its own: whoever reads it has both figures of the same turn */
static inline uint64_t convai_turn_packed(uint32_t at_ms, uint32_t us)
{
	return (uint64_t) at_ms << 32 | us;
}

/*! \brief Amplitude of one mu-law sample, as G.711 defines it */
static inline uint32_t convai_turns_ulaw(uint8_t code)
{
	uint32_t inverse = ~code & 0x7f;

	return ((((inverse & 0x0f) << 3) + 0x84) << (inverse >> 4)) - 0x84;
}

/*! A packet may hold more than a frame, and speech end in the middle of it: the loudest piece of so much counts */
#define CONVAI_TURN_PIECES_A_SECOND 50

/*! \brief Mean amplitude of some of its samples */
static inline uint32_t convai_turns_level(const uint8_t *audio, uint32_t bytes, uint32_t encoding)
{
	uint32_t samples = encoding == CONVAI_ENCODING_SLIN ? bytes / sizeof(int16_t) : bytes;
	uint32_t sum = 0, i, looked = 0;

	for (i = 0; i < samples; i += CONVAI_TURN_STRIDE) {
		int16_t sample;

		if (encoding == CONVAI_ENCODING_SLIN) {
			memcpy(&sample, audio + i * sizeof(sample), sizeof(sample));
			sum += abs(sample);
		} else {
			sum += convai_turns_ulaw(audio[i]);
		}
		looked++;
	}
	return looked ? sum / looked : 0;
}

/*! \brief Mean amplitude of the loudest 20 ms of it */
static inline uint32_t convai_turns_loudest(const uint8_t *audio, uint32_t bytes, const struct convai_format *format)
{
	uint32_t sample_bytes = format->encoding == CONVAI_ENCODING_SLIN ? sizeof(int16_t) : 1;
	uint32_t piece = format->rate / CONVAI_TURN_PIECES_A_SECOND * sample_bytes;
	uint32_t loudest = 0, at, level;

	for (at = 0; piece && at < bytes; at += piece) {
		level = convai_turns_level(audio + at, bytes - at < piece ? bytes - at : piece, format->encoding);
		loudest = level > loudest ? level : loudest;
	}
	return loudest;
}

/*! \brief How loud the caller has to be, over the line */
static inline uint32_t convai_turns_least(const struct convai_turns *turns)
{
	uint32_t least = turns->noise * CONVAI_TURN_ABOVE_NOISE;

	if (least < CONVAI_TURN_LEVEL) {
		return CONVAI_TURN_LEVEL;
	}
	return least < CONVAI_TURN_LEVEL_MAX ? least : CONVAI_TURN_LEVEL_MAX;
}

/*! \brief The caller is not loud any more. What was so for very long was the caller if it is much softer now. */
static inline void convai_turns_pause(struct convai_turns *turns, uint32_t level)
{
	if (turns->loud_us >= CONVAI_TURN_STEADY_US && level * CONVAI_TURN_ABOVE_NOISE < turns->loud_level) {
		turns->spoke_us = turns->loud_at_us;
	}
	turns->loud_us = 0;
}

/*! \brief A frame that is not loud, or has not been for long: perhaps the end of a word */
static inline void convai_turns_hear_fading(struct convai_turns *turns, uint32_t level, uint32_t noise, int64_t now_us)
{
	if (turns->spoke_us && level > CONVAI_TURN_FADING_LEVEL && level > noise * CONVAI_TURN_FADING_ABOVE_NOISE
		&& now_us - turns->loud_at_us <= CONVAI_TURN_FADING_US) {
		turns->spoke_us = now_us;
	}
}

/*! \brief A frame that is loud, as those before it for loud_us */
static inline void convai_turns_hear_loud(struct convai_turns *turns, int64_t now_us)
{
	turns->loud_at_us = now_us;
	if (turns->loud_us >= CONVAI_TURN_STEADY_US) {
		turns->loud_us = CONVAI_TURN_STEADY_US;
		turns->spoke_us = 0;
	} else {
		turns->spoke_us = now_us;
	}
}

/*!
 * \brief The caller has said this; now_us is when it was read. Channel thread.
 * \param level convai_turns_loudest of it
 * \return whether it is speech
 */
static inline int convai_turns_hear(struct convai_turns *turns, uint32_t level, uint32_t bytes,
	const struct convai_format *format, int64_t now_us)
{
	uint32_t samples = format->encoding == CONVAI_ENCODING_SLIN ? bytes / sizeof(int16_t) : bytes;
	uint32_t noise = turns->noise;
	int is_loud = level > convai_turns_least(turns);	/* so the rate is not 0 */

	if (!is_loud) {
		convai_turns_pause(turns, level);
	} else if (now_us - turns->heard_us > CONVAI_TURN_BREAK_US) {
		convai_turns_pause(turns, 0);
	}
	turns->heard_us = now_us;
	/* It follows what is quieter at once, and what is louder in some seconds, which hold pauses. */
	turns->noise = level < noise ? level : noise + noise / 64 + 1;
	if (is_loud) {
		turns->loud_level = turns->loud_us ? (3 * turns->loud_level + level) / 4 : level;
		turns->loud_us += samples * UINT64_C(1000000) / format->rate;
	}
	if (turns->loud_us >= CONVAI_TURN_SPEECH_US) {
		convai_turns_hear_loud(turns, now_us);
	} else {
		convai_turns_hear_fading(turns, level, noise, now_us);
	}
	return turns->loud_us >= CONVAI_TURN_SPEECH_US && turns->loud_us < CONVAI_TURN_STEADY_US;
}

/*! \brief Nobody owes the caller an answer: hold, or a step, has come between. Channel thread. */
static inline void convai_turns_forget(struct convai_turns *turns)
{
	turns->spoke_us = 0;
	turns->loud_us = 0;
}

/*! \brief The agent has no more audio, which may have ended in silence: who spoke into that waits for an answer */
static inline void convai_turns_fell_silent(struct convai_turns *turns)
{
	turns->speaking = 0;
	if (turns->word_us - turns->spoke_us > CONVAI_TURN_OVERLAP_US) {
		turns->spoke_us = 0;	/* the agent has talked over it */
	}
}

/*!
 * \brief Count a turn that was answered. Channel thread.
 * \param at_ms when its first word was played, since the conversation began
 * \param place_ms where in the agent's audio the answer begins: of all that came before it
 */
static inline void convai_turns_count(struct convai_turns *turns, uint32_t us, uint32_t at_ms,
	uint32_t place_ms)
{
	uint64_t count = atomic_load_explicit(&turns->count, memory_order_relaxed);

	atomic_store_explicit(&turns->kept[count % CONVAI_TURNS_KEPT], convai_turn_packed(at_ms, us),
		memory_order_relaxed);
	atomic_store_explicit(&turns->kept_place_ms[count % CONVAI_TURNS_KEPT], place_ms,
		memory_order_relaxed);
	if (us > atomic_load_explicit(&turns->worst_us, memory_order_relaxed)) {
		atomic_store_explicit(&turns->worst_us, us, memory_order_relaxed);
	}
	atomic_store_explicit(&turns->count, count + 1, memory_order_release);
}

/*! \brief The agent's first word, perhaps in answer. \return as convai_turns_speak */
static inline int64_t convai_turns_begin(struct convai_turns *turns, int64_t now_us)
{
	int64_t paused_us = now_us - turns->word_us;
	int64_t spoke_us;

	if (now_us - turns->heard_us > CONVAI_TURN_BREAK_US) {
		convai_turns_pause(turns, 0);
	}
	spoke_us = turns->spoke_us;
	turns->speaking = 1;
	turns->word_us = now_us;
	if (paused_us < CONVAI_TURN_GAP_US) {
		return 0;
	}
	turns->spoke_us = 0;
	if (!spoke_us || now_us - spoke_us < CONVAI_TURN_SPEAKING_US
		|| now_us - spoke_us > CONVAI_TURN_LONGEST_US) {
		return 0;
	}
	return spoke_us;
}

/*!
 * \brief A frame goes to the caller now. Channel thread.
 * \param bytes so much of it is the agent's; 0: it is silence of ours
 * \param level convai_turns_level of those
 * \return when the caller last spoke, if this is the agent's first word in answer to it; else 0
 */
static inline int64_t convai_turns_speak(struct convai_turns *turns, uint32_t bytes, uint32_t level,
	int64_t now_us)
{
	if (!bytes) {
		if (turns->speaking) {
			convai_turns_fell_silent(turns);
		}
		return 0;
	}
	if (level <= CONVAI_TURN_AUDIBLE) {
		return 0;
	}
	if (!turns->speaking) {
		return convai_turns_begin(turns, now_us);
	}
	turns->word_us = now_us;
	return 0;
}

/*!
 * \brief How soon the agent has answered with what lies there in its audio, in ms: [begin, end). Any thread.
 * \return microseconds, or -1 where that answered nothing, was not heard, or was too long ago
 */
static inline int64_t convai_turns_find(const struct convai_turns *turns, uint64_t begin_ms, uint64_t end_ms)
{
	uint64_t count = atomic_load_explicit(&turns->count, memory_order_acquire);
	uint64_t oldest = count > CONVAI_TURNS_RECENT ? count - CONVAI_TURNS_RECENT : 0;

	while (count > oldest) {
		uint32_t place = --count % CONVAI_TURNS_KEPT;
		uint32_t place_ms = atomic_load_explicit(&turns->kept_place_ms[place], memory_order_relaxed);

		if (place_ms >= begin_ms && place_ms < end_ms) {
			return (uint32_t) atomic_load_explicit(&turns->kept[place], memory_order_relaxed);
		}
	}
	return -1;
}

static inline int convai_turns_compare(const void *one, const void *other)
{
	uint32_t a = *(const uint32_t *) one, b = *(const uint32_t *) other;

	return (a > b) - (a < b);
}

/*!
 * \brief One of the turns that are kept: how soon it was answered, and where in the agent's audio. Any thread.
 * \param place from 0 on
 * \return 0, or -1: there are no more
 */
static inline int convai_turns_kept(const struct convai_turns *turns, uint32_t place, uint32_t *us,
	uint32_t *place_ms)
{
	if (place >= CONVAI_TURNS_KEPT || place >= atomic_load_explicit(&turns->count, memory_order_acquire)) {
		return -1;
	}
	*us = (uint32_t) atomic_load_explicit(&turns->kept[place], memory_order_relaxed);
	*place_ms = atomic_load_explicit(&turns->kept_place_ms[place], memory_order_relaxed);
	return 0;
}

/*! \brief What has been counted. Any thread; not all of one moment. */
static inline void convai_turns_read(const struct convai_turns *turns, struct convai_turn_times *times)
{
	uint32_t sorted[CONVAI_TURNS_KEPT] = { 0 }, kept, i;

	times->count = atomic_load_explicit(&turns->count, memory_order_acquire);
	times->worst_us = atomic_load_explicit(&turns->worst_us, memory_order_relaxed);
	kept = times->count < CONVAI_TURNS_KEPT ? times->count : CONVAI_TURNS_KEPT;
	for (i = 0; i < kept; i++) {
		sorted[i] = (uint32_t) atomic_load_explicit(&turns->kept[i], memory_order_relaxed);
	}
	qsort(sorted, kept, sizeof(*sorted), convai_turns_compare);
	times->median_us = kept ? (sorted[(kept - 1) / 2] + sorted[kept / 2]) / 2 : 0;
}

/*! \brief Copy the newest, from old to new. Any thread. \return how many there were in all */
static inline uint32_t convai_turns_list(const struct convai_turns *turns, struct convai_turn *newest,
	uint32_t most)
{
	uint64_t count = atomic_load_explicit(&turns->count, memory_order_acquire), i;
	uint64_t copied = count < CONVAI_TURNS_KEPT ? count : CONVAI_TURNS_KEPT;

	copied = copied < most ? copied : most;
	for (i = 0; i < copied; i++) {
		uint64_t packed = atomic_load_explicit(
				&turns->kept[(count - copied + i) % CONVAI_TURNS_KEPT], memory_order_relaxed);

		newest[i] = (struct convai_turn) { packed >> 32, (uint32_t) packed };
	}
	return count;
}

#endif /* CONVAI_TURNS_H */
