/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief elevenlabs.conf as one immutable, reference-counted snapshot
 */

#include "asterisk.h"

#include <fcntl.h>	/* open(2) */
#include <sys/stat.h>	/* stat(2) */

#include "asterisk/astobj2.h"	/* ao2 objects */
#include "asterisk/config.h"	/* Asterisk's parser */
#include "asterisk/lock.h"	/* a mutex */
#include "asterisk/strings.h"	/* S_OR */
#include "asterisk/utils.h"	/* ast_strdup */

#include "config/config.h"
#include "config/lines.h"
#include "config/report.h"
#include "config/warn.h"

/*! Longest line of a key file; keys have some 50 characters */
#define KEY_FILE_LINE 512
/*! Enough for the names of all keys; it grows */
#define NAMES_SIZE 512

static AO2_GLOBAL_OBJ_STATIC(current);

/*! Held from the reading of the file until what it says is in use */
AST_MUTEX_DEFINE_STATIC(load_lock);

/*! The keys that one section sets, itself */
struct level {
	const char *section;
	char *values[KEY_COUNT];	/*!< canonical; NULL where the section says nothing */
	/*! its lines, also where the value is not allowed */
	const struct ast_variable *origin[KEY_COUNT];
	struct config_pairs pairs;
};

static void level_free(struct level *level)
{
	size_t i;

	for (i = 0; i < KEY_COUNT; i++) {
		ast_free(level->values[i]);
	}
	config_pairs_free(&level->pairs);
}

static void level_set(struct config_report *report, struct level *level,
	enum config_key_id id, const char *value)
{
	ast_free(level->values[id]);
	level->values[id] = ast_strdup(value);
	if (!level->values[id]) {
		config_fault(report, level->section, level->origin[id], "out of memory");
	}
}

