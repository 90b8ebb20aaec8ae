/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Lines of elevenlabs.conf that each agent may have any number of: dynamic variables
 * and overrides
 *
 * Only the service knows which variables there are. The overrides are those of
 * pyconvai/service/settings.py, and a test compares the two lists: a reload says at once what
 * would otherwise end each call.
 */

#include "asterisk.h"

#include <math.h>	/* isfinite(3), fabs(3) */

#include "asterisk/config.h"	/* struct ast_variable */
#include "asterisk/json.h"	/* Asterisk's parser of JSON */
#include "asterisk/strings.h"	/* ast_true, ast_str */
#include "asterisk/utf8.h"	/* ast_utf8_is_valid */
#include "asterisk/utils.h"	/* ast_strdup */

#include "config/lines.h"
#include "config/pairs.h"
#include "config/report.h"

/*! Enough for the names of all overrides; it grows */
#define NAMES_SIZE 512
/*! Largest whole number; WHOLE_MAX in pyconvai/limits.py is the same */
#define WHOLE_MAX 9007199254740991.0

static const struct {
	const char *prefix;
	enum convai_pair_kind kind;
} prefixes[] = {
	{ "var_", CONVAI_PAIR_VARIABLE },
	{ "json_", CONVAI_PAIR_JSON },
	{ "override_", CONVAI_PAIR_OVERRIDE },
};

enum value_type {
	TYPE_TEXT,
	TYPE_NUMBER,
	TYPE_WHOLE,
	TYPE_FLAG,
	TYPE_LIST,
	TYPE_OBJECT,
	TYPE_JSON,	/*!< anything but an object, which no dynamic variable can be */
};

static const char * const allowed[] = {
	[TYPE_TEXT] = "text in UTF-8",
	[TYPE_NUMBER] = "a number",
	[TYPE_WHOLE] = "a whole number",
	[TYPE_FLAG] = "yes or no",
	[TYPE_LIST] = "a JSON list",
	[TYPE_OBJECT] = "a JSON object",
	[TYPE_JSON] = "JSON: a text in quotes, a number, true, false, null, or a list of these",
};

static const struct {
	const char *name;
	enum value_type type;
} overrides[] = {
	{ "branch_id", TYPE_TEXT },
	{ "client_events", TYPE_LIST },
	{ "clone_strength", TYPE_NUMBER },
	{ "custom_llm_extra_body", TYPE_OBJECT },
	{ "environment", TYPE_TEXT },
	{ "first_message", TYPE_TEXT },
	{ "keywords", TYPE_LIST },
	{ "knowledge_base", TYPE_LIST },
	{ "language", TYPE_TEXT },
	{ "llm", TYPE_TEXT },
	{ "max_conversation_duration_message", TYPE_TEXT },
	{ "max_duration_seconds", TYPE_WHOLE },
	{ "model_id", TYPE_TEXT },
	{ "native_mcp_server_ids", TYPE_LIST },
	{ "noisy_environment_message", TYPE_TEXT },
	{ "procedure_ids", TYPE_LIST },
	{ "prompt", TYPE_TEXT },
	{ "pronunciation_dictionary_locators", TYPE_LIST },
	{ "reasoning_effort", TYPE_TEXT },
	{ "similarity_boost", TYPE_NUMBER },
	{ "soft_timeout_config", TYPE_OBJECT },
	{ "speed", TYPE_NUMBER },
	{ "stability", TYPE_NUMBER },
	{ "start_procedure_ids", TYPE_LIST },
	{ "starting_workflow_node_id", TYPE_TEXT },
	{ "supported_voices", TYPE_LIST },
	{ "text_only", TYPE_FLAG },
	{ "tool_ids", TYPE_LIST },
	{ "tool_ids_strict", TYPE_FLAG },
	{ "tool_mock_config", TYPE_OBJECT },
	{ "user_id", TYPE_TEXT },
	{ "voice_id", TYPE_TEXT },
};

/* ---- Values ---- */

/*! \brief Whether it is a decimal number; a whole one such that every reader of JSON keeps it exact */
static int is_number(const char *value, enum value_type type)
{
	char *end;
	double number = strtod(value, &end);

	if (end == value || *end || !isfinite(number)) {
		return 0;
	}
	if (type == TYPE_NUMBER) {
		return !value[strspn(value, "+-.0123456789eE")];
	}
	return !value[strspn(value, "+-0123456789")] && fabs(number) <= WHOLE_MAX;
}

