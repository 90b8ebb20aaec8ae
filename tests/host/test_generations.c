/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief One engine follows the other: who serves whom, and who ends when
 *
 * The builds are fake_engine.c's; generation.c, and all that uses it, is the module's own.
 */

#include "call_script.h"

#include "asterisk/module.h"

/*! \brief `make install` of a build, and `module reload` */
static void reload_with(unsigned int build)
{
	fake_install(build);
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_SUCCESS);
}

static void reload_one(void *data)
{
	reload_with(1);
}

/*! One more call, that ends by itself */
struct caller {
	struct ast_channel *channel;
	int64_t until_us;
};

static int64_t until_us;

static void end_session(void *data)
{
	fake_end(data, CONVAI_STATUS_AGENT_ENDED, "done", 0);
}

static void opened(struct convai_session *session)
{
	host_at(until_us, end_session, session);
}

static void call(void *data)
{
	struct caller *caller = data;

	until_us = caller->until_us;
	fake.opened = opened;
	host_exec(caller->channel, "ElevenLabsConvAI", "sales");
	CHECK_STR(host_variable(caller->channel, "ELEVENLABSSTATUS"), "AGENT_ENDED");
}

/*! \brief A call of its own from now on, for a moment */
static void short_call(void)
{
	struct caller caller = { host_channel("PJSIP/short", ast_format_ulaw),
		host_now() + 100 * MS };

	call(&caller);
	ast_channel_unref(caller.channel);
}

/* ---- Without calls ---- */

TEST(what_is_in_service_is_not_imported_again)
{
	script_begin(NULL);
	reload_with(0);
	reload_with(0);
	CHECK_INT(fake.starts, 1);
	CHECK_INT(fake.builds[0].finishes, 0);
	script_end();
}

TEST(without_calls_the_one_before_ends_at_once)
{
	script_begin(NULL);
	reload_with(1);
	CHECK_INT(fake.builds[0].finishes, 1);
	CHECK_HAS(host_cli("elevenlabs show version"), "Engine:    0.1, build build-1, ");
	/* A command shows it no more, but leaves it to a reload to forget it. */
	CHECK_HAS(host_cli("elevenlabs show version"), "1 generation alive:\n");
	CHECK_INT(fake.builds[0].forgets, 0);
	reload_with(1);
	CHECK_INT(fake.builds[0].forgets, 1);
	short_call();
	CHECK_INT(fake_build_of(fake_session(0)), 1);
	CHECK_INT(fake.builds[1].finishes, 0);
	script_end();
}

TEST(a_build_comes_back)
{
	script_begin(NULL);
	reload_with(1);
	reload_with(0);
	CHECK_INT(fake.builds[0].starts, 2);
	CHECK_INT(fake.builds[1].finishes, 1);
	short_call();
	CHECK_INT(fake_build_of(fake_session(0)), 0);
	script_end();
}

TEST(a_build_that_does_not_end_cannot_come_back)
{
	script_begin(NULL);
	fake.builds[0].hangs = 1;
	reload_with(1);
	CHECK_HAS(host_cli("elevenlabs show version"), "2 generations alive:\n");
	CHECK_HAS(host_cli("elevenlabs show version"), "  ending\n");
	fake_install(0);
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_ERROR);
	CHECK_HAS(host_log(), "ERROR The engine stays as it was: the engine in ");
	CHECK_HAS(host_log(), "build-0 is refused: it has not ended since it was last in service\n");
	CHECK_HAS(host_cli("elevenlabs show version"), "Engine:    0.1, build build-1, ");
	fake.builds[0].hangs = 0;
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_SUCCESS);
	CHECK_HAS(host_cli("elevenlabs show version"), "Engine:    0.0, build build-0, ");
	script_end();
}

TEST(one_that_is_refused_leaves_the_other_in_service)
{
	script_begin(NULL);
	fake_install(1);
	fake.start_error = "SyntaxError: invalid syntax (session.py, line 1)";
	fake.start_failures = 1;
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_ERROR);
	CHECK_INT(host_logged("ERROR The engine stays as it was: the engine in "), 1);
	CHECK_HAS(host_log(), "build-1 is refused: SyntaxError: invalid syntax (session.py, line 1)\n");
	CHECK_INT(fake.builds[0].finishes, 0);
	short_call();
	CHECK_INT(fake_build_of(fake_session(0)), 0);
	/* The next attempt is a new one. */
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_SUCCESS);
	short_call();
	CHECK_INT(fake_build_of(fake_session(1)), 1);
	script_end();
}

