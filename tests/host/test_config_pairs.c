/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Dynamic variables and overrides in elevenlabs.conf
 */

#include "call_script.h"

#include "asterisk/module.h"
#include "asterisk/pbx.h"

#define AGENT "[sales]\nagent_id=agent_sales\nauth=none\n"
#define VARIABLE(name) fake_value(fake_session(0), CONVAI_PAIR_VARIABLE, name)
#define JSON(name) fake_value(fake_session(0), CONVAI_PAIR_JSON, name)
#define OVERRIDE(name) fake_value(fake_session(0), CONVAI_PAIR_OVERRIDE, name)

static struct ast_channel *channel;

static void begin(const char *config)
{
	channel = script_begin(config);
}

static void run(void)
{
	script_hangup_at(host_now() + 5 * MS);
	script_run("sales");
}

/* ---- What a call is told ---- */

TEST(lines_of_a_section)
{
	begin(AGENT "var_Shop=Main street\njson_open=[1, true]\noverride_language=de\n");
	run();
	CHECK_STR(VARIABLE("Shop"), "Main street");
	CHECK_STR(JSON("open"), "[1, true]");
	CHECK_STR(OVERRIDE("language"), "de");
	script_end();
}

TEST(lines_of_general_unless_the_section_has_its_own)
{
	begin("[general]\nvar_a=general\nvar_b=general\noverride_voice_id=v\n"
		AGENT "var_a=own\noverride_voice_id=\n");
	run();
	CHECK_STR(VARIABLE("a"), "own");
	CHECK_STR(VARIABLE("b"), "general");
	CHECK_STR(OVERRIDE("voice_id"), "");
	script_end();
}

TEST(the_dialplan_goes_first)
{
	begin(AGENT "var_a=conf\nvar_b=conf\nvar_channel=conf\njson_c=1\noverride_prompt=conf\n");
	pbx_builtin_setvar_helper(channel, "ELEVENLABS_VAR_a", "dialplan");
	pbx_builtin_setvar_helper(channel, "ELEVENLABS_VAR_c", "dialplan");
	pbx_builtin_setvar_helper(channel, "ELEVENLABS_OVERRIDE_prompt", "dialplan");
	run();
	CHECK_STR(VARIABLE("a"), "dialplan");
	CHECK_STR(VARIABLE("b"), "conf");
	CHECK_STR(VARIABLE("channel"), "conf");
	CHECK_STR(VARIABLE("c"), "dialplan");
	CHECK(!JSON("c"));
	CHECK_STR(OVERRIDE("prompt"), "dialplan");
	script_end();
}

TEST(of_two_lines_of_one_name_the_later_counts)
{
	begin(AGENT "var_a=1\nvar_a=2\n");
	run();
	CHECK_STR(VARIABLE("a"), "2");
	script_end();
}

/*! \brief Text and JSON are one variable to the agent; a template's lines come first */
TEST(of_a_text_and_a_value_of_one_name_the_later_counts)
{
	begin("[shop](!)\nvar_size=small\njson_floor=1\n"
		"[sales](shop)\nagent_id=x\nauth=none\njson_size=7\nvar_floor=ground\n");
	run();
	CHECK_STR(JSON("size"), "7");
	CHECK(!VARIABLE("size"));
	CHECK_STR(VARIABLE("floor"), "ground");
	CHECK(!JSON("floor"));
	script_end();
}

TEST(a_test_of_the_agent_uses_them)
{
	begin(AGENT "override_language=de\n");
	host_cli("elevenlabs test agent sales");
	CHECK_STR(OVERRIDE("language"), "de");
	script_end();
}

/* ---- What is allowed ---- */

static const struct {
	const char *line;
	const char *value;	/*!< that the engine gets; NULL: the line is refused */
} lines[] = {
	{ "var_x = 007", "007" },
	{ "var_x =", "" },
	{ "json_x = 1.5", "1.5" },
	{ "json_x = \"a\"", "\"a\"" },
	{ "json_x = null", "null" },
	{ "json_x = [\"a\", 1]", "[\"a\", 1]" },
	{ "json_x = {\"a\": 1}", NULL },
	{ "json_x = a", NULL },
	{ "json_x = 1, 2", NULL },
	{ "json_x =", NULL },
	{ "override_speed = 1.1", "1.1" },
	{ "override_speed = fast", NULL },
	{ "override_speed = 0x10", NULL },
	{ "override_speed = 1e0", "1e0" },
	{ "override_speed = nan", NULL },
	{ "override_max_duration_seconds = 60", "60" },
	{ "override_max_duration_seconds = 1.5", NULL },
	{ "override_max_duration_seconds = 99999999999999999999", NULL },
	{ "override_text_only = on", "yes" },
	{ "override_text_only = false", "no" },
	{ "override_text_only = maybe", NULL },
	{ "override_keywords = [\"a\"]", "[\"a\"]" },
	{ "override_keywords = a", NULL },
	{ "override_keywords = {}", NULL },
	{ "override_custom_llm_extra_body = {\"a\": {\"b\": []}}", "{\"a\": {\"b\": []}}" },
	{ "override_custom_llm_extra_body = []", NULL },
	{ "override_first_message = \xff", NULL },
	{ "override_supported_voices = [{\"label\": \"Ann\"}]", "[{\"label\": \"Ann\"}]" },
	{ "override_clone_strength = 0.5", "0.5" },
	{ "override_clone_strength = much", NULL },
	{ "override_reasoning_effort = low", "low" },
	{ "override_tool_ids_strict = on", "yes" },
	{ "override_tool_ids_strict = [\"a\"]", NULL },
	{ "override_noisy_environment_message = Pardon?", "Pardon?" },
	{ "override_procedure_ids = [\"p1\"]", "[\"p1\"]" },
	{ "override_start_procedure_ids = p1", NULL },
	{ "override_tool_mock_config = {}", "{}" },
	{ "var_ = x", NULL },
	{ "override_nothing = x", NULL },
};

