/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Tests inside Asterisk: configuration, variables, names, and the playout clock
 */

#include "asterisk.h"

#ifdef TEST_FRAMEWORK

#include <stdlib.h>	/* mkstemp(3) */
#include <unistd.h>	/* write(2), unlink(2) */

#include "asterisk/astobj2.h"	/* references to agents */
#include "asterisk/callerid.h"	/* AST_PRES_RESTRICTED */
#include "asterisk/channel.h"	/* a channel without a technology */
#include "asterisk/pbx.h"	/* pbx_builtin_setvar_helper */
#include "asterisk/test.h"	/* the framework */

#include "call/playout_clock.h"
#include "call/variables.h"
#include "config/config.h"
#include "config/diff.h"
#include "config/report.h"
#include "tests/test_elevenlabs.h"

/* ---- Configuration ---- */

struct config *test_config(const char *text, struct config_report *report)
{
	char path[] = "/tmp/elevenlabs-test-XXXXXX";
	int fd = mkstemp(path);
	struct config *config = NULL;

	if (fd < 0) {
		return NULL;
	}
	if (write(fd, text, strlen(text)) == (ssize_t) strlen(text)) {
		config = config_read(path, report);
	}
	close(fd);
	unlink(path);
	return config;
}

AST_TEST_DEFINE(config_values)
{
	static const char text[] =
		"[general]\n"
		"api_key = general-key\n"
		"connect_timeout = 7\n"
		"max_sessions = 40\n"
		"[first]\n"
		"agent_id = agent_1\n"
		"[second]\n"
		"agent_id = agent_2\n"
		"api_key = own-key\n"
		"max_sessions = 3\n"
		"base_url = eu\n"
		"silence = off\n";
	struct config_report report = { .fd = -1 };
	RAII_VAR(struct config *, config, NULL, ao2_cleanup);
	RAII_VAR(struct config_agent *, first, NULL, ao2_cleanup);
	RAII_VAR(struct config_agent *, second, NULL, ao2_cleanup);
	char host[CONFIG_VALUE_SIZE];

	TEST_DESCRIBE("config_values", "Sections inherit from [general] and override it")
	config = test_config(text, &report);
	ast_test_validate(test, config != NULL);
	ast_test_validate(test, config->max_sessions == 40);
	first = config_find_agent(config, "FIRST");
	second = config_find_agent(config, "second");
	ast_test_validate(test, first && second);
	ast_test_validate(test, !config_find_agent(config, "general"));
	ast_test_validate(test, !strcmp(first->values[KEY_API_KEY], "general-key"));
	ast_test_validate(test, !strcmp(second->values[KEY_API_KEY], "own-key"));
	ast_test_validate(test, first->connect_timeout == 7);
	ast_test_validate(test, first->max_sessions == 0);
	ast_test_validate(test, second->max_sessions == 3);
	ast_test_validate(test, first->silence && !second->silence);
	ast_test_validate(test, !strcmp(config_agent_host(second, host, sizeof(host)),
		"api.eu.residency.elevenlabs.io"));
	return AST_TEST_PASS;
}

/*! \brief Whether a file is refused with these words on the line of this number */
static int is_refused(const char *text, int line, const char *words)
{
	FILE *said = tmpfile();
	struct config_report report = { .fd = said ? fileno(said) : -1 };
	struct config *config = test_config(text, &report);
	char wanted[32];
	char answer[4096] = "";
	int found = 0;

	snprintf(wanted, sizeof(wanted), ":%d ", line);
	if (said) {
		rewind(said);
		while (fgets(answer, sizeof(answer), said)) {
			found |= strstr(answer, wanted) && strstr(answer, words)
				&& !strstr(answer, "my secret");
		}
		fclose(said);
	}
	found &= !config && report.faults;
	ao2_cleanup(config);
	return found;
}

AST_TEST_DEFINE(config_faults)
{
	TEST_DESCRIBE("config_faults", "What is wrong is named with its line and its remedy")
	ast_test_validate(test, is_refused("[a]\nagent_id = x\nchunk_ms = 7\n", 3, "20 to 1000"));
	ast_test_validate(test, is_refused("[a]\nagent_id = x\nchunk_ms = 2O\n", 3, "chunk_ms"));
	ast_test_validate(test, is_refused("[a]\nagent_id = x\nbase_ulr = us\n", 3, "base_url"));
	ast_test_validate(test, is_refused("[general]\nagent_id = x\n", 2, "section"));
	ast_test_validate(test, is_refused("[a]\nauth = none\n", 2, "agent_id"));
	ast_test_validate(test, is_refused("[a]\nagent_id = x\napi_key = my secret\n", 3,
		"(not shown)"));
	ast_test_validate(test, is_refused("[a]\nagent_id = x\nca_file = /proc/none\n", 3,
		"PEM"));
	ast_test_validate(test, is_refused("[a]\nagent_id = x\nca_file = /dev/null\n", 3,
		"PEM"));
	ast_test_validate(test, is_refused("[a]\nagent_id = x\nbase_url = http://u@host\n", 3,
		"base_url"));
	return AST_TEST_PASS;
}

