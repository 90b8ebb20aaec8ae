/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief A step: the agent's tool is dialplan, and runs on the caller's own channel
 */

#include "asterisk.h"

#include "asterisk/channel.h"	/* ast_queue_frame, hang-up causes */

#include "call/caller.h"
#include "call/caller_clock.h"
#include "call/device.h"
#include "call/dialplan.h"
#include "call/dtmf.h"
#include "call/events.h"
#include "call/hearing.h"
#include "call/media.h"
#include "call/playout_clock.h"
#include "call/speaking.h"
#include "call/statistics.h"
#include "call/step.h"
#include "call/telling.h"
#include "call/watchdog.h"
#include "config/config.h"
#include "convai_ops.h"
#include "door.h"
#include "monotonic.h"

/*! Whatever the agent has said before its tool is heard first, so much of it at most: a sentence or two */
#define STEP_WORDS_US 10000000

/* ---- The channel: given back, and taken anew ---- */

static void lend(struct step *step)
{
	struct telling *telling = step->telling;

	/* What was pressed for the agent it will not be told any more: the dialplan has the floor. */
	dtmf_forget(telling->dtmf);
	ast_deactivate_generator(telling->channel);
	media_lend(telling->media);
}

/*!
 * \brief The channel is ours again, with whatever device, codec and hold the dialplan has left it
 *
 * Whether the caller holds, a bridge has kept to itself: they do not.
 */
static int take_back(struct step *step, int64_t began, char *reason, size_t size)
{
	struct telling *telling = step->telling;
	int64_t now = monotonic_us();
	int res;

	ast_deactivate_generator(telling->channel);
	res = media_take_back(telling->media, telling->progress, reason, size);
	if (caller_control(telling->caller, AST_CONTROL_UNHOLD)) {
		telling_hold(telling);
	}
	if (device_take_moves(step->device)) {
		/* An application has read the mark. */
		channel_tool_move(&step->tool);
		telling_device(telling);
	}
	dtmf_resume(telling->dtmf, now);
	watchdog_resume(telling->watchdog, began, now);
	caller_clock_start(&step->hearing->clock, now);
	playout_clock_start(&step->speaking->clock, now);
	return res;
}

/* ---- The step ---- */

static int is_dialplan(const struct convai_step *what)
{
	return what->kind == CONVAI_STEP_DIALPLAN;
}

/*! \brief Begin one that is no dialplan */
static void begin_tool(struct step *step, const struct convai_step *what)
{
	const struct telling *telling = step->telling;

	if (telling->ops->begin_step(telling->session)) {
		telling->ops->end_step(telling->session, CONVAI_STEP_FAILED, "");
	} else {
		channel_tool_begin(&step->tool, what, monotonic_us());
	}
}

void step_take(struct step *step, int64_t now)
{
	const struct telling *telling = step->telling;
	const struct convai_step *what = telling->ops->take_step(telling->session);
	char why[ENDING_REASON_SIZE] = "";
	uint32_t outcome = CONVAI_STEP_DONE;

	if (!what) {
		return;
	}
	if (!is_dialplan(what)) {
		outcome = channel_tool_check(&step->tool, what, why, sizeof(why));
	} else if (!dialplan_has(telling->channel, telling->agent->values[KEY_STEPS_CONTEXT], what->tool)) {
		outcome = CONVAI_STEP_UNKNOWN;
	}
	if (outcome != CONVAI_STEP_DONE) {
		telling->ops->end_step(telling->session, outcome, why);
	} else if (what->kind == CONVAI_STEP_VARIABLE) {
		begin_tool(step, what);	/* nobody hears it */
	} else {
		step->waiting = what;
		step->taken_us = now;
		step->hurried = 0;
	}
}

int step_takes_key(struct step *step, struct ast_frame *frame)
{
	/* Once the conversation is over nothing begins any more, and a key put back would be read for ever. */
	if (!step->waiting || step->telling->progress->state != CONVAI_STATE_TALKING
		|| !(is_dialplan(step->waiting) || channel_tool_takes_keys(&step->tool, step->waiting))) {
		return 0;
	}
	step->hurried = 1;
	if (frame->frametype == AST_FRAME_DTMF_END) {
		/* Its beginning may be left out; the digit is in its end. */
		ast_queue_frame(step->telling->channel, frame);
	}
	return 1;
}

