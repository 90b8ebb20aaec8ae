/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief elevenlabs.conf: what is understood, what is refused, and that a fault changes nothing
 */

#include "host.h"

#include <sys/stat.h>

#include "asterisk/module.h"

#include "config/config.h"

/*! Of a file that Asterisk does not take */
#define UNPARSED \
	"ERROR elevenlabs.conf: Asterisk cannot parse it; Asterisk's log says where\n"
/*! A file that is valid, and what shows that it is in use */
#define GOOD "[general]\nauth=none\n[good]\nagent_id=agent_good\n"

static void begin(void)
{
	host_write_config("elevenlabs.conf", GOOD);
	CHECK_INT(host_load(), AST_MODULE_LOAD_SUCCESS);
}

static void end(void)
{
	CHECK_INT(host_unload(0), 0);
}

/*! \brief The value of an agent's key, until the next call; FAILs if there is no such agent */
static const char *value(const char *agent_name, enum config_key_id id)
{
	static char text[CONFIG_VALUE_SIZE];
	struct config *config = config_get();
	struct config_agent *agent = config_find_agent(config, agent_name);

	if (!agent) {
		FAIL("there is no agent %s", agent_name);
	}
	ast_copy_string(text, agent->values[id], sizeof(text));
	ao2_ref(agent, -1);
	ao2_ref(config, -1);
	return text;
}

static size_t agent_count(void)
{
	struct config *config = config_get();
	size_t count = AST_VECTOR_SIZE(&config->agents);

	ao2_ref(config, -1);
	return count;
}

/*! \brief Load a file that is valid */
static void accept(const char *text)
{
	host_log_clear();
	host_write_config("elevenlabs.conf", text);
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_SUCCESS);
	CHECK_INT(host_logged("ERROR"), 0);
}

/*! \brief Load a file that is not valid: that is said, and the file before stays in use */
static void refuse(const char *text, const char *fault)
{
	host_write_config("elevenlabs.conf", GOOD);
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_SUCCESS);
	host_log_clear();
	host_write_config("elevenlabs.conf", text);
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_ERROR);
	CHECK_HAS(host_log(), fault);
	CHECK_HAS(host_log(), "the old configuration stays in use");
	CHECK_STR(value("good", KEY_AGENT_ID), "agent_good");
	CHECK_INT(agent_count(), 1);
}

/* ---- Keys ---- */

/*! A key, what is allowed for it in canonical form, and what is not */
struct key_case {
	const char *key;
	enum config_key_id id;
	const char *good[10][2];
	const char *bad[15];
};

#define CHARACTERS_20 "abcdefghijklmnopqrst"
#define CHARACTERS_79 CHARACTERS_20 CHARACTERS_20 CHARACTERS_20 "abcdefghijklmnopqrs"

