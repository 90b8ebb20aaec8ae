/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What is read of a message that is too long to be read whole, and values as they came
 *
 * Each function takes what it is named after from the front and returns 1, or returns 0 and the
 * text is no JSON.
 */

#include <string.h>

#include "excerpt.h"
#include "json_text.h"

struct text {
	const uint8_t *at;
	const uint8_t *end;
	uint8_t *out;
	size_t values;		/*!< members that may still come below CONVAI_EXCERPT_FREE_DEPTH */
	int is_cut;
};

/* ---- Passing over ---- */

/*! \brief A string, from its first quote on */
static int skip_string(struct text *text)
{
	const uint8_t *begin = text->at + 1, *quote = begin, *slash;

	while ((quote = memchr(quote, '"', text->end - quote))) {
		for (slash = quote; slash > begin && slash[-1] == '\\'; slash--) {
		}
		if ((quote - slash) % 2 == 0) {
			text->at = quote + 1;
			return 1;
		}
		quote++;
	}
	return 0;
}

/*! \brief The rest of what stands between brackets, of which so many are open */
static int skip_rest(struct text *text, size_t open)
{
	while (open && text->at < text->end) {
		/* In ASCII the brackets of lists and objects differ in this bit alone. */
		uint8_t c = *text->at | 0x20;

		if (*text->at == '"') {
			if (!skip_string(text)) {
				return 0;
			}
			continue;
		}
		open += c == '{';
		open -= c == '}';
		text->at++;
	}
	return !open;
}

/*! \brief A number or a word */
static int skip_plain(struct text *text)
{
	const uint8_t *begin = text->at;

	while (text->at < text->end && !strchr(" \t\r\n,:\"[]{}", *text->at)) {
		text->at++;
	}
	return text->at > begin;
}

static int skip_value(struct text *text)
{
	convai_json_skip_blanks(&text->at, text->end);
	if (text->at == text->end) {
		return 0;
	}
	if (*text->at == '"') {
		return skip_string(text);
	}
	if ((*text->at | 0x20) == '{') {
		text->at++;
		return skip_rest(text, 1);
	}
	return skip_plain(text);
}

/* ---- The excerpt ---- */

static void put(struct text *text, const uint8_t *from, const uint8_t *to)
{
	memcpy(text->out, from, to - from);
	text->out += to - from;
}

/*! \brief How long what stands behind a backslash is, with it; both halves of a surrogate pair */
static size_t escape_length(const uint8_t *at)
{
	if (at[1] != 'u') {
		return 2;
	}
	return (at[2] | 0x20) == 'd' && strchr("89abAB", at[3]) ? 12 : 6;
}

/*! \brief Where to cut a long string: between two characters */
static const uint8_t *place_to_cut(const uint8_t *begin)
{
	const uint8_t *at = begin, *most = begin + CONVAI_EXCERPT_STRING, *before = begin;

	while (at <= most) {
		before = at;
		at += *at == '\\' ? escape_length(at) : 1;
		while ((*at & 0xc0) == 0x80) {
			at++;
		}
	}
	return before;
}

static int copy_string(struct text *text, int whole)
{
	const uint8_t *begin = text->at, *to;

	if (!skip_string(text)) {
		return 0;
	}
	to = text->at - 1;
	/* The last escape that is looked at ends some bytes behind the most that is kept. */
	if (!whole && to - begin > CONVAI_EXCERPT_STRING + 16) {
		to = place_to_cut(begin + 1);
		text->is_cut = 1;
	}
	put(text, begin, to);
	*text->out++ = '"';
	return 1;
}

static int copy_plain(struct text *text)
{
	static const uint8_t null[] = { 'n', 'u', 'l', 'l' };
	const uint8_t *begin = text->at;

	if (!skip_plain(text)) {
		return 0;
	}
	if (text->at - begin > CONVAI_EXCERPT_NUMBER) {
		put(text, null, null + sizeof(null));
		text->is_cut = 1;
	} else {
		put(text, begin, text->at);
	}
	return 1;
}

static int is(const uint8_t *from, const uint8_t *to, const char *word)
{
	size_t length = strlen(word);

	return (size_t) (to - from) == length && !memcmp(from, word, length);
}

static int copy_value(struct text *text, int depth, int whole);

