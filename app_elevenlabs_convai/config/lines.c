/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What a line of elevenlabs.conf says that was hardly meant: quotes around its value, or a
 * semicolon in it
 */

#include "asterisk.h"

#include <ctype.h>	/* isspace(3) */

#include "asterisk/config.h"	/* struct ast_variable */
#include "asterisk/strings.h"	/* ast_strip */
#include "asterisk/utils.h"	/* ast_strdup, ast_strdupa */

#include "config/lines.h"
#include "config/report.h"

/*! What Asterisk's parser reads of a line at most, with its terminator */
#define LINE_SIZE 8192

/* ---- Quotes ---- */

/*! What keyboards and word processors have for quotes; the straight ones and the apostrophe first */
static const char * const quotes[] = {
	"\"", "'", "\u2019", "\u2018", "\u201a", "\u201b", "\u201c", "\u201d", "\u201e", "\u201f",
	"\u00ab", "\u00bb", "\u2039", "\u203a",
};

/*! So many of them also stand at the end of a word: the boys' */
#define APOSTROPHES 3

/*! \brief The quote with which a text begins: its place in the list, or -1 */
static int quote_at(const char *text)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(quotes); i++) {
		if (!strncmp(text, quotes[i], strlen(quotes[i]))) {
			return i;
		}
	}
	return -1;
}

/*! \brief The quote with which a text ends: its place in the list, or -1 */
static int quote_behind(const char *text)
{
	size_t length = strlen(text);
	size_t i;

	for (i = 0; i < ARRAY_LEN(quotes); i++) {
		size_t own = strlen(quotes[i]);

		if (length > own && !strcmp(text + length - own, quotes[i])) {
			return i;
		}
	}
	return -1;
}

static int is_apostrophe(int quote)
{
	return quote > 0 && quote < APOSTROPHES;
}

/*! \brief Whether there are quotes, and no mere apostrophes, within a text, its two ends left out */
static int has_quotes_within(const char *text)
{
	const char *c;

	for (c = text + 1; *c && c[1]; c++) {
		int quote = quote_at(c);

		if (quote >= 0 && !is_apostrophe(quote) && c[strlen(quotes[quote])]) {
			return 1;
		}
	}
	return 0;
}

/*! \brief Whether quotes at the ends of a value, -1 for none, were hardly meant to be part of it */
static int is_unmeant(const char *value, enum config_line_kind kind, int first, int last)
{
	if (first < 0 && last < 0) {
		return 0;
	}
	switch (kind) {
	case CONFIG_LINE_JSON:
		return first && last;
	case CONFIG_LINE_TEXT:
		if (first < 0 || last < 0) {
			return !is_apostrophe(first >= 0 ? first : last)
				&& !has_quotes_within(value);
		}
		return !has_quotes_within(value);
	default:
		return 1;
	}
}

static void check_quotes(struct config_report *report, const char *section,
	const struct ast_variable *line, enum config_line_kind kind)
{
	int first = quote_at(line->value);
	int last = quote_behind(line->value);

	if (!is_unmeant(line->value, kind, first, last)) {
		return;
	}
	if (first >= 0 && last >= 0) {
		config_warning(report, section, line,
			"%s is in quotes, which Asterisk makes part of the value; remove them",
			line->name);
	} else {
		config_warning(report, section, line,
			"%s has a quote at its %s, which Asterisk makes part of the value; remove it",
			line->name, first >= 0 ? "beginning" : "end");
	}
}

/* ---- Semicolons ---- */

/*! \brief Where Asterisk finds a comment: at a semicolon without a backslash before it, or NULL */
static char *find_comment(char *line)
{
	char *c = strchr(line, ';');

	while (c && c > line && c[-1] == '\\') {
		c = strchr(c + 1, ';');
	}
	return c;
}

/*! \brief Whether a comment begins where a semicolon of the value's own would be: right behind a word */
static int is_suspect(char *line)
{
	const char *comment = find_comment(line);
	const char *equals = strchr(line, '=');

	return comment && equals && equals < comment && !isspace(comment[-1]);
}