static const struct key_case key_cases[] = {
	{
		"api_key", KEY_API_KEY,
		{ { "sk_123", "sk_123" } },
		{ "", "two words", "tab\there", "caf\xc3\xa9" }
	},
	{
		"base_url", KEY_BASE_URL,
		{	{ "us", "https://api.us.elevenlabs.io" },
			{ "EU", "https://api.eu.residency.elevenlabs.io" },
			{ "in", "https://api.in.residency.elevenlabs.io" },
			{ "sg", "https://api.sg.residency.elevenlabs.io" },
			{ "https://example.com/", "https://example.com" },
			{ "http://127.0.0.1:8765", "http://127.0.0.1:8765" },
			{ "http://[::1]:8765/path", "http://[::1]:8765/path" },
			{
				"eu , http://h/,us", "https://api.eu.residency.elevenlabs.io,http://h,"
				"https://api.us.elevenlabs.io"
			}
		},
		{
			"", "de", "example.com", "ftp://example.com", "https://", "https:///path",
			"https://host/?q=1", "https://ho st", "wss://host",
			",", "us,", ",us", "us,,eu", "us eu"
		}
	},
	{
		"branch_id", KEY_BRANCH_ID,
		{ { "agtbrch_1", "agtbrch_1" } },
		{ "", "two words" }
	},
	{
		"version_id", KEY_VERSION_ID,
		{ { "agtvrsn_1", "agtvrsn_1" } },
		{ "", "two words" }
	},
	{
		"environment", KEY_ENVIRONMENT,
		{ { "staging", "staging" } },
		{ "", "two words" }
	},
	{
		"auth", KEY_AUTH,
		{ { "none", "none" }, { "signed_url", "signed_url" } },
		{ "", "yes", "None", "signed" }
	},
	{
		"signed_url_endpoint", KEY_SIGNED_URL_ENDPOINT,
		{ { "/v1/x?y=z", "/v1/x?y=z" }, { "https://h/p?q", "https://h/p?q" } },
		{ "v1/x", "/a b", "ftp://x" }
	},
	{
		"chunk_ms", KEY_CHUNK_MS,
		{ { "20", "20" }, { "1000", "1000" }, { "0100", "100" }, { "+50", "50" } },
		{ "19", "1001", "", "20ms", "2e1", "-20", "99999999999999999999", "0x20" }
	},
	{
		"max_sessions", KEY_MAX_SESSIONS,
		{ { "0", "0" }, { "100000", "100000" } },
		{ "-1", "100001", "many", "" }
	},
	{
		"connect_timeout", KEY_CONNECT_TIMEOUT,
		{ { "1", "1" }, { "60", "60" } },
		{ "0", "61", "1.5", "ten" }
	},
	{
		"connect_attempts", KEY_CONNECT_ATTEMPTS,
		{ { "1", "1" }, { "10", "10" } },
		{ "0", "11", "" }
	},
	{
		"send_caller_number", KEY_SEND_CALLER_NUMBER,
		{ { "yes", "yes" }, { "true", "yes" }, { "1", "yes" }, { "off", "no" } },
		{ "", "maybe", "2" }
	},
	{
		"max_duration", KEY_MAX_DURATION,
		{ { "0", "0" }, { "86400", "86400" } },
		{ "-1", "86401", "1h" }
	},
	{
		"silence", KEY_SILENCE,
		{ { "no", "no" }, { "on", "yes" } },
		{ "", "loud" }
	},
	{
		"ca_file", KEY_CA_FILE,
		{ { "/etc/passwd", "/etc/passwd" } },
		{ "", "passwd", "/does/not/exist" }
	},
	{
		"tls_verify", KEY_TLS_VERIFY,
		{ { "no", "no" }, { "y", "yes" } },
		{ "", "sometimes" }
	},
	{
		"debug", KEY_DEBUG,
		{ { "no", "no" }, { "t", "yes" } },
		{ "", "3" }
	},
	{
		"silence_timeout", KEY_SILENCE_TIMEOUT,
		{ { "0", "0" }, { "86400", "86400" } },
		{ "-1", "86401", "x" }
	},
	{
		"agent_timeout", KEY_AGENT_TIMEOUT,
		{ { "0", "0" }, { "86400", "86400" } },
		{ "-1", "86401", "x" }
	},
	{
		"queue", KEY_QUEUE,
		{ { "refuse", "refuse" }, { "0030", "30" } },
		{ "", "0", "never" }
	},
	{
		"overrides", KEY_OVERRIDES,
		{ { "all", "all" }, { "none", "none" }, { "prompt , language", "prompt,language" } },
		{ "", "yes", "prompt,", "promt", "Prompt", "all,prompt" }
	},
	{
		"transcripts", KEY_TRANSCRIPTS,
		{ { "none", "none" }, { "events", "events" }, { "records", "records" }, { "all", "all" } },
		{ "", "None", "yes", "events,records" },
	},
	{
		"records", KEY_RECORDS,
		{ { "yes", "yes" }, { "f", "no" } },
		{ "", "all" }
	},
	{
		"webhook_secret", KEY_WEBHOOK_SECRET,
		{ { "wsec_1+/=", "wsec_1+/=" } },
		{ "", "a b", "\xc3\xa4" }
	},
	{
		"dtmf", KEY_DTMF,
		{ { "contextual_update", "contextual_update" }, { "dialplan", "dialplan" } },
		{ "", "yes", "message" }
	},
	{
		"dtmf_end", KEY_DTMF_END,
		{ { "#", "#" }, { "*", "*" }, { "d", "D" }, { "None", "none" } },
		{ "", "##", "E" }
	},
	{
		"dtmf_timeout_ms", KEY_DTMF_TIMEOUT_MS,
		{ { "100", "100" }, { "60000", "60000" } },
		{ "99", "60001", "2.0" }
	},
	{
		"steps_context", KEY_STEPS_CONTEXT,
		{ { "mine", "mine" }, { "My_ctx.2-x", "My_ctx.2-x" }, { CHARACTERS_79, CHARACTERS_79 } },
		{ "a b", "a,b", "a(b", "${X}", CHARACTERS_79 "x" }
	},
	{
		"steps_max", KEY_STEPS_MAX,
		{ { "0", "0" }, { "1000", "1000" } },
		{ "-1", "1001", "many" }
	},
	{
		"transfer_method", KEY_TRANSFER_METHOD,
		{ { "blind", "blind" }, { "refer", "refer" } },
		{ "", "REFER", "attended" }
	},
	{
		"set_variable_allow", KEY_SET_VARIABLE_ALLOW,
		{ { "none", "none" }, { "ticket", "ticket" }, { "ticket , case_2", "ticket,case_2" } },
		{ "", "ticket,", "_ticket", "2nd", "DB(a/b)", "a b", "*" }
	},
	{
		"tools_directory", KEY_TOOLS_DIRECTORY,
		{ { "/", "/" }, { "/usr", "/usr" }, { "/usr/", "/usr" } },
		{ "tmp", "/dev/null", "/nonexistent" }
	},
	{
		"tools_context", KEY_TOOLS_CONTEXT,
		{ { "mine", "mine" }, { "My_ctx.2-x", "My_ctx.2-x" }, { CHARACTERS_79, CHARACTERS_79 } },
		{ "a b", "a,b", "a(b", "${X}", CHARACTERS_79 "x" }
	},
	{
		"tool_timeout", KEY_TOOL_TIMEOUT,
		{ { "1", "1" }, { "120", "120" } },
		{ "0", "121", "1.5" }
	},
	{
		"filler", KEY_FILLER,
		{ { "music", "music" }, { "tone", "tone" }, { "none", "none" } },
		{ "", "Music", "yes" }
	},
	{
		"filler_after_ms", KEY_FILLER_AFTER_MS,
		{ { "0", "0" }, { "60000", "60000" } },
		{ "-1", "60001", "soon" }
	},
	{
		"get_state_allow", KEY_GET_STATE_ALLOW,
		{ { "none", "none" }, { "100@hints, sales , PJSIP/*", "100@hints,sales,PJSIP/*" } },
		{ "", "a b", "sales)", "x,,y" }
	},
	{
		"ari_events", KEY_ARI_EVENTS,
		{ { "yes", "yes" }, { "no", "no" } },
		{ "", "maybe" }
	},
};

