/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What a channel tells the agent, and what a call tells the dialplan
 */

#include "asterisk.h"

#include <ctype.h>	/* isascii(3) */

#include "asterisk/channel.h"	/* channel variables */
#include "asterisk/chanvars.h"	/* struct ast_var_t */
#include "asterisk/strings.h"	/* ast_begins_with */
#include "asterisk/utf8.h"	/* ast_utf8_is_valid */
#include "asterisk/utils.h"	/* ast_strdup */

#include "call/ending.h"
#include "call/parties.h"
#include "call/variables.h"
#include "config/config.h"
#include "config/report.h"
#include "door.h"

/*! Room for this many pairs is added at a time; most calls need no second helping */
#define PAIRS_STEP 32

/*!
 * Bytes at which Asterisk cuts, without a word, what a function gives within an application's
 * arguments (VAR_BUF_SIZE in its pbx_private.h, less the terminator)
 */
#define FUNCTION_CUT 4095

/*!
 * ... and all the arguments of an application, such as NAME=value of Set() (EXT_DATA_SIZE in its
 * pbx.c, less the terminator)
 */
#define ARGUMENTS_CUT 8191

/*! Channel variables with these prefixes are for the agent */
static const struct {
	const char *prefix;
	enum convai_pair_kind kind;
} prefixes[] = {
	{ "ELEVENLABS_VAR_", CONVAI_PAIR_VARIABLE },
	{ "ELEVENLABS_JSON_", CONVAI_PAIR_JSON },
	{ "ELEVENLABS_OVERRIDE_", CONVAI_PAIR_OVERRIDE },
};

static int is_dynamic(uint32_t kind)
{
	return kind == CONVAI_PAIR_VARIABLE || kind == CONVAI_PAIR_JSON;
}

/*!
 * \brief Whether there is one of this name already; it shadows the one that comes later
 */
static int is_taken(const struct pair_list *list, uint32_t kind, const char *name)
{
	size_t i;

	for (i = list->borrowed; i < list->count; i++) {
		const struct convai_pair *pair = &list->pairs[i];

		if ((pair->kind == kind || (is_dynamic(pair->kind) && is_dynamic(kind)))
			&& !strcmp(pair->name, name)) {
			return 1;
		}
	}
	return 0;
}

static int reserve(struct pair_list *list, size_t more)
{
	struct convai_pair *grown;

	if (list->count + more <= list->capacity) {
		return 0;
	}
	grown = ast_realloc(list->pairs, (list->capacity + more) * sizeof(*grown));
	if (!grown) {
		return -1;
	}
	list->pairs = grown;
	list->capacity += more;
	return 0;
}

/*! \brief A copy that is UTF-8 in any case: what is not becomes question marks */
static char *copy_utf8(const char *text, const char *channel, const char *name)
{
	char *copy = ast_strdup(text);
	char *c;

	if (!copy || ast_utf8_is_valid(copy)) {
		return copy;
	}
	door_log(LOG_WARNING, "%s: %s is not UTF-8; the agent gets question marks\n", channel,
		name);
	for (c = copy; *c; c++) {
		if (!isascii(*c)) {
			*c = '?';
		}
	}
	return copy;
}

static int append(struct pair_list *list, const char *channel, enum convai_pair_kind kind,
	const char *name, const char *value)
{
	struct convai_pair *pair;
	char *name_copy;
	char *value_copy;

	if (kind != CONVAI_PAIR_ARGUMENT && is_taken(list, kind, name)) {
		return 0;
	}
	name_copy = copy_utf8(name, channel, "the name of a variable");
	value_copy = copy_utf8(value, channel, name);
	if (!name_copy || !value_copy
		|| (list->count == list->capacity && reserve(list, PAIRS_STEP))) {
		ast_free(name_copy);
		ast_free(value_copy);
		return -1;
	}
	pair = &list->pairs[list->count++];
	pair->kind = kind;
	pair->name = name_copy;
	pair->value = value_copy;
	return 0;
}

static int append_settings(struct pair_list *list, const struct config_agent *agent)
{
	if (reserve(list, agent->setting_count + PAIRS_STEP)) {
		return -1;
	}
	memcpy(list->pairs, agent->settings, agent->setting_count * sizeof(*list->pairs));
	list->count = agent->setting_count;
	list->borrowed = agent->setting_count;
	return 0;
}

/*! \brief Warn about a value that is just as long as what Asterisk cuts. \return whether it is */
static int warn_if_cut(const char *channel, const char *name, const char *value)
{
	size_t length = strlen(value);

	if (length != FUNCTION_CUT && strlen(name) + strlen("=") + length != ARGUMENTS_CUT) {
		return 0;
	}
	door_log(LOG_WARNING,
		"%s: %s has %zu bytes, which is where Asterisk cuts what it puts into "
		"an application's arguments, such as ${FILE(x)}: its end may be missing. Put a long text "
		"together of pieces, ${FILE(x,0,4000)}${FILE(x,4000,4000)}, or into elevenlabs.conf\n",
		channel, name, length);
	return 1;
}

