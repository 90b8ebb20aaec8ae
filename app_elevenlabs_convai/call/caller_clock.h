/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What the agent hears runs at real time, whatever the caller's line does
 *
 * The account: audio and silence that the agent has been given, against CLOCK_MONOTONIC.
 * What is missing for longer than jitter lasts becomes silence; what comes when silence
 * has taken its place is dropped. In between, the agent may be a little behind, or, after
 * silence, a little ahead: the next frames use that up, so that jitter which comes again
 * neither inserts nor drops anything.
 *
 * Where frames bear the time stamps of their line, these tell what is missing before a
 * frame, and whether one is old. They are a hint: where they jump, or stand still, the time
 * at which frames come decides alone, as on lines without stamps.
 *
 * The caller's own clock drifts, and is followed: what changes slowly is drift, what
 * jumps is the line.
 *
 * Plain arithmetic: no locks, no system calls, nothing of Asterisk. The channel thread
 * owns the clock. Times are microseconds.
 */

#ifndef CALL_CALLER_CLOCK_H
#define CALL_CALLER_CLOCK_H

#include <stdint.h>

/*!
 * The agent is never more than 60 ms behind: silence is inserted a little sooner, for to
 * wake takes its time. Jitter below that inserts nothing.
 */
#define CALLER_BEHIND_US 50000
/*!
 * Nor more than this ahead: a frame that would take it further is dropped. With silence of
 * CALLER_BEHIND_US inserted once, jitter of this much drops nothing either.
 */
#define CALLER_AHEAD_US 60000
/*! Once there is silence, more of it is given in steps of at least this: one wake's worth */
#define CALLER_STEP_US 20000
/*!
 * More is not given at once: a greater gap is a stall of this thread, or of the pre-roll's
 * age (MEDIA_PREROLL_MS_MAX) at most; the queue to the engine holds twice that
 */
#define CALLER_GAP_MS_MAX 2000
/*! Less than this is not missing: a frame's place is only known to some milliseconds */
#define CALLER_MISSING_US 10000
/*! A frame whose stamp is up to this much too old is one that came too late, or again */
#define CALLER_OLD_US 1000000
/*! So many of these in a row are a line whose stamps have jumped back */
#define CALLER_OLD_MAX 3
/*! Length of a frame, until one has come */
#define CALLER_FRAME_US 20000
/*! The drift is looked at this often, by the frame that was least late: jitter hides none */
#define CALLER_WINDOW_US 10000000
/*!
 * Drift of a window, at most: 500 ppm, a multiple of what telephones have; a frame that
 * is lost is more
 */
#define CALLER_DRIFT_US 5000

/*! A frame without a time stamp */
#define CALLER_NO_STAMP INT64_MIN

/*! One call's; zero before caller_clock_start */
struct caller_clock {
	int64_t covered_us;	/*!< up to here the agent has been given audio or silence */
	int64_t frame_us;	/*!< length of the last frame */
	int64_t came_us;	/*!< when it came */
	int64_t gap_us;		/*!< silence that the last gap has been given by now */
	/* By the stamps: that of the last frame's end, and where in the account it belongs. */
	int64_t stamp_us;	/*!< or CALLER_NO_STAMP */
	int64_t place_us;
	unsigned int old_frames;	/*!< in a row */
	/* The drift. */
	int64_t source_us;	/*!< all that has come from the line, late or not */
	int64_t earliest_us;	/*!< of this window: least (time - source_us) */
	int64_t previous_us;	/*!< of the window before */
	int64_t window_end_us;	/*!< 0 while there is none */
	unsigned int has_previous:1;
	unsigned int has_frame:1;	/*!< one has come since the start */
	unsigned int in_gap:1;	/*!< silence was inserted since the last frame */
	unsigned int in_doubt:1;	/*!< by its stamp alone the last frame was late */
	unsigned int stands_still:1;	/*!< its stamps do in pauses: they do not tell what is late */
	/* What is shown. */
	int64_t behind_us;	/*!< at worst, when a frame had been given, or silence was due */
	int64_t ahead_us;	/*!< at worst, when a frame had been given */
	uint64_t inserted_ms;	/*!< silence in place of what did not come, or was not to be heard */
	int64_t late_us;	/*!< length of all frames that were dropped */
};

/*! \brief The account begins: what the agent hears from now on is to last as long as time */
void caller_clock_start(struct caller_clock *clock, int64_t now_us);

/*!
 * \brief A frame has come
 * \param length_us of the frame, above 0
 * \param stamp_us when the line says that it begins, or CALLER_NO_STAMP
 * \param[out] missing_ms silence that is to be given before it, counted as given
 * \return 1 if the agent is to be given it, 0 if it is too late
 */
int caller_clock_frame(struct caller_clock *clock, int64_t now_us, int64_t length_us,
	int64_t stamp_us, unsigned int *missing_ms);

/*!
 * \brief A frame has come in whose place the agent is to hear silence
 * \return milliseconds of silence that are due by now, counted as given; 0 for none
 */
unsigned int caller_clock_mute_ms(struct caller_clock *clock, int64_t now_us,
	int64_t length_us);

/*!
 * \brief Nothing waits to be read: say how much silence is due in place of what did not come
 *
 * Only when nothing waits, or a stall of this thread becomes silence with all frames behind it.
 *
 * \return milliseconds, counted as given; 0 for none
 */
unsigned int caller_clock_gap_ms(struct caller_clock *clock, int64_t now_us);

/*!
 * \brief Milliseconds until caller_clock_gap_ms wants to be asked, rounded up; INT_MAX if
 * any wake will do
 */
int caller_clock_wait_ms(const struct caller_clock *clock, int64_t now_us);

#endif /* CALL_CALLER_CLOCK_H */
