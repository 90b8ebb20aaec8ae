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

#include <sys/stat.h>	/* stat(2) */

#include "asterisk/astobj2.h"	/* ao2 objects */
#include "asterisk/config.h"	/* Asterisk's parser */
#include "asterisk/strings.h"	/* S_OR */
#include "asterisk/utils.h"	/* ast_strdup */

#include "config.h"
#include "config_report.h"

/*! Longest line of a key file; keys have some 50 characters */
#define KEY_FILE_LINE 512

static AO2_GLOBAL_OBJ_STATIC(current);

/*! The keys that one section sets, itself */
struct level {
	const char *section;
	char *values[KEY_COUNT];	/*!< canonical; NULL where the section says nothing */
	/*! its lines, also where the value is not allowed */
	const struct ast_variable *origin[KEY_COUNT];
};

static const char *file_of(const struct ast_variable *var)
{
	return var ? var->file : NULL;
}

static int line_of(const struct ast_variable *var)
{
	return var ? var->lineno : 0;
}

/*! \brief Report what makes the file invalid; var is the line, or NULL */
#define fault(report, section, var, ...) \
	config_say(report, __LOG_ERROR, section, file_of(var), line_of(var), __VA_ARGS__)
/*! \brief Report what is allowed, but deserves a look */
#define warning(report, section, var, ...) \
	config_say(report, __LOG_WARNING, section, file_of(var), line_of(var), __VA_ARGS__)

static void config_destructor(void *object)
{
	struct config *config = object;

	AST_VECTOR_CALLBACK_VOID(&config->agents, ao2_cleanup);
	AST_VECTOR_FREE(&config->agents);
}

static void agent_destructor(void *object)
{
	struct config_agent *agent = object;
	size_t i;

	ast_free(agent->name);
	for (i = 0; i < KEY_COUNT; i++) {
		ast_free(agent->values[i]);
	}
}

static void level_free(struct level *level)
{
	size_t i;

	for (i = 0; i < KEY_COUNT; i++) {
		ast_free(level->values[i]);
	}
}

static void level_set(struct config_report *report, struct level *level,
	enum config_key_id id, const char *value)
{
	ast_free(level->values[id]);
	level->values[id] = ast_strdup(value);
	if (!level->values[id]) {
		fault(report, level->section, level->origin[id], "out of memory");
	}
}

static void unknown_key(struct config_report *report, const char *section,
	const struct ast_variable *var)
{
	const char *suggestion = config_key_suggest(var->name);

	if (config_key_is_legacy(var->name)) {
		warning(report, section, var,
			"%s is of an earlier module and has no effect here; "
			"remove the line", var->name);
	} else if (suggestion) {
		fault(report, section, var, "there is no key %s; did you mean %s?", var->name,
			suggestion);
	} else {
		fault(report, section, var, "there is no key %s; %s.example lists them all",
			var->name, CONFIG_FILE);
	}
}

static void read_variable(struct config_report *report, struct level *level, int general,
	const struct ast_variable *var)
{
	const struct config_key *key = config_key_find(var->name);
	char canonical[CONFIG_VALUE_SIZE];

	if (!key) {
		unknown_key(report, level->section, var);
		return;
	}
	if (general && (key->flags & KEY_SECTION_ONLY)) {
		fault(report, level->section, var, "%s belongs into the section of an agent",
			key->name);
		return;
	}
	level->origin[key - config_keys] = var;
	if (key->check(key, var->value, canonical, sizeof(canonical))) {
		fault(report, level->section, var, "%s = %s: allowed is %s", var->name,
			key->flags & KEY_HIDDEN ? "(not shown)" : var->value, key->allowed);
		return;
	}
	if (key->flags & KEY_WITHOUT_EFFECT) {
		warning(report, level->section, var, "%s has no effect in this version",
			key->name);
	}
	level_set(report, level, key - config_keys, canonical);
}

/*! \brief First line of a file. \return 0, or -1 if there is none, or a longer one */
static int read_key_file(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "re");
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
		fault(report, level->section, var, "%s %s holds no key: allowed is %s", whence,
			var->value, key->allowed);
		return;
	}
	level_set(report, level, KEY_API_KEY, canonical);
}

