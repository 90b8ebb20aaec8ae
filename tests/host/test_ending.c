/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief How calls begin and end: status, reason, and what is heard until then
 */

#include "call_script.h"

#include "asterisk/utf8.h"

#define STATUS(channel) host_variable(channel, "ELEVENLABSSTATUS")
#define REASON(channel) host_variable(channel, "ELEVENLABSREASON")
#define DETAIL(channel) host_variable(channel, "ELEVENLABSDETAIL")
#define CONVERSATION(channel) host_variable(channel, "ELEVENLABSCONVERSATIONID")

/* ---- What is found out before the channel is touched ---- */

/*! \brief A call that comes to nothing leaves the channel as it was */
static void check_refused(const char *config, const char *arguments, const char *status,
	const char *reason, const char *detail)
{
	struct ast_channel *channel = script_begin(config);

	CHECK_INT(script_run(arguments), 0);
	CHECK_STR(STATUS(channel), status);
	CHECK_STR(REASON(channel), reason);
	CHECK_STR(DETAIL(channel), detail);
	CHECK_STR(CONVERSATION(channel), "");
	CHECK_INT(ast_channel_state(channel), AST_STATE_RING);
	CHECK_INT(host_written_count(channel), 0);
	CHECK_INT(host_now(), 0);
	CHECK_INT(fake.opens, 0);
	CHECK_INT(host_logged("PJSIP/caller-00000001: "), 1);
	CHECK_INT(host_logged(reason), 1);
	script_end();
}

TEST(no_agent_named)
{
	check_refused(NULL, "", "NOAGENT", "no agent named: ElevenLabsConvAI(agent)", "");
}

TEST(no_agent_but_options)
{
	check_refused(NULL, ",n", "NOAGENT", "no agent named: ElevenLabsConvAI(agent)", "");
}

TEST(an_agent_that_does_not_exist)
{
	check_refused(NULL, "nobody", "NOAGENT",
		"there is no such agent in elevenlabs.conf", "nobody");
}

TEST(general_is_no_agent)
{
	check_refused(NULL, "general", "NOAGENT",
		"there is no such agent in elevenlabs.conf", "general");
}

TEST(options_that_do_not_exist)
{
	check_refused(NULL, "sales,nx", "ERROR", "the options are not understood", "nx");
}

TEST(options_beyond_ASCII)
{
	check_refused(NULL, "sales,\xc3\xa9", "ERROR",
		"the options are not understood", "\xc3\xa9");
}

TEST(no_key)
{
	check_refused("[sales]\nagent_id=a\n", "sales", "AUTH",
		"no api_key for agent sales in elevenlabs.conf", "");
}

TEST(an_agents_name_has_no_case)
{
	struct ast_channel *channel = script_begin(NULL);

	script_hangup_at(10 * MS);
	script_run("SALES");
	CHECK_STR(STATUS(channel), "HANGUP");
	CHECK_STR(fake_agent(fake_session(0)), "sales");
	script_end();
}

TEST(an_engine_without_room)
{
	struct ast_channel *channel = script_begin(NULL);

	fake.open_errno = EMFILE;
	CHECK_INT(script_run("sales"), 0);
	CHECK_STR(STATUS(channel), "ERROR");
	CHECK_STR(REASON(channel), "the engine cannot start a session: Too many open files");
	CHECK_INT(ast_channel_state(channel), AST_STATE_RING);
	script_end();
}

TEST(an_engine_that_stops)
{
	struct ast_channel *channel = script_begin(NULL);

	fake.open_errno = ESHUTDOWN;
	script_run("sales");
	CHECK_STR(STATUS(channel), "ERROR");
	script_end();
}

/* ---- Answering ---- */

TEST(the_channel_is_answered)
{
	struct ast_channel *channel = script_begin(NULL);

	script_hangup_at(10 * MS);
	script_run("sales");
	CHECK_INT(ast_channel_state(channel), AST_STATE_UP);
	script_end();
}

TEST(option_n_does_not_answer)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(1 * MS);
	script_hangup_at(50 * MS);
	script_run("sales,n");
	CHECK_INT(ast_channel_state(channel), AST_STATE_RING);
	CHECK(host_written_count(channel) > 0);
	script_end();
}

