/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What the agent is told about a call
 */

#include "call_script.h"

#include "asterisk/callerid.h"
#include "asterisk/pbx.h"

#define VARIABLE(name) fake_value(fake_session(0), CONVAI_PAIR_VARIABLE, name)
#define JSON(name) fake_value(fake_session(0), CONVAI_PAIR_JSON, name)
#define OVERRIDE(name) fake_value(fake_session(0), CONVAI_PAIR_OVERRIDE, name)
#define SETTING(name) fake_value(fake_session(0), CONVAI_PAIR_SETTING, name)

static struct ast_channel *channel;

static void begin(const char *config)
{
	channel = script_begin(config);
}

static void set(const char *name, const char *value)
{
	pbx_builtin_setvar_helper(channel, name, value);
}

static void run(void)
{
	script_hangup_at(host_now() + 5 * MS);
	script_run("sales");
}

TEST(what_every_agent_is_told)
{
	begin(NULL);
	host_channel_caller(channel, "+431234", AST_PRES_ALLOWED);
	host_channel_dialed(channel, "555");
	run();
	CHECK_STR(VARIABLE("caller_number"), "+431234");
	CHECK_STR(VARIABLE("called_number"), "555");
	CHECK_STR(VARIABLE("channel"), "PJSIP/caller-00000001");
	CHECK_STR(VARIABLE("unique_id"), "1700000000.1");
	CHECK_STR(VARIABLE("linked_id"), "1700000000.0");
	CHECK_STR(VARIABLE("call_direction"), "inbound");
	script_end();
}

TEST(without_a_dialed_number_the_extension)
{
	begin(NULL);
	run();
	CHECK_STR(VARIABLE("called_number"), "100");
	CHECK_STR(VARIABLE("caller_number"), "");
	script_end();
}

TEST(a_number_that_is_withheld)
{
	begin(NULL);
	host_channel_caller(channel, "+431234", AST_PRES_RESTRICTED | 1);
	run();
	CHECK_STR(VARIABLE("caller_number"), "");
	script_end();
}

TEST(a_number_that_is_not_available)
{
	begin(NULL);
	host_channel_caller(channel, "+431234", AST_PRES_UNAVAILABLE);
	run();
	CHECK_STR(VARIABLE("caller_number"), "");
	script_end();
}

/*! L14 */
TEST(what_stands_in_the_place_of_a_withheld_number)
{
	static const char * const names[] = {
		"anonymous", "Anonymous", "RESTRICTED", "Unavailable", "unknown", "private", "withheld",
		"blocked", "",
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(names); i++) {
		begin(NULL);
		host_channel_caller(channel, names[i], AST_PRES_ALLOWED);
		run();
		CHECK_STR(VARIABLE("caller_number"), "");
		script_end();
	}
	begin(NULL);
	host_channel_caller(channel, "anonymous2", AST_PRES_ALLOWED);
	run();
	CHECK_STR(VARIABLE("caller_number"), "anonymous2");
	script_end();
}

/* ---- Calls that we have made ---- */

struct outbound {
	const char *name;		/*!< of the channel */
	const char *uri;		/*!< PJSIP's */
	const char *reached;		/*!< caller id; NULL for none */
	const char *ours;		/*!< connected line; NULL for none */
	int presentation;		/*!< of both */
	const char *caller;		/*!< what the agent is told */
	const char *called;
};

