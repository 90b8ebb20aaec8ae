/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Who holds, and who the caller is: hold, an agent after another, another device
 */

#include "call_script.h"

#include "asterisk/pbx.h"

#define WITH_FALLBACK "[general]\nauth=none\n" \
	"[sales]\nagent_id=a\nfallback_agent=other\n[other]\nagent_id=b\n"

static struct ast_channel *channel;

static void hold(void *data)
{
	host_channel_control(channel, AST_CONTROL_HOLD);
}

static void unhold(void *data)
{
	host_channel_control(channel, AST_CONTROL_UNHOLD);
}

static void transfer(void *data)
{
	host_channel_masquerade(channel, "PJSIP/customer-00000002", data, "+431234");
}

static void press(void *data)
{
	host_channel_dtmf(channel, AST_FRAME_DTMF_END, *(const char *) data);
}

static void key_down(void *data)
{
	host_channel_dtmf(channel, AST_FRAME_DTMF_BEGIN, *(const char *) data);
}

/*! \brief Frames of the caller's own that were pushed from a time on */
static unsigned int heard_from(unsigned int session, int64_t from_us)
{
	unsigned int frames = 0;
	size_t i;

	for (i = 0; i < fake_push_count(fake_session(session)); i++) {
		const struct fake_push *push = fake_push(fake_session(session), i);

		frames += push->bytes && push->at_us >= from_us;
	}
	return frames;
}

/* ---- Hold ---- */

/*! L11 */
TEST(the_engine_is_told_of_hold)
{
	channel = script_begin(NULL);
	script_metadata_at(10 * MS);
	host_channel_talk(channel, 0, 3000 * MS, 20 * MS, 20 * MS);
	host_at(1005 * MS, hold, NULL);
	host_at(1205 * MS, hold, NULL);
	host_at(2005 * MS, unhold, NULL);
	host_at(2205 * MS, unhold, NULL);
	script_hangup_at(3000 * MS);
	script_run("sales");
	CHECK_STR(fake_holds(fake_session(0)), "hold@1005 back@2005");
	/* Music is not heard, and there is silence of its length. */
	CHECK_INT(heard_from(0, 1005 * MS), 49);
	CHECK(fake_silence_ms(fake_session(0)) >= 940 && fake_silence_ms(fake_session(0)) <= 1040);
	script_end();
}

/*! L11 */
TEST(the_timers_stand_still_while_the_caller_holds)
{
	channel = script_begin("[sales]\nauth=none\nagent_id=a\nagent_timeout=3\nsilence_timeout=5\n");
	script_metadata_at(1);
	host_at(1000 * MS, hold, NULL);
	host_at(11000 * MS, unhold, NULL);
	script_run("sales");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "TIMEOUT");
	CHECK_HAS(host_variable(channel, "ELEVENLABSREASON"), "agent_timeout (3 s)");
	CHECK(host_now() >= 12960 * MS && host_now() <= 13060 * MS);
	script_end();
}

/*! L9 */
TEST(hold_outlives_an_agent)
{
	channel = script_begin(WITH_FALLBACK);
	host_channel_talk(channel, 0, 4000 * MS, 20 * MS, 20 * MS);
	host_at(105 * MS, hold, NULL);
	script_agent_ends_at(500 * MS, CONVAI_STATUS_UNREACHABLE, "away", 0);
	script_metadata_at(1000 * MS);
	host_at(3005 * MS, unhold, NULL);
	script_hangup_at(4000 * MS);
	script_run("sales");
	CHECK_STR(fake_holds(fake_session(0)), "hold@105");
	CHECK_STR(fake_holds(fake_session(1)), "hold@500 back@3005");
	/* The first words, and what was said when the caller was back. */
	CHECK_INT(heard_from(1, 0), 6 + 49);
	CHECK_INT(heard_from(1, 1001 * MS), 49);
	script_end();
}

/* ---- Another device ---- */

/*! L8 */
TEST(hold_ends_with_the_device_that_held)
{
	channel = script_begin(NULL);
	script_metadata_at(10 * MS);
	host_channel_talk(channel, 0, 3000 * MS, 20 * MS, 20 * MS);
	host_at(1005 * MS, hold, NULL);
	host_at(2005 * MS, transfer, ast_format_ulaw);
	script_hangup_at(3000 * MS);
	script_run("sales");
	CHECK_HAS(fake_holds(fake_session(0)), "hold@1005 back@20");
	CHECK_INT(heard_from(0, 2005 * MS), 49);
	CHECK_STR(fake_all_said(fake_session(0)),
		"1:The call has been moved to another telephone, whose number is +431234.\n");
	script_end();
}

static void hold_and_transfer(void *data)
{
	hold(NULL);
	press("5");
	transfer(data);
}

/*! L8: on a busy machine the hold still waits to be read when the other device is there */
TEST(a_hold_that_was_not_read_yet_ends_with_its_device)
{
	channel = script_begin(NULL);
	script_metadata_at(10 * MS);
	host_channel_talk(channel, 0, 3000 * MS, 20 * MS, 20 * MS);
	host_at(2005 * MS, hold_and_transfer, ast_format_ulaw);
	script_hangup_at(3000 * MS);
	script_run("sales");
	CHECK_STR(fake_holds(fake_session(0)), "hold@2005 back@2005");
	CHECK_INT(heard_from(0, 2005 * MS), 49);
	script_end();
}

