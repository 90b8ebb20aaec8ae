/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Configuration files: sections, templates, includes and comments
 *
 * What a file means is Asterisk's business; this follows it in what the module uses, and the
 * tests inside Asterisk look at the rest.
 */

#include "host_internal.h"

#include <ctype.h>
#include <ftw.h>	/* nftw(3) */
#include <fcntl.h>
#include <sys/stat.h>

#include "asterisk/config.h"
#include "asterisk/paths.h"

#define LINE_SIZE 8192
#define MAX_DEPTH 10

struct category {
	char name[80];
	int is_template;
	struct ast_variable *first;
	struct ast_variable *last;
	struct category *next;
};

struct ast_config {
	struct category *first;
	struct category *last;
	struct category *current;	/*!< while parsing */
	unsigned int depth;	/*!< of includes */
};

static char directory[PATH_MAX];
const char *ast_config_AST_CONFIG_DIR = directory;
const char *ast_config_AST_MODULE_DIR = directory;

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

void host_remove_config(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%.2000s/%.1000s", directory, name);
	unlink(path);
}

/* ---- Parsing ---- */

static void __attribute__((format(printf, 1, 2))) complain(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	host_log_add("WARNING", format, ap);
	va_end(ap);
}

static struct ast_variable *variable_make(const char *name, const char *value,
	const char *file, int line)
{
	size_t name_size = strlen(name) + 1;
	size_t value_size = strlen(value) + 1;
	size_t file_size = strlen(file) + 1;
	struct ast_variable *var = host_alloc(sizeof(*var) + name_size + value_size + file_size);

	var->name = memcpy(var->stuff, name, name_size);
	var->value = memcpy(var->stuff + name_size, value, value_size);
	var->file = memcpy(var->stuff + name_size + value_size, file, file_size);
	var->lineno = line;
	return var;
}

static void category_add(struct category *category, struct ast_variable *var)
{
	if (category->last) {
		category->last->next = var;
	} else {
		category->first = var;
	}
	category->last = var;
}

static struct category *category_find(const struct ast_config *config, const char *name)
{
	struct category *category;

	for (category = config->first; category; category = category->next) {
		if (!strcasecmp(category->name, name)) {
			return category;
		}
	}
	return NULL;
}

static void inherit(struct category *category, const struct category *base)
{
	const struct ast_variable *var;

	for (var = base->first; var; var = var->next) {
		struct ast_variable *copy = variable_make(var->name, var->value, var->file,
			var->lineno);

		copy->inherited = 1;
		category_add(category, copy);
	}
}

static struct category *category_make(struct ast_config *config, const char *name)
{
	struct category *category = host_alloc(sizeof(*category));

	ast_copy_string(category->name, name, sizeof(category->name));
	if (config->last) {
		config->last->next = category;
	} else {
		config->first = category;
	}
	config->last = category;
	return category;
}