TEST(configuration_and_engine_are_reloaded_each_on_its_own)
{
	script_begin(NULL);
	host_write_config("elevenlabs.conf", "[sales]\nfoo = 1\n");
	fake_install(1);
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_ERROR);
	CHECK_HAS(host_cli("elevenlabs show version"), "Engine:    0.1, build build-1, ");
	host_write_config("elevenlabs.conf", "[other]\nagent_id = x\nauth = none\n");
	fake_install(2);
	fake.start_error = "ImportError";
	fake.start_failures = 1;
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_ERROR);
	CHECK_HAS(host_cli("elevenlabs show agents"), "other ");
	CHECK_HAS(host_cli("elevenlabs show version"), "Engine:    0.1, build build-1, ");
	script_end();
}

TEST(a_loop_that_has_failed_is_started_again)
{
	struct ast_channel *channel = script_begin(NULL);

	fake.builds[0].fails = 1;
	CHECK_HAS(host_cli("elevenlabs show version"), "has failed: module reload starts it again");
	script_run("sales");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "ERROR");
	CHECK_HAS(host_variable(channel, "ELEVENLABSREASON"), "module reload");
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_SUCCESS);
	CHECK_INT(fake.builds[0].starts, 2);
	short_call();
	script_end();
}

TEST(a_loop_that_has_failed_and_does_not_start_again)
{
	struct ast_channel *channel = script_begin(NULL);

	fake.builds[0].fails = 1;
	fake.start_error = "ImportError";
	fake.start_failures = 1;
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_ERROR);
	CHECK_INT(host_logged("ERROR There is still no engine: the engine in "), 1);
	CHECK_HAS(host_cli("elevenlabs show version"), "Engine:    not running\n0 generations");
	script_run("sales");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "ERROR");
	CHECK_HAS(host_cli("elevenlabs test agent sales"), "FAILED, ERROR: the engine is not running");
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_SUCCESS);
	short_call();
	script_end();
}

TEST(an_installation_without_an_engine)
{
	char path[1100];

	script_begin(NULL);
	snprintf(path, sizeof(path), "%s/app_elevenlabs_convai.d/current", host_config_directory());
	CHECK_INT(remove(path), 0);
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_ERROR);
	CHECK_HAS(host_log(), "ERROR The engine stays as it was: no engine at ");
	CHECK_HAS(host_log(), "make install puts it there\n");
	short_call();
	script_end();
}

TEST(debug_is_for_those_to_come_as_well)
{
	script_begin(NULL);
	host_cli("elevenlabs debug on");
	reload_with(1);
	CHECK_INT(fake.builds[1].debug, 1);
	host_cli("elevenlabs debug off");
	reload_with(2);
	CHECK_INT(fake.builds[2].debug, 0);
	script_end();
}

/* ---- With calls ---- */

TEST(a_call_stays_with_the_engine_it_began_with)
{
	struct ast_channel *channel = script_begin(NULL);
	struct caller second = { host_channel("PJSIP/2", ast_format_ulaw), 2500 * MS };

	host_at(1000 * MS, reload_one, NULL);
	host_at(2000 * MS, call, &second);
	until_us = 3000 * MS;
	fake.opened = opened;
	script_run("sales");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "AGENT_ENDED");
	CHECK_INT(fake_build_of(fake_session(0)), 0);
	CHECK_INT(fake_build_of(fake_session(1)), 1);
	/* Its last call has ended it. */
	CHECK_INT(fake.builds[0].finishes, 1);
	CHECK_INT(fake.builds[1].finishes, 0);
	ast_channel_unref(second.channel);
	script_end();
}

static void look(void *data)
{
	const char *output = host_cli("elevenlabs show version");
	char line[128];

	CHECK_HAS(output, "2 generations alive:\n");
	snprintf(line, sizeof(line), "  build-1        0.1                  %4d      0    0:00:01  in service\n",
		CONVAI_ABI_VERSION);
	CHECK_HAS(output, line);
	snprintf(line, sizeof(line),
		"  build-0        0.0                  %4d      1    0:00:02  for its last calls\n",
		CONVAI_ABI_VERSION);
	CHECK_HAS(output, line);
	CHECK_INT(fake.builds[0].finishes, 0);
}

TEST(generations_are_listed)
{
	script_begin(NULL);
	host_at(1000 * MS, reload_one, NULL);
	host_at(2500 * MS, look, NULL);
	script_hangup_at(3000 * MS);
	script_run("sales");
	script_end();
}

static void reload_zero(void *data)
{
	reload_with(0);
}

