/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The one message that comes all the time: a piece of agent audio, read without Python
 *
 * A strict reader of JSON (RFC 8259) over one text. Each function takes what it is named after
 * from the front and returns 1, or returns 0 and the text is not ours.
 */

#include <string.h>

#include "audio_event.h"
#include "json_text.h"

/*! Most digits of a whole number, or before a decimal point: more may be too large for other readers */
#define DIGITS_MAX 18

struct text {
	const uint8_t *at;
	const uint8_t *end;
	int depth;
};

/*! What a string in the text holds, without its quotes */
struct span {
	const uint8_t *at;
	size_t length;
};

/*! \brief Length of the UTF-8 character at the front; 0 if it is none */
static size_t utf8_length(const struct text *text)
{
	size_t left = text->end - text->at, length, i;
	uint8_t lead = text->at[0], low = 0x80, high = 0xbf;

	if (lead < 0x80) {
		return 1;
	}
	length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
	if (lead < 0xc2 || lead > 0xf4 || left < length) {
		return 0;
	}
	/* The first byte behind the lead excludes overlong forms, surrogates and what is above U+10FFFF. */
	if (lead == 0xe0) {
		low = 0xa0;
	} else if (lead == 0xed) {
		high = 0x9f;
	} else if (lead == 0xf0) {
		low = 0x90;
	} else if (lead == 0xf4) {
		high = 0x8f;
	}
	if (text->at[1] < low || text->at[1] > high) {
		return 0;
	}
	for (i = 2; i < length; i++) {
		if ((text->at[i] & 0xc0) != 0x80) {
			return 0;
		}
	}
	return length;
}

/*!
 * \brief What stands behind a backslash
 *
 * Halves of a surrogate pair are not taken: to put pairs together is not worth it, and one alone is an error.
 */
static int take_escape(struct text *text)
{
	int i;

	if (text->at == text->end) {
		return 0;
	}
	if (*text->at++ != 'u') {
		return !!memchr("\"\\/bfnrt", text->at[-1], 8);
	}
	if (text->end - text->at < 4 || ((text->at[0] | 0x20) == 'd' && text->at[1] > '7')) {
		return 0;
	}
	for (i = 0; i < 4; i++, text->at++) {
		if (!memchr("0123456789abcdefABCDEF", *text->at, 22)) {
			return 0;
		}
	}
	return 1;
}

static int take_string(struct text *text, struct span *span)
{
	if (!convai_json_take(&text->at, text->end, '"')) {
		return 0;
	}
	span->at = text->at;
	while (text->at < text->end && *text->at != '"') {
		size_t length;

		if (*text->at == '\\') {
			text->at++;
			if (!take_escape(text)) {
				return 0;
			}
			continue;
		}
		length = utf8_length(text);
		if (!length || *text->at < ' ') {
			return 0;
		}
		text->at += length;
	}
	span->length = text->at - span->at;
	return convai_json_take(&text->at, text->end, '"');
}

/*!
 * \brief Whether it stands for itself: ASCII above the blank, without a backslash
 *
 * Four bytes at a time. The highest bit of one of them gets set by a byte beyond ASCII, and, if there is none, where
 * a subtraction falls below 0: by a byte below '!', or equal to the backslash.
 *
 * \param span of a multiple of 4 bytes
 */
static int is_plain(const struct span *span)
{
	uint32_t four, bad = 0;
	size_t i;

	for (i = 0; i < span->length; i += sizeof(four)) {
		memcpy(&four, span->at + i, sizeof(four));
		bad |= four | (four - 0x21212121u) | ((four ^ 0x5c5c5c5cu) - 0x01010101u);
	}
	return !(bad & 0x80808080u);
}

/*! \brief A string that may be base64: whoever decodes it looks at the alphabet */
static int take_base64(struct text *text, struct span *span)
{
	const uint8_t *quote;

	if (!convai_json_take(&text->at, text->end, '"')) {
		return 0;
	}
	quote = memchr(text->at, '"', text->end - text->at);
	if (!quote) {
		return 0;
	}
	span->at = text->at;
	span->length = quote - text->at;
	text->at = quote + 1;
	return span->length && span->length % 4 == 0 && is_plain(span);
}

static int is_digit(const struct text *text)
{
	return text->at < text->end && *text->at >= '0' && *text->at <= '9';
}

/*! \brief A whole number from 0 on. What may not stand behind it is found where something else is expected. */
static int take_whole(struct text *text, uint64_t *number)
{
	const uint8_t *begin;

	convai_json_skip_blanks(&text->at, text->end);
	begin = text->at;
	*number = 0;
	while (is_digit(text)) {
		if (text->at - begin == DIGITS_MAX) {
			return 0;
		}
		*number = *number * 10 + (*text->at++ - '0');
	}
	return text->at > begin && (*begin != '0' || text->at == begin + 1);
}

/*! \brief A number without an exponent */
static int take_number(struct text *text)
{
	uint64_t whole;

	if (*text->at == '-') {
		text->at++;
		if (!is_digit(text)) {
			return 0;
		}
	}
	if (!take_whole(text, &whole)) {
		return 0;
	}
	if (text->at == text->end || *text->at != '.') {
		return 1;
	}
	text->at++;
	if (!is_digit(text)) {
		return 0;
	}
	while (is_digit(text)) {
		text->at++;
	}
	return 1;
}

