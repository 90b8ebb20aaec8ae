/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What the agent hears at real time, whatever the caller's line does
 */

#include "call_script.h"

#define ULAW_BYTES_MS 8
/*! What is promised: the agent is never further behind real time, or ahead of it */
#define PROMISED_MS 60

static uint64_t heard_ms(unsigned int bytes_ms)
{
	return fake_pushed_bytes(fake_session(0)) / bytes_ms + fake_silence_ms(fake_session(0));
}

static void check_heard(uint64_t ms, unsigned int bytes_ms)
{
	uint64_t heard = heard_ms(bytes_ms);

	if (heard + PROMISED_MS < ms || heard > ms + PROMISED_MS) {
		FAIL("%d ms were heard, not %d", (int) heard, (int) ms);
	}
}

static char shown[4096];

static void show_session(void *data)
{
	snprintf(shown, sizeof(shown), "%s",
		host_cli("elevenlabs show session PJSIP/caller-00000001"));
}

/* ---- Codecs ---- */

static void to_alaw(void *data)
{
	host_channel_codec(data, ast_format_alaw);
}

static void to_slin(void *data)
{
	host_channel_codec(data, host_slin(16000));
}

static void to_g729(void *data)
{
	host_channel_codec(data, host_g729());
}

static void voice_in_alaw(void *data)
{
	host_channel_voice_as(data, ast_format_alaw, 160);
}

/*! L1, L2: with or without a word to us, as the formats of the agent are */
static void check_switch(uint32_t encoding, uint32_t rate, unsigned int bytes_ms)
{
	struct ast_channel *channel = script_begin(NULL);
	int i;

	script_formats_at(1, encoding, rate);
	host_channel_talk(channel, 0, 500 * MS, 20 * MS, 20 * MS);
	for (i = 0; i < 25; i++) {
		host_at((500 + 20 * i) * MS, voice_in_alaw, channel);
	}
	host_at(999 * MS, to_slin, channel);
	host_channel_talk(channel, 1000 * MS, 1500 * MS, 20 * MS, 20 * MS);
	host_at(1480 * MS, show_session, NULL);
	host_at(1499 * MS, to_alaw, channel);
	host_channel_talk(channel, 1500 * MS, 2000 * MS, 20 * MS, 20 * MS);
	script_hangup_at(2000 * MS);
	script_run("sales");
	CHECK_INT(fake_push_count(fake_session(0)), 100);
	CHECK_INT(fake_pushed_bytes(fake_session(0)), 2000 * bytes_ms);
	CHECK_HAS(shown, " 0 that could not be translated");
	/* Whoever comes next finds the channel as it is now, and reads without a translation. */
	CHECK(ast_channel_readformat(channel) == ast_format_alaw);
	CHECK(ast_channel_writeformat(channel) == ast_format_alaw);
	script_end();
}

TEST(every_codec_is_heard_by_an_agent_in_ulaw)
{
	check_switch(CONVAI_ENCODING_ULAW, 8000, 8);
}

TEST(every_codec_is_heard_by_an_agent_in_pcm)
{
	check_switch(CONVAI_ENCODING_SLIN, 16000, 32);
}

TEST(a_path_is_built_once_for_a_codec)
{
	struct ast_channel *channel = script_begin(NULL);

	script_formats_at(1, CONVAI_ENCODING_SLIN, 16000);
	host_channel_talk(channel, 0, 1000 * MS, 20 * MS, 20 * MS);
	script_hangup_at(1000 * MS);
	script_run("sales");
	CHECK_INT(host_paths_asked(), 1);
	script_end();
}

TEST(nothing_is_translated_without_need)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(1);
	host_channel_talk(channel, 0, 1000 * MS, 20 * MS, 20 * MS);
	script_hangup_at(1000 * MS);
	script_run("sales");
	CHECK_INT(host_paths_asked(), 0);
	script_end();
}

TEST(formats_that_were_there_before_are_there_afterwards)
{
	struct ast_channel *channel = script_begin(NULL);

	ast_set_read_format(channel, host_slin(8000));
	ast_set_write_format(channel, host_slin(16000));
	script_metadata_at(1);
	host_channel_talk(channel, 0, 100 * MS, 20 * MS, 20 * MS);
	script_hangup_at(100 * MS);
	script_run("sales");
	CHECK_INT(fake_push(fake_session(0), 0)->bytes, 160);
	CHECK_INT(host_paths_asked(), 0);
	CHECK(ast_channel_readformat(channel) == host_slin(8000));
	CHECK(ast_channel_writeformat(channel) == host_slin(16000));
	script_end();
}

