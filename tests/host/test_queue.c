/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */


/*!
 * \file
 * \brief The queue of the service: what the caller hears meanwhile, what waits, and how it ends
 */

#include "call_script.h"

#include "asterisk/channel.h"

#define CONFIG "[general]\nauth = none\n[sales]\nagent_id = a\nfallback_agent = spare\n" \
	"[spare]\nagent_id = b\n"
#define CHANNEL "PJSIP/caller-00000001"

/*! \brief Frames written between two times that hold something; all of them have the same length */
static size_t loud_frames(struct ast_channel *channel, int64_t from_us, int64_t until_us)
{
	size_t count = 0;
	size_t i;

	for (i = 0; i < host_written_count(channel); i++) {
		const struct host_written *frame = host_written(channel, i);

		count += frame->at_us >= from_us && frame->at_us < until_us && frame->audio[0] != 0xff;
	}
	return count;
}

static size_t frames(struct ast_channel *channel, int64_t from_us, int64_t until_us)
{
	size_t count = 0;
	size_t i;

	for (i = 0; i < host_written_count(channel); i++) {
		int64_t at_us = host_written(channel, i)->at_us;

		count += at_us >= from_us && at_us < until_us;
	}
	return count;
}

TEST(hold_audio_is_heard_and_what_is_left_is_dropped)
{
	struct ast_channel *channel = script_begin(NULL);

	script_queue_at(100 * MS);
	script_say_at(120 * MS, 160 * 200);
	script_metadata_at(2100 * MS);
	script_say_at(3000 * MS, 160 * 10);
	script_hangup_at(4000 * MS);
	script_run("sales");
	/* From 200 ms after it has come until an agent is there. */
	CHECK_INT(loud_frames(channel, 0, 300 * MS), 0);
	CHECK(loud_frames(channel, 0, 2100 * MS) >= 87 && loud_frames(channel, 0, 2100 * MS) <= 90);
	CHECK_INT(loud_frames(channel, 2120 * MS, 3000 * MS), 0);
	CHECK_INT(loud_frames(channel, 3000 * MS, 4000 * MS), 10);
	script_end();
}

TEST(the_service_gets_silence_and_the_agent_the_last_words)
{
	struct ast_channel *channel = script_begin(NULL);
	const struct convai_session *session;

	script_queue_at(100 * MS);
	host_channel_talk(channel, 0, 6000 * MS, 20 * MS, 20 * MS);
	script_metadata_at(5010 * MS);
	script_hangup_at(6000 * MS);
	script_run("sales");
	session = fake_session(0);
	CHECK(fake_queue_silence_ms(session) > 4800 && fake_queue_silence_ms(session) < 5000);
	/* Two seconds were kept, and one, less the frame of this moment, was said afterwards. */
	CHECK_INT(fake_push_count(session), 149);
	CHECK(fake_push(session, 0)->at_us >= 5010 * MS);
	script_end();
}

TEST(what_is_heard_while_queued)
{
	static const struct {
		const char *arguments;
		const char *told;
		int hears;	/*!< hold audio */
		int state;	/*!< before an agent is there */
	} cases[] = {
		{ "sales", "silence ", 1, AST_STATE_UP },
		{ "sales,r", "indicate-3 stop ", 0, AST_STATE_UP },
		{ "sales,m", "music-default silence ", 0, AST_STATE_UP },
		{ "sales,c", "indicate-3 indicate-14 ", 1, AST_STATE_RING },
		{ "sales,cr", "indicate-3 stop ", 0, AST_STATE_RING },
		{ "sales,cm(soft)", "indicate-14 music-soft silence ", 0, AST_STATE_RING },
		{ "sales,n", "indicate-14 ", 1, AST_STATE_RING },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ast_channel *channel = script_begin(NULL);
		int64_t now = host_now();

		script_queue_at(now + 100 * MS);
		script_say_at(now + 200 * MS, 160 * 50);
		script_hangup_at(now + 1100 * MS);
		script_run(cases[i].arguments);
		CHECK_INT(loud_frames(channel, now, now + 1100 * MS) > 30, cases[i].hears);
		CHECK_INT(ast_channel_state(channel), cases[i].state);
		if (i) {
			CHECK_STR(host_channel_told(channel), cases[i].told);
		}
		CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "HANGUP");
		CHECK_STR(host_variable(channel, "ELEVENLABSQUEUED"), "1");
		script_end();
	}
}

