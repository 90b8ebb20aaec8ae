/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The caller's clock: arithmetic alone
 *
 * What a line may do in any order is for tests/unit/test_caller_clock.py.
 */

#include <limits.h>

#include "host.h"
#include "call/caller_clock.h"

#define T0 INT64_C(5000000)
#define FRAME (20 * MS)
/*! What is promised, either way */
#define PROMISED (60 * MS)

/*! \brief A frame on a line without stamps */
static int frame(struct caller_clock *clock, int64_t now_us, int64_t length_us)
{
	unsigned int missing_ms;
	int res = caller_clock_frame(clock, now_us, length_us, CALLER_NO_STAMP, &missing_ms);

	CHECK_INT(missing_ms, 0);
	return res;
}

/*! A clock whose first frame came at T0 */
static struct caller_clock started(void)
{
	struct caller_clock clock = { 0 };

	caller_clock_start(&clock, T0 - 7 * MS);
	CHECK_INT(frame(&clock, T0, FRAME), 1);
	return clock;
}

TEST(frames_in_time_are_heard_and_nothing_else)
{
	static const int64_t lengths[] = { 10 * MS, 20 * MS, 30 * MS, 40 * MS, 60 * MS };
	size_t i;
	int n;

	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct caller_clock clock = { 0 };

		caller_clock_start(&clock, T0);
		for (n = 0; n < 1000; n++) {
			int64_t now = T0 + 1 * MS + n * lengths[i];

			CHECK_INT(caller_clock_gap_ms(&clock, now), 0);
			CHECK_INT(frame(&clock, now, lengths[i]), 1);
		}
		CHECK_INT(clock.behind_us, 0);
		CHECK_INT(clock.ahead_us, 0);
		CHECK_INT(clock.covered_us, T0 + 1 * MS + 999 * lengths[i]);
	}
}

TEST(a_first_frame_that_comes_late_leaves_its_gap)
{
	struct caller_clock clock = { 0 };

	caller_clock_start(&clock, T0);
	CHECK_INT(caller_clock_wait_ms(&clock, T0), 70);
	CHECK_INT(caller_clock_gap_ms(&clock, T0 + 69 * MS), 0);
	CHECK_INT(caller_clock_gap_ms(&clock, T0 + 70 * MS), 50);
	CHECK_INT(caller_clock_wait_ms(&clock, T0 + 70 * MS), INT_MAX);
	CHECK_INT(frame(&clock, T0 + 70 * MS, FRAME), 1);
	CHECK_INT(clock.covered_us, T0 + 70 * MS);
}

TEST(a_first_frame_may_be_long)
{
	struct caller_clock clock = { 0 };

	/* Behind a jitter buffer: the gap has left room for 20 ms. */
	caller_clock_start(&clock, T0);
	CHECK_INT(caller_clock_gap_ms(&clock, T0 + 200 * MS), 180);
	CHECK_INT(frame(&clock, T0 + 200 * MS, 60 * MS), 1);
	CHECK_INT(frame(&clock, T0 + 235 * MS, 60 * MS), 1);
}

TEST(a_pause_becomes_silence_of_its_length)
{
	struct caller_clock clock = started();
	int64_t now = T0;
	unsigned int silence_ms = 0;

	/* A word follows 220 ms after the last one's end; this thread wakes every 20 ms. */
	while (now < T0 + 220 * MS) {
		now += 20 * MS;
		silence_ms += caller_clock_gap_ms(&clock, now);
	}
	CHECK_INT(silence_ms, 200);
	CHECK_INT(frame(&clock, T0 + 240 * MS, FRAME), 1);
	CHECK_INT(clock.covered_us, T0 + 220 * MS);
	CHECK_INT(clock.inserted_ms, 200);
}

TEST(without_stamps_what_comes_late_is_dropped_once_it_would_run_ahead)
{
	struct caller_clock clock = started();
	int64_t now;
	unsigned int silence_ms = 0;
	int heard = 0;
	int n;

	for (now = T0; now < T0 + 400 * MS; now += 20 * MS) {
		silence_ms += caller_clock_gap_ms(&clock, now);
	}
	CHECK_INT(silence_ms, 360);
	/* Then all 20 at once, and further ones in time. */
	for (n = 0; n < 20; n++) {
		heard += frame(&clock, now, FRAME);
	}
	CHECK_INT(heard, 5);
	CHECK_INT(clock.late_us, 15 * FRAME);
	for (n = 1; n < 100; n++) {
		CHECK_INT(frame(&clock, now + n * FRAME, FRAME), 1);
	}
	CHECK(clock.ahead_us <= PROMISED);
	/* The next stall of as much as that finds its silence there already. */
	for (n = 100; n < 105; n++) {
		CHECK_INT(caller_clock_gap_ms(&clock, now + n * FRAME), 0);
	}
	for (n = 100; n < 105; n++) {
		CHECK_INT(frame(&clock, now + 104 * FRAME, FRAME), 1);
	}
}