/*! L12 */
TEST(a_codec_that_nothing_translates_is_refused_before_the_service_is_asked)
{
	struct ast_channel *channel = script_begin_codec(NULL, host_g729());

	host_channel_codec_too(channel, host_vp8());
	script_run("sales");
	CHECK_INT(fake.opens, 0);
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "ERROR");
	CHECK_STR(host_variable(channel, "ELEVENLABSREASON"), "this Asterisk cannot translate the "
		"channel's codec, g729: set allow = ulaw (or alaw, g722) for its endpoint");
	CHECK(host_logged("allow = ulaw") >= 1);
	CHECK_INT(ast_channel_state(channel), AST_STATE_RING);
	script_end();
}

TEST(one_codec_that_can_be_translated_is_enough)
{
	struct ast_channel *channel = script_begin_codec(NULL, host_g729());

	host_channel_codec_too(channel, ast_format_alaw);
	script_agent_ends_at(100 * MS, CONVAI_STATUS_UNREACHABLE, "away", 0);
	script_run("sales");
	CHECK_INT(fake.opens, 1);
	CHECK_STR(host_variable(channel, "ELEVENLABSREASON"), "away");
	script_end();
}

/*! K9 */
TEST(a_codec_that_comes_and_goes_and_has_no_translation_is_looked_for_once)
{
	struct ast_channel *channel = script_begin(NULL);
	int i;

	script_metadata_at(1);
	for (i = 0; i < 10; i++) {
		host_channel_talk(channel, i * 100 * MS, (i + 1) * 100 * MS, 20 * MS, 20 * MS);
		host_at((i + 1) * 100 * MS - MS, i % 2 ? to_alaw : to_g729, channel);
	}
	script_hangup_at(1000 * MS);
	script_run("sales");
	CHECK_INT(host_logged("cannot translate what the caller sends, g729"), 1);
	/* To alaw four times, for the last change comes behind the last frame. */
	CHECK_INT(host_paths_asked(), 1 + 4);
	script_end();
}

TEST(a_codec_that_comes_up_later_and_has_no_translation_is_silence_and_said_once)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(1);
	host_channel_talk(channel, 0, 500 * MS, 20 * MS, 20 * MS);
	host_at(499 * MS, to_g729, channel);
	host_channel_talk(channel, 500 * MS, 1500 * MS, 20 * MS, 20 * MS);
	host_at(1499 * MS, to_alaw, channel);
	host_channel_talk(channel, 1500 * MS, 2000 * MS, 20 * MS, 20 * MS);
	host_at(1999 * MS, show_session, NULL);
	script_hangup_at(2000 * MS);
	script_run("sales");
	CHECK_INT(fake_pushed_bytes(fake_session(0)), 1000 * ULAW_BYTES_MS);
	CHECK_INT(fake_silence_ms(fake_session(0)), 1000);
	CHECK_HAS(shown, " 50 that could not be translated");
	CHECK_INT(host_logged("cannot translate what the caller sends, g729"), 1);
	CHECK_INT(host_paths_asked(), 2);
	script_end();
}

/* ---- Frames that do not come ---- */

/*! L3: a jitter buffer's frames without data */
static void empty(void *data)
{
	host_channel_empty(data, 160);
}

TEST(frames_without_data_are_silence_of_their_length)
{
	struct ast_channel *channel = script_begin(NULL);
	int i;

	script_formats_at(1, CONVAI_ENCODING_SLIN, 16000);
	host_channel_talk(channel, 0, 500 * MS, 20 * MS, 20 * MS);
	for (i = 0; i < 250; i++) {
		host_at((500 + 20 * i) * MS, empty, channel);
	}
	host_channel_talk(channel, 5500 * MS, 6000 * MS, 20 * MS, 20 * MS);
	script_hangup_at(6000 * MS);
	script_run("sales");
	CHECK_INT(fake_silence_ms(fake_session(0)), 5000);
	CHECK_INT(fake_pushed_bytes(fake_session(0)), 1000 * 32);
	script_end();
}

/*! L5, of so many ms of frames and of pauses: after each word the agent has heard all the time */
static void check_pauses(int frame_ms, int pause_ms)
{
	struct ast_channel *channel = script_begin(NULL);
	int word_ms = 420;
	uint64_t heard = 0;
	size_t i;
	int end = 0;

	script_metadata_at(1);
	for (i = 0; i < 20; i++, end += word_ms + pause_ms) {
		host_channel_talk(channel, end * MS, (end + word_ms) * MS, frame_ms * MS, frame_ms * MS);
	}
	script_hangup_at(end * MS);
	script_run("sales");
	for (i = 0; i < fake_push_count(fake_session(0)); i++) {
		const struct fake_push *push = fake_push(fake_session(0), i);
		/* The first frame came at 0. */
		int64_t now_ms = push->at_us / MS + frame_ms;

		heard += push->bytes / ULAW_BYTES_MS + push->silence_ms;
		if (push->bytes && (now_ms - (int64_t) heard > PROMISED_MS
				|| now_ms - (int64_t) heard < -PROMISED_MS)) {
			FAIL("at %d ms the agent has heard %d ms", (int) now_ms, (int) heard);
		}
	}
	check_heard(end, ULAW_BYTES_MS);
	script_end();
}