/*! \brief Where the last character of a text begins */
static size_t last_character(const char *text)
{
	size_t place = strlen(text);

	while (place && (text[place - 1] & 0xc0) == 0x80) {
		place--;
	}
	return place ? place - 1 : 0;
}

/*! \brief Give the agent a variable that the dialplan has set for it */
static int append_variable(struct pair_list *list, const char *channel,
	size_t prefix, const char *name, const char *value)
{
	enum convai_pair_kind kind = prefixes[prefix].kind;
	const char *own_name = name + strlen(prefixes[prefix].prefix);
	char *copy;
	int res;

	if (!warn_if_cut(channel, name, value) || ast_utf8_is_valid(value)) {
		return append(list, channel, kind, own_name, value);
	}
	/* Cut within a character: what is left of that goes. */
	copy = ast_strdup(value);
	if (!copy) {
		return -1;
	}
	copy[last_character(copy)] = '\0';
	res = append(list, channel, kind, own_name, copy);
	ast_free(copy);
	return res;
}

/*! \brief Say which override is not used, and how many more */
static void warn_of_refused(const char *channel, const struct config_agent *agent,
	const char *name, unsigned int count)
{
	if (count) {
		door_log(LOG_WARNING,
			"%s: the channel variable %s%s%s not used: the key overrides of [%s] in "
			"elevenlabs.conf does not allow it\n", channel, name,
			count > 1 ? " and others like it" : "", count > 1 ? " are" : " is", agent->name);
	}
}

/*!
 * \brief The variables that the dialplan has set for the agent. The channel is locked.
 *
 * An override may have been inherited from whoever has dialled this channel, so one that the
 * operator does not allow is left out: to refuse the call would let others end it.
 */
static int append_variables(struct pair_list *list, struct ast_channel *channel,
	const struct config_agent *agent)
{
	const struct ast_var_t *variable;
	const char *refused = "";
	unsigned int count = 0;
	int res = 0;

	AST_LIST_TRAVERSE(ast_channel_varshead(channel), variable, entries) {
		const char *name = ast_var_name(variable);
		size_t i;

		for (i = 0; i < ARRAY_LEN(prefixes); i++) {
			size_t length = strlen(prefixes[i].prefix);

			if (strncmp(name, prefixes[i].prefix, length) || !name[length]) {
				continue;
			}
			if (prefixes[i].kind == CONVAI_PAIR_OVERRIDE
				&& !config_agent_allows(agent, name + length)) {
				refused = count++ ? refused : name;
				continue;
			}
			res |= append_variable(list, ast_channel_name(channel), i, name,
				S_OR(ast_var_value(variable), ""));
		}
	}
	warn_of_refused(ast_channel_name(channel), agent, refused, count);
	return res;
}

/*! \brief What elevenlabs.conf says for every call */
static int append_pairs(struct pair_list *list, const char *channel,
	const struct config_agent *agent)
{
	int res = 0;
	size_t i;

	for (i = 0; i < AST_VECTOR_SIZE(&agent->pairs); i++) {
		const struct convai_pair *pair = AST_VECTOR_GET_ADDR(&agent->pairs, i);

		res |= append(list, channel, pair->kind, pair->name, pair->value);
	}
	return res;
}

/*!
 * \brief What every agent is told, unless the dialplan has said otherwise. The channel is
 * locked.
 */
static int append_defaults(struct pair_list *list, struct ast_channel *channel,
	const struct config_agent *agent, const struct parties *parties)
{
	const char *name = ast_channel_name(channel);
	int res = 0;

	if (agent->send_caller_number) {
		res |= append(list, name, CONVAI_PAIR_VARIABLE, "caller_number", parties->caller);
	}
	res |= append(list, name, CONVAI_PAIR_VARIABLE, "called_number",
			parties->outbound && !agent->send_caller_number ? "" : parties->called);
	res |= append(list, name, CONVAI_PAIR_VARIABLE, "call_direction",
			parties->outbound ? "outbound" : "inbound");
	res |= append(list, name, CONVAI_PAIR_VARIABLE, "channel", name);
	res |= append(list, name, CONVAI_PAIR_VARIABLE, "unique_id",
			ast_channel_uniqueid(channel));
	res |= append(list, name, CONVAI_PAIR_VARIABLE, "linked_id",
			ast_channel_linkedid(channel));
	return res;
}

int pair_list_fill_agent(struct pair_list *list, const struct config_agent *agent)
{
	memset(list, 0, sizeof(*list));
	return append_settings(list, agent) || append_pairs(list, "", agent) ? -1 : 0;
}

int pair_list_fill(struct pair_list *list, struct ast_channel *channel,
	const struct config_agent *agent)
{
	struct parties parties;
	int res;

	memset(list, 0, sizeof(*list));
	if (append_settings(list, agent)) {
		return -1;
	}
	parties_read(&parties, channel, 1);
	ast_channel_lock(channel);
	/* Of two of one name the first counts: the dialplan's. */
	res = append_variables(list, channel, agent);
	res |= append_pairs(list, ast_channel_name(channel), agent);
	res |= append_defaults(list, channel, agent, &parties);
	ast_channel_unlock(channel);
	return res ? -1 : 0;
}

