/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief From the caller to the agent: what is heard of each frame, and silence for those
 * that do not come
 */

#include "asterisk.h"

#include "asterisk/frame.h"	/* struct ast_frame */

#include "call/hearing.h"
#include "call/media.h"
#include "call/queue.h"
#include "call/statistics.h"
#include "call/watchdog.h"
#include "convai_ops.h"

/*! One frame on its way to the agent */
struct voice {
	struct hearing *hearing;
	int64_t came_us;	/*!< earlier than now if the pre-roll has kept it */
	int64_t now;
};

void hearing_silence(struct hearing *hearing, unsigned int ms, int64_t now)
{
	if (ms) {
		watchdog_pushed(hearing->watchdog,
			hearing->ops->push_silence(hearing->session, ms) != 0, now);
	}
}

/*! \brief Give the agent a frame that is in the caller format by now */
static void push_voice(void *data, const struct ast_frame *frame)
{
	const struct voice *voice = data;
	struct hearing *hearing = voice->hearing;
	uint32_t taken;

	watchdog_hear(hearing->watchdog, frame, voice->now);
	statistics_set(&hearing->statistics->speech_ms, hearing->watchdog->speech_ms);
	if (hearing->protect_greeting && !hearing->watchdog->greeting_over) {
		hearing_silence(hearing, media_length_ms(frame), voice->now);
		return;
	}
	/* What was kept from before the conversation was not read now. */
	taken = hearing->ops->push(hearing->session, frame->data.ptr, frame->datalen,
			voice->came_us == voice->now ? voice->now : 0);
	watchdog_pushed(hearing->watchdog, taken != 0, voice->now);
}

/*!
 * \brief Let the agent hear a frame if it is in time, or silence in its place
 * \param is_mute it is not to be heard itself
 */
static void hear(struct voice *voice, const struct ast_frame *frame, int is_mute)
{
	struct hearing *hearing = voice->hearing;
	struct caller_clock *clock = &hearing->clock;
	int64_t length_us = media_length_us(frame);
	unsigned int ms;
	int is_in_time;

	if (length_us <= 0) {
		return;
	}
	if (is_mute || frame->datalen <= 0) {
		/* A jitter buffer gives frames without data in place of those that it has not got. */
		ms = caller_clock_mute_ms(clock, voice->came_us, length_us);
		hearing_silence(hearing, ms, voice->now);
		return;
	}
	is_in_time = caller_clock_frame(clock, voice->came_us, length_us, media_stamp_us(frame), &ms);
	hearing_silence(hearing, ms, voice->now);
	if (is_in_time && media_convert(hearing->media, frame, push_voice, voice)) {
		statistics_count(&hearing->statistics->untranslated_frames);
		hearing_silence(hearing, length_us / 1000, voice->now);
	}
}

static void note_preroll(struct hearing *hearing)
{
	statistics_set(&hearing->statistics->preroll_dropped_ms, hearing->media->preroll_dropped_ms);
}

/*! \brief Keep a frame for an agent who is not there yet. What is dropped in a queue was nobody's. */
static void keep(struct hearing *hearing, struct ast_frame *frame, int64_t came_us)
{
	unsigned int dropped_ms = hearing->media->preroll_dropped_ms;

	media_preroll_keep(hearing->media, frame, came_us);
	if (hearing->queue->waits) {
		hearing->media->preroll_dropped_ms = dropped_ms;
	}
	note_preroll(hearing);
}

void hearing_begin(struct hearing *hearing, int64_t now)
{
	struct caller_clock *clock = &hearing->clock;
	struct voice voice = { .hearing = hearing, .came_us = now, .now = now };
	struct ast_frame *frame = media_preroll_take(hearing->media, now, &voice.came_us);

	caller_clock_start(clock, voice.came_us);
	while (frame) {
		hearing_silence(hearing, caller_clock_gap_ms(clock, voice.came_us), now);
		hear(&voice, frame, 0);
		ast_frfree(frame);
		frame = media_preroll_take(hearing->media, now, &voice.came_us);
	}
	note_preroll(hearing);
}

void hearing_take(struct hearing *hearing, struct ast_frame *frame, enum caller_verdict verdict,
	int64_t now)
{
	struct voice voice = { .hearing = hearing, .came_us = now, .now = now };
	int64_t came_us = media_came(hearing->media, frame, now);

	if (!hearing->queue->waits) {
		statistics_count(&hearing->statistics->voice_frames_read);
	}
	media_read_raw(hearing->media);
	switch (verdict) {
	case CALLER_PUSH:
	case CALLER_MUTE:
		hear(&voice, frame, verdict == CALLER_MUTE);
		break;
	case CALLER_KEEP:
		keep(hearing, frame, came_us);
		break;
	case CALLER_DROP:
		break;
	}
}

void hearing_look(struct hearing *hearing, int is_idle, int64_t now)
{
	if (is_idle) {
		hearing_silence(hearing, caller_clock_gap_ms(&hearing->clock, now), now);
	}
	statistics_take_caller_clock(hearing->statistics, &hearing->clock);
	if (hearing->protect_greeting && !hearing->watchdog->greeting_over) {
		watchdog_greeting(hearing->watchdog, hearing->ops->queued(hearing->session) != 0, now);
	}
}