TEST(an_answer_that_fails_is_a_hangup)
{
	struct ast_channel *channel = script_begin(NULL);

	host_fail_call("ast_raw_answer", 1);
	script_run("sales");
	CHECK_STR(STATUS(channel), "HANGUP");
	CHECK(fake_hung_up(fake_session(0)));
	script_end();
}

TEST(a_slow_answer_is_no_burst_afterwards)
{
	struct ast_channel *channel = script_begin(NULL);

	host_channel_answer_takes(channel, 3000 * MS);
	script_metadata_at(1000 * MS);
	script_say_at(1100 * MS, 800);
	script_hangup_at(3500 * MS);
	script_run("sales");
	CHECK_INT(host_written_count(channel), 25);
	CHECK(host_written(channel, 0)->at_us >= 3000 * MS);
	script_end();
}

TEST(a_caller_who_hangs_up_while_answering)
{
	struct ast_channel *channel = script_begin(NULL);

	host_channel_answer_takes(channel, 3000 * MS);
	script_hangup_at(1000 * MS);
	CHECK_INT(script_run("sales"), -1);
	CHECK_STR(STATUS(channel), "HANGUP");
	script_end();
}

/* ---- The engine's endings ---- */

TEST(every_status_of_the_engine)
{
	static const char * const names[] = {
		"AGENT_ENDED", "HANGUP", "TRANSFER", "TIMEOUT", "LIMIT", "NOAGENT", "AUTH",
		"REJECTED", "UNREACHABLE", "ERROR", "UNLOADED",
	};
	struct ast_channel *channel = script_begin(NULL);
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		script_agent_ends_at(host_now() + 30 * MS, CONVAI_STATUS_AGENT_ENDED + i,
			names[i], 0);
		CHECK_INT(script_run("sales"), 0);
		CHECK_STR(STATUS(channel), names[i]);
		CHECK_STR(REASON(channel), names[i]);
		CHECK_STR(CONVERSATION(channel), "");
	}
	script_end();
}

TEST(an_ending_that_is_not_known)
{
	struct ast_channel *channel = script_begin(NULL);

	script_agent_ends_at(30 * MS, 4711, "from the future", 0);
	script_run("sales");
	CHECK_STR(STATUS(channel), "ERROR");
	CHECK_STR(REASON(channel), "from the future");
	script_end();
}

TEST(a_reason_that_is_too_long_is_cut)
{
	struct ast_channel *channel = script_begin(NULL);
	char reason[590];

	memset(reason, 'x', sizeof(reason) - 1);
	reason[sizeof(reason) - 1] = '\0';
	script_agent_ends_at(30 * MS, CONVAI_STATUS_ERROR, reason, 0);
	script_run("sales");
	CHECK_INT(strlen(REASON(channel)), 511);
	script_end();
}

TEST(the_conversations_id_stays)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(10 * MS);
	script_agent_ends_at(100 * MS, CONVAI_STATUS_AGENT_ENDED, "done", 0);
	script_run("sales");
	CHECK_STR(CONVERSATION(channel), "conv_fake");
	script_end();
}

TEST(the_result_of_the_call_before_is_cleared)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(10 * MS);
	script_agent_ends_at(100 * MS, CONVAI_STATUS_AGENT_ENDED, "done", 0);
	script_run("sales");
	script_run("nobody");
	CHECK_STR(STATUS(channel), "NOAGENT");
	CHECK_STR(CONVERSATION(channel), "");
	script_end();
}

TEST(an_engine_that_says_nothing)
{
	struct ast_channel *channel = script_begin(
		"[sales]\nauth=none\nagent_id=a\nconnect_timeout=2\n");

	CHECK_INT(script_run("sales"), 0);
	CHECK_STR(STATUS(channel), "ERROR");
	CHECK_STR(REASON(channel), "the engine does not answer");
	CHECK(host_now() >= 5000 * MS && host_now() <= 5050 * MS);
	script_end();
}

static void refuse(void *data)
{
	fake_refuse(fake_session(0), data != NULL);
}

