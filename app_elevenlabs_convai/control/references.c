/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What the dialplan sets and reads of an agent, found in its lines
 */

#include "asterisk.h"

#include "asterisk/pbx.h"	/* the dialplan */
#include "asterisk/strings.h"	/* ast_copy_string */
#include "asterisk/utils.h"	/* ARRAY_LEN */

#include "call/variables.h"
#include "config/snapshot.h"
#include "control/references.h"

/*! Names that are taken from the dialplan, whose lines are whoever's: few agents have ten */
#define REFERENCES_MAX 500

/*! Of a name that is found in a line, with its terminator; of a tool's and a parameter's together */
#define NAME_SIZE 256

/*! What a name of a channel variable may have */
#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"

static const char * const set_prefixes[] = { "ELEVENLABS_VAR_", "ELEVENLABS_JSON_" };

#define READ_PREFIX "ELEVENLABS_ARG_"

/*! Who looks */
struct search {
	struct pair_list *list;
	size_t first;	/*!< of what it has added */
	int failed;
};

static int is_there(const struct search *search, const char *argument, const char *value)
{
	size_t i;

	for (i = search->first; i < search->list->count; i++) {
		const struct convai_pair *pair = &search->list->pairs[i];

		if (!strcmp(pair->name, argument) && !strcmp(pair->value, value)) {
			return 1;
		}
	}
	return 0;
}

static void add(struct search *search, const char *argument, const char *value)
{
	if (search->list->count - search->first < REFERENCES_MAX
		&& !is_there(search, argument, value)) {
		search->failed |= pair_list_add(search->list, argument, value);
	}
}

/*! \brief The next name behind a prefix, copied. \return where to go on, or NULL if there is none */
static const char *next_name(const char *text, const char *prefix, char *name, size_t size)
{
	const char *found = strstr(text, prefix);

	if (!found) {
		return NULL;
	}
	found += strlen(prefix);
	ast_copy_string(name, found, MIN(size, strspn(found, NAME_CHARACTERS) + 1));
	return found;
}

/*! \brief Find what a line sets: what stands behind ${ is only read */
static void look_for_set(struct search *search, const char *text)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(set_prefixes); i++) {
		const char *next = text;
		char name[NAME_SIZE];

		while ((next = next_name(next, set_prefixes[i], name, sizeof(name)))) {
			size_t before = next - text - strlen(set_prefixes[i]);

			if (*name && (before < 2 || strncmp(text + before - 2, "${", 2))) {
				add(search, "variable", name);
			}
		}
	}
}

static void look_for_read(struct search *search, const char *tool, const char *text)
{
	const char *next = text;
	char parameter[NAME_SIZE];
	char both[NAME_SIZE];

	while ((next = next_name(next, READ_PREFIX, parameter, sizeof(parameter)))) {
		int length = snprintf(both, sizeof(both), "%s %s", tool, parameter);

		if (*parameter && length < (int) sizeof(both)) {
			add(search, "reads", both);
		}
	}
}

/*! \brief Look through a context, which is locked */
static void look_through(struct search *search, struct ast_context *context, int has_tools)
{
	struct ast_exten *extension = NULL;

	while ((extension = ast_walk_context_extensions(context, extension))) {
		struct ast_exten *line = NULL;

		while ((line = ast_walk_extension_priorities(extension, line))) {
			const char *text = ast_get_extension_app_data(line);

			if (!ast_strlen_zero(text)) {
				look_for_set(search, text);
				if (has_tools) {
					look_for_read(search, ast_get_extension_name(line), text);
				}
			}
		}
	}
}

int references_add(struct pair_list *list, const struct config_agent *agent)
{
	struct search search = { .list = list, .first = list->count };
	struct ast_context *context = NULL;

	if (ast_rdlock_contexts()) {
		return 0;
	}
	while ((context = ast_walk_contexts(context))) {
		if (!ast_rdlock_context(context)) {
			const char *name = ast_get_context_name(context);

			look_through(&search, context, !strcmp(name, agent->values[KEY_STEPS_CONTEXT])
				|| !strcmp(name, agent->values[KEY_TOOLS_CONTEXT]));
			ast_unlock_context(context);
		}
	}
	ast_unlock_contexts();
	return search.failed ? -1 : 0;
}
