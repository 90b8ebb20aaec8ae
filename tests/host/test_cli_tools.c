/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Commands about tools: what they ask the engine, and what a reload tells it
 */

#include "call_script.h"

#include <sys/stat.h>

#include "asterisk/module.h"

#include "config/config.h"

#define CONF "elevenlabs.conf"
#define AGENTS \
	"[general]\nauth=none\ntools_directory=/usr\n" \
	"[sales]\nagent_id=a\ntools=pay*,end_call\nsteps_context=shop\n" \
	"[support]\nagent_id=b\ntool_timeout=30\ntools_directory=/\n" \
	"[other]\nagent_id=c\n"

static void nothing(struct ast_channel *channel, void *data)
{
	(void) channel;
	(void) data;
}

static void begin(void)
{
	script_begin(AGENTS);
	host_extension("shop", "pay_now", nothing, NULL);
	host_extension("elevenlabs-steps", "hours", nothing, NULL);
	host_extension("shop", "h", nothing, NULL);
	fake.outcome = CONVAI_OUTCOME_OK;
	fake.answer = "one\ntwo";
}

TEST(show_tools_of_all)
{
	begin();
	CHECK_STR(host_cli("elevenlabs show tools"), "one\ntwo\n");
	CHECK_STR(fake.asked, "show tools \ndirectory=/usr\ndirectory=/\nstep=pay_now@shop\nstep=h@shop\n"
		"step=hours@elevenlabs-steps\n");
	script_end();
}

TEST(show_tools_of_one)
{
	begin();
	CHECK_STR(host_cli("elevenlabs show tools sales"), "one\ntwo\n");
	CHECK_STR(fake.asked, "show tools sales\ndirectory=/usr\nstep=pay_now@shop\n"
		"step=h@shop\n");
	CHECK_HAS(host_cli("elevenlabs show tools nobody"), "There is no agent nobody in elevenlabs.conf\n");
	CHECK_HAS(host_complete("elevenlabs show tools su"), "support");
	CHECK_HAS(host_cli("elevenlabs show tools a b"), "Usage: elevenlabs show tools [agent]\n");
	script_end();
}

TEST(test_tool)
{
	begin();
	CHECK_STR(host_cli("elevenlabs test tool price {a: 1, b: 2}"), "one\ntwo\n");
	CHECK_STR(fake.asked, "test tool \ndirectory=/usr\ndirectory=/\ntool=price\njson={a: 1, b: 2}\n"
		"seconds=30\n");
	CHECK_INT(fake.asked_limit_ms, 50000);
	fake.outcome = CONVAI_OUTCOME_FAILED;
	CHECK_HAS(host_cli("elevenlabs test tool price"), "one\ntwo\nCommand 'elevenlabs test tool price' "
		"failed.");
	CHECK_HAS(host_cli("elevenlabs test tool"), "Usage: elevenlabs test tool <name> [json]\n");
	script_end();
}

/*! \brief Nobody is left without an answer */
TEST(test_tool_without_a_configuration)
{
	unsigned int before;

	begin();
	before = fake.inquiries;
	config_unload();
	CHECK_STR(host_cli("elevenlabs test tool price"),
		"There is no configuration\nCommand 'elevenlabs test tool price' failed.\n");
	CHECK_HAS(host_cli("elevenlabs show tools"), "There is no configuration\n");
	CHECK_INT(fake.inquiries, before);
	script_end();
}

/*! \brief The engine is told of the directories, also when there are none any more; then no more */
TEST(a_reload_renews_them)
{
	unsigned int before;

	begin();
	host_cli("elevenlabs reload");
	CHECK_STR(fake.asked, "renew tools \ndirectory=/usr\ndirectory=/\n");
	before = fake.inquiries;
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_SUCCESS);
	CHECK_INT(fake.inquiries, before + 1);
	host_write_config(CONF, SCRIPT_CONFIG);
	host_cli("elevenlabs reload");
	CHECK_STR(fake.asked, "renew tools \n");
	before = fake.inquiries;
	host_cli("elevenlabs reload");
	CHECK_INT(fake.inquiries, before);
	script_end();
}

TEST(an_engine_that_does_not_answer_holds_no_reload_up)
{
	begin();
	fake.outcome = CONVAI_OUTCOME_NONE;
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_SUCCESS);
	CHECK_HAS(host_log(), "Tools in Python stay as they were: the engine does not answer\n");
	CHECK_INT(fake.inquiries_open, 0);
	script_end();
}

/* ---- Who may write there ---- */

static const char *path_of(const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%.2000s/%.1000s", host_config_directory(), name);
	return path;
}

static const char *with_directory(void)
{
	static char text[PATH_MAX + 100];

	snprintf(text, sizeof(text), SCRIPT_CONFIG "tools_directory=%s\n", path_of("above/tools"));
	return text;
}

static void refused(const char *why)
{
	host_log_clear();
	host_write_config(CONF, with_directory());
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_ERROR);
	CHECK_INT(host_logged("elevenlabs.conf:5 [sales]: what is in this directory runs as Asterisk's user"), 1);
	CHECK_INT(host_logged(why), 1);
}

TEST(a_directory_that_others_may_write_is_refused)
{
	begin();
	CHECK_INT(mkdir(path_of("above"), 0755), 0);
	CHECK_INT(mkdir(path_of("above/tools"), 0755), 0);
	host_write_config(CONF, with_directory());
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_SUCCESS);
	CHECK_INT(chmod(path_of("above/tools"), 0757), 0);	/* Flawfinder: ignore */
	refused("/above/tools; chmod go-w it");
	CHECK_INT(chmod(path_of("above/tools"), 01777), 0);	/* Flawfinder: ignore */
	refused("/above/tools; chmod go-w it");
	CHECK_INT(chmod(path_of("above/tools"), 0755), 0);	/* Flawfinder: ignore */
	CHECK_INT(chmod(path_of("above"), 0777), 0);	/* Flawfinder: ignore */
	refused("/above; chmod go-w it");
	CHECK_INT(chmod(path_of("above"), 01777), 0);	/* Flawfinder: ignore */
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_SUCCESS);
	if (!geteuid()) {
		CHECK_INT(chown(path_of("above/tools"), 65534, 0), 0);
		refused("belongs to the user 65534; chown it to root");
	}
	script_end();
}
