/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What the agent is given of the caller: pre-roll, frames, silence for what is missing
 */

#include "call_script.h"

/*! First sample of the caller's nth frame of 20 ms in mu-law */
static int first_of(unsigned int frame)
{
	return (uint8_t) (frame * 160);
}

TEST(each_frame_is_pushed_when_it_comes)
{
	struct ast_channel *channel = script_begin(NULL);
	size_t i;

	script_metadata_at(1);
	host_channel_talk(channel, 10 * MS, 1000 * MS, 20 * MS, 20 * MS);
	script_hangup_at(1000 * MS);
	script_run("sales");
	CHECK_INT(fake_push_count(fake_session(0)), 50);
	for (i = 0; i < 50; i++) {
		const struct fake_push *push = fake_push(fake_session(0), i);

		CHECK_INT(push->bytes, 160);
		CHECK_INT(push->first, first_of(i));
		CHECK_INT(push->at_us, (10 + 20 * (int64_t) i) * MS);
	}
	script_end();
}

/* ---- Before the agent is there ---- */

TEST(what_was_said_before_is_pushed_first)
{
	struct ast_channel *channel = script_begin(NULL);
	size_t i;

	script_metadata_at(1010 * MS);
	host_channel_talk(channel, 0, 2000 * MS, 20 * MS, 20 * MS);
	script_hangup_at(2000 * MS);
	script_run("sales");
	CHECK_INT(fake_push_count(fake_session(0)), 100);
	for (i = 0; i < 100; i++) {
		CHECK_INT(fake_push(fake_session(0), i)->first, first_of(i));
	}
	CHECK_INT(fake_push(fake_session(0), 50)->at_us, 1010 * MS);
	CHECK_INT(fake_push(fake_session(0), 51)->at_us, 1020 * MS);
	script_end();
}

TEST(of_a_long_wait_the_last_two_seconds_are_kept)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(8010 * MS);
	host_channel_talk(channel, 0, 9000 * MS, 20 * MS, 20 * MS);
	script_hangup_at(8015 * MS);
	script_run("sales");
	CHECK_INT(fake_push_count(fake_session(0)), 100);
	CHECK_INT(fake_push(fake_session(0), 99)->first, first_of(400));
	CHECK_INT(fake_push(fake_session(0), 0)->first, first_of(301));
	script_end();
}

TEST(the_bound_is_in_time_whatever_the_frames)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(10000 * MS);
	host_channel_talk(channel, 0, 10000 * MS, 60 * MS, 60 * MS);
	script_hangup_at(10001 * MS);
	script_run("sales");
	/* 33 frames of 60 ms are 1980 ms. */
	CHECK_INT(fake_pushed_bytes(fake_session(0)), 33 * 480);
	script_end();
}

TEST(what_was_said_before_is_translated)
{
	struct ast_channel *channel = script_begin(NULL);
	size_t i;

	script_formats_at(210 * MS, CONVAI_ENCODING_SLIN, 16000);
	host_channel_talk(channel, 0, 400 * MS, 20 * MS, 20 * MS);
	script_hangup_at(400 * MS);
	script_run("sales");
	CHECK_INT(fake_push_count(fake_session(0)), 20);
	for (i = 0; i < 20; i++) {
		CHECK_INT(fake_push(fake_session(0), i)->bytes, 640);
		CHECK_INT(fake_push(fake_session(0), i)->first, first_of(i));
	}
	script_end();
}

TEST(a_translation_into_several_frames_loses_none)
{
	struct ast_channel *channel = script_begin(NULL);

	host_translate_in_pieces(100);
	script_formats_at(50 * MS, CONVAI_ENCODING_SLIN, 16000);
	host_channel_talk(channel, 0, 41 * MS, 20 * MS, 20 * MS);
	script_hangup_at(60 * MS);
	script_run("sales");
	CHECK_INT(fake_push_count(fake_session(0)), 3 * 4);
	CHECK_INT(fake_pushed_bytes(fake_session(0)), 3 * 640);
	script_end();
}

static void foreign_voice(void *data)
{
	host_channel_voice_as(data, host_slin(8000), 160);
}