/*! \brief Keep such a line. Out of memory it is not warned about. */
static void keep(struct config_report *report, const char *path, int number, const char *text)
{
	struct config_suspect suspect = {
		.path = ast_strdup(path), .number = number, .text = ast_strdup(text),
	};

	if (!suspect.path || !suspect.text || AST_VECTOR_APPEND(&report->suspects, suspect)) {
		ast_free(suspect.path);
		ast_free(suspect.text);
	}
}

/*!
 * \brief Look at each line of a file. Asterisk skips one that does not fit, and says so.
 * \return the number of the last one
 */
static int look_at_file(struct config_report *report, const char *path, FILE *file)
{
	char line[LINE_SIZE];
	int number = 0;
	int begins = 1;

	while (fgets(line, sizeof(line), file)) {
		int ends = line[0] && line[strlen(line) - 1] == '\n';

		number += begins;
		if (begins && (ends || feof(file)) && is_suspect(line)) {
			keep(report, path, number, line);
		}
		begins = ends;
	}
	/* So that it is not looked at again, even if there is nothing in it. */
	keep(report, path, number, "");
	return number;
}

/*! \brief Look at a file, once. \return the number of its last line; 0 if it cannot be read */
static int look_at(struct config_report *report, const char *path)
{
	FILE *file;
	size_t i;
	int last;

	for (i = 0; i < AST_VECTOR_SIZE(&report->suspects); i++) {
		const struct config_suspect *suspect = AST_VECTOR_GET_ADDR(&report->suspects, i);

		if (!suspect->text[0] && !strcmp(suspect->path, path)) {
			return suspect->number;
		}
	}
	file = fopen(path, "re");
	if (!file) {
		return 0;
	}
	last = look_at_file(report, path, file);
	fclose(file);
	return last;
}

/*! \brief Whether a line sets this value, as Asterisk reads it, up to a comment */
static int is_cut_to(const char *text, const struct ast_variable *var)
{
	char *line = ast_strdupa(text);
	char *name = ast_skip_blanks(line);
	char *from;
	char *to;

	*find_comment(line) = '\0';
	from = strchr(line, '=') + 1;
	if (strncasecmp(name, var->name, strlen(var->name))) {
		return 0;
	}
	from += *from == '>';
	for (to = line; *from; from++) {
		if (from[0] != '\\' || from[1] != ';') {
			*to++ = *from;
		}
	}
	*to = '\0';
	return !strcmp(ast_strip(line), var->value);
}

/*!
 * \brief Whether a line of the file's that has a comment may be this one, by its number
 *
 * Asterisk counts on from one file of an included pattern to the next, so a number may be too high.
 */
static int may_be(const struct config_suspect *suspect, const struct ast_variable *line, int last)
{
	return suspect->text[0] && (suspect->number == line->lineno || line->lineno > last);
}

static void check_semicolon(struct config_report *report, const char *section,
	const struct ast_variable *line)
{
	char path[PATH_MAX];
	size_t i;
	int last;

	if (!line->lineno) {
		return;
	}
	config_line_path(report, line, path, sizeof(path));
	last = look_at(report, path);
	for (i = 0; i < AST_VECTOR_SIZE(&report->suspects); i++) {
		const struct config_suspect *suspect = AST_VECTOR_GET_ADDR(&report->suspects, i);

		if (may_be(suspect, line, last) && !strcmp(suspect->path, path)
			&& is_cut_to(suspect->text, line)) {
			config_warning(report, section, line,
				"the value of %s ends before the ; in this line, for Asterisk takes what is "
				"behind it for a comment; write \\; if it belongs to the value, and a blank "
				"before it if not", line->name);
			return;
		}
	}
}

/* ---- Both ---- */

void config_check_line(struct config_report *report, const char *section,
	const struct ast_variable *line, enum config_line_kind kind)
{
	check_quotes(report, section, line, kind);
	check_semicolon(report, section, line);
}

static void suspect_free(struct config_suspect suspect)
{
	ast_free(suspect.path);
	ast_free(suspect.text);
}

void config_lines_free(struct config_report *report)
{
	AST_VECTOR_CALLBACK_VOID(&report->suspects, suspect_free);
	AST_VECTOR_FREE(&report->suspects);
}
