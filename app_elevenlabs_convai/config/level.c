/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What one section says: its lines are checked, and an agent is made of them
 */

#include "asterisk.h"

#include <fcntl.h>	/* open(2) */
#include <sys/stat.h>	/* fstat(2) */

#include "asterisk/astobj2.h"	/* ao2_cleanup */
#include "asterisk/config.h"	/* struct ast_variable */
#include "asterisk/strings.h"	/* S_OR */
#include "asterisk/utils.h"	/* ast_strdup */

#include "config/level.h"
#include "config/lines.h"
#include "config/report.h"
#include "config/rows.h"
#include "config/snapshot.h"

/*! Longest line of a key file, or value in the environment; keys have some 50 characters */
#define KEY_FILE_LINE 512
/*! Of what the service makes its keys */
#define KEY_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
/*! Enough for the names of all keys; it grows */
#define NAMES_SIZE 512

void level_free(struct level *level)
{
	size_t i;

	for (i = 0; i < KEY_COUNT; i++) {
		config_erase(level->values[i]);
		ast_free(level->values[i]);
	}
	config_pairs_free(&level->pairs);
}

static void level_set(struct config_report *report, struct level *level,
	enum config_key_id id, const char *value)
{
	config_erase(level->values[id]);
	ast_free(level->values[id]);
	level->values[id] = ast_strdup(value);
	if (!level->values[id]) {
		config_fault(report, level->section, level->origin[id], "out of memory");
	}
}

/*! \brief Report a key that does not exist, and name all that the section may have */
static void unknown_key(struct config_report *report, const struct level *level,
	const struct ast_variable *var)
{
	unsigned int others = level->kind == LEVEL_GENERAL ? KEY_SECTION_ONLY : KEY_GENERAL_ONLY;
	struct ast_str *names;
	size_t i;

	if (config_key_is_legacy(var->name)) {
		config_warning(report, level->section, var,
			"%s is of an earlier module and has no effect here; "
			"remove the line", var->name);
		return;
	}
	names = ast_str_create(NAMES_SIZE);
	for (i = 0; names && i < KEY_COUNT; i++) {
		if (!(config_keys[i].flags & others)) {
			ast_str_append(&names, 0, "%s, ", config_keys[i].name);
		}
	}
	config_fault(report, level->section, var,
		"there is no key %s; allowed are %svar_NAME, json_NAME, override_NAME",
		config_shown(var->name), names ? ast_str_buffer(names) : "");
	ast_free(names);
}

/*! \brief Warn of a second line that sets a key: the later one counts, which may not be meant */
static void warn_of_repeated(struct config_report *report, const struct level *level,
	const struct config_key *key, const struct ast_variable *var)
{
	const struct ast_variable *before = level->origin[key - config_keys];

	/* A section may override its template, and a file what it includes: that is what they are for. */
	if (before && !before->inherited && before->lineno && !strcmp(before->file, var->file)) {
		config_warning(report, level->section, var,
			"%s has been set in line %d already; this line counts", key->name,
			before->lineno);
	}
}

/*! \brief Whether a column is the table's own: what a row is found by, and the number that many tables have */
static int is_own_column(const char *name)
{
	return !strcasecmp(name, ROWS_NAME_COLUMN) || !strcasecmp(name, "id");
}

