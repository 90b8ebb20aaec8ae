/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The log, kept for the test to look at
 */

#include "host_internal.h"

#include "asterisk/logger.h"
#include "asterisk/options.h"

#define LOG_SIZE (256 * 1024)

int option_debug;
int ast_verb_sys_level = 3;
struct ast_flags64 ast_options;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char text[LOG_SIZE];
static size_t used;

void host_log_add(const char *level, const char *format, va_list ap)
{
	host_jitter();
	pthread_mutex_lock(&lock);
	used += snprintf(text + used, sizeof(text) - used, "%s ", level);
	used += vsnprintf(text + used, sizeof(text) - used, format, ap);
	if (used >= sizeof(text)) {
		FAIL("the log holds more than %d bytes", LOG_SIZE);
	}
	if (text[used - 1] != '\n') {
		FAIL("a line of the log has no end: %s", format);
	}
	pthread_mutex_unlock(&lock);
	host_jitter();
}

void ast_log(int level, const char *file, int line, const char *function, const char *fmt,
	...)
{
	static const char * const names[] = {
		[__LOG_DEBUG] = "DEBUG",
		[__LOG_NOTICE] = "NOTICE",
		[__LOG_WARNING] = "WARNING",
		[__LOG_ERROR] = "ERROR",
	};
	va_list ap;

	va_start(ap, fmt);
	host_log_add(names[level], fmt, ap);
	va_end(ap);
}

void __ast_verbose(const char *file, int line, const char *func, int level,
	const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	host_log_add("VERBOSE", fmt, ap);
	va_end(ap);
}

unsigned int ast_debug_get_by_module(const char *module)
{
	return 0;
}

const char *host_log(void)
{
	return text;
}

void host_log_clear(void)
{
	pthread_mutex_lock(&lock);
	used = 0;
	text[0] = '\0';
	pthread_mutex_unlock(&lock);
}

unsigned int host_logged(const char *part)
{
	unsigned int lines = 0;
	const char *line;

	pthread_mutex_lock(&lock);
	for (line = text; *line; line = strchr(line, '\n') + 1) {
		const char *found = strstr(line, part);

		lines += found && found < strchr(line, '\n');
	}
	pthread_mutex_unlock(&lock);
	return lines;
}