TEST(an_engine_that_takes_no_audio)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(10 * MS);
	host_channel_talk(channel, 0, 20000 * MS, 20 * MS, 20 * MS);
	host_at(1000 * MS, refuse, channel);
	script_run("sales");
	CHECK_STR(REASON(channel), "the engine is not taking audio");
	CHECK(host_now() >= 6000 * MS && host_now() <= 6050 * MS);
	ast_softhangup(channel, AST_SOFTHANGUP_DEV);
	script_end();
}

TEST(an_engine_that_takes_audio_again_in_time)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(10 * MS);
	host_channel_talk(channel, 0, 20000 * MS, 20 * MS, 20 * MS);
	host_at(1000 * MS, refuse, channel);
	host_at(5900 * MS, refuse, NULL);
	host_at(6000 * MS, refuse, channel);
	host_at(10900 * MS, refuse, NULL);
	script_hangup_at(12000 * MS);
	script_run("sales");
	CHECK_STR(STATUS(channel), "HANGUP");
	script_end();
}

/* ---- Formats that cannot be agreed on ---- */

static void check_format(uint32_t encoding, uint32_t rate, const char *reason)
{
	struct ast_channel *channel = script_begin(NULL);

	script_formats_at(10 * MS, encoding, rate);
	script_run("sales");
	CHECK_STR(STATUS(channel), "ERROR");
	CHECK_HAS(REASON(channel), reason);
	CHECK_STR(CONVERSATION(channel), "conv_fake");
	CHECK(ast_channel_readformat(channel) == ast_format_ulaw);
	CHECK(ast_channel_writeformat(channel) == ast_format_ulaw);
	script_end();
}

TEST(a_rate_that_no_channel_has)
{
	check_format(CONVAI_ENCODING_SLIN, 22050, "hears pcm 22050 Hz, which no channel has");
}

TEST(a_rate_that_is_too_high)
{
	check_format(CONVAI_ENCODING_SLIN, 96000, "hears pcm 96000 Hz, which no channel has");
}

TEST(a_rate_that_is_too_low)
{
	check_format(CONVAI_ENCODING_SLIN, 1, "hears pcm 1 Hz, which no channel has");
}

TEST(ulaw_of_another_rate)
{
	check_format(CONVAI_ENCODING_ULAW, 16000, "hears ulaw 16000 Hz, which no channel has");
}

TEST(an_encoding_that_is_not_known)
{
	check_format(9, 8000, "hears unknown 8000 Hz, which no channel has");
}

TEST(a_codec_that_cannot_be_read_in_the_agents_format)
{
	host_fail_call("ast_translate_path_steps", 1);
	check_format(CONVAI_ENCODING_SLIN, 16000, "into which this channel's codec");
}

TEST(a_codec_that_cannot_be_written_in_the_agents_format)
{
	host_fail_call("ast_set_write_format", 1);
	check_format(CONVAI_ENCODING_SLIN, 16000, "cannot be translated into this channel's");
}

/* ---- The channel's endings ---- */

static void check_softhangup(int flags, const char *status, const char *reason, int result)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(10 * MS);
	host_channel_talk(channel, 0, 900 * MS, 20 * MS, 20 * MS);
	script_softhangup_at(505 * MS, flags);
	CHECK_INT(script_run("sales"), result);
	CHECK_INT(host_now(), 505 * MS);
	CHECK_STR(STATUS(channel), status);
	CHECK_STR(REASON(channel), reason);
	CHECK(fake_hung_up(fake_session(0)));
	script_end();
}

TEST(a_hangup)
{
	check_softhangup(AST_SOFTHANGUP_DEV, "HANGUP", "the caller hung up", -1);
}

TEST(a_hangup_from_elsewhere)
{
	check_softhangup(AST_SOFTHANGUP_EXPLICIT, "HANGUP", "the caller hung up", -1);
}

TEST(a_channel_that_is_sent_elsewhere)
{
	check_softhangup(AST_SOFTHANGUP_ASYNCGOTO, "HANGUP",
		"the channel was sent elsewhere in the dialplan", -1);
}

