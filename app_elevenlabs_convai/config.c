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
#include <unistd.h>	/* access(2) */

#include "asterisk/astobj2.h"	/* ao2 objects */
#include "asterisk/cli.h"	/* ast_cli */
#include "asterisk/config.h"	/* Asterisk's parser */
#include "asterisk/paths.h"	/* ast_config_AST_CONFIG_DIR */
#include "asterisk/strings.h"	/* S_OR */
#include "asterisk/utils.h"	/* ast_strdup */

#include "config.h"

/*! Longest line of a key file; keys have some 50 characters */
#define KEY_FILE_LINE 512

static AO2_GLOBAL_OBJ_STATIC(current);

/*! The keys that one section sets, itself */
struct level {
	const char *section;
	char *values[KEY_COUNT];	/*!< canonical; NULL where the section says nothing */
	const struct ast_variable *origin[KEY_COUNT];
};

static void say(const struct config_report *report, int level, const char *text)
{
	if (report->fd >= 0) {
		ast_cli(report->fd, "%s: %s\n", level == __LOG_ERROR ? "ERROR" : "WARNING", text);
	} else if (level == __LOG_ERROR) {
		ast_log(LOG_ERROR, "%s\n", text);
	} else {
		ast_log(LOG_WARNING, "%s\n", text);
	}
}

/*!
 * \brief Report something about the file, a section of it, or one of its lines
 * \param level __LOG_ERROR for a fault, __LOG_WARNING for what only deserves a look
 * \param section NULL when it concerns the whole file
 * \param var the line, or NULL
 */
static void __attribute__((format(printf, 5, 6))) report_at(struct config_report *report,
	int level, const char *section, const struct ast_variable *var, const char *format, ...)
{
	struct ast_str *text = ast_str_create(256);
	va_list ap;

	if (level == __LOG_ERROR) {
		report->faults++;
	} else {
		report->warnings++;
	}
	if (!text) {
		return;
	}
	ast_str_set(&text, 0, "%s", S_OR(var ? var->file : NULL, CONFIG_FILE));
	if (var && var->lineno) {
		ast_str_append(&text, 0, ":%d", var->lineno);
	}
	if (section) {
		ast_str_append(&text, 0, " [%s]", section);
	}
	ast_str_append(&text, 0, ": ");
	va_start(ap, format);
	ast_str_append_va(&text, 0, format, ap);
	va_end(ap);
	say(report, level, ast_str_buffer(text));
	ast_free(text);
}

#define fault(report, section, var, ...) \
	report_at(report, __LOG_ERROR, section, var, __VA_ARGS__)
#define warning(report, section, var, ...) \
	report_at(report, __LOG_WARNING, section, var, __VA_ARGS__)

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

static void level_set(struct level *level, enum config_key_id id, const char *value,
	const struct ast_variable *var)
{
	ast_free(level->values[id]);
	level->values[id] = ast_strdup(value);
	level->origin[id] = var;
}

