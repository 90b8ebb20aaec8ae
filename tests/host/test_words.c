/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Words from outside, where they leave the module: one line, and nothing that acts
 */

#include "call_script.h"
#include "fake_engine.h"

#include "asterisk/module.h"

/*! What a caller, an agent or a program may say: a forged line, an escape code, a C1 control, a quote */
#define EVIL "a\r\nForged: 1\x1b[31m\xc2\x9b" "31m\"; $(id) \xe2\x80\xae `x`"
/*! The same as a line, and as data */
#define EVIL_LINE "a Forged: 1 [31m 31m\"; $(id) `x`"
#define EVIL_DATA "a Forged: 1 31m 31m id x"

#define VARIABLE(channel, name) host_variable(channel, "ELEVENLABS" name)

/*! \brief Nothing that was told has a control character but the ends of its lines */
static void check_plain(const char *text)
{
	const char *c;

	for (c = text; *c; c++) {
		/* All but what stands between two fields of one name */
		if ((unsigned char) *c < ' ' && *c != '\n' && strncmp(c, "\r\nChanVariable", 14)) {
			CHECK_STR(c, "no control character");
		}
	}
	CHECK(!strstr(text, "\nForged"));
	CHECK(!strstr(text, "\xc2\x9b"));
	CHECK(!strstr(text, "\xe2\x80\xae"));
}

/*! \brief K2: what an agent says at the end is data in its variable, a line elsewhere; the reason is ours */
TEST(what_an_agent_says_at_the_end)
{
	struct ast_channel *channel = script_begin(NULL);

	fake.detail = EVIL;
	script_metadata_at(10 * MS);
	script_agent_ends_at(100 * MS, CONVAI_STATUS_AGENT_ENDED, "the agent ended it", 0);
	script_run("sales");
	CHECK_STR(VARIABLE(channel, "REASON"), "the agent ended it");
	CHECK_STR(VARIABLE(channel, "DETAIL"), EVIL_DATA);
	CHECK_HAS(host_events(), "Reason: the agent ended it\nDetail: " EVIL_LINE "\nAskedAgent: sales\n");
	CHECK_HAS(host_log(), "the agent ended it [" EVIL_LINE "]\n");
	check_plain(host_events());
	check_plain(host_log());
	script_end();
}

/*! \brief K2: an agent's name and options are the dialplan's, which may have them from a caller */
TEST(what_the_dialplan_says)
{
	struct ast_channel *channel = script_begin(NULL);

	script_run(EVIL);
	CHECK_STR(VARIABLE(channel, "REASON"), "there is no such agent in elevenlabs.conf");
	CHECK_STR(VARIABLE(channel, "DETAIL"), EVIL_DATA);
	script_run("sales," EVIL);
	CHECK_STR(VARIABLE(channel, "REASON"), "the options are not understood");
	CHECK_STR(VARIABLE(channel, "DETAIL"), EVIL_DATA);
	check_plain(host_log());
	check_plain(host_events());
	script_end();
}

/*! \brief K2: the engine's own sentence cannot end a quotation either, should a value be in it */
TEST(a_sentence_of_ours_ends_no_quotation)
{
	struct ast_channel *channel = script_begin(NULL);

	script_agent_ends_at(100 * MS, CONVAI_STATUS_ERROR, EVIL, 0);
	script_run("sales");
	CHECK_STR(VARIABLE(channel, "REASON"), "a Forged: 1 [31m 31m'; (id) x");
	script_end();
}

/*! \brief A result of an earlier run is not taken for that of a later one */
TEST(a_detail_is_cleared)
{
	struct ast_channel *channel = script_begin(NULL);

	script_run("nobody");
	CHECK_STR(VARIABLE(channel, "DETAIL"), "nobody");
	script_hangup_at(10 * MS);
	script_run("sales");
	CHECK_STR(VARIABLE(channel, "DETAIL"), "");
	script_end();
}

/*! \brief Of two agents both details are told, the last one's first */
TEST(two_agents_two_details)
{
	struct ast_channel *channel = script_begin("[general]\nauth = none\n"
			"[sales]\nagent_id = a\nfallback_agent = spare\n[spare]\nagent_id = b\n");

	fake.detail = "no `room`";
	script_agent_ends_at(100 * MS, CONVAI_STATUS_UNREACHABLE, "away", 0);
	script_agent_ends_at(200 * MS, CONVAI_STATUS_LIMIT, "full", 0);
	script_run("sales");
	CHECK_STR(VARIABLE(channel, "REASON"), "full (agent spare, in place of sales, UNREACHABLE: away)");
	CHECK_STR(VARIABLE(channel, "DETAIL"), "no room / no room");
	script_end();
}

/*! \brief K10: the engine's log, and what commands and actions print */
TEST(what_operators_see)
{
	script_begin(NULL);
	fake.host->log(CONVAI_LOG_WARNING, EVIL, EVIL);
	fake.host->log(CONVAI_LOG_DEBUG, "", "xi-api-key: abcdefgh " EVIL);
	CHECK_HAS(host_log(), "WARNING " EVIL_LINE ": " EVIL_LINE "\n");
	CHECK_HAS(host_log(), "ElevenLabs: xi-api-key: *** " EVIL_LINE "\n");
	check_plain(host_log());
	/* Behind these lines is Asterisk's own, which repeats the command as it was typed. */
	CHECK_HAS(host_cli("elevenlabs test agent \x1b[31mx"), "Agent  [31mx: FAILED, NOAGENT: ");
	CHECK_HAS(host_cli("elevenlabs hangup \x1b[31mx"), "session on channel  [31mx\n");
	CHECK_HAS(host_cli("elevenlabs show session \x1b[31mx"), "session on channel  [31mx\n");
	CHECK_HAS(host_cli("elevenlabs debug on \x1b[31mx"), "session on channel  [31mx\n");
	CHECK_HAS(host_cli("elevenlabs send context \x1b[31mx y"), "session on channel  [31mx\n");
	CHECK_STR(host_ami("ElevenLabsSend", "Channel: \x1b[31mx", "Type: context", "Text: y", NULL),
		"Error: There is no session on channel [31mx");
	script_end();
}

/*! \brief K7, K10: what stands in elevenlabs.conf is told when it is wrong, without what it may hold */
TEST(what_a_file_says)
{
	script_begin(NULL);
	host_log_clear();
	host_write_config("elevenlabs.conf", "[a\x1b[31m]\nagent_id = x\nchunk_ms = \x1b[2J9\n"
		"fo\x1bo = sk_0123456789abcdef\n");
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_ERROR);
	CHECK_HAS(host_log(), "[a [31m]: chunk_ms = [2J9");
	check_plain(host_log());
	CHECK(!strstr(host_log(), "0123456789abcdef"));
	script_end();
}

/*! \brief A line that is longer than anybody reads ends */
TEST(a_line_ends)
{
	static char text[20000];

	memset(text, 'x', sizeof(text) - 1);
	script_begin(NULL);
	host_log_clear();
	fake.host->log(CONVAI_LOG_NOTICE, "", text);
	CHECK(strlen(host_log()) < 8100);
	CHECK_HAS(host_log(), "xxx...\n");
	script_end();
}
