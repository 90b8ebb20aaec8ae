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

#include "asterisk/astobj2.h"	/* ao2 objects */
#include "asterisk/channel.h"	/* ast_waitfor_nandfds, ast_read */
#include "asterisk/utils.h"	/* ast_copy_string */

#include "call/call.h"
#include "call/device.h"
#include "call/events.h"
#include "call/options.h"
#include "call/parties.h"
#include "call/stack.h"
#include "call/variables.h"
#include "call/waiting.h"
#include "config/config.h"
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

/*! \brief Note how long the caller has waited for something, the first time that it comes */
static void note_first(struct call *call, uint64_t *waited_us)
{
	if (!*waited_us) {
		statistics_set(waited_us, monotonic_us() - call->started_us);
	}
}

static int is_agent_queued(const struct call *call)
{
	return call->ops->queued(call->session) != 0;
}

/* ---- The end ---- */

/*! \brief Let the call end like this, unless it has ended already */
static void end(struct call *call, const struct ending *ending)
{
	if (!call->over) {
		call->over = 1;
		call->ending = *ending;
	}
}

static void end_with(struct call *call, enum convai_status status, const char *reason)
{
	struct ending ending;

	ending_set(&ending, status, "%s", reason);
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

static void take_digit(struct call *call, char digit, int64_t now)
{
	statistics_count(&call->statistics.digits);
	watchdog_notice(&call->watchdog, now);
	if (dtmf_up(&call->dtmf, digit, call->agent->dtmf_end, now)
		&& call->progress.state == CONVAI_STATE_TALKING
		&& call->agent->dtmf != DTMF_FOR_DIALPLAN) {
		/* The agent waits for the rest. If that cannot be told, it may talk: no harm. */
		call->ops->send(call->session, CONVAI_SAY_ACTIVITY, "");
	}
}

/*! \brief Tell the engine whether the caller holds */
static void tell_hold(struct call *call)
{
	if (call->caller.on_hold) {
		statistics_count(&call->statistics.holds);
	}
	statistics_set(&call->statistics.on_hold, call->caller.on_hold);
	call->ops->hold(call->session, call->caller.on_hold);
}

/*! \brief Tell the agent, as soon as one is there, that somebody else may be there now */
static void tell_move(struct call *call)
{
	char text[PARTIES_NUMBER_SIZE + 64];
	struct parties parties;
	const char *number;

	if (!call->moved || call->progress.state != CONVAI_STATE_TALKING) {
		return;
	}
	call->moved = 0;
	parties_read(&parties, call->channel, 0);
	number = call->agent->send_caller_number ? parties_other(&parties) : "";
	snprintf(text, sizeof(text), "The call has been moved to another telephone%s%s.",
		number[0] ? ", whose number is " : "", number);
	/* If that cannot be told, the agent hears it. */
	call->ops->send(call->session, CONVAI_SAY_CONTEXT, text);
}

/*!
 * \brief Where another device has taken the caller's place, begin with it anew
 *
 * Who holds, and what was pressed and said, belong to the device that has gone: it can say no more.
 */
static void follow_device(struct call *call)
{
	if (!device_replaced(call->device)) {
		return;
	}
	ast_verb(3, "%s has taken over the call with agent %s\n",
		ast_channel_name(call->channel), call->agent->name);
	dtmf_forget(&call->dtmf);
	media_preroll_drop(&call->media);
	if (caller_control(&call->caller, AST_CONTROL_UNHOLD)) {
		tell_hold(call);
	}
	call->moved = 1;
}

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
		dtmf_down(&call->dtmf, now);
		break;
	case AST_FRAME_DTMF_END:
		take_digit(call, frame->subclass.integer, now);
		break;
	case AST_FRAME_CONTROL:
		if (caller_control(&call->caller, frame->subclass.integer)) {
			tell_hold(call);
		}
		break;
	default:
		break;
	}
	ast_frfree(frame);
	return length_us;
}

