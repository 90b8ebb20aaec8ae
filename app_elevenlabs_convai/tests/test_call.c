/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Tests inside Asterisk: a call, with a channel and an engine made up for it
 *
 * The engine is a table of functions like the real one's. It goes from one state to the
 * next whenever its descriptor, a timer, fires: that is all of its script.
 */

#include "asterisk.h"

#ifdef TEST_FRAMEWORK

#include <sys/timerfd.h>	/* timerfd_create(2) */
#include <unistd.h>	/* read(2) */

#include "asterisk/astobj2.h"	/* references to calls */
#include "asterisk/channel.h"	/* a channel that keeps what is written */
#include "asterisk/format_cache.h"	/* ast_format_ulaw */
#include "asterisk/format_cap.h"	/* native formats */
#include "asterisk/test.h"	/* the framework */

#include "call/call.h"
#include "call/options.h"
#include "config/config.h"
#include "config/report.h"
#include "monotonic.h"
#include "tests/test_elevenlabs.h"

/*! Of one frame of mu-law */
#define FRAME_BYTES 160
/*! The made-up agent says nothing but this byte */
#define SPOKEN 0x55
#define STEP_MS 100
/*! Steps that the end waits for what is to be heard before it: 10 s, where a busy machine runs a call late */
#define LATE_STEPS 100

/*! The engine's only session. One test runs at a time. */
static struct convai_session {
	/* What the test sets */
	uint32_t states[8];	/*!< at each poll, one after the other; the last one stays */
	struct convai_format format;	/*!< of both directions */
	uint64_t to_say;	/*!< bytes of agent audio, there at once */
	uint32_t play_out;
	size_t awaited_bytes;	/*!< it does not end before the agent has heard so much, */
	unsigned int awaited_ms;	/*!< and so much silence */

	/* What it looks at afterwards */
	uint8_t heard[4096];
	size_t heard_bytes;
	unsigned int silence_ms;
	unsigned int polls;
	unsigned int late;	/*!< steps that the end has waited */
	unsigned int opened;
	unsigned int released;
	size_t written;		/*!< bytes on the channel that are the agent's */

	int timer;
} fake;

static struct convai_session *fake_open(const struct convai_request *request)
{
	fake.opened++;
	return &fake;
}

static int fake_event_fd(const struct convai_session *session)
{
	return session->timer;
}

/*! \brief The next state; the one before the end while that is too early */
static uint32_t next_state(struct convai_session *session)
{
	unsigned int at = MIN(session->polls, ARRAY_LEN(session->states) - 1);

	if (at && session->states[at] == CONVAI_STATE_ENDED && session->late < LATE_STEPS
		&& (session->heard_bytes < session->awaited_bytes || session->silence_ms < session->awaited_ms)) {
		session->late++;
		return session->states[at - 1];
	}
	session->polls++;
	return session->states[at];
}

static void fake_poll(struct convai_session *session, struct convai_progress *progress)
{
	uint64_t fired;
	uint32_t state = next_state(session);

	if (read(session->timer, &fired, sizeof(fired)) < 0) {
		fired = 0;
	}
	*progress = (struct convai_progress) {
		.state = state,
		.conversation_id = state == CONVAI_STATE_CONNECTING ? "" : "conv_test",
		.reason = state == CONVAI_STATE_ENDED ? "said goodbye" : "",
		.detail = state == CONVAI_STATE_ENDED ? "bye\"; $(id)" : "",
	};
	if (state != CONVAI_STATE_CONNECTING) {
		progress->caller = progress->agent = session->format;
	}
	if (state == CONVAI_STATE_ENDED) {
		progress->status = CONVAI_STATUS_AGENT_ENDED;
		progress->play_out = session->play_out;
	}
}

static uint32_t fake_push(struct convai_session *session, const uint8_t *audio,
	uint32_t bytes, int64_t now_us)
{
	if (session->heard_bytes + bytes > sizeof(session->heard)) {
		return 0;
	}
	memcpy(session->heard + session->heard_bytes, audio, bytes);
	session->heard_bytes += bytes;
	return bytes;
}

