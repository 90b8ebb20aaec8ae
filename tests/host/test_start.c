/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief How a call begins and what it does not bear: options, silence, a quiet agent
 */

#include "call_script.h"

#include "asterisk/channel.h"

#define CONFIG "[general]\nauth = none\n[sales]\nagent_id = agent_sales\n"

/* ---- Options ---- */

TEST(the_channel_is_answered_at_once_by_default)
{
	struct ast_channel *channel = script_begin(NULL);

	script_agent_ends_at(100 * MS, CONVAI_STATUS_UNREACHABLE, "away", 0);
	script_run("sales");
	CHECK_INT(ast_channel_state(channel), AST_STATE_UP);
	CHECK_STR(host_channel_told(channel), "");
	script_end();
}

TEST(connect_first_rings_and_answers_when_the_agent_is_there)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(500 * MS);
	script_hangup_at(1000 * MS);
	script_run("sales,c");
	CHECK_INT(ast_channel_state(channel), AST_STATE_UP);
	CHECK_STR(host_channel_told(channel), "indicate-3 ");
	script_end();
}

TEST(connect_first_leaves_the_channel_to_the_dialplan_if_it_fails)
{
	struct ast_channel *channel = script_begin(NULL);

	script_agent_ends_at(100 * MS, CONVAI_STATUS_UNREACHABLE, "away", 0);
	CHECK_INT(script_run("sales,c"), 0);
	CHECK_INT(ast_channel_state(channel), AST_STATE_RING);
	script_end();
}

TEST(ring_and_music_end_before_the_agent_speaks)
{
	static const struct {
		const char *arguments;
		const char *told;
	} cases[] = {
		{ "sales,r", "indicate-3 stop " },
		{ "sales,m", "music-default silence " },
		{ "sales,m(soft)", "music-soft silence " },
		{ "sales,cm(soft)", "indicate-14 music-soft silence " },
		{ "sales,cr", "indicate-3 stop " },
		{ "sales,nr", "indicate-3 stop " },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ast_channel *channel = script_begin(NULL);
		int64_t now = host_now();

		script_metadata_at(now + 500 * MS);
		script_hangup_at(now + 1000 * MS);
		script_run(cases[i].arguments);
		CHECK_STR(host_channel_told(channel), cases[i].told);
		script_end();
	}
}

TEST(music_ends_when_there_is_no_agent)
{
	struct ast_channel *channel = script_begin(NULL);

	script_agent_ends_at(100 * MS, CONVAI_STATUS_UNREACHABLE, "away", 0);
	script_run("sales,m");
	CHECK_STR(host_channel_told(channel), "music-default silence ");
	script_end();
}

TEST(first_words_are_not_lost_with_any_option)
{
	static const char * const arguments[] = {
		"sales", "sales,n", "sales,c", "sales,r", "sales,m(soft)", "sales,cm",
	};
	size_t i;

	for (i = 0; i < sizeof(arguments) / sizeof(arguments[0]); i++) {
		struct ast_channel *channel = script_begin(NULL);
		int64_t now = host_now();

		script_metadata_at(now + 1010 * MS);
		host_channel_talk(channel, now, now + 2000 * MS, 20 * MS, 20 * MS);
		script_hangup_at(now + 2000 * MS);
		script_run(arguments[i]);
		CHECK_INT(fake_push_count(fake_session(fake.opens - 1)), 100);
		script_end();
	}
}

TEST(options_that_contradict_each_other)
{
	struct ast_channel *channel = script_begin(NULL);

	script_run("sales,nc");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "ERROR");
	script_run("sales,rm");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "ERROR");
	script_run("sales,m(soft");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "ERROR");
	script_run("sales,m(a)x");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "ERROR");
	CHECK_INT(fake.opens, 0);
	script_end();
}

/* ---- The greeting ---- */

