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
#include "asterisk/lock.h"	/* a mutex */
#include "asterisk/strings.h"	/* S_OR */

#include "config/config.h"
#include "config/exposure.h"
#include "config/level.h"
#include "config/lines.h"
#include "config/report.h"
#include "config/rows.h"
#include "config/warn.h"

/*! Characters of `user:password` that Asterisk's HTTP server takes; what is beyond it drops (ast_http_get_auth) */
#define HTTP_LOGIN_MAX 255

static AO2_GLOBAL_OBJ_STATIC(current);

/*! Held from the reading of the file until what it says is in use */
AST_MUTEX_DEFINE_STATIC(load_lock);

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
	struct config *config, const struct level_base *general)
{
	const char *name = ast_category_get_name(section);
	const struct ast_variable *first = first_line(section);
	struct config_agent *agent;
	struct level own;

	level_read(report, &own, LEVEL_SECTION, name, ast_category_first(section));
	if (!own.origin[KEY_AGENT_ID]) {
		config_fault(report, name, first,
			"there is no agent_id; every section but [general] needs one");
	}
	agent = level_agent(name, general, &own);
	if (!agent || AST_VECTOR_APPEND(&config->agents, agent)) {
		ao2_cleanup(agent);
		config_fault(report, name, first, "out of memory");
	} else {
		level_check_webhook(report, agent, &own, first);
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
	struct config *config, const struct level_base *general)
{
	struct ast_category *section = NULL;

	while ((section = ast_category_browse_filtered(file, NULL, section, NULL))) {
		const char *name = ast_category_get_name(section);

		if (strlen(name) >= CONFIG_SECTION_SIZE - 1) {
			config_fault(report, name, first_line(section),
				"Asterisk keeps %d bytes of a section's name, and may have cut this one: give it a shorter one",
				CONFIG_SECTION_SIZE - 1);
		} else if (is_repeated(file, section)) {
			config_fault(report, name, first_line(section),
				"this section is there twice; use [%s](+) to add to it", name);
		} else if (strcasecmp(name, "general")) {
			read_agent(report, section, config, general);
		}
	}
}

/*! \brief Nobody could log in with what Asterisk's HTTP server cuts off */
static void check_login(struct config_report *report, const struct config *config,
	const struct level *general)
{
	const char *user = config->general[KEY_METRICS_USER];
	const char *password = config->general[KEY_METRICS_PASSWORD];

	if (!user != !password) {
		config_fault(report, "general", general->origin[user ? KEY_METRICS_USER : KEY_METRICS_PASSWORD],
			"metrics_user and metrics_password go together: give both, or neither");
	} else if (user && strlen(user) + 1 + strlen(password) > HTTP_LOGIN_MAX) {
		config_fault(report, "general", general->origin[KEY_METRICS_PASSWORD],
			"metrics_user, a colon and metrics_password are %zu characters, and Asterisk's HTTP server takes "
			"%d at most: make one of the two shorter", strlen(user) + 1 + strlen(password), HTTP_LOGIN_MAX);
	}
}

/*! \brief Keep what [general] says for itself, and not for agents */
static void keep_general(struct config_report *report, struct config *config, struct level *general)
{
	size_t i;

	for (i = 0; i < KEY_COUNT; i++) {
		if (config_keys[i].flags & KEY_GENERAL_ONLY) {
			config->general[i] = general->values[i];
			general->values[i] = NULL;
		}
	}
	check_login(report, config, general);
	config->http_page = config->general[KEY_HTTP_PAGE] && ast_true(config->general[KEY_HTTP_PAGE]);
}

/*! \brief Keep [general] for what is about no agent of the file */
static void make_defaults(struct config_report *report, struct config *config,
	const struct level *general, const struct level_base *base)
{
	config->defaults = level_agent("general", base, general);
	if (config->defaults) {
		level_check_webhook(report, config->defaults, general, NULL);
	} else {
		config_fault(report, "general", NULL, "out of memory");
	}
}

/*! \param file NULL if there is none */
static struct config *config_make(struct config_report *report, struct ast_config *file)
{
	struct config *config;
	struct level general;
	const struct level_base base = { .values = general.values, .pairs = &general.pairs };

	config = config_make_empty();
	if (!config) {
		config_fault(report, NULL, NULL, "out of memory");
		return NULL;
	}
	level_read(report, &general, LEVEL_GENERAL, "general",
		file ? ast_variable_browse(file, "general") : NULL);
	config->max_sessions = strtoul(S_OR(general.values[KEY_MAX_SESSIONS], "0"), NULL, 10);
	keep_general(report, config, &general);
	make_defaults(report, config, &general, &base);
	if (file) {
		read_sections(report, file, config, &base);
		config_check_fallbacks(report, file, config);
		config_check_exposure(report, file);
		config_check_limits(report, config);
	}
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
	if (report->in_database && (!*file || !ast_category_browse_filtered(*file, NULL, NULL, NULL))) {
		/* A driver that fails tells nobody but the log. */
		if (*file) {
			ast_config_destroy(*file);
		}
		config_fault(report, NULL, NULL,
			"the database that extconfig.conf names for this file has given nothing: it is empty, or "
			"could not be read, of which Asterisk's log tells more");
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
	if (!ast_check_realtime(ROWS_FAMILY)) {
		config_warning(report, NULL, NULL, "there is no %s, so there are no agents", path);
	}
	return 0;
}

struct config *config_read(const char *name, struct config_report *report)
{
	struct ast_config *file;
	struct config *config;

	report->file = name;
	report->in_database = ast_check_realtime(name) || ast_check_realtime("global");
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

static void (*on_change)(void);

void config_watch(void (*changed)(void))
{
	on_change = changed;
}

/*! \brief Read the file and put what it says into use */
static int load(struct config_report *report, struct config_change *change)
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

int config_load(struct config_report *report, struct config_change *change)
{
	if (load(report, change)) {
		return -1;
	}
	rows_forget();
	if (on_change) {
		on_change();
	}
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
	rows_forget();
}

struct config *config_get(void)
{
	return ao2_global_obj_ref(current);
}
