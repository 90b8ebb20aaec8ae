/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Loading, reloading and unloading, and every way in which that fails
 */

#include "call_script.h"

#include "asterisk/module.h"

/*! After the application is gone, for threads on their way into it */
#define SETTLE (100 * MS)
/*! ... and threads of the HTTP server */
#define HTTP_SETTLE (2 * 100 * MS)	/* of two addresses */

/*! Some commands, an action of AMI, the application, and what is run at the end */
#define SOME_REGISTRATIONS 10

static void begin(void)
{
	host_write_config("elevenlabs.conf", SCRIPT_CONFIG);
}

TEST(load_and_unload)
{
	unsigned int registered = 0;
	int i;

	begin();
	for (i = 0; i < 3; i++) {
		CHECK_INT(host_load(), AST_MODULE_LOAD_SUCCESS);
		CHECK(host_registrations() > SOME_REGISTRATIONS);
		CHECK(!registered || host_registrations() == registered);
		registered = host_registrations();
		CHECK_INT(fake.starts, i + 1);
		CHECK_INT(host_unload(0), 0);
		CHECK_INT(host_registrations(), 0);
		CHECK_INT(fake.stops, i + 1);
	}
	CHECK_INT(host_logged("ERROR"), 0);
}

TEST(numbers_begin_again_with_each_load)
{
	script_begin(NULL);
	script_hangup_at(10 * MS);
	script_run("sales");
	CHECK_HAS(host_cli("elevenlabs show agents"), "0 sessions now, 1 in all");
	CHECK_INT(host_unload(0), 0);
	CHECK_INT(host_load(), AST_MODULE_LOAD_SUCCESS);
	CHECK_HAS(host_cli("elevenlabs show agents"), "0 sessions now, 0 in all");
	script_end();
}

/* ---- Loads that fail ---- */

/*! \brief The load is declined, leaves nothing, and the next one succeeds */
static void check_declined(const char *logged)
{
	CHECK_INT(host_load(), AST_MODULE_LOAD_DECLINE);
	CHECK_INT(host_registrations(), 0);
	CHECK_HAS(host_log(), logged);
	host_write_config("elevenlabs.conf", SCRIPT_CONFIG);
	CHECK_INT(host_load(), AST_MODULE_LOAD_SUCCESS);
	CHECK(host_registrations() > SOME_REGISTRATIONS);
	CHECK_INT(host_unload(0), 0);
}

TEST(a_configuration_with_faults)
{
	host_write_config("elevenlabs.conf", "[a]\nauth=none\nfoo=1\n");
	check_declined("ERROR Not loaded: elevenlabs.conf has 2 faults\n");
	CHECK_INT(fake.starts, 1);
}

TEST(an_engine_that_does_not_start)
{
	begin();
	fake.start_error = "ImportError: nothing there";
	fake.start_failures = 1;
	check_declined("app_elevenlabs_convai.d/build-0 is refused: ImportError: nothing there\n");
	CHECK_INT(host_logged("ERROR Not loaded: the engine in "), 1);
}

TEST(an_address_that_is_not_registered)
{
	begin();
	host_fail_call("ast_http_uri_link", 1);
	check_declined("");
}

TEST(commands_that_are_not_registered)
{
	begin();
	host_fail_call("__ast_cli_register_multiple", 1);
	check_declined("");
	CHECK_INT(fake.stops, 2);
}

TEST(an_exit_handler_that_is_not_registered)
{
	begin();
	host_fail_call("ast_register_atexit", 1);
	check_declined("");
	CHECK_INT(fake.stops, 2);
}

TEST(an_application_that_is_not_registered)
{
	begin();
	host_fail_call("ast_register_application2", 1);
	check_declined("");
	CHECK_INT(fake.stops, 2);
}

TEST(a_load_that_fails_says_why)
{
	static const char * const functions[] = {
		"__ast_cli_register_multiple", "ast_register_atexit", "ast_register_application2",
	};
	size_t i;

	begin();
	for (i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		host_log_clear();
		host_fail_call(functions[i], 1);
		CHECK_INT(host_load(), AST_MODULE_LOAD_DECLINE);
		CHECK_HAS(host_log(), "ERROR Not loaded: ");
	}
}

/* ---- Unloading while something is up ---- */

/*! What happens during the call: two things that are tried, and their results */
static int unloaded;

static void unload(void *data)
{
	unloaded = host_unload(0);
}

TEST(a_channel_that_does_not_leave_is_waited_for_five_seconds)
{
	struct ast_channel *channel = script_begin(NULL);
	struct ast_channel *other = host_channel("PJSIP/other", ast_format_ulaw);
	unsigned int registered = host_registrations();

	host_channel_application(other, "ElevenLabsConvAI");
	CHECK_INT(host_unload(0), -1);
	CHECK(host_now() >= 5000 * MS && host_now() <= 5020 * MS);
	CHECK_INT(host_logged("Not unloaded: a channel has not left ElevenLabsConvAI within"), 1);
	/* It works on as if nothing had been asked. */
	CHECK_INT(host_registrations(), registered);
	script_agent_ends_at(host_now() + 20 * MS, CONVAI_STATUS_AGENT_ENDED, "done", 0);
	script_run("sales");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "AGENT_ENDED");
	host_channel_application(other, "Echo");
	ast_channel_unref(other);
	script_end();
}