TEST(a_protected_greeting_is_not_interrupted)
{
	struct ast_channel *channel = script_begin(NULL);
	const struct fake_push *push;
	size_t i;
	size_t silent = 0;

	script_metadata_at(1);
	script_say_at(10 * MS, 160 * 50);	/* one second, */
	script_say_at(1400 * MS, 160 * 25);	/* and after a gap another half */
	host_channel_talk(channel, 10 * MS, 5000 * MS, 20 * MS, 20 * MS);
	script_hangup_at(5000 * MS);
	script_run("sales,g");
	for (i = 0; i < fake_push_count(fake_session(0)); i++) {
		push = fake_push(fake_session(0), i);
		if (push->silence_ms) {
			silent++;
			CHECK(push->at_us < 2700 * MS);
		} else {
			CHECK(push->at_us > 2500 * MS);
		}
	}
	CHECK(silent > 100);
	script_end();
}

TEST(without_a_greeting_the_caller_is_heard_after_a_while)
{
	struct ast_channel *channel = script_begin(NULL);
	size_t last;

	script_metadata_at(1);
	host_channel_talk(channel, 10 * MS, 7000 * MS, 20 * MS, 20 * MS);
	script_hangup_at(7000 * MS);
	script_run("sales,g");
	last = fake_push_count(fake_session(0)) - 1;
	CHECK(!fake_push(fake_session(0), last)->silence_ms);
	CHECK(fake_push(fake_session(0), 0)->silence_ms);
	script_end();
}

/* ---- What must not last ---- */

TEST(a_caller_who_says_nothing)
{
	struct ast_channel *channel = script_begin(CONFIG "silence_timeout = 2\n");

	script_metadata_at(100 * MS);
	script_say_at(110 * MS, 160 * 50);
	script_run("sales");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "TIMEOUT");
	CHECK_HAS(host_variable(channel, "ELEVENLABSREASON"), "silence_timeout (2 s)");
	CHECK(host_now() > 3050 * MS && host_now() < 3300 * MS);
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

TEST(hold_does_not_count_as_silence)
{
	struct ast_channel *channel = script_begin(CONFIG "silence_timeout = 2\n");

	script_metadata_at(10 * MS);
	host_at(1000 * MS, hold, channel);
	host_at(5000 * MS, unhold, channel);
	script_run("sales");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "TIMEOUT");
	CHECK(host_now() > 6900 * MS && host_now() < 7200 * MS);
	script_end();
}

TEST(a_caller_who_speaks)
{
	struct ast_channel *channel = script_begin(CONFIG "silence_timeout = 1\n");

	script_metadata_at(10 * MS);
	host_channel_talk(channel, 10 * MS, 3000 * MS, 20 * MS, 20 * MS);
	script_hangup_at(3000 * MS);
	script_run("sales");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "HANGUP");
	script_end();
}

TEST(a_caller_who_speaks_over_the_agent_and_on)
{
	struct ast_channel *channel = script_begin(CONFIG "silence_timeout = 1\n");

	script_metadata_at(10 * MS);
	script_say_at(20 * MS, 160 * 100);
	host_channel_talk(channel, 10 * MS, 4000 * MS, 20 * MS, 20 * MS);
	script_run("sales");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "TIMEOUT");
	/* S19: as long as the agent owes an answer the silence does not count, and that is bounded. */
	CHECK(host_now() > 33900 * MS && host_now() < 34100 * MS);
	script_end();
}

/*! S19 */
TEST(an_agent_that_takes_its_time_for_an_answer)
{
	struct ast_channel *channel = script_begin(CONFIG "silence_timeout = 5\n");

	script_metadata_at(10 * MS);
	host_channel_talk(channel, 1000 * MS, 2000 * MS, 20 * MS, 20 * MS);
	script_say_at(14000 * MS, 160 * 50);
	script_run("sales");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "TIMEOUT");
	/* Once it has answered, the caller's silence counts. */
	CHECK(host_now() > 19900 * MS && host_now() < 20100 * MS);
	script_end();
}

/*! S19 */
TEST(an_agent_that_was_interrupted_owes_an_answer)
{
	struct ast_channel *channel = script_begin(CONFIG "silence_timeout = 5\n");

	script_metadata_at(10 * MS);
	script_say_at(20 * MS, 160 * 500);
	host_channel_talk(channel, 2000 * MS, 2400 * MS, 20 * MS, 20 * MS);
	script_interrupt_at(2800 * MS);
	script_say_at(12000 * MS, 160 * 50);
	script_run("sales");
	CHECK(host_now() > 17900 * MS && host_now() < 18100 * MS);
	script_end();
}

