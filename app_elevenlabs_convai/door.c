/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Where words leave the module: log, terminals, channel variables, AMI and HTTP
 */

#include "asterisk.h"

#include <time.h>	/* gmtime_r(3) */

#include "asterisk/cli.h"	/* ast_cli */
#include "asterisk/lock.h"	/* a mutex */
#include "asterisk/logger.h"	/* ast_log */
#include "asterisk/manager.h"	/* astman_send_ack, astman_append */
#include "asterisk/pbx.h"	/* pbx_builtin_setvar_helper */
#include "asterisk/strings.h"	/* ast_str */
#include "asterisk/utils.h"	/* ast_copy_string */

#include "door.h"

/*! Room for a line, and for a little more: then words_clean sees that there is more */
struct line {
	char text[DOOR_LINE_MAX + 8];
};

/*! \brief Write a line without the newline at its end. \return the newline, or "" if it has none */
static const char *__attribute__((format(printf, 3, 0))) write_line(struct line *line,
	enum words_use use, const char *format, va_list ap)
{
	size_t length;
	const char *end = "";

	/* cppcheck-suppress ctuuninitvar ; it is written here */
	vsnprintf(line->text, sizeof(line->text), format, ap);
	length = strlen(line->text);
	if (length && line->text[length - 1] == '\n') {
		length--;
		end = "\n";
	}
	line->text[words_clean(line->text, length, DOOR_LINE_MAX, use)] = '\0';
	return end;
}

static const char *copy_line(struct line *line, enum words_use use, const char *text)
{
	ast_copy_string(line->text, text, sizeof(line->text));
	line->text[words_clean(line->text, strlen(line->text), DOOR_LINE_MAX, use)] = '\0';
	return line->text;
}

AST_MUTEX_DEFINE_STATIC(kept_lock);
static char kept[DOOR_KEPT][DOOR_KEPT_SIZE];
static unsigned int kept_next;	/*!< where the next one goes: that of the oldest */

static const char *level_name(int level)
{
	return level == __LOG_ERROR ? "ERROR" : level == __LOG_WARNING ? "WARNING" : "NOTICE";
}

static void keep(int level, const char *text)
{
	struct timespec now;
	struct tm utc;
	char when[24];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &utc);
	ast_mutex_lock(&kept_lock);
	snprintf(kept[kept_next], DOOR_KEPT_SIZE, "%s %s %.*s", when, level_name(level),
		DOOR_KEPT_SIZE - (int) sizeof(when) - 10, text);
	kept_next = (kept_next + 1) % DOOR_KEPT;
	ast_mutex_unlock(&kept_lock);
}

void door_log(int level, const char *file, int line, const char *function, const char *format, ...)
{
	struct line made;
	va_list ap;

	va_start(ap, format);
	write_line(&made, WORDS_LINE, format, ap);
	va_end(ap);
	if (level != __LOG_DEBUG) {
		keep(level, made.text);
	}
	ast_log(level, file, line, function, "%s\n", made.text);
}

void door_kept(void (*tell)(void *data, const char *line), void *data)
{
	unsigned int i;

	for (i = 0; i < DOOR_KEPT; i++) {
		char text[DOOR_KEPT_SIZE];

		ast_mutex_lock(&kept_lock);
		ast_copy_string(text, kept[(kept_next + i) % DOOR_KEPT], sizeof(text));
		ast_mutex_unlock(&kept_lock);
		if (*text) {
			tell(data, text);
		}
	}
}

void door_verbose(int level, const char *format, ...)
{
	struct line line;
	va_list ap;

	va_start(ap, format);
	write_line(&line, WORDS_LINE, format, ap);
	va_end(ap);
	if (level) {
		ast_verb(level, "%s\n", line.text);
	} else {
		ast_verbose("%s\n", line.text);
	}
}

void door_cli(int fd, const char *format, ...)
{
	struct line line;
	const char *end;
	va_list ap;

	va_start(ap, format);
	end = write_line(&line, WORDS_COLUMNS, format, ap);
	va_end(ap);
	ast_cli(fd, "%s%s", line.text, end);
}

void door_completion(const char *word)
{
	struct line line;

	ast_cli_completion_add(ast_strdup(copy_line(&line, WORDS_LINE, word)));
}

void door_variable(struct ast_channel *channel, const char *name, const char *value,
	enum words_use use)
{
	struct line line;

	pbx_builtin_setvar_helper(channel, name, value ? copy_line(&line, use, value) : NULL);
}

void door_value(char *text)
{
	size_t length = strlen(text);

	text[words_clean(text, length, length, WORDS_DATA)] = '\0';
}

void door_json(struct ast_str **out, const char *text)
{
	struct line line;
	const char *c = copy_line(&line, WORDS_LINE, text);
	size_t length;

	ast_str_append(out, 0, "\"");
	while (*c) {
		length = strcspn(c, "\"\\<>&");
		ast_str_append(out, 0, "%.*s", (int) length, c);
		c += length;
		if (*c) {
			ast_str_append(out, 0, "\\u%04x", (unsigned char) *c++);
		}
	}
	ast_str_append(out, 0, "\"");
}

void door_answer(struct mansession *session, const struct message *message, int succeeded,
	const char *text)
{
	struct line line;

	copy_line(&line, WORDS_LINE, text);
	if (succeeded) {
		astman_send_ack(session, message, line.text);
	} else {
		astman_send_error(session, message, line.text);
	}
}

/*! \brief Whose answer this is, as the program has named it */
static void append_id(struct mansession *session, const struct message *message)
{
	const char *id = astman_get_header(message, "ActionID");

	if (*id) {
		astman_append(session, "ActionID: %s\r\n", id);
	}
}

static void append_fields(struct mansession *session, va_list ap)
{
	struct line line;
	const char *name;

	while ((name = va_arg(ap, const char *))) {
		copy_line(&line, WORDS_LINE, va_arg(ap, const char *));
		astman_append(session, "%s: %s\r\n", name, line.text);
	}
	astman_append(session, "\r\n");
}

void door_answer_fields(struct mansession *session, const struct message *message, int succeeded,
	const char *text, ...)
{
	struct line line;
	va_list ap;

	astman_append(session, succeeded ? "Response: Success\r\n" : "Response: Error\r\n");
	append_id(session, message);
	copy_line(&line, WORDS_LINE, text);
	astman_append(session, "Message: %s\r\n", line.text);
	va_start(ap, text);
	append_fields(session, ap);
	va_end(ap);
}

void door_list_begin(struct mansession *session, const struct message *message, const char *text)
{
	struct line line;

	copy_line(&line, WORDS_LINE, text);
	astman_send_listack(session, message, line.text, "start");
}

void door_list_item(struct mansession *session, const struct message *message, const char *event, ...)
{
	va_list ap;

	astman_append(session, "Event: %s\r\n", event);
	append_id(session, message);
	va_start(ap, event);
	append_fields(session, ap);
	va_end(ap);
}

void door_list_end(struct mansession *session, const struct message *message, const char *event,
	size_t count)
{
	astman_send_list_complete_start(session, message, event, count);
	astman_send_list_complete_end(session);
}