TEST(ringing_goes_on_where_the_service_plays_nothing)
{
	struct ast_channel *channel = script_begin(NULL);

	script_queue_at(100 * MS);
	script_metadata_at(1000 * MS);
	script_hangup_at(2000 * MS);
	script_run("sales,c");
	CHECK_INT(frames(channel, 0, 1000 * MS), 0);
	CHECK_STR(host_channel_told(channel), "indicate-3 ");
	CHECK_INT(ast_channel_state(channel), AST_STATE_UP);
	script_end();
}

TEST(no_silence_is_written_against_the_key)
{
	struct ast_channel *channel = script_begin("[general]\nauth = none\nsilence = no\n"
			"[sales]\nagent_id = a\n");

	script_queue_at(100 * MS);
	script_say_at(1000 * MS, 160 * 10);
	script_hangup_at(3000 * MS);
	script_run("sales");
	CHECK_INT(frames(channel, 0, 1000 * MS), 0);
	CHECK_INT(loud_frames(channel, 1000 * MS, 3000 * MS), 10);
	CHECK(frames(channel, 1500 * MS, 3000 * MS) == 0);
	script_end();
}

TEST(no_timer_but_the_queues_own_runs)
{
	struct ast_channel *channel = script_begin("[general]\nauth = none\n[sales]\nagent_id = a\n"
			"connect_timeout = 1\nsilence_timeout = 3\nagent_timeout = 2\n");

	script_queue_at(100 * MS);
	script_say_at(200 * MS, 160 * 50);
	script_metadata_at(60000 * MS);
	script_run("sales");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "TIMEOUT");
	CHECK_HAS(host_variable(channel, "ELEVENLABSREASON"), "agent_timeout (2 s)");
	CHECK(host_now() > 61900 * MS && host_now() < 62100 * MS);
	CHECK_STR(host_variable(channel, "ELEVENLABSQUEUED"), "60");
	script_end();
}

static void refuse(void *data)
{
	(void) data;
	fake_refuse(fake_session(0), 1);
}

TEST(an_engine_that_takes_no_silence_has_hung)
{
	struct ast_channel *channel = script_begin(NULL);

	script_queue_at(100 * MS);
	host_at(1000 * MS, refuse, NULL);
	script_run("sales");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "ERROR");
	CHECK_STR(host_variable(channel, "ELEVENLABSREASON"), "the engine is not taking audio");
	CHECK(host_now() > 5900 * MS && host_now() < 6100 * MS);
	script_end();
}

TEST(the_greeting_is_protected_from_its_own_beginning)
{
	struct ast_channel *channel = script_begin(NULL);
	size_t i;
	size_t silent = 0;

	script_queue_at(100 * MS);
	script_say_at(200 * MS, 160 * 1000);
	host_channel_talk(channel, 0, 34000 * MS, 20 * MS, 20 * MS);
	script_metadata_at(30010 * MS);
	script_say_at(30020 * MS, 160 * 50);
	script_hangup_at(34000 * MS);
	script_run("sales,g");
	for (i = 0; i < fake_push_count(fake_session(0)); i++) {
		const struct fake_push *push = fake_push(fake_session(0), i);

		silent += push->silence_ms != 0;
		CHECK(push->silence_ms ? push->at_us < 32000 * MS : push->at_us > 31000 * MS);
	}
	CHECK(silent > 100);
	script_end();
}

/* ---- Digits, messages, commands ---- */

static void press(void *data)
{
	host_channel_dtmf(data, AST_FRAME_DTMF_BEGIN, '5');
	host_channel_dtmf(data, AST_FRAME_DTMF_END, '5');
}

