/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Configuration files: reading, including, and asking what is in them
 *
 * What a file means is Asterisk's business; this follows it in what the module uses, and the
 * tests inside Asterisk look at the rest.
 */

#include "config_internal.h"

#include <ftw.h>	/* nftw(3) */
#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>

#include "asterisk/config.h"
#include "asterisk/paths.h"

static char directory[PATH_MAX];
static void (*when_read)(void *data);
static void *when_read_data;
const char *ast_config_AST_CONFIG_DIR = directory;
const char *ast_config_AST_MODULE_DIR = directory;
const char *ast_config_AST_SPOOL_DIR = directory;
const char *ast_config_AST_SYSTEM_NAME = "pbx-1";

/* ---- The directory ---- */

void host_config_begin(void)
{
	const char *parent = getenv("TMPDIR");

	snprintf(directory, sizeof(directory), "%s/host-XXXXXX", parent ? parent : "/tmp");
	if (!mkdtemp(directory)) {
		FAIL("cannot make %s", directory);
	}
	/* Tests that bring an engine say where it is. */
	if (getenv("HOST_MODULE_DIR")) {
		ast_config_AST_MODULE_DIR = getenv("HOST_MODULE_DIR");
	}
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *place)
{
	return remove(path);
}

void host_config_end(void)
{
	nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *host_config_directory(void)
{
	return directory;
}

void host_write_config(const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%.2000s/%.1000s", directory, name);
	file = fopen(path, "we");
	if (!file || fchmod(fileno(file), 0640) || fputs(text, file) < 0 || fclose(file)) {
		FAIL("cannot write %s", path);
	}
}

void host_replace_config(const char *name, const char *text)
{
	char path[PATH_MAX];
	char from[PATH_MAX];

	snprintf(path, sizeof(path), "%.2000s/%.1000s", directory, name);
	snprintf(from, sizeof(from), "%.2000s/new", directory);
	host_write_config("new", text);
	if (rename(from, path)) {
		FAIL("cannot replace %s", path);
	}
}

void host_remove_config(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%.2000s/%.1000s", directory, name);
	unlink(path);
}

void host_when_config_is_read(void (*action)(void *data), void *data)
{
	when_read_data = data;
	__atomic_store_n(&when_read, action, __ATOMIC_RELEASE);
}

/* ---- Reading ---- */

void host_complain(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	host_log_add("WARNING", format, ap);
	va_end(ap);
}

static int parse_stream(struct ast_config *config, const char *name, FILE *stream)
{
	char line[LINE_SIZE];
	int first = config->number + 1;
	int comments = 0;
	int res = 0;

	while (!res && !feof(stream)) {
		char *text = line;

		config->number++;
		if (!fgets(line, sizeof(line), stream)) {
			continue;
		}
		if (strlen(line) == sizeof(line) - 1) {
			COMPLAIN(config, "Line too long, skipping");
			while (fgets(line, sizeof(line), stream) && strlen(line) == sizeof(line) - 1) {
			}
			continue;
		}
		if (config->number == first && !strncmp(text, "\xef\xbb\xbf", 3)) {
			text += 3;
		}
		if (comments < 0) {
			continue;
		}
		host_uncomment(text, &comments);
		res = host_parse_line(config, name, ast_strip(text));
	}
	if (comments) {
		COMPLAIN(config, "Unterminated comment detected");
	}
	return res;
}

static enum parsed parse_path(struct ast_config *config, const char *path,
	const char *called)
{
	struct stat info;
	FILE *stream;
	int res;

	if (stat(path, &info) || !S_ISREG(info.st_mode) || config->depth > MAX_DEPTH) {
		return PARSED_NOTHING;
	}
	stream = fopen(path, "re");
	if (!stream) {
		return PARSED_NOTHING;
	}
	config->depth++;
	config->path = path;
	res = parse_stream(config, called ? called : config->depth > 1 ? path : "", stream);
	fclose(stream);
	if (res) {
		/* The depth stays: what comes behind in the outer file is said to be of its path. */
		return PARSED_PARTLY;
	}
	config->depth--;
	return PARSED;
}

/*! Lines are counted on from one file of a pattern to the next */
enum parsed host_parse_file(struct ast_config *config, const char *name,
	const char *called)
{
	char path[PATH_MAX];
	glob_t found;
	enum parsed result = PARSED_NOTHING;
	const char *outer_path = config->path;
	int outer_number = config->number;
	size_t i;

	if (*name == '/') {
		ast_copy_string(path, name, sizeof(path));
	} else {
		snprintf(path, sizeof(path), "%.2000s/%.1000s", directory, name);
	}
	if (glob(path, GLOB_NOMAGIC | GLOB_BRACE, NULL, &found)) {
		return PARSED_NOTHING;
	}
	config->number = 0;
	for (i = 0; i < found.gl_pathc && result != PARSED_PARTLY; i++) {
		enum parsed parsed = parse_path(config, found.gl_pathv[i], called);

		result = parsed == PARSED_NOTHING ? result : parsed;
	}
	globfree(&found);
	config->path = outer_path;
	config->number = outer_number;
	return result;
}

/*! \brief A database has neither files nor lines */
static void forget_lines(struct ast_config *config)
{
	struct ast_category *category;
	struct ast_variable *var;

	for (category = config->first; category; category = category->next) {
		for (var = category->first; var; var = var->next) {
			var->file = "";
			var->lineno = 0;
		}
	}
}

struct ast_config *ast_config_load2(const char *filename, const char *who_asked,
	struct ast_flags flags)
{
	struct ast_config *config = host_alloc(sizeof(*config));
	void (*action)(void *data);
	enum parsed parsed;

	parsed = host_parse_file(config, filename, NULL);
	if (host_config_is_in_database(filename)) {
		forget_lines(config);
		/* A driver gives a file without sections where it fails, and where there is none. */
		parsed = PARSED;
	}
	action = __atomic_exchange_n(&when_read, NULL, __ATOMIC_ACQ_REL);
	if (action) {
		action(when_read_data);
	}
	switch (parsed) {
	case PARSED:
		return config;
	case PARSED_PARTLY:
		ast_config_destroy(config);
		return CONFIG_STATUS_FILEINVALID;
	default:
		ast_config_destroy(config);
		return CONFIG_STATUS_FILEMISSING;
	}
}

void ast_config_destroy(struct ast_config *config)
{
	struct ast_category *category;
	struct included *included;

	while ((included = config->included)) {
		config->included = included->next;
		free(included);
	}
	while ((category = config->first)) {
		struct ast_variable *var;

		config->first = category->next;
		while ((var = category->first)) {
			category->first = var->next;
			free(var);
		}
		free(category);
	}
	free(config);
}

/* ---- Browsing ---- */

struct ast_category *host_category_find(const struct ast_config *config, const char *name)
{
	struct ast_category *category;

	for (category = config->first; category; category = category->next) {
		if (!category->is_template && !strcasecmp(category->name, name)) {
			return category;
		}
	}
	return NULL;
}

/*! Of any name and without a filter, as the module asks; templates are passed over */
struct ast_category *ast_category_browse_filtered(struct ast_config *config,
	const char *category_name, struct ast_category *prev, const char *filter)
{
	struct ast_category *category = prev ? prev->next : config->first;

	if (category_name || filter) {
		FAIL("sections are only browsed without a name and a filter here");
	}
	while (category && category->is_template) {
		category = category->next;
	}
	return category;
}

const char *ast_category_get_name(const struct ast_category *category)
{
	return category->name;
}

struct ast_variable *ast_category_first(struct ast_category *cat)
{
	return cat->first;
}

struct ast_variable *ast_variable_browse(const struct ast_config *config,
	const char *category_name)
{
	struct ast_category *category = host_category_find(config, category_name);

	return category ? category->first : NULL;
}
