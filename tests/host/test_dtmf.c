/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Digits that the caller presses during a call
 */

#include "call_script.h"

#include <errno.h>

#include "asterisk/module.h"

#define CONFIG SCRIPT_CONFIG
/*! How long a key is down */
#define HELD (100 * MS)
/*! What the agent is told while digits come, in the form of fake_all_said */
#define ACTIVITY "2:\n"
#define MESSAGE "0:"
#define CONTEXT "1:"

static struct ast_channel *caller;

static void down(void *digit)
{
	host_channel_dtmf(caller, AST_FRAME_DTMF_BEGIN, *(const char *) digit);
}

static void up(void *digit)
{
	host_channel_dtmf(caller, AST_FRAME_DTMF_END, *(const char *) digit);
}

/*! \brief Press one key after the other, the first at at_us */
static void press_at(int64_t at_us, int64_t every_us, const char *digits)
{
	for (; *digits; digits++, at_us += every_us) {
		host_at(at_us, down, (void *) digits);
		host_at(at_us + HELD, up, (void *) digits);
	}
}

/*! \brief A call with the conversation up at 10 ms, the caller gone at end_us */
static void begin(const char *config, int64_t end_us)
{
	caller = script_begin(config);
	script_metadata_at(10 * MS);
	script_hangup_at(end_us);
}

static void check_said(const char *said)
{
	script_run("sales");
	CHECK_STR(fake_all_said(fake_session(0)), said);
	script_end();
}

/* ---- Groups ---- */

TEST(the_key_that_ends_sends_what_was_pressed)
{
	begin(CONFIG, 1500 * MS);
	press_at(200 * MS, 200 * MS, "123#");
	check_said(ACTIVITY ACTIVITY ACTIVITY MESSAGE "123\n");
}

TEST(a_pause_sends_what_was_pressed)
{
	begin(CONFIG, 3000 * MS);
	press_at(200 * MS, 300 * MS, "45");
	check_said(ACTIVITY ACTIVITY MESSAGE "45\n");
}

TEST(before_the_pause_is_over_nothing_is_sent)
{
	begin(CONFIG, 2550 * MS);
	press_at(200 * MS, 300 * MS, "45");
	check_said(ACTIVITY ACTIVITY);
}

TEST(pauses_that_are_shorter_do_not_part_digits)
{
	begin(CONFIG, 8000 * MS);
	press_at(200 * MS, 1900 * MS, "789");
	check_said(ACTIVITY ACTIVITY ACTIVITY MESSAGE "789\n");
}

TEST(the_pause_can_be_set)
{
	begin(CONFIG "dtmf_timeout_ms = 500\n", 2000 * MS);
	press_at(200 * MS, 800 * MS, "78");
	check_said(ACTIVITY MESSAGE "7\n" ACTIVITY MESSAGE "8\n");
}

TEST(the_key_that_ends_can_be_another)
{
	begin(CONFIG "dtmf_end = *\n", 2000 * MS);
	press_at(200 * MS, 200 * MS, "1#*");
	check_said(ACTIVITY ACTIVITY MESSAGE "1#\n");
}

TEST(no_key_ends)
{
	begin(CONFIG "dtmf_end = none\n", 4000 * MS);
	press_at(200 * MS, 200 * MS, "1#*");
	check_said(ACTIVITY ACTIVITY ACTIVITY MESSAGE "1#*\n");
}

TEST(the_key_that_ends_pressed_alone_is_a_digit)
{
	begin(CONFIG, 1000 * MS);
	press_at(200 * MS, 200 * MS, "#");
	check_said(MESSAGE "#\n");
}

TEST(two_groups)
{
	begin(CONFIG, 3000 * MS);
	press_at(200 * MS, 200 * MS, "1#2#");
	check_said(ACTIVITY MESSAGE "1\n" ACTIVITY MESSAGE "2\n");
}

/*! \brief What is pressed while the agent is being connected is told when it is there */
TEST(digits_before_the_conversation)
{
	caller = script_begin(CONFIG);
	press_at(200 * MS, 200 * MS, "12#3#45");
	script_metadata_at(2000 * MS);
	script_hangup_at(5000 * MS);
	check_said(MESSAGE "12\n" MESSAGE "3\n" MESSAGE "45\n");
}

TEST(more_than_anybody_presses_is_sent_in_pieces)
{
	char digits[100];
	char piece[64];

	memset(digits, '7', sizeof(digits));
	digits[99] = '\0';
	snprintf(piece, sizeof(piece), "%.63s", digits);
	begin(CONFIG "dtmf_timeout_ms = 60000\n", 40000 * MS);
	press_at(200 * MS, 200 * MS, digits);
	script_run("sales");
	CHECK_HAS(fake_all_said(fake_session(0)), piece);
	CHECK_STR(host_variable(caller, "ELEVENLABSDTMF"), digits);
	script_end();
}

/* ---- What becomes of them ---- */

TEST(as_context)
{
	begin(CONFIG "dtmf = contextual_update\n", 1500 * MS);
	press_at(200 * MS, 200 * MS, "9#");
	check_said(ACTIVITY CONTEXT "The caller has pressed 9 on the telephone's keypad.\n");
}

TEST(for_the_dialplan)
{
	begin(CONFIG "dtmf = dialplan\n", 4000 * MS);
	press_at(200 * MS, 200 * MS, "12#A");
	script_run("sales");
	CHECK_STR(fake_all_said(fake_session(0)), "");
	CHECK_STR(host_variable(caller, "ELEVENLABSDTMF"), "12#A");
	script_end();
}

TEST(the_dialplan_gets_those_that_the_agent_gets)
{
	begin(CONFIG, 1500 * MS);
	press_at(200 * MS, 200 * MS, "12#");
	script_run("sales");
	CHECK_STR(host_variable(caller, "ELEVENLABSDTMF"), "12#");
	script_end();
}

