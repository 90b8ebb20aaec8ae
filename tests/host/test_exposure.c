/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief elevenlabs.conf: what a reload says of keys that others can read, and never shows itself
 */

#include "host.h"

#include <sys/stat.h>

#include "asterisk/module.h"

#define CONF "elevenlabs.conf"
/*! An agent of whom nothing is to be said */
#define AGENT "[a]\nagent_id=x\nmax_duration=9\n"
#define AST_CONFIG "can read this key with AST_CONFIG()"
#define ENV "can read this key with ENV()"

static void begin(void)
{
	host_write_config(CONF, AGENT "auth=none\n");
	CHECK_INT(host_load(), AST_MODULE_LOAD_SUCCESS);
	CHECK_INT(host_logged("WARNING"), 0);
}

static void end(void)
{
	CHECK_INT(host_unload(0), 0);
}

static const char *path_of(const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%.2000s/%.1000s", host_config_directory(), name);
	return path;
}

static void allow(const char *name, mode_t mode)
{
	CHECK_INT(chmod(path_of(name), mode), 0);	/* Flawfinder: ignore */
}

/*! \brief Reload a file that is valid: so many warnings */
static void accept(const char *text, int warnings)
{
	host_log_clear();
	host_write_config(CONF, text);
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_SUCCESS);
	CHECK_INT(host_logged("WARNING"), warnings);
}

/*! \brief An agent whose key is in a file; a format, without the end of the last line */
static const char *with_key_file(const char *more)
{
	static char text[PATH_MAX + 200];

	snprintf(text, sizeof(text), AGENT "api_key_file=%s\n%s", path_of("key"), more);
	return text;
}

/* ---- Who can read a key through Asterisk ---- */

/*! \brief K1 */
TEST(a_key_that_a_function_can_read)
{
	begin();
	setenv("HOST_TEST_KEY", "sk_env", 1);
	accept(AGENT "api_key=sk_1\n", 1);
	CHECK_HAS(host_log(), "WARNING elevenlabs.conf:4 [a]: every AMI user of class call, and every "
						  "line of the dialplan, " AST_CONFIG "; move it into a file of its own that only "
						  "Asterisk can read, and name that with api_key_file\n");
	accept(AGENT "elevenlabs_api_key=sk_1\n", 1);
	CHECK_HAS(host_log(), AST_CONFIG);
	accept(AGENT "api_key_env=HOST_TEST_KEY\n", 1);
	CHECK_HAS(host_log(), "WARNING elevenlabs.conf:4 [a]: every AMI user");
	CHECK_HAS(host_log(), ENV);
	host_write_config("key", "sk_1\n");
	accept(with_key_file(""), 0);
	end();
}

/*! \brief K1: and one that no limit of Asterisk's keeps from files; told once, where there is AMI */
TEST(a_function_that_reads_any_file)
{
	begin();
	host_write_config("key", "sk_1\n");
	host_bring_function("CURL");
	accept(with_key_file(""), 0);
	host_enable_ami(1);
	accept(with_key_file("[b](a)\n"), 1);
	CHECK_HAS(host_log(), "WARNING elevenlabs.conf:4: every AMI user of class call or reporting can "
						  "read the key file with CURL(file://...)");
	CHECK_HAS(host_log(), "noload = func_curl.so in modules.conf");
	accept(AGENT "auth=none\n", 0);
	host_bring_function(NULL);
	accept(with_key_file(""), 0);
	host_enable_ami(0);
	end();
}

/*! \brief K1: once for each line, however many have it */
TEST(each_line_is_told_once)
{
	begin();
	accept("[general]\nmax_sessions=9\napi_key=sk_1\n[a]\nagent_id=x\n[b]\nagent_id=y\n", 1);
	CHECK_INT(host_logged("elevenlabs.conf:3 [general]: "), 1);
	accept("[general]\nmax_sessions=9\n[t](!)\napi_key=sk_1\n[a](t)\nagent_id=x\n[b](t)\nagent_id=y\n"
		   "[c]\nagent_id=z\napi_key=sk_2\n", 2);
	CHECK_INT(host_logged("elevenlabs.conf:4 [a]: "), 1);
	CHECK_INT(host_logged("elevenlabs.conf:11 [c]: "), 1);
	/* The other is Asterisk's own. */
	host_write_config("keys.conf", "api_key=sk_1\n");
	accept("[general]\nmax_sessions=9\n[a]\nagent_id=x\n#include keys.conf\n[b]\nagent_id=y\n"
		"#include keys.conf\n", 2);
	CHECK_HAS(host_log(), "/keys.conf:1 [a]: every AMI user");
	end();
}

/* ---- Whose the files are ---- */

/*! \brief K8 */
TEST(files_that_others_may_read)
{
	begin();
	host_write_config("key", "sk_1\n");
	accept(with_key_file(""), 0);
	allow("key", 0644);
	accept(with_key_file(""), 1);
	CHECK_HAS(host_log(), "elevenlabs.conf:4: every user may read the key file ");
	CHECK_HAS(host_log(), "/key; chmod 640 it");

	host_write_config("keys.conf", "api_key=sk_1\n");
	allow("keys.conf", 0644);
	accept(AGENT "#include keys.conf\n[b]\nagent_id=y\nmax_duration=9\n#include keys.conf\n", 3);
	CHECK_INT(host_logged("/keys.conf:1: every user may read this file and the keys in it"), 1);
	end();
}