static uint32_t fake_push_silence(struct convai_session *session, uint32_t ms)
{
	session->silence_ms += ms;
	return ms;
}

static uint32_t fake_pop(struct convai_session *session, uint8_t *audio, uint32_t bytes,
	int64_t now_us)
{
	uint32_t taken = MIN(session->to_say, bytes);

	memset(audio, SPOKEN, taken);
	memset(audio + taken, 0xff, bytes - taken);
	session->to_say -= taken;
	return taken;
}

static uint64_t fake_queued(const struct convai_session *session)
{
	return session->to_say;
}

static void fake_hold(struct convai_session *session, int on)
{
}

static void fake_release(struct convai_session *session)
{
	session->released++;
}

static void fake_set_session_debug(struct convai_session *session, uint32_t debug)
{
}

/*! \brief This agent has no tools */
static const struct convai_step *fake_take_step(struct convai_session *session)
{
	return NULL;
}

static const struct convai_event *fake_take_event(struct convai_session *session)
{
	return NULL;
}

static void fake_counters(const struct convai_session *session, struct convai_counters *counters)
{
	memset(counters, 0, sizeof(*counters));
}

static void fake_turns(const struct convai_session *session, struct convai_turn_times *times)
{
	memset(times, 0, sizeof(*times));
}

static const struct convai_ops fake_ops = {
	.abi_version = CONVAI_ABI_VERSION,
	.size = sizeof(fake_ops),
	.open = fake_open,
	.event_fd = fake_event_fd,
	.poll = fake_poll,
	.push = fake_push,
	.push_silence = fake_push_silence,
	.pop = fake_pop,
	.queued = fake_queued,
	.hold = fake_hold,
	.release = fake_release,
	.set_session_debug = fake_set_session_debug,
	.take_step = fake_take_step,
	.take_event = fake_take_event,
	.counters = fake_counters,
	.turns = fake_turns,
};

/* ---- The channel ---- */

static int write_frame(struct ast_channel *channel, struct ast_frame *frame)
{
	const uint8_t *audio = frame->data.ptr;
	int i;

	for (i = 0; i < frame->datalen; i++) {
		fake.written += audio[i] == SPOKEN;
	}
	return 0;
}

static const struct ast_channel_tech tech = {
	.type = "ElevenLabsTest",
	.description = "Counts what is written",
	.write = write_frame,
};

static struct ast_channel *make_channel(void)
{
	struct ast_format_cap *caps = ast_format_cap_alloc(AST_FORMAT_CAP_FLAG_DEFAULT);
	struct ast_channel *channel;

	if (!caps || ast_format_cap_append(caps, ast_format_ulaw, 0)) {
		ao2_cleanup(caps);
		return NULL;
	}
	channel = ast_channel_alloc(1, AST_STATE_UP, "5550100", "Test", "", "100", "default",
			NULL, NULL, 0, "ElevenLabsTest/1");
	if (channel) {
		ast_channel_tech_set(channel, &tech);
		ast_channel_nativeformats_set(channel, caps);
		ast_channel_set_writeformat(channel, ast_format_ulaw);
		ast_channel_set_rawwriteformat(channel, ast_format_ulaw);
		ast_channel_set_readformat(channel, ast_format_ulaw);
		ast_channel_set_rawreadformat(channel, ast_format_ulaw);
		ast_channel_unlock(channel);
	}
	ao2_ref(caps, -1);
	return channel;
}

/*! \brief Let the caller say one frame of nothing but this byte */
static void say(struct ast_channel *channel, int byte)
{
	uint8_t audio[FRAME_BYTES];
	struct ast_frame frame = {
		.frametype = AST_FRAME_VOICE,
		.subclass.format = ast_format_ulaw,
		.datalen = FRAME_BYTES,
		.samples = FRAME_BYTES,
		.data.ptr = audio,
		.src = "test",
	};

	memset(audio, byte, sizeof(audio));
	ast_queue_frame(channel, &frame);
}