/*! The words in the parentheses behind a section's name */
static int parse_bases(struct ast_config *config, char *bases)
{
	char *rest = NULL;
	char *word;

	for (word = strtok_r(bases, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
		struct category *base = category_find(config, word);

		if (!strcmp(word, "!")) {
			config->current->is_template = 1;
		} else if (!base || base == config->current) {
			complain("Category '%s' to inherit from does not exist\n", word);
			return -1;
		} else {
			inherit(config->current, base);
		}
	}
	return 0;
}

static int parse_section(struct ast_config *config, char *line)
{
	char *end = strchr(line, ']');
	char *bases = end && end[1] == '(' ? end + 2 : NULL;

	if (!end || (bases && !strchr(bases, ')'))) {
		complain("Unfinished section: %s\n", line);
		return -1;
	}
	*end = '\0';
	if (bases) {
		*strchr(bases, ')') = '\0';
	}
	if (bases && !strcmp(bases, "+")) {
		config->current = category_find(config, line + 1);
		return config->current ? 0 : -1;
	}
	config->current = category_make(config, line + 1);
	return bases ? parse_bases(config, bases) : 0;
}

static int parse_file(struct ast_config *config, const char *name, int optional);

static int parse_directive(struct ast_config *config, char *line)
{
	char *name = strpbrk(line, " \t");
	size_t length;

	if (strncasecmp(line, "#include", 8) && strncasecmp(line, "#tryinclude", 11)) {
		complain("Unknown directive %s\n", line);
		return 0;
	}
	if (!name || !*(name = ast_strip(name))) {
		complain("Directive without a file\n");
		return 0;
	}
	length = strlen(name);
	if (strchr("\"<", name[0]) && length > 1) {
		name[length - 1] = '\0';
		name++;
	}
	return parse_file(config, name, tolower((unsigned char) line[1]) == 't');
}

static int parse_line(struct ast_config *config, const char *file, int number, char *line)
{
	char *equals = strchr(line, '=');

	if (!*line) {
		return 0;
	}
	if (*line == '[') {
		return parse_section(config, line);
	}
	if (*line == '#') {
		return parse_directive(config, line);
	}
	if (!config->current) {
		complain("No section for line %d of %s\n", number, file);
		return -1;
	}
	if (!equals) {
		complain("No '=' in line %d of %s\n", number, file);
		return 0;
	}
	*equals++ = '\0';
	equals += *equals == '>';
	category_add(config->current, variable_make(ast_strip(line), ast_strip(equals),
		config->depth > 1 ? file : "", number));
	return 0;
}

/*! Cuts the line where its comment begins, and leaves out what a comment block covers */
static void uncomment(char *line, int *depth)
{
	char *to = line;
	const char *from = line;

	while (*from) {
		if (!strncmp(from, ";--", 3) && from[3] != '-') {
			(*depth)++;
			from += 3;
		} else if (*depth && !strncmp(from, "--;", 3)) {
			(*depth)--;
			from += 3;
		} else if (*depth) {
			from++;
		} else if (!strncmp(from, "\\;", 2)) {
			*to++ = ';';
			from += 2;
		} else if (*from == ';') {
			break;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
}

static int parse_stream(struct ast_config *config, const char *path, FILE *stream)
{
	char line[LINE_SIZE];
	int comments = 0;
	int number = 0;
	int res = 0;

	while (!res && fgets(line, sizeof(line), stream)) {
		char *text = line;

		number++;
		if (number == 1 && !strncmp(text, "\xef\xbb\xbf", 3)) {
			text += 3;
		}
		uncomment(text, &comments);
		res = parse_line(config, path, number, ast_strip(text));
	}
	return res;
}

static int parse_file(struct ast_config *config, const char *name, int optional)
{
	char path[PATH_MAX];
	FILE *stream;
	int res;

	if (*name == '/') {
		ast_copy_string(path, name, sizeof(path));
	} else {
		snprintf(path, sizeof(path), "%.2000s/%.1000s", directory, name);
	}
	stream = fopen(path, "re");
	if (!stream) {
		complain("Cannot open %s\n", path);
		return optional ? 0 : -1;
	}
	config->depth++;
	res = config->depth > MAX_DEPTH ? -1 : parse_stream(config, path, stream);
	config->depth--;
	fclose(stream);
	return res;
}

struct ast_config *ast_config_load2(const char *filename, const char *who_asked,
	struct ast_flags flags)
{
	struct ast_config *config;
	char path[PATH_MAX];
	struct stat info;

	snprintf(path, sizeof(path), "%.2000s/%.1000s", directory, filename);
	if (stat(path, &info)) {
		return CONFIG_STATUS_FILEMISSING;
	}
	config = host_alloc(sizeof(*config));
	if (parse_file(config, filename, 0)) {
		ast_config_destroy(config);
		return CONFIG_STATUS_FILEINVALID;
	}
	return config;
}

void ast_config_destroy(struct ast_config *config)
{
	struct category *category;

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

/*! Takes the pointer that it gave before; templates are passed over */
char *ast_category_browse(struct ast_config *config, const char *prev_name)
{
	struct category *category = config->first;

	while (prev_name && category && category->name != prev_name) {
		category = category->next;
	}
	if (prev_name && category) {
		category = category->next;
	}
	while (category && category->is_template) {
		category = category->next;
	}
	return category ? category->name : NULL;
}

struct ast_variable *ast_variable_browse(const struct ast_config *config,
	const char *category_name)
{
	struct category *category = category_find(config, category_name);

	return category && !category->is_template ? category->first : NULL;
}