/*! \brief K8: elevenlabs.conf itself, by whatever line may hold a secret */
TEST(a_line_that_may_hold_a_secret)
{
	static const char * const secret[] = {
		"api_key=sk_1", "var_secret__t=x", "JSON_secret__t=1",
		"override_custom_llm_extra_body={\"api_key\":\"x\"}",
	};
	char text[300];
	size_t i;

	begin();
	for (i = 0; i < ARRAY_LEN(secret); i++) {
		snprintf(text, sizeof(text), AGENT "auth=none\n%s\n", secret[i]);
		accept(text, i == 0);
		allow(CONF, 0644);
		host_log_clear();
		CHECK_INT(host_reload(), AST_MODULE_RELOAD_SUCCESS);
		CHECK_INT(host_logged("elevenlabs.conf:5: every user may read this file"), 1);
		allow(CONF, 0640);
	}
	accept(AGENT "auth=none\n", 0);
	allow(CONF, 0644);
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_SUCCESS);
	CHECK_INT(host_logged("WARNING"), 0);
	end();
}

/*! \brief K8: who may write a file says where its key goes */
TEST(files_that_others_may_write)
{
	begin();
	host_write_config("key", "sk_1\n");
	host_write_config(CONF, with_key_file(""));
	allow(CONF, 0642);
	allow("key", 0642);
	host_log_clear();
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_SUCCESS);
	CHECK_INT(host_logged("elevenlabs.conf:2: every user may write this file; chmod 640 it"), 1);
	CHECK_INT(host_logged("elevenlabs.conf:4: every user may write the key file /"), 1);
	CHECK_INT(host_logged("WARNING"), 2);
	allow(CONF, 0640);
	allow("key", 0640);

	allow(".", 0777);
	host_log_clear();
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_SUCCESS);
	CHECK_INT(host_logged("every user may replace this file, for all may write the directory /"), 1);
	CHECK_INT(host_logged("every user may replace the key file "), 1);
	allow(".", 01777);
	host_log_clear();
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_SUCCESS);
	CHECK_INT(host_logged("WARNING"), 0);
	allow(".", 0700);
	end();
}

/*! \brief K8; only root can give files away */
TEST(files_of_another_user)
{
	begin();
	host_write_config("key", "sk_1\n");
	accept(with_key_file(""), 0);
	if (geteuid() == 0) {
		CHECK_INT(chown(path_of("key"), 12345, -1), 0);
		host_log_clear();
		CHECK_INT(host_reload(), AST_MODULE_RELOAD_SUCCESS);
		CHECK_INT(host_logged("the key file"), 1);
		CHECK_HAS(host_log(), "belongs to the user 12345, who may read and write it");
		CHECK_INT(chown(path_of("key"), 0, -1), 0);
	}
	end();
}

/*! \brief K8: above a file, and above what a link in its place leads to */
TEST(directories_of_others)
{
	begin();
	CHECK_INT(mkdir(path_of("far"), 0700), 0);
	CHECK_INT(mkdir(path_of("far/near"), 0700), 0);
	host_write_config("far/near/key", "sk_1\n");
	CHECK_INT(symlink("far/near/key", path_of("key")), 0);
	accept(with_key_file(""), 0);
	allow("far", 0777);
	accept(with_key_file("[b](a)\n"), 1);
	CHECK_INT(host_logged("every user may replace the key file /"), 1);
	CHECK_INT(host_logged("for all may write the directory /"), 1);
	CHECK_INT(host_logged("/far; chmod o-w it"), 1);
	allow("far", 0700);
	if (geteuid() == 0) {
		CHECK_INT(chown(path_of("far"), 12345, -1), 0);
		accept(with_key_file(""), 1);
		CHECK_INT(host_logged("the user 12345 may replace the key file /"), 1);
		CHECK_INT(chown(path_of("far"), 0, -1), 0);
	}
	end();
}

/*! \brief K8: of a group that Asterisk's user is not in; that user is another than root here */
TEST(files_and_directories_of_a_group)
{
	static const char * const own[] = { ".", CONF, "key" };
	size_t i;

	begin();
	host_write_config("key", "sk_1\n");
	host_write_config(CONF, with_key_file(""));
	if (geteuid()) {
		end();
		return;
	}
	for (i = 0; i < ARRAY_LEN(own); i++) {
		CHECK_INT(chown(path_of(own[i]), 12345, 54321), 0);
	}
	allow("key", 0660);
	CHECK_INT(seteuid(12345), 0);
	host_log_clear();
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_SUCCESS);
	CHECK_INT(host_logged("the group 54321 may write the key file /"), 1);
	CHECK_INT(host_logged("the group 54321 may read the key file /"), 1);
	CHECK_INT(host_logged("/key; chgrp it to the group of the user that Asterisk runs as\n"), 1);
	CHECK_INT(host_logged("WARNING"), 2);
	allow(".", 0770);
	host_log_clear();
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_SUCCESS);
	CHECK_INT(host_logged("the group 54321 may replace"), 2);
	allow(".", 0700);
	CHECK_INT(setegid(0), 0);
	CHECK_INT(seteuid(0), 0);
	end();
}

