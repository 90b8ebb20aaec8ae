/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Steps: the agent's tool is dialplan on the caller's channel
 */

#include "call_script.h"

#include "asterisk/module.h"
#include "asterisk/pbx.h"

#define STEPS "elevenlabs-steps"
#define TIMERS "[sales]\nauth=none\nagent_id=a\nagent_timeout=3\nsilence_timeout=5\n"

static struct ast_channel *channel;

/*! What is seen from within a step */
static struct {
	int64_t began;
	char digits[HOST_DIGITS_SIZE];
	char variables[512];
	char state[64];
	struct ast_format *read_format;
	struct ast_format *write_format;
	size_t written;
	unsigned int sessions;
	int left;	/*!< what host_dialplan_waits returned */
} seen;

static const struct convai_argument arguments[] = { { "amount", "12.5" }, { "who", "Anna B" } };

static void offer(void *tool)
{
	fake_step(fake_session(0), tool, arguments, 2);
}

static void say_and_offer(void *tool)
{
	fake_say(fake_session(0), 8000);
	offer(tool);
}

static void press(void *digit)
{
	host_channel_dtmf(channel, AST_FRAME_DTMF_BEGIN, *(char *) digit);
	host_channel_dtmf(channel, AST_FRAME_DTMF_END, *(char *) digit);
}

static void key_down(void *digit)
{
	host_channel_dtmf(channel, AST_FRAME_DTMF_BEGIN, *(char *) digit);
}

static void key_up(void *digit)
{
	host_channel_dtmf(channel, AST_FRAME_DTMF_END, *(char *) digit);
}

static const char *variable(const char *name)
{
	const char *value = host_variable(channel, name);

	return value ? value : "-";
}

/*! \brief Look at everything, wait for two seconds, and return with this */
static void two_seconds(struct ast_channel *chan, void *retval)
{
	seen.began = host_now();
	snprintf(seen.variables, sizeof(seen.variables), "%s %s %s %s %s", variable("ELEVENLABS_TOOL"),
		variable("ELEVENLABS_ARG_amount"), variable("ELEVENLABS_ARG_who"), variable("GOSUB_RETVAL"),
		variable("DIALSTATUS"));
	snprintf(seen.state, sizeof(seen.state), "%s", host_function(chan, "ELEVENLABS(state)"));
	seen.read_format = ast_channel_readformat(chan);
	seen.write_format = ast_channel_writeformat(chan);
	seen.written = host_written_count(chan);
	seen.left = host_dialplan_waits(chan, 2000 * MS, seen.digits);
	seen.written = host_written_count(chan) - seen.written;
	pbx_builtin_setvar_helper(chan, "GOSUB_RETVAL", retval);
}

static void dial(struct ast_channel *chan, void *status)
{
	host_dialplan_waits(chan, 2000 * MS, NULL);
	ast_channel_hangupcause_set(chan, 17);
	pbx_builtin_setvar_helper(chan, "DIALSTATUS", status);
}

static struct ast_channel *begin(const char *config)
{
	memset(&seen, 0, sizeof(seen));
	channel = script_begin(config);
	script_metadata_at(10 * MS);
	return channel;
}

/* ---- What it does ---- */

/*! K1: arguments and result, and nothing of ours meanwhile: the fake engine fails where there is */
TEST(a_step_runs)
{
	begin(NULL);
	host_extension(STEPS, "pay", two_seconds, "{\"paid\":true}");
	pbx_builtin_setvar_helper(channel, "GOSUB_RETVAL", "of another");
	host_channel_talk(channel, 0, 5000 * MS, 20 * MS, 20 * MS);
	host_at(1000 * MS, offer, "pay");
	script_say_at(4000 * MS, 1600);
	script_hangup_at(5000 * MS);
	CHECK_INT(script_run("sales"), -1);
	CHECK_STR(fake_steps(fake_session(0)), "pay@1000 done@3000:{\"paid\":true}\n");
	CHECK_HAS(host_events(), "Time: 1970-01-01T00:16:41.000Z\nTool: pay\nState: begun\nElapsedMs: 0\n\n"
		"Event: ElevenLabsStep\n");
	CHECK_HAS(host_events(), "Tool: pay\nState: done\nElapsedMs: 2000\n\n");
	CHECK_STR(seen.variables, "pay 12.5 Anna B - -");
	CHECK_STR(seen.state, "step");
	CHECK_INT(seen.written, 0);
	CHECK_INT(host_snapshots(), 1);
	CHECK_STR(variable("ELEVENLABS_TOOL"), "-");
	CHECK_STR(variable("ELEVENLABS_ARG_amount"), "-");
	CHECK_STR(variable("ELEVENLABS_ARG_who"), "-");
	CHECK_STR(variable("ELEVENLABSSTATUS"), "HANGUP");
	script_end();
}

