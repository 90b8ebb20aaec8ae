/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Lines of elevenlabs.conf that are taken, and were hardly meant so (H7)
 */

#include "host.h"

#include "asterisk/module.h"

#include "config/config.h"

#define AGENT "[sales]\nagent_id=agent_1\nauth=none\nmax_duration=9\n"
/*! The line behind those of AGENT */
#define LINE "elevenlabs.conf:5 [sales]: "
#define CUT " ends before the ; in this line"

static void begin(void)
{
	host_write_config("elevenlabs.conf", AGENT);
	CHECK_INT(host_load(), AST_MODULE_LOAD_SUCCESS);
}

static void end(void)
{
	CHECK_INT(host_unload(0), 0);
}

/*! \brief Reload a file that is valid */
static void reload(const char *text)
{
	host_log_clear();
	host_write_config("elevenlabs.conf", text);
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_SUCCESS);
	CHECK_INT(host_logged("ERROR"), 0);
}

/*! \brief One more line of the agent's: what is warned about it, behind its place, or nothing */
static void check(const char *line, const char *warning)
{
	char text[1024];

	snprintf(text, sizeof(text), AGENT "%s\n", line);
	reload(text);
	CHECK_INT(host_logged("WARNING"), *warning != '\0');
	snprintf(text, sizeof(text), LINE "%s", warning);
	if (*warning) {
		CHECK_HAS(host_log(), text);
	}
}

TEST(quotes_around_a_word)
{
	begin();
	reload(AGENT "api_key = \"sk_1\"\n");
	CHECK_HAS(host_log(), LINE "api_key is in quotes, which Asterisk makes part of the value; remove");
	CHECK(!strstr(host_log(), "sk_1"));
	check("branch_id = 'b'", "branch_id is in quotes");
	check("branch_id = \"b", "branch_id has a quote at its beginning");
	check("branch_id = b\"", "branch_id has a quote at its end");
	check("branch_id = b'", "branch_id has a quote at its end");
	check("branch_id = b'c\"d", "");
	end();
}

TEST(quotes_around_a_text)
{
	begin();
	check("var_x = \"Main street\"", "var_x is in quotes");
	check("var_x = \"Main street \"", "var_x is in quotes");
	check("override_prompt = 'You sell bicycles.'", "override_prompt is in quotes");
	check("override_prompt = \u201cYou sell bicycles.\u201d", "override_prompt is in quotes");
	check("override_prompt = \u201eSie verkaufen R\u00e4der.\u201c", "override_prompt is in quotes");
	check("var_x = \u00abx\u00bb", "var_x is in quotes");
	check("var_x = \"x", "var_x has a quote at its beginning");
	check("var_x = x\u201d", "var_x has a quote at its end");
	check("var_x = \"", "var_x has a quote at its beginning");
	end();
}

TEST(quotes_that_are_meant)
{
	begin();
	check("var_x = \"Yes\" or \"no\"", "");
	check("var_x = Say \"yes\"", "");
	check("var_x = \"Yes\", he said", "");
	check("var_x = the boys'", "");
	check("var_x = the boys\u2019", "");
	check("var_x = 'tis the season", "");
	check("var_x = it's", "");
	check("var_x =", "");
	check("json_x = \"a\"", "");
	check("override_keywords = [\"a\"]", "");
	end();
}

TEST(quotes_beside_a_fault)
{
	begin();
	host_write_config("elevenlabs.conf", AGENT "chunk_ms = \"20\"\njson_x = '\"a\"'\n"
		"override_speed = \u201c1.1\u201d\njson_y = \u201ca\u201d\n");
	host_log_clear();
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_ERROR);
	CHECK_HAS(host_log(), "WARNING " LINE "chunk_ms is in quotes");
	CHECK_HAS(host_log(), "ERROR " LINE "chunk_ms = \"20\": allowed is a whole number");
	CHECK_HAS(host_log(), "elevenlabs.conf:6 [sales]: json_x is in quotes");
	CHECK_HAS(host_log(), "elevenlabs.conf:7 [sales]: override_speed is in quotes");
	CHECK_HAS(host_log(), "elevenlabs.conf:8 [sales]: json_y is in quotes");
	end();
}

