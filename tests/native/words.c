/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The door for words from outside, given any bytes, for the sanitizers to watch
 *
 * Run by tests/unit/test_threads.py. What it makes of texts is looked at by tests/unit/test_words.py.
 */

#include <stdio.h>

#include "check.h"
#include "words.h"

#define TEXTS 40000
#define LONGEST 300

/*! Pieces of credentials, and of what is cut: random bytes would not hit them */
static const char * const pieces[] = {
	"sk_", "sk-", "0123456789abcdef", "xi-api-key", "Authorization", ": ", "Bearer ", "Basic ",
	"token", "password", "secret__", "key", "=", "\"", "'", "\\", ":", "//", "user", "@", "sip:", "?",
	"&", " ", "  ", "***", "...", "-", "+", "\n", "\x1b[", "\xc2\x9b", "\xe2\x80\xae", "\xf0\x9f\x98\x80",
	"\xed\xa0\x80", "\xc0\x80", "\xf5", "\xe2\x80", "",
};

static uint32_t next(uint32_t *seed, uint32_t limit)
{
	*seed = *seed * 1664525 + 1013904223;
	return (uint32_t) ((uint64_t) *seed * limit >> 32);
}

/*! \brief Fill a text with pieces, or with any bytes. \return its length */
static size_t make_text(char *text, uint32_t *seed)
{
	uint32_t wanted = next(seed, LONGEST);
	size_t length = 0;

	while (length < wanted) {
		const char *piece = pieces[next(seed, sizeof(pieces) / sizeof(*pieces))];
		size_t size = strlen(piece);

		if (size && size <= wanted - length && next(seed, 8)) {
			memcpy(text + length, piece, size);
			length += size;
		} else {
			text[length++] = (char) next(seed, 256);
		}
	}
	return length;
}

/*! \brief Whether these bytes are UTF-8 in which nothing controls anything */
static int is_harmless(const char *text, size_t length)
{
	size_t i = 0;

	while (i < length) {
		uint32_t code = 0;
		size_t size = words_character((const unsigned char *) text + i, length - i, &code);

		if (!size || (code != ' ' && words_is_unseen(code))) {
			return 0;
		}
		i += size;
	}
	return 1;
}

/*! \brief In memory that ends where the text does */
static void check_text(const char *text, size_t length, size_t most, enum words_use use)
{
	char *once = malloc(length + !length);
	size_t left;
	char *twice;

	CHECK(once);
	memcpy(once, text, length);
	left = words_clean(once, length, most, use);
	CHECK(left <= length && left <= most);
	CHECK(is_harmless(once, left));
	twice = malloc(left + !left);
	CHECK(twice);
	memcpy(twice, once, left);
	CHECK(words_clean(twice, left, most, use) == left);
	CHECK(!memcmp(once, twice, left));
	free(twice);
	free(once);
}

int main(void)
{
	uint32_t seed = 1;
	char text[LONGEST];
	int i;

	for (i = 0; i < TEXTS; i++) {
		size_t length = make_text(text, &seed);

		check_text(text, length, next(&seed, LONGEST + 100), (enum words_use) (i % 4));
	}
	printf("%d passed, 0 failed\n", TEXTS);
	return 0;
}
