/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief `elevenlabs report` and `elevenlabs bundle`: what the module asks the engine, and gives it
 */

#include "call_script.h"

#include "door.h"

#define AGENTS \
	"[general]\nauth=none\nmax_sessions=7\nmetrics_user=prometheus\nmetrics_password=hidden-word\n" \
	"var_plan=secret-word\n" \
	"[sales]\nagent_id=a\nsteps_context=shop\nfallback_agent=sales2\n[sales2]\nagent_id=b\n"

static void begin(void)
{
	script_begin(AGENTS);
	fake.outcome = CONVAI_OUTCOME_OK;
	fake.answer = "/spool/call.html";
}

TEST(a_report)
{
	begin();
	CHECK_STR(host_cli("elevenlabs report PJSIP/x-1"), "/spool/call.html\n");
	CHECK_STR(fake.asked, "report \ncall=PJSIP/x-1\n");
	fake.outcome = CONVAI_OUTCOME_FAILED;
	fake.answer = "no call x is up";
	CHECK_HAS(host_cli("elevenlabs report x"), "no call x is up\nCommand 'elevenlabs report x' failed.");
	CHECK_HAS(host_cli("elevenlabs report"), "Usage: elevenlabs report <channel>");
	CHECK_HAS(host_cli("elevenlabs report a b"), "Usage: elevenlabs report <channel>");
	script_end();
}

TEST(calls_that_are_at_hand_are_offered)
{
	begin();
	fake.answer = "conv_1\nPJSIP/a-1\nPJSIP/b-2";
	CHECK_STR(host_complete("elevenlabs report PJSIP/"), "PJSIP/a-1 PJSIP/b-2");
	CHECK_STR(fake.asked, "call names \n");
	CHECK_STR(host_complete("elevenlabs report la"), "last");
	CHECK_STR(host_complete("elevenlabs report last "), "");
	script_end();
}

/*! \brief Whoever completes a word waits a moment for an engine that hangs, and no longer */
TEST(an_engine_that_hangs_offers_nothing)
{
	int64_t began_us;

	begin();
	fake.outcome = CONVAI_OUTCOME_NONE;
	began_us = host_now();
	CHECK_STR(host_complete("elevenlabs report la"), "last");
	CHECK(host_now() - began_us < 1000 * MS);
	script_end();
}

static int has(const char *text)
{
	return strstr(fake.asked, text) != NULL;
}

/*! \brief What has become of the configuration */
static const char *config_part(void)
{
	static char part[4096];
	const char *begin = strstr(fake.asked, "\nconfig.txt=");
	const char *end = begin ? strstr(begin, "\nhidden=") : NULL;

	snprintf(part, sizeof(part), "%.*s", end ? (int) (end - begin) : 0, begin);
	return part;
}

TEST(what_a_bundle_is_made_of)
{
	begin();
	host_extension_line("callers", "100", "ELEVENLABS_VAR_x=1");
	host_extension_line("others", "100", "x=1");
	host_extension_line("shop", "pay", "\"a\nb\"");
	door_log(LOG_WARNING, "a line of the log\n");
	fake.answer = "/spool/bundle.tar.gz\nlook into it";
	CHECK_STR(host_cli("elevenlabs bundle"), "/spool/bundle.tar.gz\nlook into it\n");
	CHECK(has("versions.txt=*CLI> elevenlabs show version\n"));
	CHECK(has("state.txt=*CLI> elevenlabs show agents\nName"));
	CHECK(has("counters.txt=*CLI> elevenlabs show stats\n"));
	CHECK(has("elevenlabs_calls_total"));
	/* Asterisk's own commands are run as well. */
	CHECK(has("asterisk.txt=*CLI> core show settings\nNo such command"));
	CHECK(has("config.txt=") && has("max_sessions = 7\n") && has("[sales]\nagent_id = *** (set)\n"));
	CHECK(has("steps_context = shop\n") && has("fallback_agent = sales2\n"));
	CHECK(has("metrics_password = *** (set)\n") && has("var_plan = *** (set)\n"));
	CHECK(!has("hidden-word") && !has("secret-word"));
	CHECK(has("dialplan=[\"callers\",\"100\",1,\"Set\",\"ELEVENLABS_VAR_x=1\"]\n[\"shop\",\"pay\",1,"));
	CHECK(!has("others"));
	CHECK(has("agent=sales\ncontext=shop\ncontext=elevenlabs-tools\nhidden=a\nagent=sales2\n"));
	CHECK(has("applications=*CLI> core show applications\n"));
	CHECK(has("WARNING a line of the log\n"));
	CHECK_HAS(host_cli("elevenlabs bundle x"), "Usage: elevenlabs bundle\n");
	script_end();
}

/*! \brief Each key with a word in its value that may be a credential, and each that has room for none */
TEST(what_is_shown_of_the_configuration)
{
	/* ... with the secret behind it. */
	static const char * const hidden[] = {
		"agent_id=", "branch_id=", "version_id=", "environment=", "base_url=https://", "base_url=eu,https://",
		"signed_url_endpoint=/", "api_key=", "get_state_allow=100@", "transfer_allow=", "set_variable_allow=",
		"var_a=", "json_a=[]\nvar_b=", "override_prompt=", "webhook_secret=x\nwebhook_url=https://h/",
		"webhook_url=https://h/\nwebhook_secret=",
	};
	static const char * const shown[] = {
		"chunk_ms=40", "max_sessions=5", "send_caller_number=no", "queue=refuse", "dtmf=dialplan", "dtmf_end=*",
		"filler=tone", "overrides=language", "transcripts=records", "transfer_method=refer", "tools=pay,look_*",
		"steps_context=shop", "tools_context=works", "base_url=https://api.eu.residency.elevenlabs.io",
	};
	char config[512];
	char line[256];
	size_t i;

	for (i = 0; i < ARRAY_LEN(hidden); i++) {
		snprintf(config, sizeof(config), "[sales]\n%s%sswordfish\n", i ? "agent_id=a\n" : "", hidden[i]);
		script_begin(config);
		fake.outcome = CONVAI_OUTCOME_OK;
		host_cli("elevenlabs bundle");
		CHECK_HAS(config_part(), " = *** (set)\n");
		CHECK(!strstr(config_part(), "swordfish"));
		script_end();
	}
	for (i = 0; i < ARRAY_LEN(shown); i++) {
		const char *equals = strchr(shown[i], '=');

		snprintf(config, sizeof(config), "[sales]\nagent_id=a\n%s\n", shown[i]);
		script_begin(config);
		fake.outcome = CONVAI_OUTCOME_OK;
		host_cli("elevenlabs bundle");
		snprintf(line, sizeof(line), "\n%.*s = %s\n", (int) (equals - shown[i]), shown[i], equals + 1);
		CHECK_HAS(config_part(), line);
		script_end();
	}
}

/*! \brief The oldest goes; those of who looks for a fault are not kept; what is longer is cut */
TEST(the_last_lines_of_the_log_are_kept)
{
	char text[DOOR_KEPT_SIZE * 2];
	int i;

	begin();
	for (i = 0; i < DOOR_KEPT; i++) {
		door_log(LOG_NOTICE, "line %d of many\n", i);
	}
	door_log(AST_LOG_DEBUG, "of who looks for a fault\n");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	door_log(LOG_ERROR, "%s\n", text);
	host_cli("elevenlabs bundle");
	CHECK(!has("line 0 of many") && has("NOTICE line 1 of many\n") && !has("of who looks"));
	CHECK(has("ERROR xxx"));
	script_end();
}