static int take_word(struct text *text, const char *word)
{
	size_t length = strlen(word);

	if ((size_t) (text->end - text->at) < length || memcmp(text->at, word, length)) {
		return 0;
	}
	text->at += length;
	return 1;
}

static int take_value(struct text *text);

/*! \brief What stands between brackets: values, or members, with commas between them */
static int take_rest(struct text *text, int is_object)
{
	char close = is_object ? '}' : ']';
	struct span key;
	int good;

	if (++text->depth > CONVAI_AUDIO_EVENT_DEPTH) {
		return 0;
	}
	if (convai_json_take(&text->at, text->end, close)) {
		text->depth--;
		return 1;
	}
	do {
		good = !is_object || (take_string(text, &key) && convai_json_take(&text->at, text->end, ':'));
		good = good && take_value(text);
	} while (good && convai_json_take(&text->at, text->end, ','));
	text->depth--;
	return good && convai_json_take(&text->at, text->end, close);
}

/*! \brief Any value, which nobody is interested in */
static int take_value(struct text *text)
{
	struct span span;

	convai_json_skip_blanks(&text->at, text->end);
	if (text->at == text->end) {
		return 0;
	}
	switch (*text->at) {
	case '"':
		return take_string(text, &span);
	case '{':
	case '[':
		return take_rest(text, *text->at++ == '{');
	case 't':
		return take_word(text, "true");
	case 'f':
		return take_word(text, "false");
	case 'n':
		return take_word(text, "null");
	default:
		return take_number(text);
	}
}

static int is(const struct span *span, const char *word)
{
	return span->length == strlen(word) && !memcmp(span->at, word, span->length);
}

/*! \brief A list, of which only the length is of interest */
static int take_list(struct text *text, uint32_t *length)
{
	*length = 0;
	if (!convai_json_take(&text->at, text->end, '[')) {
		return take_value(text);
	}
	if (++text->depth > CONVAI_AUDIO_EVENT_DEPTH) {
		return 0;
	}
	if (!convai_json_take(&text->at, text->end, ']')) {
		do {
			if (!take_value(text)) {
				return 0;
			}
			++*length;
		} while (convai_json_take(&text->at, text->end, ','));
		if (!convai_json_take(&text->at, text->end, ']')) {
			return 0;
		}
	}
	text->depth--;
	return 1;
}

/*! \brief Which characters are spoken when: how many there are */
static int take_alignment(struct text *text, uint32_t *characters)
{
	struct span key;

	*characters = 0;
	if (!convai_json_take(&text->at, text->end, '{')) {
		return take_value(text);
	}
	if (++text->depth > CONVAI_AUDIO_EVENT_DEPTH) {
		return 0;
	}
	if (!convai_json_take(&text->at, text->end, '}')) {
		do {
			uint32_t other;

			if (!take_string(text, &key) || memchr(key.at, '\\', key.length) || !convai_json_take(&text->at, text->end, ':')
				|| !take_list(text, is(&key, "chars") ? characters : &other)) {
				return 0;
			}
		} while (convai_json_take(&text->at, text->end, ','));
		if (!convai_json_take(&text->at, text->end, '}')) {
			return 0;
		}
	}
	text->depth--;
	return 1;
}

/*!
 * \brief The value of a key that nobody is interested in
 *
 * A key with an escape may be one that somebody is interested in: then it is not ours.
 */
static int take_other(struct text *text, const struct span *key)
{
	return !memchr(key->at, '\\', key->length) && take_value(text);
}

/*! \brief The value of audio_event. Of a key that comes twice the last would count: it is not ours. */
static int take_audio(struct text *text, struct convai_audio_event *event)
{
	struct span key, audio = { .at = NULL };
	int ids = 0;

	event->characters = 0;
	if (!convai_json_take(&text->at, text->end, '{')) {
		return 0;
	}
	do {
		int good;

		if (!take_string(text, &key) || !convai_json_take(&text->at, text->end, ':')) {
			return 0;
		}
		if (is(&key, "audio_base_64")) {
			good = !audio.at && take_base64(text, &audio);
		} else if (is(&key, "event_id")) {
			good = !ids++ && take_whole(text, &event->event_id);
		} else if (is(&key, "alignment")) {
			good = take_alignment(text, &event->characters);
		} else {
			good = take_other(text, &key);
		}
		if (!good) {
			return 0;
		}
	} while (convai_json_take(&text->at, text->end, ','));
	event->base64 = audio.at;
	event->base64_length = audio.length;
	return audio.at && ids && convai_json_take(&text->at, text->end, '}');
}

int convai_audio_event_read(const uint8_t *bytes, size_t length, struct convai_audio_event *event)
{
	struct text text = { .at = bytes, .end = bytes + length };
	struct span key, type;
	int types = 0, audios = 0;

	if (!convai_json_take(&text.at, text.end, '{')) {
		return 0;
	}
	do {
		int good;

		if (!take_string(&text, &key) || !convai_json_take(&text.at, text.end, ':')) {
			return 0;
		}
		if (is(&key, "type")) {
			good = !types++ && take_string(&text, &type) && is(&type, "audio");
		} else if (is(&key, "audio_event")) {
			good = !audios++ && take_audio(&text, event);
		} else {
			good = take_other(&text, &key);
		}
		if (!good) {
			return 0;
		}
	} while (convai_json_take(&text.at, text.end, ','));
	if (!types || !audios || !convai_json_take(&text.at, text.end, '}')) {
		return 0;
	}
	convai_json_skip_blanks(&text.at, text.end);
	return text.at == text.end;
}