TEST(a_build_comes_back_while_it_has_calls)
{
	struct caller second = { host_channel("PJSIP/2", ast_format_ulaw), 1700 * MS };

	script_begin(NULL);
	host_at(500 * MS, reload_one, NULL);
	host_at(1000 * MS, reload_zero, NULL);
	host_at(1500 * MS, call, &second);
	script_hangup_at(2000 * MS);
	script_run("sales");
	CHECK_INT(fake.builds[0].starts, 1);
	CHECK_INT(fake.builds[0].finishes, 0);
	CHECK_INT(fake.builds[1].finishes, 1);
	CHECK_INT(fake_build_of(fake_session(1)), 0);
	ast_channel_unref(second.channel);
	script_end();
}

static void unload(void *data)
{
	CHECK_INT(host_unload(0), -1);
}

TEST(an_unload_ends_the_calls_of_all_generations)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(10 * MS);
	host_at(500 * MS, reload_one, NULL);
	host_at(1000 * MS, unload, NULL);
	script_run("sales");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "UNLOADED");
	CHECK_INT(fake.end_status, CONVAI_STATUS_UNLOADED);
	script_end();
	CHECK(!fake.builds[0].running);
	CHECK(!fake.builds[1].running);
}

TEST(one_that_hangs_keeps_the_module_from_being_unloaded)
{
	script_begin(NULL);
	fake.builds[0].hangs = 1;
	reload_with(1);
	CHECK_INT(host_unload(0), -1);
	CHECK_HAS(host_log(), "Not unloaded: the engine has not stopped within 5000 ms");
	/* Neither serves any more; a reload brings one back. */
	fake_install(2);
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_SUCCESS);
	short_call();
	CHECK_INT(fake_build_of(fake_session(0)), 2);
	fake.builds[0].hangs = 0;
	script_end();
}

/* ---- Several at once ---- */

static void show_version(void)
{
	host_cli("elevenlabs show version");
}

TEST(a_list_of_generations_while_one_is_seen_off)
{
	script_begin(NULL);
	fake.builds[0].hangs = 1;
	reload_with(1);
	fake.builds[0].hangs = 0;
	fake_install(0);
	fake.stopping = show_version;
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_SUCCESS);
	CHECK_HAS(host_cli("elevenlabs show version"), "Engine:    0.0, build build-0, ");
	script_end();
}

TEST(the_end_of_Asterisk_while_an_unload_waits)
{
	script_begin(NULL);
	fake.stopping = host_stop_now;
	script_end();
}

TEST(the_end_of_Asterisk_while_a_reload_waits)
{
	script_begin(NULL);
	fake.builds[0].hangs = 1;
	reload_with(1);
	fake.builds[0].hangs = 0;
	fake_install(0);
	fake.stopping = host_stop_now;
	/* What is started now would outlive the end. */
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_ERROR);
	CHECK(!fake.builds[0].running);
	script_end();
}

/* ---- What a refusal leaves ---- */

static void enter_application(void *data)
{
	host_channel_application(data, "ElevenLabsConvAI");
}

TEST(an_unload_refused_at_the_very_end_leaves_the_application)
{
	struct ast_channel *channel = script_begin(NULL);

	host_at(50 * MS, enter_application, channel);
	CHECK_INT(host_unload(0), -1);
	host_channel_application(channel, NULL);
	CHECK(host_application_registered("ElevenLabsConvAI"));
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_SUCCESS);
	short_call();
	script_end();
}

TEST(commands_are_not_offered_again_while_Asterisk_ends)
{
	script_begin(NULL);
	host_shutting_down();
	fake.stop_failures = 1;
	CHECK_INT(host_unload(0), -1);
	CHECK_HAS(host_cli("elevenlabs show version"), "No such command");
	script_end();
}

TEST(a_load_that_fails_leaves_nothing_whatever_hangs)
{
	fake.stop_failures = 1;
	host_write_config("elevenlabs.conf", SCRIPT_CONFIG);
	host_fail_call("ast_register_application2", 1);
	CHECK_INT(host_load(), AST_MODULE_LOAD_DECLINE);
	/* Asterisk unmaps it without asking: what still runs must stay. */
	CHECK_INT(fake.pins, 1);
	CHECK_INT(host_registrations(), 0);
	CHECK_INT(host_load(), AST_MODULE_LOAD_SUCCESS);
	CHECK_INT(host_unload(0), 0);
}

/* ---- Draining ---- */

static void drain(void *data)
{
	CHECK_STR(host_cli("elevenlabs drain on"),
		"Draining: no new calls; 1 session left. The log tells when the last is over\n");
	CHECK_HAS(host_cli("elevenlabs show sessions"), "1 session\nDraining: no new calls; these may");
	CHECK_INT(host_logged("Drained"), 0);
}