/* ---- What is never shown ---- */

/*! \brief K7: a value that may be a secret, in whichever line it was put */
TEST(no_fault_shows_a_secret)
{
	static const char * const lines[] = {
		"api_key=sk_hush hush", "api_key_file=sk_hush", "api_key_file=/sk/hush",
		"api_key_env=sk_hush", "api_key_env=hush", "api_key_env=hush hush",
		"agent_id=sk_hush hush", "base_url=sk_hush", "base_url=https://user:hush@host",
		"signed_url_endpoint=https://user:hush@host", "signed_url_endpoint=ftp://h?t=hush",
		"chunk_ms=sk_hush", "dtmf=sk_hush", "ca_file=sk_hush", "fallback_agent=sk_hush",
		"sk_hush=x", "override_sk_hush=x", "overrides=sk_hush", "silence=sk_hush",
		"override_custom_llm_extra_body={\"api_key\":\"hush\"", "override_speed=hush",
		"override_tool_ids=hush", "json_secret__t=hush", "json_token=\"hush", "var_x=hush\xff",
		"var_secret__t=hush\xff", "chunk_ms=0123456789abcdef01234567hush",
		"fallback_agent=hush0123456789abcdef01234567", "0123456789abcdef01234567hush=x",
		"override_hush0123456789abcdef01234567=x", "ca_file=/nowhere/0123456789abcdef01234567hush",
	};
	char text[300];
	size_t i;

	begin();
	for (i = 0; i < ARRAY_LEN(lines); i++) {
		snprintf(text, sizeof(text), "[a]\n%s%s\n", strstr(lines[i], "agent_id") ? "" : "agent_id=x\n",
			lines[i]);
		host_write_config(CONF, text);
		host_log_clear();
		CHECK_INT(host_reload(), AST_MODULE_RELOAD_ERROR);
		CHECK_INT(host_logged("hush"), 0);
		CHECK(host_logged("ERROR elevenlabs.conf:") > 0);
		CHECK(!strstr(host_cli("elevenlabs reload"), "hush"));
	}
	end();
}

/*! \brief K7: what is no secret is shown, for it helps to find the fault */
TEST(other_values_are_shown)
{
	begin();
	host_write_config(CONF, AGENT "chunk_ms=19\nbase_url=exampel\n"
								  "ca_file=/a_name/of-many-characters/and-25-digits-1234567890123456789012345.pem\n");
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_ERROR);
	CHECK_HAS(host_log(), "chunk_ms = 19: allowed is");
	CHECK_HAS(host_log(), "base_url = exampel: allowed is");
	CHECK_HAS(host_log(), "-1234567890123456789012345.pem: allowed is");
	end();
}

/* ---- What goes in the clear, and without a limit ---- */

/*! \brief K4 */
TEST(an_address_that_is_not_encrypted)
{
	begin();
	host_write_config("key", "sk_1\n");
	accept(with_key_file("signed_url_endpoint=http://proxy.example.com/sign?a=b\n"), 1);
	CHECK_HAS(host_log(), "[a]: signed_url_endpoint is not encrypted: key and calls can be read on "
						  "the way to proxy.example.com\n");
	accept(with_key_file("signed_url_endpoint=http://127.0.0.1:1/sign\n"), 0);
	accept(with_key_file("signed_url_endpoint=https://proxy.example.com/sign\n"), 0);
	accept(with_key_file("signed_url_endpoint=/sign\n"), 0);
	accept(AGENT "auth=none\nsigned_url_endpoint=http://proxy.example.com/sign\n", 0);
	end();
}

/*! \brief K13 */
TEST(calls_without_any_limit)
{
	begin();
	accept("[a]\nagent_id=x\nauth=none\n", 1);
	CHECK_HAS(host_log(), "WARNING elevenlabs.conf [a]: nothing limits the number and the length of "
						  "calls: max_sessions, max_duration and silence_timeout are all 0; set them in [general]\n");
	accept("[general]\nauth=none\n[z]\nagent_id=x\nmax_duration=9\n[a]\nagent_id=x\n[b]\nagent_id=y\n"
		   "[c]\nagent_id=x\n", 1);
	CHECK_HAS(host_log(), "[a]: nothing limits the number and the length of calls, nor of 2 other agents");
	accept("[general]\nmax_sessions=9\nauth=none\n[a]\nagent_id=x\n[b]\nagent_id=y\n", 0);
	accept("[a]\nagent_id=x\nauth=none\nmax_sessions=9\n", 0);
	accept("[a]\nagent_id=x\nauth=none\nsilence_timeout=9\n", 0);
	accept("", 0);
	end();
}