TEST(every_key_takes_what_it_allows_in_section_and_general)
{
	size_t i;
	size_t j;
	char text[512];

	begin();
	for (i = 0; i < ARRAY_LEN(key_cases); i++) {
		const struct key_case *c = &key_cases[i];

		for (j = 0; j < ARRAY_LEN(c->good) && c->good[j][0]; j++) {
			snprintf(text, sizeof(text), "[a]\nagent_id=x\n%s = %s\n", c->key, c->good[j][0]);
			accept(text);
			CHECK_STR(value("a", c->id), c->good[j][1]);
			if (c->id == KEY_MAX_SESSIONS) {
				/* In [general] it limits all agents together. */
				continue;
			}
			snprintf(text, sizeof(text), "[general]\n%s = %s\n[a]\nagent_id=x\n", c->key,
				c->good[j][0]);
			accept(text);
			CHECK_STR(value("a", c->id), c->good[j][1]);
		}
	}
	end();
}

TEST(every_key_refuses_what_it_does_not_allow)
{
	char text[512];
	char fault[512];
	size_t i;
	size_t j;

	begin();
	for (i = 0; i < ARRAY_LEN(key_cases); i++) {
		const struct key_case *c = &key_cases[i];
		int hidden = config_keys[c->id].flags & KEY_HIDDEN;

		for (j = 0; j < ARRAY_LEN(c->bad) && c->bad[j]; j++) {
			snprintf(text, sizeof(text), "[a]\nagent_id=x\n\n%s = %s\n", c->key, c->bad[j]);
			snprintf(fault, sizeof(fault),
				"ERROR elevenlabs.conf:4 [a]: %s = %s: allowed is %s\n", c->key,
				hidden ? "(not shown)" : c->bad[j], config_keys[c->id].allowed);
			refuse(text, fault);
		}
	}
	end();
}

TEST(every_key_has_a_case_here)
{
	static const enum config_key_id elsewhere[] = {
		KEY_AGENT_ID, KEY_API_KEY_FILE, KEY_API_KEY_ENV, KEY_TOOLS, KEY_FALLBACK_AGENT,
		KEY_TRANSFER_ALLOW, KEY_METRICS_USER, KEY_METRICS_PASSWORD, KEY_RECORDS_DAYS,
		KEY_WEBHOOK_URL, KEY_HTTP_PAGE,
	};

	CHECK_INT(ARRAY_LEN(key_cases) + ARRAY_LEN(elsewhere), KEY_COUNT);
}

TEST(what_general_alone_may_have)
{
	struct config *config;

	begin();
	accept("[general]\nmetrics_user = prom\nmetrics_password = s3cret\n[a]\nagent_id=x\n");
	config = config_get();
	CHECK_STR(config->general[KEY_METRICS_USER], "prom");
	CHECK_STR(config->general[KEY_METRICS_PASSWORD], "s3cret");
	CHECK_INT(config->http_page, 0);
	ao2_ref(config, -1);
	CHECK_STR(value("a", KEY_METRICS_PASSWORD), "");
	accept("[general]\nhttp_page = on\n[a]\nagent_id=x\n");
	config = config_get();
	CHECK_INT(config->http_page, 1);
	ao2_ref(config, -1);
	refuse("[a]\nagent_id=x\nhttp_page = yes\n", "ERROR elevenlabs.conf:3 [a]: http_page belongs into [general]\n");
	refuse("[general]\nhttp_page = maybe\n",
		"ERROR elevenlabs.conf:2 [general]: http_page = maybe: allowed is yes or no\n");
	accept("[general]\nmetrics_user = prom\nmetrics_password = s3cret\n[a]\nagent_id=x\n");
	accept("[general]\nmetrics_user = prom\nmetrics_password = other\n[a]\nagent_id=x\n");
	CHECK_HAS(host_log(), "changed: [general] (metrics_password)");
	refuse("[a]\nagent_id=x\nmetrics_user = prom\n",
		"ERROR elevenlabs.conf:3 [a]: metrics_user belongs into [general]\n");
	refuse("[general]\nmetrics_user = prom\n", "ERROR elevenlabs.conf:2 [general]: metrics_user and "
		"metrics_password go together: give both, or neither\n");
	refuse("[general]\nmetrics_user = a:b\nmetrics_password = x\n",
		"ERROR elevenlabs.conf:2 [general]: metrics_user = a:b: allowed is a name without blanks and colons\n");
	refuse("[general]\nmetrics_user = a\nmetrics_password = x y\n", "ERROR elevenlabs.conf:3 [general]: "
		"metrics_password = (not shown): allowed is a password without blanks; metrics_user, a colon and it have "
		"255 characters at most\n");
	end();
}

/*! What is beyond 255 Asterisk's HTTP server drops: nobody could log in */
TEST(a_login_that_is_too_long)
{
	char password[250];
	char text[512];

	begin();
	memset(password, 'p', sizeof(password));
	password[249] = '\0';
	snprintf(text, sizeof(text), "[general]\nmetrics_user = abcde\nmetrics_password = %s\n[a]\nagent_id=x\n", password);
	accept(text);
	snprintf(text, sizeof(text), "[general]\nmetrics_user = abcdef\nmetrics_password = %s\n", password);
	refuse(text, "ERROR elevenlabs.conf:3 [general]: metrics_user, a colon and metrics_password are 256 characters, "
		"and Asterisk's HTTP server takes 255 at most: make one of the two shorter\n");
	end();
}

