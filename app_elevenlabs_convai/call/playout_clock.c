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
 */

#include "call/playout_clock.h"

void playout_clock_start(struct playout_clock *clock, int64_t now_us)
{
	clock->next_due_us = now_us;
}

/*!
 * \brief Move the deadlines towards the caller's frames
 *
 * Frames shorter than ours fall on deadlines only now and then; those in between say
 * nothing.
 */
static void follow(struct playout_clock *clock, int64_t error_us)
{
	int64_t step = error_us / PLAYOUT_FOLLOW_DIVISOR;

	if (error_us < -PLAYOUT_FRAME_US / 2 || error_us > PLAYOUT_FRAME_US / 2) {
		return;
	}
	if (step > PLAYOUT_FOLLOW_MAX_US) {
		step = PLAYOUT_FOLLOW_MAX_US;
	} else if (step < -PLAYOUT_FOLLOW_MAX_US) {
		step = -PLAYOUT_FOLLOW_MAX_US;
	}
	clock->next_due_us += step;
}

/*! \brief Note how late the oldest frame that is due is met */
static void note_lateness(struct playout_clock *clock, int64_t late_us)
{
	clock->late_frames += late_us > PLAYOUT_FRAME_US;
	if (late_us > clock->latest_us) {
		clock->latest_us = late_us;
	}
}

void playout_clock_hurry(struct playout_clock *clock, int64_t now_us)
{
	if (clock->next_due_us > now_us - PLAYOUT_LATE_US) {
		clock->next_due_us = now_us - PLAYOUT_LATE_US;
	}
}

unsigned int playout_clock_due(struct playout_clock *clock, int64_t now_us,
	int64_t caller_frame_us)
{
	int64_t tolerance = caller_frame_us ? PLAYOUT_EARLY_US : -PLAYOUT_LATE_US;
	int64_t error = now_us - clock->next_due_us;
	int64_t late_us = error;
	unsigned int due = 0;

	if (error > PLAYOUT_RESYNC_US) {
		clock->next_due_us = now_us;
		clock->resyncs++;
		error = 0;
		tolerance = PLAYOUT_EARLY_US;
	}
	while (now_us >= clock->next_due_us - tolerance) {
		clock->next_due_us += PLAYOUT_FRAME_US;
		due++;
	}
	if (due) {
		note_lateness(clock, late_us);
	}
	if (caller_frame_us >= PLAYOUT_FRAME_US || (caller_frame_us && due)) {
		follow(clock, error);
	}
	return due;
}

int playout_clock_wait_ms(const struct playout_clock *clock, int64_t now_us)
{
	int64_t left = clock->next_due_us + PLAYOUT_LATE_US - now_us;

	return left <= 0 ? 0 : (int) ((left + 999) / 1000);
}
