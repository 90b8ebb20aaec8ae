/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief elevenlabs.conf: what Asterisk's parser skips or stops at, named by line
 */

#include "host.h"

#include <sys/stat.h>
#include <unistd.h>

#include "asterisk/module.h"
#include "asterisk/options.h"

#include "config/config.h"

#define GOOD "[good]\nagent_id=x\nauth=none\n"
#define CONF "elevenlabs.conf"

static void begin(void)
{
	host_write_config(CONF, GOOD);
	CHECK_INT(host_load(), AST_MODULE_LOAD_SUCCESS);
}

static void end(void)
{
	CHECK_INT(host_unload(0), 0);
}

/*! \brief Load a file that is valid, and has this many warnings */
static void accept(const char *text, unsigned int warnings)
{
	host_log_clear();
	host_write_config(CONF, text);
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_SUCCESS);
	CHECK_INT(host_logged("ERROR"), 0);
	CHECK_INT(host_logged("WARNING elevenlabs.conf"), warnings);
}

/*!
 * \brief A file that is refused, on the CLI and in the log, with exactly this
 * \param where ":3", ":3 [a]" or the like, behind the file's name
 */
static void refuse_in(const char *file, const char *text, const char *where,
	const char *fault)
{
	char line[PATH_MAX + 512];
	const char *answer;

	host_write_config(CONF, text);
	snprintf(line, sizeof(line), "ERROR: %s%s: %s", file, where, fault);
	answer = host_cli("elevenlabs reload");
	CHECK_HAS(answer, line);
	CHECK_HAS(answer, "not reloaded: 1 fault;");
	host_log_clear();
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_ERROR);
	snprintf(line, sizeof(line), "ERROR %s%s: %s", file, where, fault);
	CHECK_HAS(host_log(), line);
	CHECK_HAS(host_cli("elevenlabs show agents"), "good ");
}

static void refuse(const char *text, const char *where, const char *fault)
{
	refuse_in(CONF, text, where, fault);
}

/*! \brief The path of a file in the configuration directory, until the next call */
static const char *path_of(const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%.2000s/%.1000s", host_config_directory(), name);
	return path;
}

/* ---- Comments ---- */

TEST(a_comment_that_is_not_ended)
{
	begin();
	refuse(GOOD ";-- the rest\n[b]\n;-- agent_id=y\n--;\n", ":4",
		"the comment that ;-- begins here is not ended");
	end();
}

TEST(a_comment_that_is_not_begun)
{
	begin();
	refuse(GOOD "connect_timeout = 5 --; seconds\nsilence=no\n", ":4",
		"--; ends a comment that no ;-- has begun");
	end();
}

TEST(comments_that_look_odd)
{
	begin();
	accept(GOOD ";--;--;\n[ no section\n--; --;\n; ----; --;\n;---\n;-- one --;chunk_ms=40\n"
		"transfer_allow=a\\;--b\n;-- a ;-- b --; c --;\n", 1);
	CHECK_INT(host_logged("transfer_allow has no effect"), 1);
	end();
}

/* ---- Heads of sections ---- */

TEST(heads_that_are_not_ended)
{
	begin();
	refuse(GOOD "[b\n", ":4", "the ] behind the section's name is missing");
	refuse(GOOD "[b](good\n", ":4", "the ) behind the section's templates is missing");
	end();
}

TEST(templates_that_are_not_there)
{
	begin();
	refuse("[a](a)\nagent_id=x\nauth=none\n", ":1", "there is no template [a] above");
	refuse("[a](b)\nagent_id=x\n[b](!)\nauth=none\n", ":1", "there is no template [b] above");
	refuse("[t](!)\nauth=none\n[a](t, t)\nagent_id=x\n", ":3",
		"there is no template [ t] above");
	refuse(GOOD "[b](+)\nchunk_ms=40\n", ":4", "there is no section [b] above to add to");
	refuse("[t](!)\nauth=none\n[t](+)\nchunk_ms=40\n[a](t)\nagent_id=x\n", ":3",
		"there is no section [t] above to add to");
	end();
}

