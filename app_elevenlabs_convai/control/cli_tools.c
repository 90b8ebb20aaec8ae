/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief `elevenlabs show tools` and `elevenlabs test tool`, and tools in Python after a reload
 *
 * What is written in Python only the engine knows, and is asked for it; what is dialplan is looked
 * up here: the extensions that have a plain name, and those that an agent's key tools names, which
 * may come from a pattern or an included context as well.
 */

#include "asterisk.h"

#include "asterisk/astobj2.h"	/* references to agents */
#include "asterisk/cli.h"	/* CLI_SUCCESS */
#include "asterisk/config.h"	/* ast_check_realtime */
#include "asterisk/pbx.h"	/* extensions of a context */
#include "asterisk/strings.h"	/* ast_str */
#include "asterisk/utils.h"	/* ast_free */

#include "call/variables.h"
#include "config/config.h"
#include "config/rows.h"
#include "control/cli_commands.h"
#include "control/inquire.h"
#include "control/tools.h"
#include "door.h"

/*! The engine has only to note it. With ENGINE_GRACE_US this is what a reload takes if it hangs. */
#define RENEW_LIMIT_MS 1000
/*! For all files to be loaded, and a worker to be started: pyconvai/limits.py has less for each */
#define SHOW_LIMIT_MS 20000
/*! So many extensions of a context are listed; a context of tools has some ten */
#define STEPS_SHOWN 200

/*! Of an extension and its context, with a sign between them; Asterisk's names have 80 bytes */
#define STEP_SIZE 256

/*! Whether the engine may know of a directory: the snapshot before had one */
static int has_directories;

/*! \brief Whether an agent before this one has the same value */
static int is_known(const struct config *config, size_t place, enum config_key_id key)
{
	const char *value = AST_VECTOR_GET(&config->agents, place)->values[key];
	size_t i;

	for (i = 0; i < place; i++) {
		if (!strcmp(AST_VECTOR_GET(&config->agents, i)->values[key], value)) {
			return 1;
		}
	}
	return 0;
}

/*! \brief That of [general], which rows of a database inherit, where no agent of the file has it; "" otherwise */
static const char *directory_of_rows(const struct config *config)
{
	const char *directory = config->defaults ? config->defaults->values[KEY_TOOLS_DIRECTORY] : "";
	size_t i;

	for (i = 0; i < AST_VECTOR_SIZE(&config->agents); i++) {
		if (!strcmp(AST_VECTOR_GET(&config->agents, i)->values[KEY_TOOLS_DIRECTORY], directory)) {
			return "";
		}
	}
	return ast_check_realtime(ROWS_FAMILY) ? directory : "";
}

/*! \brief Add each tools_directory once. \return how many, or -1 when out of memory */
static int add_directories(struct pair_list *list, const struct config *config)
{
	const char *inherited = directory_of_rows(config);
	int count = 0;
	size_t i;

	if (*inherited) {
		if (pair_list_add(list, "directory", inherited)) {
			return -1;
		}
		count++;
	}

	for (i = 0; i < AST_VECTOR_SIZE(&config->agents); i++) {
		const char *directory = AST_VECTOR_GET(&config->agents, i)->values[KEY_TOOLS_DIRECTORY];

		if (!*directory || is_known(config, i, KEY_TOOLS_DIRECTORY)) {
			continue;
		}
		if (pair_list_add(list, "directory", directory)) {
			return -1;
		}
		count++;
	}
	return count;
}

/*! \brief Add a tool of the dialplan's as name@context. \return 0, or -1 when out of memory */
static int add_extension(struct pair_list *list, size_t room, const char *tool, const char *context)
{
	char place[STEP_SIZE];

	snprintf(place, sizeof(place), "%s@%s", tool, context);
	return pair_list_add(list, tool_rooms[room].argument, place);
}

/*! \brief Add the extensions of a context. \return 0, or -1 when out of memory */
static int add_extensions(struct pair_list *list, size_t room, const char *name)
{
	struct ast_context *context;
	struct ast_exten *extension = NULL;
	int count = 0;
	int res = 0;

	ast_rdlock_contexts();
	context = ast_context_find(name);
	if (!context) {
		ast_unlock_contexts();
		return 0;
	}
	ast_rdlock_context(context);
	while (!res && count < STEPS_SHOWN
		&& (extension = ast_walk_context_extensions(context, extension))) {
		res = add_extension(list, room, ast_get_extension_name(extension), name);
		count++;
	}
	ast_unlock_context(context);
	ast_unlock_contexts();
	return res;
}

/*! \brief What there is for any agent */
static int add_all(struct pair_list *list, const struct config *config)
{
	size_t room;
	size_t i;

	if (add_directories(list, config) < 0) {
		return -1;
	}
	for (room = 0; room < TOOL_ROOMS; room++) {
		enum config_key_id key = tool_rooms[room].context;

		for (i = 0; i < AST_VECTOR_SIZE(&config->agents); i++) {
			if (!is_known(config, i, key)
				&& add_extensions(list, room, AST_VECTOR_GET(&config->agents, i)->values[key])) {
				return -1;
			}
		}
	}
	return 0;
}

/*! \brief Add those names in tools that an agent's contexts have, in whatever way */
static int add_named(struct pair_list *list, const struct config_agent *agent)
{
	char *names = ast_strdupa(agent->values[KEY_TOOLS]);
	const char *name;
	size_t room;
	int res = 0;

	while (!res && (name = strsep(&names, ","))) {
		for (room = 0; room < TOOL_ROOMS; room++) {
			const char *context = agent->values[tool_rooms[room].context];

			if (*name && ast_exists_extension(NULL, context, name, 1, NULL)) {
				res |= add_extension(list, room, name, context);
			}
		}
	}
	return res;
}

