/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The text of elevenlabs.conf and of what it includes, line by line
 */

#include "asterisk.h"

#include <glob.h>	/* glob(3) */
#include <sys/stat.h>	/* stat(2) */

#include "asterisk/config.h"	/* struct ast_variable */
#include "asterisk/strings.h"	/* ast_strip */
#include "asterisk/utils.h"	/* ast_calloc */

#include "config/syntax.h"

/*! So many files may include one another; it stops at the next */
#define MAX_DEPTH 10

void *config_out_of_memory(const struct walk *walk)
{
	if (walk->report) {
		config_say(walk->report, __LOG_ERROR, NULL, NULL, 0, "out of memory");
	}
	return NULL;
}

/* ---- Tables ---- */

const struct config_section *config_find_section(const struct config_lines *lines,
	const char *name, int template_too)
{
	size_t i;

	for (i = AST_VECTOR_SIZE(&lines->sections); i > 0; i--) {
		const struct config_section *section = AST_VECTOR_GET(&lines->sections, i - 1);

		if ((template_too || !section->is_template) && !strcasecmp(section->name, name)) {
			return section;
		}
	}
	return NULL;
}

/*! \brief The file of this path if it was read before, or NULL */
static const struct config_file *find_file(const struct config_lines *lines,
	const char *path)
{
	size_t i;

	for (i = 0; i < AST_VECTOR_SIZE(&lines->files); i++) {
		if (!strcmp(AST_VECTOR_GET(&lines->files, i)->path, path)) {
			return AST_VECTOR_GET(&lines->files, i);
		}
	}
	return NULL;
}

static struct config_file *add_file(struct walk *walk, const char *path, int before)
{
	size_t size = strlen(path) + 1;
	struct config_file *file = ast_calloc(1, sizeof(*file) + size);

	if (!file || AST_VECTOR_APPEND(&walk->lines->files, file)) {
		ast_free(file);
		return config_out_of_memory(walk);
	}
	ast_copy_string(file->path, path, size);
	file->shown = AST_VECTOR_SIZE(&walk->lines->files) == 1 ? walk->name : file->path;
	file->before = before;
	return file;
}

/* ---- Files ---- */

static void read_lines(struct reader *reader, FILE *stream)
{
	char *line = reader->walk->line;
	int is_rest = 0;

	/* Counted as the parser does: what is behind the last newline is a line as well. */
	while (!feof(stream)) {
		reader->number += !is_rest;
		if (!fgets(line, LINE_SIZE, stream)) {
			break;
		}
		if (strlen(line) == LINE_SIZE - 1) {
			if (!is_rest) {
				fault(reader, "a line has less than %d characters", LINE_SIZE - 1);
			}
			is_rest = 1;
		} else if (is_rest) {
			is_rest = 0;
		} else {
			config_check_line(reader, line);
		}
	}
	reader->lines = reader->number;
	if (reader->comments) {
		reader->number = reader->comment_number;
		fault(reader, "the comment that ;-- begins here is not ended by --;");
	}
}

/*! \brief Begin a file where the sections so far end, as the parser does */
static void begin(struct reader *reader, const struct reader *parent, struct walk *walk,
	const struct config_file *file)
{
	const struct config_lines *lines = walk->lines;
	size_t count = AST_VECTOR_SIZE(&lines->sections);

	*reader = (struct reader) {
		.walk = walk,
		.parent = parent,
		.file = file,
		.depth = parent ? parent->depth + 1 : 0,
		.in_section = count || lines->partial,
	};
	if (count) {
		ast_copy_string(reader->section,
			AST_VECTOR_GET(&lines->sections, count - 1)->name, sizeof(reader->section));
	}
}

/*! \brief Report a file that would never come to an end. \return whether it is one */
static int is_endless(struct reader *parent, const char *path)
{
	const struct reader *reader;

	for (reader = parent; reader; reader = reader->parent) {
		if (!strcmp(reader->file->path, path)) {
			stop(parent, "%s includes itself", path);
			return 1;
		}
	}
	if (parent && parent->depth == MAX_DEPTH) {
		stop(parent, "%s is included by more than %d files, one in another", path,
			MAX_DEPTH);
		return 1;
	}
	return 0;
}