TEST(every_alias_is_its_key)
{
	static const char * const aliases[][3] = {
		{ "elevenlabs_api_key", "sk_1", "api_key" },
		{ "elevenlabs_get_signed_url_endpoint", "/v1/x", "signed_url_endpoint" },
		{ "elevenlabs_send_caller_number", "no", "send_caller_number" },
		{ "elevenlabs_audio_frames_buffer_ms", "40", "chunk_ms" },
		{ "max_connection_attempts", "2", "connect_attempts" },
		{ "connection_timeout_seconds", "5", "connect_timeout" },
	};
	char text[512];
	size_t i;

	begin();
	for (i = 0; i < ARRAY_LEN(aliases); i++) {
		const struct config_key *key = config_key_find(aliases[i][0]);

		CHECK(key != NULL);
		CHECK_STR(key->name, aliases[i][2]);
		snprintf(text, sizeof(text), "[a]\nelevenlabs_agent_id=x\n%s=%s\n", aliases[i][0],
			aliases[i][1]);
		accept(text);
		CHECK_STR(value("a", key - config_keys), aliases[i][1]);
		CHECK_STR(value("a", KEY_AGENT_ID), "x");
	}
	end();
}

TEST(names_of_keys_have_no_case)
{
	begin();
	accept("[a]\nAgent_ID=x\nCHUNK_MS=40\n");
	CHECK_STR(value("a", KEY_CHUNK_MS), "40");
	end();
}

/*! \brief A comma-separated list of keys, as the fault about an unknown key has it */
static const char *names_of_keys(unsigned int without)
{
	static char names[1024];
	size_t i;

	names[0] = '\0';
	for (i = 0; i < KEY_COUNT; i++) {
		if (!(config_keys[i].flags & without)) {
			snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s, ",
				config_keys[i].name);
		}
	}
	return names;
}

TEST(an_unknown_key_is_a_fault_that_lists_those_there_are)
{
	char fault[2048];

	begin();
	snprintf(fault, sizeof(fault), "ERROR elevenlabs.conf:3 [a]: there is no key agentid; "
								   "allowed are %svar_NAME, json_NAME, override_NAME\n",
		names_of_keys(KEY_GENERAL_ONLY));
	CHECK_HAS(fault, " agent_id, ");
	refuse("[a]\nagent_id=x\nagentid=y\n", fault);
	snprintf(fault, sizeof(fault), "ERROR elevenlabs.conf:2 [general]: there is no key agentid; "
								   "allowed are %svar_NAME, json_NAME, override_NAME\n",
		names_of_keys(KEY_SECTION_ONLY));
	refuse("[general]\nagentid=y\n", fault);
	end();
}

TEST(a_very_long_key_is_a_fault_like_any_other)
{
	char text[4096];
	char name[3000];
	size_t length;

	begin();
	for (length = 1; length < sizeof(name); length += length < 130 ? 1 : 700) {
		memset(name, 'q', length);
		name[length] = '\0';
		snprintf(text, sizeof(text), "[a]\nagent_id=x\n%s=y\n", name);
		refuse(text, "there is no key q");
	}
	end();
}

TEST(a_key_of_an_earlier_module_is_passed_over)
{
	begin();
	accept("[a]\nagent_id=x\nloglevel=3\nredis_host=h\nenable_stt=1\n");
	CHECK_INT(host_logged("is of an earlier module and has no effect here"), 3);
	CHECK_INT(host_logged("WARNING elevenlabs.conf:4 [a]: redis_host"), 1);
	end();
}

TEST(fallback_agent_leads_somewhere_and_not_back)
{
	begin();
	accept("[a]\nagent_id=x\nauth=none\nfallback_agent=B\n"
		   "[b]\nagent_id=y\nauth=none\nfallback_agent=c\n[c]\nagent_id=z\nauth=none\n"
		   "[general]\nmax_sessions=9\n");
	CHECK_INT(host_logged("WARNING"), 0);
	refuse("[a]\nagent_id=x\nfallback_agent=nobody\n",
		"elevenlabs.conf:3 [a]: fallback_agent = nobody: allowed is the name of another");
	refuse("[a]\nagent_id=x\nfallback_agent=a\n", "fallback_agent = a leads back to a");
	refuse("[a]\nagent_id=x\nfallback_agent=b\n[b]\nagent_id=y\nfallback_agent=a\n",
		"elevenlabs.conf:6 [b]: fallback_agent = a leads back to b");
	refuse("[general]\nfallback_agent=a\n[a]\nagent_id=x\n", "belongs into the section");
	end();
}

TEST(tools)
{
	begin();
	accept("[a]\nagent_id=x\n[b]\nagent_id=y\ntools = end_call , my-tool2, pay_*\n"
		"[c]\nagent_id=z\ntools=none\n");
	CHECK_STR(value("a", KEY_TOOLS), "end_call");
	CHECK_STR(value("b", KEY_TOOLS), "end_call,my-tool2,pay_*");
	CHECK_STR(value("c", KEY_TOOLS), "none");
	refuse("[a]\nagent_id=x\ntools=end call\n",
		"elevenlabs.conf:3 [a]: tools = end call: allowed is names of tools, separated by");
	refuse("[a]\nagent_id=x\ntools=end_call,\n", "tools = end_call,: allowed is names");
	refuse("[a]\nagent_id=x\ntools=\n", "tools = : allowed is names");
	end();
}

