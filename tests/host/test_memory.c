/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Out of memory at every place: nothing is lost, and what comes next works
 *
 * The nth allocation fails, for every n until there are no more.
 */

#include "call_script.h"

#include "asterisk/module.h"
#include "asterisk/pbx.h"

#define CONFIG "[general]\nauth=none\n[base](!)\nchunk_ms=40\n[sales](base)\nagent_id=a\nvar_a=1\njson_b=[1]\n" \
	"tools=x\n#include more.conf\n"
/*! More than there are allocations in anything here */
#define MANY 2000

static void begin(void)
{
	host_write_config("more.conf", "[support]\nagent_id=b\nloglevel=1\n");
	host_write_config("elevenlabs.conf", CONFIG);
}

TEST(a_load)
{
	unsigned int declined = 0;
	unsigned int n;
	int res;

	begin();
	for (n = 1; n < MANY; n++) {
		host_fail_allocation(n);
		res = host_load();
		host_fail_allocation(0);
		if (res == AST_MODULE_LOAD_SUCCESS) {
			CHECK_INT(host_unload(0), 0);
			host_fail_allocation(n);
			host_load();
			if (!host_allocation_failed()) {
				break;
			}
			host_fail_allocation(0);
			CHECK_INT(host_unload(0), 0);
		} else {
			declined++;
			CHECK_INT(host_registrations(), 0);
		}
	}
	CHECK(n < MANY);
	CHECK(declined > 10);
	host_fail_allocation(0);
	CHECK_INT(host_unload(0), 0);
}

TEST(a_reload_changes_all_or_nothing)
{
	unsigned int refused = 0;
	unsigned int n;
	int failed = 1;

	begin();
	CHECK_INT(host_load(), AST_MODULE_LOAD_SUCCESS);
	for (n = 1; n < MANY && failed; n++) {
		int res;

		host_fail_allocation(n);
		res = host_reload();
		failed = host_allocation_failed();
		host_fail_allocation(0);
		refused += res != AST_MODULE_RELOAD_SUCCESS;
		CHECK_HAS(host_cli("elevenlabs show agents"), "2 agents");
	}
	CHECK(!failed);
	CHECK(refused > 10);
	CHECK_INT(host_unload(0), 0);
}

TEST(a_value_is_never_silently_its_default)
{
	unsigned int n;
	int failed = 1;

	host_write_config("elevenlabs.conf", "[sales]\nagent_id=a\nauth=none\nbase_url=eu\n");
	CHECK_INT(host_load(), AST_MODULE_LOAD_SUCCESS);
	for (n = 1; n < MANY && failed; n++) {
		host_fail_allocation(n);
		host_reload();
		failed = host_allocation_failed();
		host_fail_allocation(0);
		CHECK_HAS(host_cli("elevenlabs show agents"), "api.eu.residency.elevenlabs.io");
	}
	CHECK_INT(host_unload(0), 0);
}

/*! \brief A call in which the nth allocation fails. \return whether there were as many */
static int call(struct ast_channel *channel, unsigned int n)
{
	int64_t start = host_now();
	unsigned int opens = fake.opens;
	int failed;

	if (opens >= 50) {
		fake_forget();
	}
	host_channel_talk(channel, start, start + 50 * MS, 20 * MS, 20 * MS);
	host_fail_allocation(n);
	host_exec(channel, "ElevenLabsConvAI", "sales");
	failed = host_allocation_failed();
	host_fail_allocation(0);
	CHECK(host_variable(channel, "ELEVENLABSSTATUS")[0] != '\0');
	CHECK(ast_channel_readformat(channel) == ast_format_ulaw);
	return failed;
}

static void finish(void *data)
{
	fake_talk(data, CONVAI_ENCODING_SLIN, 16000);
	fake_end(data, CONVAI_STATUS_AGENT_ENDED, "done", 0);
}

static void opened(struct convai_session *session)
{
	host_at(host_now() + 45 * MS, finish, session);
}

TEST(a_call)
{
	struct ast_channel *channel;
	unsigned int n;

	begin();
	CHECK_INT(host_load(), AST_MODULE_LOAD_SUCCESS);
	channel = host_channel("PJSIP/1", ast_format_ulaw);
	pbx_builtin_setvar_helper(channel, "ELEVENLABS_VAR_a", "1");
	pbx_builtin_setvar_helper(channel, "ELEVENLABS_JSON_b", "\xff");
	fake.opened = opened;
	for (n = 1; call(channel, n); n++) {
		CHECK(n < MANY);
		host_sleep(100 * MS);
	}
	CHECK(n > 10);
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "AGENT_ENDED");
	CHECK_INT(host_unload(0), 0);
	ast_channel_unref(channel);
	fake_forget();
}

static void type_all(void *data)
{
	static const char * const lines[] = {
		"elevenlabs show agents", "elevenlabs show sessions",
		"elevenlabs show session PJSIP/caller-00000001", "elevenlabs show version",
		"elevenlabs show stats", "elevenlabs show stats buckets",
		"elevenlabs reload", "elevenlabs hangup nobody",
	};
	size_t i;
	unsigned int n;
	int failed;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		for (n = 1, failed = 1; failed; n++) {
			host_fail_allocation(n);
			host_cli(lines[i]);
			failed = host_allocation_failed();
		}
	}
	for (n = 1, failed = 1; failed; n++) {
		host_fail_allocation(n);
		host_complete("elevenlabs hangup ");
		failed = host_allocation_failed();
	}
	host_fail_allocation(0);
}

TEST(commands)
{
	script_begin(NULL);
	script_metadata_at(10 * MS);
	host_at(100 * MS, type_all, NULL);
	script_hangup_at(200 * MS);
	script_run("sales");
	script_end();
}