static void refused_call(void *data)
{
	host_exec(data, "ElevenLabsConvAI", "sales");
	CHECK_STR(host_variable(data, "ELEVENLABSSTATUS"), "LIMIT");
	CHECK_HAS(host_variable(data, "ELEVENLABSREASON"), "draining");
	CHECK_INT(ast_channel_state(data), AST_STATE_RING);
}

TEST(draining_lets_calls_end_and_admits_none)
{
	struct ast_channel *other = host_channel("PJSIP/2", ast_format_ulaw);

	script_begin(NULL);
	host_at(500 * MS, drain, NULL);
	host_at(1000 * MS, refused_call, other);
	script_agent_ends_at(2000 * MS, CONVAI_STATUS_AGENT_ENDED, "done", 0);
	script_run("sales");
	CHECK_INT(host_logged("NOTICE Drained: the last call with an ElevenLabs agent is over"), 1);
	CHECK_HAS(host_cli("elevenlabs show sessions"), "0 sessions\nDrained: no new calls");
	CHECK_HAS(host_cli("elevenlabs drain on"), "Drained: no new calls, and no session is left\n");
	/* A reload is no reason to admit calls again. */
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_SUCCESS);
	refused_call(other);
	CHECK_STR(host_cli("elevenlabs drain off"), "Not draining: new calls are admitted\n");
	short_call();
	ast_channel_unref(other);
	script_end();
}

TEST(a_new_load_does_not_drain)
{
	script_begin(NULL);
	host_cli("elevenlabs drain on");
	CHECK_INT(host_unload(0), 0);
	CHECK_INT(host_load(), AST_MODULE_LOAD_SUCCESS);
	short_call();
	script_end();
}

/* ---- elevenlabs test agent ---- */

static void talks(struct convai_session *session)
{
	fake_talk(session, CONVAI_ENCODING_ULAW, 8000);
}

static void is_refused(struct convai_session *session)
{
	fake_end(session, CONVAI_STATUS_AUTH, "the key was refused", 0);
}

TEST(an_agent_that_answers)
{
	script_begin(NULL);
	fake.opened = talks;
	CHECK_STR(host_cli("elevenlabs test agent SALES"),
		"Agent sales: OK, conv_fake after 0 ms; it hears ulaw 8000 Hz and speaks ulaw 8000 Hz\n");
	CHECK_INT(fake.releases, 1);
	CHECK_STR(fake_value(fake_session(0), CONVAI_PAIR_SETTING, "agent_id"), "agent_sales");
	CHECK_HAS(host_cli("elevenlabs show agents"), "0 sessions now, 0 in all");
	script_end();
}

TEST(an_agent_that_cannot_be_had)
{
	script_begin(NULL);
	fake.opened = is_refused;
	CHECK_STR(host_cli("elevenlabs test agent sales"),
		"Agent sales: FAILED, AUTH: the key was refused\n"
		"Command 'elevenlabs test agent sales' failed.\n");
	CHECK_HAS(host_cli("elevenlabs test agent nobody"),
		"Agent nobody: FAILED, NOAGENT: there is no such agent in elevenlabs.conf\n");
	fake.open_errno = ENOMEM;
	CHECK_HAS(host_cli("elevenlabs test agent sales"), "FAILED, ERROR: Cannot allocate memory\n");
	script_end();
}

TEST(an_agent_without_a_key)
{
	script_begin("[sales]\nagent_id = x\n");
	CHECK_HAS(host_cli("elevenlabs test agent sales"), "FAILED, AUTH: no api_key in elevenlabs.conf\n");
	CHECK_INT(fake.opens, 0);
	script_end();
}

TEST(an_engine_that_hangs_is_given_up)
{
	script_begin("[sales]\nagent_id = x\nauth = none\nconnect_timeout = 2\n");
	CHECK_HAS(host_cli("elevenlabs test agent sales"),
		"FAILED, ERROR: the engine does not answer\n");
	CHECK(host_now() >= 5000 * MS && host_now() <= 5100 * MS);
	CHECK_INT(fake.releases, 1);
	script_end();
}

static void reload_while_testing(struct convai_session *session)
{
	reload_with(1);
	talks(session);
}

TEST(a_test_holds_its_engine_as_a_call_does)
{
	script_begin(NULL);
	fake.opened = reload_while_testing;
	CHECK_HAS(host_cli("elevenlabs test agent sales"), "Agent sales: OK, ");
	CHECK_INT(fake.builds[0].finishes, 1);
	script_end();
}