static const char *sent(const char *line)
{
	const char *name = strchr(line, '_') + 1;
	char text[64];

	snprintf(text, sizeof(text), "%.*s", (int) strcspn(name, " "), name);
	return line[0] == 'v' ? VARIABLE(text) : line[0] == 'j' ? JSON(text) : OVERRIDE(text);
}

TEST(values_of_each_type)
{
	char config[256];
	size_t i;

	for (i = 0; i < ARRAY_LEN(lines); i++) {
		begin(NULL);
		snprintf(config, sizeof(config), AGENT "%s\n", lines[i].line);
		host_write_config("elevenlabs.conf", config);
		CHECK_INT(host_reload(), lines[i].value ? AST_MODULE_RELOAD_SUCCESS
			: AST_MODULE_RELOAD_ERROR);
		if (lines[i].value) {
			run();
			CHECK_STR(sent(lines[i].line), lines[i].value);
		} else {
			CHECK_HAS(host_log(), "elevenlabs.conf:4");
		}
		script_end();
	}
}

TEST(a_fault_names_what_is_allowed)
{
	begin(NULL);
	host_write_config("elevenlabs.conf", AGENT "override_lanuage=de\noverride_speed=fast\n");
	host_reload();
	CHECK_HAS(host_log(), "there is no override lanuage; there are: branch_id, client_events");
	CHECK_HAS(host_log(), "override_speed = (not shown): allowed is a number");
	script_end();
}

static void reload_events(const char *line)
{
	char config[256];

	begin(NULL);
	host_log_clear();
	snprintf(config, sizeof(config), AGENT "override_client_events=%s\n", line);
	host_write_config("elevenlabs.conf", config);
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_SUCCESS);
}

/*! \brief S23 */
TEST(a_list_of_events_without_what_a_call_needs)
{
	reload_events("[\"conversation_initiation_metadata\", \"audio\", \"interruption\", \"x\"]");
	CHECK_INT(host_logged("WARNING elevenlabs.conf:"), 0);
	script_end();

	reload_events("[\"conversation_initiation_metadata\",\"interruption\"]");
	CHECK_INT(host_logged("WARNING elevenlabs.conf:4 [sales]: override_client_events without "
		"\"audio\": callers will hear nothing of the agent; add it to the list"), 1);
	CHECK_INT(host_logged("WARNING elevenlabs.conf:"), 1);
	script_end();

	reload_events("[\"conversation_initiation_metadata\",\"audio\",\"interruptions\"]");
	CHECK_INT(host_logged("WARNING elevenlabs.conf:4 [sales]: override_client_events without "
		"\"interruption\": callers cannot interrupt the agent; add it to the list"), 1);
	script_end();

	reload_events("[]");
	CHECK_INT(host_logged("WARNING elevenlabs.conf:4"), 3);
	script_end();

	/* Takes back the list of [general]. */
	reload_events("");
	CHECK_INT(host_logged("WARNING elevenlabs.conf:"), 0);
	script_end();
}

/* ---- What a reload says ---- */

TEST(a_reload_names_them)
{
	begin(AGENT "var_a=1\nvar_b=1\noverride_language=de\n");
	host_write_config("elevenlabs.conf", AGENT "var_a=2\nvar_b=1\njson_c=[]\n");
	CHECK_HAS(host_cli("elevenlabs reload"),
		"changed: sales (var_a, json_c, override_language)\n");
	CHECK_HAS(host_cli("elevenlabs reload"), "nothing changed");
	host_write_config("elevenlabs.conf", AGENT "json_a=2\nvar_b=1\njson_c=[]\n");
	CHECK_HAS(host_cli("elevenlabs reload"), "changed: sales (json_a, var_a)\n");
	script_end();
}