/*! \brief What there is for one agent, and what it may call of that */
static int add_own(struct pair_list *list, const struct config_agent *agent)
{
	const char *directory = agent->values[KEY_TOOLS_DIRECTORY];
	size_t room;
	int res = pair_list_fill_agent(list, agent);

	if (*directory) {
		res |= pair_list_add(list, "directory", directory);
	}
	res |= add_named(list, agent);
	for (room = 0; room < TOOL_ROOMS; room++) {
		res |= add_extensions(list, room, agent->values[tool_rooms[room].context]);
	}
	return res;
}

/*! \brief Say whether some agent's dialplan has a tool of this name */
static int add_place(struct pair_list *list, const struct config *config, const char *tool)
{
	size_t room;
	size_t i;
	int res = 0;

	for (room = 0; room < TOOL_ROOMS; room++) {
		for (i = 0; i < AST_VECTOR_SIZE(&config->agents); i++) {
			const char *context = AST_VECTOR_GET(&config->agents, i)->values[tool_rooms[room].context];

			if (!is_known(config, i, tool_rooms[room].context)
				&& ast_exists_extension(NULL, context, tool, 1, NULL)) {
				res |= add_extension(list, room, tool, context);
			}
		}
	}
	return res;
}

/*! \brief Ask, and print; both arguments are let go of */
static char *ask(int fd, const char *kind, const char *agent, struct pair_list *list, int failed,
	uint32_t limit_ms)
{
	char *answer = NULL;
	int ok = 0;

	if (!failed) {
		ok = inquire(kind, agent, list, limit_ms, &answer);
	}
	inquire_print(fd, answer);
	ast_free(answer);
	pair_list_free(list);
	return ok ? CLI_SUCCESS : CLI_FAILURE;
}

char *cli_show_tools(struct ast_cli_args *a)
{
	struct pair_list list = { 0 };
	struct config *config;
	struct config_agent *agent = NULL;
	char *result = CLI_FAILURE;

	if (a->argc != 3 && a->argc != 4) {
		return CLI_SHOWUSAGE;
	}
	config = a->argc == 3 ? rows_config(config_get()) : config_get();
	if (!config) {
		door_cli(a->fd, "There is no configuration\n");
		return CLI_FAILURE;
	}
	if (a->argc == 3) {
		result = ask(a->fd, "show tools", "", &list, add_all(&list, config), SHOW_LIMIT_MS);
	} else if ((agent = cli_find_agent(a->fd, config, a->argv[3]))) {
		result = ask(a->fd, "show tools", agent->name, &list, add_own(&list, agent), SHOW_LIMIT_MS);
	}
	ao2_cleanup(agent);
	ao2_ref(config, -1);
	return result;
}

/*! \brief The longest tool_timeout of all agents: whose tool is tested is not said */
static unsigned int longest_timeout(const struct config *config)
{
	/* Without any there may be some in a database, which inherit [general]'s. */
	unsigned int longest = AST_VECTOR_SIZE(&config->agents) || !config->defaults ? 0
		: strtoul(config->defaults->values[KEY_TOOL_TIMEOUT], NULL, 10);
	size_t i;

	for (i = 0; i < AST_VECTOR_SIZE(&config->agents); i++) {
		unsigned int own = strtoul(AST_VECTOR_GET(&config->agents, i)->values[KEY_TOOL_TIMEOUT],
			NULL, 10);

		longest = own > longest ? own : longest;
	}
	return longest;
}

char *cli_test_tool(struct ast_cli_args *a)
{
	struct pair_list list = { 0 };
	struct ast_str *text = ast_str_create(256);
	struct config *config = rows_config(config_get());
	char *result = CLI_FAILURE;
	int i;

	if (a->argc < 4) {
		result = CLI_SHOWUSAGE;
	} else if (!config || !text) {
		door_cli(a->fd, "%s\n", config ? "Out of memory" : "There is no configuration");
	} else {
		unsigned int seconds = longest_timeout(config);
		char limit[12];
		int failed;

		for (i = 4; i < a->argc; i++) {
			ast_str_append(&text, 0, "%s%s", i > 4 ? " " : "", a->argv[i]);
		}
		snprintf(limit, sizeof(limit), "%u", seconds);
		failed = add_directories(&list, config) < 0 || pair_list_add(&list, "tool", a->argv[3])
			|| pair_list_add(&list, "json", ast_str_buffer(text))
			|| pair_list_add(&list, "seconds", limit) || add_place(&list, config, a->argv[3]);
		result = ask(a->fd, "test tool", "", &list, failed, seconds * 1000 + SHOW_LIMIT_MS);
	}
	ast_free(text);
	ao2_cleanup(config);
	return result;
}

void tools_renew(void)
{
	struct pair_list list = { 0 };
	struct config *config = config_get();
	int count = config ? add_directories(&list, config) : 0;
	int had = __atomic_exchange_n(&has_directories, count != 0, __ATOMIC_SEQ_CST);
	char *answer = NULL;

	if (count >= 0 && (count || had)
		&& !inquire("renew tools", "", &list, RENEW_LIMIT_MS, &answer)) {
		door_log(LOG_WARNING, "Tools in Python stay as they were: %s\n", S_OR(answer, "out of memory"));
	}
	ast_free(answer);
	pair_list_free(&list);
	ao2_cleanup(config);
}