TEST(heads_that_say_more_than_counts)
{
	begin();
	refuse("[t](!)\nauth=none\n[a] (t)\nagent_id=x\n", ":3", "\" (t)\" has no effect here");
	refuse("[t](!)\nauth=none\n[a](t) t\nagent_id=x\n", ":3", "\" t\" has no effect here");
	refuse(GOOD "[b](good,)\nagent_id=x\n", ":4",
		"a name is missing between the parentheses");
	end();
}

TEST(names_that_no_dialplan_can_call)
{
	char text[512];

	begin();
	refuse(GOOD "[]\nagent_id=x\n", ":4",
		"a section's name is not empty, and has no blanks around it");
	refuse("[ a]\nagent_id=x\nauth=none\n", ":1", "a section's name is not empty");
	refuse("[a\t]\nagent_id=x\nauth=none\n", ":1", "a section's name is not empty");
	snprintf(text, sizeof(text), "[%080d]\nagent_id=x\nauth=none\n", 1);
	refuse(text, ":1", "a section's name has at most 79 characters");
	snprintf(text, sizeof(text), "[%079d]\nagent_id=x\nauth=none\n", 1);
	accept(text, 0);
	end();
}

TEST(sections_that_are_there_twice)
{
	begin();
	refuse(GOOD "\n[Good]\nagent_id=x\n", ":5 [Good]",
		"this section is there twice; use [Good](+) to add to it");
	refuse("[general]\nauth=none\n[a]\nagent_id=x\n[general]\nchunk_ms=40\n", ":5 [general]",
		"this section is there twice; use [general](+)");
	accept("[t](!)\nauth=none\n[a](t)\nagent_id=x\n[a](+)\nchunk_ms=40\n[T](t)\nagent_id=y\n",
		0);
	end();
}

TEST(an_agent_without_agent_id_is_where_its_head_is)
{
	begin();
	refuse("[t](!)\nauth=none\n\n[a](t)\n", ":4 [a]", "there is no agent_id");
	refuse("[a]\n\nauth=none\n", ":3 [a]", "there is no agent_id");
	end();
}

/* ---- Keys ---- */

TEST(lines_that_are_no_setting)
{
	begin();
	refuse(GOOD "= 40\n", ":4", "there is no key in front of the equal sign");
	refuse(GOOD "\\\n", ":4", "there is nothing behind the backslash");
	refuse("auth=none\n" GOOD, ":1", "there is no [section] above this line");
	end();
}

TEST(a_line_that_is_too_long)
{
	static char text[32 * 1024];
	size_t length;

	begin();
	strcpy(text, GOOD "tools=");
	length = strlen(text);
	memset(text + length, 't', 3 * 8191);
	strcpy(text + length + 3 * 8191, "\n[b]\nauth=none\n");
	host_write_config(CONF, text);
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_ERROR);
	CHECK_INT(host_logged("ERROR elevenlabs.conf:4: a line has less than 8191"), 1);
	/* It is one line, however long. */
	CHECK_INT(host_logged("ERROR elevenlabs.conf:6 [b]: there is no agent_id"), 1);
	CHECK_INT(host_logged("ERROR elevenlabs.conf:"), 2);
	end();
}

TEST(a_key_that_is_set_twice)
{
	begin();
	accept("[a]\nagent_id=x\nauth=none\nchunk_ms=40\nelevenlabs_audio_frames_buffer_ms=60\n",
		1);
	CHECK_INT(host_logged("WARNING elevenlabs.conf:5 [a]: chunk_ms has been set in line 4 "
		"already; this line counts"), 1);
	/* To override what a template says is what templates are for. */
	accept("[t](!)\nauth=none\nchunk_ms=40\n[a](t)\nagent_id=x\nchunk_ms=60\n"
		"[a](+)\nchunk_ms=80\n", 0);
	end();
}

TEST(a_value_that_is_added_to)
{
	begin();
	accept("[a]\nagent_id=x\nagent_id +=y\nauth=none\n", 0);
	CHECK_HAS(host_cli("elevenlabs show agents"), "a                    xy");
	end();
}

