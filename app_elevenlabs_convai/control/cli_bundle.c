/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief `elevenlabs bundle`: a file to send in
 *
 * Gathered here is what Asterisk has and this module: what its own commands say, the configuration as it is in
 * effect, the contexts of the dialplan that have to do with an agent, the last lines of the log. The engine cuts
 * out what is nobody's business, and writes the file (pyconvai/report/bundle.py).
 */

#include "asterisk.h"

#include <sys/mman.h>	/* memfd_create(2) */
#include <unistd.h>	/* read(2) */

#include "asterisk/astobj2.h"	/* ao2_cleanup */
#include "asterisk/cli.h"	/* ast_cli_command */
#include "asterisk/pbx.h"	/* what the dialplan has */
#include "asterisk/strings.h"	/* ast_str */
#include "asterisk/utils.h"	/* ast_free */

#include "call/variables.h"
#include "config/config.h"
#include "control/cli_commands.h"
#include "control/inquire.h"
#include "control/metrics.h"
#include "door.h"

/*! For the engine to clean and to write it */
#define BUNDLE_LIMIT_MS 15000
/*! So much of what one command says is taken */
#define OUTPUT_MAX (256 * 1024)
/*! So many contexts are shown: the agents' own, and those that have one called */
#define CONTEXTS_MAX 40
/*! Asterisk's names of contexts have 80 bytes */
#define CONTEXT_SIZE 80

/*! What the commands of a part say */
static const struct {
	const char *part;
	const char *command;
} outputs[] = {
	{ "versions.txt", "elevenlabs show version" },
	{ "versions.txt", "core show version" },
	{ "versions.txt", "core show uptime" },
	{ "versions.txt", "module show like elevenlabs" },
	{ "state.txt", "elevenlabs show agents" },
	{ "state.txt", "elevenlabs show sessions" },
	{ "state.txt", "elevenlabs show webhooks" },
	{ "counters.txt", "elevenlabs show stats" },
	{ "asterisk.txt", "core show settings" },
	{ "asterisk.txt", "core show codecs audio" },
	{ "asterisk.txt", "rtp show settings" },
	{ "asterisk.txt", "http show status" },
};

/*! \brief Append what is in a file, from its beginning */
static void append_file(struct ast_str **text, int fd)
{
	char piece[4096];
	size_t all = 0;
	ssize_t n;

	lseek(fd, 0, SEEK_SET);
	while (all < OUTPUT_MAX && (n = read(fd, piece, sizeof(piece) - 1)) > 0) {
		piece[n] = '\0';
		ast_str_append(text, 0, "%s", piece);
		all += n;
	}
}

/*! \brief Append a command, and what it says */
static void append_output(struct ast_str **text, const char *command)
{
	int fd = memfd_create("elevenlabs-bundle", MFD_CLOEXEC);

	ast_str_append(text, 0, "*CLI> %s\n", command);
	if (fd < 0) {
		ast_str_append(text, 0, "not shown: %s\n", strerror(errno));
		return;
	}
	ast_cli_command(fd, command);
	append_file(text, fd);
	ast_str_append(text, 0, "\n");
	close(fd);
}

static int add_outputs(struct pair_list *list)
{
	int res = 0;
	size_t i;

	for (i = 0; i < ARRAY_LEN(outputs); i++) {
		struct ast_str *text = ast_str_create(1024);

		if (!text) {
			return -1;
		}
		append_output(&text, outputs[i].command);
		res |= pair_list_add(list, outputs[i].part, ast_str_buffer(text));
		ast_free(text);
	}
	return res;
}

static int add_metrics(struct pair_list *list)
{
	struct ast_str *text = ast_str_create(4096);
	int res = -1;

	if (text) {
		metrics_append(&text);
		res = pair_list_add(list, "counters.txt", ast_str_buffer(text));
	}
	ast_free(text);
	return res;
}

/* ---- The configuration ---- */

static void append_value(struct ast_str **text, const struct config_key *key, const char *value)
{
	if (!ast_strlen_zero(value) && strcmp(value, key->preset)) {
		ast_str_append(text, 0, "%s = %s\n", key->name,
			key->flags & KEY_HIDDEN ? "*** (set)" : value);
	}
}

static void append_values(struct ast_str **text, char * const *values)
{
	size_t i;

	for (i = 0; i < KEY_COUNT; i++) {
		append_value(text, &config_keys[i], values[i]);
	}
}

/*! \brief What differs from the default; of what an agent is told in each call the names */
static void append_section(struct ast_str **text, const struct config_agent *agent)
{
	size_t i;

	append_values(text, agent->values);
	for (i = 0; i < AST_VECTOR_SIZE(&agent->pairs); i++) {
		const struct convai_pair *pair = AST_VECTOR_GET_ADDR(&agent->pairs, i);

		ast_str_append(text, 0, "%s%s = *** (set)\n", config_pairs_prefix(pair->kind), pair->name);
	}
	ast_str_append(text, 0, "\n");
}