int step_is_due(const struct step *step, int64_t now)
{
	return step->waiting && (step->hurried || now - step->taken_us >= STEP_WORDS_US
			|| !speaking_is_queued(step->speaking));
}

/*! \brief Have the dialplan run, and say what the agent is to be told. \return enum convai_step_outcome */
static uint32_t run(const struct telling *telling, const struct convai_step *what, char *result,
	size_t size)
{
	struct ast_channel *channel = telling->channel;
	int cause = ast_channel_hangupcause(channel);
	uint32_t outcome;

	/* Hang-ups are ours to look at: Asterisk would make one of a redirect. */
	outcome = dialplan_run(channel, telling->agent->values[KEY_STEPS_CONTEXT], what, 1, result, size);
	if (!ast_check_hangup(channel)) {
		/* That of whom the step has dialled is not the caller's. */
		ast_channel_lock(channel);
		ast_channel_hangupcause_set(channel, cause);
		ast_channel_unlock(channel);
	}
	return outcome;
}

/*** DOCUMENTATION
	<managerEvent name="ElevenLabsStep" language="en_US" module="app_elevenlabs_convai">
		<managerEventInstance class="EVENT_FLAG_CALL">
			<synopsis>
				Raised when the dialplan begins a step for an ElevenLabs agent, and when it is over.
			</synopsis>
			<syntax>
				<xi:include xpointer="xpointer(/docs/managerEvent[@name='ElevenLabsStart']/managerEventInstance/syntax/parameter)" />
				<parameter name="Tool">
					<para>Name of the tool, which is the extension.</para>
				</parameter>
				<parameter name="State">
					<para><literal>begun</literal>, then <literal>done</literal> or <literal>failed</literal>.</para>
				</parameter>
				<parameter name="ElapsedMs">
					<para>Since it has begun.</para>
				</parameter>
			</syntax>
			<description>
				<para>Meanwhile the channel is the dialplan's: what else is to be told of the conversation is told when the step is over, with the time at which it happened.</para>
			</description>
			<see-also>
				<ref type="managerEvent">ElevenLabsStart</ref>
				<ref type="managerEvent">ElevenLabsEnd</ref>
			</see-also>
		</managerEventInstance>
	</managerEvent>
 ***/

/*! \brief Tell programs where a step stands; it began at this time, CLOCK_MONOTONIC in microseconds */
static void publish(const struct step *step, const char *tool, const char *state, int64_t began)
{
	char ms[16];

	/* What has happened meanwhile comes first. */
	events_tell(step->source, step->telling->ops, step->telling->session);
	snprintf(ms, sizeof(ms), "%d", (int) ((monotonic_us() - began) / 1000));
	events_publish(step->source, "ElevenLabsStep", "Tool", tool, "State", state, "ElapsedMs", ms,
		SENTINEL);
}

int step_run(struct step *step, char *reason, size_t size)
{
	struct telling *telling = step->telling;
	const struct convai_step *what = step->waiting;
	char result[CONVAI_STEP_RESULT_BYTES];
	int64_t began = monotonic_us();
	uint32_t outcome;
	int res;

	step->waiting = NULL;
	if (!is_dialplan(what)) {
		begin_tool(step, what);
		return 0;
	}
	if (telling->ops->begin_step(telling->session)) {
		telling->ops->end_step(telling->session, CONVAI_STEP_FAILED, "");
		return 0;
	}
	door_verbose(3, "%s: agent %s runs step %s\n", ast_channel_name(telling->channel),
		telling->agent->name, what->tool);
	publish(step, what->tool, "begun", began);
	statistics_count(&telling->statistics->steps);
	statistics_set(&telling->statistics->in_step, 1);
	lend(step);
	outcome = run(telling, what, result, sizeof(result));
	res = take_back(step, began, reason, size);
	statistics_set(&telling->statistics->in_step, 0);
	publish(step, what->tool, outcome == CONVAI_STEP_DONE ? "done" : "failed", began);
	telling->ops->end_step(telling->session, outcome, result);
	return res;
}

void step_drop(struct step *step)
{
	if (step->waiting) {
		step->waiting = NULL;
		step->telling->ops->end_step(step->telling->session, CONVAI_STEP_FAILED,
			"The conversation is over.");
	}
	channel_tool_drop(&step->tool);
}