TEST(a_key_that_was_to_be_commented_out_is_not_shown)
{
	begin();
	refuse(GOOD "#api_key=sk_secret\n", ":4", "there is no directive #api_key; comments");
	CHECK_INT(host_logged("ERROR elevenlabs.conf:4: there is no directive #api_key; c"), 1);
	CHECK(!strstr(host_cli("elevenlabs reload"), "sk_secret"));
	end();
}

/* ---- Files ---- */

TEST(what_is_wrong_in_an_included_file)
{
	static const char * const cases[][3] = {
		{ "[n]\nagent_id=y\nauth=none\n[oops\n", ":4", "the ] behind" },
		{ "[n](t)\nagent_id=y\nauth=none\n", ":1", "there is no template [t]" },
		{ "[n]\nagent_id=y\nauth=none\n#include none.conf\n", ":4", "there is no file" },
		{ "; nothing\nno setting\n", ":2", "a line is [section], key = value" },
		{ "; nothing\n\n;--\n", ":3", "the comment that ;-- begins here" },
	};
	size_t i;

	begin();
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		host_write_config("more.conf", cases[i][0]);
		refuse_in(path_of("more.conf"), GOOD "#include more.conf\n", cases[i][1],
			cases[i][2]);
	}
	end();
}

TEST(faults_behind_the_one_that_stops_the_parser)
{
	begin();
	host_write_config("more.conf", "chunk_ms=1\n[m]\nfoo=bar\n");
	host_write_config(CONF, "[general]\nagent_id=x\n[a](none)\nauth=secret\napi_key=two words\n"
		"[b\n[c]\nconnect_timeout=0\n#include more.conf\n");
	CHECK_HAS(host_cli("elevenlabs reload"), "not reloaded: 8 faults;");
	host_log_clear();
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_ERROR);
	CHECK_INT(host_logged("ERROR elevenlabs.conf:2 [general]: agent_id belongs into"), 1);
	CHECK_INT(host_logged("ERROR elevenlabs.conf:3: there is no template [none] above"), 1);
	CHECK_INT(host_logged("ERROR elevenlabs.conf:4 [a]: auth = secret: allowed is"), 1);
	CHECK_INT(host_logged("ERROR elevenlabs.conf:5 [a]: api_key = (not shown): allowed"), 1);
	CHECK_INT(host_logged("ERROR elevenlabs.conf:6: the ] behind"), 1);
	CHECK_INT(host_logged("ERROR elevenlabs.conf:8 [c]: connect_timeout = 0: allowed"), 1);
	CHECK_INT(host_logged("/more.conf:1 [c]: chunk_ms = 1: allowed is"), 1);
	CHECK_INT(host_logged("/more.conf:3 [m]: there is no key foo"), 1);
	end();
}

TEST(an_included_file_that_cannot_be_read)
{
	char fault[PATH_MAX + 100];

	begin();
	CHECK_INT(mkdir(path_of("folder"), 0700), 0);
	snprintf(fault, sizeof(fault), "there is no file %s that Asterisk can read",
		path_of("folder"));
	refuse(GOOD "#include folder\n", ":4", fault);
	accept(GOOD "#tryinclude folder\n", 1);
	CHECK_INT(host_logged("folder cannot be read, and is passed over"), 1);
	accept(GOOD "#tryinclude none\n", 0);
	rmdir(path_of("folder"));
	refuse(GOOD "#include none/*.conf\n", ":4", "there is no file /");
	end();
}

TEST(names_of_files_in_quotes)
{
	begin();
	host_write_config("b.conf", "chunk_ms=40\n");
	accept(GOOD "#include \"b.conf\"\n#include <b.conf>\n", 0);
	refuse(GOOD "#include \"b.conf\n", ":4", "there is no file /");
	end();
}

TEST(a_file_that_includes_itself)
{
	char fault[PATH_MAX + 100];

	begin();
	snprintf(fault, sizeof(fault), "%s includes itself", path_of(CONF));
	host_write_config("loop.conf", "#include " CONF "\n");
	host_write_config(CONF, GOOD "#include loop.conf\n");
	CHECK_HAS(host_cli("elevenlabs reload"), fault);
	CHECK_HAS(host_cli("elevenlabs reload"), "not reloaded: 1 fault;");
	end();
}