static void read_variable(struct config_report *report, struct level *level,
	const struct ast_variable *var)
{
	const int general = level->kind == LEVEL_GENERAL;
	const struct config_key *key = config_key_find(var->name);
	char canonical[CONFIG_VALUE_SIZE];

	if (level->kind == LEVEL_ROW && is_own_column(var->name)) {
		return;
	}
	if (!key && config_pairs_read_line(&level->pairs, report, level->section, var)) {
		return;
	}
	if (!key) {
		unknown_key(report, level, var);
		return;
	}
	if (general && (key->flags & KEY_SECTION_ONLY)) {
		config_fault(report, level->section, var, "%s belongs into the section of an agent",
			key->name);
		return;
	}
	if (!general && (key->flags & KEY_GENERAL_ONLY)) {
		config_fault(report, level->section, var, "%s belongs into [general]", key->name);
		return;
	}
	warn_of_repeated(report, level, key, var);
	level->origin[key - config_keys] = var;
	config_check_line(report, level->section, var, CONFIG_LINE_WORD);
	if (key->check(key, var->value, canonical, sizeof(canonical))) {
		config_fault(report, level->section, var, "%s = %s: allowed is %s", var->name,
			key->flags & KEY_HIDDEN ? "(not shown)" : config_shown(var->value), key->allowed);
		return;
	}
	level_set(report, level, key - config_keys, canonical);
	config_erase(canonical);
}

/*! \brief Open a file, if it is one: a pipe would let a reload wait for its writer */
static FILE *open_regular(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat info;

	if (fd >= 0 && (fstat(fd, &info) || !S_ISREG(info.st_mode))) {
		close(fd);
		fd = -1;
	}
	return fd < 0 ? NULL : fdopen(fd, "r");
}

/*! \brief First line of a file. \return 0, or -1 if there is none, or a longer one */
static int read_key_file(const char *path, char *line, size_t size)
{
	FILE *file = open_regular(path);
	int res = -1;

	if (file) {
		/* No buffer: that would be freed with the key in it. */
		setvbuf(file, NULL, _IONBF, 0);
		if (fgets(line, size, file) && strlen(line) < size - 1) {
			res = 0;
		}
		fclose(file);
	}
	return res;
}

static void take_key(struct config_report *report, struct level *level,
	const struct ast_variable *var, char *text, const char *whence)
{
	const struct config_key *key = &config_keys[KEY_API_KEY];
	char canonical[CONFIG_VALUE_SIZE];

	if (key->check(key, ast_strip(text), canonical, sizeof(canonical))) {
		config_fault(report, level->section, var, "%s %s holds no key: allowed is %s",
			whence, var->value, key->allowed);
		return;
	}
	if (canonical[strspn(canonical, KEY_CHARACTERS)]) {
		config_warning(report, level->section, var,
			"%s %s holds more than a key: quotes, a name before a =, or the like; "
			"its first line is to be the key and nothing else", whence, var->value);
	}
	level_set(report, level, KEY_API_KEY, canonical);
	config_erase(canonical);
}

/*! \brief Leave the section's key itself in KEY_API_KEY, whichever way the section names it */
static void resolve_key(struct config_report *report, struct level *level)
{
	const struct ast_variable *file = level->origin[KEY_API_KEY_FILE];
	const struct ast_variable *env = level->origin[KEY_API_KEY_ENV];
	const char *path = level->values[KEY_API_KEY_FILE];
	const char *name = level->values[KEY_API_KEY_ENV];
	char line[KEY_FILE_LINE] = "";

	if (!!level->origin[KEY_API_KEY] + !!file + !!env > 1) {
		config_fault(report, level->section, file ? file : env,
			"give one of api_key, api_key_file and api_key_env, not several");
	} else if (path && read_key_file(path, line, sizeof(line))) {
		config_fault(report, level->section, file,
			"%s is not a file with a key in its first line", path);
	} else if (path) {
		take_key(report, level, file, line, "file");
	} else if (name && !getenv(name)) {
		config_fault(report, level->section, env,
			"Asterisk's environment has no variable of this name; allowed is %s",
			config_keys[KEY_API_KEY_ENV].allowed);
	} else if (name && strlen(getenv(name)) >= sizeof(line)) {
		config_fault(report, level->section, env, "environment variable %s holds no key: it is longer than %d bytes",
			name, KEY_FILE_LINE - 1);
	} else if (name) {
		ast_copy_string(line, getenv(name), sizeof(line));
		take_key(report, level, env, line, "environment variable");
	}
	config_erase(line);
}