/*! \brief Whichever way the section names its key, leave the key itself in KEY_API_KEY */
static void resolve_key(struct config_report *report, struct level *level)
{
	const struct ast_variable *file = level->origin[KEY_API_KEY_FILE];
	const struct ast_variable *env = level->origin[KEY_API_KEY_ENV];
	const char *path = level->values[KEY_API_KEY_FILE];
	const char *name = level->values[KEY_API_KEY_ENV];
	char line[KEY_FILE_LINE];

	if (!!level->origin[KEY_API_KEY] + !!file + !!env > 1) {
		fault(report, level->section, file ? file : env,
			"give one of api_key, api_key_file and api_key_env, not several");
	} else if (path && read_key_file(path, line, sizeof(line))) {
		fault(report, level->section, file,
			"%s is not a file with a key in its first line", path);
	} else if (path) {
		take_key(report, level, file, line, "file");
	} else if (name && !getenv(name)) {
		fault(report, level->section, env, "Asterisk's environment has no variable %s",
			name);
	} else if (name) {
		ast_copy_string(line, getenv(name), sizeof(line));
		take_key(report, level, env, line, "environment variable");
	}
}

static void read_level(struct config_report *report, const struct ast_config *file,
	struct level *level, const char *section, int general)
{
	const struct ast_variable *var;

	memset(level, 0, sizeof(*level));
	level->section = section;
	for (var = ast_variable_browse(file, section); var; var = var->next) {
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
	if (id == KEY_API_KEY && names_key(own)) {
		return S_OR(own->values[id], "");
	}
	if (own->values[id]) {
		return own->values[id];
	}
	return S_OR(general->values[id], config_keys[id].preset);
}

static int is_loopback(const char *host)
{
	size_t length = strcspn(host, host[0] == '[' ? "]" : ":");

	return (length == strspn(host, "0123456789.") && !strncmp(host, "127.", 4))
		|| !strncmp(host, "[::1]", 5)
		|| (length == strlen("localhost") && !strncasecmp(host, "localhost", length));
}

/*! \brief What is allowed, but is rarely meant */
static void warn_about(struct config_report *report, const struct config_agent *agent,
	const struct ast_variable *first)
{
	char host[CONFIG_VALUE_SIZE];

	if (report->faults) {
		/* They would follow from the faults. */
		return;
	}
	config_agent_host(agent, host, sizeof(host));
	if (!strcmp(agent->values[KEY_AUTH], "signed_url")
		&& !agent->values[KEY_API_KEY][0]) {
		warning(report, agent->name, first,
			"calls will end with AUTH: auth is signed_url and "
			"there is no api_key; give one, or set auth = none for a public agent");
	}
	if (!strcmp(agent->values[KEY_TLS_VERIFY], "no")) {
		warning(report, agent->name, first,
			"tls_verify is no: anybody on the way may listen "
			"to calls and take the key; ca_file trusts a private authority");
	}
	if (!strncmp(agent->values[KEY_BASE_URL], "http:", 5) && !is_loopback(host)) {
		warning(report, agent->name, first,
			"base_url is not encrypted: key and calls can be "
			"read on the way to %s", host);
	}
}

static struct config_agent *agent_make(const char *name, const struct level *general,
	const struct level *own)
{
	struct config_agent *agent;
	unsigned int i;

	agent = ao2_alloc_options(sizeof(*agent), agent_destructor,
		AO2_ALLOC_OPT_LOCK_NOLOCK);
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
	/* In [general] it limits all agents together, which is not the limit of each. */
	agent->max_sessions = own->values[KEY_MAX_SESSIONS]
		? strtoul(own->values[KEY_MAX_SESSIONS], NULL, 10) : 0;
	agent->connect_timeout = strtoul(agent->values[KEY_CONNECT_TIMEOUT], NULL, 10);
	agent->send_caller_number = ast_true(agent->values[KEY_SEND_CALLER_NUMBER]);
	agent->silence = ast_true(agent->values[KEY_SILENCE]);
	return agent;

failed:
	ao2_cleanup(agent);
	return NULL;
}

static void read_agent(struct config_report *report, const struct ast_config *file,
	struct config *config, const struct level *general, const char *name)
{
	const struct ast_variable *first = ast_variable_browse(file, name);
	struct config_agent *agent = config_find_agent(config, name);
	struct level own;

