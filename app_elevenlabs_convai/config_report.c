/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What is wrong with elevenlabs.conf, said to whoever asked for it to be read
 */

#include "asterisk.h"

#include "asterisk/cli.h"	/* ast_cli */
#include "asterisk/logger.h"	/* ast_log */
#include "asterisk/options.h"	/* ast_opt_exec_includes */
#include "asterisk/paths.h"	/* ast_config_AST_CONFIG_DIR */
#include "asterisk/strings.h"	/* ast_str, ast_strip */

#include "config_report.h"

/*! Longest line that Asterisk's parser takes, with its terminator */
#define LINE_SIZE 8192

static void emit(const struct config_report *report, int level, const char *text)
{
	if (report->fd >= 0) {
		ast_cli(report->fd, "%s: %s\n", level == __LOG_ERROR ? "ERROR" : "WARNING", text);
	} else if (level == __LOG_ERROR) {
		ast_log(LOG_ERROR, "%s\n", text);
	} else {
		ast_log(LOG_WARNING, "%s\n", text);
	}
}

void config_say(struct config_report *report, int level, const char *section,
	const char *file, int line, const char *format, ...)
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
	ast_str_set(&text, 0, "%s", S_OR(file, report->file));
	if (line) {
		ast_str_append(&text, 0, ":%d", line);
	}
	if (section) {
		ast_str_append(&text, 0, " [%s]", section);
	}
	ast_str_append(&text, 0, ": ");
	va_start(ap, format);
	ast_str_append_va(&text, 0, format, ap);
	va_end(ap);
	emit(report, level, ast_str_buffer(text));
	ast_free(text);
}

/*!
 * \brief Take the comments out of a line, in place
 *
 * `;` begins one that ends with the line, `;--` one that ends with `--;` and may hold
 * others and go on for many lines; `\;` is a semicolon.
 *
 * \param[in,out] depth of the comments that the line begins in, and that it leaves open
 */
static void strip_comments(char *line, unsigned int *depth)
{
	const char *from;
	char *to = line;

	for (from = line; *from; from++) {
		if (from[0] == '\\' && from[1] == ';') {
			from++;
		} else if (from[0] == ';' && from[1] == '-' && from[2] == '-' && from[3] != '-') {
			(*depth)++;
			from += 2;
			continue;
		} else if (*depth && from[0] == '-' && from[1] == '-' && from[2] == ';') {
			(*depth)--;
			from += 2;
			continue;
		} else if (from[0] == ';' && !*depth) {
			break;
		}
		if (!*depth) {
			*to++ = *from;
		}
	}
	*to = '\0';
}

static void check_directive(struct config_report *report, const char *file, int number,
	const char *directive)
{
	static const char * const known[] = { "#include", "#tryinclude", "#exec" };
	size_t length = strcspn(directive, " \t");
	size_t i;

	for (i = 0; i < ARRAY_LEN(known); i++) {
		if (length == strlen(known[i]) && !strncasecmp(directive, known[i], length)) {
			break;
		}
	}
	if (i == ARRAY_LEN(known)) {
		config_say(report, __LOG_ERROR, NULL, file, number,
			"there is no directive %s; comments begin with a semicolon", directive);
	} else if (!*ast_skip_blanks(directive + length)) {
		config_say(report, __LOG_ERROR, NULL, file, number, "%s needs a file", directive);
	} else if (!strcmp(known[i], "#exec") && !ast_opt_exec_includes) {
		config_say(report, __LOG_ERROR, NULL, file, number,
			"#exec needs execincludes = yes in asterisk.conf");
	}
}

static void check_line(struct config_report *report, const char *file, int number,
	char *line)
{
	line = ast_strip(line);
	if (*line == '#') {
		check_directive(report, file, number, line);
	} else if (*line && *line != '[' && !strchr(line, '=')) {
		config_say(report, __LOG_ERROR, NULL, file, number,
			"a line is [section], key = value, or a comment, which begins with ;");
	}
}

const char *config_path(const char *file, char *path, size_t size)
{
	if (*file == '/') {
		ast_copy_string(path, file, size);
	} else {
		snprintf(path, size, "%s/%s", ast_config_AST_CONFIG_DIR, file);
	}
	return path;
}

void config_check_lines(struct config_report *report, const char *file)
{
	char path[PATH_MAX];
	char line[LINE_SIZE];
	unsigned int depth = 0;
	int number = 0;
	FILE *stream = fopen(config_path(file, path, sizeof(path)), "re");

	if (!stream) {
		/* Realtime configuration: there is no file, and there are no lines. */
		return;
	}
	while (fgets(line, sizeof(line), stream)) {
		char *text = line;

		number++;
		if (number == 1 && !strncmp(text, "\xef\xbb\xbf", 3)) {
			text += 3;
		}
		strip_comments(text, &depth);
		check_line(report, file, number, text);
	}
	fclose(stream);
}
