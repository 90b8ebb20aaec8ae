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
 * effect, the contexts of the dialplan that have to do with an agent, the last lines of the log. The engine decides
 * what of it is shown, and writes the file (pyconvai/report/bundle.py).
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
#include "config/rows.h"
#include "control/cli_commands.h"
#include "control/inquire.h"
#include "control/metrics.h"
#include "control/tools.h"
#include "door.h"

/*! For the engine to clean and to write it */
#define BUNDLE_LIMIT_MS 15000
/*! So much of what one command says is taken */
#define OUTPUT_MAX (256 * 1024)
/*! So much of the dialplan, in bytes of JSON: some thousand lines */
#define DIALPLAN_MAX (512 * 1024)

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
	/* No file of the bundle's: what may be named in that of the dialplan. */
	{ "applications", "core show applications" },
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

/*! \brief Whether a value is harmless, whatever it is */
static int is_shown(const struct config *config, const struct config_key *key, const char *value)
{
	struct config_agent *agent;

	if (key != &config_keys[KEY_FALLBACK_AGENT]) {
		return config_key_shows(key, value);
	}
	agent = config_find_agent(config, value);
	ao2_cleanup(agent);
	return agent != NULL;
}

static int is_preset(const struct config_key *key, const char *value)
{
	return ast_strlen_zero(value) || !strcmp(value, key->preset);
}

static void append_values(struct ast_str **text, const struct config *config, char * const *values)
{
	size_t i;

	for (i = 0; i < KEY_COUNT; i++) {
		const struct config_key *key = &config_keys[i];

		if (!is_preset(key, values[i])) {
			ast_str_append(text, 0, "%s = %s\n", key->name,
				is_shown(config, key, values[i]) ? values[i] : "*** (set)");
		}
	}
}

/*! \brief What differs from the default; of what an agent is told in each call the names */
static void append_section(struct ast_str **text, const struct config *config, const struct config_agent *agent)
{
	size_t i;

	append_values(text, config, agent->values);
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
	append_values(&text, config, config->general);
	if (config->defaults) {
		append_section(&text, config, config->defaults);
	}
	for (i = 0; i < AST_VECTOR_SIZE(&config->agents); i++) {
		const struct config_agent *agent = AST_VECTOR_GET(&config->agents, i);

		ast_str_append(&text, 0, "[%s]\n", agent->name);
		append_section(&text, config, agent);
	}
	res = pair_list_add(list, "config.txt", ast_str_buffer(text));
	ast_free(text);
	return res;
}

/*! \brief Tell the engine values that are not shown: they may stand in a line of the log. No credential does. */
static int add_hidden(struct pair_list *list, const struct config *config, char * const *values)
{
	int res = 0;
	size_t i;

	for (i = 0; i < KEY_COUNT; i++) {
		int is_credential = i == KEY_API_KEY || i == KEY_METRICS_PASSWORD || i == KEY_WEBHOOK_SECRET;

		if (!is_credential && !is_preset(&config_keys[i], values[i])
			&& !is_shown(config, &config_keys[i], values[i])) {
			res |= pair_list_add(list, "hidden", values[i]);
		}
	}
	return res;
}

/* ---- Names, and the dialplan as it is: the engine says what of it is shown ---- */

/*! \brief Tell the engine which names are no secret, of agents and of the contexts of their tools; and which values are */
static int add_names(struct pair_list *list, const struct config *config)
{
	struct config *agents = rows_config(config_get());
	int res = add_hidden(list, config, config->general);
	size_t i;

	for (i = 0; agents && i < AST_VECTOR_SIZE(&agents->agents); i++) {
		const struct config_agent *agent = AST_VECTOR_GET(&agents->agents, i);
		size_t room;

		res |= pair_list_add(list, "agent", agent->name);
		for (room = 0; room < TOOL_ROOMS; room++) {
			res |= pair_list_add(list, "context", agent->values[tool_rooms[room].context]);
		}
		res |= add_hidden(list, config, agent->values);
	}
	ao2_cleanup(agents);
	return res;
}

static int has_tools(const struct config *config, const char *context)
{
	size_t room;
	size_t i;

	for (i = 0; i < AST_VECTOR_SIZE(&config->agents); i++) {
		const struct config_agent *agent = AST_VECTOR_GET(&config->agents, i);

		for (room = 0; room < TOOL_ROOMS; room++) {
			if (!strcmp(context, agent->values[tool_rooms[room].context])) {
				return 1;
			}
		}
	}
	return 0;
}

/*! \brief Whether a context, which is locked, has to do with an agent */
static int is_about_agents(struct ast_context *context, const struct config *config)
{
	struct ast_exten *extension = NULL;

	if (has_tools(config, ast_get_context_name(context))) {
		return 1;
	}
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

/*! \brief A line as a list of JSON; a hint is none */
static void append_line(struct ast_str **text, const char *context, struct ast_exten *line)
{
	int priority = ast_get_extension_priority(line);

	if (priority < 1) {
		return;
	}
	ast_str_append(text, 0, "[");
	door_json(text, context);
	ast_str_append(text, 0, ",");
	door_json(text, ast_get_extension_name(line));
	ast_str_append(text, 0, ",%d,", priority);
	door_json(text, ast_get_extension_app(line));
	ast_str_append(text, 0, ",");
	door_json(text, S_OR((const char *) ast_get_extension_app_data(line), ""));
	ast_str_append(text, 0, "]\n");
}

static void append_context(struct ast_str **text, struct ast_context *context)
{
	struct ast_exten *extension = NULL;

	while ((extension = ast_walk_context_extensions(context, extension))) {
		struct ast_exten *line = NULL;

		while ((line = ast_walk_extension_priorities(extension, line))
			&& ast_str_strlen(*text) < DIALPLAN_MAX) {
			append_line(text, ast_get_context_name(context), line);
		}
	}
}

static int add_dialplan(struct pair_list *list)
{
	struct config *config = rows_config(config_get());
	struct ast_str *text = ast_str_create(4096);
	struct ast_context *context = NULL;
	int res = -1;

	if (config && text && !ast_rdlock_contexts()) {
		while ((context = ast_walk_contexts(context))) {
			if (!ast_rdlock_context(context)) {
				if (is_about_agents(context, config)) {
					append_context(&text, context);
				}
				ast_unlock_context(context);
			}
		}
		ast_unlock_contexts();
		res = pair_list_add(list, "dialplan", ast_str_buffer(text));
	}
	ast_free(text);
	ao2_cleanup(config);
	return res;
}

/* ---- The log ---- */

static void append_kept(void *data, const char *line)
{
	ast_str_append((struct ast_str **) data, 0, "%s\n", line);
}

static int add_log(struct pair_list *list)
{
	struct ast_str *text = ast_str_create(4096);
	int res = -1;

	if (text) {
		door_kept(append_kept, &text);
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
		&& (!config || (!add_config(&list, config) && !add_names(&list, config) && !add_dialplan(&list)))) {
		ok = inquire("bundle", "", &list, BUNDLE_LIMIT_MS, &answer);
	}
	inquire_print(a->fd, answer);
	ast_free(answer);
	pair_list_free(&list);
	ao2_cleanup(config);
	return ok ? CLI_SUCCESS : CLI_FAILURE;
}
