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
 * playout deadline; mutexes that are held for a moment, and Asterisk's own functions
 * (answering, formats, writing, the log), aside.
 */

#include "asterisk.h"

#include <errno.h>	/* ENOMEM, EMFILE, ESHUTDOWN of ops->open */
#include <stddef.h>	/* offsetof */

#include "asterisk/astobj2.h"	/* ao2 objects */
#include "asterisk/channel.h"	/* ast_waitfor_nandfds, ast_read */
#include "asterisk/utils.h"	/* ast_copy_string */

#include "cache.h"
#include "call/call.h"
#include "call/device.h"
#include "call/events.h"
#include "call/feed.h"
#include "call/options.h"
#include "call/quality.h"
#include "call/recording.h"
#include "call/stack.h"
#include "call/step.h"
#include "call/variables.h"
#include "call/waiting.h"
#include "config/config.h"
#include "door.h"
#include "monotonic.h"

/*! \brief Note by which id the dialplan knows the channel from here on, whatever becomes of that */
static void note_unique_id(struct call *call)
{
	ast_channel_lock(call->channel);
	ao2_lock(call);
	ast_copy_string(call->unique_id, ast_channel_uniqueid(call->channel), sizeof(call->unique_id));
	ao2_unlock(call);
	ast_channel_unlock(call->channel);
}

/* ---- The end ---- */

/*! \brief What the dialplan has said of the end: it goes before whatever has ended the call since */
static enum convai_status asked_status(struct call *call)
{
	enum convai_status asked;

	ao2_lock(call);
	asked = call->asked;
	ao2_unlock(call);
	return asked;
}

/*! \brief Let the call end like this, unless it has ended already */
static void end(struct call *call, const struct ending *ending)
{
	enum convai_status asked = asked_status(call);

	if (call->over) {
		return;
	}
	call->over = 1;
	call->ending = *ending;
	if (asked) {
		ending_set_asked(&call->ending, asked);
	}
}

static void end_with(struct call *call, enum convai_status status, const char *reason)
{
	struct ending ending;

	ending_set(&ending, status, "%s", reason);
	end(call, &ending);
}

/*! \brief End the call as the engine says */
static void end_as_told(struct call *call)
{
	struct ending ending;

	ending_set(&ending, call->progress.status, "%s", call->progress.reason);
	ending_set_detail(&ending, call->progress.detail);
	end(call, &ending);
}

/*!
 * \brief The channel gives nothing any more
 *
 * Unless another module is unloaded by force that the channel only looks at: it wakes us all the same.
 * One that we return to is left at once, as every application does.
 */
static void end_by_channel(struct call *call)
{
	struct caller_facts facts = {
		.flags = ast_channel_softhangup_internal_flag(call->channel),
	};
	struct ending ending;

	ast_channel_lock(call->channel);
	facts.taken_away = ast_test_flag(ast_channel_flags(call->channel), AST_FLAG_ZOMBIE) != 0;
	ast_channel_unlock(call->channel);
	ao2_lock(call);
	facts.by_operator = call->operator_hangup;
	facts.unloading = call->unloading;
	ao2_unlock(call);
	if (facts.flags == AST_SOFTHANGUP_APPUNLOAD && !facts.unloading
		&& !stack_has_other_module()) {
		ast_channel_clear_softhangup(call->channel, AST_SOFTHANGUP_APPUNLOAD);
		return;
	}
	caller_left(&facts, &ending);
	end(call, &ending);
}

/* ---- From the caller to the agent ---- */