static int add_config(struct pair_list *list, const struct config *config)
{
	struct ast_str *text = ast_str_create(4096);
	int res = -1;
	size_t i;

	if (!text) {
		return -1;
	}
	ast_str_append(&text, 0, "; as it is in effect: what differs from the defaults\n");
	ast_str_append(&text, 0, "[general]\n");
	append_values(&text, config->general);
	if (config->defaults) {
		append_section(&text, config->defaults);
	}
	for (i = 0; i < AST_VECTOR_SIZE(&config->agents); i++) {
		const struct config_agent *agent = AST_VECTOR_GET(&config->agents, i);

		ast_str_append(&text, 0, "[%s]\n", agent->name);
		append_section(&text, agent);
	}
	res = pair_list_add(list, "config.txt", ast_str_buffer(text));
	ast_free(text);
	return res;
}

/* ---- The dialplan ---- */

struct contexts {
	char names[CONTEXTS_MAX][CONTEXT_SIZE];
	size_t count;
	unsigned int more:1;
};

static void add_context(struct contexts *contexts, const char *name)
{
	size_t i;

	for (i = 0; i < contexts->count; i++) {
		if (!strcmp(contexts->names[i], name)) {
			return;
		}
	}
	if (contexts->count == CONTEXTS_MAX) {
		contexts->more = 1;
	} else {
		ast_copy_string(contexts->names[contexts->count++], name, CONTEXT_SIZE);
	}
}

/*! \brief Whether a line of it has to do with an agent. It is locked. */
static int is_about_agents(struct ast_context *context)
{
	struct ast_exten *extension = NULL;

	while ((extension = ast_walk_context_extensions(context, extension))) {
		struct ast_exten *line = NULL;

		while ((line = ast_walk_extension_priorities(extension, line))) {
			const char *text = ast_get_extension_app_data(line);

			if (!strncasecmp(ast_get_extension_app(line), "ElevenLabs", strlen("ElevenLabs"))
				|| (text && strstr(text, "ELEVENLABS"))) {
				return 1;
			}
		}
	}
	return 0;
}

static void find_contexts(struct contexts *contexts)
{
	struct ast_context *context = NULL;

	if (ast_rdlock_contexts()) {
		return;
	}
	while ((context = ast_walk_contexts(context))) {
		if (!ast_rdlock_context(context)) {
			if (is_about_agents(context)) {
				add_context(contexts, ast_get_context_name(context));
			}
			ast_unlock_context(context);
		}
	}
	ast_unlock_contexts();
}

static int add_dialplan(struct pair_list *list, const struct config *config)
{
	struct contexts *contexts = ast_calloc(1, sizeof(*contexts));
	struct ast_str *text = ast_str_create(4096);
	int res = -1;
	size_t i;

	if (contexts && text) {
		for (i = 0; i < AST_VECTOR_SIZE(&config->agents); i++) {
			const struct config_agent *agent = AST_VECTOR_GET(&config->agents, i);

			add_context(contexts, agent->values[KEY_STEPS_CONTEXT]);
			add_context(contexts, agent->values[KEY_TOOLS_CONTEXT]);
		}
		find_contexts(contexts);
		for (i = 0; i < contexts->count; i++) {
			char command[CONTEXT_SIZE + sizeof("dialplan show ")];

			snprintf(command, sizeof(command), "dialplan show %s", contexts->names[i]);
			append_output(&text, command);
		}
		if (contexts->more) {
			ast_str_append(&text, 0, "more than %d contexts: the others are left out\n", CONTEXTS_MAX);
		}
		res = pair_list_add(list, "dialplan.txt", ast_str_buffer(text));
	}
	ast_free(text);
	ast_free(contexts);
	return res;
}

/* ---- The log ---- */

static void append_line(void *data, const char *line)
{
	ast_str_append((struct ast_str **) data, 0, "%s\n", line);
}

static int add_log(struct pair_list *list)
{
	struct ast_str *text = ast_str_create(4096);
	int res = -1;

	if (text) {
		door_kept(append_line, &text);
		res = pair_list_add(list, "log.txt", ast_str_buffer(text));
	}
	ast_free(text);
	return res;
}

char *cli_bundle(struct ast_cli_args *a)
{
	struct pair_list list = { 0 };
	struct config *config;
	char *answer = NULL;
	int ok = 0;

	if (a->argc != 2) {
		return CLI_SHOWUSAGE;
	}
	config = config_get();
	if (!add_outputs(&list) && !add_metrics(&list) && !add_log(&list)
		&& (!config || (!add_config(&list, config) && !add_dialplan(&list, config)))) {
		ok = inquire("bundle", "", &list, BUNDLE_LIMIT_MS, &answer);
	}
	inquire_print(a->fd, answer);
	ast_free(answer);
	pair_list_free(&list);
	ao2_cleanup(config);
	return ok ? CLI_SUCCESS : CLI_FAILURE;
}