/*! L13 */
TEST(a_call_that_we_have_made)
{
	static const struct outbound cases[] = {
		{ "PJSIP/trunk-1", "sip:+15550199@127.0.0.1:5070", "5550100", "5550100", 0,
			"5550100", "+15550199" },
		{ "PJSIP/trunk-1", "\"X\" <sips:5550199;phone-context=a@host>;tag=1", NULL, "5550100", 0,
			"5550100", "5550199" },
		{ "PJSIP/trunk-1", "<tel:+15550199;phone-context=example.com>", NULL, NULL, 0,
			"", "+15550199" },
		/* A telephone: its account is no number, so its identity is told. */
		{ "PJSIP/200-1", "sip:x7f3a@10.0.0.4", "200", "5550100", 0, "5550100", "200" },
		{ "PJSIP/anna-1", "sip:anna@10.0.0.4", "5550100", "5550100", 0, "5550100", "anna" },
		{ "PJSIP/anna-1", "sip:10.0.0.4", NULL, "5550100", 0, "5550100", "" },
		{ "PJSIP/anna-1", "", "200", NULL, 0, "200", "" },
		{ "Local/5550199@dial-0001;1", "", "5550100", "5550100", 0, "5550100", "5550199" },
		{ "DAHDI/1-1", "", "5550199", "5550100", 0, "5550100", "5550199" },
		/* L14 */
		{ "PJSIP/x-1", "sip:anonymous@anonymous.invalid", "anonymous", "anonymous", 0, "", "" },
		{ "DAHDI/1-1", "", "5550199", "5550100", AST_PRES_RESTRICTED, "", "" },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(cases); i++) {
		const struct outbound *one = &cases[i];

		begin(NULL);
		host_channel_masquerade(channel, one->name, ast_format_ulaw, "");
		host_channel_outgoing(channel, one->uri);
		host_channel_caller(channel, one->reached ? one->reached : "", one->presentation);
		if (one->ours) {
			host_channel_connected(channel, one->ours, one->presentation);
		}
		run();
		CHECK_STR(VARIABLE("caller_number"), one->caller);
		CHECK_STR(VARIABLE("called_number"), one->called);
		CHECK_STR(VARIABLE("call_direction"), "outbound");
		script_end();
	}
}

/*! L13 */
TEST(what_is_dialled_is_what_originate_says)
{
	begin(NULL);
	host_channel_outgoing(channel, "sip:+15550199@host");
	host_channel_dialed(channel, "5550198");
	run();
	CHECK_STR(VARIABLE("called_number"), "5550198");
	script_end();
}

/*! L13 */
TEST(the_other_party_of_an_outbound_call_is_not_to_be_told)
{
	begin("[sales]\nauth=none\nagent_id=a\nsend_caller_number=no\n");
	host_channel_outgoing(channel, "sip:+15550199@host");
	run();
	CHECK(VARIABLE("caller_number") == NULL);
	CHECK_STR(VARIABLE("called_number"), "");
	script_end();
}

/*! L13 */
TEST(the_numbers_of_an_outbound_call_can_be_set)
{
	begin("[sales]\nauth=none\nagent_id=a\nvar_caller_number=100\n");
	host_channel_outgoing(channel, "sip:+15550199@host");
	set("ELEVENLABS_VAR_called_number", "555");
	set("ELEVENLABS_VAR_call_direction", "campaign");
	run();
	CHECK_STR(VARIABLE("caller_number"), "100");
	CHECK_STR(VARIABLE("called_number"), "555");
	CHECK_STR(VARIABLE("call_direction"), "campaign");
	script_end();
}

TEST(a_number_that_passed_a_screen)
{
	begin(NULL);
	host_channel_caller(channel, "+431234", AST_PRES_ALLOWED | 1);
	run();
	CHECK_STR(VARIABLE("caller_number"), "+431234");
	script_end();
}

TEST(a_number_that_is_not_to_be_sent)
{
	begin("[sales]\nauth=none\nagent_id=a\nsend_caller_number=no\n");
	host_channel_caller(channel, "+431234", AST_PRES_ALLOWED);
	run();
	CHECK(VARIABLE("caller_number") == NULL);
	CHECK(VARIABLE("called_number") != NULL);
	script_end();
}

TEST(variables_of_each_kind)
{
	begin(NULL);
	set("ELEVENLABS_VAR_postcode", "01234");
	set("ELEVENLABS_JSON_age", "42");
	set("ELEVENLABS_OVERRIDE_first_message", "Good evening");
	run();
	CHECK_STR(VARIABLE("postcode"), "01234");
	CHECK_STR(JSON("age"), "42");
	CHECK_STR(OVERRIDE("first_message"), "Good evening");
	script_end();
}