/* ---- Stamps ---- */

/*! On the nth frame's time, with a stamp of that time. \return 1 if it is heard */
static int stamped(struct caller_clock *clock, int64_t now_us, int n, unsigned int *missing_ms)
{
	return caller_clock_frame(clock, now_us, FRAME, n * INT64_C(20000), missing_ms);
}

/*! A clock that has had frames 0 to 9, the last at T0 */
static struct caller_clock stamped_line(void)
{
	struct caller_clock clock = { 0 };
	unsigned int missing_ms;
	int n;

	caller_clock_start(&clock, T0 - 9 * FRAME);
	for (n = 0; n < 10; n++) {
		CHECK_INT(stamped(&clock, T0 + (n - 9) * FRAME, n, &missing_ms), 1);
		CHECK_INT(missing_ms, 0);
	}
	return clock;
}

TEST(what_is_lost_is_silence_in_its_place)
{
	struct caller_clock clock = stamped_line();
	unsigned int missing_ms;

	CHECK_INT(stamped(&clock, T0 + 2 * FRAME, 11, &missing_ms), 1);
	CHECK_INT(missing_ms, 20);
	CHECK_INT(clock.covered_us, T0 + 2 * FRAME);
	CHECK_INT(clock.inserted_ms, 20);
}

TEST(what_comes_late_is_dropped_where_silence_has_taken_its_place)
{
	struct caller_clock clock = stamped_line();
	unsigned int missing_ms;
	int64_t now;
	int heard = 0;
	int n;

	for (now = T0; now < T0 + 400 * MS; now += 20 * MS) {
		caller_clock_gap_ms(&clock, now);
	}
	for (n = 10; n < 30; n++) {
		heard += stamped(&clock, now, n, &missing_ms);
	}
	CHECK_INT(heard, 2);
	CHECK_INT(clock.covered_us, now);
	for (n = 30; n < 130; n++) {
		CHECK_INT(stamped(&clock, now + (n - 29) * FRAME, n, &missing_ms), 1);
		CHECK_INT(missing_ms, 0);
	}
	CHECK_INT(clock.ahead_us, 0);
}

TEST(a_pause_behind_a_jitter_buffer_costs_no_frame)
{
	struct caller_clock clock = stamped_line();
	unsigned int missing_ms;
	int64_t now;
	int n;

	/* After a gap, three frames of the buffer's own, each up to 15 ms late, stand for a pause. */
	for (now = T0; now < T0 + 400 * MS; now += 20 * MS) {
		caller_clock_gap_ms(&clock, now);
	}
	for (n = 29; n < 40; n++, now += FRAME) {
		CHECK_INT(stamped(&clock, now, n, &missing_ms), 1);
	}
	for (; n < 43; n++, now += FRAME) {
		caller_clock_mute_ms(&clock, now + 15 * MS, FRAME);
	}
	CHECK_INT(stamped(&clock, now, n, &missing_ms), 1);
}

TEST(a_line_that_takes_longer_from_now_on_loses_nothing_after_pauses)
{
	struct caller_clock clock = stamped_line();
	const int64_t later = 60 * MS;
	unsigned int missing_ms;
	int64_t now;
	int lost = 0;
	int n = 10;

	/* Words of 200 ms, and pauses of 200 ms. */
	for (now = T0; n < 110; now += 5 * MS) {
		if (now < T0 + (n - 9) * FRAME + later) {
			caller_clock_gap_ms(&clock, now);
			continue;
		}
		lost += !stamped(&clock, now, n, &missing_ms);
		n += n % 20 == 19 ? 11 : 1;
	}
	CHECK_INT(lost, 0);
}

TEST(a_frame_that_comes_twice_or_out_of_order_is_heard_once)
{
	struct caller_clock clock = stamped_line();
	unsigned int missing_ms;

	CHECK_INT(stamped(&clock, T0, 9, &missing_ms), 0);
	CHECK_INT(stamped(&clock, T0 + 1 * FRAME, 11, &missing_ms), 1);
	CHECK_INT(missing_ms, 0);
	CHECK_INT(stamped(&clock, T0 + 2 * FRAME, 10, &missing_ms), 0);
	CHECK_INT(stamped(&clock, T0 + 3 * FRAME, 12, &missing_ms), 1);
	CHECK_INT(missing_ms, 20);
	CHECK_INT(clock.covered_us, T0 + 3 * FRAME);
}

