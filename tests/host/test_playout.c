/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What the caller hears, frame by frame, in virtual time
 */

#include "call_script.h"

#define ULAW_SILENCE 0xff

/*! \brief Every frame is 20 ms after the one before, give or take */
static void check_pace(const struct ast_channel *channel, size_t first, int64_t jitter_us)
{
	size_t i;

	for (i = first + 1; i < host_written_count(channel); i++) {
		int64_t gap = host_written(channel, i)->at_us - host_written(channel, i - 1)->at_us;

		if (gap < 20 * MS - jitter_us || gap > 20 * MS + jitter_us) {
			FAIL("frame %zu comes %.3f ms after the one before", i, gap / 1000.0);
		}
	}
}

/*!
 * \brief The agent's audio is whole: what was said, in order, with silence only around it
 * \return bytes of it
 */
static unsigned int check_audio(const struct ast_channel *channel)
{
	unsigned int heard = 0;
	size_t i;
	int b;

	for (i = 0; i < host_written_count(channel); i++) {
		const struct host_written *frame = host_written(channel, i);

		for (b = 0; b < frame->bytes; b++) {
			if (frame->audio[b] == ULAW_SILENCE) {
				continue;
			}
			if (frame->audio[b] != FAKE_AUDIO_FIRST + heard % 250) {
				FAIL("byte %u of the agent's audio is %u", heard, frame->audio[b]);
			}
			heard++;
		}
	}
	return heard;
}

TEST(the_callers_frames_are_the_clock)
{
	struct ast_channel *channel = script_begin(NULL);
	size_t i;

	script_metadata_at(50 * MS);
	host_channel_talk(channel, 3 * MS, 2000 * MS, 20 * MS, 20 * MS);
	script_say_at(100 * MS, 8000);
	script_hangup_at(2000 * MS);
	script_run("sales");
	CHECK_INT(check_audio(channel), 8000);
	CHECK(host_written_count(channel) >= 99 && host_written_count(channel) <= 100);
	for (i = 1; i < host_written_count(channel); i++) {
		/* Never a wake-up of its own: each is written when a caller's frame was read. */
		CHECK_INT((host_written(channel, i)->at_us - 3 * MS) % (20 * MS), 0);
	}
	script_end();
}

TEST(without_callers_frames_the_time_out_paces)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(50 * MS);
	script_say_at(100 * MS, 8000);
	script_hangup_at(2000 * MS);
	script_run("sales");
	CHECK_INT(check_audio(channel), 8000);
	CHECK_INT(host_written(channel, 0)->at_us, 5 * MS);
	check_pace(channel, 0, 0);
	CHECK_INT(host_written_count(channel), 100);
	script_end();
}

/*! \brief What the caller hears of an agent while each write takes 12 ms */
static void check_slow_writes(struct ast_channel *channel)
{
	script_metadata_at(50 * MS);
	host_channel_write_takes(channel, 12 * MS);
	script_say_at(100 * MS, 8000);
	script_hangup_at(2000 * MS);
	script_run("sales");
	CHECK_INT(check_audio(channel), 8000);
	check_pace(channel, 1, 1 * MS);
	CHECK(host_written_count(channel) >= 98 && host_written_count(channel) <= 100);
	script_end();
}

TEST(writes_that_block_change_no_pace_without_callers_frames)
{
	check_slow_writes(script_begin(NULL));
}

TEST(writes_that_block_change_no_pace_with_callers_frames)
{
	struct ast_channel *channel = script_begin(NULL);

	host_channel_talk(channel, 3 * MS, 2000 * MS, 20 * MS, 20 * MS);
	check_slow_writes(channel);
}