void level_read(struct config_report *report, struct level *level, enum level_kind kind,
	const char *section, const struct ast_variable *lines)
{
	memset(level, 0, sizeof(*level));
	level->section = section;
	level->kind = kind;
	for (; lines; lines = lines->next) {
		read_variable(report, level, lines);
	}
	resolve_key(report, level);
}

static int names_key(const struct level *level)
{
	return level->origin[KEY_API_KEY] || level->origin[KEY_API_KEY_FILE]
		|| level->origin[KEY_API_KEY_ENV];
}

static const char *effective(const struct level_base *base, const struct level *own,
	enum config_key_id id)
{
	/* The three name one key: a section that has any of them takes none from [general]. */
	if ((id == KEY_API_KEY || id == KEY_API_KEY_FILE || id == KEY_API_KEY_ENV)
		&& names_key(own)) {
		return S_OR(own->values[id], "");
	}
	if (own->values[id]) {
		return own->values[id];
	}
	return S_OR(base->values[id], config_keys[id].preset);
}

struct config_agent *level_agent(const char *name, const struct level_base *base,
	const struct level *own)
{
	struct config_agent *agent;
	unsigned int i;

	agent = config_make_agent();
	if (!agent || !(agent->name = ast_strdup(name))) {
		goto failed;
	}
	for (i = 0; i < KEY_COUNT; i++) {
		if (!(agent->values[i] = ast_strdup(effective(base, own, i)))) {
			goto failed;
		}
		if (config_keys[i].flags & KEY_TO_ENGINE) {
			agent->settings[agent->setting_count++] = (struct convai_pair) {
				CONVAI_PAIR_SETTING, config_keys[i].name, agent->values[i],
			};
		}
	}
	if (config_pairs_inherit(&agent->pairs, &own->pairs)
		|| config_pairs_inherit(&agent->pairs, base->pairs)) {
		goto failed;
	}
	/* In [general] it limits all agents together, which is not the limit of each. */
	agent->max_sessions = own->values[KEY_MAX_SESSIONS]
		? strtoul(own->values[KEY_MAX_SESSIONS], NULL, 10) : 0;
	agent->connect_timeout = strtoul(agent->values[KEY_CONNECT_TIMEOUT], NULL, 10);
	agent->silence_timeout = strtoul(agent->values[KEY_SILENCE_TIMEOUT], NULL, 10);
	agent->agent_timeout = strtoul(agent->values[KEY_AGENT_TIMEOUT], NULL, 10);
	agent->dtmf = dtmf_use_find(agent->values[KEY_DTMF]);
	agent->filler = filler_use_find(agent->values[KEY_FILLER]);
	agent->dtmf_end = strcmp(agent->values[KEY_DTMF_END], "none")
		? agent->values[KEY_DTMF_END][0] : '\0';
	agent->dtmf_timeout_ms = strtoul(agent->values[KEY_DTMF_TIMEOUT_MS], NULL, 10);
	agent->send_caller_number = ast_true(agent->values[KEY_SEND_CALLER_NUMBER]);
	agent->ari_events = ast_true(agent->values[KEY_ARI_EVENTS]);
	agent->silence = ast_true(agent->values[KEY_SILENCE]);
	agent->records = ast_true(agent->values[KEY_RECORDS]);
	agent->in_database = own->kind == LEVEL_ROW;
	return agent;

failed:
	ao2_cleanup(agent);
	return NULL;
}

void level_check_webhook(struct config_report *report, const struct config_agent *agent,
	const struct level *own, const struct ast_variable *first)
{
	const struct ast_variable *line = own->origin[KEY_WEBHOOK_URL];

	if (agent->values[KEY_WEBHOOK_URL][0] && !agent->values[KEY_WEBHOOK_SECRET][0]) {
		config_fault(report, own->section, line ? line : first,
			"webhook_url needs webhook_secret, with which records are signed; set it here or in [general]");
	}
}