TEST(digits_wait_for_an_agent)
{
	struct ast_channel *channel = script_begin(NULL);

	script_queue_at(100 * MS);
	host_at(1000 * MS, press, channel);
	script_metadata_at(9000 * MS);
	script_hangup_at(10000 * MS);
	script_run("sales");
	CHECK_STR(fake_all_said(fake_session(0)), "0:5\n");
	CHECK_STR(host_variable(channel, "ELEVENLABSDTMF"), "5");
	script_end();
}

TEST(digits_are_kept_for_another_agent)
{
	struct ast_channel *channel = script_begin(CONFIG);

	script_queue_at(100 * MS);
	host_at(1000 * MS, press, channel);
	script_leave_queue_at(5000 * MS, CONVAI_QUEUE_TIMED_OUT);
	script_metadata_at(6000 * MS);
	script_hangup_at(7000 * MS);
	script_run("sales");
	CHECK_STR(fake_all_said(fake_session(0)), "");
	CHECK_STR(fake_all_said(fake_session(1)), "0:5\n");
	script_end();
}

struct seen {
	char sessions[2048];
	char session[4096];
	char sent[256];
};

static void look(void *data)
{
	struct seen *seen = data;

	snprintf(seen->sessions, sizeof(seen->sessions), "%s", host_cli("elevenlabs show sessions"));
	snprintf(seen->session, sizeof(seen->session), "%s", host_cli("elevenlabs show session " CHANNEL));
	snprintf(seen->sent, sizeof(seen->sent), "%s",
		host_cli("elevenlabs send context " CHANNEL " gold customer"));
}

TEST(commands_tell_of_it)
{
	struct ast_channel *channel = script_begin(NULL);
	static struct seen during;
	static struct seen after;

	script_queue_at(1000 * MS);
	script_say_at(1100 * MS, 160 * 50);
	host_channel_talk(channel, 1000 * MS, 20000 * MS, 20 * MS, 20 * MS);
	host_at(13000 * MS, look, &during);
	script_metadata_at(16010 * MS);
	host_at(16500 * MS, look, &after);
	script_hangup_at(20000 * MS);
	script_run("sales");
	CHECK_HAS(during.sessions, " queued ");
	CHECK_HAS(during.sessions, "12.0 s\n");
	CHECK_HAS(during.session, "State:            queued, for 0:00:13 in all\n");
	CHECK_HAS(during.session, "Queued:           12.0 s by the service\n");
	CHECK_HAS(during.session, "of which 0.00 s silence");
	CHECK_HAS(during.session, "0.00 s of the first words");
	CHECK_HAS(during.session, "Frames read:      0 voice");
	CHECK_STR(during.sent, "Queued: the agent gets it once it is there: context\n");
	CHECK_HAS(after.sessions, " talking ");
	CHECK_HAS(after.session, "Queued:           15.0 s by the service\n");
	CHECK_STR(after.sent, "Sent to the agent: context\n");
	script_end();
}

/* ---- How it ends ---- */

#define CHANNEL_FIELDS "CallerIDName: J?ger\nUniqueid: 1700000000.1\n" \
	"ChanVariable: a=1\r\nChanVariable: b=C?\n"
#define QUEUE(agent, status, waited, time) "Event: ElevenLabsQueue\n" CHANNEL_FIELDS "Agent: " agent \
	"\nConversationId: conv_fake\nTime: 1970-01-01T00:" time "Z\nStatus: " status "\nWaited: " waited "\n\n"

TEST(events_of_a_caller_who_is_admitted)
{
	struct ast_channel *channel = script_begin(NULL);

	script_queue_at(100 * MS);
	script_metadata_at(12600 * MS);
	script_hangup_at(13000 * MS);
	script_run("sales");
	CHECK_HAS(host_events(), QUEUE("sales", "waiting", "0", "16:40.100")
		QUEUE("sales", "admitted", "13", "16:52.600")
		"Event: ElevenLabsStart\n");
	CHECK_STR(host_variable(channel, "ELEVENLABSQUEUED"), "13");
	script_end();
}

