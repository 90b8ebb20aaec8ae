/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief One call with an agent, from the moment it is admitted to the status it ends
 * with
 *
 * Everything here runs on the channel thread, which never attaches to Python and never
 * waits for anything but its channel and the session's event descriptor, until the next
 * playout deadline.
 */

#include "asterisk.h"

#include <errno.h>	/* ENOMEM, EMFILE, ESHUTDOWN of ops->open */

#include "asterisk/astobj2.h"	/* ao2 objects */
#include "asterisk/channel.h"	/* ast_waitfor_nandfds, ast_read */
#include "asterisk/utf8.h"	/* ast_utf8_copy_string */
#include "asterisk/utils.h"	/* ast_copy_string */

#include "call/call.h"
#include "call/caller.h"
#include "config/config.h"
#include "control/manager.h"
#include "monotonic.h"
#include "call/registry.h"
#include "call/variables.h"
#include "call/waiting.h"
#include "call/watchdog.h"

/*!
 * Silence after the agent's last word: the far end's jitter buffer still holds that word
 */
#define TAIL_US 200000
/*! A queue plays out in real time; so much later something is wrong with it */
#define PLAY_OUT_GRACE_US 10000000

static int64_t audio_us(const struct convai_format *format, uint64_t bytes)
{
	unsigned int sample_bytes = format->encoding == CONVAI_ENCODING_SLIN ? 2 : 1;

	return format->rate ? (int64_t) (bytes * 1000000 / sample_bytes / format->rate) : 0;
}

/*! \brief Note how long the caller has waited for something, the first time that it comes */
static void note_first(struct call *call, uint64_t *waited_us)
{
	if (!*waited_us) {
		__atomic_store_n(waited_us, monotonic_us() - call->started_us, __ATOMIC_RELAXED);
	}
}

static void call_destructor(void *object)
{
	struct call *call = object;

	media_preroll_drop(&call->media);
	ao2_cleanup(call->before);
	ao2_cleanup(call->agent);
	ast_channel_cleanup(call->channel);
}

struct call *call_make(struct ast_channel *channel, struct config_agent *agent,
	const struct convai_ops *ops)
{
	struct call *call = ao2_alloc(sizeof(*call), call_destructor);

	if (!call) {
		return NULL;
	}
	call->channel = ast_channel_ref(channel);
	call->agent = ao2_bump(agent);
	call->ops = ops;
	call->started_us = monotonic_us();
	call->progress.conversation_id = "";
	call->progress.reason = "";
	return call;
}

void call_end(struct call *call, enum convai_status status, const char *reason)
{
	if (call->over) {
		return;
	}
	call->over = 1;
	call->status = status;
	/* A program that reads it need not bear half a character. */
	ast_utf8_copy_string(call->reason, reason, sizeof(call->reason));
}

/* ---- The agent's side ---- */

static void note_write(struct call *call, int failed)
{
	call_count(&call->statistics.frames_written);
	if (failed) {
		call_count(&call->statistics.write_failures);
		if (call->statistics.write_failures == 1) {
			ast_debug(1, "%s: a frame could not be written\n",
				ast_channel_name(call->channel));
		}
	}
}

static void write_frame(struct call *call)
{
	struct media *media = &call->media;

	if (!media->agent) {
		/* What the caller hears is Asterisk's own, and keeps frames of ours out. */
		if (call->agent->silence && !call->waiting) {
			call_count(&call->statistics.silent_frames);
			note_write(call, media_write_native_silence(media));
		}
		return;
	}
	if (!call->ops->pop(call->session, media_audio(media), media->frame_bytes)) {
		/* While a farewell is played out, its tail is silence in any case. */
		if (!call->agent->silence && call->progress.state != CONVAI_STATE_ENDED) {
			return;
		}
		call_count(&call->statistics.silent_frames);
	} else {
		note_first(call, &call->statistics.speaking_us);
	}
	note_write(call, media_write(media));
}

/*! \brief The agent's first word does not wait for the end of a frame of silence */
static void hurry_first_word(struct call *call, int64_t now)
{
	if (!call->hurried && call->media.agent && call->ops->queued(call->session)) {
		call->hurried = 1;
		playout_clock_hurry(&call->clock, now);
	}
}

/*! \brief The clock is this thread's alone; its counters are for everybody */
static void publish_clock(struct call *call)
{
	struct call_statistics *s = &call->statistics;

	__atomic_store_n(&s->resyncs, call->clock.resyncs, __ATOMIC_RELAXED);
	__atomic_store_n(&s->late_frames, call->clock.late_frames, __ATOMIC_RELAXED);
	__atomic_store_n(&s->latest_us, call->clock.latest_us, __ATOMIC_RELAXED);
}

static void write_due(struct call *call, int64_t now, int64_t caller_frame_us)
{
	unsigned int due = playout_clock_due(&call->clock, now, caller_frame_us);

	publish_clock(call);
	while (due--) {
		write_frame(call);
	}
}

/*! \brief After the agent's end: leave when its last word has been heard */
static void play_out(struct call *call, int64_t now)
{
	if (call->ops->queued(call->session) && now < call->leave_us) {
		return;
	}
	if (!call->tail_us) {
		call->tail_us = now + TAIL_US;
	} else if (now >= call->tail_us) {
		call_end(call, call->progress.status, call->progress.reason);
	}
}

/* ---- What the engine says ---- */

static int answer(struct call *call)
{
	if (call->options->answer && ast_channel_state(call->channel) != AST_STATE_UP
		&& ast_raw_answer(call->channel)) {
		caller_left(call);
		return -1;
	}
	return 0;
}