static void unknown_key(struct config_report *report, const char *section,
	const struct ast_variable *var)
{
	const char *suggestion = config_key_suggest(var->name);

	if (config_key_is_legacy(var->name)) {
		warning(report, section, var, "%s is of an earlier module and has no effect here; "
			"remove the line", var->name);
	} else if (suggestion) {
		fault(report, section, var, "there is no key %s; did you mean %s?", var->name,
			suggestion);
	} else {
		fault(report, section, var, "there is no key %s; %s.example lists them all", var->name,
			CONFIG_FILE);
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
	if (key->check(key, var->value, canonical, sizeof(canonical))) {
		fault(report, level->section, var, "%s = %s: allowed is %s", var->name,
			key->flags & KEY_HIDDEN ? "(not shown)" : var->value, key->allowed);
		return;
	}
	if (key->flags & KEY_WITHOUT_EFFECT) {
		warning(report, level->section, var, "%s has no effect in this version", key->name);
	}
	level_set(level, key - config_keys, canonical, var);
}

/*! \brief First line of a file, without the blanks around it */
static int read_key_file(const char *path, char *line, size_t size)
{
	struct stat info;
	FILE *file = fopen(path, "re");
	int res = -1;

	if (!file) {
		return -1;
	}
	if (!fstat(fileno(file), &info) && S_ISREG(info.st_mode) && fgets(line, size, file)) {
		res = 0;
	}
	fclose(file);
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
	level_set(level, KEY_API_KEY, canonical, var);
}

/*! \brief Whichever way the section names its key, leave the key itself in KEY_API_KEY */
static void resolve_key(struct config_report *report, struct level *level)
{
	const struct ast_variable *file = level->origin[KEY_API_KEY_FILE];
	const struct ast_variable *env = level->origin[KEY_API_KEY_ENV];
	char line[KEY_FILE_LINE];

	if (!!level->values[KEY_API_KEY] + !!file + !!env > 1) {
		fault(report, level->section, file ? file : env,
			"give one of api_key, api_key_file and api_key_env, not several");
	} else if (file && read_key_file(file->value, line, sizeof(line))) {
		fault(report, level->section, file, "cannot read a key from %s: %s", file->value,
			errno ? strerror(errno) : "it is empty");
	} else if (file) {
		take_key(report, level, file, line, "file");
	} else if (env && !getenv(env->value)) {
		fault(report, level->section, env, "Asterisk's environment has no variable %s",
			env->value);
	} else if (env) {
		ast_copy_string(line, getenv(env->value), sizeof(line));
		take_key(report, level, env, line, "environment variable");
	}
}

static int read_level(struct config_report *report, const struct ast_config *file,
	struct level *level, const char *section, int general)
{
	const struct ast_variable *var;

	memset(level, 0, sizeof(*level));
	level->section = section;
	for (var = ast_variable_browse(file, section); var; var = var->next) {
		read_variable(report, level, general, var);
	}
	errno = 0;
	resolve_key(report, level);
	return 0;
}

static int names_key(const struct level *level)
{
	return level->values[KEY_API_KEY] || level->values[KEY_API_KEY_FILE]
		|| level->values[KEY_API_KEY_ENV];
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
	return !strncmp(host, "127.", 4) || !strncmp(host, "[::1]", 5)
		|| !strncasecmp(host, "localhost", strlen("localhost"));
}

/*! \brief What is allowed, but is rarely meant */
static void warn_about(struct config_report *report, const struct config_agent *agent,
	const struct ast_variable *first)
{
	char host[CONFIG_VALUE_SIZE];

	config_agent_host(agent, host, sizeof(host));
	if (!strcmp(agent->values[KEY_AUTH], "signed_url") && !agent->values[KEY_API_KEY][0]) {
		warning(report, agent->name, first, "calls will end with AUTH: auth is signed_url and "
			"there is no api_key; give one, or set auth = none for a public agent");
	}
	if (!strcmp(agent->values[KEY_TLS_VERIFY], "no")) {
		warning(report, agent->name, first, "tls_verify is no: anybody on the way may listen "
			"to calls and take the key; ca_file trusts a private authority");
	}
	if (!strncmp(agent->values[KEY_BASE_URL], "http:", 5) && !is_loopback(host)) {
		warning(report, agent->name, first, "base_url is not encrypted: key and calls can be "
			"read on the way to %s", host);
	}
}

static struct config_agent *agent_make(const char *name, const struct level *general,
	const struct level *own)
{
	struct config_agent *agent;
	unsigned int i;

	agent = ao2_alloc_options(sizeof(*agent), agent_destructor, AO2_ALLOC_OPT_LOCK_NOLOCK);
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
		fault(report, name, NULL, "this section is there twice; use [%s](+) to add to it", name);
		return;
	}
	read_level(report, file, &own, name, 0);
	if (!own.values[KEY_AGENT_ID] && !own.origin[KEY_AGENT_ID]) {
		fault(report, name, first, "there is no agent_id; every section but [general] needs one");
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
	snprintf(path, sizeof(path), "%s/%s", ast_config_AST_CONFIG_DIR, CONFIG_FILE);
	if (keys && !stat(path, &info) && (info.st_mode & S_IROTH)) {
		warning(report, NULL, NULL, "every user may read this file and the keys in it; "
			"chmod 640 it, or keep the key in an api_key_file");
	}
}

static struct config *config_read(struct config_report *report, const struct ast_config *file)
{
	struct config *config;
	struct level general;
	char *section = NULL;

	config = ao2_alloc_options(sizeof(*config), config_destructor, AO2_ALLOC_OPT_LOCK_NOLOCK);
	if (!config) {
		fault(report, NULL, NULL, "out of memory");
		return NULL;
	}
	AST_VECTOR_INIT(&config->agents, 0);
	if (!file) {
		return config;
	}
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

	*file = ast_config_load(CONFIG_FILE, always_read);
	if (*file == CONFIG_STATUS_FILEINVALID) {
		*file = NULL;
		fault(report, NULL, NULL, "Asterisk cannot parse it; the log above says where");
		return -1;
	}
	if (*file) {
		return 0;
	}
	snprintf(path, sizeof(path), "%s/%s", ast_config_AST_CONFIG_DIR, CONFIG_FILE);
	if (!access(path, F_OK)) {
		fault(report, NULL, NULL, "cannot read %s: %s", path,
			access(path, R_OK) ? strerror(errno) : "see the log above");
		return -1;
	}
	warning(report, NULL, NULL, "there is no %s, so there are no agents", path);
	return 0;
}

int config_load(struct config_report *report)
{
	struct ast_config *file;
	struct config *config;
	int res = -1;

	report->faults = 0;
	report->warnings = 0;
	if (parse_file(report, &file)) {
		return -1;
	}
	config = config_read(report, file);
	if (config && !report->faults) {
		ao2_global_obj_replace_unref(current, config);
		res = 0;
	}
	ao2_cleanup(config);
	if (file) {
		ast_config_destroy(file);
	}
	return res;
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
