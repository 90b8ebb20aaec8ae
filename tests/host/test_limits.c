/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief How many calls there may be at once
 *
 * A second call begins while the first one waits, on the same thread, and ends before it.
 */

#include "call_script.h"

#define CONFIG "[general]\nauth=none\nmax_sessions=2\n" \
	"[sales]\nagent_id=a\nmax_sessions=1\n[support]\nagent_id=b\n[other]\nagent_id=c\n"

/*! One more call that lasts until a time */
struct caller {
	struct ast_channel *channel;
	const char *agent;
	int64_t until_us;
	const char *status;	/*!< to be expected */
	const char *reason;
};

static void end_session(void *data)
{
	fake_end(data, CONVAI_STATUS_AGENT_ENDED, "done", 0);
}

static int64_t until_us;

static void opened(struct convai_session *session)
{
	host_at(until_us, end_session, session);
}

static void call(void *data)
{
	struct caller *caller = data;

	until_us = caller->until_us;
	fake.opened = opened;
	host_exec(caller->channel, "ElevenLabsConvAI", caller->agent);
	CHECK_STR(host_variable(caller->channel, "ELEVENLABSSTATUS"), caller->status);
	CHECK_STR(host_variable(caller->channel, "ELEVENLABSREASON"), caller->reason);
}

static void call_at(int64_t at_us, struct caller *caller)
{
	host_at(at_us, call, caller);
}

TEST(limits_of_all_and_of_one)
{
	struct ast_channel *first = script_begin(CONFIG);
	struct ast_channel *channel = host_channel("PJSIP/2", ast_format_ulaw);
	struct ast_channel *third = host_channel("PJSIP/3", ast_format_ulaw);
	struct caller same = { channel, "sales", 0, "LIMIT",
		"all 1 sessions of max_sessions in [sales] are in use" };
	struct caller other = { channel, "support", 3000 * MS, "AGENT_ENDED", "done" };
	struct caller too_many = { third, "other", 0, "LIMIT",
		"all 2 sessions of max_sessions in [general] are in use" };
	struct caller again = { third, "other", 3300 * MS, "AGENT_ENDED", "done" };

	call_at(500 * MS, &same);
	call_at(1000 * MS, &other);
	call_at(2000 * MS, &too_many);
	call_at(3200 * MS, &again);
	script_agent_ends_at(4000 * MS, CONVAI_STATUS_AGENT_ENDED, "done", 0);
	until_us = 4000 * MS;
	fake.opened = opened;
	script_run("sales");
	CHECK_STR(host_variable(first, "ELEVENLABSSTATUS"), "AGENT_ENDED");
	CHECK_INT(fake.opens, 3);
	/* None is left of those that were refused. */
	CHECK_HAS(host_cli("elevenlabs show agents"), "0 sessions now, 3 in all");
	ast_channel_unref(channel);
	ast_channel_unref(third);
	script_end();
}

TEST(a_call_that_was_refused_was_not_answered)
{
	struct ast_channel *channel = host_channel("PJSIP/2", ast_format_ulaw);
	struct caller same = { channel, "sales", 0, "LIMIT",
		"all 1 sessions of max_sessions in [sales] are in use" };

	CHECK(script_begin(CONFIG) != NULL);
	call_at(500 * MS, &same);
	script_hangup_at(1000 * MS);
	script_run("sales");
	CHECK_INT(ast_channel_state(channel), AST_STATE_RING);
	ast_channel_unref(channel);
	script_end();
}

static void reload(void *data)
{
	host_write_config("elevenlabs.conf", data);
	CHECK_INT(host_reload(), 0);
}

TEST(a_limit_that_is_lowered_while_calls_are_up)
{
	struct ast_channel *channel = host_channel("PJSIP/2", ast_format_ulaw);
	struct caller same = { channel, "support", 0, "LIMIT",
		"all 1 sessions of max_sessions in [general] are in use" };

	CHECK(script_begin(CONFIG) != NULL);
	host_at(100 * MS, reload, "[general]\nauth=none\nmax_sessions=1\n[support]\nagent_id=b\n");
	call_at(500 * MS, &same);
	script_hangup_at(1000 * MS);
	script_run("sales");
	ast_channel_unref(channel);
	script_end();
}

TEST(a_call_keeps_the_configuration_it_began_with)
{
	struct ast_channel *channel = script_begin(CONFIG);

	script_metadata_at(50 * MS);
	host_at(100 * MS, reload, "[other]\nauth=none\nagent_id=b\nsilence=no\n");
	script_hangup_at(1000 * MS);
	script_run("sales");
	/* silence is on for this one to its end. */
	CHECK_INT(host_written_count(channel), 50);
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "HANGUP");
	script_run("sales");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "NOAGENT");
	script_end();
}