TEST(an_absolute_time_out)
{
	check_softhangup(AST_SOFTHANGUP_TIMEOUT, "TIMEOUT",
		"the channel's absolute time-out was reached", -1);
}

TEST(a_shutdown)
{
	check_softhangup(AST_SOFTHANGUP_SHUTDOWN, "HANGUP", "Asterisk is stopping", -1);
}

/*! L15: only our own unload is UNLOADED */
TEST(another_module_that_is_unloaded_by_force_ends_no_call)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(10 * MS);
	host_channel_talk(channel, 0, 900 * MS, 20 * MS, 20 * MS);
	script_softhangup_at(5 * MS, AST_SOFTHANGUP_APPUNLOAD);
	script_softhangup_at(505 * MS, AST_SOFTHANGUP_APPUNLOAD);
	script_agent_ends_at(800 * MS, CONVAI_STATUS_AGENT_ENDED, "bye", 0);
	CHECK_INT(script_run("sales"), 0);
	CHECK_STR(STATUS(channel), "AGENT_ENDED");
	/* None of the caller's frames is lost by it. */
	CHECK_INT(fake_push_count(fake_session(0)), 40);
	script_end();
}

TEST(another_module_that_is_unloaded_by_force_before_the_call)
{
	struct ast_channel *channel = script_begin(NULL);

	ast_softhangup(channel, AST_SOFTHANGUP_APPUNLOAD);
	script_agent_ends_at(800 * MS, CONVAI_STATUS_AGENT_ENDED, "bye", 0);
	CHECK_INT(script_run("sales"), 0);
	CHECK_STR(STATUS(channel), "AGENT_ENDED");
	script_end();
}

TEST(another_module_that_is_unloaded_by_force_and_a_hangup)
{
	check_softhangup(AST_SOFTHANGUP_APPUNLOAD | AST_SOFTHANGUP_DEV, "HANGUP",
		"the caller hung up", -1);
}

static void unload_by_force(void *data)
{
	/* On the channel's own thread, which cannot leave meanwhile: it is refused. */
	CHECK_INT(host_unload(1), -1);
}

TEST(a_forced_unload_lets_the_dialplan_go_on)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(10 * MS);
	host_at(505 * MS, unload_by_force, NULL);
	CHECK_INT(script_run("sales"), 0);
	CHECK_STR(STATUS(channel), "UNLOADED");
	CHECK_STR(REASON(channel), "the module was unloaded");
	CHECK_INT(ast_check_hangup(channel), 0);
	script_end();
}

static void take_away(void *data)
{
	host_channel_take_away(data);
}

/*! L15: a channel without a PBX that is redirected */
TEST(a_channel_whose_device_is_taken_away)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(10 * MS);
	host_at(505 * MS, take_away, channel);
	CHECK_INT(script_run("sales"), -1);
	CHECK_STR(STATUS(channel), "HANGUP");
	CHECK_STR(REASON(channel),
		"the caller was taken out of the channel: redirected or bridged elsewhere");
	script_end();
}

TEST(a_channel_that_is_gone_already)
{
	struct ast_channel *channel = script_begin(NULL);

	ast_softhangup(channel, AST_SOFTHANGUP_DEV);
	CHECK_INT(script_run("sales"), -1);
	CHECK_STR(STATUS(channel), "HANGUP");
	script_end();
}

static void fail_wait(void *data)
{
	host_fail_call("ast_waitfor_nandfds", 1);
}

TEST(a_wait_that_fails)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(10 * MS);
	host_at(100 * MS, fail_wait, NULL);
	CHECK_INT(script_run("sales"), 0);
	CHECK_STR(STATUS(channel), "ERROR");
	CHECK_STR(REASON(channel), "waiting for the channel failed");
	script_end();
}

/* ---- The agent's last words ---- */

/*! \brief Frames with something of the agent's in them, and when the last one was written */
static size_t spoken(const struct ast_channel *channel, int64_t *last_us)
{
	size_t frames = 0;
	size_t i;

	for (i = 0; i < host_written_count(channel); i++) {
		if (host_written(channel, i)->audio[0] != 0xff) {
			frames++;
			*last_us = host_written(channel, i)->at_us;
		}
	}
	return frames;
}

