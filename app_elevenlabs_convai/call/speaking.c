/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief From the agent to the caller: each frame when it is due, up to the last word
 */

#include "asterisk.h"

#include "asterisk/channel.h"	/* ast_channel_name */
#include "asterisk/logger.h"	/* DEBUG_ATLEAST */

#include "call/hearing.h"
#include "call/media.h"
#include "call/queue.h"
#include "call/speaking.h"
#include "call/statistics.h"
#include "convai_ops.h"
#include "door.h"
#include "monotonic.h"

/*!
 * Silence after the agent's last word: the far end's jitter buffer still holds that word
 */
#define TAIL_US 200000
/*! A queue plays out in real time; so much later something is wrong with it */
#define PLAY_OUT_GRACE_US 10000000
/*!
 * So much of what was queued is heard when the conversation broke: a sentence or two, for nobody is
 * there any more to say the rest or to hear the caller
 */
#define BROKEN_PLAY_OUT_US 10000000

int speaking_is_queued(const struct speaking *speaking)
{
	return speaking->ops->queued(speaking->session) != 0;
}

static void note_write(struct speaking *speaking, int failed)
{
	statistics_count(&speaking->statistics->frames_written);
	if (failed) {
		statistics_count(&speaking->statistics->write_failures);
		if (speaking->statistics->write_failures == 1) {
			door_debug(1, "%s: a frame could not be written\n",
				ast_channel_name(speaking->channel));
		}
	}
}

/*! \brief The agent is heard: note whether it is so again, after a pause that it has not made */
static void note_heard(struct speaking *speaking, int64_t now)
{
	statistics_first(&speaking->statistics->speaking_us, speaking->started_us);
	if (speaking->dry && now - speaking->heard_us < SPEAKING_UNDERRUN_US) {
		statistics_count(&speaking->statistics->underruns);
	}
	speaking->dry = 0;
	speaking->heard_us = now;
}

static void write_frame(struct speaking *speaking, int64_t now)
{
	struct media *media = speaking->media;

	if (speaking->queue->waits) {
		hearing_silence(speaking->hearing, PLAYOUT_FRAME_US / 1000, now);
		speaking->waiting = queue_write(speaking->queue, speaking->ops, speaking->session,
				speaking->waiting, now);
		return;
	}
	if (!media->agent) {
		/* What the caller hears is Asterisk's own, and keeps frames of ours out. */
		if (speaking->silence && !speaking->waiting) {
			statistics_count(&speaking->statistics->silent_frames);
			note_write(speaking, media_write_native_silence(media));
		}
		return;
	}
	if (speaking->filled) {
		return;
	}
	if (!speaking->ops->pop(speaking->session, media_audio(media), media->frame_bytes, now)) {
		speaking->dry = speaking->heard_us != 0;
		/* While a farewell is played out, its tail is silence in any case. */
		if (!speaking->silence && speaking->progress->state != CONVAI_STATE_ENDED) {
			return;
		}
		statistics_count(&speaking->statistics->silent_frames);
	} else {
		note_heard(speaking, now);
	}
	note_write(speaking, media_write(media));
}

/*! \brief The agent's first word does not wait for the end of a frame of silence */
static void hurry_first_word(struct speaking *speaking, int64_t now)
{
	if (!speaking->hurried && !speaking->queue->waits && speaking->media->agent
		&& speaking_is_queued(speaking)) {
		speaking->hurried = 1;
		playout_clock_hurry(&speaking->clock, now);
	}
}

void speaking_write(struct speaking *speaking, int64_t now, int64_t caller_frame_us)
{
	unsigned int due;

	hurry_first_word(speaking, now);
	due = playout_clock_due(&speaking->clock, now, caller_frame_us);
	statistics_take_clock(speaking->statistics, &speaking->clock);
	while (due--) {
		write_frame(speaking, now);
	}
}

/*! \brief How long what is queued may still be heard after the end, in microseconds */
static int64_t play_out_us(const struct speaking *speaking)
{
	switch (speaking->progress->play_out) {
	case CONVAI_PLAY_OUT_ALL:
		return media_audio_us(&speaking->progress->agent,
				speaking->ops->queued(speaking->session)) + PLAY_OUT_GRACE_US;
	case CONVAI_PLAY_OUT_BRIEFLY:
		return BROKEN_PLAY_OUT_US;
	default:
		return 0;
	}
}

int speaking_end(struct speaking *speaking)
{
	int64_t limit_us = speaking->media->agent ? play_out_us(speaking) : 0;

	speaking->leave_us = monotonic_us() + limit_us;
	return limit_us != 0;
}

int speaking_is_over(struct speaking *speaking, int64_t now)
{
	if (speaking_is_queued(speaking) && now < speaking->leave_us) {
		return 0;
	}
	if (!speaking->tail_us) {
		speaking->tail_us = now + TAIL_US;
		return 0;
	}
	return now >= speaking->tail_us;
}