static int is_json_type(enum ast_json_type found, enum value_type wanted)
{
	switch (wanted) {
	case TYPE_LIST:
		return found == AST_JSON_ARRAY;
	case TYPE_OBJECT:
		return found == AST_JSON_OBJECT;
	default:
		return found != AST_JSON_OBJECT;
	}
}

/*! \brief Whether it is JSON of this type. Asterisk's parser takes no bare value, so it gets a list of one. */
static int is_json(const char *value, enum value_type type)
{
	size_t size = strlen(value) + sizeof("[]");
	char *text = ast_calloc(1, size);
	struct ast_json *list = NULL;
	int is = 0;

	if (text) {
		snprintf(text, size, "[%s]", value);
		list = ast_json_load_string(text, NULL);
		ast_free(text);
	}
	if (list && ast_json_array_size(list) == 1) {
		is = is_json_type(ast_json_typeof(ast_json_array_get(list, 0)), type);
	}
	ast_json_unref(list);
	return is;
}

static int is_of_type(const char *value, enum value_type type)
{
	switch (type) {
	case TYPE_TEXT:
		return ast_utf8_is_valid(value);
	case TYPE_NUMBER:
	case TYPE_WHOLE:
		return is_number(value, type);
	case TYPE_FLAG:
		return ast_true(value) || ast_false(value);
	default:
		return is_json(value, type);
	}
}

/*! \brief The value as the engine takes it: it knows fewer words for yes and no than Asterisk */
static const char *canonical(const char *value, enum value_type type)
{
	return type != TYPE_FLAG ? value : ast_true(value) ? "yes" : "no";
}

/* ---- Lines ---- */

static void no_such_override(struct config_report *report, const char *section,
	const struct ast_variable *line, const char *name)
{
	struct ast_str *names = ast_str_create(NAMES_SIZE);
	size_t i;

	for (i = 0; names && i < ARRAY_LEN(overrides); i++) {
		ast_str_append(&names, 0, "%s%s", i ? ", " : "", overrides[i].name);
	}
	config_fault(report, section, line, "there is no override %s; there are: %s", config_shown(name),
		names ? ast_str_buffer(names) : "...");
	ast_free(names);
}

/*! \return the type of a pair's value, or -1 if it is an override that does not exist */
static int find_type(uint32_t kind, const char *name)
{
	size_t i;

	if (kind != CONVAI_PAIR_OVERRIDE) {
		return kind == CONVAI_PAIR_JSON ? TYPE_JSON : TYPE_TEXT;
	}
	for (i = 0; i < ARRAY_LEN(overrides); i++) {
		if (!strcmp(name, overrides[i].name)) {
			return overrides[i].type;
		}
	}
	return -1;
}

int config_override_exists(const char *name)
{
	return find_type(CONVAI_PAIR_OVERRIDE, name) >= 0;
}

static enum config_line_kind line_kind(int type)
{
	switch (type) {
	case TYPE_TEXT:
		return CONFIG_LINE_TEXT;
	case TYPE_LIST:
	case TYPE_OBJECT:
	case TYPE_JSON:
		return CONFIG_LINE_JSON;
	default:
		return CONFIG_LINE_WORD;
	}
}

static int is_variable(uint32_t kind)
{
	return kind == CONVAI_PAIR_VARIABLE || kind == CONVAI_PAIR_JSON;
}

/*!
 * \brief Where a pair of this kind and name is, or the end
 *
 * Text and JSON of one name are one variable to the agent.
 */
static size_t find(const struct config_pairs *pairs, uint32_t kind, const char *name)
{
	size_t i;

	for (i = 0; i < AST_VECTOR_SIZE(pairs); i++) {
		const struct convai_pair *pair = AST_VECTOR_GET_ADDR(pairs, i);

		if ((pair->kind == kind || (is_variable(pair->kind) && is_variable(kind)))
			&& !strcmp(pair->name, name)) {
			break;
		}
	}
	return i;
}

/*! \brief Free a value, which may be a secret; NULL is none */
static void value_free(const char *value)
{
	config_erase((char *) value);
	ast_free((char *) value);
}

static void pair_free(struct convai_pair pair)
{
	ast_free((char *) pair.name);
	value_free(pair.value);
}

static int append(struct config_pairs *pairs, uint32_t kind, const char *name,
	const char *value)
{
	struct convai_pair pair = {
		.kind = kind, .name = ast_strdup(name), .value = ast_strdup(value),
	};

	if (!pair.name || !pair.value || AST_VECTOR_APPEND(pairs, pair)) {
		pair_free(pair);
		return -1;
	}
	return 0;
}