TEST(prefixes_of_inheritance)
{
	begin(NULL);
	set("_ELEVENLABS_VAR_one", "1");
	set("__ELEVENLABS_VAR_two", "2");
	set("__ELEVENLABS_JSON_three", "3");
	set("_ELEVENLABS_OVERRIDE_language", "de");
	run();
	CHECK_STR(VARIABLE("one"), "1");
	CHECK_STR(VARIABLE("two"), "2");
	CHECK_STR(JSON("three"), "3");
	CHECK_STR(OVERRIDE("language"), "de");
	script_end();
}

TEST(what_only_looks_like_one)
{
	begin(NULL);
	set("ELEVENLABS_VAR_", "no name");
	set("ELEVENLABS_VARname", "no underscore");
	set("elevenlabs_var_lower", "another case");
	set("XELEVENLABS_VAR_name", "not at the beginning");
	set("ELEVENLABSSTATUS", "of the call before");
	run();
	/* Five defaults and the settings. */
	CHECK(VARIABLE("") == NULL);
	CHECK(VARIABLE("name") == NULL);
	CHECK(VARIABLE("lower") == NULL);
	CHECK(VARIABLE("linked_id") != NULL);
	script_end();
}

TEST(a_name_keeps_its_case_and_its_underscores)
{
	begin(NULL);
	set("ELEVENLABS_VAR_Customer_Name_", "x");
	run();
	CHECK_STR(VARIABLE("Customer_Name_"), "x");
	script_end();
}

TEST(an_empty_value_is_a_value)
{
	begin(NULL);
	set("ELEVENLABS_VAR_empty", "");
	run();
	CHECK_STR(VARIABLE("empty"), "");
	script_end();
}

TEST(the_dialplan_overrules_the_defaults)
{
	begin(NULL);
	host_channel_caller(channel, "+431234", AST_PRES_ALLOWED);
	set("ELEVENLABS_VAR_caller_number", "anonymous");
	set("ELEVENLABS_JSON_called_number", "7");
	run();
	CHECK_STR(VARIABLE("caller_number"), "anonymous");
	CHECK(VARIABLE("called_number") == NULL);
	CHECK_STR(JSON("called_number"), "7");
	script_end();
}

TEST(of_two_of_one_name_the_newer_counts)
{
	begin(NULL);
	set("ELEVENLABS_JSON_x", "1");
	set("ELEVENLABS_VAR_x", "2");
	set("ELEVENLABS_OVERRIDE_x", "3");
	run();
	CHECK_STR(VARIABLE("x"), "2");
	CHECK(JSON("x") == NULL);
	CHECK_STR(OVERRIDE("x"), "3");
	script_end();
}

TEST(what_is_not_UTF_8_becomes_question_marks)
{
	begin(NULL);
	set("ELEVENLABS_VAR_name", "Andr\xe9");
	set("ELEVENLABS_VAR_good", "Andr\xc3\xa9");
	set("ELEVENLABS_VAR_caf\xe9", "x");
	run();
	CHECK_STR(VARIABLE("name"), "Andr?");
	CHECK_STR(VARIABLE("good"), "Andr\xc3\xa9");
	CHECK_STR(VARIABLE("caf?"), "x");
	CHECK_INT(host_logged("is not UTF-8"), 2);
	CHECK_INT(host_logged("name is not UTF-8"), 1);
	script_end();
}

TEST(many_variables)
{
	char name[64];
	char value[64];
	int i;

	begin(NULL);
	for (i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "ELEVENLABS_VAR_v%d", i);
		snprintf(value, sizeof(value), "%d", i);
		set(name, value);
	}
	run();
	for (i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "v%d", i);
		snprintf(value, sizeof(value), "%d", i);
		CHECK_STR(VARIABLE(name), value);
	}
	script_end();
}

TEST(a_very_long_value)
{
	char *value = calloc(1, 100001);

	memset(value, 'v', 100000);
	begin(NULL);
	set("ELEVENLABS_VAR_long", value);
	run();
	CHECK_STR(VARIABLE("long"), value);
	free(value);
	script_end();
}