/*! \param[out] whole whether the value is a piece of agent audio, in the shape of today or of 2024 */
static int copy_key(struct text *text, int depth, int *whole)
{
	const uint8_t *name;

	convai_json_skip_blanks(&text->at, text->end);
	name = text->at + 1;
	if (text->at == text->end || *text->at != '"' || !copy_string(text, 0)) {
		return 0;
	}
	*whole = depth == 2
		&& (is(name, text->at - 1, "audio_base_64") || is(name, text->at - 1, "chunk"));
	if (!convai_json_take(&text->at, text->end, ':')) {
		return 0;
	}
	*text->out++ = ':';
	return 1;
}

/*! \brief Whether one more member is kept */
static int may_keep(struct text *text, int depth, size_t kept)
{
	if (kept == CONVAI_EXCERPT_MEMBERS) {
		return 0;
	}
	if (depth <= CONVAI_EXCERPT_FREE_DEPTH) {
		return 1;
	}
	if (!text->values) {
		return 0;
	}
	text->values--;
	return 1;
}

/*! \brief Pass over the rest of an object or a list. As everywhere, what is written has been there. */
static int close_early(struct text *text, uint8_t close)
{
	if (!skip_rest(text, 1)) {
		return 0;
	}
	*text->out++ = close;
	return 1;
}

/*! \brief An object or a list, the first of whose members are kept */
static int copy_members(struct text *text, int depth)
{
	int is_object = *text->at == '{', whole = 0;
	uint8_t close = is_object ? '}' : ']';
	size_t kept = 0;

	put(text, text->at, text->at + 1);
	text->at++;
	if (!convai_json_take(&text->at, text->end, close)) {
		do {
			if (!may_keep(text, depth, kept)) {
				text->is_cut = 1;
				return close_early(text, close);
			}
			if (kept++) {
				*text->out++ = ',';
			}
			if ((is_object && !copy_key(text, depth, &whole))
				|| !copy_value(text, depth, whole)) {
				return 0;
			}
		} while (convai_json_take(&text->at, text->end, ','));
		if (!convai_json_take(&text->at, text->end, close)) {
			return 0;
		}
	}
	*text->out++ = close;
	return 1;
}

static int copy_value(struct text *text, int depth, int whole)
{
	const uint8_t *begin;

	convai_json_skip_blanks(&text->at, text->end);
	if (text->at == text->end) {
		return 0;
	}
	if (*text->at == '"') {
		return copy_string(text, whole);
	}
	if ((*text->at | 0x20) != '{') {
		return copy_plain(text);
	}
	if (depth < CONVAI_EXCERPT_DEPTH) {
		return copy_members(text, depth + 1);
	}
	begin = text->at;
	if (!skip_value(text)) {
		return 0;
	}
	*text->out++ = *begin;
	*text->out++ = *begin + 2;	/* the closing bracket */
	text->is_cut |= text->at - begin > 2;
	return 1;
}

size_t convai_excerpt(const uint8_t *message, size_t length, uint8_t *out, int *is_cut)
{
	struct text text = {
		.at = message, .end = message + length, .out = out, .values = CONVAI_EXCERPT_VALUES,
	};

	convai_json_skip_blanks(&text.at, text.end);
	if (text.at == text.end || *text.at != '{' || !copy_members(&text, 1)) {
		return 0;
	}
	convai_json_skip_blanks(&text.at, text.end);
	*is_cut = text.is_cut;
	return text.at == text.end ? (size_t) (text.out - out) : 0;
}

/* ---- A value as it came ---- */

/*! \brief Move to the value of a key in the object that is next. \return 0 if there is none */
static int find(struct text *text, const char *key)
{
	const uint8_t *found = NULL, *name;
	int matches;

	if (!convai_json_take(&text->at, text->end, '{')) {
		return 0;
	}
	do {
		convai_json_skip_blanks(&text->at, text->end);
		name = text->at + 1;
		if (text->at == text->end || *text->at != '"' || !skip_string(text)) {
			break;
		}
		matches = is(name, text->at - 1, key);
		if (!convai_json_take(&text->at, text->end, ':')) {
			return 0;
		}
		convai_json_skip_blanks(&text->at, text->end);
		if (matches) {
			found = text->at;
		}
	} while (skip_value(text) && convai_json_take(&text->at, text->end, ','));
	text->at = found;
	return !!found;
}

size_t convai_json_find(const uint8_t *message, size_t length, const char *outer, const char *inner,
	const uint8_t **value)
{
	struct text text = { .at = message, .end = message + length };

	if (!find(&text, outer) || !find(&text, inner)) {
		return 0;
	}
	*value = text.at;
	return skip_value(&text) ? text.at - *value : 0;
}