static void begin_talking(struct call *call)
{
	char reason[CALL_REASON_SIZE];

	if (media_agree(&call->media, &call->progress, reason, sizeof(reason))) {
		call_end(call, CONVAI_STATUS_ERROR, reason);
		return;
	}
	note_first(call, &call->statistics.talking_us);
	waiting_end(call->channel, call->options);
	call->waiting = 0;
	if (answer(call)) {
		return;
	}
	watchdog_begin(&call->watchdog, monotonic_us());
	media_preroll_drain(&call->media, caller_push, call);
	call->caller_heard_us = call->covered_us = monotonic_us();
	manager_publish(call->channel, "ElevenLabsStart", "Agent", call->agent->name,
		"ConversationId", call->conversation_id, SENTINEL);
}

static void begin_end(struct call *call)
{
	uint64_t queued = call->ops->queued(call->session);

	if (!call->progress.play_out || !call->media.agent) {
		call_end(call, call->progress.status, call->progress.reason);
		return;
	}
	call->leave_us = monotonic_us() + audio_us(&call->progress.agent, queued)
		+ PLAY_OUT_GRACE_US;
}

/*!
 * \brief Poll the session and act on what has changed; metadata and end may come in one
 * step
 */
static void take_progress(struct call *call)
{
	uint32_t before = call->progress.state;
	struct convai_progress progress;

	call->ops->poll(call->session, &progress);
	ao2_lock(call);
	call->progress = progress;
	ao2_unlock(call);

	ast_copy_string(call->conversation_id, progress.conversation_id,
		sizeof(call->conversation_id));
	if (before == CONVAI_STATE_CONNECTING && progress.state != before
		&& progress.agent.encoding != CONVAI_ENCODING_NONE) {
		begin_talking(call);
	}
	if (before != CONVAI_STATE_ENDED && progress.state == CONVAI_STATE_ENDED) {
		begin_end(call);
	}
}

/* ---- The loop ---- */

/*! \return length of the voice frame that woke us, in microseconds, or 0 */
static int64_t wait_and_read(struct call *call)
{
	int ms = playout_clock_wait_ms(&call->clock, monotonic_us());
	int ready_fd = -1;
	struct ast_channel *ready;

	ready = ast_waitfor_nandfds(&call->channel, 1, &call->event_fd, 1, NULL, &ready_fd,
			&ms);
	if (ready) {
		return caller_read(call);
	}
	if (ready_fd == call->event_fd) {
		/* The channel may be ready as well; the next round tells. */
		take_progress(call);
	} else if (ms < 0) {
		call_end(call, CONVAI_STATUS_ERROR, "waiting for the channel failed");
	}
	return 0;
}

static void talk(struct call *call)
{
	call->event_fd = call->ops->event_fd(call->session);
	call->caller_heard_us = call->covered_us = monotonic_us();
	playout_clock_start(&call->clock, call->caller_heard_us);
	take_progress(call);
	while (!call->over) {
		int64_t caller_frame_us = wait_and_read(call);
		int64_t now = monotonic_us();

		if (call->over) {
			break;
		}
		hurry_first_word(call, now);
		write_due(call, now, caller_frame_us);
		if (call->progress.state == CONVAI_STATE_TALKING) {
			caller_fill_gap(call, now);
			dtmf_look(call, now);
		} else if (call->progress.state == CONVAI_STATE_ENDED) {
			play_out(call, now);
		}
		watchdog_look(call, now);
	}
}

/*! \brief Start the session. The channel has not been touched yet. */
static int open_session(struct call *call)
{
	struct convai_request request;
	struct convai_session *session = NULL;
	struct pair_list pairs;

	errno = ENOMEM;
	if (!pair_list_fill(&pairs, call->channel, call->agent)) {
		request = (struct convai_request) {
			.channel = ast_channel_name(call->channel),
			.agent = call->agent->name,
			.pairs = pairs.pairs,
			.pair_count = pairs.count,
		};
		call->opened_us = monotonic_us();
		session = call->ops->open(&request);
	}
	if (session) {
		ao2_lock(call);
		call->session = session;
		call->ops->set_session_debug(session, call->debug);
		ao2_unlock(call);
	} else if (errno == ESHUTDOWN) {
		call_end(call, registry_is_closed() ? CONVAI_STATUS_UNLOADED : CONVAI_STATUS_ERROR,
			"the engine has been stopped");
	} else {
		char reason[CALL_REASON_SIZE];

		snprintf(reason, sizeof(reason), "the engine cannot start a session: %s",
			strerror(errno));
		call_end(call, CONVAI_STATUS_ERROR, reason);
	}
	pair_list_free(&pairs);
	return session ? 0 : -1;
}

/*! \brief Let go of the session; the CLI sees it no more */
static void release_session(struct call *call)
{
	struct convai_session *session;

	ao2_lock(call);
	session = call->session;
	call->session = NULL;
	call->progress.conversation_id = "";
	call->progress.reason = "";
	ao2_unlock(call);
	if (session) {
		call->ops->release(session);
	}
}

void call_run(struct call *call, const struct call_options *options)
{
	call->options = options;
	media_open(&call->media, call->channel);
	if (call->before) {
		media_preroll_move(&call->media, &call->before->media);
		call->dtmf = call->before->dtmf;
	}
	if (ast_check_hangup(call->channel)) {
		/* The h extension, or a caller who was faster. */
		caller_left(call);
		goto done;
	}
	if (open_session(call)) {
		goto done;
	}
	/* The engine is on its way already: answering may take longer than a look-up. */
	if (!options->connect_first && answer(call)) {
		goto done;
	}
	call->waiting = waiting_begin(call->channel, options);
	talk(call);
	if (call->waiting) {
		waiting_end(call->channel, options);
	}

done:
	release_session(call);
	media_close(&call->media);
}