/*! \brief Send digits that are complete */
static void send_digits(struct call *call, int64_t now)
{
	struct dtmf_message message;

	if (dtmf_due(&call->dtmf, call->agent, now, &message)
		&& !call->ops->send(call->session, message.kind, message.text)) {
		dtmf_told(&call->dtmf);
		if (message.kind == CONVAI_SAY_MESSAGE) {
			watchdog_asked(&call->watchdog, now);
		}
	}
}

/* ---- From the agent to the caller ---- */

static void note_write(struct call *call, int failed)
{
	statistics_count(&call->statistics.frames_written);
	if (failed) {
		statistics_count(&call->statistics.write_failures);
		if (call->statistics.write_failures == 1) {
			ast_debug(1, "%s: a frame could not be written\n",
				ast_channel_name(call->channel));
		}
	}
}

static void write_frame(struct call *call, int64_t now)
{
	struct media *media = &call->media;

	if (call->queue.waits) {
		hearing_silence(&call->hearing, PLAYOUT_FRAME_US / 1000, now);
		call->waiting = queue_write(&call->queue, call->ops, call->session, call->waiting, now);
		return;
	}
	if (!media->agent) {
		/* What the caller hears is Asterisk's own, and keeps frames of ours out. */
		if (call->agent->silence && !call->waiting) {
			statistics_count(&call->statistics.silent_frames);
			note_write(call, media_write_native_silence(media));
		}
		return;
	}
	if (!call->ops->pop(call->session, media_audio(media), media->frame_bytes, now)) {
		/* While a farewell is played out, its tail is silence in any case. */
		if (!call->agent->silence && call->progress.state != CONVAI_STATE_ENDED) {
			return;
		}
		statistics_count(&call->statistics.silent_frames);
	} else {
		note_first(call, &call->statistics.speaking_us);
	}
	note_write(call, media_write(media));
}

/*! \brief The agent's first word does not wait for the end of a frame of silence */
static void hurry_first_word(struct call *call, int64_t now)
{
	if (!call->hurried && !call->queue.waits && call->media.agent && is_agent_queued(call)) {
		call->hurried = 1;
		playout_clock_hurry(&call->clock, now);
	}
}

static void write_due(struct call *call, int64_t now, int64_t caller_frame_us)
{
	unsigned int due;

	hurry_first_word(call, now);
	due = playout_clock_due(&call->clock, now, caller_frame_us);
	statistics_take_clock(&call->statistics, &call->clock);
	while (due--) {
		write_frame(call, now);
	}
}

/*! \brief After the agent's end: leave when its last word has been heard */
static void play_out(struct call *call, int64_t now)
{
	if (is_agent_queued(call) && now < call->leave_us) {
		return;
	}
	if (!call->tail_us) {
		call->tail_us = now + TAIL_US;
	} else if (now >= call->tail_us) {
		end_with(call, call->progress.status, call->progress.reason);
	}
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
		call->waiting = waiting_begin(call->channel, call->options);
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
	note_first(call, &call->statistics.talking_us);
	waiting_end(call->channel, call->options);
	call->waiting = 0;
	if (answer(call)) {
		return;
	}
	watchdog_begin(&call->watchdog, monotonic_us());
	/* To answer may take a while: what has come meanwhile is still to be read. */
	hearing_begin(&call->hearing, now);
	if (!call->begun) {
		call->begun = 1;
		events_publish(call->channel, "ElevenLabsStart", "Agent", call->agent->name,
			"ConversationId", call->conversation_id, SENTINEL);
	}
}

/*! \brief How long what is queued may still be heard after the end, in microseconds */
static int64_t play_out_us(const struct call *call)
{
	switch (call->progress.play_out) {
	case CONVAI_PLAY_OUT_ALL:
		return media_audio_us(&call->progress.agent, call->ops->queued(call->session))
			+ PLAY_OUT_GRACE_US;
	case CONVAI_PLAY_OUT_BRIEFLY:
		return BROKEN_PLAY_OUT_US;
	default:
		return 0;
	}
}