/*! K1 */
TEST(the_channel_has_its_formats_meanwhile)
{
	channel = script_begin_codec(NULL, ast_format_alaw);
	script_formats_at(10 * MS, CONVAI_ENCODING_SLIN, 16000);
	host_extension(STEPS, "pay", two_seconds, "done");
	host_channel_talk(channel, 0, 5000 * MS, 20 * MS, 20 * MS);
	host_at(1000 * MS, offer, "pay");
	script_say_at(4000 * MS, 32000);
	script_hangup_at(5000 * MS);
	script_run("sales");
	CHECK(seen.read_format == ast_format_alaw && seen.write_format == ast_format_alaw);
	/* The frames before it, and those from 3 s on, are the agent's format. */
	CHECK(host_written(channel, host_written_count(channel) - 1)->format == host_slin(16000));
	CHECK(ast_channel_writeformat(channel) == ast_format_alaw);
	script_end();
}

static void look_at_clocks(void *data)
{
	const char *shown = host_cli("elevenlabs show session PJSIP/caller-00000001");

	CHECK_HAS(shown, "0 failed, 0 resynchronisations");
	CHECK_HAS(shown, "late:           0 by more than a frame");
	CHECK_HAS(shown, "Steps:            1 run by the dialplan");
}

/*! K1: time does not run ahead or stand still behind it */
TEST(both_clocks_begin_anew)
{
	size_t i;
	unsigned int heard = 0;
	unsigned int silence = 0;

	begin(NULL);
	host_extension(STEPS, "pay", two_seconds, "done");
	host_channel_talk(channel, 0, 5000 * MS, 20 * MS, 20 * MS);
	host_at(1000 * MS, offer, "pay");
	host_at(4500 * MS, look_at_clocks, NULL);
	script_hangup_at(5000 * MS);
	script_run("sales");
	for (i = 0; i < fake_push_count(fake_session(0)); i++) {
		heard += fake_push(fake_session(0), i)->bytes / 160;
		silence += fake_push(fake_session(0), i)->silence_ms;
	}
	CHECK(heard >= 147 && heard <= 151);
	CHECK(silence <= 80);	/* 60 ms are the tail of a key that might have been down */
	CHECK(host_written_count(channel) >= 145 && host_written_count(channel) <= 152);
	script_end();
}

TEST(what_applications_leave_is_a_result)
{
	begin(NULL);
	host_extension(STEPS, "call", dial, "BUSY");
	host_extension(STEPS, "look", two_seconds, "");
	host_extension(STEPS, "typo", two_seconds, NULL);
	pbx_builtin_setvar_helper(channel, "QUEUESTATUS", "FULL");
	ast_channel_hangupcause_set(channel, 5);
	host_at(1000 * MS, offer, "call");
	host_at(4000 * MS, offer, "look");
	host_at(7000 * MS, offer, "typo");
	script_hangup_at(10000 * MS);
	script_run("sales");
	CHECK_STR(fake_steps(fake_session(0)), "call@1000 done@3000:DIALSTATUS=BUSY\n"
		"look@4000 done@6000:look is done.\n"
		"typo@7000 failed@9000:typo has ended without a result; the phone system's log tells more.\n");
	/* Of the step before nothing is left, and whom it has called is not the caller. */
	CHECK_STR(seen.variables, "typo 12.5 Anna B - -");
	CHECK_INT(ast_channel_hangupcause(channel), 5);
	script_end();
}

