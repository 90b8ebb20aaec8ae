/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The door for words from outside: one function makes them harmless
 *
 * What a caller, the service, a tool, a file or a program says passes here before it reaches a log, a
 * variable, an event or a terminal. The C module calls it where such text leaves (door.c), the engine
 * through the core (pyconvai/words.py).
 *
 * Any thread; no allocation, and no state. All is done in place, for nothing becomes longer. What has
 * passed once passes again unchanged.
 */

#ifndef WORDS_H
#define WORDS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

/*! What the words are for */
enum words_use {
	/*!
	 * A line for people: UTF-8 without control and format characters, line ends and strange blanks; bytes
	 * that are no UTF-8 become question marks. A blank never follows a blank. What looks like a credential
	 * is cut to `***`.
	 */
	WORDS_LINE = 0,
	/*! The same, but blanks stay where they are: a line of a table */
	WORDS_COLUMNS = 1,
	/*! A line of ours, with values in it: as well without `"`, which becomes `'`, and `` ` $ \ `` */
	WORDS_SENTENCE = 2,
	/*!
	 * A line, and in it nothing that a dialplan, a shell, SQL or a spreadsheet acts upon: letters, digits,
	 * blanks and `: . _ - / +` stay, beyond ASCII all but signs; everything else becomes a blank. It begins with
	 * neither `-` nor `+`. A credential is cut to `...`.
	 */
	WORDS_DATA = 3,
};

/*! Longest password or the like that is looked for before an `@`, in bytes */
#define WORDS_USERINFO_MAX 256

/*! Shortest token before an `@` that can be no user's name, in bytes */
#define WORDS_TOKEN_LEAST 16

/*! So often credentials are looked for, as long as any are found: twice is enough for all but what is made for it */
#define WORDS_ROUNDS_MAX 8

/* ---- Characters ---- */

/*!
 * \brief The length of the character at the beginning of some bytes
 * \param[out] code its code point
 * \return 0 if the bytes are no UTF-8
 */
static inline size_t words_character(const unsigned char *text, size_t length, uint32_t *code)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t size = *text < 0x80 ? 1 : *text < 0xC2 ? 0 : *text < 0xE0 ? 2 : *text < 0xF0 ? 3
		: *text < 0xF5 ? 4 : 0;
	size_t i;

	if (!size || size > length) {
		return 0;
	}
	*code = size == 1 ? *text : *text & (0x7F >> size);
	for (i = 1; i < size; i++) {
		if ((text[i] & 0xC0) != 0x80) {
			return 0;
		}
		*code = *code << 6 | (text[i] & 0x3F);
	}
	return *code < least[size] || *code > 0x10FFFF || (*code >= 0xD800 && *code <= 0xDFFF) ? 0 : size;
}

struct words_range {
	uint32_t first;
	uint32_t last;
};

static inline int words_in(const struct words_range *ranges, size_t count, uint32_t code)
{
	size_t i;

	for (i = 0; i < count && ranges[i].first <= code; i++) {
		if (code <= ranges[i].last) {
			return 1;
		}
	}
	return 0;
}

/*! \brief Whether a terminal or a reader could be led astray: control, format, private use, other blanks */
static inline int words_is_unseen(uint32_t code)
{
	static const struct words_range ranges[] = {
		{ 0, 0x20 }, { 0x7F, 0xA0 }, { 0xAD, 0xAD }, { 0x34F, 0x34F }, { 0x600, 0x605 },
		{ 0x61C, 0x61C }, { 0x6DD, 0x6DD }, { 0x70F, 0x70F }, { 0x890, 0x891 },
		{ 0x8E2, 0x8E2 }, { 0x115F, 0x1160 }, { 0x1680, 0x1680 }, { 0x17B4, 0x17B5 },
		{ 0x180B, 0x180F }, { 0x2000, 0x200F }, { 0x2028, 0x202F }, { 0x205F, 0x206F },
		{ 0x3000, 0x3000 }, { 0x3164, 0x3164 }, { 0xE000, 0xF8FF }, { 0xFDD0, 0xFDEF },
		{ 0xFEFF, 0xFEFF }, { 0xFFA0, 0xFFA0 }, { 0xFFF0, 0xFFFB }, { 0x110BD, 0x110BD },
		{ 0x110CD, 0x110CD }, { 0x13430, 0x1343F }, { 0x1BCA0, 0x1BCA3 },
		{ 0x1D173, 0x1D17A }, { 0xE0000, 0xE0FFF }, { 0xF0000, 0x10FFFF },
	};

	return (code & 0xFFFE) == 0xFFFE || words_in(ranges, sizeof(ranges) / sizeof(*ranges), code);
}