/*! \return length of the voice frame that was read, in microseconds, or 0 */
static int64_t read_frame(struct call *call, int64_t now)
{
	struct ast_frame *frame = ast_read(call->channel);
	int64_t length_us = 0;

	if (!frame) {
		end_by_channel(call);
		return 0;
	}
	switch (frame->frametype) {
	case AST_FRAME_VOICE:
		hearing_take(&call->hearing, frame, caller_voice(&call->caller, call->progress.state,
			dtmf_covers_audio(&call->dtmf, now)), now);
		length_us = media_length_us(frame);
		break;
	case AST_FRAME_DTMF_BEGIN:
		if (!step_takes_key(&call->step, frame)) {
			dtmf_down(&call->dtmf, now);
		}
		break;
	case AST_FRAME_DTMF_END:
		if (step_takes_key(&call->step, frame)) {
			break;
		}
		telling_digit(&call->telling, frame->subclass.integer, now);
		break;
	case AST_FRAME_CONTROL:
		if (device_is_mark(frame)) {
			if (device_take_move(call->device)) {
				filler_end(&call->filler);
				channel_tool_move(&call->step.tool);
				telling_device(&call->telling);
			}
		} else if (caller_control(&call->caller, frame->subclass.integer)) {
			telling_hold(&call->telling);
		} else {
			channel_tool_take(&call->step.tool, frame);
		}
		break;
	default:
		break;
	}
	ast_frfree(frame);
	return length_us;
}

/* ---- What the engine says ---- */

static int answer(struct call *call)
{
	if (call->options->answer && ast_channel_state(call->channel) != AST_STATE_UP
		&& ast_raw_answer(call->channel)) {
		end_by_channel(call);
		return -1;
	}
	return 0;
}

/*! \brief The agent's formats are known: prepare the channel for them, once */
static int agree(struct call *call)
{
	char reason[ENDING_REASON_SIZE];

	if (call->media.agent) {
		return 0;
	}
	if (media_agree(&call->media, &call->progress, reason, sizeof(reason))) {
		end_with(call, CONVAI_STATUS_ERROR, reason);
		return -1;
	}
	return 0;
}

/*! \brief The service has no agent free, and lets the caller wait */
static void begin_queue(struct call *call)
{
	if (agree(call)) {
		return;
	}
	if (call->begun && (call->options->ring || call->options->music)) {
		/* The word was late, and had been taken for an agent's silence. */
		call->speaking.waiting = waiting_begin(call->channel, call->options);
	}
	queue_begin(&call->queue);
}

static void begin_talking(struct call *call)
{
	int64_t now = monotonic_us();

	if (agree(call)) {
		return;
	}
	queue_admit(&call->queue);
	statistics_first(&call->statistics.talking_us, call->started_us);
	waiting_end(call->channel, call->options);
	call->speaking.waiting = 0;
	if (answer(call)) {
		return;
	}
	watchdog_begin(&call->watchdog, monotonic_us());
	/* To answer may take a while: what has come meanwhile is still to be read. */
	hearing_begin(&call->hearing, now);
	if (!call->begun) {
		call->begun = 1;
		call->quality_us = now + QUALITY_INTERVAL_US;
		call->look_us = now + QUALITY_LOOK_US;
		events_publish(&call->source, "ElevenLabsStart", SENTINEL);
	}
}

static void begin_end(struct call *call)
{
	int is_heard = speaking_end(&call->speaking);

	queue_end(&call->queue, call->progress.queue);
	if (!is_heard) {
		end_as_told(call);
	}
}

/*!
 * \brief Poll the session and act on what has changed; an agent and the end may come in one
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
	if (progress.state == CONVAI_STATE_TALKING) {
		step_take(&call->step, monotonic_us());
	}
	if (progress.state == before) {
		events_tell(&call->source, call->ops, call->session);
		return;
	}
	if (progress.state == CONVAI_STATE_QUEUED) {
		begin_queue(call);
	} else if (before != CONVAI_STATE_TALKING
		&& (progress.state == CONVAI_STATE_TALKING || progress.talked)) {
		begin_talking(call);
	}
	events_tell(&call->source, call->ops, call->session);
	if (progress.state == CONVAI_STATE_ENDED) {
		begin_end(call);
	}
}

/* ---- The loop ---- */