	if (agent) {
		ao2_ref(agent, -1);
		fault(report, name, NULL, "this section is there twice; use [%s](+) to add to it",
			name);
		return;
	}
	read_level(report, file, &own, name, 0);
	if (!own.origin[KEY_AGENT_ID]) {
		fault(report, name, first,
			"there is no agent_id; every section but [general] needs one");
	}
	agent = agent_make(name, general, &own);
	if (!agent || AST_VECTOR_APPEND(&config->agents, agent)) {
		ao2_cleanup(agent);
		fault(report, name, first, "out of memory");
	} else {
		warn_about(report, agent, first);
	}
	level_free(&own);
}

/*! \brief Keys in a file that every user of the machine may read */
static void warn_about_mode(struct config_report *report, const struct config *config,
	const struct level *general)
{
	char path[PATH_MAX];
	struct stat info;
	size_t i;
	int keys = !!general->values[KEY_API_KEY];

	for (i = 0; i < AST_VECTOR_SIZE(&config->agents); i++) {
		keys |= !!AST_VECTOR_GET(&config->agents, i)->values[KEY_API_KEY][0];
	}
	config_path(report->file, path, sizeof(path));
	if (keys && !stat(path, &info) && (info.st_mode & S_IROTH)) {
		warning(report, NULL, NULL, "every user may read this file and the keys in it; "
			"chmod 640 it, or keep the key in an api_key_file");
	}
}

/*! \brief Check the lines of every file that variables came from, each file once */
static void check_files(struct config_report *report, const struct ast_config *file)
{
	AST_VECTOR(, const char *) seen;
	const struct ast_variable *var;
	char *section = NULL;

	AST_VECTOR_INIT(&seen, 4);
	AST_VECTOR_APPEND(&seen, report->file);
	config_check_lines(report, report->file);
	while ((section = ast_category_browse((struct ast_config *) file, section))) {
		for (var = ast_variable_browse(file, section); var; var = var->next) {
			if (!ast_strlen_zero(var->file)
				&& !AST_VECTOR_GET_CMP(&seen, var->file, !strcmp)) {
				AST_VECTOR_APPEND(&seen, var->file);
				config_check_lines(report, var->file);
			}
		}
	}
	AST_VECTOR_FREE(&seen);
}

static struct config *config_make(struct config_report *report,
	const struct ast_config *file)
{
	struct config *config;
	struct level general;
	char *section = NULL;

	config = ao2_alloc_options(sizeof(*config), config_destructor,
		AO2_ALLOC_OPT_LOCK_NOLOCK);
	if (!config) {
		fault(report, NULL, NULL, "out of memory");
		return NULL;
	}
	AST_VECTOR_INIT(&config->agents, 0);
	if (!file) {
		return config;
	}
	check_files(report, file);
	read_level(report, file, &general, "general", 1);
	config->max_sessions = strtoul(S_OR(general.values[KEY_MAX_SESSIONS], "0"), NULL, 10);
	while ((section = ast_category_browse((struct ast_config *) file, section))) {
		if (strcasecmp(section, "general")) {
			read_agent(report, file, config, &general, section);
		}
	}
	warn_about_mode(report, config, &general);
	level_free(&general);
	return config;
}

/*!
 * \brief Have Asterisk parse the file
 * \return 0 and the parsed file, or NULL in its place if there is none; -1 after a fault
 */
static int parse_file(struct config_report *report, struct ast_config **file)
{
	struct ast_flags always_read = { 0 };
	char path[PATH_MAX];
	struct stat info;

	*file = ast_config_load(report->file, always_read);
	if (*file == CONFIG_STATUS_FILEINVALID) {
		*file = NULL;
		fault(report, NULL, NULL, "Asterisk cannot parse it; the log above says where");
		return -1;
	}
	if (*file) {
		return 0;
	}
	config_path(report->file, path, sizeof(path));
	if (!stat(path, &info)) {
		fault(report, NULL, NULL,
			"cannot read %s; the user that Asterisk runs as needs to", path);
		return -1;
	}
	warning(report, NULL, NULL, "there is no %s, so there are no agents", path);
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
	if (report->faults) {
		ao2_cleanup(config);
		return NULL;
	}
	return config;
}

int config_load(struct config_report *report)
{
	struct config *config = config_read(CONFIG_FILE, report);

	if (!config) {
		return -1;
	}
	ao2_global_obj_replace_unref(current, config);
	ao2_ref(config, -1);
	return 0;
}

void config_unload(void)
{
	ao2_global_obj_release(current);
}

struct config *config_get(void)
{
	return ao2_global_obj_ref(current);
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

const char *config_agent_host(const struct config_agent *agent, char *host, size_t size)
{
	const char *start = strstr(agent->values[KEY_BASE_URL], "://");

	ast_copy_string(host, start ? start + 3 : agent->values[KEY_BASE_URL], size);
	host[strcspn(host, "/")] = '\0';
	return host;
}