/*! \brief Whether the agent has heard these frames, each of one byte, and nothing else */
static int heard(const char *bytes)
{
	size_t count = strlen(bytes);
	size_t i;

	for (i = 0; i < fake.heard_bytes; i++) {
		if (i / FRAME_BYTES >= count || fake.heard[i] != (uint8_t) bytes[i / FRAME_BYTES]) {
			return 0;
		}
	}
	return fake.heard_bytes == count * FRAME_BYTES;
}

/* ---- Scaffold ---- */

/*! \brief The next state after each STEP_MS; the rest of the states is the last one */
static int set_up(const uint32_t *states, size_t count)
{
	struct itimerspec every = {
		.it_value.tv_nsec = STEP_MS * 1000000L,
		.it_interval.tv_nsec = STEP_MS * 1000000L,
	};
	size_t i;

	memset(&fake, 0, sizeof(fake));
	for (i = 0; i < ARRAY_LEN(fake.states); i++) {
		fake.states[i] = states[MIN(i, count - 1)];
	}
	fake.format = (struct convai_format) { CONVAI_ENCODING_ULAW, 8000 };
	fake.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	return fake.timer < 0 || timerfd_settime(fake.timer, 0, &every, NULL);
}

/*! \brief Run a call on the channel; NULL if there is none to look at */
static struct call *run_call(struct ast_channel *channel)
{
	struct config_report report = { .fd = -1 };
	struct config *config = test_config("[a]\nagent_id = x\nauth = none\n", &report);
	struct config_agent *agent = config ? config_find_agent(config, "a") : NULL;
	const struct call_options options = { .answer = 1, .music_class = "" };
	struct call *call = agent ? call_make(channel, agent, &fake_ops) : NULL;

	if (call) {
		call_run(call, &options);
	}
	close(fake.timer);
	ao2_cleanup(agent);
	ao2_cleanup(config);
	return call;
}

#define SET_UP(...) \
	set_up((const uint32_t []) { __VA_ARGS__ }, \
		ARRAY_LEN(((const uint32_t []) { __VA_ARGS__ })))

static int ended_with(const struct call *call, enum convai_status status)
{
	return call && call->over && call->ending.status == status && !call->session
		&& fake.released == fake.opened;
}

/* ---- Tests ---- */

AST_TEST_DEFINE(call_plays_out)
{
	RAII_VAR(struct ast_channel *, channel, NULL, ast_hangup);
	RAII_VAR(struct call *, call, NULL, ao2_cleanup);

	TEST_DESCRIBE("call_plays_out",
		"What was said before the agent came is heard; its farewell is played to its end")
	ast_test_validate(test, !SET_UP(CONVAI_STATE_CONNECTING, CONVAI_STATE_TALKING,
		CONVAI_STATE_ENDED));
	channel = make_channel();
	ast_test_validate(test, channel);
	fake.to_say = 25 * FRAME_BYTES + 7;
	fake.play_out = 1;
	fake.awaited_bytes = 3 * FRAME_BYTES;
	say(channel, 'a');
	say(channel, 'b');
	say(channel, 'c');
	call = run_call(channel);
	ast_test_validate(test, ended_with(call, CONVAI_STATUS_AGENT_ENDED));
	ast_test_validate(test, !strcmp(call->ending.reason, "said goodbye"));
	ast_test_validate(test, !strcmp(call->ending.detail, "bye\"; $(id)"));
	ast_test_validate(test, !strcmp(call->conversation_id, "conv_test"));
	ast_test_validate(test, heard("abc"));
	ast_test_validate(test, fake.written == 25 * FRAME_BYTES + 7);
	return AST_TEST_PASS;
}