TEST(a_tool_that_is_no_extension)
{
	begin("[sales]\nauth=none\nagent_id=a\nsteps_context=mine\n");
	host_extension(STEPS, "pay", two_seconds, "done");
	host_extension("mine", "other", two_seconds, "done");
	host_at(1000 * MS, offer, "pay");
	host_at(2000 * MS, offer, "other");
	script_hangup_at(5000 * MS);
	script_run("sales");
	CHECK_STR(fake_steps(fake_session(0)), "unknown@1000:\nother@2000 done@4000:done\n");
	script_end();
}

TEST(a_subroutine_that_cannot_be_run)
{
	begin(NULL);
	host_extension(STEPS, "pay", two_seconds, "done");
	host_fail_call("ast_app_exec_sub", 1);
	pbx_builtin_setvar_helper(channel, "GOSUB_RETVAL", "of another");
	host_at(1000 * MS, offer, "pay");
	script_hangup_at(2000 * MS);
	script_run("sales");
	CHECK_STR(fake_steps(fake_session(0)),
		"pay@1000 failed@1000:pay could not be run; the phone system's log tells why.\n");
	script_end();
}

/*! It is nobody's any more: a step that waits when the conversation ends does not begin */
TEST(a_key_after_the_end)
{
	begin(NULL);
	host_extension(STEPS, "pay", two_seconds, "done");
	host_at(1000 * MS, say_and_offer, "pay");
	script_agent_ends_at(1200 * MS, CONVAI_STATUS_AGENT_ENDED, "", 1);
	host_at(1400 * MS, press, "4");
	script_run("sales");
	CHECK_INT(seen.began, 0);
	CHECK(host_now() >= 2000 * MS && host_now() <= 2300 * MS);
	CHECK_HAS(fake_steps(fake_session(0)), "failed@2");
	CHECK_STR(variable("ELEVENLABSSTATUS"), "AGENT_ENDED");
	script_end();
}

static void refuse(void *data)
{
	fake_refuse_step(fake_session(0));
}

/*! The agent has been told that it is not done */
TEST(the_engine_has_given_it_up)
{
	begin(NULL);
	host_extension(STEPS, "pay", two_seconds, "done");
	host_at(500 * MS, refuse, NULL);
	host_at(1000 * MS, offer, "pay");
	script_hangup_at(2000 * MS);
	script_run("sales");
	CHECK_INT(seen.began, 0);
	CHECK_STR(fake_steps(fake_session(0)), "failed@1000:\n");
	script_end();
}

/*! What a database in Latin-1 has said is not lost */
TEST(a_result_that_is_not_utf8)
{
	begin(NULL);
	host_extension(STEPS, "pay", two_seconds, "M\xfcller \xc3\xbc");
	host_extension(STEPS, "look", two_seconds, "\xfc");
	host_at(1000 * MS, offer, "pay");
	host_at(4000 * MS, offer, "look");
	script_hangup_at(7000 * MS);
	script_run("sales");
	CHECK_STR(fake_steps(fake_session(0)),
		"pay@1000 done@3000:M?ller \xc3\xbc\nlook@4000 done@6000:?\n");
	CHECK_STR(seen.variables, "look 12.5 Anna B - -");
	script_end();
}

/* ---- When it begins ---- */

/*! K1: what the agent has said before is heard first */
TEST(a_step_waits_for_the_agents_words)
{
	begin(NULL);
	host_extension(STEPS, "pay", two_seconds, "done");
	host_at(1000 * MS, say_and_offer, "pay");
	script_hangup_at(5000 * MS);
	script_run("sales");
	CHECK(seen.began >= 1980 * MS && seen.began <= 2040 * MS);
	script_end();
}

static void say_much(void *tool)
{
	fake_say(fake_session(0), 8000 * 30);
	offer(tool);
}

TEST(not_for_ever)
{
	begin(NULL);
	host_extension(STEPS, "pay", two_seconds, "done");
	host_at(1000 * MS, say_much, "pay");
	script_hangup_at(14000 * MS);
	script_run("sales");
	CHECK(seen.began >= 11000 * MS && seen.began <= 11040 * MS);
	script_end();
}