/*!
 * \brief Whether a character may stand in data
 *
 * Beyond ASCII, signs and quotes may not, nor what has one in it: other forms of Unicode and other
 * encodings make ASCII of them (a yen sign is a backslash in one, an inequality begins with `<`).
 */
static inline int words_is_data(uint32_t code)
{
	static const struct words_range ranges[] = {
		{ 0xA1, 0xA9 }, { 0xAB, 0xB1 }, { 0xB4, 0xB4 }, { 0xB6, 0xB8 }, { 0xBB, 0xBB }, { 0xBF, 0xBF },
		{ 0x2B9, 0x2BF }, { 0x2C2, 0x2DF }, { 0x374, 0x375 }, { 0x37E, 0x37E }, { 0x384, 0x385 },
		{ 0x387, 0x387 }, { 0x5F3, 0x5F4 }, { 0x60C, 0x60D }, { 0x61B, 0x61B }, { 0x1FBD, 0x1FC1 },
		{ 0x1FCD, 0x1FCF }, { 0x1FDD, 0x1FDF }, { 0x1FED, 0x1FEF }, { 0x1FFD, 0x1FFE },
		{ 0x2010, 0x205E }, { 0x207A, 0x207E }, { 0x208A, 0x208E }, { 0x20A9, 0x20A9 },
		{ 0x2190, 0x2BFF }, { 0x2E00, 0x2E7F }, { 0x3001, 0x3003 }, { 0x3008, 0x3020 },
		{ 0x3030, 0x3030 }, { 0x3200, 0x32FF }, { 0xA789, 0xA78C }, { 0xFB29, 0xFB29 },
		{ 0xFD3E, 0xFD3F }, { 0xFE10, 0xFE19 }, { 0xFE30, 0xFE6F }, { 0xFF01, 0xFF0F },
		{ 0xFF1A, 0xFF20 }, { 0xFF3B, 0xFF40 }, { 0xFF5B, 0xFF65 }, { 0xFFE0, 0xFFEE },
		{ 0x1F100, 0x1F2FF },
	};

	if (code >= 0x80) {
		return !words_in(ranges, sizeof(ranges) / sizeof(*ranges), code);
	}
	return (code >= '0' && code <= '9') || (code >= 'A' && code <= 'Z')
		|| (code >= 'a' && code <= 'z') || (code && strchr(" :._-/+", code));
}

/*!
 * \brief Make characters that are not wanted blanks
 * \return the length, of what may stand in its use
 */
static inline size_t words_characters(unsigned char *text, size_t length, enum words_use use)
{
	size_t from = 0;
	size_t to = 0;

	while (from < length) {
		uint32_t code = 0;
		size_t size = words_character(text + from, length - from, &code);
		int is_blank = size && words_is_unseen(code);

		if (!size) {
			text[from] = code = '?';
			size = 1;
		}
		if (use == WORDS_SENTENCE && code == '"') {
			text[from] = '\'';
		}
		if (is_blank || (use == WORDS_DATA && !words_is_data(code))
			|| (use == WORDS_SENTENCE && (code == '$' || code == '`' || code == '\\'))) {
			if (use == WORDS_COLUMNS || (to && text[to - 1] != ' ')) {
				text[to++] = ' ';
			}
		} else if (use != WORDS_DATA || to || (*(text + from) != '-' && *(text + from) != '+')) {
			memmove(text + to, text + from, size);
			to += size;
		}
		from += size;
	}
	if (use != WORDS_COLUMNS && to && text[to - 1] == ' ') {
		to--;
	}
	return to;
}

/* ---- Credentials ---- */

static inline int words_is_alnum(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static inline int words_is_name(unsigned char c)
{
	return words_is_alnum(c) || c == '_' || c == '-';
}

/*! \brief How many characters of names, and of others, there are at a place */
static inline size_t words_run(const unsigned char *text, size_t length, const char *others)
{
	size_t run = 0;

	while (run < length && (words_is_name(text[run])
		|| (text[run] && strchr(others, text[run])))) {
		run++;
	}
	return run;
}

/*! \brief How many characters there are until one of these; all of them if there is none */
static inline size_t words_until(const unsigned char *text, size_t length, const char *ends)
{
	size_t run = 0;

	while (run < length && !(text[run] && strchr(ends, text[run]))) {
		run++;
	}
	return run;
}

static inline int words_begins(const unsigned char *text, size_t length, const char *with)
{
	return length >= strlen(with) && !strncasecmp((const char *) text, with, strlen(with));
}

/*! \brief Whether a name of this length is that of a credential, as headers, queries and settings have it */
static inline int words_names_secret(const unsigned char *name, size_t length)
{
	static const char * const ends[] = {
		"token", "secret", "password", "passwd", "signature", "authorization", "credential",
		"apikey", "api_key", "api-key", "_key", "-key",
	};
	size_t i;

	for (i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		size_t end = strlen(ends[i]);

		if (length >= end && words_begins(name + length - end, end, ends[i])) {
			return 1;
		}
	}
	return (length == 3 && words_begins(name, 3, "key")) || words_begins(name, length, "secret__");
}

/*! What is cut out: the bytes from one offset to another; none if they are the same */
struct words_cut {
	size_t from;
	size_t to;
};

/*! \brief What follows how a key of the service's or of a model's begins, or a signature of a signed URL */
static inline struct words_cut words_find_key(const unsigned char *text, size_t length)
{
	static const struct {
		const char *begins;
		size_t least;	/*!< of bytes that follow: fewer may be a word */
	} keys[] = { { "sk_", 6 }, { "sk-", 16 }, { "cvtkn_", 6 } };
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		size_t from = strlen(keys[i].begins);
		size_t run;

		if (!words_begins(text, length, keys[i].begins)) {
			continue;
		}
		run = words_run(text + from, length - from, "");
		if (run >= keys[i].least) {
			return (struct words_cut) { from, from + run };
		}
	}
	return (struct words_cut) { 0, 0 };
}

