/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What a reload says that it has changed, on the command line and in the log
 */

#include "host.h"

#include <pthread.h>

#include "asterisk/module.h"

#include "config/config.h"

#define CONF "elevenlabs.conf"
#define DONE "ElevenLabs configuration reloaded successfully: "
/*! Between what was there and what comes: no agent of one is in the other */
#define A "[a]\nagent_id=agent_a\nauth=none\n"
#define B "[b]\nagent_id=agent_b\nauth=none\n"

/*! \brief Reload by the command. \return what it says behind the warnings */
static const char *reload(void)
{
	const char *said = host_cli("elevenlabs reload");
	const char *done = strstr(said, DONE);

	return done ? done : said;
}

/*! \brief One file is in use, and another is reloaded: this is said, and nothing else */
static void check_change(const char *before, const char *after, const char *said)
{
	char wanted[2048];
	const char *line;
	const char *end;

	host_write_config(CONF, before);
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_SUCCESS);
	host_write_config(CONF, after);
	CHECK_HAS(host_cli("elevenlabs reload"), DONE);
	CHECK_STR(strchr(reload(), '\n') + 1, "  nothing changed\n");

	host_write_config(CONF, before);
	host_reload();
	host_write_config(CONF, after);
	CHECK_STR(strchr(reload(), '\n') + 1, said);

	host_write_config(CONF, before);
	host_reload();
	host_write_config(CONF, after);
	host_log_clear();
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_SUCCESS);
	for (line = said; *line; line = end + 1) {
		end = strchr(line, '\n');
		snprintf(wanted, sizeof(wanted), "NOTICE ElevenLabs configuration: %.*s\n",
			(int) (end - line - 2), line + 2);
		CHECK_HAS(host_log(), wanted);
	}
	CHECK_INT(host_logged("NOTICE " DONE), 1);
	CHECK(!strstr(host_log(), "sk_"));
}

static void begin(void)
{
	host_write_config(CONF, A);
	CHECK_INT(host_load(), AST_MODULE_LOAD_SUCCESS);
	/* A load is no change. */
	CHECK_INT(host_logged("ElevenLabs configuration"), 0);
}

static void end(void)
{
	CHECK_INT(host_unload(0), 0);
}

TEST(nothing)
{
	begin();
	check_change(A B, A B, "  nothing changed\n");
	check_change("", "; nothing\n", "  nothing changed\n");
	end();
}

TEST(what_is_written_differently_and_means_the_same)
{
	begin();
	check_change(A B, B A, "  nothing changed\n");
	check_change(A, "[A]\nelevenlabs_agent_id = agent_a\nauth=none\nchunk_ms = +20\n",
		"  nothing changed\n");
	check_change("[general]\nauth=none\nbase_url=eu\n[a]\nagent_id=x\n",
		"[t](!)\nbase_url=https://api.eu.residency.elevenlabs.io/\n"
		"[a](t)\nagent_id=x\nauth=none\n", "  nothing changed\n");
	end();
}

TEST(agents_that_come_and_go)
{
	begin();
	check_change(A, A B, "  added: b\n");
	check_change(A B, B, "  removed: a\n");
	check_change("", A B, "  added: a\n  added: b\n");
	check_change(A B, "", "  removed: a\n  removed: b\n");
	check_change(A, B, "  added: b\n  removed: a\n");
	end();
}

TEST(keys_that_change)
{
	begin();
	check_change(A, "[a]\nagent_id=other\nauth=none\n", "  changed: a (agent_id)\n");
	check_change(A B, B "[a]\nagent_id=other\nauth=none\nchunk_ms=40\n",
		"  changed: a (agent_id, chunk_ms)\n");
	check_change("[a]\nagent_id=x\nauth=none\nchunk_ms=40\n", "[a]\nagent_id=x\nauth=none\n",
		"  changed: a (chunk_ms)\n");
	check_change("[a]\nagent_id=x\nsend_caller_number=no\napi_key=sk_1\n",
		"[a]\nagent_id=x\nsilence=no\napi_key=sk_2\n",
		"  changed: a (api_key, send_caller_number, silence)\n");
	end();
}

