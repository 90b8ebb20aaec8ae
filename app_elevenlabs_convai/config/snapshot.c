/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What elevenlabs.conf says: an immutable, reference-counted snapshot
 */

#include "asterisk.h"

#include "asterisk/astobj2.h"	/* ao2 objects */
#include "asterisk/strings.h"	/* strcasecmp */
#include "asterisk/utils.h"	/* ast_free */

#include "config/report.h"
#include "config/snapshot.h"

static void config_destructor(void *object)
{
	struct config *config = object;
	size_t i;

	for (i = 0; i < KEY_COUNT; i++) {
		config_erase(config->general[i]);
		ast_free(config->general[i]);
	}
	AST_VECTOR_CALLBACK_VOID(&config->agents, ao2_cleanup);
	AST_VECTOR_FREE(&config->agents);
	ao2_cleanup(config->defaults);
}

static void agent_destructor(void *object)
{
	struct config_agent *agent = object;
	size_t i;

	ast_free(agent->name);
	for (i = 0; i < KEY_COUNT; i++) {
		config_erase(agent->values[i]);
		ast_free(agent->values[i]);
	}
	config_pairs_free(&agent->pairs);
}

struct config *config_make_empty(void)
{
	struct config *config = ao2_alloc_options(sizeof(*config), config_destructor,
		AO2_ALLOC_OPT_LOCK_NOLOCK);

	if (config) {
		AST_VECTOR_INIT(&config->agents, 0);
	}
	return config;
}

struct config_agent *config_make_agent(void)
{
	return ao2_alloc_options(sizeof(struct config_agent), agent_destructor,
		AO2_ALLOC_OPT_LOCK_NOLOCK);
}

struct config_agent *config_find_agent(const struct config *config, const char *name)
{
	size_t i;

	for (i = 0; i < AST_VECTOR_SIZE(&config->agents); i++) {
		struct config_agent *agent = AST_VECTOR_GET(&config->agents, i);

		if (!strcasecmp(agent->name, name)) {
			return ao2_bump(agent);
		}
	}
	return NULL;
}

int config_agent_tells_words(const struct config_agent *agent)
{
	const char *where = agent->values[KEY_TRANSCRIPTS];

	return !strcmp(where, "events") || !strcmp(where, "all");
}

int config_agent_allows(const struct config_agent *agent, const char *override)
{
	const char *names = agent->values[KEY_OVERRIDES];
	size_t length = strlen(override);
	const char *next;

	if (!strcmp(names, "all") || !strcmp(names, "none")) {
		return names[0] == 'a';
	}
	if (strchr(override, ',')) {
		return 0;
	}
	for (next = names; next; next = strchr(next, ',')) {
		next += *next == ',';
		if (!strncmp(next, override, length) && strchr(",", next[length])) {
			return 1;
		}
	}
	return 0;
}

const char *config_agent_host(const struct config_agent *agent, char *host, size_t size)
{
	const char *start = strstr(agent->values[KEY_BASE_URL], "://");

	ast_copy_string(host, start ? start + 3 : agent->values[KEY_BASE_URL], size);
	host[strcspn(host, "/,")] = '\0';
	return host;
}
