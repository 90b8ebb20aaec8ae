/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The function ELEVENLABS, from the dialplan, from another channel's and from AMI
 */

#include "call_script.h"

#include "asterisk/pbx.h"

static struct ast_channel *channel;

static const char *read_item(const char *function)
{
	const char *text = host_function(channel, function);

	return text ? text : "(failed)";
}

static void look(void *data)
{
	CHECK_STR(read_item("ELEVENLABS(agent)"), "sales");
	CHECK_STR(read_item("ELEVENLABS(conversation_id)"), "conv_fake");
	CHECK_STR(read_item("ELEVENLABS(state)"), "talking");
	CHECK_STR(read_item("ELEVENLABS(duration)"), "3");
	CHECK_STR(read_item("ELEVENLABS(queued)"), "1");
	CHECK_STR(read_item("ELEVENLABS(latency)"), "");
	fake_answers(fake_session(0), 3, 812, 1430);
	CHECK_STR(read_item("ELEVENLABS(latency)"), "812,1430");
	CHECK_STR(host_function(NULL, "ELEVENLABS(agent,PJSIP/caller-00000001)"), "sales");
	CHECK_STR(host_function(NULL, "ELEVENLABS(agent)"), "");
	CHECK_STR(read_item("ELEVENLABS(agent,PJSIP/nobody)"), "");
}

TEST(what_can_be_read)
{
	channel = script_begin(NULL);
	script_queue_at(1000 * MS);
	script_metadata_at(2000 * MS);
	host_at(3500 * MS, look, NULL);
	script_hangup_at(4000 * MS);
	script_run("sales");
	CHECK_STR(read_item("ELEVENLABS(state)"), "");
	CHECK_STR(read_item("ELEVENLABS(other)"), "(failed)");
	CHECK_STR(read_item("ELEVENLABS(end)"), "(failed)");
	CHECK_STR(read_item("ELEVENLABS()"), "(failed)");
	CHECK_HAS(host_log(), "ELEVENLABS(other) cannot be read: there are agent,");
	script_end();
}

static char long_text[CONVAI_WORDS_BYTES];

static void look_at_words(void *data)
{
	struct convai_session *session = fake_session(0);

	CHECK_STR(read_item("ELEVENLABS(transcript)"), "");
	fake_words(session, CONVAI_WORDS_TRANSCRIPT, "agent: Hello. / caller: a,b\r\nEvent: x\x1b[2J${SHELL(id)}");
	CHECK_STR(read_item("ELEVENLABS(transcript)"), "agent: Hello. / caller: a b Event: x 2J SHELL id");
	fake_words(session, CONVAI_WORDS_SUMMARY, "-wants \"two\"; `rm`");
	CHECK_STR(read_item("ELEVENLABS(summary)"), "wants two rm");
	fake_words(session, CONVAI_WORDS_HEARD, "Gr\xc3\xbc\xc3\x9f Gott");
	CHECK_STR(host_function(NULL, "ELEVENLABS(heard,PJSIP/caller-00000001)"), "Gr\xc3\xbc\xc3\x9f Gott");
	memset(long_text, 'x', sizeof(long_text) - 1);
	fake_words(session, CONVAI_WORDS_TRANSCRIPT, long_text);
	CHECK_INT(strlen(read_item("ELEVENLABS(transcript)")), 4095);
	CHECK_STR(host_function_long(channel, "ELEVENLABS(transcript)"), long_text);
}

/*! K: words of others are data, as long as there is room for them */
TEST(what_was_said)
{
	channel = script_begin(SCRIPT_CONFIG);
	script_metadata_at(10 * MS);
	host_at(1000 * MS, look_at_words, NULL);
	script_hangup_at(2000 * MS);
	script_run("sales");
	CHECK_STR(read_item("ELEVENLABS(transcript)"), "");
	script_end();
}

static void answer_twice(void *data)
{
	fake_answers(fake_session(0), 2, 700, 900);
}

