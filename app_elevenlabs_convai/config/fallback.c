/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Where fallback_agent leads
 */

#include "asterisk.h"

#include "asterisk/config.h"	/* lines of the file */
#include "asterisk/strings.h"	/* strcasecmp */

#include "config/config.h"
#include "config/fallback.h"
#include "config/report.h"

/*! \brief The line that says so; NULL if it is not known */
static const struct ast_variable *line_of(const struct ast_config *file,
	const struct config_agent *agent)
{
	const struct ast_variable *var = ast_variable_browse(file, agent->name);

	while (var && strcasecmp(var->name, config_keys[KEY_FALLBACK_AGENT].name)) {
		var = var->next;
	}
	return var;
}

/*! \brief The next agent on the way, borrowed from the configuration, or NULL */
static const struct config_agent *next_of(const struct config *config,
	const struct config_agent *agent)
{
	size_t i;

	for (i = 0; i < AST_VECTOR_SIZE(&config->agents); i++) {
		const struct config_agent *other = AST_VECTOR_GET(&config->agents, i);

		if (agent->values[KEY_FALLBACK_AGENT][0]
			&& !strcasecmp(other->name, agent->values[KEY_FALLBACK_AGENT])) {
			return other;
		}
	}
	return NULL;
}

static void check(struct config_report *report, const struct ast_config *file,
	const struct config *config, const struct config_agent *agent)
{
	const struct config_agent *next = next_of(config, agent);
	size_t steps = AST_VECTOR_SIZE(&config->agents);

	if (!next && agent->values[KEY_FALLBACK_AGENT][0]) {
		config_fault(report, agent->name, line_of(file, agent),
			"fallback_agent = %s: allowed is %s", agent->values[KEY_FALLBACK_AGENT],
			config_keys[KEY_FALLBACK_AGENT].allowed);
		return;
	}
	/* Who only leads into a circle is not named; those in it are. */
	for (; next && steps; steps--, next = next_of(config, next)) {
		if (next == agent) {
			config_fault(report, agent->name, line_of(file, agent),
				"fallback_agent = %s leads back to %s: allowed is %s",
				agent->values[KEY_FALLBACK_AGENT], agent->name,
				config_keys[KEY_FALLBACK_AGENT].allowed);
			return;
		}
	}
}

void config_check_fallbacks(struct config_report *report, const struct ast_config *file,
	const struct config *config)
{
	size_t i;

	for (i = 0; i < AST_VECTOR_SIZE(&config->agents); i++) {
		check(report, file, config, AST_VECTOR_GET(&config->agents, i));
	}
}