static void begin_end(struct call *call)
{
	int64_t limit_us = call->media.agent ? play_out_us(call) : 0;

	queue_end(&call->queue, call->progress.queue);
	if (limit_us) {
		call->leave_us = monotonic_us() + limit_us;
	} else {
		end_with(call, call->progress.status, call->progress.reason);
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
	if (progress.state == before) {
		return;
	}
	if (progress.state == CONVAI_STATE_QUEUED) {
		begin_queue(call);
	} else if (before != CONVAI_STATE_TALKING
		&& (progress.state == CONVAI_STATE_TALKING || progress.talked)) {
		begin_talking(call);
	}
	if (progress.state == CONVAI_STATE_ENDED) {
		begin_end(call);
	}
}

/* ---- The loop ---- */

/*!
 * \brief Wait for the channel, the engine, or the next frame that is due; take what comes
 * \param[in,out] now the time, which what is due is waited for by; then that of the wake
 * \return length of the voice frame that woke us, in microseconds, or 0
 */
static int64_t wait_and_read(struct call *call, int64_t *now)
{
	int ms = playout_clock_wait_ms(&call->clock, *now);
	int ready_fd = -1;
	struct ast_channel *ready;

	if (call->progress.state == CONVAI_STATE_TALKING) {
		ms = MIN(ms, caller_clock_wait_ms(&call->hearing.clock, *now));
	}
	ready = ast_waitfor_nandfds(&call->channel, 1, &call->event_fd, 1, NULL, &ready_fd,
			&ms);
	*now = monotonic_us();
	call->idle = !ready && ready_fd != call->event_fd;
	follow_device(call);
	tell_move(call);
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

/*! \brief End the call if something lasts too long */
static void watch(struct call *call, int64_t now)
{
	const struct watchdog_facts facts = {
		.now = now,
		.state = call->progress.state,
		.agent_queued = watchdog_wants_queue(&call->watchdog, call->progress.state)
			&& is_agent_queued(call),
		.on_hold = call->caller.on_hold,
	};
	struct ending ending;

	if (watchdog_look(&call->watchdog, &facts, &ending)) {
		end(call, &ending);
	}
}

static void talk(struct call *call)
{
	int64_t now = monotonic_us();
	int64_t caller_frame_us = 0;

	call->event_fd = call->ops->event_fd(call->session);
	call->hearing = (struct hearing) {
		.ops = call->ops,
		.session = call->session,
		.media = &call->media,
		.queue = &call->queue,
		.watchdog = &call->watchdog,
		.statistics = &call->statistics,
		.protect_greeting = call->options->protect_greeting,
	};
	playout_clock_start(&call->clock, now);
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
		if (call->over) {
			break;
		}
		write_due(call, now, caller_frame_us);
		if (call->progress.state == CONVAI_STATE_TALKING) {
			hearing_look(&call->hearing, call->idle, now);
			send_digits(call, now);
		} else if (call->progress.state == CONVAI_STATE_ENDED) {
			play_out(call, now);
		}
		watch(call, now);
	}
}

/* ---- Beginning and end ---- */

static void call_destructor(void *object)
{
	struct call *call = object;

	media_preroll_drop(&call->media);
	ao2_cleanup(call->failed_attempt);
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

/*! \brief Do not ask the service for an agent that could not hear this caller */
static int check_codec(struct call *call)
{
	char reason[ENDING_REASON_SIZE];

	if (!media_check(&call->media, reason, sizeof(reason))) {
		return 0;
	}
	ast_log(LOG_WARNING, "%s: %s\n", ast_channel_name(call->channel), reason);
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
	if (!pair_list_fill(&pairs, call->channel, call->agent)) {
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
	call->queue = (struct queue) {
		.channel = call->channel,
		.options = options,
		.agent = call->agent->name,
		.conversation_id = call->conversation_id,
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
	if (call->caller.on_hold) {
		tell_hold(call);
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
	queue_leave(&call->queue);
	release_session(call);
	media_close(&call->media);
}