TEST(how_soon_the_agent_has_answered)
{
	channel = script_begin(NULL);
	script_metadata_at(10 * MS);
	host_at(1000 * MS, answer_twice, NULL);
	script_hangup_at(2000 * MS);
	script_run("sales");
	CHECK_STR(host_variable(channel, "ELEVENLABSLATENCY"), "700,900");
	script_run("nobody");
	CHECK(!host_variable(channel, "ELEVENLABSLATENCY"));
	script_end();
}

static void tell(void *data)
{
	CHECK_INT(host_function_set(channel, "ELEVENLABS(context)", "It rings.", 1), 0);
	CHECK_INT(host_function_set(channel, "ELEVENLABS(message)", "Hello?", 1), 0);
	CHECK_INT(host_function_set(channel, "ELEVENLABS(agent)", "x", 1), -1);
	CHECK_INT(host_function_set(channel, "ELEVENLABS(end)", "HANGUP", 1), -1);
	CHECK_INT(host_function_set(channel, "ELEVENLABS(end,PJSIP/nobody)", "TRANSFER", 1), -1);
	/* A program without that right. */
	CHECK_INT(host_function_set(channel, "ELEVENLABS(context)", "x", 0), -1);
}

TEST(what_can_be_written)
{
	channel = script_begin(NULL);
	script_metadata_at(10 * MS);
	host_at(1000 * MS, tell, NULL);
	script_hangup_at(2000 * MS);
	script_run("sales");
	CHECK_STR(fake_all_said(fake_session(0)), "1:It rings.\n0:Hello?\n");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "HANGUP");
	CHECK_INT(host_function_set(channel, "ELEVENLABS(context)", "x", 1), -1);
	CHECK_HAS(host_log(), "there is no conversation on this channel");
	script_end();
}

static void end(void *data)
{
	CHECK_INT(host_function_set(NULL, "ELEVENLABS(end,PJSIP/caller-00000001)", "TRANSFER", 1), 0);
	CHECK(fake_hung_up(fake_session(0)));
	fake_end(fake_session(0), CONVAI_STATUS_HANGUP, "the caller hung up", 0);
}

/*! From another channel's dialplan, and without a step */
TEST(another_ends_the_conversation)
{
	channel = script_begin(NULL);
	script_metadata_at(10 * MS);
	host_at(1000 * MS, end, NULL);
	CHECK_INT(script_run("sales"), 0);
	CHECK(host_now() < 1100 * MS);
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "TRANSFER");
	script_end();
}

static void end_early(struct convai_session *session)
{
	CHECK_INT(host_function_set(NULL, "ELEVENLABS(end,PJSIP/caller-00000001)", "TRANSFER", 1), 0);
}

static void has_hung_up(void *data)
{
	CHECK(fake_hung_up(fake_session(0)));
	fake_end(fake_session(0), CONVAI_STATUS_HANGUP, "the caller hung up", 0);
}

/*! While the engine opens the session: it is ended as soon as there is one */
TEST(another_ends_it_before_it_has_begun)
{
	channel = script_begin(NULL);
	fake.opened = end_early;
	host_at(100 * MS, has_hung_up, NULL);
	CHECK_INT(script_run("sales"), 0);
	CHECK(host_now() < 200 * MS);
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "TRANSFER");
	script_end();
}

static void look_twice(void *data)
{
	/* As AMI does, which has `channelvars` told with each event of a channel. */
	ast_channel_lock(channel);
	CHECK_STR(read_item("ELEVENLABS(state)"), "talking");
	CHECK_STR(read_item("ELEVENLABS(conversation_id)"), "conv_fake");
	ast_channel_unlock(channel);
	CHECK_INT(host_unload(1), -1);
}

/*! The channel's lock comes first, with which Asterisk may ask us, and a forced unload takes it so */
TEST(whoever_asks_has_the_channel_locked)
{
	channel = script_begin(NULL);
	script_metadata_at(10 * MS);
	host_at(1000 * MS, look_twice, NULL);
	script_run("sales");
	script_end();
}

TEST(a_function_that_cannot_be_registered)
{
	host_write_config("elevenlabs.conf", SCRIPT_CONFIG);
	host_fail_call("__ast_custom_function_register_escalating", 1);
	CHECK(host_load());
	CHECK_INT(host_registrations(), 0);
}