/*! K1: who types ahead, while the agent still speaks, has typed for the step */
TEST(a_key_that_is_early)
{
	begin(NULL);
	host_extension(STEPS, "pay", two_seconds, "done");
	host_at(1000 * MS, say_much, "pay");
	host_at(1500 * MS, press, "4");
	host_at(1700 * MS, press, "2");
	script_hangup_at(5000 * MS);
	script_run("sales");
	CHECK(seen.began >= 1500 * MS && seen.began <= 1540 * MS);
	CHECK_STR(seen.digits, "42");
	CHECK_STR(variable("ELEVENLABSDTMF"), "");
	CHECK_STR(fake_all_said(fake_session(0)), "");
	script_end();
}

TEST(the_call_ends_before_it_begins)
{
	begin(NULL);
	host_extension(STEPS, "pay", two_seconds, "done");
	host_at(1000 * MS, say_much, "pay");
	script_hangup_at(1500 * MS);
	script_run("sales");
	CHECK_STR(fake_steps(fake_session(0)), "failed@1500:The conversation is over.\n");
	script_end();
}

/* ---- Digits, hold, timers, devices ---- */

/*! K2 */
TEST(digits_of_a_step_go_nowhere)
{
	begin(NULL);
	host_extension(STEPS, "pay", two_seconds, "accepted");
	host_at(500 * MS, press, "7");
	host_at(1000 * MS, offer, "pay");
	host_at(1500 * MS, press, "4");
	host_at(1700 * MS, press, "2");
	host_at(2900 * MS, key_down, "9");
	host_at(3100 * MS, key_up, "9");
	host_at(3500 * MS, press, "1");
	script_hangup_at(8000 * MS);
	script_run("sales");
	CHECK_STR(seen.digits, "42");
	CHECK_STR(variable("ELEVENLABSDTMF"), "71");
	CHECK_STR(fake_all_said(fake_session(0)), "2:\n2:\n0:1\n");
	script_end();
}

/*! K1 */
TEST(timers_stand_still)
{
	begin(TIMERS);
	host_extension(STEPS, "pay", two_seconds, "done");
	host_at(1000 * MS, offer, "pay");
	script_run("sales");
	CHECK_STR(variable("ELEVENLABSSTATUS"), "TIMEOUT");
	CHECK_HAS(variable("ELEVENLABSREASON"), "agent_timeout (3 s)");
	CHECK(host_now() >= 4960 * MS && host_now() <= 5060 * MS);
	script_end();
}

static void hold(void *data)
{
	host_channel_control(channel, AST_CONTROL_HOLD);
}

static void transfer(void *codec)
{
	host_channel_masquerade(channel, "PJSIP/customer-00000002", codec, "+431234");
}

TEST(hold_ends_with_a_step)
{
	begin(NULL);
	host_extension(STEPS, "pay", two_seconds, "done");
	host_at(500 * MS, hold, NULL);
	host_at(1000 * MS, offer, "pay");
	script_hangup_at(5000 * MS);
	script_run("sales");
	CHECK_STR(fake_holds(fake_session(0)), "hold@500 back@3000");
	script_end();
}

/*! K3: another device, with another codec, is there when it returns */
TEST(a_masquerade_in_a_step)
{
	begin(NULL);
	host_extension(STEPS, "pay", two_seconds, "done");
	host_channel_talk(channel, 0, 6000 * MS, 20 * MS, 20 * MS);
	host_at(1000 * MS, offer, "pay");
	host_at(2000 * MS, transfer, ast_format_alaw);
	script_say_at(4000 * MS, 1600);
	script_hangup_at(6000 * MS);
	script_run("sales");
	CHECK_STR(fake_steps(fake_session(0)), "pay@1000 done@3000:done\n");
	CHECK_HAS(fake_all_said(fake_session(0)), "moved to another telephone, whose number is +431234");
	CHECK_STR(variable("ELEVENLABSSTATUS"), "HANGUP");
	CHECK(ast_channel_readformat(channel) == ast_format_alaw);
	CHECK(ast_channel_writeformat(channel) == ast_format_alaw);
	script_end();
}