/*! \brief Fetch all of a call that a frame goes through, while Asterisk reads the frame */
static void fetch_call(const struct call *call)
{
	cache_fetch(&call->progress, sizeof(call->progress));
	cache_fetch(&call->statistics, sizeof(call->statistics));
	cache_fetch(&call->event_fd, offsetof(struct call, media.buffer) - offsetof(struct call, event_fd));
	cache_fetch(&call->caller, offsetof(struct call, step.tool.transfer) - offsetof(struct call, caller));
	cache_fetch(&call->step.tool.tones.due_us, 1);
	cache_fetch(&call->filler, sizeof(call->filler));
	cache_fetch(&call->dtmf.last_us, offsetof(struct call, ending) - offsetof(struct call, dtmf.last_us));
}

/*!
 * \brief Wait for the channel, the engine, or the next frame that is due; take what comes
 * \param[in,out] now the time, which what is due is waited for by; then that of the wake
 * \return length of the voice frame that woke us, in microseconds, or 0
 */
static int64_t wait_and_read(struct call *call, int64_t *now)
{
	int ms = playout_clock_wait_ms(&call->speaking.clock, *now);
	int ready_fd = -1;
	struct ast_channel *ready;

	if (call->progress.state == CONVAI_STATE_TALKING) {
		ms = MIN(ms, caller_clock_wait_ms(&call->hearing.clock, *now));
	}
	if (channel_tool_sounds(&call->step.tool)) {
		ms = MIN(ms, tones_wait_ms(&call->step.tool.tones, *now));
	}
	ready = ast_waitfor_nandfds(&call->channel, 1, &call->event_fd, 1, NULL, &ready_fd,
			&ms);
	fetch_call(call);
	*now = monotonic_us();
	call->idle = !ready && ready_fd != call->event_fd;
	if (call->idle) {
		call->media.idle_us = *now;
	}
	if (ready) {
		return read_frame(call, *now);
	}
	if (ready_fd == call->event_fd) {
		/* The channel may be ready as well; the next round tells. */
		take_progress(call);
		*now = monotonic_us();	/* to answer the channel may have taken a while */
	} else if (ms < 0) {
		end_with(call, CONVAI_STATUS_ERROR, "waiting for the channel failed");
	}
	return 0;
}

/*! \brief Tell programs of the line now and then, and the live page more often */
static void watch_line(struct call *call, int64_t now)
{
	struct quality quality;

	if (call->begun && now >= call->quality_us) {
		call->quality_us = now + QUALITY_INTERVAL_US;
		quality_read(&quality, call->channel);
		events_publish(&call->source, "ElevenLabsQuality", QUALITY_FIELDS(&quality), SENTINEL);
	}
	if (call->begun && now >= call->look_us) {
		call->look_us = now + QUALITY_LOOK_US;
		if (feed_keeps(call->feed)) {
			quality_read(&quality, call->channel);
			feed_set_quality(call->feed, &quality);
		}
	}
}

/*! \brief End the call if something lasts too long */
static void watch(struct call *call, int64_t now)
{
	const struct watchdog_facts facts = {
		.now = now,
		.state = call->progress.state,
		.agent_queued = watchdog_wants_queue(&call->watchdog, call->progress.state)
			&& speaking_is_queued(&call->speaking),
		.on_hold = call->caller.on_hold,
		.agent_works = call->progress.working != CONVAI_WORKING_NOT,
	};
	struct ending ending;

	if (watchdog_look(&call->watchdog, &facts, &ending)) {
		end(call, &ending);
	}
}

/*! \brief What is written while tones are sent would be lost: the agent's voice waits */
static void write_due(struct call *call, int64_t now, int64_t caller_frame_us)
{
	if (channel_tool_sounds(&call->step.tool)) {
		playout_clock_start(&call->speaking.clock, now + PLAYOUT_FRAME_US);
	} else {
		speaking_write(&call->speaking, now, caller_frame_us);
	}
}

/*! \brief Have the caller hear something else while the agent waits for a tool */
static void fill(struct call *call, int64_t now)
{
	int wanted = call->progress.state == CONVAI_STATE_TALKING
		&& call->progress.working == CONVAI_WORKING_LONG && !call->caller.on_hold
		&& !channel_tool_sounds(&call->step.tool);

	filler_look(&call->filler, wanted, wanted && speaking_is_queued(&call->speaking), now);
	call->speaking.filled = call->filler.on;
}