int pair_list_add(struct pair_list *list, const char *name, const char *value)
{
	return append(list, "", CONVAI_PAIR_ARGUMENT, name, value);
}

int pair_list_add_defaults(struct pair_list *list, const struct config_agent *agent)
{
	static const char * const names[] = {
		"called_number", "call_direction", "channel", "unique_id", "linked_id",
	};
	size_t i;
	int res = 0;

	if (agent->send_caller_number) {
		res |= pair_list_add(list, "variable", "caller_number");
	}
	for (i = 0; i < ARRAY_LEN(names); i++) {
		res |= pair_list_add(list, "variable", names[i]);
	}
	return res;
}

int pair_list_add_fact(struct pair_list *list, const char *name, const char *value)
{
	struct convai_pair pair = {
		.kind = CONVAI_PAIR_FACT, .name = ast_strdup(name), .value = ast_strdup(value),
	};

	if (!pair.name || !pair.value
		|| (list->count == list->capacity && reserve(list, PAIRS_STEP))) {
		ast_free((char *) pair.name);
		ast_free((char *) pair.value);
		return -1;
	}
	list->pairs[list->count++] = pair;
	return 0;
}

void pair_list_free(struct pair_list *list)
{
	size_t i;

	for (i = list->borrowed; i < list->count; i++) {
		ast_free((char *) list->pairs[i].name);
		config_erase((char *) list->pairs[i].value);
		ast_free((char *) list->pairs[i].value);
	}
	ast_free(list->pairs);
	memset(list, 0, sizeof(*list));
}

const char *status_name(enum convai_status status)
{
	static const char * const names[] = {
		[CONVAI_STATUS_NONE] = "",
		[CONVAI_STATUS_AGENT_ENDED] = "AGENT_ENDED",
		[CONVAI_STATUS_HANGUP] = "HANGUP",
		[CONVAI_STATUS_TRANSFER] = "TRANSFER",
		[CONVAI_STATUS_TIMEOUT] = "TIMEOUT",
		[CONVAI_STATUS_LIMIT] = "LIMIT",
		[CONVAI_STATUS_NOAGENT] = "NOAGENT",
		[CONVAI_STATUS_AUTH] = "AUTH",
		[CONVAI_STATUS_REJECTED] = "REJECTED",
		[CONVAI_STATUS_UNREACHABLE] = "UNREACHABLE",
		[CONVAI_STATUS_ERROR] = "ERROR",
		[CONVAI_STATUS_UNLOADED] = "UNLOADED",
	};

	return (unsigned int) status < ARRAY_LEN(names) ? names[status] : "ERROR";
}

/*! \brief Set a variable to a word, a number or a sentence of ours */
static void set(struct ast_channel *channel, const char *name, const char *value)
{
	door_variable(channel, name, value, WORDS_SENTENCE);
}

void result_clear(struct ast_channel *channel)
{
	set(channel, "ELEVENLABSSTATUS", NULL);
	set(channel, "ELEVENLABSREASON", NULL);
	set(channel, "ELEVENLABSDETAIL", NULL);
	set(channel, "ELEVENLABSCONVERSATIONID", NULL);
	set(channel, "ELEVENLABSDTMF", NULL);
	set(channel, "ELEVENLABSQUEUED", NULL);
	set(channel, "ELEVENLABS_TRANSFER_REASON", NULL);
	set(channel, "ELEVENLABS_TRANSFER_SUMMARY", NULL);
	set(channel, "ELEVENLABSLATENCY", NULL);
}

void result_set_reason(struct ast_channel *channel, const struct ending *ending)
{
	set(channel, "ELEVENLABSREASON", ending->reason);
	door_variable(channel, "ELEVENLABSDETAIL", ending->detail, WORDS_DATA);
}

void result_set(struct ast_channel *channel, const struct ending *ending,
	const char *conversation_id)
{
	set(channel, "ELEVENLABSSTATUS", status_name(ending->status));
	result_set_reason(channel, ending);
	door_variable(channel, "ELEVENLABSCONVERSATIONID", conversation_id, WORDS_DATA);
}

unsigned int latency_ms(uint64_t us)
{
	return (us + 500) / 1000;
}

const char *latency_text(const struct convai_turn_times *times, char *text, size_t size)
{
	*text = '\0';
	if (times->count) {
		snprintf(text, size, "%u,%u", latency_ms(times->median_us), latency_ms(times->worst_us));
	}
	return text;
}

void result_set_latency(struct ast_channel *channel, const struct convai_turn_times *times)
{
	char text[LATENCY_TEXT_SIZE];

	set(channel, "ELEVENLABSLATENCY", latency_text(times, text, sizeof(text)));
}

void result_set_queued(struct ast_channel *channel, unsigned int seconds)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", seconds);
	set(channel, "ELEVENLABSQUEUED", text);
}

void result_set_digits(struct ast_channel *channel, const char *digits)
{
	set(channel, "ELEVENLABSDTMF", digits);
}