TEST(everything_at_once)
{
	begin();
	check_change("[general]\nmax_sessions=1\n" A B, "[general]\nchunk_ms=40\n" B
		"[c]\nagent_id=x\nauth=none\n", "  added: c\n  removed: a\n  changed: b (chunk_ms)\n"
		"  changed: [general] (max_sessions)\n");
	end();
}

TEST(a_default_that_changes_is_a_change_of_those_that_have_it)
{
	begin();
	check_change("[general]\nchunk_ms=40\n" A B "chunk_ms=60\n",
		"[general]\nchunk_ms=80\n" A B "chunk_ms=60\n", "  changed: a (chunk_ms)\n");
	end();
}

TEST(the_limit_of_all_is_not_that_of_each)
{
	begin();
	check_change(A, "[general]\nmax_sessions=3\n" A, "  changed: [general] (max_sessions)\n");
	check_change(A, A "max_sessions=3\n", "  changed: a (max_sessions)\n");
	check_change("[general]\nmax_sessions=3\n" A "max_sessions=3\n", A "max_sessions=3\n",
		"  changed: [general] (max_sessions)\n");
	/* It was not limited before: what it had in [general] was the limit of all. */
	check_change("[general]\nmax_sessions=3\n" A, "[general]\nmax_sessions=3\n" A
		"max_sessions=3\n", "  changed: a (max_sessions)\n");
	end();
}

TEST(keys_that_come_from_elsewhere)
{
	char file[PATH_MAX + 100];

	begin();
	setenv("HOST_TEST_KEY", "sk_1", 1);
	host_write_config("key", "sk_1\n");
	snprintf(file, sizeof(file), "[a]\nagent_id=x\napi_key_file=%s/key\n",
		host_config_directory());
	check_change("[a]\nagent_id=x\napi_key=sk_1\n", file, "  changed: a (api_key_file)\n");
	check_change("[a]\nagent_id=x\napi_key=sk_2\n", file,
		"  changed: a (api_key, api_key_file)\n");
	/* An agent with a key of its own has nothing of [general]'s. */
	check_change("[general]\napi_key_env=HOST_TEST_KEY\n[a]\nagent_id=x\napi_key=sk_2\n",
		"[a]\nagent_id=x\napi_key=sk_2\n", "  nothing changed\n");
	unsetenv("HOST_TEST_KEY");
	end();
}

TEST(a_key_file_with_another_key)
{
	char file[PATH_MAX + 100];

	begin();
	host_write_config("key", "sk_1\n");
	snprintf(file, sizeof(file), "[a]\nagent_id=x\napi_key_file=%s/key\n",
		host_config_directory());
	host_write_config(CONF, file);
	host_reload();
	host_write_config("key", "sk_2\n");
	CHECK_STR(reload(), DONE "1 agent\n  changed: a (api_key)\n");
	end();
}

TEST(a_refused_file_changes_nothing_and_says_nothing_of_changes)
{
	begin();
	host_write_config(CONF, B "chunk_ms=1\n");
	CHECK(!strstr(host_cli("elevenlabs reload"), "added"));
	host_log_clear();
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_ERROR);
	CHECK_INT(host_logged("NOTICE"), 0);
	host_write_config(CONF, A);
	CHECK_STR(reload(), DONE "1 agent\n  nothing changed\n");
	end();
}

/*! Asterisk takes such a file; only what is missing afterwards shows it */
TEST(an_included_file_of_which_Asterisk_reads_only_a_part)
{
	begin();
	host_write_config("more.conf", B "[c]\nagent_id=agent_c\nauth=none\n");
	host_write_config(CONF, A "#include more.conf\n");
	CHECK_HAS(host_cli("elevenlabs reload"), DONE "3 agents\n");
	host_write_config("more.conf", B "[oops\n[c]\nagent_id=agent_c\nauth=none\n");
	CHECK_STR(reload(), DONE "2 agents\n  removed: c\n");
	end();
}