/*! \brief Whether this is what one file changes in another, whole */
static int is_change(const char *before, const char *after, const char *wanted)
{
	FILE *said = tmpfile();
	struct config_report report = { .fd = -1 };
	RAII_VAR(struct config *, old, test_config(before, &report), ao2_cleanup);
	RAII_VAR(struct config *, new, test_config(after, &report), ao2_cleanup);
	char answer[4096] = "";

	if (!said || !old || !new) {
		return 0;
	}
	config_diff(old, new, fileno(said));
	rewind(said);
	answer[fread(answer, 1, sizeof(answer) - 1, said)] = '\0';
	fclose(said);
	return !strcmp(answer, wanted);
}

AST_TEST_DEFINE(config_changes)
{
	static const char a[] = "[a]\nagent_id = x\napi_key = secret\n";
	static const char b[] =
		"[b]\nagent_id = y\nauth = none\n[A]\nagent_id = x\n"
		"api_key = other\nchunk_ms = 40\n";

	TEST_DESCRIBE("config_changes", "Agents and keys that differ are named, values are not")
	ast_test_validate(test, is_change(a, a, "  nothing changed\n"));
	ast_test_validate(test, is_change(a, b, "  added: b\n  changed: A (api_key, chunk_ms)\n"));
	ast_test_validate(test, is_change(b, a,
		"  removed: b\n"
		"  changed: a (api_key, chunk_ms)\n"));
	ast_test_validate(test, is_change("", "[general]\nmax_sessions = 2\n",
		"  changed: [general] (max_sessions)\n"));
	return AST_TEST_PASS;
}

/* ---- Variables ---- */

static struct ast_channel *channel_with_variables(void)
{
	struct ast_channel *channel = ast_dummy_channel_alloc();

	if (!channel) {
		return NULL;
	}
	pbx_builtin_setvar_helper(channel, "ELEVENLABS_VAR_customer", "01234");
	pbx_builtin_setvar_helper(channel, "__ELEVENLABS_VAR_handed_on", "yes");
	pbx_builtin_setvar_helper(channel, "ELEVENLABS_VAR_bad", "caf\xe9");
	pbx_builtin_setvar_helper(channel, "ELEVENLABS_VAR_", "has no name");
	pbx_builtin_setvar_helper(channel, "ELEVENLABS_VAR_called_number", "mine");
	pbx_builtin_setvar_helper(channel, "ELEVENLABS_JSON_age", "42");
	pbx_builtin_setvar_helper(channel, "ELEVENLABS_OVERRIDE_language", "de");
	pbx_builtin_setvar_helper(channel, "UNRELATED", "kept");
	ast_channel_caller(channel)->id.number.valid = 1;
	ast_channel_caller(channel)->id.number.str = ast_strdup("5550100");
	return channel;
}

/*! \brief Value of the only pair of this kind and name, or NULL */
static const char *value_of(const struct pair_list *list, uint32_t kind, const char *name)
{
	const char *found = NULL;
	size_t i;

	for (i = 0; i < list->count; i++) {
		if (list->pairs[i].kind == kind && !strcmp(list->pairs[i].name, name)) {
			if (found) {
				return NULL;
			}
			found = list->pairs[i].value;
		}
	}
	return found;
}

static int has(const struct pair_list *list, uint32_t kind, const char *name,
	const char *value)
{
	const char *found = value_of(list, kind, name);

	return found && !strcmp(found, value);
}

AST_TEST_DEFINE(variables)
{
	struct config_report report = { .fd = -1 };
	RAII_VAR(struct config *, config, NULL, ao2_cleanup);
	RAII_VAR(struct config_agent *, agent, NULL, ao2_cleanup);
	RAII_VAR(struct ast_channel *, channel, NULL, ast_channel_cleanup);
	struct pair_list list;

	TEST_DESCRIBE("variables", "What a channel tells the agent")
	config = test_config("[a]\nagent_id = x\nauth = none\n", &report);
	agent = config ? config_find_agent(config, "a") : NULL;
	channel = channel_with_variables();
	ast_test_validate(test, agent && channel);

	ast_test_validate(test, !pair_list_fill(&list, channel, agent));
	ast_test_validate(test, has(&list, CONVAI_PAIR_SETTING, "agent_id", "x"));
	ast_test_validate(test, has(&list, CONVAI_PAIR_VARIABLE, "customer", "01234"));
	ast_test_validate(test, has(&list, CONVAI_PAIR_VARIABLE, "handed_on", "yes"));
	ast_test_validate(test, has(&list, CONVAI_PAIR_VARIABLE, "bad", "caf?"));
	ast_test_validate(test, has(&list, CONVAI_PAIR_VARIABLE, "called_number", "mine"));
	ast_test_validate(test, has(&list, CONVAI_PAIR_VARIABLE, "caller_number", "5550100"));
	ast_test_validate(test, has(&list, CONVAI_PAIR_JSON, "age", "42"));
	ast_test_validate(test, has(&list, CONVAI_PAIR_OVERRIDE, "language", "de"));
	ast_test_validate(test, !value_of(&list, CONVAI_PAIR_VARIABLE, ""));
	pair_list_free(&list);

	ast_channel_caller(channel)->id.number.presentation = AST_PRES_RESTRICTED;
	ast_test_validate(test, !pair_list_fill(&list, channel, agent));
	ast_test_validate(test, has(&list, CONVAI_PAIR_VARIABLE, "caller_number", ""));
	pair_list_free(&list);
	return AST_TEST_PASS;
}

