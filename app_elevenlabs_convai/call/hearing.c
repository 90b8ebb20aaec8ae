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

#include "call/call.h"
#include "call/hearing.h"
#include "call/options.h"

/*! One frame on its way to the agent */
struct voice {
	struct call *call;
	int64_t came_us;	/*!< earlier than now if the pre-roll has kept it */
	int64_t now;
};

/*! \brief Give the agent silence in place of what did not come, or is not to be heard */
static void push_silence(struct call *call, unsigned int ms, int64_t now)
{
	if (ms) {
		watchdog_pushed(&call->watchdog, call->ops->push_silence(call->session, ms) != 0, now);
	}
}

/*! \brief Give the agent a frame that is in the caller format by now */
static void push_voice(void *data, const struct ast_frame *frame)
{
	const struct voice *voice = data;
	struct call *call = voice->call;
	int64_t now = voice->now;

	watchdog_hear(&call->watchdog, frame, now);
	if (call->options->protect_greeting && !call->watchdog.greeting_over) {
		push_silence(call, media_length_ms(frame), now);
		return;
	}
	watchdog_pushed(&call->watchdog,
		call->ops->push(call->session, frame->data.ptr, frame->datalen, now) != 0, now);
}

/*!
 * \brief Let the agent hear a frame if it is in time, or silence in its place
 * \param is_mute it is not to be heard itself
 */
static void hear(struct voice *voice, const struct ast_frame *frame, int is_mute)
{
	struct call *call = voice->call;
	struct caller_clock *clock = &call->caller.clock;
	int64_t length_us = media_length_us(frame);
	unsigned int missing_ms;
	int is_in_time;

	if (length_us <= 0) {
		return;
	}
	if (is_mute || frame->datalen <= 0) {
		/* A jitter buffer gives frames without data in place of those that it has not got. */
		push_silence(call, caller_clock_mute_ms(clock, voice->came_us, length_us), voice->now);
		return;
	}
	is_in_time = caller_clock_frame(clock, voice->came_us, length_us, media_stamp_us(frame),
			&missing_ms);
	push_silence(call, missing_ms, voice->now);
	if (is_in_time && media_convert(&call->media, frame, push_voice, voice)) {
		statistics_count(&call->statistics.untranslated_frames);
		push_silence(call, length_us / 1000, voice->now);
	}
}

static void note_preroll(struct call *call)
{
	statistics_set(&call->statistics.preroll_dropped_ms, call->media.preroll_dropped_ms);
}

void hearing_begin(struct call *call, int64_t now)
{
	struct caller_clock *clock = &call->caller.clock;
	struct voice voice = { .call = call, .came_us = now, .now = now };
	struct ast_frame *frame = media_preroll_take(&call->media, now, &voice.came_us);

	caller_clock_start(clock, voice.came_us);
	while (frame) {
		push_silence(call, caller_clock_gap_ms(clock, voice.came_us), now);
		hear(&voice, frame, 0);
		ast_frfree(frame);
		frame = media_preroll_take(&call->media, now, &voice.came_us);
	}
	note_preroll(call);
}

void hearing_take(struct call *call, struct ast_frame *frame, int64_t now)
{
	struct voice voice = { .call = call, .came_us = now, .now = now };
	int is_tone = dtmf_covers_audio(&call->dtmf, now);

	statistics_count(&call->statistics.voice_frames_read);
	media_read_raw(&call->media);
	switch (caller_voice(&call->caller, call->progress.state, is_tone)) {
	case CALLER_PUSH:
		hear(&voice, frame, 0);
		break;
	case CALLER_MUTE:
		hear(&voice, frame, 1);
		break;
	case CALLER_KEEP:
		media_preroll_keep(&call->media, frame, now);
		note_preroll(call);
		break;
	case CALLER_DROP:
		break;
	}
}

void hearing_look(struct call *call, int64_t now)
{
	struct watchdog *watchdog = &call->watchdog;

	if (call->idle) {
		push_silence(call, caller_clock_gap_ms(&call->caller.clock, now), now);
	}
	statistics_take_caller_clock(&call->statistics, &call->caller.clock);
	if (call->options->protect_greeting && !watchdog->greeting_over) {
		watchdog_greeting(watchdog, call->ops->queued(call->session) != 0, now);
	}
}