/*! \brief `Bearer` and what follows, unless it is a short word */
static inline struct words_cut words_find_bearer(const unsigned char *text, size_t length)
{
	static const char * const schemes[] = { "bearer ", "basic " };
	struct words_cut none = { 0, 0 };
	size_t i;

	for (i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
		size_t from = strlen(schemes[i]);

		if (words_begins(text, length, schemes[i])
			&& words_run(text + from, length - from, "+/=~") >= (i ? 12 : 8)) {
			return (struct words_cut) {
				from, from + words_until(text + from, length - from, " \"',;")
			};
		}
	}
	return none;
}

/*! \brief The value behind a quote: all until the quote that ends it */
static inline size_t words_quoted(const unsigned char *text, size_t length, unsigned char quote)
{
	size_t run = 0;

	while (run < length && text[run] != quote) {
		run += text[run] == '\\' && run + 1 < length ? 2 : 1;
	}
	return run;
}

/*! \brief The value of a header, with the scheme that may stand before it */
static inline size_t words_with_scheme(const unsigned char *text, size_t length)
{
	static const char * const schemes[] = { "bearer ", "basic ", "token ", "digest " };
	size_t before = 0;
	size_t i;

	for (i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
		if (words_begins(text, length, schemes[i])) {
			before = strlen(schemes[i]);
		}
	}
	return before + words_until(text + before, length - before, " \"',;");
}

/*!
 * \brief The value behind a credential's name, as a query (`token=`), JSON (`"token":"`) or a header has it
 *
 * Behind a colon without quotes only where the name is a header's: prose has colons.
 */
static inline struct words_cut words_find_value(const unsigned char *text, size_t length)
{
	struct words_cut none = { 0, 0 };
	size_t name = words_run(text, length, "");
	size_t at = name;
	int is_json;
	int is_header;

	if (!words_names_secret(text, name)) {
		return none;
	}
	is_header = words_begins(text, name, "xi-api-key") || words_begins(text, name, "authorization");
	is_json = at < length && (text[at] == '"' || text[at] == '\'');
	at += is_json;
	while ((is_json || is_header) && at < length && text[at] == ' ') {
		at++;
	}
	if (at >= length || (text[at] != '=' && !(text[at] == ':' && (is_json || is_header)))) {
		return none;
	}
	at++;
	while ((is_json || is_header) && at < length && text[at] == ' ') {
		at++;
	}
	if (at < length && (text[at] == '"' || text[at] == '\'')) {
		return (struct words_cut) {
			at + 1, at + 1 + words_quoted(text + at + 1, length - at - 1, text[at])
		};
	}
	if (is_header && !is_json) {
		return (struct words_cut) { at, at + words_with_scheme(text + at, length - at) };
	}
	return (struct words_cut) { at, at + words_until(text + at, length - at, " \"'&#,;<>()[]{}") };
}

/*! \brief How much before an `@` there is; 0 if there is none */
static inline size_t words_userinfo(const unsigned char *text, size_t length)
{
	size_t most = length < WORDS_USERINFO_MAX ? length : WORDS_USERINFO_MAX;
	size_t run = words_until(text, most, " /\"'<>@");

	return run < most && text[run] == '@' ? run : 0;
}

/*! \brief Whether what ends before a colon is the scheme of an address with a user in it, as `sip:` */
static inline int words_is_scheme(const unsigned char *colon, size_t before)
{
	static const char * const schemes[] = { "sip", "sips", "mailto", "xmpp", "im", "iax", "iax2", "h323" };
	size_t length = 0;
	size_t i;

	while (length < before && words_is_alnum(*(colon - length - 1))) {
		length++;
	}
	for (i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
		if (length == strlen(schemes[i]) && words_begins(colon - length, length, schemes[i])) {
			return 1;
		}
	}
	return 0;
}