static void transfer_and_hold(void *data)
{
	transfer(data);
	hold(NULL);
}

/*! L8: and one that comes after the other device is that one's */
TEST(a_hold_at_once_is_the_other_devices)
{
	channel = script_begin(NULL);
	script_metadata_at(10 * MS);
	host_channel_talk(channel, 0, 3000 * MS, 20 * MS, 20 * MS);
	host_at(1005 * MS, hold, NULL);
	host_at(2005 * MS, transfer_and_hold, ast_format_ulaw);
	script_hangup_at(3000 * MS);
	script_run("sales");
	CHECK_STR(fake_holds(fake_session(0)), "hold@1005 back@2005 hold@2005");
	CHECK_INT(heard_from(0, 1005 * MS), 0);
	script_end();
}

/*! L8 */
TEST(a_withheld_number_of_the_other_device_is_not_told)
{
	channel = script_begin("[sales]\nauth=none\nagent_id=a\nsend_caller_number=no\n");
	script_metadata_at(10 * MS);
	host_at(2005 * MS, transfer, ast_format_ulaw);
	script_hangup_at(3000 * MS);
	script_run("sales");
	CHECK_STR(fake_all_said(fake_session(0)),
		"1:The call has been moved to another telephone.\n");
	script_end();
}

/*! L8 */
TEST(digits_under_way_go_with_the_device)
{
	channel = script_begin(NULL);
	script_metadata_at(10 * MS);
	host_channel_talk(channel, 0, 6000 * MS, 20 * MS, 20 * MS);
	host_at(1000 * MS, press, "4");
	host_at(1905 * MS, key_down, "7");
	host_at(2005 * MS, transfer, ast_format_ulaw);
	host_at(3000 * MS, press, "5");
	script_hangup_at(6000 * MS);
	script_run("sales");
	CHECK_STR(fake_all_said(fake_session(0)), "2:\n"
		"1:The call has been moved to another telephone, whose number is +431234.\n"
		"2:\n0:5\n");
	CHECK_STR(host_variable(channel, "ELEVENLABSDTMF"), "45");
	/* A key that is down mutes for seconds: not the other device. */
	CHECK(heard_from(0, 2005 * MS) > 180);
	script_end();
}

/*! L8 */
TEST(first_words_go_with_the_device)
{
	channel = script_begin(WITH_FALLBACK);
	host_channel_talk(channel, 0, 3000 * MS, 20 * MS, 20 * MS);
	host_at(105 * MS, hold, NULL);
	script_agent_ends_at(500 * MS, CONVAI_STATUS_UNREACHABLE, "away", 0);
	host_at(1005 * MS, transfer, ast_format_ulaw);
	script_metadata_at(1500 * MS);
	script_hangup_at(2000 * MS);
	script_run("sales");
	/* It was asked for with the number of the device before. */
	CHECK_STR(fake_all_said(fake_session(1)),
		"1:The call has been moved to another telephone, whose number is +431234.\n");
	/* From 1005 to 2000 ms, and nothing of the device before. */
	CHECK_INT(heard_from(1, 0), 49);
	script_end();
}

/*! L8: one that was being connected, or queued for: once, of the device that is there then */
TEST(an_agent_that_comes_later_is_told_of_the_device)
{
	static const char told[] =
		"1:The call has been moved to another telephone, whose number is +431234.\n";
	int queued;

	for (queued = 0; queued <= 1; queued++) {
		int64_t now;

		channel = script_begin(NULL);
		now = host_now();
		if (queued) {
			script_queue_at(now + 100 * MS);
		}
		host_at(now + 505 * MS, transfer, ast_format_ulaw);
		host_at(now + 705 * MS, transfer, ast_format_ulaw);
		script_metadata_at(now + 1500 * MS);
		script_hangup_at(now + 2000 * MS);
		script_run("sales");
		CHECK_STR(fake_all_said(fake_session(0)), told);
		script_end();
	}
}

/*! L8: the formats that are given back are those of the device that is there in the end */
TEST(the_formats_of_the_other_device)
{
	channel = script_begin(NULL);
	script_formats_at(10 * MS, CONVAI_ENCODING_SLIN, 16000);
	host_channel_talk(channel, 0, 2000 * MS, 20 * MS, 20 * MS);
	host_at(1005 * MS, transfer, ast_format_alaw);
	script_hangup_at(2000 * MS);
	script_run("sales");
	CHECK_INT(heard_from(0, 0), 100);
	CHECK(ast_channel_readformat(channel) == ast_format_alaw);
	CHECK(ast_channel_writeformat(channel) == ast_format_alaw);
	script_end();
}

TEST(no_memory_to_watch_the_device)
{
	channel = script_begin(NULL);
	script_metadata_at(10 * MS);
	host_fail_allocation(1);
	script_hangup_at(1000 * MS);
	script_run("sales");
	CHECK(host_allocation_failed());
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "HANGUP");
	script_end();
}