TEST(out_of_memory)
{
	unsigned int without_names = 0;
	unsigned int n;
	int failed = 1;

	begin();
	for (n = 1; failed; n++) {
		int res;

		host_write_config(CONF, A);
		CHECK_INT(host_reload(), AST_MODULE_RELOAD_SUCCESS);
		host_write_config(CONF, A "chunk_ms=40\n");
		host_log_clear();
		host_fail_allocation(n);
		res = host_reload();
		failed = host_allocation_failed();
		host_fail_allocation(0);
		/* Whatever is in use now: what was said of it is true. */
		CHECK_INT(host_logged("NOTICE ElevenLabs configuration: changed: a ("),
			res == AST_MODULE_RELOAD_SUCCESS);
		without_names += host_logged("changed: a (...)");
	}
	CHECK(without_names > 0);
	end();
}

/* ---- Several at once ---- */

#define THREADS 4
#define RELOADS 50

/*! What one thread's reloads have said */
struct said {
	int added[2];
	int removed[2];
};

static void count(const char *answer, struct said *said)
{
	said->added[0] += !!strstr(answer, "  added: a\n");
	said->added[1] += !!strstr(answer, "  added: b\n");
	said->removed[0] += !!strstr(answer, "  removed: a\n");
	said->removed[1] += !!strstr(answer, "  removed: b\n");
}

static void *keep_reloading(void *data)
{
	unsigned int i;

	for (i = 0; i < RELOADS; i++) {
		count(host_cli("elevenlabs reload"), data);
	}
	return NULL;
}

/*! A reload that is begun while another has read the file, and not yet taken it over */
struct late {
	pthread_t thread;
	int done;
};

static void *reload_late(void *data)
{
	struct late *late = data;

	CHECK_HAS(host_cli("elevenlabs reload"), "  added: b\n");
	__atomic_store_n(&late->done, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void begin_late(void *data)
{
	struct late *late = data;
	int i;

	host_replace_config(CONF, A B);
	CHECK_INT(pthread_create(&late->thread, NULL, reload_late, late), 0);
	/* It is to wait for the other, so nothing shows that it has come so far. */
	for (i = 0; i < 100 && !__atomic_load_n(&late->done, __ATOMIC_ACQUIRE); i++) {
		host_sleep(MS);
	}
}

TEST(the_older_of_two_files_does_not_replace_the_newer_one)
{
	struct late late = { .done = 0 };

	begin();
	host_use_real_time();
	host_when_config_is_read(begin_late, &late);
	CHECK_STR(reload(), DONE "1 agent\n  nothing changed\n");
	CHECK_INT(pthread_join(late.thread, NULL), 0);
	CHECK_HAS(host_cli("elevenlabs show agents"), "2 agents,");
	end();
}

/*!
 * Between two reloads of one thread come those of others; but all of them together have
 * said each change once
 */
TEST(each_says_what_it_has_changed_itself)
{
	struct said said[THREADS] = { 0 };
	struct said all = { 0 };
	pthread_t threads[THREADS];
	unsigned int i;

	begin();
	host_use_real_time();
	for (i = 0; i < THREADS; i++) {
		CHECK_INT(pthread_create(&threads[i], NULL, keep_reloading, &said[i]), 0);
	}
	for (i = 0; i < RELOADS; i++) {
		host_replace_config(CONF, i % 2 ? A : B);
		count(host_cli("elevenlabs reload"), &all);
	}
	for (i = 0; i < THREADS; i++) {
		unsigned int agent;

		CHECK_INT(pthread_join(threads[i], NULL), 0);
		for (agent = 0; agent < 2; agent++) {
			all.added[agent] += said[i].added[agent];
			all.removed[agent] += said[i].removed[agent];
		}
	}
	/* It began and ends with a; the file has changed RELOADS times. */
	CHECK_INT(all.added[0], RELOADS / 2);
	CHECK_INT(all.removed[1], RELOADS / 2);
	CHECK_INT(all.added[1], RELOADS / 2);
	CHECK_INT(all.removed[0], RELOADS / 2);
	end();
}