TEST(stamps_that_jump_say_nothing)
{
	static const int jumps[] = { 1000000, 10, -5, -40, -100000 };
	size_t i;

	for (i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
		struct caller_clock clock = stamped_line();
		unsigned int missing_ms;
		int heard = 0;
		int n;

		for (n = 10; n < 110; n++) {
			heard += stamped(&clock, T0 + (n - 9) * FRAME, n + jumps[i], &missing_ms);
			CHECK_INT(missing_ms, 0);
			caller_clock_gap_ms(&clock, T0 + (n - 9) * FRAME);
		}
		CHECK(heard >= 100 - CALLER_OLD_MAX);
		CHECK(clock.behind_us <= PROMISED);
		CHECK(clock.ahead_us <= PROMISED);
	}
}

TEST(stamps_that_stand_still_in_pauses_cost_one_frame)
{
	struct caller_clock clock = stamped_line();
	unsigned int missing_ms;
	int64_t now = T0;
	int heard = 0;
	int n;

	for (n = 10; n < 500; n++) {
		int64_t pause_end = n % 20 ? now : now + 300 * MS;

		while (now < pause_end) {
			now += 20 * MS;
			caller_clock_gap_ms(&clock, now);
		}
		now += FRAME;
		heard += stamped(&clock, now, n, &missing_ms);
		CHECK_INT(missing_ms, 0);
	}
	CHECK_INT(heard, 490 - 1);
	CHECK(now - clock.covered_us <= PROMISED);
	CHECK(clock.covered_us - now <= PROMISED);
}

TEST(stamps_that_run_at_twice_the_time_cost_nothing)
{
	struct caller_clock clock = stamped_line();
	unsigned int missing_ms;
	int n;

	for (n = 10; n < 500; n++) {
		CHECK_INT(stamped(&clock, T0 + (n - 9) * FRAME, 2 * n, &missing_ms), 1);
		CHECK_INT(missing_ms, 0);
	}
	CHECK_INT(clock.covered_us, T0 + 490 * FRAME);
}

TEST(stamps_are_only_known_to_a_millisecond)
{
	struct caller_clock clock = { 0 };
	unsigned int missing_ms;
	int n;

	caller_clock_start(&clock, T0);
	for (n = 0; n < 1000; n++) {
		int64_t us = n * INT64_C(22500) / 1000 * 1000;

		CHECK_INT(caller_clock_frame(&clock, T0 + n * INT64_C(22500), 22500, us, &missing_ms), 1);
		CHECK_INT(missing_ms, 0);
	}
}

/* ---- Jitter, loss, drift ---- */

/*! \return frames that were dropped, of so many with a jitter of up to this much */
static int64_t jitter(int64_t length_us, int64_t most_us, uint64_t *inserted_ms)
{
	struct caller_clock clock = { 0 };
	unsigned int random = 1;
	int64_t last = T0;
	int n;

	caller_clock_start(&clock, T0);
	for (n = 0; n < 3000; n++) {
		int64_t now = T0 + n * length_us;

		random = random * 1103515245 + 12345;
		now += (random >> 8) % (most_us + 1);
		/* Wakes between the two frames; what comes behind a late one is later still. */
		now = now < last ? last : now;
		for (; last < now; last += 1 * MS) {
			caller_clock_gap_ms(&clock, last);
		}
		last = now;
		frame(&clock, now, length_us);
	}
	CHECK(clock.behind_us <= PROMISED);
	CHECK(clock.ahead_us <= PROMISED);
	*inserted_ms = clock.inserted_ms;
	return clock.late_us;
}

TEST(jitter_neither_inserts_silence_nor_drops)
{
	static const int64_t lengths[] = { 10 * MS, 20 * MS, 30 * MS, 40 * MS, 60 * MS };
	uint64_t inserted_ms;
	size_t i;

	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		CHECK_INT(jitter(lengths[i], 20 * MS, &inserted_ms), 0);
		CHECK_INT(inserted_ms, 0);
		CHECK_INT(jitter(lengths[i], 50 * MS, &inserted_ms), 0);
		CHECK_INT(inserted_ms, 0);
		/* What is inserted once serves as a jitter buffer from then on. */
		CHECK_INT(jitter(lengths[i], 60 * MS, &inserted_ms), 0);
		CHECK(inserted_ms <= 60);
	}
}