TEST(calls_are_ended_by_an_unload_that_is_refused)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(10 * MS);
	/* On the channel's own thread: it cannot leave meanwhile. */
	host_at(500 * MS, unload, NULL);
	CHECK_INT(script_run("sales"), 0);
	CHECK_INT(unloaded, -1);
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "UNLOADED");
	CHECK_STR(host_variable(channel, "ELEVENLABSREASON"), "the module was unloaded");
	CHECK_INT(fake.end_status, CONVAI_STATUS_UNLOADED);
	script_end();
}

static void leave(void *data)
{
	host_channel_application(data, NULL);
}

TEST(a_channel_that_leaves_in_time)
{
	struct ast_channel *other = host_channel("PJSIP/other", ast_format_ulaw);

	script_begin(NULL);
	host_channel_application(other, "ElevenLabsConvAI");
	host_at(3000 * MS, leave, other);
	CHECK_INT(host_unload(0), 0);
	CHECK(host_now() >= 3000 * MS + HTTP_SETTLE + SETTLE && host_now() <= 3010 * MS + HTTP_SETTLE + SETTLE);
	CHECK_INT(host_load(), AST_MODULE_LOAD_SUCCESS);
	ast_channel_unref(other);
	script_end();
}

TEST(channels_that_cannot_be_listed_are_waited_for)
{
	script_begin(NULL);
	host_fail_call("ast_channel_iterator_all_new", 1);
	CHECK_INT(host_unload(0), 0);
	CHECK_INT(host_now(), 10 * MS + HTTP_SETTLE + SETTLE);
	CHECK_INT(host_load(), AST_MODULE_LOAD_SUCCESS);
	script_end();
}

TEST(a_command_that_does_not_end)
{
	struct ast_channel *channel = script_begin(NULL);

	host_command_hold("elevenlabs show version", 1);
	CHECK_INT(host_unload(0), -1);
	CHECK(host_now() >= 5000 * MS + HTTP_SETTLE && host_now() <= 5020 * MS + HTTP_SETTLE);
	CHECK_INT(host_logged("Not unloaded: a command has not ended within 5000 ms"), 1);
	script_agent_ends_at(host_now() + 20 * MS, CONVAI_STATUS_AGENT_ENDED, "done", 0);
	script_run("sales");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "AGENT_ENDED");
	CHECK_HAS(host_cli("elevenlabs show agents"), "1 agent,");
	host_command_hold("elevenlabs show version", 0);
	script_end();
}

TEST(an_engine_that_does_not_stop)
{
	struct ast_channel *channel = script_begin(NULL);
	unsigned int registered = host_registrations();

	fake.stop_failures = 1;
	CHECK_INT(host_unload(0), -1);
	CHECK(fake.stop_limit_ms >= 4990);
	CHECK_INT(host_logged("Not unloaded: the engine has not stopped within 5000 ms"), 1);
	CHECK_INT(host_registrations(), registered);
	/* No new conversation on an engine that is half stopped. */
	script_run("sales");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "UNLOADED");
	CHECK_INT(ast_channel_state(channel), AST_STATE_RING);
	script_end();
}

static void check_closed(void *data)
{
	struct ast_channel *channel = data;

	host_exec(channel, "ElevenLabsConvAI", "sales");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "UNLOADED");
	CHECK_STR(host_variable(channel, "ELEVENLABSREASON"), "the module is being unloaded");
	CHECK_INT(ast_channel_state(channel), AST_STATE_RING);
}

TEST(calls_that_come_during_an_unload_are_refused)
{
	struct ast_channel *other = host_channel("PJSIP/other", ast_format_ulaw);
	struct ast_channel *late = host_channel("PJSIP/late", ast_format_ulaw);

	script_begin(NULL);
	host_channel_application(other, "ElevenLabsConvAI");
	host_at(1000 * MS, check_closed, late);
	host_at(2000 * MS, leave, other);
	CHECK_INT(host_unload(0), 0);
	CHECK_INT(host_load(), AST_MODULE_LOAD_SUCCESS);
	ast_channel_unref(other);
	ast_channel_unref(late);
	script_end();
}

/* ---- The end of Asterisk ---- */

TEST(stop_now_ends_the_calls_and_the_engine)
{
	struct ast_channel *channel = script_begin(NULL);

	host_stop_now();
	CHECK_INT(fake.ends, 1);
	CHECK_INT(fake.end_status, CONVAI_STATUS_UNLOADED);
	CHECK_INT(fake.stops, 1);
	CHECK(fake.stop_limit_ms <= 2000);
	script_run("sales");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "UNLOADED");
	script_end();
}

/* ---- What the engine logs ---- */

TEST(lines_of_the_engine)
{
	script_begin(NULL);
	fake.host->log(CONVAI_LOG_ERROR, "PJSIP/1", "one");
	fake.host->log(CONVAI_LOG_WARNING, "", "two 100%");
	fake.host->log(CONVAI_LOG_NOTICE, "PJSIP/1", "three %s %n");
	fake.host->log(CONVAI_LOG_DEBUG, "PJSIP/1", "four");
	fake.host->log(99, "", "five");
	CHECK_HAS(host_log(), "ERROR PJSIP/1: one\n");
	CHECK_HAS(host_log(), "WARNING two 100%\n");
	CHECK_HAS(host_log(), "NOTICE PJSIP/1: three %s %n\n");
	CHECK_HAS(host_log(), "VERBOSE ElevenLabs: PJSIP/1: four\n");
	CHECK_HAS(host_log(), "VERBOSE ElevenLabs: five\n");
	CHECK_INT(fake.host->abi_version, CONVAI_ABI_VERSION);
	CHECK_INT(fake.host->size, sizeof(struct convai_host));
	script_end();
}