TEST(pauses_without_packets_are_silence_of_their_length)
{
	check_pauses(20, 220);
}

TEST(pauses_of_60_ms_packets)
{
	check_pauses(60, 220);
}

TEST(pauses_that_are_short)
{
	check_pauses(20, 40);
}

TEST(pauses_of_30_ms_packets)
{
	check_pauses(30, 70);
}

struct talk {
	struct ast_channel *channel;
	unsigned int count;
	int stamp_ms;	/*!< of the first frame; that of the next burst is 1400 ms later */
};

static void burst(void *data)
{
	struct talk *talk = data;
	unsigned int i;

	for (i = 0; i < talk->count; i++) {
		host_channel_voice_of(talk->channel, 160, i, talk->stamp_ms + 20 * i);
	}
	talk->stamp_ms += 1400;
}

TEST(jitter_is_no_gap)
{
	struct ast_channel *channel = script_begin(NULL);
	struct talk late = { .channel = channel, .count = 3, .stamp_ms = 500 };

	script_metadata_at(1);
	host_channel_talk(channel, 0, 500 * MS, 20 * MS, 20 * MS);
	host_at(545 * MS, burst, &late);
	host_channel_talk(channel, 560 * MS, 1500 * MS, 20 * MS, 20 * MS);
	script_hangup_at(1500 * MS);
	script_run("sales");
	CHECK_INT(fake_silence_ms(fake_session(0)), 0);
	script_end();
}

TEST(whoever_is_muted_for_long_is_silent_in_time)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(1);
	host_channel_talk(channel, 0, 3000 * MS, 20 * MS, 20 * MS);
	host_channel_talk(channel, 7003 * MS, 9000 * MS, 20 * MS, 20 * MS);
	script_hangup_at(15000 * MS);
	script_run("sales");
	check_heard(15000, ULAW_BYTES_MS);
	script_end();
}

/*! L7 */
TEST(after_ten_stalls_the_agent_is_not_ahead)
{
	struct ast_channel *channel = script_begin(NULL);
	struct talk talk = { .channel = channel, .count = 21, .stamp_ms = 600 };
	unsigned int dropped_ms;
	int i;

	script_metadata_at(1);
	for (i = 0; i < 10; i++) {
		int at_ms = i * 1400;

		host_channel_talk(channel, at_ms * MS, (at_ms + 600) * MS, 20 * MS, 20 * MS);
		host_at((at_ms + 1000) * MS, burst, &talk);
		host_channel_talk(channel, (at_ms + 1020) * MS, (at_ms + 1400) * MS, 20 * MS, 20 * MS);
	}
	host_at(13990 * MS, show_session, NULL);
	script_hangup_at(14000 * MS);
	script_run("sales");
	check_heard(14000, ULAW_BYTES_MS);
	/* Of each 21 frames the last one is in time, and the first may be. */
	CHECK(fake_silence_ms(fake_session(0)) >= 10 * 360);
	CHECK(fake_silence_ms(fake_session(0)) <= 10 * 400);
	CHECK(sscanf(strstr(shown, "inserted, "), "inserted, %u ms dropped as late", &dropped_ms) == 1);
	CHECK(dropped_ms >= 10 * 360 && dropped_ms <= 10 * 400);
	script_end();
}

static void stall(void *data)
{
	host_stall(*(int64_t *) data);
}

TEST(what_waits_while_this_thread_stalls_is_heard_whole)
{
	struct ast_channel *channel = script_begin(NULL);
	struct talk talk = { .channel = channel, .count = 50, .stamp_ms = 1000 };
	int64_t us = 979 * MS;

	script_metadata_at(1);
	host_channel_talk(channel, 0, 1000 * MS, 20 * MS, 20 * MS);
	/* The thread comes back when these are all there. */
	host_at(1001 * MS, stall, &us);
	host_at(1002 * MS, burst, &talk);
	host_channel_talk(channel, 2000 * MS, 3000 * MS, 20 * MS, 20 * MS);
	script_hangup_at(3000 * MS);
	script_run("sales");
	CHECK_INT(fake_pushed_bytes(fake_session(0)), 3000 * ULAW_BYTES_MS);
	CHECK_INT(fake_silence_ms(fake_session(0)), 0);
	script_end();
}