TEST(the_codec_may_change_before_the_agent_is_there)
{
	struct ast_channel *channel = script_begin(NULL);

	script_formats_at(105 * MS, CONVAI_ENCODING_SLIN, 16000);
	host_channel_talk(channel, 0, 41 * MS, 20 * MS, 20 * MS);
	host_at(50 * MS, foreign_voice, channel);
	host_at(60 * MS, foreign_voice, channel);
	host_channel_talk(channel, 70 * MS, 100 * MS, 20 * MS, 20 * MS);
	script_hangup_at(110 * MS);
	script_run("sales");
	CHECK_INT(fake_push_count(fake_session(0)), 7);
	CHECK_INT(fake_pushed_bytes(fake_session(0)), 7 * 640);
	script_end();
}

TEST(what_asterisk_fails_to_translate_is_silence)
{
	struct ast_channel *channel = script_begin(NULL);

	host_fail_call("ast_translate", 2);
	script_formats_at(105 * MS, CONVAI_ENCODING_SLIN, 16000);
	host_channel_talk(channel, 0, 100 * MS, 20 * MS, 20 * MS);
	script_hangup_at(110 * MS);
	script_run("sales");
	CHECK_INT(fake_push_count(fake_session(0)), 5);
	CHECK_INT(fake_push(fake_session(0), 1)->silence_ms, 20);
	CHECK_INT(fake_pushed_bytes(fake_session(0)), 4 * 640);
	script_end();
}

TEST(pauses_between_first_words_are_kept_and_what_came_long_ago_is_not)
{
	struct ast_channel *channel = script_begin(NULL);
	const struct fake_push *pushes;

	/* A telephone without packets in its pauses: a word of 400 ms, and one 600 ms after it. */
	host_channel_talk(channel, 0, 100 * MS, 20 * MS, 20 * MS);
	host_channel_talk(channel, 2000 * MS, 2400 * MS, 20 * MS, 20 * MS);
	host_channel_talk(channel, 3000 * MS, 3200 * MS, 20 * MS, 20 * MS);
	script_metadata_at(3210 * MS);
	script_hangup_at(3211 * MS);
	script_run("sales");
	CHECK_INT(fake_pushed_bytes(fake_session(0)), 600 * 8);
	CHECK_INT(fake_silence_ms(fake_session(0)), 600);
	pushes = fake_push(fake_session(0), 20);
	CHECK_INT(pushes->silence_ms, 600);
	CHECK_INT(pushes->at_us, 3210 * MS);
	script_end();
}

static void stall(void *data)
{
	(void) data;
	host_stall(150 * MS);
}

TEST(first_words_that_waited_for_a_busy_thread_are_heard_without_a_gap)
{
	struct ast_channel *channel = script_begin(NULL);
	size_t i;

	host_channel_talk(channel, 0, 1000 * MS, 20 * MS, 20 * MS);
	host_at(205 * MS, stall, NULL);
	host_at(505 * MS, stall, NULL);
	script_metadata_at(810 * MS);
	script_hangup_at(1000 * MS);
	script_run("sales");
	CHECK_INT(fake_silence_ms(fake_session(0)), 0);
	CHECK_INT(fake_push_count(fake_session(0)), 50);
	for (i = 0; i < 50; i++) {
		CHECK_INT(fake_push(fake_session(0), i)->first, first_of(i));
	}
	script_end();
}

TEST(what_was_said_before_goes_when_the_call_fails)
{
	struct ast_channel *channel = script_begin(NULL);

	host_channel_talk(channel, 0, 500 * MS, 20 * MS, 20 * MS);
	script_agent_ends_at(400 * MS, CONVAI_STATUS_UNREACHABLE, "no route", 0);
	script_run("sales");
	CHECK_INT(fake_push_count(fake_session(0)), 0);
	script_end();
}

/* ---- While talking ---- */

static void other_frames(void *data)
{
	static const enum ast_frame_type types[] = {
		AST_FRAME_DTMF_BEGIN, AST_FRAME_DTMF_END, AST_FRAME_CONTROL, AST_FRAME_NULL,
		AST_FRAME_TEXT, AST_FRAME_VIDEO, AST_FRAME_CNG,
	};
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		host_channel_frame(data, types[i]);
	}
}

TEST(what_is_not_voice_is_passed_over)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(1);
	host_channel_talk(channel, 0, 100 * MS, 20 * MS, 20 * MS);
	host_at(55 * MS, other_frames, channel);
	script_hangup_at(100 * MS);
	script_run("sales");
	CHECK_INT(fake_push_count(fake_session(0)), 5);
	script_end();
}