AST_TEST_DEFINE(call_on_hold)
{
	RAII_VAR(struct ast_channel *, channel, NULL, ast_hangup);
	RAII_VAR(struct call *, call, NULL, ao2_cleanup);

	TEST_DESCRIBE("call_on_hold", "While the caller has us on hold, the agent hears nothing")
	ast_test_validate(test, !SET_UP(CONVAI_STATE_TALKING, CONVAI_STATE_ENDED));
	channel = make_channel();
	ast_test_validate(test, channel);
	fake.awaited_bytes = 2 * FRAME_BYTES;
	say(channel, 'a');
	ast_queue_control(channel, AST_CONTROL_HOLD);
	say(channel, 'b');
	ast_queue_control(channel, AST_CONTROL_UNHOLD);
	say(channel, 'c');
	call = run_call(channel);
	ast_test_validate(test, ended_with(call, CONVAI_STATUS_AGENT_ENDED));
	ast_test_validate(test, heard("ac"));
	return AST_TEST_PASS;
}

AST_TEST_DEFINE(call_fills_gaps)
{
	RAII_VAR(struct ast_channel *, channel, NULL, ast_hangup);
	RAII_VAR(struct call *, call, NULL, ao2_cleanup);
	int64_t began_us = monotonic_us();

	TEST_DESCRIBE("call_fills_gaps",
		"Without audio the agent gets silence, no longer than the time")
	ast_test_validate(test, !SET_UP(CONVAI_STATE_TALKING, CONVAI_STATE_ENDED));
	channel = make_channel();
	ast_test_validate(test, channel);
	fake.awaited_ms = 4 * STEP_MS;
	call = run_call(channel);
	ast_test_validate(test, ended_with(call, CONVAI_STATUS_AGENT_ENDED));
	ast_test_status_update(test, "%u ms of silence\n", fake.silence_ms);
	ast_test_validate(test, fake.silence_ms >= 4 * STEP_MS);
	ast_test_validate(test, fake.silence_ms <= (monotonic_us() - began_us) / 1000);
	ast_test_validate(test, !fake.heard_bytes);
	return AST_TEST_PASS;
}

AST_TEST_DEFINE(call_of_nobody)
{
	RAII_VAR(struct ast_channel *, channel, NULL, ast_hangup);
	RAII_VAR(struct call *, call, NULL, ao2_cleanup);

	TEST_DESCRIBE("call_of_nobody", "No conversation is opened for a channel that is gone")
	ast_test_validate(test, !SET_UP(CONVAI_STATE_TALKING));
	channel = make_channel();
	ast_test_validate(test, channel);
	ast_softhangup(channel, AST_SOFTHANGUP_DEV);
	call = run_call(channel);
	ast_test_validate(test, ended_with(call, CONVAI_STATUS_HANGUP));
	ast_test_validate(test, !fake.opened);
	return AST_TEST_PASS;
}

AST_TEST_DEFINE(call_in_a_foreign_format)
{
	RAII_VAR(struct ast_channel *, channel, NULL, ast_hangup);
	RAII_VAR(struct call *, call, NULL, ao2_cleanup);

	TEST_DESCRIBE("call_in_a_foreign_format", "A format that Asterisk has not got ends the call")
	ast_test_validate(test, !SET_UP(CONVAI_STATE_CONNECTING, CONVAI_STATE_TALKING));
	channel = make_channel();
	ast_test_validate(test, channel);
	fake.format = (struct convai_format) { CONVAI_ENCODING_SLIN, 22050 };
	call = run_call(channel);
	ast_test_validate(test, ended_with(call, CONVAI_STATUS_ERROR));
	ast_test_validate(test, strstr(call->ending.reason, "pcm 22050 Hz"));
	ast_test_validate(test, strstr(call->ending.reason, "pcm_16000"));
	return AST_TEST_PASS;
}

/* ---- Registration ---- */

static ast_test_cb_t * const tests[] = {
	call_plays_out,
	call_on_hold,
	call_fills_gaps,
	call_of_nobody,
	call_in_a_foreign_format,
};

void call_tests_register(void)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(tests); i++) {
		AST_TEST_REGISTER(tests[i]);
	}
}

void call_tests_unregister(void)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(tests); i++) {
		AST_TEST_UNREGISTER(tests[i]);
	}
}

#endif /* TEST_FRAMEWORK */
