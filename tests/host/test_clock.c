/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The playout clock: arithmetic alone
 */

#include "host.h"
#include "call/playout_clock.h"

#define T0 INT64_C(5000000)

static struct playout_clock started(void)
{
	struct playout_clock clock = { 0 };

	playout_clock_start(&clock, T0);
	return clock;
}

TEST(first_frame_is_due_at_the_start)
{
	struct playout_clock clock = started();

	CHECK_INT(playout_clock_due(&clock, T0, PLAYOUT_FRAME_US), 1);
	CHECK_INT(clock.next_due_us, T0 + PLAYOUT_FRAME_US);
}

TEST(a_callers_frame_meets_a_deadline_up_to_5_ms_early)
{
	struct playout_clock clock = started();

	CHECK_INT(playout_clock_due(&clock, T0 - PLAYOUT_EARLY_US - 1, PLAYOUT_FRAME_US), 0);
	CHECK_INT(playout_clock_due(&clock, T0 - PLAYOUT_EARLY_US, PLAYOUT_FRAME_US), 1);
}

TEST(a_time_out_meets_a_deadline_5_ms_late)
{
	struct playout_clock clock = started();

	CHECK_INT(playout_clock_due(&clock, T0 + PLAYOUT_LATE_US - 1, 0), 0);
	CHECK_INT(playout_clock_due(&clock, T0 + PLAYOUT_LATE_US, 0), 1);
	CHECK_INT(clock.next_due_us, T0 + PLAYOUT_FRAME_US);
}

TEST(a_frame_that_is_hurried_is_due_at_once_and_only_once)
{
	struct playout_clock clock = started();
	int64_t now = T0 + PLAYOUT_FRAME_US / 2;

	CHECK_INT(playout_clock_due(&clock, T0, PLAYOUT_FRAME_US), 1);
	CHECK_INT(playout_clock_due(&clock, now, 0), 0);
	playout_clock_hurry(&clock, now);
	CHECK_INT(playout_clock_due(&clock, now, 0), 1);
	CHECK_INT(playout_clock_due(&clock, now + PLAYOUT_FRAME_US - 1, 0), 0);
	CHECK_INT(playout_clock_due(&clock, now + PLAYOUT_FRAME_US, 0), 1);
	CHECK_INT(clock.late_frames, 0);
}

TEST(what_is_due_already_cannot_be_hurried)
{
	struct playout_clock clock = started();
	int64_t before = clock.next_due_us;

	playout_clock_hurry(&clock, T0 + PLAYOUT_FRAME_US);
	CHECK_INT(clock.next_due_us, before);
}

TEST(a_time_out_does_not_move_the_phase)
{
	struct playout_clock clock = started();
	int i;

	for (i = 0; i < 1000; i++) {
		CHECK_INT(playout_clock_due(&clock,
			T0 + i * PLAYOUT_FRAME_US + PLAYOUT_LATE_US, 0), 1);
	}
	CHECK_INT(clock.next_due_us, T0 + 1000 * PLAYOUT_FRAME_US);
}

TEST(what_was_missed_is_made_up_for)
{
	struct playout_clock clock = started();

	CHECK_INT(playout_clock_due(&clock, T0 + 45 * MS, 0), 3);
	CHECK_INT(clock.next_due_us, T0 + 60 * MS);
	CHECK_INT(clock.resyncs, 0);
}

TEST(at_the_limit_all_is_made_up_for)
{
	struct playout_clock clock = started();

	CHECK_INT(playout_clock_due(&clock, T0 + PLAYOUT_RESYNC_US, PLAYOUT_FRAME_US), 6);
	CHECK_INT(clock.resyncs, 0);
}

TEST(beyond_the_limit_the_clock_starts_again)
{
	struct playout_clock clock = started();
	int64_t now = T0 + PLAYOUT_RESYNC_US + 1;

	CHECK_INT(playout_clock_due(&clock, now, 0), 1);
	CHECK_INT(clock.resyncs, 1);
	CHECK_INT(clock.next_due_us, now + PLAYOUT_FRAME_US);
}

TEST(frames_that_are_late_are_counted)
{
	struct playout_clock clock = started();

	/* In time, a little late, and as late as a frame is long: none of these is heard. */
	CHECK_INT(playout_clock_due(&clock, T0, PLAYOUT_FRAME_US), 1);
	CHECK_INT(playout_clock_due(&clock, T0 + 30 * MS, 0), 1);
	CHECK_INT(clock.late_frames, 0);
	CHECK_INT(clock.latest_us, 10 * MS);
	CHECK_INT(playout_clock_due(&clock, T0 + 66 * MS, 0), 2);
	CHECK_INT(clock.late_frames, 1);
	CHECK_INT(clock.latest_us, 26 * MS);
	/* Nothing is due: nothing is late. */
	CHECK_INT(playout_clock_due(&clock, T0 + 70 * MS, 0), 0);
	CHECK_INT(clock.latest_us, 26 * MS);
}

