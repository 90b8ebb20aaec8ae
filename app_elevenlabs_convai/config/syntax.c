/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What a line of elevenlabs.conf may be, by the rules of Asterisk's parser
 */

#include "asterisk.h"

#include "asterisk/config.h"	/* struct ast_variable */
#include "asterisk/options.h"	/* ast_opt_exec_includes */
#include "asterisk/strings.h"	/* ast_strip */
#include "asterisk/utils.h"	/* ast_calloc */

#include "config/syntax.h"

/* ---- Comments ---- */

/*!
 * \brief Take the comments out of the line, in place
 *
 * `;` begins one that ends with the line, `;--` one that ends with `--;` and may hold
 * others and go on for many lines; `\;` is a semicolon.
 */
static void strip_comments(struct reader *reader, char *line)
{
	const char *from;
	const char *scanned = line;	/* Two hyphens count only when both are behind this. */
	char *to = line;

	for (from = line; *from; from++) {
		if (*from != ';') {
			if (!reader->comments) {
				*to++ = *from;
			}
			continue;
		}
		if (from > scanned && from[-1] == '\\') {
			if (!reader->comments) {
				to[-1] = ';';
			}
		} else if (from[1] == '-' && from[2] == '-' && from[3] != '-') {
			if (!reader->comments++) {
				reader->comment_number = reader->number;
			}
			from += 2;
		} else if (from >= scanned + 2 && from[-1] == '-' && from[-2] == '-') {
			if (!reader->comments) {
				stop(reader,
					"--; ends a comment that no ;-- has begun, and Asterisk "
					"does not read on");
				to -= 2;
				break;
			}
			reader->comments--;
		} else if (!reader->comments) {
			break;
		}
		scanned = from + 1;
	}
	*to = '\0';
}

/* ---- Sections ---- */

static void add_section(struct reader *reader, int is_template)
{
	struct config_section *section;

	section = ast_calloc(1, sizeof(*section) + SECTION_SIZE);
	if (!section || AST_VECTOR_APPEND(&reader->walk->lines->sections, section)) {
		ast_free(section);
		config_out_of_memory(reader->walk);
		return;
	}
	section->file = reader->file;
	section->line = reader->number;
	section->is_template = is_template;
	ast_copy_string(section->name, reader->section, SECTION_SIZE);
}

/*!
 * \brief Check the words between the parentheses
 * \param[out] is_template whether there is a `!` among them
 * \param[out] adds whether there is a `+`
 */
static void check_bases(struct reader *reader, char *bases, int *is_template, int *adds)
{
	const struct config_lines *lines = reader->walk->lines;
	const char *word;

	while ((word = strsep(&bases, ","))) {
		if (!strcmp(word, "!")) {
			*is_template = 1;
		} else if (*word == '+') {
			*adds = 1;
			/* More behind it chooses among several by what they hold. */
			if (!word[1] && !lines->partial
				&& !config_find_section(lines, reader->section, 0)) {
				stop(reader, "there is no section [%s] above to add to", reader->section);
			}
		} else if (!*word) {
			fault(reader, "a name is missing between the parentheses");
		} else if (!lines->partial && !config_find_section(lines, word, 1)) {
			stop(reader, "there is no template [%s] above", word);
		}
	}
}

static void check_name(struct reader *reader, const char *name, int adds)
{
	size_t length = strlen(name);

	if (!length || ast_skip_blanks(name) != name || name[length - 1] <= ' ') {
		fault(reader, "a section's name is not empty, and has no blanks around it");
	} else if (length >= SECTION_SIZE) {
		fault(reader, "a section's name has at most %d characters", SECTION_SIZE - 1);
	} else if (!adds && config_find_section(reader->walk->lines, name, 0)) {
		say(reader, __LOG_ERROR, name,
			"this section is there twice; use [%s](+) to add to it", name);
	}
}

