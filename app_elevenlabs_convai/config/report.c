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

#include <ctype.h>	/* isalnum(3) */

#include "asterisk/config.h"	/* struct ast_variable */
#include "asterisk/paths.h"	/* ast_config_AST_CONFIG_DIR */
#include "asterisk/strings.h"	/* ast_str */
#include "asterisk/utils.h"	/* ast_strdupa */

#include "config/report.h"
#include "door.h"

/*! Letters and digits in a row that may be a key: those have 32 and more, no word and no setting 24 */
#define TOKEN_LEAST 24

static void emit(const struct config_report *report, int level, const char *text)
{
	if (report->fd >= 0) {
		door_cli(report->fd, "%s: %s\n", level == __LOG_ERROR ? "ERROR" : "WARNING", text);
	} else if (level == __LOG_ERROR) {
		door_log(LOG_ERROR, "%s\n", text);
	} else {
		door_log(LOG_WARNING, "%s\n", text);
	}
}

/*!
 * \brief The length of a file's name without what Asterisk adds to it
 *
 * When a file is included a second time, its lines say that they are of `name~~1`.
 */
static int name_length(const char *file)
{
	const char *added = strstr(file, "~~");

	if (added && added[2] && !added[2 + strspn(added + 2, "0123456789")]) {
		return added - file;
	}
	return strlen(file);
}

/*! \brief The file that is read, or that a line is of: Asterisk gives lines of the outermost no name */
static const char *file_of(const struct config_report *report, const struct ast_variable *line)
{
	return line ? S_OR(line->file, report->file) : report->file;
}

void config_append_place(struct ast_str **text, const struct config_report *report,
	const char *section, const struct ast_variable *line)
{
	const char *file = file_of(report, line);

	ast_str_append(text, 0, "%.*s", name_length(file), file);
	if (report->in_database) {
		ast_str_append(text, 0, " (database)");
	} else if (line && line->lineno) {
		ast_str_append(text, 0, ":%d", line->lineno);
	}
	if (section) {
		ast_str_append(text, 0, " [%s]", section);
	}
}

void config_say(struct config_report *report, int level, const char *section,
	const struct ast_variable *line, const char *format, ...)
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
	config_append_place(&text, report, section, line);
	ast_str_append(&text, 0, ": ");
	va_start(ap, format);
	ast_str_append_va(&text, 0, format, ap);
	va_end(ap);
	if (level == __LOG_ERROR && !report->first[0]) {
		ast_copy_string(report->first, ast_str_buffer(text), sizeof(report->first));
	}
	emit(report, level, ast_str_buffer(text));
	ast_free(text);
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

const char *config_line_path(const struct config_report *report, const struct ast_variable *line,
	char *path, size_t size)
{
	char *file = ast_strdupa(file_of(report, line));

	file[name_length(file)] = '\0';
	return config_path(file, path, size);
}

/*! \brief Whether there is a long run of letters and digits, both of them: older keys have no mark */
static int has_token(const char *text)
{
	size_t letters = 0;
	size_t digits = 0;

	for (; *text; text++) {
		if (!isascii(*text) || !isalnum(*text)) {
			letters = digits = 0;
		} else if (isdigit(*text)) {
			digits++;
		} else {
			letters++;
		}
		if (letters && digits && letters + digits >= TOKEN_LEAST) {
			return 1;
		}
	}
	return 0;
}

const char *config_shown(const char *text)
{
	/* The service's keys begin so, wherever one was put by mistake; a URL has a password before it. */
	return strstr(text, "sk_") || strchr(text, '@') || has_token(text) ? "(not shown)" : text;
}

void config_erase(char *text)
{
	if (text) {
		explicit_bzero(text, strlen(text));
	}
}