TEST(a_caller_who_stops_and_starts_again_is_no_hiccup)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(50 * MS);
	host_channel_talk(channel, 3 * MS, 500 * MS, 20 * MS, 20 * MS);
	host_channel_talk(channel, 1411 * MS, 3000 * MS, 20 * MS, 20 * MS);
	script_say_at(100 * MS, 16000);
	script_hangup_at(3000 * MS);
	script_run("sales");
	CHECK_INT(check_audio(channel), 16000);
	check_pace(channel, 1, 13 * MS);
	CHECK(host_written_count(channel) >= 149 && host_written_count(channel) <= 151);
	script_end();
}

TEST(a_caller_whose_clock_is_slow_sets_the_pace)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(50 * MS);
	host_channel_talk(channel, 0, 60000 * MS, 20 * MS, 20020);
	script_hangup_at(60000 * MS);
	script_run("sales");
	check_pace(channel, 10, 1 * MS);
	CHECK_INT(host_written_count(channel), 2998);
	script_end();
}

TEST(a_callers_jitter_is_not_the_agents)
{
	struct ast_channel *channel = script_begin(NULL);
	int64_t at;

	script_metadata_at(50 * MS);
	host_channel_state(channel, AST_STATE_UP);
	for (at = 0; at < 2000 * MS; at += 40 * MS) {
		host_channel_talk(channel, at, at + 1, 20 * MS, 20 * MS);
		host_channel_talk(channel, at + 32 * MS, at + 32 * MS + 1, 20 * MS, 20 * MS);
	}
	script_hangup_at(2000 * MS);
	script_run("sales");
	/* Each deadline is met within its window: 5 ms before it and 5 ms after it. */
	check_pace(channel, 5, 10 * MS);
	CHECK(host_written_count(channel) >= 99 && host_written_count(channel) <= 101);
	script_end();
}

static void stall(void *data)
{
	host_stall(*(int64_t *) data);
}

TEST(a_short_stall_is_made_up_for)
{
	struct ast_channel *channel = script_begin(NULL);
	int64_t us = 70 * MS;

	script_metadata_at(50 * MS);
	script_say_at(100 * MS, 8000);
	host_channel_talk(channel, 0, 1500 * MS, 20 * MS, 20 * MS);
	host_at(511 * MS, stall, &us);
	script_hangup_at(1500 * MS);
	script_run("sales");
	CHECK_INT(check_audio(channel), 8000);
	CHECK(host_written_count(channel) >= 74 && host_written_count(channel) <= 76);
	script_end();
}

static char shown[4096];

static void show_session(void *data)
{
	snprintf(shown, sizeof(shown), "%s",
		host_cli("elevenlabs show session PJSIP/caller-00000001"));
}

TEST(a_long_stall_is_not_made_up_for)
{
	struct ast_channel *channel = script_begin(NULL);
	int64_t us = 600 * MS;

	script_metadata_at(50 * MS);
	script_say_at(100 * MS, 8000);
	host_channel_talk(channel, 0, 2000 * MS, 20 * MS, 20 * MS);
	host_at(511 * MS, stall, &us);
	host_at(1900 * MS, show_session, NULL);
	script_hangup_at(2000 * MS);
	script_run("sales");
	CHECK_INT(check_audio(channel), 8000);
	CHECK_HAS(shown, "1 resynchronisations");
	/* 600 ms are 30 frames; one was written in their place. */
	CHECK(host_written_count(channel) >= 70 && host_written_count(channel) <= 72);
	script_end();
}

TEST(what_is_between_two_frames_is_padded_and_nothing_is_lost)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(50 * MS);
	host_channel_talk(channel, 0, 1000 * MS, 20 * MS, 20 * MS);
	script_say_at(101 * MS, 163);
	script_say_at(301 * MS, 7);
	script_say_at(501 * MS, 500);
	script_hangup_at(1000 * MS);
	script_run("sales");
	CHECK_INT(check_audio(channel), 670);
	script_end();
}

