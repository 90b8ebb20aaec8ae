/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief While the service has no agent free, and lets the caller wait
 */

#include "asterisk.h"

#include "call/events.h"
#include "call/media.h"
#include "call/options.h"
#include "call/queue.h"
#include "call/statistics.h"
#include "call/variables.h"
#include "call/waiting.h"
#include "monotonic.h"

/*!
 * So much later than it comes hold audio is heard, in microseconds: it comes in pieces of about a
 * second, no sooner than it is to be heard, and a network delays them by a fraction of this
 */
#define HOLD_DELAY_US 200000

static void publish(const struct queue *queue, const char *status)
{
	char seconds[16];

	snprintf(seconds, sizeof(seconds), "%u", statistics_seconds(queue->statistics->queued_us));
	events_publish(queue->source, "ElevenLabsQueue", "Status", status, "Waited", seconds, SENTINEL);
}

void queue_begin(struct queue *queue)
{
	queue->waits = 1;
	statistics_queue(queue->statistics, monotonic_us());
	publish(queue, "waiting");
}

int queue_write(struct queue *queue, const struct convai_ops *ops, struct convai_session *session,
	int waiting, int64_t now)
{
	struct media *media = queue->media;
	int has_own = waiting && (queue->options->ring || queue->options->music);

	if (!queue->hold_us && ops->queued(session)) {
		queue->hold_us = now + HOLD_DELAY_US;
		if (!has_own && !queue->yielded) {
			queue->yielded = 1;
			waiting = 0;
			waiting_yield(queue->channel);
		}
	}
	if (now < queue->hold_us) {
		media_silence(media);
	} else if (!ops->pop(session, media_audio(media), media->frame_bytes, 0)) {
		queue->hold_us = 0;	/* the 0 above: its times are nobody's */
	}
	if (!has_own && (queue->hold_us || (!waiting && queue->silence))) {
		media_write(media);
	}
	return waiting;
}

void queue_leave(struct queue *queue)
{
	if (queue->waits) {
		queue->waits = 0;
		statistics_leave_queue(queue->statistics, monotonic_us());
	}
}

void queue_admit(struct queue *queue)
{
	if (queue->waits) {
		queue_leave(queue);
		result_set_queued(queue->channel,
			statistics_seconds(queue->before_us + queue->statistics->queued_us));
		publish(queue, "admitted");
	}
}

void queue_end(struct queue *queue, uint32_t how)
{
	queue_leave(queue);
	if (how == CONVAI_QUEUE_TIMED_OUT) {
		publish(queue, "timed_out");
	} else if (how == CONVAI_QUEUE_REFUSED) {
		publish(queue, "refused");
	}
}
