/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Databases, by extconfig.conf: single rows, and whole files
 */

#include "host_internal.h"

#include "asterisk/channel.h"
#include "asterisk/config.h"
#include "asterisk/strings.h"

static struct ast_variable *(*rows)(const char *column, const char *value);
static int file_in_database;
static unsigned int serviced;
static unsigned int in_service;

void host_database(struct ast_variable *(*source)(const char *column, const char *value))
{
	__atomic_store_n(&rows, source, __ATOMIC_RELEASE);
}

void host_file_in_database(int in_database)
{
	file_in_database = in_database;
}

int host_config_is_in_database(const char *name)
{
	return file_in_database && !strcasecmp(name, "elevenlabs.conf");
}

int ast_check_realtime(const char *family)
{
	return host_config_is_in_database(family)
		|| (__atomic_load_n(&rows, __ATOMIC_ACQUIRE) && !strcasecmp(family, "elevenlabs"));
}

struct ast_variable *host_pair(const char *name, const char *value)
{
	size_t size = strlen(name) + 1;
	struct ast_variable *var = host_alloc(sizeof(*var) + size + strlen(value) + 1);

	strcpy(var->stuff, name);
	strcpy(var->stuff + size, value);
	var->name = var->stuff;
	var->value = var->stuff + size;
	var->file = "";
	return var;
}

struct ast_variable *host_row(const char *text)
{
	char *rest = host_alloc(strlen(text) + 1);
	char *copy = rest;
	struct ast_variable *row = NULL;
	struct ast_variable **end = &row;
	char *pair;

	strcpy(copy, text);
	while ((pair = strsep(&rest, "&"))) {
		const char *name = strsep(&pair, "=");

		*end = host_pair(name, pair ? pair : "");
		end = &(*end)->next;
	}
	free(copy);
	return row;
}

void ast_variables_destroy(struct ast_variable *var)
{
	while (var) {
		struct ast_variable *next = var->next;

		free(var);
		var = next;
	}
}

/*! As Asterisk does: what is empty, or NULL in the table, is left out, and a blank is an empty value */
static struct ast_variable *filter(struct ast_variable *row)
{
	struct ast_variable **place = &row;
	struct ast_variable *var;

	while ((var = *place)) {
		if (!*var->value) {
			*place = var->next;
			free(var);
			continue;
		}
		if (!strcmp(var->value, " ")) {
			*(char *) var->value = '\0';
		}
		place = &var->next;
	}
	return row;
}

struct ast_variable *ast_load_realtime(const char *family, ...)
{
	struct ast_variable *(*source)(const char *column, const char *value)
		= __atomic_load_n(&rows, __ATOMIC_ACQUIRE);
	const char *column;
	const char *value;
	va_list ap;

	va_start(ap, family);
	column = va_arg(ap, const char *);
	value = va_arg(ap, const char *);
	if (va_arg(ap, const char *)) {
		FAIL("a row is only looked up by one column here");
	}
	va_end(ap);
	return source && !strcasecmp(family, "elevenlabs") ? filter(source(column, value)) : NULL;
}

/* ---- A channel that somebody else reads ---- */

int ast_autoservice_start(struct ast_channel *chan)
{
	__atomic_add_fetch(&serviced, 1, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&in_service, 1, __ATOMIC_SEQ_CST);
	return 0;
}

int ast_autoservice_stop(struct ast_channel *chan)
{
	if (__atomic_fetch_sub(&in_service, 1, __ATOMIC_SEQ_CST) == 0) {
		FAIL("a channel is taken back that was not given away");
	}
	return 0;
}

unsigned int host_serviced(void)
{
	if (__atomic_load_n(&in_service, __ATOMIC_SEQ_CST)) {
		FAIL("a channel was not taken back");
	}
	return __atomic_load_n(&serviced, __ATOMIC_SEQ_CST);
}