TEST(an_interruption_is_heard_within_one_frame)
{
	struct ast_channel *channel = script_begin(NULL);
	size_t i;

	script_metadata_at(50 * MS);
	host_channel_talk(channel, 0, 2000 * MS, 20 * MS, 20 * MS);
	script_say_at(100 * MS, 16000);
	script_interrupt_at(605 * MS);
	script_hangup_at(2000 * MS);
	script_run("sales");
	for (i = 0; i < host_written_count(channel); i++) {
		const struct host_written *frame = host_written(channel, i);

		if (frame->at_us > 605 * MS) {
			CHECK_INT(frame->audio[0], ULAW_SILENCE);
		} else if (frame->at_us > 140 * MS) {
			CHECK(frame->audio[0] != ULAW_SILENCE);
		}
	}
	script_end();
}

TEST(frames_have_the_agents_format)
{
	struct ast_channel *channel = script_begin(NULL);
	const struct host_written *frame;

	script_formats_at(50 * MS, CONVAI_ENCODING_SLIN, 16000);
	host_channel_talk(channel, 0, 500 * MS, 20 * MS, 20 * MS);
	script_say_at(100 * MS, 6400);
	script_hangup_at(500 * MS);
	script_run("sales");
	frame = host_written(channel, 0);
	CHECK(frame->format == ast_format_ulaw);
	CHECK_INT(frame->bytes, 160);
	frame = host_written(channel, host_written_count(channel) - 1);
	CHECK(frame->format == host_slin(16000));
	CHECK_INT(frame->samples, 320);
	CHECK_INT(frame->bytes, 640);
	CHECK(ast_channel_readformat(channel) == ast_format_ulaw);
	CHECK(ast_channel_writeformat(channel) == ast_format_ulaw);
	script_end();
}

TEST(frames_of_44100_Hz_have_882_samples)
{
	struct ast_channel *channel = script_begin(NULL);

	script_formats_at(50 * MS, CONVAI_ENCODING_SLIN, 44100);
	script_hangup_at(500 * MS);
	script_run("sales");
	CHECK_INT(host_written(channel, host_written_count(channel) - 1)->samples, 882);
	script_end();
}

TEST(the_widest_format_fits)
{
	struct ast_channel *channel = script_begin(NULL);
	const struct host_written *frame;

	script_formats_at(50 * MS, CONVAI_ENCODING_SLIN, 48000);
	script_say_at(60 * MS, 20000);
	script_hangup_at(200 * MS);
	script_run("sales");
	frame = host_written(channel, host_written_count(channel) - 1);
	CHECK_INT(frame->bytes, 1920);
	CHECK(frame->audio[1919] != 0);
	script_end();
}

/* ---- Silence ---- */

TEST(while_connecting_silence_is_written_in_the_codec)
{
	struct {
		struct ast_format *codec;
		int bytes;
		uint8_t silence;
	} cases[] = {
		{ ast_format_ulaw, 160, 0xff },
		{ ast_format_alaw, 160, 0xd5 },
		{ host_slin(8000), 320, 0 },
		{ host_slin(16000), 640, 0 },
		{ host_slin(48000), 1920, 0 },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ast_channel *channel = script_begin_codec(NULL, cases[i].codec);
		const struct host_written *frame;

		script_hangup_at(host_now() + 500 * MS);
		script_run("sales");
		CHECK_INT(host_written_count(channel), 25);
		check_pace(channel, 0, 0);
		frame = host_written(channel, 24);
		CHECK(frame->format == cases[i].codec);
		CHECK_INT(frame->bytes, cases[i].bytes);
		CHECK_INT(frame->audio[0], cases[i].silence);
		CHECK_INT(frame->audio[frame->bytes - 1], cases[i].silence);
		script_end();
	}
}

TEST(a_codec_that_is_too_wide_gets_no_silence)
{
	struct ast_channel *channel = script_begin_codec(NULL, host_slin(192000));

	script_hangup_at(500 * MS);
	script_run("sales");
	CHECK_INT(host_written_count(channel), 0);
	script_end();
}