TEST(files_that_include_one_another_eleven_deep)
{
	char name[32];
	char text[64];
	char last[PATH_MAX];
	int i;

	begin();
	for (i = 1; i <= 11; i++) {
		snprintf(name, sizeof(name), "%d.conf", i);
		snprintf(text, sizeof(text), "#include %d.conf\n", i + 1);
		host_write_config(name, i < 11 ? text : "\n");
	}
	host_write_config("10.conf", "\n");
	accept(GOOD "#include 1.conf\n", 0);
	host_write_config("10.conf", "#include 11.conf\n");
	snprintf(last, sizeof(last), "%s is included by more than 10 files", path_of("11.conf"));
	refuse_in(path_of("10.conf"), GOOD "#include 1.conf\n", ":1", last);
	end();
}

TEST(lines_of_files_that_one_pattern_includes)
{
	begin();
	host_write_config("part1.conf", "[b]\nagent_id=y\nauth=none\n\n");
	host_write_config("part2.conf", "[c]\nagent_id=z");
	host_write_config("part3.conf", "[d]\nagent_id=z\nchunk_ms=1\n");
	refuse_in(path_of("part3.conf"), GOOD "#include part*.conf\n", ":3 [d]", "chunk_ms = 1");
	host_write_config("part3.conf", "\n[d]\n");
	refuse_in(path_of("part3.conf"), GOOD "#include part*.conf\n", ":2 [d]", "there is no a");
	end();
}

TEST(lines_of_a_file_that_is_included_twice)
{
	begin();
	host_write_config("common.conf", "auth=none\nchunk_ms=1\n");
	host_write_config(CONF, "[a]\nagent_id=x\n#include common.conf\n[b]\nagent_id=y\n"
		"#include common.conf\n");
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_ERROR);
	CHECK_INT(host_logged("common.conf:2 [a]: chunk_ms = 1"), 1);
	CHECK_INT(host_logged("common.conf:2 [b]: chunk_ms = 1"), 1);
	end();
}

TEST(a_file_name_with_a_number_is_shown_as_it_is)
{
	begin();
	host_write_config("b~~x", "chunk_ms=1\n");
	refuse_in(path_of("b~~x"), GOOD "#include b~~x\n", ":1 [good]", "chunk_ms = 1");
	end();
}

TEST(lines_behind_an_include)
{
	begin();
	host_write_config("b.conf", GOOD);
	refuse("#include b.conf\nchunk_ms=40\n", ":2", "there is no [section] above this line");
	host_write_config("b.conf", "chunk_ms=40\n");
	accept("[good]\n#include b.conf\nagent_id=x\nauth=none\n", 0);
	end();
}

TEST(sections_that_a_program_may_have_made)
{
	begin();
	refuse(GOOD "#exec /bin/true\n", ":4", "#exec needs execincludes");
	ast_options.flags |= AST_OPT_FLAG_EXEC_INCLUDES;
	host_write_config(CONF, GOOD "#exec /bin/true\n[b](from_there)\nagent_id=x\n");
	/* The host runs no programs, so that Asterisk's word is the last. */
	CHECK_HAS(host_cli("elevenlabs reload"),
		"ERROR: elevenlabs.conf: Asterisk cannot parse it; Asterisk's log says where");
	end();
}

/* ---- Databases ---- */

TEST(a_database_in_place_of_the_file)
{
	begin();
	host_config_in_database(CONF);
	host_write_config("database-" CONF, "[d]\nagent_id=y\nauth=none\n");
	accept("this file [is\nnot read", 0);
	CHECK_HAS(host_cli("elevenlabs show agents"), "d                    y");
	host_write_config("database-" CONF, "[d]\nagent_id=y\nauth=none\n[D]\nagent_id=z\n");
	CHECK_HAS(host_cli("elevenlabs reload"), "[D]: this section is there twice");
	end();
}

TEST(a_database_in_place_of_an_included_file)
{
	begin();
	host_config_in_database("more.conf");
	host_write_config("more.conf", "this is [not read");
	host_write_config("database-more.conf", "[t](!)\nauth=none\n");
	host_write_config(CONF, "#include more.conf\n[a](t)\nagent_id=x\n");
	CHECK(!strstr(host_cli("elevenlabs reload"), "more.conf:"));
	end();
}
