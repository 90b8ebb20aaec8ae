/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Where elevenlabs.conf sets the keys of an agent, for who tells of them
 */

#include "asterisk.h"

#include "asterisk/config.h"	/* the parser */
#include "asterisk/strings.h"	/* ast_str */
#include "asterisk/utils.h"	/* ast_free */

#include "config/config.h"
#include "config/places.h"

/*! \brief Tell of each line of one section. \return as config_places */
static int tell_section(struct ast_config *file, const char *section,
	int (*tell)(void *data, const char *place), void *data)
{
	const struct config_report report = {
		.fd = -1, .file = CONFIG_FILE, .in_database = ast_check_realtime(CONFIG_FILE),
	};
	const struct ast_variable *line;
	int res = 0;

	for (line = ast_variable_browse(file, section); line && !res; line = line->next) {
		const struct config_key *key = config_key_find(line->name);
		struct ast_str *place = ast_str_create(128);

		if (!place) {
			return -1;
		}
		config_append_place(&place, &report, section, line);
		ast_str_append(&place, 0, " %s", key ? key->name : line->name);
		res = tell(data, ast_str_buffer(place));
		ast_free(place);
	}
	return res;
}

int config_places(const char *section, int (*tell)(void *data, const char *place), void *data)
{
	struct ast_flags always_read = { 0 };
	struct ast_config *file = ast_config_load(CONFIG_FILE, always_read);
	int res;

	if (!file || file == CONFIG_STATUS_FILEINVALID) {
		return 0;
	}
	res = tell_section(file, "general", tell, data);
	if (!res) {
		res = tell_section(file, section, tell, data);
	}
	ast_config_destroy(file);
	return res;
}