TEST(a_semicolon_in_a_value)
{
	begin();
	check("var_x = Mon;Tue", "the value of var_x" CUT);
	CHECK_HAS(host_log(), "write \\; if it belongs to the value");
	reload(AGENT "api_key = sk_1;2\n");
	CHECK_HAS(host_log(), LINE "the value of api_key" CUT);
	CHECK(!strstr(host_log(), "sk_1"));
	check("var_x = Hello; how are you?", "the value of var_x" CUT);
	check("  var_x=>Mon;Tue;Wed ; and a comment", "the value of var_x" CUT);
	check("var_x = a\\;b;c", "the value of var_x" CUT);
	check("var_x = a;--b--;", "the value of var_x" CUT);
	check("var_x =;b", "the value of var_x" CUT);
	/* Refused as well, for half a text is no JSON. */
	host_write_config("elevenlabs.conf", AGENT "json_x = \"a;b\"\n");
	host_log_clear();
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_ERROR);
	CHECK_HAS(host_log(), LINE "the value of json_x" CUT);
	end();
}

TEST(semicolons_that_are_meant)
{
	begin();
	check("var_x = Mon ; a comment", "");
	check("var_x = Mon\t;a comment", "");
	check("var_x = Mon\\;Tue", "");
	check("var_x = Mon\\;Tue ; a;comment", "");
	check(";var_x = Mon;Tue", "");
	check("var_x = Mon ;;", "");
	end();
}

/*! Lines of a file that is included, of one that is included twice, and of a pattern */
TEST(semicolons_in_other_files)
{
	begin();
	host_write_config("more-1.conf", "\nvar_a = a;1\n");
	host_write_config("more-2.conf", "var_b = b\nvar_c = c;3");
	host_write_config("more-3.conf", "var_d = d;4\n");
	reload(AGENT "#include more-1.conf\nvar_x=x;5\n[other]\nagent_id=x\nauth=none\n"
		"#include more-1.conf\n");
	CHECK_INT(host_logged("more-1.conf:2 [sales]: the value of var_a" CUT), 1);
	CHECK_INT(host_logged("more-1.conf:2 [other]: the value of var_a" CUT), 1);
	CHECK_INT(host_logged("elevenlabs.conf:6 [sales]: the value of var_x" CUT), 1);
	reload(AGENT "#include more-*.conf\n");
	CHECK_INT(host_logged("the value of var_a" CUT), 1);
	CHECK_INT(host_logged("the value of var_c" CUT), 1);
	CHECK_INT(host_logged("the value of var_d" CUT), 1);
	CHECK_INT(host_logged("WARNING"), 3);
	end();
}

/*! What a section has of a template is said of the section, with the template's line */
TEST(lines_of_a_template)
{
	begin();
	reload("[t](!)\nauth=none\nvar_x=a;b\nvar_y=\"c\"\n[sales](t)\nagent_id=x\n");
	CHECK_INT(host_logged("elevenlabs.conf:3 [sales]: the value of var_x" CUT), 1);
	CHECK_INT(host_logged("elevenlabs.conf:4 [sales]: var_y is in quotes"), 1);
	end();
}

/*! A line that does not fit is skipped by Asterisk's parser, and counts as one */
TEST(a_line_that_is_too_long)
{
	char *text = calloc(1, 20000);

	begin();
	strcpy(text, AGENT "var_x=");
	memset(text + strlen(text), 'x', 10000);
	strcat(text, ";y\nvar_z=a;b\n");
	reload(text);
	CHECK_INT(host_logged("elevenlabs.conf:6 [sales]: the value of var_z" CUT), 1);
	CHECK_INT(host_logged(CUT), 1);
	free(text);
	end();
}