TEST(a_stall_of_ours_gives_no_more_than_two_seconds_of_silence)
{
	struct ast_channel *channel = script_begin(NULL);
	int64_t us = 4000 * MS;
	uint32_t most = 0;
	size_t i;

	script_metadata_at(1);
	host_channel_talk(channel, 0, 200 * MS, 20 * MS, 20 * MS);
	host_at(1000 * MS, stall, &us);
	script_hangup_at(6000 * MS);
	script_run("sales");
	for (i = 0; i < fake_push_count(fake_session(0)); i++) {
		const struct fake_push *push = fake_push(fake_session(0), i);

		most = push->silence_ms > most ? push->silence_ms : most;
	}
	CHECK_INT(most, 2000);
	script_end();
}

static void null_frame(void *data)
{
	host_channel_frame(data, AST_FRAME_NULL);
}

TEST(other_frames_do_not_keep_silence_away)
{
	struct ast_channel *channel = script_begin(NULL);
	int i;

	script_metadata_at(1);
	host_channel_talk(channel, 0, 100 * MS, 20 * MS, 20 * MS);
	for (i = 100; i < 1000; i += 3) {
		host_at(i * MS, null_frame, channel);
	}
	script_hangup_at(1000 * MS);
	script_run("sales");
	check_heard(1000, ULAW_BYTES_MS);
	script_end();
}

TEST(time_before_the_metadata_is_no_gap)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(5000 * MS);
	script_hangup_at(5200 * MS);
	script_run("sales");
	CHECK(channel != NULL);
	check_heard(200, ULAW_BYTES_MS);
	script_end();
}

TEST(what_comes_while_the_channel_is_answered_is_heard)
{
	struct ast_channel *channel = script_begin(NULL);

	host_channel_answer_takes(channel, 300 * MS);
	script_metadata_at(105 * MS);
	host_channel_talk(channel, 0, 1000 * MS, 20 * MS, 20 * MS);
	script_hangup_at(1000 * MS);
	script_run("sales,c");
	CHECK_INT(fake_pushed_bytes(fake_session(0)), 1000 * ULAW_BYTES_MS);
	CHECK_INT(fake_silence_ms(fake_session(0)), 0);
	script_end();
}

static void hold(void *data)
{
	host_channel_control(data, AST_CONTROL_HOLD);
}

static void unhold(void *data)
{
	host_channel_control(data, AST_CONTROL_UNHOLD);
}

TEST(hold_is_silence_of_its_length)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(1);
	host_channel_talk(channel, 0, 4000 * MS, 20 * MS, 20 * MS);
	host_at(1000 * MS + 1, hold, channel);
	host_at(3000 * MS + 1, unhold, channel);
	script_hangup_at(4000 * MS);
	script_run("sales");
	CHECK_INT(fake_pushed_bytes(fake_session(0)), 2000 * ULAW_BYTES_MS);
	CHECK_INT(fake_silence_ms(fake_session(0)), 2000);
	script_end();
}

/*! L10 */
TEST(a_greeting_ends_though_the_caller_sends_nothing)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(1);
	script_say_at(10 * MS, 1000 * ULAW_BYTES_MS);
	/* The greeting is over 700 ms after its last word, at some 1710 ms. */
	host_channel_talk(channel, 2000 * MS, 3000 * MS, 20 * MS, 20 * MS);
	script_hangup_at(3000 * MS);
	script_run("sales,g");
	CHECK_INT(fake_pushed_bytes(fake_session(0)), 1000 * ULAW_BYTES_MS);
	check_heard(3000, ULAW_BYTES_MS);
	script_end();
}

static void four_at_once(void *data)
{
	int i;

	for (i = 0; i < 4; i++) {
		host_channel_voice(data, 160, 0);
	}
}

TEST(what_the_clock_has_counted_is_shown)
{
	struct ast_channel *channel = script_begin(NULL);
	struct talk late = { .channel = channel, .count = 2, .stamp_ms = 500 };

	script_metadata_at(1);
	host_channel_talk(channel, 0, 500 * MS, 20 * MS, 20 * MS);
	/* 30 ms late, with the one behind it. */
	host_at(530 * MS, burst, &late);
	host_channel_talk(channel, 540 * MS, 1000 * MS, 20 * MS, 20 * MS);
	host_at(990 * MS, four_at_once, channel);
	host_at(995 * MS, show_session, NULL);
	script_hangup_at(1000 * MS);
	script_run("sales");
	CHECK_HAS(shown, "  real time:      at worst 30 ms behind and 50 ms ahead; 0 ms of silence "
		"inserted, 20 ms dropped as late\n");
	script_end();
}