TEST(destinations)
{
	static const char * const good[][2] = {
		{ "none", "none" }, { "100", "100" }, { "s@sales", "s@sales" }, { "s@sales:3", "s@sales:3" },
		{ " 100 , _2XXX@internal ", "100,_2XXX@internal" }, { "_+49[1-9]X.", "_+49[1-9]X." },
		{ "_X!", "_X!" }, { "_sip:1XX@pbx.example:5070", "_sip:1XX@pbx.example:5070" }, { "*72#", "*72#" },
	};
	static const char * const bad[] = {
		"", "100,", "_", "100@", "@internal", "_2[", "_2[]", "_2[1", "_2]", "_2.1", "_2!.", "a b",
		"${EXTEN}", "100@in ternal", "internal/100", "100@a@b", "[1-3]00",
		"11111111111111111111111111111111111111111111111111111111111111111111111111111111",
	};
	char text[512];
	size_t i;

	begin();
	for (i = 0; i < ARRAY_LEN(good); i++) {
		snprintf(text, sizeof(text), "[a]\nagent_id=x\ntransfer_allow = %s\n", good[i][0]);
		accept(text);
		CHECK_STR(value("a", KEY_TRANSFER_ALLOW), good[i][1]);
	}
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		snprintf(text, sizeof(text), "[a]\nagent_id=x\ntransfer_allow = %s\n", bad[i]);
		refuse(text, "ERROR elevenlabs.conf:3 [a]: transfer_allow = ");
	}
	/* A part of a list in general does not remain: the section's has the last word. */
	accept("[general]\ntransfer_allow=100,200\n[a]\nagent_id=x\n[b]\nagent_id=y\ntransfer_allow=none\n");
	CHECK_STR(value("a", KEY_TRANSFER_ALLOW), "100,200");
	CHECK_STR(value("b", KEY_TRANSFER_ALLOW), "none");
	end();
}

TEST(a_value_that_is_too_long)
{
	char text[2048] = "[a]\nagent_id=";

	begin();
	memset(text + strlen(text), 'x', CONFIG_VALUE_SIZE - 1);
	accept(text);
	strcat(text, "x");	/* Flawfinder: ignore */
	refuse(text, "ERROR elevenlabs.conf:2 [a]: agent_id = xxx");
	end();
}

TEST(a_value_that_is_not_UTF_8)
{
	begin();
	refuse("[a]\nagent_id=x\nfallback_agent=\xff\n", "fallback_agent = ?: allowed is the name");
	end();
}

TEST(every_fault_is_named)
{
	begin();
	refuse("[general]\nchunk_ms=1\nagent_id=x\n[a]\nauth=1\n[b]\nagent_id=x\nfoo=bar\n",
		"5 faults");
	CHECK_INT(host_logged("ERROR elevenlabs.conf:2 [general]: chunk_ms = 1"), 1);
	CHECK_INT(host_logged("ERROR elevenlabs.conf:3 [general]: agent_id belongs into"), 1);
	CHECK_INT(host_logged("ERROR elevenlabs.conf:5 [a]: auth = 1"), 1);
	CHECK_INT(host_logged("ERROR elevenlabs.conf:5 [a]: there is no agent_id"), 1);
	CHECK_INT(host_logged("ERROR elevenlabs.conf:8 [b]: there is no key foo"), 1);
	end();
}

/* ---- Sections ---- */

TEST(a_section_without_agent_id)
{
	begin();
	refuse("[a]\nauth=none\n",
		"ERROR elevenlabs.conf:2 [a]: there is no agent_id; every section but [general]");
	end();
}

TEST(a_section_without_a_line_of_its_own)
{
	begin();
	refuse("[a]\n", "ERROR elevenlabs.conf [a]: there is no agent_id");
	refuse("[t](!)\nauth=none\n\n[a](t)\n", "ERROR elevenlabs.conf [a]: there is no agent_id");
	refuse("[t](!)\nauth=none\n[a](t)\n\nchunk_ms=40\n",
		"ERROR elevenlabs.conf:5 [a]: there is no agent_id");
	end();
}

TEST(a_section_that_is_there_twice)
{
	char fault[512];

	begin();
	refuse("[a]\nagent_id=x\n\n[A]\n\nagent_id=y\n",
		"ERROR elevenlabs.conf:6 [A]: this section is there twice; use [A](+) to add to it\n");
	refuse("[a]\nagent_id=x\n[b]\nagent_id=y\n[a]\n",
		"ERROR elevenlabs.conf [a]: this section is there twice; use [a](+)");
	refuse("[general]\nauth=none\n[a]\nagent_id=x\n[general]\nchunk_ms=40\n",
		"ERROR elevenlabs.conf:6 [general]: this section is there twice; use [general](+)");
	refuse("[general]\n[general]\n[a]\nagent_id=x\n",
		"ERROR elevenlabs.conf [general]: this section is there twice");
	host_write_config("more.conf", "\n[good]\nagent_id=x\n");
	snprintf(fault, sizeof(fault), "ERROR %s/more.conf:3 [good]: this section is there twice",
		host_config_directory());
	refuse(GOOD "#include more.conf\n", fault);
	accept("[t](!)\nauth=none\n[a](t)\nagent_id=x\n[a](+)\nchunk_ms=40\n[T](t)\nagent_id=y\n");
	CHECK_INT(host_logged("WARNING elevenlabs.conf:"), 0);
	end();
}