TEST(a_farewell_is_played_to_its_end_and_a_tail)
{
	struct ast_channel *channel = script_begin(NULL);
	int64_t last_us = 0;

	script_metadata_at(10 * MS);
	host_channel_talk(channel, 0, 5000 * MS, 20 * MS, 20 * MS);
	script_say_at(100 * MS, 16000);
	script_agent_ends_at(300 * MS, CONVAI_STATUS_AGENT_ENDED, "bye", 1);
	script_run("sales");
	CHECK_STR(STATUS(channel), "AGENT_ENDED");
	CHECK_INT(spoken(channel, &last_us), 100);
	CHECK(last_us >= 2080 * MS && last_us <= 2120 * MS);
	/* 200 ms are for the far end's jitter buffer. */
	CHECK(host_now() >= last_us + 180 * MS && host_now() <= last_us + 260 * MS);
	ast_softhangup(channel, AST_SOFTHANGUP_DEV);
	script_end();
}

TEST(a_farewell_is_followed_by_silence_also_where_silence_is_off)
{
	struct ast_channel *channel = script_begin(
		"[sales]\nauth=none\nagent_id=a\nsilence=no\n");
	int64_t last_us = 0;

	script_metadata_at(10 * MS);
	script_say_at(100 * MS, 800);
	script_agent_ends_at(110 * MS, CONVAI_STATUS_AGENT_ENDED, "bye", 1);
	script_run("sales");
	CHECK_INT(spoken(channel, &last_us), 5);
	CHECK(host_written_count(channel) >= 5 + 9);
	script_end();
}

TEST(the_agent_is_given_nothing_more_after_its_end)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(1);
	host_channel_talk(channel, 0, 5000 * MS, 20 * MS, 20 * MS);
	script_say_at(50 * MS, 16000);
	script_agent_ends_at(300 * MS + 1, CONVAI_STATUS_AGENT_ENDED, "bye", 1);
	script_run("sales");
	CHECK_INT(fake_push_count(fake_session(0)), 16);
	CHECK_INT(fake_silence_ms(fake_session(0)), 0);
	ast_softhangup(channel, AST_SOFTHANGUP_DEV);
	script_end();
}

/*! \brief S21: what has come before the connection broke */
TEST(a_broken_conversation_is_heard_as_far_as_it_came)
{
	struct ast_channel *channel = script_begin(NULL);
	int64_t last_us = 0;

	script_metadata_at(10 * MS);
	script_say_at(100 * MS, 16000);
	script_agent_ends_at(300 * MS, CONVAI_STATUS_ERROR, "broke", CONVAI_PLAY_OUT_BRIEFLY);
	script_run("sales");
	CHECK_STR(STATUS(channel), "ERROR");
	CHECK_STR(REASON(channel), "broke");
	CHECK_INT(spoken(channel, &last_us), 100);
	CHECK(host_now() >= last_us + 180 * MS && host_now() <= last_us + 260 * MS);
	script_end();
}

/*! \brief S21: nobody is there any more to stop a long answer */
TEST(a_broken_conversation_is_not_heard_for_longer_than_ten_seconds)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(10 * MS);
	script_say_at(100 * MS, 60 * 8000);
	script_agent_ends_at(300 * MS, CONVAI_STATUS_ERROR, "broke", CONVAI_PLAY_OUT_BRIEFLY);
	script_run("sales");
	CHECK_STR(STATUS(channel), "ERROR");
	CHECK(host_now() >= 10300 * MS && host_now() <= 10600 * MS);
	script_end();
}

/*! \brief S21: nobody waits for the rest who has gone, or was told to go, after a second */
static void check_leaving_broken(struct ast_channel *channel, const char *status, int64_t at_us)
{
	script_metadata_at(10 * MS);
	script_say_at(100 * MS, 16000);
	script_agent_ends_at(300 * MS, CONVAI_STATUS_ERROR, "broke", CONVAI_PLAY_OUT_BRIEFLY);
	script_run("sales");
	CHECK_STR(STATUS(channel), status);
	CHECK_INT(host_now(), at_us);
	script_end();
}

