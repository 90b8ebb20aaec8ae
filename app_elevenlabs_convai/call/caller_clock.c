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
 */

#include <limits.h>	/* INT_MAX */

#include "call/caller_clock.h"

void caller_clock_start(struct caller_clock *clock, int64_t now_us)
{
	clock->covered_us = now_us;
	clock->stamp_us = CALLER_NO_STAMP;
	if (!clock->frame_us) {
		clock->frame_us = CALLER_FRAME_US;
	}
	clock->has_frame = 0;
	clock->in_gap = 0;
	clock->window_end_us = 0;
	clock->has_previous = 0;
}

/*!
 * \brief Move the account with the caller's clock
 *
 * By what a window's least late frame differs from that of the window before. How late they
 * are in all is of no interest, so neither jitter nor silence moves anything.
 */
static void follow(struct caller_clock *clock, int64_t now_us)
{
	int64_t offset_us = now_us - clock->source_us;
	int64_t drift_us;

	if (!clock->window_end_us || offset_us < clock->earliest_us) {
		clock->earliest_us = offset_us;
	}
	if (!clock->window_end_us) {
		clock->window_end_us = now_us + CALLER_WINDOW_US;
	}
	if (now_us < clock->window_end_us) {
		return;
	}
	drift_us = clock->earliest_us - clock->previous_us;
	if (clock->has_previous && drift_us <= CALLER_DRIFT_US && drift_us >= -CALLER_DRIFT_US) {
		clock->covered_us += drift_us;
		clock->place_us += drift_us;
	}
	clock->previous_us = clock->earliest_us;
	clock->has_previous = 1;
	clock->window_end_us = 0;
}

/*! \brief Note that a frame has come from the line */
static void come(struct caller_clock *clock, int64_t now_us, int64_t length_us)
{
	if (!clock->has_frame && now_us - clock->covered_us < length_us) {
		/* It began before the account did, or is longer than silence had room for. */
		clock->covered_us = now_us - length_us;
	}
	clock->has_frame = 1;
	clock->frame_us = length_us;
	clock->came_us = now_us;
	clock->in_gap = 0;
	clock->source_us += length_us;
	follow(clock, now_us);
}

/*! \brief Give silence up to a time, in whole milliseconds */
static unsigned int cover(struct caller_clock *clock, int64_t until_us)
{
	int64_t ms = (until_us - clock->covered_us) / 1000;

	if (ms <= 0) {
		return 0;
	}
	if (ms > CALLER_GAP_MS_MAX) {
		ms = CALLER_GAP_MS_MAX;
		clock->covered_us = until_us;
	} else {
		clock->covered_us += ms * 1000;
	}
	clock->inserted_ms += ms;
	return ms;
}

/*!
 * \brief Find where in the account a frame belongs, by its stamp
 * \param[in,out] at_us the place; left alone if its stamp says nothing: none, or one that has
 * jumped
 * \return 1 if the frame is older than one that has come: late, or the same again
 */
static int find_place(struct caller_clock *clock, int64_t length_us, int64_t stamp_us,
	int64_t *at_us)
{
	int64_t step_us;

	if (stamp_us == CALLER_NO_STAMP || clock->stamp_us == CALLER_NO_STAMP) {
		return 0;
	}
	step_us = stamp_us - clock->stamp_us;
	if (step_us < -CALLER_OLD_US
		|| clock->place_us + step_us + length_us > clock->came_us + CALLER_AHEAD_US) {
		return 0;
	}
	if (step_us >= -length_us / 2) {
		*at_us = clock->place_us + step_us;
		return 0;
	}
	return ++clock->old_frames <= CALLER_OLD_MAX;
}

/*!
 * \brief Whether silence has taken the place of a frame
 *
 * A stall brings its frames all at once. If they come at their pace instead, the stamps have
 * stood still in a pause, as those of some telephones do: the second one is heard.
 *
 * \param is_burst it has come faster than audio lasts
 */
static int is_stale(struct caller_clock *clock, int64_t *at_us, int64_t length_us, int is_burst)
{
	int64_t allowed_us = clock->gap_us > CALLER_AHEAD_US ? length_us / 2 : CALLER_AHEAD_US;

	if (clock->covered_us - *at_us <= allowed_us) {
		clock->in_doubt = 0;
		return 0;
	}
	clock->stands_still |= clock->in_doubt && !is_burst;
	if (clock->stands_still) {
		*at_us = clock->covered_us;
		return 0;
	}
	clock->in_doubt = !is_burst;
	return 1;
}

int caller_clock_frame(struct caller_clock *clock, int64_t now_us, int64_t length_us,
	int64_t stamp_us, unsigned int *missing_ms)
{
	int is_burst = now_us - clock->came_us < length_us / 2;
	int64_t missing_us;
	int64_t behind_us;
	int64_t at_us;
	int is_late;

	*missing_ms = 0;
	come(clock, now_us, length_us);
	at_us = clock->covered_us;
	if (find_place(clock, length_us, stamp_us, &at_us)) {
		clock->late_us += length_us;
		return 0;
	}
	is_late = is_stale(clock, &at_us, length_us, is_burst);
	missing_us = (at_us < now_us - length_us ? at_us : now_us - length_us) - clock->covered_us;
	if (!is_late && missing_us >= CALLER_MISSING_US) {
		*missing_ms = cover(clock, clock->covered_us + missing_us);
	}
	behind_us = now_us - clock->covered_us - length_us;
	is_late |= behind_us < -CALLER_AHEAD_US;
	clock->old_frames = 0;
	clock->place_us = at_us + length_us;
	clock->stamp_us = stamp_us == CALLER_NO_STAMP ? stamp_us : stamp_us + length_us;
	if (is_late) {
		clock->late_us += length_us;
		return 0;
	}
	clock->covered_us += length_us;
	clock->gap_us = 0;
	if (behind_us > clock->behind_us) {
		clock->behind_us = behind_us;
	} else if (-behind_us > clock->ahead_us) {
		clock->ahead_us = -behind_us;
	}
	return 1;
}

unsigned int caller_clock_mute_ms(struct caller_clock *clock, int64_t now_us,
	int64_t length_us)
{
	come(clock, now_us, length_us);
	return cover(clock, now_us);
}

/*! \brief When the frame that is waited for was to come, and a little more */
static int64_t gap_begins_us(const struct caller_clock *clock)
{
	return clock->covered_us + clock->frame_us
		+ (clock->in_gap ? CALLER_STEP_US : CALLER_BEHIND_US);
}

unsigned int caller_clock_gap_ms(struct caller_clock *clock, int64_t now_us)
{
	int64_t behind_us = now_us - clock->frame_us - clock->covered_us;
	unsigned int ms;

	if (now_us < gap_begins_us(clock)) {
		return 0;
	}
	if (behind_us > clock->behind_us) {
		clock->behind_us = behind_us;
	}
	ms = cover(clock, now_us - clock->frame_us);
	clock->gap_us = ms * INT64_C(1000) + (clock->in_gap ? clock->gap_us : 0);
	clock->in_gap = 1;
	return ms;
}

int caller_clock_wait_ms(const struct caller_clock *clock, int64_t now_us)
{
	int64_t left_us = gap_begins_us(clock) - now_us;

	if (clock->in_gap) {
		return INT_MAX;
	}
	return left_us <= 0 ? 0 : (int) ((left_us + 999) / 1000);
}
