/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What the channel's side of a call counts
 *
 * The channel thread writes; any thread reads, each counter whole, not all of one moment.
 */

#ifndef CALL_STATISTICS_H
#define CALL_STATISTICS_H

#include <stdint.h>

struct caller_clock;
struct playout_clock;

/*! Zero at the start of a call */
struct call_statistics {
	uint64_t voice_frames_read;
	uint64_t speech_ms;		/*!< of the caller's audio that was speech */
	uint64_t digits;		/*!< pressed by the caller */
	uint64_t holds;			/*!< times that the caller has put us on hold */
	uint64_t on_hold;		/*!< 1 while the caller holds */
	uint64_t steps;			/*!< of the agent's that the dialplan has run */
	uint64_t in_step;		/*!< 1 while one runs */
	uint64_t untranslated_frames;	/*!< voice that could not be translated: silence in its place */
	uint64_t frames_written;	/*!< silence included */
	uint64_t silent_frames;		/*!< of these, how many held nothing of the agent's */
	uint64_t write_failures;
	uint64_t resyncs;		/*!< playout was more than PLAYOUT_RESYNC_US behind */
	uint64_t underruns;	/*!< pauses below SPEAKING_UNDERRUN_US in what the agent said */
	uint64_t late_frames;		/*!< written more than a frame after their time */
	uint64_t latest_us;		/*!< greatest delay of a written frame, in us */
	uint64_t preroll_dropped_ms;	/*!< said before the conversation, and dropped by the pre-roll */
	/* What the caller's clock has counted, in microseconds and milliseconds; see there. */
	uint64_t behind_us;
	uint64_t ahead_us;
	uint64_t inserted_ms;
	uint64_t caller_late_us;
	/* From the application's start on, in microseconds; 0 until then */
	uint64_t talking_us;		/*!< the conversation was up */
	uint64_t speaking_us;		/*!< the first frame of the agent's was written */
	uint64_t queued_us;		/*!< spent in the service's queue; the wait under way not counted */
	uint64_t queued_since_us;	/*!< CLOCK_MONOTONIC: when the wait under way began; 0: none is */
};

/*! \brief Count one more. Channel thread. */
static inline void statistics_count(uint64_t *counter)
{
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

/*! \brief Set a counter that has its value from elsewhere. Channel thread. */
static inline void statistics_set(uint64_t *counter, uint64_t value)
{
	__atomic_store_n(counter, value, __ATOMIC_RELAXED);
}

/*! \brief Something has come: note how long after since, CLOCK_MONOTONIC, the first time. Channel thread. */
void statistics_first(uint64_t *waited_us, int64_t since);

/*! \brief Take over what the clock has counted. Channel thread. */
void statistics_take_clock(struct call_statistics *statistics,
	const struct playout_clock *clock);
void statistics_take_caller_clock(struct call_statistics *statistics,
	const struct caller_clock *clock);

/*! \brief The service lets the caller wait, or does so no longer. Channel thread. */
void statistics_queue(struct call_statistics *statistics, int64_t now);
void statistics_leave_queue(struct call_statistics *statistics, int64_t now);

/*! \brief Time spent in the service's queue until now, in microseconds. Of a copy, or channel thread. */
uint64_t statistics_queued_us(const struct call_statistics *statistics, int64_t now);

/*! \brief Whole seconds, to the nearest: what programs are told of a wait */
unsigned int statistics_seconds(uint64_t us);

/*! \brief Copy them while the channel thread goes on counting. Any thread. */
void statistics_copy(const struct call_statistics *from, struct call_statistics *to);

#endif /* CALL_STATISTICS_H */