/*! \brief Run the agent's step, and see what it has left of the call */
static void run_step(struct call *call)
{
	char reason[ENDING_REASON_SIZE];
	int failed;

	if (ast_check_hangup(call->channel)) {
		return;	/* it is wanted elsewhere; the next read tells */
	}
	note_unique_id(call);
	filler_end(&call->filler);
	failed = step_run(&call->step, reason, sizeof(reason));
	if (call->step.tool.transferred) {
		/* Its hang-up is what a transfer through a Local channel leaves of it. */
		end_with(call, CONVAI_STATUS_TRANSFER, call->step.tool.reason);
	}
	if (ast_check_hangup(call->channel)) {
		/* First of all: whoever is gone takes no formats either. */
		end_by_channel(call);
	}
	if (failed) {
		end_with(call, CONVAI_STATUS_ERROR, reason);
	} else if (asked_status(call)) {
		end_with(call, CONVAI_STATUS_NONE, "");
	}
}

static void talk(struct call *call)
{
	int64_t now = monotonic_us();
	int64_t caller_frame_us = 0;

	call->event_fd = call->ops->event_fd(call->session);
	playout_clock_start(&call->speaking.clock, now);
	take_progress(call);
	while (!call->over) {
		if (!caller_frame_us) {
			/*
			 * A write may have blocked, and nothing but the time-out wakes us for the
			 * next frame. Where the caller's frames do, the time-out only stands in.
			 */
			now = monotonic_us();
		}
		caller_frame_us = wait_and_read(call, &now);
		channel_tool_look(&call->step.tool, now);
		if (call->step.tool.transferred) {
			end_with(call, CONVAI_STATUS_TRANSFER, call->step.tool.reason);
		}
		if (call->over) {
			break;
		}
		fill(call, now);
		write_due(call, now, caller_frame_us);
		if (call->progress.state == CONVAI_STATE_TALKING) {
			hearing_look(&call->hearing, call->idle, now);
			telling_look(&call->telling, now);
			if (step_is_due(&call->step, now)) {
				run_step(call);
				now = monotonic_us();
			}
		} else if (call->progress.state == CONVAI_STATE_ENDED
			&& speaking_is_over(&call->speaking, now)) {
			end_as_told(call);
		}
		watch(call, now);
		watch_line(call, now);
	}
}

/* ---- Beginning and end ---- */

static void call_destructor(void *object)
{
	struct call *call = object;

	media_preroll_drop(&call->media);
	ao2_cleanup(call->failed_attempt);
	ao2_cleanup(call->recording);
	ao2_cleanup(call->feed);
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
	call->progress.detail = "";
	return call;
}

/*! \brief Do not ask the service for an agent that could not hear this caller */
static int check_codec(struct call *call)
{
	char reason[ENDING_REASON_SIZE];

	if (!media_check(&call->media, reason, sizeof(reason))) {
		return 0;
	}
	door_log(LOG_WARNING, "%s: %s\n", ast_channel_name(call->channel), reason);
	end_with(call, CONVAI_STATUS_ERROR, reason);
	return -1;
}

