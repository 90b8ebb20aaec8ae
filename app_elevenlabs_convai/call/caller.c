/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The caller's side of a call: what comes from the channel, and how it ends
 */

#include "asterisk.h"

#include "asterisk/astobj2.h"	/* ao2_lock */
#include "asterisk/channel.h"	/* ast_read */

#include "call/call.h"
#include "call/caller.h"
#include "monotonic.h"

/*!
 * After so long without a voice frame (muted, DTX, a quiet Local channel) the agent gets
 * silence in its place, because it only advances on audio. Jitter stays below that.
 */
#define GAP_US 300000
/*! Silence in place of missing audio is given in whole steps of this */
#define GAP_STEP_MS 20
/*!
 * A longer gap at once is a stall of ours, not of the caller's; the rest of it is
 * forgotten
 */
#define GAP_MS_MAX 1000

/*! \brief Note since when the engine has been refusing audio */
static void note_push(struct call *call, int taken)
{
	if (taken) {
		call->refused_us = 0;
	} else if (!call->refused_us) {
		call->refused_us = monotonic_us();
	}
}

/*! \brief Give the agent silence in place of a frame */
static void push_silence_for(struct call *call, const struct ast_frame *frame)
{
	unsigned int rate = ast_format_get_sample_rate(frame->subclass.format);

	if (rate) {
		note_push(call, call->ops->push_silence(call->session, frame->samples * 1000 / rate));
	}
}

void caller_push(void *data, struct ast_frame *frame)
{
	struct call *call = data;

	if (frame->datalen <= 0) {
		return;
	}
	watchdog_hear(&call->watchdog, frame, monotonic_us());
	if (call->options->protect_greeting && watchdog_greeting(call, monotonic_us())) {
		push_silence_for(call, frame);
	} else {
		note_push(call, call->ops->push(call->session, frame->data.ptr, frame->datalen));
	}
}

/*!
 * \brief Pass a voice frame on, keep it for later, or drop it: as far as the conversation
 * is
 */
static void take_voice(struct call *call, struct ast_frame *frame, int64_t now)
{
	call_count(&call->statistics.voice_frames_read);
	if (call->on_hold) {
		/* Music, mostly, which is not meant for the agent: it gets silence as in any gap. */
		return;
	}
	call->caller_heard_us = now;
	call->covered_us = now;
	if (dtmf_is_heard(&call->dtmf, now)) {
		/* The tone of a key; before the conversation there is nobody to hear silence. */
		if (call->progress.state == CONVAI_STATE_TALKING) {
			push_silence_for(call, frame);
		}
	} else if (call->progress.state == CONVAI_STATE_CONNECTING) {
		media_preroll_keep(&call->media, frame);
		__atomic_store_n(&call->statistics.preroll_dropped_ms,
			call->media.preroll_dropped_ms, __ATOMIC_RELAXED);
	} else if (call->progress.state == CONVAI_STATE_TALKING) {
		if (ast_format_cmp(frame->subclass.format, call->media.caller)
			== AST_FORMAT_CMP_EQUAL) {
			caller_push(call, frame);
		} else {
			call_count(&call->statistics.foreign_frames);
		}
	}
}

void caller_left(struct call *call)
{
	int flags = ast_channel_softhangup_internal_flag(call->channel);
	unsigned int operator_hangup;

	ao2_lock(call);
	operator_hangup = call->operator_hangup;
	ao2_unlock(call);

	if (flags & AST_SOFTHANGUP_HANGUP_EXEC) {
		/* Before the h extension Asterisk sets APPUNLOAD as well, which means nothing then. */
		call_end(call, CONVAI_STATUS_HANGUP, "the channel was hung up before");
	} else if (flags & AST_SOFTHANGUP_APPUNLOAD) {
		call_end(call, CONVAI_STATUS_UNLOADED, "the module was unloaded");
	} else if (operator_hangup) {
		call_end(call, CONVAI_STATUS_HANGUP, "hung up from the Asterisk CLI");
	} else if (flags & AST_SOFTHANGUP_ASYNCGOTO) {
		call_end(call, CONVAI_STATUS_HANGUP,
			"the channel was sent elsewhere in the dialplan");
	} else if (flags & AST_SOFTHANGUP_SHUTDOWN) {
		call_end(call, CONVAI_STATUS_HANGUP, "Asterisk is stopping");
	} else if (flags & AST_SOFTHANGUP_TIMEOUT) {
		call_end(call, CONVAI_STATUS_TIMEOUT,
			"the channel's absolute time-out was reached");
	} else {
		call_end(call, CONVAI_STATUS_HANGUP, "the caller hung up");
	}
}

static void take_digit(struct call *call, char digit, int64_t now)
{
	call_count(&call->statistics.digits);
	watchdog_notice(&call->watchdog, now);
	dtmf_up(call, digit, now);
}

static void take_control(struct call *call, int control)
{
	if (control == AST_CONTROL_HOLD) {
		call->on_hold = 1;
	} else if (control == AST_CONTROL_UNHOLD) {
		call->on_hold = 0;
	}
}

int64_t caller_read(struct call *call)
{
	struct ast_frame *frame = ast_read(call->channel);
	int64_t length_us = 0;

	if (!frame) {
		caller_left(call);
		return 0;
	}
	if (frame->frametype == AST_FRAME_VOICE) {
		unsigned int rate = ast_format_get_sample_rate(frame->subclass.format);

		length_us = rate ? (int64_t) frame->samples * 1000000 / rate : 0;
		take_voice(call, frame, monotonic_us());
	} else if (frame->frametype == AST_FRAME_DTMF_BEGIN) {
		dtmf_down(&call->dtmf, monotonic_us());
	} else if (frame->frametype == AST_FRAME_DTMF_END) {
		take_digit(call, frame->subclass.integer, monotonic_us());
	} else if (frame->frametype == AST_FRAME_CONTROL) {
		take_control(call, frame->subclass.integer);
	}
	ast_frfree(frame);
	return length_us;
}

void caller_fill_gap(struct call *call, int64_t now)
{
	unsigned int missing_ms;

	if (now - call->caller_heard_us < GAP_US) {
		return;
	}
	missing_ms = (now - call->covered_us) / 1000 / GAP_STEP_MS * GAP_STEP_MS;
	if (!missing_ms) {
		return;
	}
	if (missing_ms > GAP_MS_MAX) {
		call->covered_us = now;
		missing_ms = GAP_MS_MAX;
	} else {
		call->covered_us += (int64_t) missing_ms * 1000;
	}
	note_push(call, call->ops->push_silence(call->session, missing_ms));
}
