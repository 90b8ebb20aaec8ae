/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Strings that mean something
 */

#include "host_internal.h"

#include "asterisk/strings.h"
#include "asterisk/utf8.h"
#include "asterisk/uuid.h"

static int is_one_of(const char *text, const char * const *words)
{
	for (; text && *words; words++) {
		if (!strcasecmp(text, *words)) {
			return 1;
		}
	}
	return 0;
}

int ast_true(const char *val)
{
	static const char * const words[] = { "yes", "true", "y", "t", "1", "on", NULL };

	return is_one_of(val, words);
}

int ast_false(const char *val)
{
	static const char * const words[] = { "no", "false", "n", "f", "0", "off", NULL };

	return is_one_of(val, words);
}

/*! \return length of the sequence that begins here, 0 if it is not a valid one */
static unsigned int sequence_length(const unsigned char *s)
{
	unsigned int length = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2
		: s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
	unsigned int i;

	for (i = 1; i < length; i++) {
		if ((s[i] & 0xc0) != 0x80) {
			return 0;
		}
	}
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f)
		|| (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f)) {
		return 0;
	}
	return length;
}

void ast_utf8_copy_string(char *dst, const char *src, size_t size)
{
	unsigned int length;

	while (*src && (length = sequence_length((const unsigned char *) src)) && length < size) {
		memcpy(dst, src, length);
		dst += length;
		src += length;
		size -= length;
	}
	*dst = '\0';
}

int ast_utf8_is_valid(const char *str)
{
	const unsigned char *s = (const unsigned char *) str;

	while (*s) {
		unsigned int length = sequence_length(s);

		if (!length) {
			return 0;
		}
		s += length;
	}
	return 1;
}

/* ---- Ids ---- */

char *ast_uuid_generate_str(char *buf, size_t size)
{
	static unsigned int made;

	snprintf(buf, size, "00000000-0000-4000-8000-%012x", __atomic_add_fetch(&made, 1, __ATOMIC_RELAXED));
	return buf;
}
