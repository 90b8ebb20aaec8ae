/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief When the next frame for the caller is due
 *
 * Playout is paced by CLOCK_MONOTONIC, one frame each PLAYOUT_FRAME_US, but it is the
 * caller's own frames that wake us: a timer beside them would cost a second wake-up every
 * 20 ms. So a frame counts as due when a caller's frame comes a little before its
 * deadline, a time-out stands in when none has come a little after it, and the phase of
 * the deadlines slowly follows the caller's frames, so that two clocks that drift apart
 * do not end up waking us twice.
 *
 * Plain arithmetic: no locks, no system calls, nothing of Asterisk. The channel thread
 * owns the clock.
 */

#ifndef CALL_PLAYOUT_CLOCK_H
#define CALL_PLAYOUT_CLOCK_H

#include <stdint.h>

/*! Length of the frames that are written, in microseconds */
#define PLAYOUT_FRAME_US 20000
/*! A caller's frame that comes up to this long before a deadline meets it */
#define PLAYOUT_EARLY_US 5000
/*!
 * Without a caller's frame, a deadline is met this long after it; more would be heard as
 * jitter
 */
#define PLAYOUT_LATE_US 5000
/*!
 * Further behind than this, frames are no longer made up for: a burst would only fill
 * jitter buffers
 */
#define PLAYOUT_RESYNC_US 100000
/*! The deadlines follow the caller's frames by this part of the distance ... */
#define PLAYOUT_FOLLOW_DIVISOR 16
/*! ... but never faster than this per frame */
#define PLAYOUT_FOLLOW_MAX_US 1000

struct playout_clock {
	int64_t next_due_us;	/*!< deadline of the next frame */
	uint64_t resyncs;	/*!< how often the clock gave up catching up */
	uint64_t late_frames;	/*!< met more than a frame after their deadline */
	int64_t latest_us;	/*!< greatest delay of a written frame, in us */
};

/*! \brief Make the first frame due now */
void playout_clock_start(struct playout_clock *clock, int64_t now_us);

/*! \brief Make the next frame due now, if it is not yet; those behind it follow at the usual pace */
void playout_clock_hurry(struct playout_clock *clock, int64_t now_us);

/*!
 * \brief Say how many frames are to be written now, and move the deadline past them
 * \param caller_frame_us length of the caller's frame that woke us, 0 if something else
 * did
 * \return 0, 1, or more after a stall; at most PLAYOUT_RESYNC_US / PLAYOUT_FRAME_US + 1
 */
unsigned int playout_clock_due(struct playout_clock *clock, int64_t now_us,
	int64_t caller_frame_us);

/*!
 * \brief Milliseconds until a frame must be written even without a caller's frame,
 * rounded up
 */
int playout_clock_wait_ms(const struct playout_clock *clock, int64_t now_us);

#endif /* CALL_PLAYOUT_CLOCK_H */