/*! \brief A line that begins with a bracket: `[name]`, `[name](!,base)` or `[name](+)` */
static void check_head(struct reader *reader, char *line)
{
	char *end = strchr(line, ']');
	char *bases;
	int is_template = 0;
	int adds = 0;

	if (!end) {
		stop(reader, "the ] behind the section's name is missing");
		return;
	}
	*end++ = '\0';
	ast_copy_string(reader->section, line + 1, sizeof(reader->section));
	reader->in_section = 1;
	memset(reader->key_numbers, 0, sizeof(reader->key_numbers));
	if (*end == '(') {
		bases = end + 1;
		end = strchr(bases, ')');
		if (!end) {
			stop(reader, "the ) behind the section's templates is missing");
			return;
		}
		*end++ = '\0';
		check_bases(reader, bases, &is_template, &adds);
	}
	if (*end) {
		fault(reader,
			"\"%s\" has no effect here; a section's head is [name] or "
			"[name](template), without blanks", end);
	}
	check_name(reader, line + 1, adds || is_template);
	if (!adds) {
		add_section(reader, is_template);
	}
}

/* ---- Keys ---- */

static void check_twice(struct reader *reader, const char *name)
{
	const struct config_key *key = config_key_find(name);
	int *number = key ? &reader->key_numbers[key - config_keys] : NULL;

	if (!number) {
		return;
	}
	if (*number) {
		say(reader, __LOG_WARNING, reader->section,
			"%s has been set in line %d already; "
			"this line counts", key->name, *number);
	}
	*number = reader->number;
}

static void take_setting(struct reader *reader, char *name, char *value)
{
	struct ast_variable line = {
		.file = reader->file->shown,
		.lineno = reader->number,
	};
	size_t length = strlen(name);

	if (length && name[length - 1] == '+') {
		/* It adds to a value, of which this is no more than a part. */
		return;
	}
	line.name = ast_strip(name);
	line.value = ast_strip(value + (*value == '>'));
	if (!*line.name) {
		fault(reader, "there is no key in front of the equal sign");
		return;
	}
	check_twice(reader, line.name);
	if (reader->walk->each) {
		reader->walk->each(reader->walk->data, reader->section, &line);
	}
}

static void check_setting(struct reader *reader, char *line)
{
	char *equals;

	if (!reader->in_section) {
		stop(reader, "there is no [section] above this line");
		return;
	}
	if (*line == '\\') {
		/* So that a key may begin with a bracket; no key of ours does. */
		line++;
		if (*line <= ' ') {
			stop(reader, "there is nothing behind the backslash");
			return;
		}
	}
	equals = strchr(line, '=');
	if (!equals) {
		fault(reader, "a line is [section], key = value, or a comment, which begins with ;");
		return;
	}
	*equals = '\0';
	take_setting(reader, line, equals + 1);
}

/* ---- Directives ---- */

/*! \brief Cut off what may be around a file's name */
static char *unquote(char *name)
{
	size_t length = strlen(name);
	char end = name[0] == '<' ? '>' : name[0];

	if ((end == '"' || end == '>') && name[length - 1] == end) {
		name[length - 1] = '\0';
		name++;
	}
	return name;
}

static void check_directive(struct reader *reader, char *directive)
{
	static const char * const known[] = { "#include", "#tryinclude", "#exec" };
	char *name = directive + strcspn(directive, " \t");
	size_t i;

	if (*name) {
		*name++ = '\0';
		name = ast_skip_blanks(name);
	}
	for (i = 0; i < ARRAY_LEN(known); i++) {
		if (!strcasecmp(directive, known[i])) {
			break;
		}
	}
	if (i == ARRAY_LEN(known)) {
		/* Not what is behind an equal sign: a key may have been commented out this way. */
		fault(reader, "there is no directive %.*s; comments begin with a semicolon",
			(int) strcspn(directive, "="), directive);
	} else if (!*name) {
		fault(reader, "%s needs a file", directive);
	} else if (strcmp(known[i], "#exec")) {
		config_include(reader, unquote(name), i);
	} else if (ast_opt_exec_includes) {
		reader->walk->lines->partial = 1;
	} else {
		fault(reader, "#exec needs execincludes = yes in asterisk.conf");
	}
}

/* ---- Lines ---- */

void config_check_line(struct reader *reader, char *line)
{
	if (reader->number == 1 && !strncmp(line, "\xef\xbb\xbf", 3)) {
		line += 3;
	}
	strip_comments(reader, line);
	line = ast_strip(line);
	if (*line == '[') {
		check_head(reader, line);
	} else if (*line == '#') {
		check_directive(reader, line);
	} else if (*line) {
		check_setting(reader, line);
	}
}