TEST(of_frames_that_are_lost_the_length_is_heard)
{
	struct caller_clock clock = started();
	unsigned int random = 1;
	int64_t heard = FRAME;
	int64_t now;
	int n;

	for (n = 1; n < 10000; n++) {
		now = T0 + n * FRAME;
		random = random * 1103515245 + 12345;
		if ((random >> 8) % 10) {
			heard += FRAME * frame(&clock, now, FRAME);
		}
		heard += caller_clock_gap_ms(&clock, now + 10 * MS) * (int64_t) MS;
	}
	CHECK(clock.behind_us <= PROMISED);
	CHECK_INT(clock.late_us, 0);
	CHECK(10000 * FRAME - heard <= PROMISED);
}

/*! An hour of frames from a clock that runs so many millionths fast: neither silence nor drops */
static void drift(int64_t ppm, int jitter_us)
{
	struct caller_clock clock = started();
	unsigned int random = 1;
	int n;

	for (n = 1; n < 180000; n++) {
		int64_t now = T0 + n * (FRAME - FRAME / 1000 * ppm / 1000);

		random = random * 1103515245 + 12345;
		now += jitter_us ? (random >> 8) % jitter_us : 0;
		CHECK_INT(caller_clock_gap_ms(&clock, now), 0);
		CHECK_INT(frame(&clock, now, FRAME), 1);
	}
	CHECK(clock.behind_us <= PROMISED);
	CHECK(clock.ahead_us <= PROMISED);
}

TEST(a_clock_that_drifts_is_followed_for_an_hour)
{
	drift(100, 0);
	drift(-100, 0);
	drift(400, 15 * MS);
	drift(-400, 15 * MS);
}

TEST(what_jumps_is_no_drift)
{
	struct caller_clock clock = started();
	int64_t now = T0;
	int n;

	/* One frame is lost each 11 s: more than a window's drift can be. */
	for (n = 1; n < 100000; n++) {
		now = T0 + n * FRAME;
		caller_clock_gap_ms(&clock, now - 1 * MS);
		if (n % 550) {
			CHECK_INT(frame(&clock, now, FRAME), 1);
		}
	}
	/* Each frame, but what is not missed yet, has its silence. */
	CHECK(clock.inserted_ms >= 100000 / 550 * 20 - 60);
	CHECK_INT(clock.covered_us % MS, 0);
	CHECK(now - clock.covered_us <= PROMISED);
}

TEST(frames_that_waited_for_this_thread_are_all_heard)
{
	struct caller_clock clock = started();
	int n;

	for (n = 1; n <= 50; n++) {
		CHECK_INT(frame(&clock, T0 + 1000 * MS, FRAME), 1);
	}
	CHECK_INT(clock.covered_us, T0 + 1000 * MS);
	CHECK_INT(clock.behind_us, 980 * MS);
	CHECK_INT(clock.inserted_ms, 0);
}

TEST(no_more_than_two_seconds_of_silence_at_once)
{
	struct caller_clock clock = started();

	CHECK_INT(caller_clock_gap_ms(&clock, T0 + 9000 * MS), CALLER_GAP_MS_MAX);
	CHECK_INT(clock.covered_us, T0 + 9000 * MS - FRAME);
}

TEST(frames_that_are_not_to_be_heard_are_silence_by_time)
{
	struct caller_clock clock = started();
	unsigned int ms = 0;
	int n;

	/* 40 ms ahead, say: that is used up first. */
	CHECK_INT(frame(&clock, T0, FRAME), 1);
	CHECK_INT(frame(&clock, T0, FRAME), 1);
	for (n = 1; n <= 100; n++) {
		ms += caller_clock_mute_ms(&clock, T0 + n * FRAME, FRAME);
	}
	CHECK_INT(ms, 2000 - 40);
	CHECK_INT(clock.covered_us, T0 + 100 * FRAME);
	CHECK_INT(caller_clock_mute_ms(&clock, T0 + 100 * FRAME + 300, FRAME), 0);
	CHECK_INT(caller_clock_mute_ms(&clock, T0 + 101 * FRAME + 300, FRAME), 20);
	CHECK_INT(clock.covered_us, T0 + 101 * FRAME);
}

TEST(waits_are_rounded_up_to_whole_milliseconds)
{
	struct caller_clock clock = started();

	CHECK_INT(caller_clock_wait_ms(&clock, T0), 70);
	CHECK_INT(caller_clock_wait_ms(&clock, T0 + 1), 70);
	CHECK_INT(caller_clock_wait_ms(&clock, T0 + 1 * MS), 69);
	CHECK_INT(caller_clock_wait_ms(&clock, T0 + 500 * MS), 0);
}