/* ---- Ends ---- */

/*! K3: HANGUP, TIMEOUT ..., by the flags, and the redirect stays one */
TEST(a_step_that_is_left)
{
	static const struct {
		int flag;
		const char *status;
		const char *reason;
	} cases[] = {
		{ AST_SOFTHANGUP_DEV, "HANGUP", "the caller hung up" },
		{ AST_SOFTHANGUP_EXPLICIT, "HANGUP", "the caller hung up" },
		{ AST_SOFTHANGUP_ASYNCGOTO, "HANGUP", "the channel was sent elsewhere in the dialplan" },
		{ AST_SOFTHANGUP_TIMEOUT, "TIMEOUT", "the channel's absolute time-out was reached" },
		{ AST_SOFTHANGUP_SHUTDOWN, "HANGUP", "Asterisk is stopping" },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t now;

		channel = script_begin(NULL);
		now = host_now();
		script_metadata_at(now + 10 * MS);
		host_extension(STEPS, "pay", two_seconds, "done");
		host_at(now + 1000 * MS, offer, "pay");
		script_softhangup_at(now + 2000 * MS, cases[i].flag);
		CHECK_INT(script_run("sales"), -1);
		CHECK_INT(seen.left, -1);
		CHECK_STR(variable("ELEVENLABSSTATUS"), cases[i].status);
		CHECK_STR(variable("ELEVENLABSREASON"), cases[i].reason);
		CHECK_INT(ast_channel_softhangup_internal_flag(channel), cases[i].flag);
		CHECK_HAS(fake_steps(fake_session(0)), "done@");
		script_end();
	}
}

static void hang_up_and_break(struct ast_channel *chan, void *data)
{
	ast_softhangup(chan, AST_SOFTHANGUP_DEV);
	host_fail_call("ast_set_write_format", 1);
}

/*! K3: a channel that is gone takes no format, and that is no fault of anybody's */
TEST(a_caller_who_leaves_with_the_formats)
{
	begin(NULL);
	host_extension(STEPS, "pay", hang_up_and_break, NULL);
	host_at(1000 * MS, offer, "pay");
	script_run("sales");
	CHECK_STR(variable("ELEVENLABSSTATUS"), "HANGUP");
	CHECK_STR(variable("ELEVENLABSREASON"), "the caller hung up");
	/* In the record of the conversation nothing is said to be done. */
	CHECK_STR(fake_steps(fake_session(0)), "pay@1000 failed@1000:pay was broken off.\n");
	script_end();
}

/*! K3: what is wanted elsewhere already does not begin another step */
TEST(a_redirect_before_it_begins)
{
	begin(NULL);
	host_extension(STEPS, "pay", two_seconds, "done");
	host_at(1000 * MS, say_much, "pay");
	script_softhangup_at(1500 * MS, AST_SOFTHANGUP_ASYNCGOTO);
	script_run("sales");
	CHECK_INT(seen.began, 0);
	CHECK_STR(variable("ELEVENLABSREASON"), "the channel was sent elsewhere in the dialplan");
	script_end();
}

/*! K3: another module is unloaded by force: the conversation goes on */
TEST(an_unload_of_another_module_in_a_step)
{
	begin(NULL);
	host_extension(STEPS, "pay", two_seconds, "done");
	host_at(1000 * MS, offer, "pay");
	script_softhangup_at(2000 * MS, AST_SOFTHANGUP_APPUNLOAD);
	script_agent_ends_at(5000 * MS, CONVAI_STATUS_AGENT_ENDED, "bye", 1);
	CHECK_INT(script_run("sales"), 0);
	CHECK_STR(fake_steps(fake_session(0)), "pay@1000 done@2000:done\n");
	CHECK_STR(variable("ELEVENLABSSTATUS"), "AGENT_ENDED");
	script_end();
}