/*!
 * \brief Read a file, unless it was read before
 * \param parent the file that includes it, or NULL
 * \return how many lines it has; 0 if there is none, -1 if it cannot be read
 */
static int read_file(struct reader *parent, struct walk *walk, const char *path,
	int before)
{
	const struct config_file *known = find_file(walk->lines, path);
	struct config_file *file;
	struct reader reader;
	struct stat info;
	FILE *stream;

	if (stat(path, &info)) {
		return 0;
	}
	if (is_endless(parent, path) || known) {
		return known && known->lines ? known->lines : 1;
	}
	/* Looked at first: to open a named pipe would wait for its other end. */
	stream = S_ISREG(info.st_mode) ? fopen(path, "re") : NULL;
	if (!stream) {
		return -1;
	}
	file = add_file(walk, path, before);
	if (file) {
		begin(&reader, parent, walk, file);
		read_lines(&reader, stream);
		file->lines = reader.lines;
	}
	fclose(stream);
	return file ? file->lines : -1;
}

/*! \brief Whether Asterisk takes this file from a database */
static int is_in_database(const char *name)
{
	return ast_realtime_is_mapping_defined(name)
		|| ast_realtime_is_mapping_defined("global");
}

static void read_all(struct walk *walk)
{
	char path[PATH_MAX];

	*walk->lines = (struct config_lines) { .stops = 0 };

	AST_VECTOR_INIT(&walk->lines->files, 0);
	AST_VECTOR_INIT(&walk->lines->sections, 0);
	if (is_in_database(walk->name)) {
		walk->lines->partial = 1;
	} else {
		read_file(NULL, walk, config_path(walk->name, path, sizeof(path)), 0);
	}
}

/* ---- Including ---- */

void config_include(struct reader *reader, const char *name, int optional)
{
	char path[PATH_MAX];
	glob_t found = { .gl_pathc = 0 };
	size_t count;
	int before = 0;
	int files = 0;
	size_t i;

	if (is_in_database(name)) {
		reader->walk->lines->partial = 1;
		return;
	}
	config_path(name, path, sizeof(path));
	count = glob(path, GLOB_NOMAGIC | GLOB_BRACE, NULL, &found) ? 0 : found.gl_pathc;
	for (i = 0; i < count; i++) {
		int lines = read_file(reader, reader->walk, found.gl_pathv[i], before);

		if (lines > 0) {
			files++;
			before += lines;
		} else if (lines < 0 && (optional || count > 1)) {
			say(reader, __LOG_WARNING, NULL, "%s cannot be read, and is passed over",
				found.gl_pathv[i]);
		}
	}
	if (!files && !optional) {
		stop(reader, "there is no file %s that Asterisk can read", path);
	}
	globfree(&found);
}

/* ---- What others ask for ---- */

void config_lines_check(struct config_lines *lines, struct config_report *report)
{
	struct walk walk = { .lines = lines, .name = report->file, .report = report };

	read_all(&walk);
}

void config_lines_each(const char *file,
	void (*function)(void *data, const char *section, const struct ast_variable *line),
	void *data)
{
	struct config_lines lines;
	struct walk walk = { .lines = &lines, .name = file, .each = function, .data = data };

	read_all(&walk);
	config_lines_free(&lines);
}

void config_lines_free(struct config_lines *lines)
{
	AST_VECTOR_CALLBACK_VOID(&lines->files, ast_free);
	AST_VECTOR_FREE(&lines->files);
	AST_VECTOR_CALLBACK_VOID(&lines->sections, ast_free);
	AST_VECTOR_FREE(&lines->sections);
}

int config_lines_head(const struct config_lines *lines, const char *section,
	struct ast_variable *place)
{
	const struct config_section *found = config_find_section(lines, section, 0);

	if (!found) {
		return -1;
	}
	place->file = found->file->shown;
	place->lineno = found->line + found->file->before;
	return 0;
}

int config_lines_number(const struct config_lines *lines, const struct ast_variable *line)
{
	const struct config_file *file = ast_strlen_zero(line->file) ? NULL
		: find_file(lines, line->file);

	return line->lineno - (file ? file->before : 0);
}
