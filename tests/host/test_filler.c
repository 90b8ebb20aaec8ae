/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What a caller hears while a tool takes its time
 */

#include "call_script.h"

#define CONF(more) "[sales]\nauth=none\nagent_id=a\n" more

static struct ast_channel *channel;

static void works_long(void *data)
{
	fake_work(fake_session(0), CONVAI_WORKING_LONG);
}

static void works(void *data)
{
	fake_work(fake_session(0), CONVAI_WORKING_YET);
}

static void rests(void *data)
{
	fake_work(fake_session(0), CONVAI_WORKING_NOT);
}

static void control(void *data)
{
	host_channel_control(channel, *(const int *) data);
}

static void begin(const char *config)
{
	channel = script_begin(config);
	script_metadata_at(10 * MS);
	host_channel_talk(channel, 0, 6000 * MS, 20 * MS, 20 * MS);
	script_say_at(500 * MS, 4000);	/* half a second */
	host_at(600 * MS, works_long, NULL);
	script_hangup_at(6000 * MS);
}

/*! \brief Frames that were written in this time, in ms */
static unsigned int written(int64_t from_ms, int64_t to_ms)
{
	unsigned int count = 0;
	size_t i;

	for (i = 0; i < host_written_count(channel); i++) {
		int64_t at_us = host_written(channel, i)->at_us;

		count += at_us >= from_ms * MS && at_us < to_ms * MS;
	}
	return count;
}

/*! It begins half a second behind the agent's last word, and ends when the tool does */
TEST(music)
{
	begin(CONF("filler=music\n"));
	host_at(3000 * MS, rests, NULL);
	script_run("sales");
	CHECK_STR(host_channel_told(channel), "music-default silence ");
	CHECK(written(1100, 1480) >= 18);
	CHECK_INT(written(1560, 3000), 0);
	CHECK(written(3020, 3520) >= 24);
	script_end();
}

TEST(a_tone_ends_when_the_agent_speaks)
{
	begin(CONF("filler=tone\n"));
	script_say_at(3000 * MS, 1600);
	script_run("sales");
	/* And begins anew, until the caller hangs up. */
	CHECK_STR(host_channel_told(channel), "tone silence tone silence ");
	CHECK_INT(written(1560, 3000), 0);
	CHECK(written(3000, 3200) >= 10);
	CHECK_INT(written(3800, 6000), 0);
	script_end();
}

/*! The pieces of what an agent says come with gaps */
TEST(not_in_a_short_pause)
{
	int i;

	channel = script_begin(CONF("filler=tone\n"));
	script_metadata_at(10 * MS);
	host_channel_talk(channel, 0, 4000 * MS, 20 * MS, 20 * MS);
	host_at(100 * MS, works_long, NULL);
	for (i = 0; i < 10; i++) {
		script_say_at((200 + 400 * i) * MS, 800);
	}
	script_hangup_at(4000 * MS);
	script_run("sales");
	CHECK_STR(host_channel_told(channel), "");
	script_end();
}

TEST(nothing)
{
	begin(CONF(""));
	script_run("sales");
	CHECK_STR(host_channel_told(channel), "");
	CHECK(written(1500, 5900) >= 218);
	script_end();
}

TEST(not_before_it_is_time)
{
	begin(CONF("filler=music\n"));
	host_at(650 * MS, works, NULL);
	script_run("sales");
	CHECK_STR(host_channel_told(channel), "");
	script_end();
}

/*! A caller who holds hears music of their own */
TEST(hold)
{
	static const int hold = AST_CONTROL_HOLD, unhold = AST_CONTROL_UNHOLD;

	begin(CONF("filler=music\n"));
	host_at(2005 * MS, control, (void *) &hold);
	host_at(4005 * MS, control, (void *) &unhold);
	script_run("sales");
	CHECK_STR(host_channel_told(channel), "music-default silence music-default silence ");
	script_end();
}

static void quick(struct ast_channel *chan, void *data)
{
	*(int *) data = !strcmp(host_channel_told(chan), "tone silence ");
}

static void offer(void *tool)
{
	fake_step(fake_session(0), tool, NULL, 0);
}

/*! The dialplan gets a channel on which nothing plays */
TEST(a_step)
{
	int ended = 0;

	begin(CONF("filler=tone\n"));
	host_extension("elevenlabs-steps", "pay", quick, &ended);
	host_at(2000 * MS, offer, "pay");
	script_run("sales");
	CHECK_INT(ended, 1);
	script_end();
}

/*! What cannot be played is silence, and is not tried at each wake */
TEST(no_music)
{
	begin(CONF("filler=music\n"));
	host_fail_call("ast_moh_start", 1);
	script_run("sales");
	CHECK_STR(host_channel_told(channel), "failed ");
	CHECK(written(1500, 5900) >= 218);
	script_end();
}

/*! The end of the conversation is heard */
TEST(an_end)
{
	channel = script_begin(CONF("filler=music\n"));
	script_metadata_at(10 * MS);
	host_at(600 * MS, works_long, NULL);
	host_at(2000 * MS, rests, NULL);
	script_agent_ends_at(2500 * MS, CONVAI_STATUS_AGENT_ENDED, "done", CONVAI_PLAY_OUT_ALL);
	script_run("sales");
	CHECK_STR(host_channel_told(channel), "music-default silence ");
	script_end();
}

/*! Who waits for a tool, as the agent does, need not speak */
TEST(silence_timeout_stands_still)
{
	channel = script_begin(CONF("silence_timeout=2\n"));
	script_metadata_at(10 * MS);
	host_at(1000 * MS, works, NULL);
	host_at(5000 * MS, rests, NULL);
	script_run("sales");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "TIMEOUT");
	CHECK(host_now() >= 6900 * MS && host_now() < 7100 * MS);
	script_end();
}