/*! The session ends in a step, and nothing is left of it: the step runs on, and then it ends */
TEST(the_service_ends_in_a_step)
{
	begin(NULL);
	host_extension(STEPS, "pay", two_seconds, "done");
	host_at(1000 * MS, offer, "pay");
	script_agent_ends_at(1500 * MS, CONVAI_STATUS_ERROR, "broken", 0);
	CHECK_INT(script_run("sales"), 0);
	CHECK(host_now() >= 3000 * MS);
	CHECK_STR(variable("ELEVENLABSSTATUS"), "ERROR");
	script_end();
}

/* ---- ELEVENLABS(end) ---- */

static void another(void *data)
{
	seen.sessions++;
	CHECK_HAS(host_cli("elevenlabs show agents"), "0 sessions now");
}

static void answered(struct ast_channel *chan, void *status)
{
	CHECK_INT(host_function_set(chan, "ELEVENLABS(end)", status, 1), 0);
	CHECK(fake_hung_up(fake_session(0)));
	another(NULL);
	CHECK_STR(host_function(chan, "ELEVENLABS(state)"), "ending");
	fake_end(fake_session(0), CONVAI_STATUS_HANGUP, "the caller hung up", 0);
	seen.left = host_dialplan_waits(chan, 2000 * MS, seen.digits);
}

/*! K4: the conversation ends at once, the application when the dialplan is through */
TEST(the_dialplan_ends_the_conversation)
{
	begin("[general]\nmax_sessions=1\n[sales]\nauth=none\nagent_id=a\n");
	host_extension(STEPS, "call", answered, "TRANSFER");
	host_at(1000 * MS, offer, "call");
	CHECK_INT(script_run("sales"), 0);
	CHECK(host_now() >= 3000 * MS);
	CHECK_INT(seen.sessions, 1);
	CHECK_STR(variable("ELEVENLABSSTATUS"), "TRANSFER");
	CHECK_STR(variable("ELEVENLABSREASON"), "the dialplan has handed the caller over");
	CHECK_STR(variable("ELEVENLABSCONVERSATIONID"), "conv_fake");
	script_end();
}

static void answered_alone(struct ast_channel *chan, void *status)
{
	CHECK_INT(host_function_set(chan, "ELEVENLABS(end)", status, 1), 0);
	host_dialplan_waits(chan, 2000 * MS, NULL);
}

/*! K4: nobody waits for an engine that hangs */
TEST(an_engine_that_does_not_end_it)
{
	begin(NULL);
	host_extension(STEPS, "call", answered_alone, "TRANSFER");
	host_at(1000 * MS, offer, "call");
	CHECK_INT(script_run("sales"), 0);
	CHECK_INT(host_now() / MS / 100, 30);
	CHECK_STR(variable("ELEVENLABSSTATUS"), "TRANSFER");
	script_end();
}

/*! K4: whoever hangs up afterwards */
TEST(the_caller_leaves_after_the_transfer)
{
	begin(NULL);
	host_extension(STEPS, "call", answered, "AGENT_ENDED");
	host_at(1000 * MS, offer, "call");
	script_hangup_at(2000 * MS);
	CHECK_INT(script_run("sales"), -1);
	CHECK_STR(variable("ELEVENLABSSTATUS"), "AGENT_ENDED");
	script_end();
}

static void answered_too_late(struct ast_channel *chan, void *status)
{
	host_dialplan_waits(chan, 2000 * MS, NULL);
	CHECK_INT(host_function_set(chan, "ELEVENLABS(end)", status, 1), 0);
	CHECK(fake_hung_up(fake_session(0)));
}

/*! K4: nobody is left to be handed over */
TEST(the_caller_leaves_before_the_transfer)
{
	begin(NULL);
	host_extension(STEPS, "call", answered_too_late, "TRANSFER");
	host_at(1000 * MS, offer, "call");
	script_hangup_at(2000 * MS);
	CHECK_INT(script_run("sales"), -1);
	CHECK_STR(variable("ELEVENLABSSTATUS"), "HANGUP");
	script_end();
}

/*! K4: a generation that was followed by another ends before the dialplan does */
static void reload_and_answer(struct ast_channel *chan, void *status)
{
	fake_install(1);
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_SUCCESS);
	CHECK_INT(fake.builds[0].finishes, 0);
	answered(chan, status);
	CHECK_INT(fake.builds[0].finishes, 1);
}

