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

#include "call/caller_clock.h"
#include "call/playout_clock.h"
#include "call/statistics.h"
#include "monotonic.h"

void statistics_first(uint64_t *waited_us, int64_t since)
{
	if (!*waited_us) {
		statistics_set(waited_us, monotonic_us() - since);
	}
}

void statistics_take_clock(struct call_statistics *statistics,
	const struct playout_clock *clock)
{
	statistics_set(&statistics->resyncs, clock->resyncs);
	statistics_set(&statistics->late_frames, clock->late_frames);
	statistics_set(&statistics->latest_us, clock->latest_us);
}

void statistics_take_caller_clock(struct call_statistics *statistics,
	const struct caller_clock *clock)
{
	statistics_set(&statistics->behind_us, clock->behind_us);
	statistics_set(&statistics->ahead_us, clock->ahead_us);
	statistics_set(&statistics->inserted_ms, clock->inserted_ms);
	statistics_set(&statistics->caller_late_us, clock->late_us);
}

void statistics_copy(const struct call_statistics *from, struct call_statistics *to)
{
	to->voice_frames_read = __atomic_load_n(&from->voice_frames_read, __ATOMIC_RELAXED);
	to->speech_ms = __atomic_load_n(&from->speech_ms, __ATOMIC_RELAXED);
	to->digits = __atomic_load_n(&from->digits, __ATOMIC_RELAXED);
	to->holds = __atomic_load_n(&from->holds, __ATOMIC_RELAXED);
	to->on_hold = __atomic_load_n(&from->on_hold, __ATOMIC_RELAXED);
	to->steps = __atomic_load_n(&from->steps, __ATOMIC_RELAXED);
	to->in_step = __atomic_load_n(&from->in_step, __ATOMIC_RELAXED);
	to->untranslated_frames = __atomic_load_n(&from->untranslated_frames, __ATOMIC_RELAXED);
	to->frames_written = __atomic_load_n(&from->frames_written, __ATOMIC_RELAXED);
	to->silent_frames = __atomic_load_n(&from->silent_frames, __ATOMIC_RELAXED);
	to->write_failures = __atomic_load_n(&from->write_failures, __ATOMIC_RELAXED);
	to->resyncs = __atomic_load_n(&from->resyncs, __ATOMIC_RELAXED);
	to->underruns = __atomic_load_n(&from->underruns, __ATOMIC_RELAXED);
	to->late_frames = __atomic_load_n(&from->late_frames, __ATOMIC_RELAXED);
	to->latest_us = __atomic_load_n(&from->latest_us, __ATOMIC_RELAXED);
	to->preroll_dropped_ms = __atomic_load_n(&from->preroll_dropped_ms, __ATOMIC_RELAXED);
	to->behind_us = __atomic_load_n(&from->behind_us, __ATOMIC_RELAXED);
	to->ahead_us = __atomic_load_n(&from->ahead_us, __ATOMIC_RELAXED);
	to->inserted_ms = __atomic_load_n(&from->inserted_ms, __ATOMIC_RELAXED);
	to->caller_late_us = __atomic_load_n(&from->caller_late_us, __ATOMIC_RELAXED);
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
