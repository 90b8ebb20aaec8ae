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
 */

#include "call/playout_clock.h"
#include "call/statistics.h"

void statistics_take_clock(struct call_statistics *statistics,
	const struct playout_clock *clock)
{
	statistics_set(&statistics->resyncs, clock->resyncs);
	statistics_set(&statistics->late_frames, clock->late_frames);
	statistics_set(&statistics->latest_us, clock->latest_us);
}

void statistics_copy(const struct call_statistics *from, struct call_statistics *to)
{
	to->voice_frames_read = __atomic_load_n(&from->voice_frames_read, __ATOMIC_RELAXED);
	to->digits = __atomic_load_n(&from->digits, __ATOMIC_RELAXED);
	to->foreign_frames = __atomic_load_n(&from->foreign_frames, __ATOMIC_RELAXED);
	to->frames_written = __atomic_load_n(&from->frames_written, __ATOMIC_RELAXED);
	to->silent_frames = __atomic_load_n(&from->silent_frames, __ATOMIC_RELAXED);
	to->write_failures = __atomic_load_n(&from->write_failures, __ATOMIC_RELAXED);
	to->resyncs = __atomic_load_n(&from->resyncs, __ATOMIC_RELAXED);
	to->late_frames = __atomic_load_n(&from->late_frames, __ATOMIC_RELAXED);
	to->latest_us = __atomic_load_n(&from->latest_us, __ATOMIC_RELAXED);
	to->preroll_dropped_ms = __atomic_load_n(&from->preroll_dropped_ms, __ATOMIC_RELAXED);
	to->talking_us = __atomic_load_n(&from->talking_us, __ATOMIC_RELAXED);
	to->speaking_us = __atomic_load_n(&from->speaking_us, __ATOMIC_RELAXED);
	to->queued_us = __atomic_load_n(&from->queued_us, __ATOMIC_RELAXED);
	to->queued_since_us = __atomic_load_n(&from->queued_since_us, __ATOMIC_RELAXED);
}

void statistics_queue(struct call_statistics *statistics, int64_t now)
{
	statistics_set(&statistics->queued_since_us, now);
}

void statistics_leave_queue(struct call_statistics *statistics, int64_t now)
{
	statistics_set(&statistics->queued_us, statistics_queued_us(statistics, now));
	statistics_set(&statistics->queued_since_us, 0);
}

uint64_t statistics_queued_us(const struct call_statistics *statistics, int64_t now)
{
	uint64_t since = statistics->queued_since_us;

	return statistics->queued_us + (since ? now - since : 0);
}

unsigned int statistics_seconds(uint64_t us)
{
	return (us + 500000) / 1000000;
}