TEST(a_generation_ends_before_the_dialplan)
{
	begin(NULL);
	host_extension(STEPS, "call", reload_and_answer, "TRANSFER");
	host_at(1000 * MS, offer, "call");
	CHECK_INT(script_run("sales"), 0);
	CHECK_STR(variable("ELEVENLABSSTATUS"), "TRANSFER");
	script_end();
}

static void unload(struct ast_channel *chan, void *status)
{
	answered(chan, status);
	/* The list still has it: its channel names another application. */
	CHECK_INT(host_unload(1), -1);
}

/*! K3: code that a step returns to stays where it is */
TEST(no_unload_while_a_step_runs)
{
	begin(NULL);
	host_extension(STEPS, "call", unload, "TRANSFER");
	host_at(1000 * MS, offer, "call");
	script_run("sales");
	CHECK_HAS(host_log(), "Not unloaded: a channel has not left ElevenLabsConvAI");
	script_end();
}

static void moved_and_answered(struct ast_channel *chan, void *status)
{
	char function[64];

	snprintf(function, sizeof(function), "ELEVENLABS(end,%s)", ast_channel_uniqueid(chan));
	transfer(ast_format_alaw);
	CHECK(!strstr(function, ast_channel_uniqueid(chan)));
	CHECK_INT(host_function_set(NULL, function, status, 1), 0);
	CHECK(fake_hung_up(fake_session(0)));
}

/*! K4: with another device the channel has another id, and Dial() still has the one it was given */
TEST(a_transfer_that_is_answered_after_another)
{
	begin(NULL);
	host_extension(STEPS, "call", moved_and_answered, "TRANSFER");
	host_at(1000 * MS, offer, "call");
	CHECK_INT(script_run("sales"), 0);
	CHECK_STR(variable("ELEVENLABSSTATUS"), "TRANSFER");
	CHECK_INT(host_function_set(NULL, "ELEVENLABS(end,1700000000.1)", "TRANSFER", 1), -1);
	script_end();
}

/* ---- Agents in steps of others ---- */

static unsigned int deep;

static void ask_another(void *session)
{
	fake_step(session, "ask", arguments, 2);
}

static void talk(void *session)
{
	fake_talk(session, CONVAI_ENCODING_ULAW, 8000);
	host_at(host_now() + 500 * MS, ask_another, session);
}

static void opened(struct convai_session *session)
{
	host_at(host_now() + 10 * MS, talk, session);
}

static void ask(struct ast_channel *chan, void *agent)
{
	deep++;
	host_exec(chan, "ElevenLabsConvAI", agent);
	if (!seen.variables[0]) {
		snprintf(seen.variables, sizeof(seen.variables), "%s: %s", variable("ELEVENLABSSTATUS"),
			variable("ELEVENLABSREASON"));
		CHECK_HAS(host_cli("elevenlabs send context PJSIP/caller-00000001 hello"), "Sent");
	}
	pbx_builtin_setvar_helper(chan, "GOSUB_RETVAL", host_variable(chan, "ELEVENLABSSTATUS"));
}

/*! Each lies on the thread's stack: without a limit Asterisk crashes at some fifteen */
TEST(agents_that_ask_each_other)
{
	memset(&seen, 0, sizeof(seen));
	deep = 0;
	channel = script_begin(NULL);
	fake.opened = opened;
	host_extension(STEPS, "ask", ask, "sales");
	script_hangup_at(20000 * MS);
	script_run("sales");
	CHECK_INT(deep, 4);
	CHECK_INT(fake.opens, 4);
	CHECK_HAS(seen.variables, "LIMIT: 4 agents have this caller already");
	/* The one that has asked last goes on, and is the one that is spoken to. */
	CHECK_STR(fake_steps(fake_session(3)), "ask@2040 done@2040:LIMIT\n");
	CHECK_STR(fake_all_said(fake_session(3)), "1:hello\n");
	CHECK_STR(variable("ELEVENLABSSTATUS"), "HANGUP");
	script_end();
}
