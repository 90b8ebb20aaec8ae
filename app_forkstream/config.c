/*
 * app_forkstream: copy a call's audio to a listener
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief forkstream.conf: where streams may go, and how many there may be
 */

#include "asterisk.h"

#include <sys/stat.h>	/* stat(2) */

#include "asterisk/astobj2.h"	/* ao2_alloc */
#include "asterisk/config.h"	/* ast_config_load */
#include "asterisk/logger.h"	/* LOG_ERROR */
#include "asterisk/paths.h"	/* ast_config_AST_CONFIG_DIR */
#include "asterisk/strings.h"	/* S_OR */

#include "config.h"
#include "door.h"

static AO2_GLOBAL_OBJ_STATIC(current);

/* ---- Faults ---- */

/*!
 * \brief Say what is wrong with a line: file, line, section, key, and the remedy. \return 1
 *
 * Asterisk names the file of lines that are included, and of no others.
 */
static int fault(const char *section, const struct ast_variable *line, const char *remedy)
{
	door_log(LOG_ERROR, "%s:%d [%s]: %s = %s: %s\n", S_OR(line->file, CONFIG_FILE), line->lineno, section,
		line->name, line->value, remedy);
	return 1;
}

/*! \brief Whether there is a file that Asterisk could not open: it says nothing of that. It is no file that is missing. */
static int is_unreadable(void)
{
	char path[PATH_MAX];
	struct stat info;

	snprintf(path, sizeof(path), "%s/" CONFIG_FILE, ast_config_AST_CONFIG_DIR);
	return !stat(path, &info);
}

/* ---- Keys ---- */

static int read_number(const struct ast_variable *line, unsigned int most, unsigned int *number)
{
	char remedy[ERROR_SIZE];
	char *end;
	unsigned long read = strtoul(line->value, &end, 10);

	if (line->value[0] < '0' || line->value[0] > '9' || *end || !read || read > most) {
		snprintf(remedy, sizeof(remedy), "a whole number from 1 to %u", most);
		return fault("general", line, remedy);
	}
	*number = (unsigned int) read;
	return 0;
}

static int read_allow(struct config *config, const struct ast_variable *line)
{
	char remedy[ERROR_SIZE];

	if (config->allow_count == CONFIG_ALLOW_MAX) {
		snprintf(remedy, sizeof(remedy), "%d lines are the most; *.example.com stands for many hosts",
			CONFIG_ALLOW_MAX);
		return fault("general", line, remedy);
	}
	if (destination_parse(&config->allow[config->allow_count], line->value, 1, remedy)) {
		return fault("general", line, remedy);
	}
	config->allow_count++;
	return 0;
}

/*! \brief Read one line of [general]. \return how many faults it has */
static int read_line(struct config *config, const struct ast_variable *line)
{
	if (!strcasecmp(line->name, "allow")) {
		return read_allow(config, line);
	}
	if (!strcasecmp(line->name, "max_streams")) {
		return read_number(line, STREAMS_MAX, &config->max_streams);
	}
	if (!strcasecmp(line->name, "connect_timeout")) {
		return read_number(line, CONNECT_SECONDS_MAX, &config->connect_seconds);
	}
	if (!strcasecmp(line->name, "ca_file")) {
		/* Only to tell whoever reloads; OpenSSL opens the file later. */
		if (strlen(line->value) >= sizeof(config->ca_file)
			|| access(line->value, R_OK)) {	/* Flawfinder: ignore */
			return fault("general", line, "a file of certificates that Asterisk can read");
		}
		ast_copy_string(config->ca_file, line->value, sizeof(config->ca_file));
		return 0;
	}
	return fault("general", line, "no such key; there are allow, max_streams, connect_timeout and ca_file");
}

/* ---- The file ---- */

static int read_file(struct config *config, struct ast_config *file)
{
	struct ast_category *category = NULL;
	const struct ast_variable *line;
	int faults = 0;

	while ((category = ast_category_browse_filtered(file, NULL, category, NULL))) {
		const char *name = ast_category_get_name(category);

		for (line = ast_category_first(category); line; line = line->next) {
			faults += strcasecmp(name, "general")
				? fault(name, line, "no such section; there is [general] alone") : read_line(config, line);
		}
	}
	return faults;
}

int config_read(void)
{
	struct ast_flags flags = { 0 };
	struct ast_config *file = ast_config_load(CONFIG_FILE, flags);
	struct config *config = ao2_alloc_options(sizeof(*config), NULL, AO2_ALLOC_OPT_LOCK_NOLOCK);
	int faults = 0;

	if (!config || file == CONFIG_STATUS_FILEINVALID) {
		door_log(LOG_ERROR, CONFIG_FILE " cannot be read: %s\n",
			config ? "Asterisk cannot parse it, and its log says where" : "memory is short");
		faults = 1;
	} else if (!file && is_unreadable()) {
		door_log(LOG_ERROR, CONFIG_FILE " cannot be read: the user that Asterisk runs as needs to\n");
		faults = 1;
	} else {
		config->max_streams = STREAMS;
		config->connect_seconds = CONNECT_SECONDS;
		if (file) {
			faults = read_file(config, file);
		}
	}
	if (file && file != CONFIG_STATUS_FILEINVALID) {
		ast_config_destroy(file);
	}
	if (!faults) {
		ao2_global_obj_replace_unref(current, config);
	}
	ao2_cleanup(config);
	return faults;
}

struct config *config_get(void)
{
	return ao2_global_obj_ref(current);
}

int config_admits(const struct config *config, const struct destination *to, char *error)
{
	unsigned int i;

	for (i = 0; i < config->allow_count; i++) {
		if (destination_is_admitted(&config->allow[i], to)) {
			return 1;
		}
	}
	if (!config->allow_count && destination_is_loopback(to)) {
		return 1;
	}
	snprintf(error, ERROR_SIZE, config->allow_count
		? "no line of [general] in " CONFIG_FILE " has it: allow = %s"
		: "without a line of [general] in " CONFIG_FILE " streams stay on this machine: allow = %s",
		to->shown);
	return 0;
}

void config_release(void)
{
	ao2_global_obj_release(current);
}