static void check_over(uint32_t how, const char *event)
{
	struct ast_channel *channel = script_begin(NULL);

	script_queue_at(100 * MS);
	script_leave_queue_at(20100 * MS, how);
	script_run("sales");
	CHECK_HAS(host_events(), event);
	CHECK(!strstr(host_events(), "ElevenLabsStart"));
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "LIMIT");
	CHECK_STR(host_variable(channel, "ELEVENLABSREASON"), "no agent is free");
	CHECK_STR(host_variable(channel, "ELEVENLABSQUEUED"), "20");
	script_end();
}

TEST(no_agent_in_time)
{
	check_over(CONVAI_QUEUE_TIMED_OUT,
		QUEUE("sales", "waiting", "0", "16:40.100") QUEUE("sales", "timed_out", "20", "17:00.100"));
}

TEST(callers_are_not_to_wait)
{
	struct ast_channel *channel = script_begin(NULL);

	script_leave_queue_at(100 * MS, CONVAI_QUEUE_REFUSED);
	script_run("sales,c");
	CHECK_HAS(host_events(), "Status: refused\nWaited: 0\n");
	CHECK(!strstr(host_events(), "waiting"));
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "LIMIT");
	CHECK_STR(host_variable(channel, "ELEVENLABSQUEUED"), "0");
	CHECK_INT(ast_channel_state(channel), AST_STATE_RING);
	script_end();
}

TEST(another_agent_where_none_was_free)
{
	struct ast_channel *channel = script_begin(CONFIG);

	script_queue_at(100 * MS);
	script_say_at(200 * MS, 160 * 1000);
	host_channel_talk(channel, 0, 9000 * MS, 20 * MS, 20 * MS);
	script_leave_queue_at(5100 * MS, CONVAI_QUEUE_TIMED_OUT);
	script_queue_at(6000 * MS);
	script_metadata_at(8010 * MS);
	script_hangup_at(9000 * MS);
	script_run("sales");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "HANGUP");
	CHECK_STR(host_variable(channel, "ELEVENLABSREASON"), "the caller hung up (agent spare, in place of "
		"sales, LIMIT: no agent is free)");
	CHECK_STR(host_variable(channel, "ELEVENLABSQUEUED"), "7");
	CHECK_HAS(host_events(), QUEUE("spare", "admitted", "2", "16:48.010"));
	/* Two seconds of first words, and what followed. */
	CHECK_INT(fake_push_count(fake_session(1)), 149);
	script_end();
}

TEST(no_other_agent_once_one_was_there)
{
	struct ast_channel *channel = script_begin(CONFIG);

	script_queue_at(100 * MS);
	script_metadata_at(1000 * MS);
	script_agent_ends_at(2000 * MS, CONVAI_STATUS_LIMIT, "quota", 0);
	script_run("sales");
	CHECK_STR(host_variable(channel, "ELEVENLABSREASON"), "quota");
	CHECK_INT(fake.opens, 1);
	script_end();
}

TEST(a_caller_who_leaves_the_queue)
{
	struct ast_channel *channel = script_begin(CONFIG);

	script_queue_at(100 * MS);
	script_hangup_at(3100 * MS);
	script_run("sales");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "HANGUP");
	CHECK_STR(host_variable(channel, "ELEVENLABSQUEUED"), "3");
	CHECK_INT(fake.opens, 1);
	CHECK(fake_hung_up(fake_session(0)));
	script_end();
}

TEST(a_word_that_the_network_held_up)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(100 * MS);
	script_queue_at(400 * MS);
	script_say_at(500 * MS, 160 * 50);
	script_metadata_at(2400 * MS);
	script_say_at(2500 * MS, 160 * 10);
	script_hangup_at(3000 * MS);
	script_run("sales,m");
	CHECK_STR(host_channel_told(channel),
		"music-default silence music-default silence ");
	CHECK_INT(loud_frames(channel, 0, 2400 * MS), 0);
	CHECK_INT(loud_frames(channel, 2400 * MS, 3000 * MS), 10);
	CHECK_STR(host_variable(channel, "ELEVENLABSQUEUED"), "2");
	CHECK(!strstr(strstr(host_events(), "ElevenLabsStart") + 1, "ElevenLabsStart"));
	script_end();
}