/*! \brief Start the session. The channel has not been touched yet. */
static int open_session(struct call *call)
{
	struct convai_request request;
	struct convai_session *session = NULL;
	struct pair_list pairs;

	errno = ENOMEM;
	if (!pair_list_fill(&pairs, call->channel, call->agent)
		&& !recording_describe(call->recording, call->agent->name, &pairs)) {
		request = (struct convai_request) {
			.channel = ast_channel_name(call->channel),
			.agent = call->agent->name,
			.pairs = pairs.pairs,
			.pair_count = pairs.count,
		};
		watchdog_open(&call->watchdog, call->agent, monotonic_us());
		session = call->ops->open(&request);
	}
	if (session) {
		ao2_lock(call);
		call->session = session;
		call->ops->set_session_debug(session, call->debug);
		if (call->asked) {
			/* By whoever was quicker than the engine. */
			call->ops->hangup(session);
		}
		ao2_unlock(call);
	} else if (errno == ESHUTDOWN) {
		call->engine_closed = 1;
		end_with(call, CONVAI_STATUS_ERROR, "the engine has been stopped");
	} else {
		struct ending ending;

		ending_set(&ending, CONVAI_STATUS_ERROR, "the engine cannot start a session: %s",
			strerror(errno));
		end(call, &ending);
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
	if (session) {
		call->ops->counters(session, &call->counters);
		call->ops->turns(session, &call->turns);
	}
	call->session = NULL;
	call->progress.conversation_id = "";
	call->progress.reason = "";
	call->progress.detail = "";
	ao2_unlock(call);
	if (session) {
		call->ops->release(session);
	}
}

/*! \brief The session is there: both ways lead to it */
static void connect_ways(struct call *call)
{
	call->hearing = (struct hearing) {
		.ops = call->ops,
		.session = call->session,
		.media = &call->media,
		.queue = &call->queue,
		.watchdog = &call->watchdog,
		.statistics = &call->statistics,
		.protect_greeting = call->options->protect_greeting,
	};
	call->speaking = (struct speaking) {
		.channel = call->channel,
		.ops = call->ops,
		.session = call->session,
		.progress = &call->progress,
		.media = &call->media,
		.queue = &call->queue,
		.hearing = &call->hearing,
		.statistics = &call->statistics,
		.started_us = call->started_us,
		.silence = call->agent->silence,
	};
	call->telling = (struct telling) {
		.channel = call->channel,
		.agent = call->agent,
		.ops = call->ops,
		.session = call->session,
		.progress = &call->progress,
		.media = &call->media,
		.caller = &call->caller,
		.dtmf = &call->dtmf,
		.watchdog = &call->watchdog,
		.statistics = &call->statistics,
	};
	call->filler = (struct filler) { .channel = call->channel, .use = call->agent->filler };
	call->step = (struct step) {
		.source = &call->source,
		.telling = &call->telling,
		.hearing = &call->hearing,
		.speaking = &call->speaking,
		.device = call->device,
		.tool.telling = &call->telling,
		.tool.source = &call->source,
	};
}

void call_run(struct call *call, const struct call_options *options)
{
	call->options = options;
	note_unique_id(call);
	media_open(&call->media, call->channel);
	call->source = (struct event_source) {
		.channel = call->channel,
		.agent = call->agent->name,
		.conversation_id = call->conversation_id,
		.to_ari = call->agent->ari_events,
		.feed = call->feed,
	};
	call->queue = (struct queue) {
		.channel = call->channel,
		.options = options,
		.source = &call->source,
		.media = &call->media,
		.statistics = &call->statistics,
		.silence = call->agent->silence,
	};
	if (call->failed_attempt) {
		call->queue.before_us = call->failed_attempt->statistics.queued_us;
		media_preroll_move(&call->media, &call->failed_attempt->media);
		call->caller = call->failed_attempt->caller;
		call->dtmf = call->failed_attempt->dtmf;
	}
	if (ast_check_hangup(call->channel)) {
		/* The h extension, or a caller who was faster. */
		end_by_channel(call);
	}
	if (call->over || check_codec(call) || open_session(call)) {
		goto done;
	}
	connect_ways(call);
	if (call->caller.on_hold) {
		telling_hold(&call->telling);
	}
	/* The engine is on its way already: answering may take longer than a look-up. */
	if (!options->connect_first && answer(call)) {
		goto done;
	}
	call->speaking.waiting = waiting_begin(call->channel, options);
	talk(call);
	filler_end(&call->filler);
	step_drop(&call->step);
	events_tell(&call->source, call->ops, call->session);
	if (call->speaking.waiting) {
		waiting_end(call->channel, options);
	}

done:
	queue_leave(&call->queue);
	release_session(call);
	media_close(&call->media);
}
