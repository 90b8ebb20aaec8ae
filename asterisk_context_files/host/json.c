/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief JSON, as far as the module looks into it: whether a text is JSON, and of which types
 * the elements of a list are; and objects of strings, as events are made of
 */

#include "host_internal.h"

#include "asterisk/json.h"
#include "asterisk/utf8.h"

#define MAX_ELEMENTS 16

struct ast_json {
	enum ast_json_type type;
	size_t count;
	struct ast_json *elements[MAX_ELEMENTS];
	unsigned int more;	/*!< references beside the first */
	char *text;	/*!< of what was made here: the string, or the lines of an object */
};

static const char *value(const char *s, struct ast_json *json);

static const char *blanks(const char *s)
{
	return s + strspn(s, " \t\r\n");
}

static const char *word(const char *s, const char *text, struct ast_json *json,
	enum ast_json_type type)
{
	json->type = type;
	return strncmp(s, text, strlen(text)) ? NULL : s + strlen(text);
}

static const char *string(const char *s, struct ast_json *json)
{
	json->type = AST_JSON_STRING;
	if (*s != '"') {
		return NULL;
	}
	for (s++; *s && *s != '"'; s++) {
		if (*s == '\\' && s[1]) {
			s++;
		}
	}
	return *s ? s + 1 : NULL;
}

static const char *number(const char *s, struct ast_json *json)
{
	size_t length = strspn(s, "-0123456789.eE+");

	json->type = strcspn(s, ".eE") < length ? AST_JSON_REAL : AST_JSON_INTEGER;
	return length ? s + length : NULL;
}

static const char *element(const char *s, struct ast_json *json)
{
	struct ast_json *one = calloc(1, sizeof(*one));

	if (json->count == MAX_ELEMENTS) {
		FAIL("the host knows no JSON of more than %d elements", MAX_ELEMENTS);
	}
	json->elements[json->count++] = one;
	return value(s, one);
}

static const char *member(const char *s, struct ast_json *json)
{
	struct ast_json name;

	s = string(blanks(s), &name);
	s = s ? blanks(s) : NULL;
	return s && *s == ':' ? element(s + 1, json) : NULL;
}

static const char *members(const char *s, struct ast_json *json, char end,
	const char *(*one)(const char *s, struct ast_json *json))
{
	s = blanks(s);
	if (*s == end) {
		return s + 1;
	}
	while ((s = one(s, json))) {
		s = blanks(s);
		if (*s != ',') {
			return *s == end ? s + 1 : NULL;
		}
		s++;
	}
	return NULL;
}

/*! \return what follows, or NULL if this is no value */
static const char *value(const char *s, struct ast_json *json)
{
	s = blanks(s);
	switch (*s) {
	case '[':
		json->type = AST_JSON_ARRAY;
		return members(s + 1, json, ']', element);
	case '{':
		json->type = AST_JSON_OBJECT;
		return members(s + 1, json, '}', member);
	case '"':
		return string(s, json);
	case 't':
		return word(s, "true", json, AST_JSON_TRUE);
	case 'f':
		return word(s, "false", json, AST_JSON_FALSE);
	case 'n':
		return word(s, "null", json, AST_JSON_NULL);
	default:
		return number(s, json);
	}
}

struct ast_json *ast_json_load_string(const char *input, struct ast_json_error *error)
{
	struct ast_json *json;
	const char *rest;

	if (host_allocation_fails()) {
		return NULL;
	}
	json = calloc(1, sizeof(*json));
	rest = value(input, json);
	if (!rest || *blanks(rest)
		|| (json->type != AST_JSON_ARRAY && json->type != AST_JSON_OBJECT)) {
		ast_json_unref(json);
		return NULL;
	}
	return json;
}

struct ast_json *ast_json_ref(struct ast_json *json)
{
	json->more++;
	return json;
}