/*! Asterisk cuts a longer name to that length, and says nothing: no dialplan would find the agent */
TEST(a_section_whose_name_may_have_been_cut)
{
	begin();
	refuse("[" CHARACTERS_79 "]\nagent_id=x\n", "Asterisk keeps 79 bytes of a section's name, and may have cut this "
		"one: give it a shorter one\n");
	accept("[" CHARACTERS_20 CHARACTERS_20 CHARACTERS_20 "abcdefghijklmnopqr]\nagent_id=x\n");
	end();
}

TEST(a_section_that_is_added_to)
{
	begin();
	accept("[a]\nagent_id=x\n[b]\nagent_id=y\n[a](+)\nchunk_ms=60\n");
	CHECK_STR(value("a", KEY_CHUNK_MS), "60");
	CHECK_INT(agent_count(), 2);
	end();
}

TEST(templates)
{
	begin();
	accept("[general]\nchunk_ms=100\n[base](!)\nauth=none\nchunk_ms=40\n"
		   "[a](base)\nagent_id=x\n[b](base)\nagent_id=y\nchunk_ms=60\n[c]\nagent_id=z\n");
	CHECK_INT(agent_count(), 3);
	CHECK_STR(value("a", KEY_AUTH), "none");
	CHECK_STR(value("a", KEY_CHUNK_MS), "40");
	CHECK_STR(value("b", KEY_CHUNK_MS), "60");
	CHECK_STR(value("c", KEY_CHUNK_MS), "100");
	end();
}

TEST(several_templates_the_last_one_wins)
{
	begin();
	accept("[one](!)\nauth=none\nchunk_ms=40\n[two](!)\nchunk_ms=60\nagent_id=t\n"
		   "[a](one,two)\n");
	CHECK_STR(value("a", KEY_AUTH), "none");
	CHECK_STR(value("a", KEY_CHUNK_MS), "60");
	CHECK_STR(value("a", KEY_AGENT_ID), "t");
	end();
}

TEST(a_fault_in_a_template_has_its_line)
{
	begin();
	refuse("[base](!)\nchunk_ms=1\n[a](base)\nagent_id=x\n",
		"ERROR elevenlabs.conf:2 [a]: chunk_ms = 1");
	end();
}

TEST(an_agent_may_override_general_with_the_default)
{
	begin();
	accept("[general]\nbase_url=eu\ndebug=yes\n[a]\nagent_id=x\nbase_url=us\ndebug=no\n");
	CHECK_STR(value("a", KEY_BASE_URL), "https://api.us.elevenlabs.io");
	CHECK_STR(value("a", KEY_DEBUG), "no");
	end();
}

/* ---- Files ---- */

TEST(an_included_file)
{
	char fault[512];

	begin();
	host_write_config("more.conf", "[b]\nagent_id=y\n");
	accept("[a]\nagent_id=x\n#include \"more.conf\"\n");
	CHECK_STR(value("b", KEY_AGENT_ID), "y");
	host_write_config("more.conf", "; a comment\n[b]\nagent_id=y\nchunk_ms=1\n");
	snprintf(fault, sizeof(fault), "ERROR %s/more.conf:4 [b]: chunk_ms = 1",
		host_config_directory());
	refuse("[good]\nagent_id=agent_good\n#include more.conf\n", fault);
	end();
}

TEST(lines_of_a_file_that_is_included_twice)
{
	begin();
	host_write_config("common.conf", "auth=none\nchunk_ms=1\n");
	refuse("[a]\nagent_id=x\n#include common.conf\n[b]\nagent_id=y\n#include common.conf\n",
		"common.conf:2 [a]: chunk_ms = 1");
	CHECK_INT(host_logged("common.conf:2 [b]: chunk_ms = 1"), 1);
	end();
}

TEST(a_file_name_with_a_number_is_shown_as_it_is)
{
	begin();
	host_write_config("b~~x", "chunk_ms=1\n");
	refuse("[a]\nagent_id=x\n#include b~~x\n", "/b~~x:1 [a]: chunk_ms = 1");
	end();
}

TEST(a_file_that_Asterisk_does_not_take)
{
	begin();
	refuse("agent_id=x\n", UNPARSED);
	refuse("[a](nothing)\nagent_id=x\n", UNPARSED);
	refuse("[a\nagent_id=x\n", UNPARSED);
	refuse("[a]\nagent_id=x\n#include missing.conf\n", UNPARSED);
	accept("[a]\nagent_id=x\n#tryinclude missing.conf\n");
	/* What the lines before would have said is not said: Asterisk keeps them to itself. */
	refuse("[a]\nagent_id=x\nchunk_ms=1\n[b\n", "elevenlabs.conf has 1 fault;");
	CHECK_HAS(host_cli("elevenlabs reload"), "ERROR: elevenlabs.conf: Asterisk cannot parse it;");
	end();
}

TEST(lines_that_Asterisk_skips)
{
	begin();
	accept("[a]\nagent_id=x\nchunk_ms 40\n#chunk_ms = 40\n#include\n= 40\nauth=none\n");
	CHECK_STR(value("a", KEY_CHUNK_MS), "20");
	CHECK_STR(value("a", KEY_AUTH), "none");
	CHECK_INT(host_logged("WARNING No '=' (equal sign), line 3 of "), 1);
	end();
}

TEST(comments)
{
	begin();
	accept("\xef\xbb\xbf; with a byte order mark\n"
		   "[a]\t; of the section\n"
		   "agent_id = x ; of the line\n"
		   ";-- a block\nno line at all\n--; chunk_ms = 40\n"
		   ";---- a rule ----\n"
		   "branch_id = one\\;two\n");
	CHECK_STR(value("a", KEY_AGENT_ID), "x");
	CHECK_STR(value("a", KEY_CHUNK_MS), "40");
	CHECK_STR(value("a", KEY_BRANCH_ID), "one;two");
	end();
}

