/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief A line of a configuration file: sections, templates, keys, directives, comments
 */

#include "config_internal.h"

#include <ctype.h>

#include "asterisk/config.h"

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

static void category_add(struct ast_category *category, struct ast_variable *var)
{
	if (category->last) {
		category->last->next = var;
	} else {
		category->first = var;
	}
	category->last = var;
}

static struct ast_category *category_find(const struct ast_config *config, const char *name)
{
	struct ast_category *category;

	for (category = config->first; category; category = category->next) {
		if (!strcasecmp(category->name, name)) {
			return category;
		}
	}
	return NULL;
}

static void inherit(struct ast_category *category, const struct ast_category *base)
{
	const struct ast_variable *var;

	for (var = base->first; var; var = var->next) {
		struct ast_variable *copy = variable_make(var->name, var->value, var->file,
				var->lineno);

		copy->inherited = 1;
		category_add(category, copy);
	}
}

static struct ast_category *category_make(struct ast_config *config, const char *name)
{
	struct ast_category *category = host_alloc(sizeof(*category));

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
		struct ast_category *base = category_find(config, word);

		if (!strcmp(word, "!")) {
			config->current->is_template = 1;
		} else if (!base || base == config->current) {
			COMPLAIN(config, "Inheritance requested, but category '%s' does not exist", word);
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
		COMPLAIN(config, "parse error: no closing ']' or ')'");
		return -1;
	}
	*end = '\0';
	if (bases) {
		*strchr(bases, ')') = '\0';
	}
	if (bases && !strcmp(bases, "+")) {
		config->current = host_category_find(config, line + 1);
		if (!config->current) {
			COMPLAIN(config, "Category addition requested, but category '%s' does not exist", line + 1);
			return -1;
		}
		return 0;
	}
	config->current = category_make(config, line + 1);
	return bases ? parse_bases(config, bases) : 0;
}

/*! The name that lines of an included file give as theirs: its own, except the first time */
static const char *include_name(struct ast_config *config, const char *name, char *called,
	size_t size)
{
	struct included *included;

	for (included = config->included; included; included = included->next) {
		if (!strcmp(included->name, name)) {
			host_complain("Same file included more than once: %s\n", name);
			snprintf(called, size, "%.256s~~%u", name, ++included->count);
			return called;
		}
	}
	included = host_alloc(sizeof(*included));
	ast_copy_string(included->name, name, sizeof(included->name));
	included->next = config->included;
	config->included = included;
	return NULL;
}

/*! What is wrong in an included file ends that file alone, and nobody is told */
static int parse_include(struct ast_config *config, const char *name, int optional)
{
	char buffer[300];
	const char *called = include_name(config, name, buffer, sizeof(buffer));
	struct ast_category *section = config->current;
	enum parsed parsed = host_parse_file(config, name, called);

	config->current = section;
	if (parsed == PARSED_NOTHING && !optional) {
		COMPLAIN(config, "The file '%s' was listed as a #include but it does not exist", name);
		return -1;
	}
	return 0;
}

static int parse_directive(struct ast_config *config, char *line)
{
	char *name = strpbrk(line, " \t");
	size_t length;

	if (strncasecmp(line, "#include", 8) && strncasecmp(line, "#tryinclude", 11)) {
		COMPLAIN(config, "Unknown directive '%s'", line);
		return 0;
	}
	if (!name || !*(name = ast_strip(name))) {
		COMPLAIN(config, "Directive needs an argument");
		return 0;
	}
	length = strlen(name);
	if ((name[0] == '"' && name[length - 1] == '"')
		|| (name[0] == '<' && name[length - 1] == '>')) {
		name[length - 1] = '\0';
		name++;
	}
	return parse_include(config, name, tolower((unsigned char) line[1]) == 't');
}

/*! `key += more`: the last value of the key so far, with this behind it */
static int append_value(struct ast_category *category, const char *name, const char *more)
{
	struct ast_variable **place;
	struct ast_variable **last = NULL;
	struct ast_variable *longer;
	char value[LINE_SIZE];

	for (place = &category->first; *place; place = &(*place)->next) {
		if (!strcmp((*place)->name, name)) {
			last = place;
		}
	}
	if (!last) {
		return -1;
	}
	snprintf(value, sizeof(value), "%s%s", (*last)->value, more);
	longer = variable_make(name, value, (*last)->file, (*last)->lineno);
	longer->next = (*last)->next;
	if (category->last == *last) {
		category->last = longer;
	}
	free(*last);
	*last = longer;
	return 0;
}

static int parse_setting(struct ast_config *config, const char *file, char *line)
{
	char *equals;
	char *name;

	if (!config->current) {
		COMPLAIN(config, "parse error: No category context");
		return -1;
	}
	if (*line == '\\' && !*++line) {
		COMPLAIN(config, "Invalid escape");
		return -1;
	}
	equals = strchr(line, '=');
	if (!equals) {
		COMPLAIN(config, "No '=' (equal sign)");
		return 0;
	}
	*equals++ = '\0';
	if (equals > line + 1 && equals[-2] == '+') {
		equals[-2] = '\0';
		if (!append_value(config->current, ast_strip(line), equals)) {
			return 0;
		}
	} else {
		equals += *equals == '>';
	}
	name = ast_strip(line);
	if (!*name) {
		COMPLAIN(config, "No variable name");
		return 0;
	}
	category_add(config->current,
		variable_make(name, ast_strip(equals), file, config->number));
	return 0;
}

int host_parse_line(struct ast_config *config, const char *file, char *line)
{
	if (!*line) {
		return 0;
	}
	if (*line == '[') {
		return parse_section(config, line);
	}
	if (*line == '#') {
		return parse_directive(config, line);
	}
	return parse_setting(config, file, line);
}

void host_uncomment(char *line, int *depth)
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
		} else if (!strncmp(from, "--;", 3)) {
			/* An end without a begin: all that comes behind is a comment to Asterisk. */
			*depth = -1;
			while (*from) {
				*to++ = *from++;
			}
		} else if (*from == ';') {
			break;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
}