/*! \brief Report a key that does not exist, and name all that the section may have */
static void unknown_key(struct config_report *report, const char *section, int general,
	const struct ast_variable *var)
{
	unsigned int others = KEY_WITHOUT_EFFECT | (general ? KEY_SECTION_ONLY : 0);
	struct ast_str *names;
	size_t i;

	if (config_key_is_legacy(var->name)) {
		config_warning(report, section, var,
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
	config_fault(report, section, var,
		"there is no key %s; allowed are %svar_NAME, json_NAME, override_NAME",
		var->name, names ? ast_str_buffer(names) : "");
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

static void read_variable(struct config_report *report, struct level *level, int general,
	const struct ast_variable *var)
{
	const struct config_key *key = config_key_find(var->name);
	char canonical[CONFIG_VALUE_SIZE];

	if (!key && config_pairs_read_line(&level->pairs, report, level->section, var)) {
		return;
	}
	if (!key) {
		unknown_key(report, level->section, general, var);
		return;
	}
	if (general && (key->flags & KEY_SECTION_ONLY)) {
		config_fault(report, level->section, var, "%s belongs into the section of an agent",
			key->name);
		return;
	}
	warn_of_repeated(report, level, key, var);
	level->origin[key - config_keys] = var;
	config_check_line(report, level->section, var, CONFIG_LINE_WORD);
	if (key->check(key, var->value, canonical, sizeof(canonical))) {
		config_fault(report, level->section, var, "%s = %s: allowed is %s", var->name,
			key->flags & KEY_HIDDEN ? "(not shown)" : var->value, key->allowed);
		return;
	}
	if (key->flags & KEY_WITHOUT_EFFECT) {
		config_warning(report, level->section, var, "%s has no effect in this version",
			key->name);
	}
	level_set(report, level, key - config_keys, canonical);
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
	level_set(report, level, KEY_API_KEY, canonical);
}

/*! \brief Leave the section's key itself in KEY_API_KEY, whichever way the section names it */
static void resolve_key(struct config_report *report, struct level *level)
{
	const struct ast_variable *file = level->origin[KEY_API_KEY_FILE];
	const struct ast_variable *env = level->origin[KEY_API_KEY_ENV];
	const char *path = level->values[KEY_API_KEY_FILE];
	const char *name = level->values[KEY_API_KEY_ENV];
	char line[KEY_FILE_LINE];

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
			"Asterisk's environment has no variable %s", name);
	} else if (name) {
		ast_copy_string(line, getenv(name), sizeof(line));
		take_key(report, level, env, line, "environment variable");
	}
}

static void read_level(struct config_report *report, const char *section,
	const struct ast_variable *var, struct level *level, int general)
{
	memset(level, 0, sizeof(*level));
	level->section = section;
	for (; var; var = var->next) {
		read_variable(report, level, general, var);
	}
	resolve_key(report, level);
}

static int names_key(const struct level *level)
{
	return level->origin[KEY_API_KEY] || level->origin[KEY_API_KEY_FILE]
		|| level->origin[KEY_API_KEY_ENV];
}

static const char *effective(const struct level *general, const struct level *own,
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
	return S_OR(general->values[id], config_keys[id].preset);
}

static struct config_agent *agent_make(const char *name, const struct level *general,
	const struct level *own)
{
	struct config_agent *agent;
	unsigned int i;

	agent = config_make_agent();
	if (!agent || !(agent->name = ast_strdup(name))) {
		goto failed;
	}
	for (i = 0; i < KEY_COUNT; i++) {
		if (!(agent->values[i] = ast_strdup(effective(general, own, i)))) {
			goto failed;
		}
		if (config_keys[i].flags & KEY_TO_ENGINE) {
			agent->settings[agent->setting_count++] = (struct convai_pair) {
				CONVAI_PAIR_SETTING, config_keys[i].name, agent->values[i],
			};
		}
	}
	if (config_pairs_inherit(&agent->pairs, &own->pairs)
		|| config_pairs_inherit(&agent->pairs, &general->pairs)) {
		goto failed;
	}
	/* In [general] it limits all agents together, which is not the limit of each. */
	agent->max_sessions = own->values[KEY_MAX_SESSIONS]
		? strtoul(own->values[KEY_MAX_SESSIONS], NULL, 10) : 0;
	agent->connect_timeout = strtoul(agent->values[KEY_CONNECT_TIMEOUT], NULL, 10);
	agent->silence_timeout = strtoul(agent->values[KEY_SILENCE_TIMEOUT], NULL, 10);
	agent->agent_timeout = strtoul(agent->values[KEY_AGENT_TIMEOUT], NULL, 10);
	agent->dtmf = dtmf_use_find(agent->values[KEY_DTMF]);
	agent->dtmf_end = strcmp(agent->values[KEY_DTMF_END], "none")
		? agent->values[KEY_DTMF_END][0] : '\0';
	agent->dtmf_timeout_ms = strtoul(agent->values[KEY_DTMF_TIMEOUT_MS], NULL, 10);
	agent->send_caller_number = ast_true(agent->values[KEY_SEND_CALLER_NUMBER]);
	agent->silence = ast_true(agent->values[KEY_SILENCE]);
	return agent;

failed:
	ao2_cleanup(agent);
	return NULL;
}

/*!
 * \brief Where to point at when it is about a whole section
 *
 * The first line of its own: what it has of a template is elsewhere.
 *
 * \return NULL if it has none, for Asterisk does not tell where a section begins
 */
static const struct ast_variable *first_line(struct ast_category *section)
{
	const struct ast_variable *var = ast_category_first(section);

	while (var && var->inherited) {
		var = var->next;
	}
	return var;
}

static void read_agent(struct config_report *report, struct ast_category *section,
	struct config *config, const struct level *general)
{
	const char *name = ast_category_get_name(section);
	const struct ast_variable *first = first_line(section);
	struct config_agent *agent;
	struct level own;

	read_level(report, name, ast_category_first(section), &own, 0);
	if (!own.origin[KEY_AGENT_ID]) {
		config_fault(report, name, first,
			"there is no agent_id; every section but [general] needs one");
	}
	agent = agent_make(name, general, &own);
	if (!agent || AST_VECTOR_APPEND(&config->agents, agent)) {
		ao2_cleanup(agent);
		config_fault(report, name, first, "out of memory");
	} else {
		config_check_agent(report, agent, first);
	}
	level_free(&own);
}

/*! \brief Whether a section above has the same name */
static int is_repeated(struct ast_config *file, struct ast_category *section)
{
	struct ast_category *other = NULL;

	while ((other = ast_category_browse_filtered(file, NULL, other, NULL)) != section) {
		if (!strcasecmp(ast_category_get_name(other), ast_category_get_name(section))) {
			return 1;
		}
	}
	return 0;
}

/*! \brief Read all sections but [general], and report those that are there twice */
static void read_sections(struct config_report *report, struct ast_config *file,
	struct config *config, const struct level *general)
{
	struct ast_category *section = NULL;

	while ((section = ast_category_browse_filtered(file, NULL, section, NULL))) {
		const char *name = ast_category_get_name(section);

		if (is_repeated(file, section)) {
			config_fault(report, name, first_line(section),
				"this section is there twice; use [%s](+) to add to it", name);
		} else if (strcasecmp(name, "general")) {
			read_agent(report, section, config, general);
		}
	}
}

static struct config *config_make(struct config_report *report, struct ast_config *file)
{
	struct config *config;
	struct level general;

	config = config_make_empty();
	if (!config) {
		config_fault(report, NULL, NULL, "out of memory");
		return NULL;
	}
	if (!file) {
		return config;
	}
	read_level(report, "general", ast_variable_browse(file, "general"), &general, 1);
	config->max_sessions = strtoul(S_OR(general.values[KEY_MAX_SESSIONS], "0"), NULL, 10);
	read_sections(report, file, config, &general);
	config_check_fallbacks(report, file, config);
	config_check_permissions(report, config, !!general.values[KEY_API_KEY]);
	level_free(&general);
	return config;
}

/*!
 * \brief Have Asterisk parse the file
 *
 * What it does not understand it tells in its log: it skips the line, or gives up the file,
 * or, in an included file, the lines behind.
 *
 * \param[out] file what it makes of it; NULL if there is none
 * \return 0, or -1 after a fault
 */
static int parse_file(struct config_report *report, struct ast_config **file)
{
	struct ast_flags always_read = { 0 };
	char path[PATH_MAX];
	struct stat info;

	*file = ast_config_load(report->file, always_read);
	if (*file == CONFIG_STATUS_FILEINVALID) {
		config_fault(report, NULL, NULL,
			"Asterisk cannot parse it; Asterisk's log says where");
		return -1;
	}
	if (*file) {
		return 0;
	}
	config_path(report->file, path, sizeof(path));
	if (!stat(path, &info)) {
		config_fault(report, NULL, NULL,
			"cannot read %s; the user that Asterisk runs as needs to", path);
		return -1;
	}
	config_warning(report, NULL, NULL, "there is no %s, so there are no agents", path);
	return 0;
}

struct config *config_read(const char *name, struct config_report *report)
{
	struct ast_config *file;
	struct config *config;

	report->file = name;
	report->faults = 0;
	report->warnings = 0;
	if (parse_file(report, &file)) {
		return NULL;
	}
	config = config_make(report, file);
	if (file) {
		ast_config_destroy(file);
	}
	config_lines_free(report);
	if (report->faults) {
		ao2_cleanup(config);
		return NULL;
	}
	return config;
}

int config_load(struct config_report *report, struct config_change *change)
{
	/* Else the older of two files could be put in the place of the newer one. */
	SCOPED_MUTEX(lock, &load_lock);

	change->after = config_read(CONFIG_FILE, report);
	if (!change->after) {
		change->before = NULL;
		return -1;
	}
	change->before = ao2_global_obj_replace(current, change->after);
	return 0;
}

void config_change_release(struct config_change *change)
{
	ao2_cleanup(change->before);
	ao2_cleanup(change->after);
}

void config_unload(void)
{
	ao2_global_obj_release(current);
}

struct config *config_get(void)
{
	return ao2_global_obj_ref(current);
}