/*! \brief Add a pair, or replace the one of its name: as everywhere in the file, the later line counts */
static int set(struct config_pairs *pairs, uint32_t kind, const char *name,
	const char *value)
{
	size_t place = find(pairs, kind, name);
	struct convai_pair *pair;
	const char *copy;

	if (place == AST_VECTOR_SIZE(pairs)) {
		return append(pairs, kind, name, value);
	}
	pair = AST_VECTOR_GET_ADDR(pairs, place);
	copy = ast_strdup(value);
	if (copy) {
		value_free(pair->value);
		pair->value = copy;
		pair->kind = kind;
	}
	return copy ? 0 : -1;
}

/*! \brief Warn of a list of events that lacks what a call needs: such an agent is silent, or deaf to the caller */
static void warn_of_events(struct config_report *report, const char *section,
	const struct ast_variable *line)
{
	static const struct {
		const char *event;	/*!< as JSON */
		const char *without;
	} needed[] = {
		{ "\"audio\"", "callers will hear nothing of the agent" },
		{ "\"interruption\"", "callers cannot interrupt the agent" },
		{ "\"conversation_initiation_metadata\"", "calls will not begin" },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(needed); i++) {
		if (!strstr(line->value, needed[i].event)) {
			config_warning(report, section, line, "%s without %s: %s; add it to the list",
				line->name, needed[i].event, needed[i].without);
		}
	}
}

static void take(struct config_pairs *pairs, struct config_report *report,
	const char *section, const struct ast_variable *line, uint32_t kind, const char *name)
{
	int type = find_type(kind, name);

	config_check_line(report, section, line, line_kind(type));
	if (type < 0) {
		no_such_override(report, section, line, name);
	} else if (!*name || !ast_utf8_is_valid(name)) {
		config_fault(report, section, line, "%s needs a name in UTF-8 behind it", line->name);
	} else if (kind == CONVAI_PAIR_OVERRIDE && !*line->value) {
		/* Takes back one of [general]: the engine leaves an empty override out. */
		if (set(pairs, kind, name, "")) {
			config_fault(report, section, line, "out of memory");
		}
	} else if (!is_of_type(line->value, type)) {
		/* Any of them may hold a secret: a header of the agent's language model, a token. */
		config_fault(report, section, line, "%s = (not shown): allowed is %s", line->name,
			allowed[type]);
	} else if (set(pairs, kind, name, canonical(line->value, type))) {
		config_fault(report, section, line, "out of memory");
	} else if (kind == CONVAI_PAIR_OVERRIDE && !strcmp(name, "client_events")) {
		warn_of_events(report, section, line);
	}
}

int config_pairs_read_line(struct config_pairs *pairs, struct config_report *report,
	const char *section, const struct ast_variable *line)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(prefixes); i++) {
		size_t length = strlen(prefixes[i].prefix);

		if (!strncasecmp(line->name, prefixes[i].prefix, length)) {
			take(pairs, report, section, line, prefixes[i].kind, line->name + length);
			return 1;
		}
	}
	return 0;
}

int config_pairs_inherit(struct config_pairs *pairs, const struct config_pairs *more)
{
	size_t i;

	for (i = 0; i < AST_VECTOR_SIZE(more); i++) {
		const struct convai_pair *pair = AST_VECTOR_GET_ADDR(more, i);

		if (find(pairs, pair->kind, pair->name) == AST_VECTOR_SIZE(pairs)
			&& append(pairs, pair->kind, pair->name, pair->value)) {
			return -1;
		}
	}
	return 0;
}

const char *config_pairs_value(const struct config_pairs *pairs, uint32_t kind,
	const char *name)
{
	size_t place = find(pairs, kind, name);
	const struct convai_pair *pair;

	if (place == AST_VECTOR_SIZE(pairs)) {
		return NULL;
	}
	pair = AST_VECTOR_GET_ADDR(pairs, place);
	return pair->kind == kind ? pair->value : NULL;
}

const char *config_pairs_prefix(uint32_t kind)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(prefixes); i++) {
		if (prefixes[i].kind == kind) {
			return prefixes[i].prefix;
		}
	}
	return "";
}

void config_pairs_free(struct config_pairs *pairs)
{
	AST_VECTOR_CALLBACK_VOID(pairs, pair_free);
	AST_VECTOR_FREE(pairs);
}