TEST(a_caller_who_hangs_up_on_a_broken_conversation)
{
	struct ast_channel *channel = script_begin(NULL);

	script_softhangup_at(1000 * MS, AST_SOFTHANGUP_DEV);
	check_leaving_broken(channel, "HANGUP", 1000 * MS);
}

TEST(a_forced_unload_during_the_last_words_of_a_broken_conversation)
{
	struct ast_channel *channel = script_begin(NULL);

	host_at(1000 * MS, unload_by_force, NULL);
	/* The unload waits on this very thread, 5 s. */
	check_leaving_broken(channel, "UNLOADED", 6000 * MS);
}

TEST(without_play_out_what_is_queued_is_not_heard)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(10 * MS);
	script_say_at(100 * MS, 16000);
	script_agent_ends_at(300 * MS, CONVAI_STATUS_TIMEOUT, "too long", 0);
	script_run("sales");
	CHECK_STR(STATUS(channel), "TIMEOUT");
	CHECK(host_now() <= 305 * MS);
	script_end();
}

TEST(a_caller_who_hangs_up_during_the_farewell)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(10 * MS);
	script_say_at(100 * MS, 16000);
	script_agent_ends_at(300 * MS, CONVAI_STATUS_AGENT_ENDED, "bye", 1);
	script_hangup_at(1000 * MS);
	script_run("sales");
	CHECK_STR(STATUS(channel), "HANGUP");
	CHECK_INT(host_now(), 1000 * MS);
	script_end();
}

static void jam(void *data)
{
	fake_jam(fake_session(0));
}

TEST(a_farewell_that_is_stuck_is_given_ten_seconds)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(10 * MS);
	script_say_at(100 * MS, 16000);
	host_at(200 * MS, jam, NULL);
	script_agent_ends_at(210 * MS, CONVAI_STATUS_AGENT_ENDED, "bye", 1);
	script_run("sales");
	CHECK_STR(STATUS(channel), "AGENT_ENDED");
	/* 1.9 s of audio were queued. */
	CHECK(host_now() >= 12200 * MS && host_now() <= 12500 * MS);
	script_end();
}

TEST(metadata_farewell_and_end_in_one_step)
{
	struct ast_channel *channel = script_begin(NULL);
	int64_t last_us = 0;

	script_metadata_at(100 * MS);
	script_say_at(100 * MS, 1600);
	script_agent_ends_at(100 * MS, CONVAI_STATUS_AGENT_ENDED, "bye", 1);
	script_run("sales");
	CHECK_STR(STATUS(channel), "AGENT_ENDED");
	CHECK_STR(CONVERSATION(channel), "conv_fake");
	CHECK_INT(spoken(channel, &last_us), 10);
	script_end();
}

/*! \brief More euro signs, of three bytes each, than a reason has room for */
static const char *many_euros(void)
{
	static char text[3 * 300 + 1];
	size_t i;

	for (i = 0; i < 300; i++) {
		memcpy(text + 3 * i, "\xe2\x82\xac", 3);
	}
	return text;
}

TEST(a_reason_is_cut_between_characters)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(10 * MS);
	script_agent_ends_at(20 * MS, CONVAI_STATUS_ERROR, many_euros(), 0);
	script_run("sales");
	CHECK(strlen(REASON(channel)) > 500);
	CHECK(ast_utf8_is_valid(REASON(channel)));
	script_end();
}

TEST(and_so_is_that_of_two_agents)
{
	struct ast_channel *channel = script_begin("[general]\nauth = none\n"
		"[sales]\nagent_id = a\nfallback_agent = spare\n[spare]\nagent_id = b\n");

	script_agent_ends_at(20 * MS, CONVAI_STATUS_UNREACHABLE, many_euros(), 0);
	script_hangup_at(100 * MS);
	script_run("sales");
	CHECK_HAS(REASON(channel), "in place of sales, UNREACHABLE: \xe2\x82\xac");
	CHECK(ast_utf8_is_valid(REASON(channel)));
	script_end();
}