/*! \brief A call whose variable has so many bytes, the last ones these; what the agent is told */
static const char *told(const char *name, size_t length, const char *last)
{
	char *value = calloc(1, length + 1);
	static char got[10000];
	const char *found;

	memset(value, 'v', length);
	memcpy(value + length - strlen(last), last, strlen(last));
	begin(NULL);
	host_log_clear();
	set(name, value);
	run();
	found = VARIABLE("x") ? VARIABLE("x") : JSON("x") ? JSON("x") : OVERRIDE("prompt");
	ast_copy_string(got, found, sizeof(got));
	free(value);
	return got;
}

/*! H7: what Asterisk cuts without a word, as long as it cuts it */
TEST(a_value_that_was_probably_cut)
{
	static const struct {
		const char *name;
		size_t length;
		int warned;
	} cases[] = {
		{ "ELEVENLABS_VAR_x", 4095, 1 },
		{ "ELEVENLABS_JSON_x", 4095, 1 },
		{ "ELEVENLABS_OVERRIDE_prompt", 4095, 1 },
		{ "ELEVENLABS_VAR_x", 4094, 0 },
		{ "ELEVENLABS_VAR_x", 4096, 0 },
		{ "ELEVENLABS_VAR_x", 8173, 0 },	/* 8190 with the name and an equals sign */
		{ "ELEVENLABS_VAR_x", 8174, 1 },
		{ "ELEVENLABS_VAR_x", 8175, 0 },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(cases); i++) {
		CHECK_INT(strlen(told(cases[i].name, cases[i].length, "")), cases[i].length);
		CHECK_INT(host_logged("WARNING"), cases[i].warned);
		CHECK_INT(host_logged("which is where Asterisk cuts"), cases[i].warned);
		script_end();
	}
	told("ELEVENLABS_OVERRIDE_prompt", 4095, "");
	CHECK_HAS(host_log(), "PJSIP/caller-00000001: ELEVENLABS_OVERRIDE_prompt has 4095 bytes");
	CHECK_HAS(host_log(), "${FILE(x,0,4000)}${FILE(x,4000,4000)}, or into elevenlabs.conf");
	script_end();
}

/*! H7: half a character at the cut is not to spoil all others */
TEST(a_value_that_was_cut_within_a_character)
{
	CHECK_INT(strlen(told("ELEVENLABS_VAR_x", 4095, "\xc3\xa9\xc3")), 4094);
	CHECK_INT(host_logged("is not UTF-8"), 0);
	script_end();
	CHECK_INT(strlen(told("ELEVENLABS_VAR_x", 4095, "\xf0\x9f\x98")), 4092);
	CHECK_INT(host_logged("is not UTF-8"), 0);
	script_end();
	CHECK(!strchr(told("ELEVENLABS_VAR_x", 4095, "\xc3\xa9"), '?'));
	script_end();
	CHECK(strchr(told("ELEVENLABS_VAR_x", 4095, "\xe9v\xc3"), '?') != NULL);
	CHECK_INT(host_logged("is not UTF-8"), 1);
	script_end();
}

TEST(the_settings_that_the_engine_is_told)
{
	begin("[general]\napi_key=sk_1\nbase_url=eu\ndebug=yes\nmax_duration=60\nmax_sessions=3\n"
		"[sales]\nagent_id=agent_1\nchunk_ms=40\nsilence=no\n");
	run();
	CHECK_STR(SETTING("agent_id"), "agent_1");
	CHECK_STR(SETTING("api_key"), "sk_1");
	CHECK_STR(SETTING("base_url"), "https://api.eu.residency.elevenlabs.io");
	CHECK_STR(SETTING("auth"), "signed_url");
	CHECK_STR(SETTING("signed_url_endpoint"), "");
	CHECK_STR(SETTING("chunk_ms"), "40");
	CHECK_STR(SETTING("connect_timeout"), "10");
	CHECK_STR(SETTING("connect_attempts"), "3");
	CHECK_STR(SETTING("max_duration"), "60");
	CHECK_STR(SETTING("tls_verify"), "yes");
	CHECK_STR(SETTING("ca_file"), "");
	CHECK_STR(SETTING("debug"), "yes");
	/* What is the module's own business. */
	CHECK(SETTING("silence") == NULL);
	CHECK(SETTING("max_sessions") == NULL);
	CHECK(SETTING("send_caller_number") == NULL);
	CHECK(SETTING("api_key_file") == NULL);
	script_end();
}