AST_TEST_DEFINE(status_names)
{
	uint32_t i;
	uint32_t j;

	TEST_DESCRIBE("status_names", "Every status has a name of its own")
	for (i = CONVAI_STATUS_AGENT_ENDED; i <= CONVAI_STATUS_UNLOADED; i++) {
		ast_test_validate(test, status_name(i)[0]);
		for (j = CONVAI_STATUS_NONE; j < i; j++) {
			ast_test_validate(test, strcmp(status_name(i), status_name(j)));
		}
	}
	ast_test_validate(test, !strcmp(status_name(CONVAI_STATUS_UNLOADED + 1), "ERROR"));
	return AST_TEST_PASS;
}

/* ---- The playout clock ---- */

#define START_US INT64_C(5000000)

AST_TEST_DEFINE(clock_follows_the_caller)
{
	struct playout_clock clock = { 0 };
	unsigned int frames = 0;
	unsigned int most = 0;
	int i;

	TEST_DESCRIBE("clock_follows_the_caller",
		"One frame for each of the caller's, jitter and drift or not")
	playout_clock_start(&clock, START_US);
	for (i = 0; i < 3000; i++) {
		/* A minute; the caller's clock is 0.05 % slow and its frames up to 4 ms late. */
		int64_t now = START_US + i * INT64_C(20010) + i * 7 % 5 * 1000;
		unsigned int due = playout_clock_due(&clock, now, PLAYOUT_FRAME_US);

		frames += due;
		most = MAX(most, due);
		ast_test_validate(test, playout_clock_wait_ms(&clock, now) >= 15);
	}
	ast_test_status_update(test, "%u frames, at most %u at once\n", frames, most);
	ast_test_validate(test, frames >= 2999 && frames <= 3003);
	ast_test_validate(test, most <= 2);
	ast_test_validate(test, clock.resyncs == 0);
	return AST_TEST_PASS;
}

AST_TEST_DEFINE(clock_without_a_caller)
{
	struct playout_clock clock = { 0 };
	int64_t now = START_US;
	unsigned int frames = 0;
	int i;

	TEST_DESCRIBE("clock_without_a_caller", "Time-outs pace the playout by themselves")
	playout_clock_start(&clock, now);
	for (i = 0; i < 500; i++) {
		int wait_ms = playout_clock_wait_ms(&clock, now);

		ast_test_validate(test, wait_ms > 0 && wait_ms <= 26);
		now += wait_ms * INT64_C(1000);
		frames += playout_clock_due(&clock, now, 0);
	}
	ast_test_validate(test, frames == 500);
	ast_test_validate(test, now - START_US <= 500 * INT64_C(20000) + 6000);
	return AST_TEST_PASS;
}

AST_TEST_DEFINE(clock_after_a_stall)
{
	struct playout_clock clock = { 0 };

	TEST_DESCRIBE("clock_after_a_stall", "A short stall is made up for, a long one is not")
	playout_clock_start(&clock, START_US);
	ast_test_validate(test, playout_clock_due(&clock, START_US, PLAYOUT_FRAME_US) == 1);
	ast_test_validate(test,
		playout_clock_due(&clock, START_US + 80000, PLAYOUT_FRAME_US) == 4);
	ast_test_validate(test, clock.resyncs == 0);
	ast_test_validate(test, playout_clock_due(&clock, START_US + 2000000, 0) == 1);
	ast_test_validate(test, clock.resyncs == 1);
	return AST_TEST_PASS;
}

/* ---- Registration ---- */

static ast_test_cb_t * const tests[] = {
	config_values,
	config_faults,
	config_changes,
	variables,
	status_names,
	clock_follows_the_caller,
	clock_without_a_caller,
	clock_after_a_stall,
};

void tests_register(void)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(tests); i++) {
		AST_TEST_REGISTER(tests[i]);
	}
	call_tests_register();
}

void tests_unregister(void)
{
	size_t i;

	call_tests_unregister();
	for (i = 0; i < ARRAY_LEN(tests); i++) {
		AST_TEST_UNREGISTER(tests[i]);
	}
}

#endif /* TEST_FRAMEWORK */