/*! S19 */
TEST(an_agent_that_has_talked_over_the_caller_owes_nothing)
{
	struct ast_channel *channel = script_begin(CONFIG "silence_timeout = 5\n");

	script_metadata_at(10 * MS);
	script_say_at(20 * MS, 160 * 500);
	host_channel_talk(channel, 2000 * MS, 2400 * MS, 20 * MS, 20 * MS);
	script_run("sales");
	CHECK(host_now() > 14900 * MS && host_now() < 15200 * MS);
	script_end();
}

/*! S19 */
TEST(a_longer_agent_timeout_bounds_the_answer)
{
	struct ast_channel *channel = script_begin(CONFIG "silence_timeout = 5\nagent_timeout = 40\n");

	script_metadata_at(10 * MS);
	script_say_at(20 * MS, 160 * 5);
	host_channel_talk(channel, 1000 * MS, 2000 * MS, 20 * MS, 20 * MS);
	script_run("sales");
	CHECK_HAS(host_variable(channel, "ELEVENLABSREASON"), "silence_timeout (5 s)");
	CHECK(host_now() > 41900 * MS && host_now() < 42100 * MS);
	script_end();
}

TEST(an_agent_who_says_nothing)
{
	struct ast_channel *channel = script_begin(CONFIG "agent_timeout = 2\n");

	script_metadata_at(100 * MS);
	host_channel_talk(channel, 10 * MS, 1900 * MS, 20 * MS, 20 * MS);
	script_run("sales");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "TIMEOUT");
	CHECK_HAS(host_variable(channel, "ELEVENLABSREASON"), "agent_timeout (2 s)");
	script_end();
}

TEST(an_agent_who_has_spoken_once)
{
	struct ast_channel *channel = script_begin(CONFIG "agent_timeout = 1\n");

	script_metadata_at(100 * MS);
	script_say_at(900 * MS, 1600);
	script_hangup_at(4000 * MS);
	script_run("sales");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "HANGUP");
	script_end();
}

/* ---- Another agent ---- */

#define TWO "[general]\nauth = none\n[sales]\nagent_id = a\nfallback_agent = spare\n" \
	"[spare]\nagent_id = b\n"

static void second_talks(void *data)
{
	(void) data;
	CHECK_INT(fake.opens, 2);
	fake_talk(fake_session(1), CONVAI_ENCODING_ULAW, 8000);
}

TEST(another_agent_where_the_first_cannot_be_had)
{
	struct ast_channel *channel = script_begin(TWO);

	script_agent_ends_at(500 * MS, CONVAI_STATUS_UNREACHABLE, "away", 0);
	host_at(1010 * MS, second_talks, NULL);
	host_channel_talk(channel, 0, 2000 * MS, 20 * MS, 20 * MS);
	script_hangup_at(2000 * MS);
	script_run("sales");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "HANGUP");
	CHECK_STR(host_variable(channel, "ELEVENLABSREASON"),
		"the caller hung up (agent spare, in place of sales, UNREACHABLE: away)");
	CHECK_INT(fake_push_count(fake_session(1)), 100);
	script_end();
}

TEST(only_one_other_agent_and_only_before_the_conversation)
{
	struct ast_channel *channel = script_begin(TWO);

	script_metadata_at(10 * MS);
	script_agent_ends_at(500 * MS, CONVAI_STATUS_ERROR, "broke", 0);
	script_run("sales");
	CHECK_STR(host_variable(channel, "ELEVENLABSREASON"), "broke");
	CHECK_INT(fake.opens, 1);
	script_end();
}

TEST(no_other_agent_for_a_caller_who_has_gone)
{
	struct ast_channel *channel = script_begin(TWO);

	script_hangup_at(500 * MS);
	script_run("sales");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "HANGUP");
	CHECK_INT(fake.opens, 1);
	(void) channel;
	script_end();
}
