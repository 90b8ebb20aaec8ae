/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief `elevenlabs check agent`: what of an agent's settings will not work here
 *
 * The engine asks the service and compares (pyconvai/checking). What it cannot know by itself it is told: what
 * the dialplan has, and where elevenlabs.conf sets what. It says first which tools the agent has, so that
 * Asterisk can be asked for each whether there is such an extension, by a pattern or an included context as well.
 */

#include "asterisk.h"

#include "asterisk/astobj2.h"	/* references to agents */
#include "asterisk/cli.h"	/* CLI_SUCCESS */
#include "asterisk/config.h"	/* ast_check_realtime */
#include "asterisk/pbx.h"	/* ast_exists_extension */
#include "asterisk/utils.h"	/* ast_free */

#include "call/ending.h"
#include "call/lookup.h"
#include "call/variables.h"
#include "config/config.h"
#include "config/destinations.h"
#include "config/places.h"
#include "config/rows.h"
#include "control/cli_commands.h"
#include "control/inquire.h"
#include "control/references.h"
#include "control/tools.h"
#include "door.h"

const struct tool_room tool_rooms[TOOL_ROOMS] = {
	{ "step", KEY_STEPS_CONTEXT },
	{ "beside", KEY_TOOLS_CONTEXT },
};

/*! \brief Tell the engine which of these tools, one a line, the dialplan has */
static int add_extensions(struct pair_list *list, const struct config_agent *agent, char *tools)
{
	const char *tool;
	int res = 0;

	while ((tool = strsep(&tools, "\n"))) {
		size_t i;

		for (i = 0; i < TOOL_ROOMS; i++) {
			const char *context = agent->values[tool_rooms[i].context];

			if (*tool && ast_exists_extension(NULL, context, tool, 1, NULL)) {
				res |= pair_list_add(list, tool_rooms[i].argument, tool);
			}
		}
	}
	return res;
}

/*! \brief Tell it which overrides the dialplan may set, where they are named */
static int add_overrides(struct pair_list *list, const struct config_agent *agent)
{
	const char *names = agent->values[KEY_OVERRIDES];
	char *rest = ast_strdupa(names);
	const char *name;
	int res = 0;

	while (strcmp(names, "all") && strcmp(names, "none") && (name = strsep(&rest, ","))) {
		res |= pair_list_add(list, "override", name);
	}
	return res;
}

/*! \brief Tell it which entries of transfer_allow name a context that there is not */
static int add_transfers(struct pair_list *list, const struct config_agent *agent)
{
	char *rest = ast_strdupa(agent->values[KEY_TRANSFER_ALLOW]);
	const char *entry;
	int res = 0;

	while (!strcmp(agent->values[KEY_TRANSFER_METHOD], "blind") && (entry = strsep(&rest, ","))) {
		if (destination_is_nowhere(entry)) {
			res |= pair_list_add(list, "nowhere", entry);
		}
	}
	return res;
}

static int add_place(void *list, const char *place)
{
	return pair_list_add(list, "place", place);
}

/*! \brief Tell which keys a row sets, as config_places does of a file's lines */
static int add_row_places(struct pair_list *list, const struct config_agent *agent)
{
	struct config *config = agent->in_database ? config_get() : NULL;
	const struct config_report report = { .file = ROWS_FAMILY, .in_database = 1 };
	int res = 0;
	size_t i;

	for (i = 0; config && i < KEY_COUNT; i++) {
		struct ast_str *place;

		if (!strcmp(agent->values[i], config->defaults->values[i])) {
			continue;
		}
		place = ast_str_create(128);
		if (!place) {
			res = -1;
			break;
		}
		config_append_place(&place, &report, agent->name, NULL);
		ast_str_append(&place, 0, " %s", config_keys[i].name);
		res |= add_place(list, ast_str_buffer(place));
		ast_free(place);
	}
	ao2_cleanup(config);
	return res;
}

/*! \brief Ask what it finds, and say so. \return whether nothing will go wrong */
static int check(int fd, const struct config_agent *agent, struct pair_list *pairs)
{
	uint32_t limit_ms = agent->connect_timeout * 1000;
	char *answer;
	int ok = inquire("agent tools", agent->name, pairs, limit_ms, &answer);

	if (!ok) {
		door_cli(fd, "Agent %s could not be checked: %s\n", agent->name, S_OR(answer, "out of memory"));
	} else if (!answer || add_extensions(pairs, agent, answer) || add_overrides(pairs, agent)
		|| add_transfers(pairs, agent) || pair_list_add_defaults(pairs, agent) || references_add(pairs, agent)
		|| config_places(agent->name, add_place, pairs) || add_row_places(pairs, agent)) {
		door_cli(fd, "Agent %s could not be checked: out of memory\n", agent->name);
		ok = 0;
	} else {
		ast_free(answer);
		ok = inquire("check agent", agent->name, pairs, limit_ms, &answer);
		inquire_print(fd, answer);
	}
	ast_free(answer);
	return ok;
}

struct config_agent *cli_find_agent(int fd, const struct config *config, const char *name)
{
	struct ending ending;
	struct config_agent *agent = lookup_agent(config, name, NULL, &ending);

	if (!agent && ast_check_realtime(ROWS_FAMILY)) {
		door_cli(fd, "There is no agent %s: " ENDING_FORMAT "\n", name, ENDING_ARGS(ending.reason, ending.detail));
	} else if (!agent) {
		door_cli(fd, "There is no agent %s in " CONFIG_FILE "\n", name);
	}
	return agent;
}

char *cli_check_agent(struct ast_cli_args *a)
{
	struct config *config;
	struct config_agent *agent;
	struct pair_list pairs;
	int ok = 0;

	if (a->argc != 4) {
		return CLI_SHOWUSAGE;
	}
	config = config_get();
	agent = cli_find_agent(a->fd, config, a->argv[3]);
	ao2_cleanup(config);
	if (!agent) {
		return CLI_FAILURE;
	}
	if (pair_list_fill_agent(&pairs, agent)) {
		door_cli(a->fd, "Agent %s could not be checked: out of memory\n", agent->name);
	} else {
		ok = check(a->fd, agent, &pairs);
	}
	pair_list_free(&pairs);
	ao2_ref(agent, -1);
	return ok ? CLI_SUCCESS : CLI_FAILURE;
}