void ast_json_unref(struct ast_json *json)
{
	size_t i;

	if (json && json->more) {
		json->more--;
		return;
	}
	for (i = 0; json && i < json->count; i++) {
		ast_json_unref(json->elements[i]);
	}
	if (json) {
		free(json->text);
	}
	free(json);
}

enum ast_json_type ast_json_typeof(const struct ast_json *json)
{
	return json->type;
}

size_t ast_json_array_size(const struct ast_json *array)
{
	return array->type == AST_JSON_ARRAY ? array->count : 0;
}

struct ast_json *ast_json_array_get(const struct ast_json *array, size_t i)
{
	return i < ast_json_array_size(array) ? array->elements[i] : NULL;
}

/* ---- Objects of strings ---- */

int ast_json_utf8_check(const char *str)
{
	return ast_utf8_is_valid(str);
}

static struct ast_json *make(enum ast_json_type type, const char *text)
{
	struct ast_json *json;

	if (host_allocation_fails()) {
		return NULL;
	}
	json = host_alloc(sizeof(*json));
	json->type = type;
	json->text = strdup(text);
	return json;
}

struct ast_json *ast_json_object_create(void)
{
	return make(AST_JSON_OBJECT, "");
}

struct ast_json *ast_json_string_create(const char *text)
{
	if (!ast_utf8_is_valid(text)) {
		FAIL("a string of JSON must be UTF-8");
	}
	return make(AST_JSON_STRING, text);
}

struct ast_json *ast_json_integer_create(intmax_t number_value)
{
	char text[24];

	snprintf(text, sizeof(text), "%jd", number_value);
	return make(AST_JSON_INTEGER, text);
}

/*! \brief Where a member's line begins, or NULL */
static char *line_of(const struct ast_json *object, const char *key)
{
	char start[128];
	char *at;

	snprintf(start, sizeof(start), "\n%s: ", key);
	if (!strncmp(object->text, start + 1, strlen(start + 1))) {
		return object->text;
	}
	at = strstr(object->text, start);
	return at ? at + 1 : NULL;
}

int ast_json_object_set(struct ast_json *object, const char *key, struct ast_json *member_value)
{
	char *text;

	/* Of two members of one name the parser of JSON keeps the last. */
	if (line_of(object, key)) {
		FAIL("a member that is set twice is lost");
	}
	if (!member_value || asprintf(&text, "%s%s: %s\n", object->text, key, member_value->text) < 0) {
		return -1;
	}
	free(object->text);
	object->text = text;
	ast_json_unref(member_value);
	return 0;
}

int ast_json_object_del(struct ast_json *object, const char *key)
{
	char *line = line_of(object, key);
	char *next = line ? line + strcspn(line, "\n") + 1 : NULL;

	if (!line) {
		return -1;
	}
	memmove(line, next, strlen(next) + 1);
	return 0;
}

struct ast_json *ast_json_object_get(struct ast_json *object, const char *key)
{
	const char *at = line_of(object, key);
	struct ast_json *found;

	if (!at || object->count == MAX_ELEMENTS) {
		return NULL;
	}
	found = calloc(1, sizeof(*found));
	at += strlen(key) + strlen(": ");
	found->type = AST_JSON_STRING;
	found->text = strndup(at, strcspn(at, "\n"));
	object->elements[object->count++] = found;
	return found;
}

const char *ast_json_string_get(const struct ast_json *json)
{
	return json ? json->text : NULL;
}

int ast_json_object_update(struct ast_json *object, struct ast_json *other)
{
	char *text;

	if (asprintf(&text, "%s%s", object->text, other->text) < 0) {
		return -1;
	}
	free(object->text);
	object->text = text;
	return 0;
}

/*! As lines: what matters to the module is that it is a text to be freed */
char *ast_json_dump_string_format(struct ast_json *root, enum ast_json_encoding_format format)
{
	return host_allocation_fails() ? NULL : strdup(root->text);
}

void ast_json_free(void *p)
{
	free(p);
}

const char *host_json_lines(const struct ast_json *object)
{
	return object->text;
}