TEST(arrows_blanks_and_no_last_newline)
{
	begin();
	accept("[a]\n  agent_id   =>   x  \n\tchunk_ms=40");
	CHECK_STR(value("a", KEY_AGENT_ID), "x");
	CHECK_STR(value("a", KEY_CHUNK_MS), "40");
	end();
}

TEST(a_missing_file_is_one_without_agents)
{
	begin();
	host_remove_config("elevenlabs.conf");
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_SUCCESS);
	CHECK_INT(agent_count(), 0);
	CHECK_INT(host_logged("so there are no agents"), 1);
	end();
}

TEST(an_empty_file_is_one_without_agents)
{
	begin();
	accept("");
	CHECK_INT(agent_count(), 0);
	end();
}

/* ---- The key ---- */

TEST(a_key_from_a_file)
{
	char text[PATH_MAX + 100];

	begin();
	host_write_config("key", "  sk_from_file \r\nsecond line\n");
	snprintf(text, sizeof(text), "[a]\nagent_id=x\napi_key_file=%s/key\n",
		host_config_directory());
	accept(text);
	CHECK_STR(value("a", KEY_API_KEY), "sk_from_file");
	host_write_config("key", "\n");
	host_write_config("elevenlabs.conf", text);
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_ERROR);
	CHECK_INT(host_logged("holds no key: allowed is"), 1);
	CHECK_STR(value("a", KEY_API_KEY), "sk_from_file");
	end();
}

/*! \brief The service would refuse each call with it, and say less */
TEST(a_key_file_with_more_than_a_key)
{
	static const char * const lines[] = { "\"sk_x\"", "ELEVENLABS_API_KEY=sk_x", "sk_x;" };
	char text[PATH_MAX + 100];
	size_t i;

	begin();
	snprintf(text, sizeof(text), "[a]\nagent_id=x\napi_key_file=%s/key\n",
		host_config_directory());
	for (i = 0; i < ARRAY_LEN(lines); i++) {
		host_log_clear();
		host_write_config("key", lines[i]);
		accept(text);
		CHECK_STR(value("a", KEY_API_KEY), lines[i]);
		CHECK_INT(host_logged("WARNING elevenlabs.conf:3 [a]: file /"), 1);
		CHECK_INT(host_logged("/key holds more than a key"), 1);
	}
	host_log_clear();
	host_write_config("key", "sk_x-1");
	accept(text);
	CHECK_INT(host_logged("more than a key"), 0);
	end();
}

TEST(a_key_file_that_is_none)
{
	begin();
	refuse("[a]\nagent_id=x\napi_key_file=/does/not/exist\n",
		":3 [a]: api_key_file = (not shown): allowed is");
	refuse("[a]\nagent_id=x\napi_key_file=/etc\n",
		":3 [a]: api_key_file = (not shown): allowed is");
	end();
}

TEST(a_key_from_the_environment)
{
	char many[513];

	begin();
	setenv("HOST_TEST_KEY", "sk_env", 1);
	accept("[a]\nagent_id=x\napi_key_env=HOST_TEST_KEY\n");
	CHECK_STR(value("a", KEY_API_KEY), "sk_env");
	setenv("HOST_TEST_KEY", "two words", 1);
	refuse("[a]\nagent_id=x\napi_key_env=HOST_TEST_KEY\n",
		"environment variable HOST_TEST_KEY holds no key");
	memset(many, 'k', sizeof(many) - 1);
	many[sizeof(many) - 1] = '\0';
	setenv("HOST_TEST_KEY", many, 1);
	refuse("[a]\nagent_id=x\napi_key_env=HOST_TEST_KEY\n", "ERROR elevenlabs.conf:3 [a]: "
		"environment variable HOST_TEST_KEY holds no key: it is longer than 511 bytes\n");
	unsetenv("HOST_TEST_KEY");
	refuse("[a]\nagent_id=x\napi_key_env=HOST_TEST_KEY\n",
		"Asterisk's environment has no variable of this name; allowed is the name of");
	end();
}

TEST(a_key_in_more_than_one_way)
{
	begin();
	setenv("HOST_TEST_KEY", "sk_env", 1);
	refuse("[a]\nagent_id=x\napi_key=sk\napi_key_env=HOST_TEST_KEY\n",
		"give one of api_key, api_key_file and api_key_env, not several");
	end();
}

TEST(a_sections_key_goes_before_that_of_general)
{
	begin();
	setenv("HOST_TEST_KEY", "sk_env", 1);
	accept("[general]\napi_key=sk_general\n[a]\nagent_id=x\napi_key_env=HOST_TEST_KEY\n"
		   "[b]\nagent_id=y\n");
	CHECK_STR(value("a", KEY_API_KEY), "sk_env");
	CHECK_STR(value("b", KEY_API_KEY), "sk_general");
	end();
}

TEST(a_key_is_never_shown)
{
	begin();
	host_log_clear();
	host_write_config("elevenlabs.conf", "[a]\nagent_id=x\napi_key=secret words\n");
	host_reload();
	CHECK_INT(host_logged("secret"), 0);
	CHECK_INT(host_logged("api_key = (not shown)"), 1);
	end();
}