TEST(a_wait_is_rounded_up_to_whole_milliseconds)
{
	struct playout_clock clock = started();

	CHECK_INT(playout_clock_wait_ms(&clock, T0), 5);
	CHECK_INT(playout_clock_wait_ms(&clock, T0 + 1), 5);
	CHECK_INT(playout_clock_wait_ms(&clock, T0 + 4000), 1);
	CHECK_INT(playout_clock_wait_ms(&clock, T0 + 4001), 1);
	CHECK_INT(playout_clock_wait_ms(&clock, T0 + PLAYOUT_LATE_US), 0);
	CHECK_INT(playout_clock_wait_ms(&clock, T0 + 60 * MS), 0);
}

/*! \return distance of the deadline from the caller's next frame after so many frames */
static int64_t follow(int64_t phase_us, int64_t interval_us, int64_t frame_us, int frames)
{
	struct playout_clock clock = started();
	int64_t now = T0;
	int i;

	for (i = 0; i < frames; i++) {
		now = T0 + phase_us + i * interval_us;
		if (playout_clock_due(&clock, now, frame_us) != 1) {
			FAIL("not one frame is due at the caller's frame %d", i);
		}
	}
	return clock.next_due_us - (now + interval_us);
}

TEST(the_phase_follows_a_caller_who_is_late)
{
	int64_t distance = follow(9 * MS, PLAYOUT_FRAME_US, PLAYOUT_FRAME_US, 200);

	CHECK(distance > -PLAYOUT_FOLLOW_DIVISOR && distance <= 0);
}

TEST(the_phase_follows_a_caller_who_is_early)
{
	int64_t distance = follow(-5 * MS, PLAYOUT_FRAME_US, PLAYOUT_FRAME_US, 200);

	CHECK(distance < PLAYOUT_FOLLOW_DIVISOR && distance >= 0);
}

TEST(a_clock_that_drifts_by_a_thousandth_is_followed_for_an_hour)
{
	follow(0, PLAYOUT_FRAME_US + 20, PLAYOUT_FRAME_US, 180000);
	follow(0, PLAYOUT_FRAME_US - 20, PLAYOUT_FRAME_US, 180000);
}

TEST(the_phase_moves_by_a_millisecond_at_most)
{
	struct playout_clock clock = started();

	playout_clock_due(&clock, T0 + PLAYOUT_FRAME_US / 2, PLAYOUT_FRAME_US);
	CHECK_INT(clock.next_due_us, T0 + PLAYOUT_FRAME_US
		+ PLAYOUT_FRAME_US / 2 / PLAYOUT_FOLLOW_DIVISOR);
	CHECK(PLAYOUT_FRAME_US / 2 / PLAYOUT_FOLLOW_DIVISOR <= PLAYOUT_FOLLOW_MAX_US);
}

TEST(a_frame_half_a_period_off_says_nothing)
{
	struct playout_clock clock = started();

	CHECK_INT(playout_clock_due(&clock, T0 + PLAYOUT_FRAME_US / 2 + 1, PLAYOUT_FRAME_US), 1);
	CHECK_INT(clock.next_due_us, T0 + PLAYOUT_FRAME_US);
}

TEST(of_10_ms_frames_every_second_one_is_met)
{
	struct playout_clock clock = started();
	unsigned int due = 0;
	int i;

	for (i = 0; i < 1000; i++) {
		unsigned int now = playout_clock_due(&clock, T0 + i * 10 * MS, 10 * MS);

		CHECK(now <= 1);
		due += now;
	}
	CHECK_INT(due, 500);
}

TEST(of_40_ms_frames_each_meets_one_and_a_time_out_the_other)
{
	struct playout_clock clock = started();
	unsigned int due = 0;
	int i;

	for (i = 0; i < 500; i++) {
		int64_t now = T0 + i * 40 * MS;

		due += playout_clock_due(&clock, now, 40 * MS);
		now += playout_clock_wait_ms(&clock, now) * 1000;
		due += playout_clock_due(&clock, now, 0);
	}
	CHECK(due >= 999 && due <= 1000);
}