TEST(silence_off_writes_nothing_but_the_agent)
{
	struct ast_channel *channel = script_begin(
		"[general]\nauth=none\nsilence=no\n[sales]\nagent_id=a\n");

	script_metadata_at(200 * MS);
	host_channel_talk(channel, 0, 2000 * MS, 20 * MS, 20 * MS);
	script_say_at(500 * MS, 1600);
	script_hangup_at(2000 * MS);
	script_run("sales");
	CHECK_INT(check_audio(channel), 1600);
	CHECK_INT(host_written_count(channel), 10);
	script_end();
}

static void fail_once(void *data)
{
	host_channel_write_fails(data, 1);
}

/*! A re-INVITE that takes a codec away has Asterisk fail to write, and soft-hang up for that */
TEST(writes_that_fail_are_logged_once_and_survived)
{
	struct ast_channel *channel = script_begin(NULL);

	option_debug = 1;
	host_channel_write_fails(channel, 12);
	script_metadata_at(50 * MS);
	host_at(400 * MS, show_session, NULL);
	script_hangup_at(500 * MS);
	script_run("sales");
	CHECK_INT(host_logged("a frame could not be written"), 1);
	CHECK_HAS(shown, "12 failed");
	CHECK(host_written_count(channel) >= 12);
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "HANGUP");
	CHECK(host_now() >= 500 * MS);
	script_end();
}

/*! What fails for a second, and so for good, is hung up */
TEST(a_channel_that_takes_no_frames_is_left)
{
	struct ast_channel *channel = script_begin(NULL);

	host_channel_write_fails(channel, 1000);
	script_metadata_at(50 * MS);
	script_run("sales");
	CHECK_INT(host_written_count(channel), 0);
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "HANGUP");
	CHECK(host_now() >= 1000 * MS && host_now() <= 1200 * MS);
	script_end();
}

/*! A failure is forgotten with the next frame that is taken; a hang-up meanwhile is one */
TEST(writes_that_fail_now_and_then_hide_no_hang_up)
{
	struct ast_channel *channel = script_begin(NULL);
	int i;

	for (i = 0; i < 100; i++) {
		host_at((100 + 40 * i) * MS, fail_once, channel);
	}
	script_metadata_at(50 * MS);
	script_hangup_at(4500 * MS);
	script_run("sales");
	CHECK_STR(host_variable(channel, "ELEVENLABSREASON"), "the caller hung up");
	CHECK(host_now() >= 4500 * MS && host_now() <= 4600 * MS);
	script_end();
}

static void hang_up_at_next_write(void *data)
{
	host_channel_when_written(data, host_channel_hangup);
}

static void fall_silent_at_next_write(void *data)
{
	host_channel_when_written(data, host_channel_falls_silent);
}

/*! Between a look at the channel and ast_write, which then fails and does not say why */
static void hang_up_while_writing(void (*arm)(void *data))
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(50 * MS);
	host_at(400 * MS, arm, channel);
	script_run("sales");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "HANGUP");
	CHECK(host_now() >= 400 * MS && host_now() <= 450 * MS);
	script_end();
}

TEST(a_hang_up_while_writing_is_no_failure)
{
	hang_up_while_writing(hang_up_at_next_write);
}

TEST(a_time_out_while_writing_is_no_failure)
{
	hang_up_while_writing(fall_silent_at_next_write);
}

TEST(a_tone_of_the_dialplans_ends_when_the_agent_is_there)
{
	struct ast_channel *channel = script_begin(NULL);

	host_channel_generator(channel);
	script_metadata_at(500 * MS);
	script_say_at(600 * MS, 1600);
	script_hangup_at(1000 * MS);
	script_run("sales");
	CHECK_INT(check_audio(channel), 1600);
	/* Until then it was the tone that was heard. */
	CHECK(host_written(channel, 0)->at_us >= 500 * MS);
	script_end();
}
