/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief An agent out of a row of a database, by the very checks of a section of elevenlabs.conf
 */

#include "asterisk.h"

#include "asterisk/astobj2.h"	/* ao2_cleanup */
#include "asterisk/config.h"	/* struct ast_variable */
#include "asterisk/strings.h"	/* strcasecmp */

#include "config/exposure.h"
#include "config/level.h"
#include "config/report.h"
#include "config/row.h"
#include "config/rows.h"
#include "config/snapshot.h"
#include "config/warn.h"

/*!
 * What a row may only have as [general] has it. Programs in the directory run as Asterisk's user, which
 * who may write a table is not to decide; and records are sent when the database may not be there.
 */
static const enum config_key_id bound[] = {
	KEY_TOOLS_DIRECTORY, KEY_WEBHOOK_URL, KEY_WEBHOOK_SECRET,
};

static void check_bound(struct config_report *report, const struct config *config,
	const struct config_agent *agent, const struct level *own)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(bound); i++) {
		const char *value = agent->values[bound[i]];

		if (own->origin[bound[i]] && *value && strcmp(value, config->defaults->values[bound[i]])) {
			config_fault(report, own->section, own->origin[bound[i]],
				"%s: a row may only have what [general] of elevenlabs.conf has; set it there",
				config_keys[bound[i]].name);
		}
	}
}

/*! \brief What concerns the row as a whole */
static void check_row(struct config_report *report, const struct config *config, const char *asked,
	const struct config_agent *agent, const struct level *own)
{
	if (!own->origin[KEY_AGENT_ID]) {
		config_fault(report, own->section, NULL, "there is no agent_id; every row needs one");
	}
	if (strcasecmp(agent->name, asked)) {
		config_fault(report, own->section, NULL,
			"this row's name is not the one that was asked for, %s", config_shown(asked));
	}
	if (!strcasecmp(agent->values[KEY_FALLBACK_AGENT], agent->name)) {
		config_fault(report, own->section, own->origin[KEY_FALLBACK_AGENT],
			"fallback_agent = %s leads back to %s: allowed is %s",
			config_shown(agent->values[KEY_FALLBACK_AGENT]), agent->name,
			config_keys[KEY_FALLBACK_AGENT].allowed);
	}
	check_bound(report, config, agent, own);
	level_check_webhook(report, agent, own, NULL);
}

/*! \brief Its own spelling of its name, for a database may not care for case */
static const char *name_of(const char *asked, const struct ast_variable *row)
{
	for (; row; row = row->next) {
		if (!strcasecmp(row->name, ROWS_NAME_COLUMN)) {
			return row->value;
		}
	}
	return asked;
}

struct config_agent *config_read_row(struct config_report *report, const struct config *config,
	const char *asked, const struct ast_variable *row)
{
	const struct level_base base = {
		.values = config->defaults->values, .pairs = &config->defaults->pairs,
	};
	const char *name = name_of(asked, row);
	struct config_agent *agent;
	struct level own;

	report->file = ROWS_FAMILY;
	report->in_database = 1;
	level_read(report, &own, LEVEL_ROW, name, row);
	agent = level_agent(name, &base, &own);
	if (agent) {
		check_row(report, config, asked, agent, &own);
		config_check_row_exposure(report, name, row);
		config_check_agent(report, agent, NULL);
	} else {
		config_fault(report, name, NULL, "out of memory");
	}
	level_free(&own);
	if (report->faults) {
		ao2_cleanup(agent);
		return NULL;
	}
	return agent;
}