TEST(another_call_begins_without_digits)
{
	begin(CONFIG, 1500 * MS);
	press_at(200 * MS, 200 * MS, "12#");
	script_run("sales");
	script_run("nobody");
	CHECK(!host_variable(caller, "ELEVENLABSDTMF"));
	script_end();
}

static void fail(void *data)
{
	fake_say_fails(fake_session(0), ENOBUFS);
}

static void work(void *data)
{
	fake_say_fails(fake_session(0), 0);
}

TEST(what_cannot_be_told_is_told_later)
{
	begin(CONFIG, 2000 * MS);
	host_at(100 * MS, fail, NULL);
	host_at(1200 * MS, work, NULL);
	press_at(200 * MS, 200 * MS, "12#");
	check_said(MESSAGE "12\n");
}

TEST(a_flash_is_no_digit)
{
	begin(CONFIG, 1500 * MS);
	press_at(200 * MS, 200 * MS, "f");
	script_run("sales");
	CHECK_STR(fake_all_said(fake_session(0)), "");
	CHECK_STR(host_variable(caller, "ELEVENLABSDTMF"), "");
	script_end();
}

TEST(keys_are_no_silence)
{
	begin(CONFIG "silence_timeout = 1\n", 3900 * MS);
	press_at(500 * MS, 800 * MS, "1234");
	script_run("sales");
	CHECK_STR(host_variable(caller, "ELEVENLABSSTATUS"), "HANGUP");
	script_end();
}

/*! S19: what is told as the caller's words is to be answered */
TEST(an_agent_that_was_told_digits_owes_an_answer)
{
	caller = script_begin(CONFIG "silence_timeout = 3\n");
	script_metadata_at(10 * MS);
	press_at(500 * MS, 200 * MS, "12#");
	script_say_at(9000 * MS, 160 * 50);
	script_run("sales");
	CHECK_STR(host_variable(caller, "ELEVENLABSSTATUS"), "TIMEOUT");
	CHECK(host_now() > 12900 * MS && host_now() < 13100 * MS);
	script_end();
}

/* ---- A second agent ---- */

/*! \brief Digits pressed while the first agent is tried. \return what the second one was told */
static const char *told_to_the_second(const char *first, const char *second)
{
	char config[256];

	snprintf(config, sizeof(config), "[general]\nauth = none\n"
		"[sales]\nagent_id = x\nfallback_agent = other\n%s\n[other]\nagent_id = y\n%s\n",
		first, second);
	caller = script_begin(config);
	press_at(100 * MS, 200 * MS, "12#");
	script_agent_ends_at(1000 * MS, CONVAI_STATUS_UNREACHABLE, "away", 0);
	script_metadata_at(1500 * MS);
	script_hangup_at(5000 * MS);
	script_run("sales");
	CHECK_STR(host_variable(caller, "ELEVENLABSDTMF"), "12#");
	return fake_all_said(fake_session(1));
}

TEST(a_second_agent_is_told_what_was_pressed_before)
{
	CHECK_STR(told_to_the_second("", ""), MESSAGE "12\n");
	script_end();
}

TEST(also_where_the_first_one_was_not_to_be_told)
{
	CHECK_STR(told_to_the_second("dtmf = dialplan", ""), MESSAGE "12\n");
	script_end();
}

TEST(a_second_agent_that_is_not_to_be_told_is_not)
{
	CHECK_STR(told_to_the_second("", "dtmf = dialplan"), "");
	script_end();
}

/* ---- Tones ---- */

/*! \brief Whether audio of the caller's, and not silence, was pushed between two times */
static int was_heard(int64_t from_us, int64_t to_us)
{
	size_t i;

	for (i = 0; i < fake_push_count(fake_session(0)); i++) {
		const struct fake_push *push = fake_push(fake_session(0), i);

		if (push->at_us >= from_us && push->at_us < to_us && push->bytes) {
			return 1;
		}
	}
	return 0;
}

TEST(the_agent_hears_no_tones)
{
	begin(CONFIG, 2000 * MS);
	host_channel_talk(caller, 20 * MS, 2000 * MS, 20 * MS, 20 * MS);
	press_at(500 * MS, 300 * MS, "5");
	script_run("sales");
	CHECK(was_heard(400 * MS, 490 * MS));
	CHECK(!was_heard(510 * MS, 650 * MS));
	CHECK(was_heard(670 * MS, 760 * MS));
	/* What it hears has no gap in it. */
	CHECK(fake_silence_ms(fake_session(0)) >= 140);
	script_end();
}

TEST(a_tone_without_an_end_is_not_for_ever)
{
	begin(CONFIG, 12000 * MS);
	host_channel_talk(caller, 20 * MS, 12000 * MS, 20 * MS, 20 * MS);
	host_at(500 * MS, down, "5");
	script_run("sales");
	CHECK(!was_heard(510 * MS, 10400 * MS));
	CHECK(was_heard(10600 * MS, 12000 * MS));
	script_end();
}

TEST(tones_before_the_conversation_are_not_kept_for_it)
{
	caller = script_begin(CONFIG);
	host_channel_talk(caller, 20 * MS, 1000 * MS, 20 * MS, 20 * MS);
	press_at(200 * MS, 200 * MS, "1");
	script_metadata_at(1000 * MS);
	script_hangup_at(1100 * MS);
	script_run("sales");
	/* 49 frames, less those of 100 ms and of what follows a tone. */
	CHECK(fake_pushed_bytes(fake_session(0)) >= 160 * 38);
	CHECK(fake_pushed_bytes(fake_session(0)) <= 160 * 43);
	script_end();
}
