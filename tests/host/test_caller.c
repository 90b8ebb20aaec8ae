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

static char shown[4096];

static void show_session(void *data)
{
	snprintf(shown, sizeof(shown), "%s",
		host_cli("elevenlabs show session PJSIP/caller-00000001"));
}

TEST(what_cannot_be_translated_is_dropped_and_counted)
{
	struct ast_channel *channel = script_begin(NULL);

	host_fail_call("ast_translator_build_path", 1);
	host_fail_call("ast_translate", 1);
	script_formats_at(105 * MS, CONVAI_ENCODING_SLIN, 16000);
	host_channel_talk(channel, 0, 100 * MS, 20 * MS, 20 * MS);
	host_at(108 * MS, show_session, NULL);
	script_hangup_at(110 * MS);
	script_run("sales");
	CHECK_INT(fake_push_count(fake_session(0)), 3);
	/* The other frame may have been kept by the translator: Asterisk does not tell. */
	CHECK_HAS(shown, ", 0.02 s of the first words\n");
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

TEST(voice_in_a_format_not_agreed_on_is_dropped_and_counted)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(1);
	host_channel_talk(channel, 0, 100 * MS, 20 * MS, 20 * MS);
	host_at(110 * MS, foreign_voice, channel);
	host_at(150 * MS, show_session, NULL);
	script_hangup_at(200 * MS);
	script_run("sales");
	CHECK_INT(fake_push_count(fake_session(0)), 5);
	CHECK_HAS(shown, "Frames read:      6 voice, 1 in a foreign format");
	script_end();
}

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

/* ---- Gaps ---- */

TEST(a_gap_is_filled_after_300_ms_and_from_its_beginning)
{
	struct ast_channel *channel = script_begin(NULL);
	const struct fake_push *first = NULL;
	size_t i;

	script_metadata_at(1);
	host_channel_talk(channel, 0, 1000 * MS, 20 * MS, 20 * MS);
	script_hangup_at(2000 * MS);
	script_run("sales");
	for (i = 0; i < fake_push_count(fake_session(0)) && !first; i++) {
		if (fake_push(fake_session(0), i)->silence_ms) {
			first = fake_push(fake_session(0), i);
		}
	}
	CHECK(first != NULL);
	/* The last frame came at 980 ms. */
	CHECK(first->at_us >= 1280 * MS && first->at_us < 1305 * MS);
	CHECK(first->silence_ms >= 300 && first->silence_ms <= 320);
	/* In the end the agent has been given all the time there was, to a step. */
	CHECK(fake_silence_ms(fake_session(0)) >= 1000 - 40);
	CHECK(fake_silence_ms(fake_session(0)) <= 1020);
	script_end();
}

TEST(a_short_gap_is_not_filled)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(1);
	host_channel_talk(channel, 0, 500 * MS, 20 * MS, 20 * MS);
	host_channel_talk(channel, 770 * MS, 1500 * MS, 20 * MS, 20 * MS);
	script_hangup_at(1500 * MS);
	script_run("sales");
	CHECK_INT(fake_silence_ms(fake_session(0)), 0);
	script_end();
}

TEST(audio_and_silence_together_are_as_long_as_the_call)
{
	struct ast_channel *channel = script_begin(NULL);
	int64_t ms;

	script_metadata_at(1);
	host_channel_talk(channel, 0, 3000 * MS, 20 * MS, 20 * MS);
	host_channel_talk(channel, 7003 * MS, 9000 * MS, 20 * MS, 20 * MS);
	script_hangup_at(15000 * MS);
	script_run("sales");
	ms = fake_pushed_bytes(fake_session(0)) / 8 + fake_silence_ms(fake_session(0));
	CHECK(ms >= 14950 && ms <= 15020);
	script_end();
}

static void stall(void *data)
{
	host_stall(*(int64_t *) data);
}

TEST(a_stall_of_ours_gives_no_more_than_a_second_of_silence)
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
	CHECK_INT(most, 1000);
	script_end();
}

TEST(time_before_the_metadata_is_no_gap)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(5000 * MS);
	script_hangup_at(5200 * MS);
	script_run("sales");
	CHECK(channel != NULL);
	CHECK_INT(fake_silence_ms(fake_session(0)), 0);
	script_end();
}