TEST(a_key_file_whose_line_is_too_long)
{
	char key[2000];
	char text[PATH_MAX + 100];

	begin();
	memset(key, 'k', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	host_write_config("key", key);
	snprintf(text, sizeof(text), "[a]\nagent_id=x\napi_key_file=%s/key\n",
		host_config_directory());
	host_write_config("elevenlabs.conf", text);
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_ERROR);
	end();
}

/* ---- What is only pointed out ---- */

/*! \brief A transfer into a context that there is not fails; dialplans may come later, so it is no fault */
TEST(transfers_to_nowhere)
{
	begin();
	host_extension_line("internal", "100", "");
	accept("[a]\nagent_id=x\nauth=none\nmax_sessions=9\ntransfer_allow=2001@nowhere,100,_2XXX@internal,s@gone:3\n");
	CHECK_INT(host_logged("WARNING elevenlabs.conf:2 [a]: transfer_allow has 2001@nowhere, and the dialplan has no "
		"such context: transfers there fail until it has"), 1);
	CHECK_INT(host_logged("WARNING elevenlabs.conf:2 [a]: transfer_allow has s@gone:3, and the dialplan"), 1);
	CHECK_INT(host_logged("WARNING"), 2);
	accept("[a]\nagent_id=x\nauth=none\nmax_sessions=9\ntransfer_allow=100,s@internal:3\n");
	CHECK_INT(host_logged("WARNING"), 0);
	/* There it is a host. */
	accept("[a]\nagent_id=x\nauth=none\nmax_sessions=9\ntransfer_method=refer\ntransfer_allow=100@nowhere\n");
	CHECK_INT(host_logged("WARNING"), 0);
	end();
}

TEST(what_is_allowed_but_rarely_meant)
{
	begin();
	host_extension_line("internal", "100", "");
	host_extension_line("outside", "100", "");
	accept("[a]\nagent_id=x\n");
	CHECK_INT(host_logged("WARNING elevenlabs.conf:2 [a]: calls will end with AUTH"), 1);
	accept("[a]\nagent_id=x\nauth=none\ntls_verify=no\n");
	CHECK_INT(host_logged("tls_verify is no"), 1);
	accept("[a]\nagent_id=x\nauth=none\nbase_url=http://example.com\n");
	CHECK_INT(host_logged("base_url is not encrypted"), 1);
	accept("[a]\nagent_id=x\nauth=none\nversion_id=v\n");
	CHECK_INT(host_logged("WARNING elevenlabs.conf:2 [a]: version_id has no effect with auth = none"), 1);
	accept("[a]\nagent_id=x\nauth=none\ntransfer_allow=100,_03[1-9]X.,_9XX!@internal,_X.@outside\n");
	CHECK_INT(host_logged("WARNING elevenlabs.conf:2 [a]: transfer_allow has _X.@outside, which admits"), 1);
	accept("[a]\nagent_id=x\nauth=none\ntransfer_allow=_+1NXXNXXXXXX\n");
	CHECK_INT(host_logged("transfer_allow has _+1NXXNXXXXXX, which admits"), 1);
	accept("[a]\nagent_id=x\nauth=none\nmax_sessions=9\ntransfer_allow=100,_03[1-9]X.,_9XX!@internal,_2XXX\n");
	CHECK_INT(host_logged("WARNING"), 0);
	accept("[a]\nagent_id=x\nauth=none\nbase_url=http://127.0.0.1:1\nmax_duration=9\n");
	CHECK_INT(host_logged("WARNING"), 0);
	accept("[a]\nagent_id=x\nauth=none\nbase_url=http://[::1]:1\nsilence_timeout=9\n");
	CHECK_INT(host_logged("WARNING"), 0);
	accept("[a]\nagent_id=x\nauth=none\nbase_url=http://localhost:1/\nmax_sessions=9\n");
	CHECK_INT(host_logged("WARNING"), 0);
	end();
}

TEST(a_key_that_is_set_twice)
{
	begin();
	accept("[a]\nagent_id=x\nauth=none\nchunk_ms=40\nelevenlabs_audio_frames_buffer_ms=60\n");
	CHECK_INT(host_logged("WARNING elevenlabs.conf:5 [a]: chunk_ms has been set in line 4 "
						  "already; this line counts"), 1);
	CHECK_INT(host_logged("WARNING elevenlabs.conf:"), 1);
	CHECK_STR(value("a", KEY_CHUNK_MS), "60");
	/* To override what a template says is what templates are for, and other files. */
	host_write_config("more.conf", "chunk_ms=80\n");
	accept("[t](!)\nauth=none\nchunk_ms=40\n[a](t)\nagent_id=x\nchunk_ms=60\n"
		   "[a](+)\n#include more.conf\n");
	CHECK_INT(host_logged("WARNING elevenlabs.conf:"), 0);
	CHECK_INT(host_logged("has been set"), 0);
	CHECK_STR(value("a", KEY_CHUNK_MS), "80");
	end();
}

TEST(a_value_that_is_added_to)
{
	begin();
	accept("[a]\nagent_id=x\nagent_id +=y\nauth=none\n");
	CHECK_INT(host_logged("WARNING elevenlabs.conf:"), 0);
	CHECK_STR(value("a", KEY_AGENT_ID), "xy");
	end();
}

TEST(a_host_that_only_begins_like_loopback)
{
	begin();
	accept("[a]\nagent_id=x\nauth=none\nbase_url=http://localhost.example.com\n");
	CHECK_INT(host_logged("base_url is not encrypted"), 1);
	accept("[a]\nagent_id=x\nauth=none\nbase_url=http://127.example.com\n");
	CHECK_INT(host_logged("base_url is not encrypted"), 1);
	end();
}