/*! \brief The password of `user:password@`, or all of `//token@`; a short word there is a user's name */
static inline struct words_cut words_find_password(const unsigned char *text, size_t length, size_t before)
{
	struct words_cut cut = { 0, 0 };

	if (words_begins(text, length, "//")) {
		cut.from = 2;
	} else if (*text == ':' && before && words_is_alnum(text[-1]) && !words_is_scheme(text, before)) {
		cut.from = 1;
	} else {
		return cut;
	}
	cut.to = cut.from + words_userinfo(text + cut.from, length - cut.from);
	if (cut.from == 2 && cut.to > 2 && cut.to < 2 + WORDS_TOKEN_LEAST && text[2] != ':') {
		cut.to = 2;
	}
	return cut;
}

/*! \brief What is to be cut from this place on; offsets are from it */
static inline struct words_cut words_find(const unsigned char *text, size_t length, size_t before)
{
	struct words_cut cut = { 0, 0 };

	if (*text == '/' || *text == ':') {
		return words_find_password(text, length, before);
	}
	if (!words_is_name(*text) || (before && words_is_name(text[-1]))) {
		return cut;
	}
	cut = words_find_value(text, length);
	if (cut.from == cut.to) {
		cut = words_find_bearer(text, length);
	}
	return cut;
}

/*! \brief Whether nothing is left to cut: marks and an ellipsis at most */
static inline int words_is_cut(const unsigned char *text, size_t length)
{
	while (length && (text[length - 1] == '*' || text[length - 1] == '.')) {
		length--;
	}
	return !length;
}

/*! \brief Put a mark in the place of what is to be cut; what is cut already stays. \return the length */
static inline size_t words_mark(unsigned char *text, size_t length, struct words_cut cut, enum words_use use,
	unsigned int *marks)
{
	size_t mark = cut.to - cut.from < 3 ? cut.to - cut.from : 3;

	if (words_is_cut(text + cut.from, cut.to - cut.from)) {
		return length;
	}
	memset(text + cut.from, use == WORDS_DATA ? '.' : '*', mark);
	memmove(text + cut.from + mark, text + cut.to, length - cut.to);
	++*marks;
	return length - (cut.to - cut.from) + mark;
}

/*!
 * \brief Cut what looks like a credential, also within what is the name of another
 *
 * Again where something was cut, for what is left may look like one too.
 * \return the length
 */
static inline size_t words_credentials(unsigned char *text, size_t length, enum words_use use)
{
	unsigned int marks = 1;
	unsigned int rounds = 0;

	while (marks && rounds++ < WORDS_ROUNDS_MAX) {
		size_t i;

		marks = 0;
		for (i = 0; i < length; i++) {
			size_t left = length - i;

			left = words_mark(text + i, left, words_find(text + i, left, i), use, &marks);
			if (!i || !words_is_alnum(text[i - 1])) {
				left = words_mark(text + i, left, words_find_key(text + i, left), use, &marks);
			}
			length = i + left;
		}
	}
	return length;
}

/* ---- The door ---- */

/*! \brief Cut text between characters to so many bytes, an ellipsis included. \return the length */
static inline size_t words_bound(unsigned char *text, size_t length, size_t most)
{
	size_t dots = most < 3 ? most : 3;

	if (length <= most) {
		return length;
	}
	length = most - dots;
	while (length && (text[length] & 0xC0) == 0x80) {
		length--;
	}
	while (length && text[length - 1] == ' ') {
		length--;
	}
	memset(text + length, '.', dots);
	return length + dots;
}

/*!
 * \brief Make words from outside fit for their use, in place
 *
 * \param text length bytes; whether one more ends it is the caller's business, before and after
 * \param most bytes that may be left; what is longer ends in `...`
 * \return how many are left
 */
static inline size_t words_clean(char *text, size_t length, size_t most, enum words_use use)
{
	unsigned char *bytes = (unsigned char *) text;

	length = words_characters(bytes, length, use == WORDS_COLUMNS ? use : WORDS_LINE);
	length = words_credentials(bytes, length, use);
	if (use == WORDS_SENTENCE || use == WORDS_DATA) {
		length = words_characters(bytes, length, use);
		length = words_credentials(bytes, length, use);
	}
	return words_bound(bytes, length, most);
}

/*! \brief The same for a string in a buffer of this size, which it may fill: cut where it is full */
static inline char *words_clean_string(char *text, size_t size, enum words_use use)
{
	text[words_clean(text, strlen(text), size - 1, use)] = '\0';
	return text;
}

#endif /* WORDS_H */
