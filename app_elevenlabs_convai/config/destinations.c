/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */
/*!
 * \file
 * \brief Where an agent may transfer a caller: the entries of transfer_allow
 */

#include "asterisk.h"

#include <ctype.h>	/* isalnum(3) */

#include "asterisk/pbx.h"	/* ast_extension_match */
#include "asterisk/strings.h"	/* ast_strlen_zero */
#include "asterisk/utils.h"	/* ast_copy_string */

#include "config/destinations.h"

/*! What a name may have besides letters and digits */
#define NAME_SIGNS "*#+._-:"
/*! ... and a pattern */
#define PATTERN_SIGNS NAME_SIGNS "[]!"
/*! ... and a place */
#define PLACE_SIGNS "._-:[]"

int destination_has_only(const char *text, const char *others)
{
	const char *c;

	for (c = text; *c; c++) {
		if (!isascii(*c) || (!isalnum(*c) && !strchr(others, *c))) {
			return 0;
		}
	}
	return !ast_strlen_zero(text);
}

/*! \brief Whether each set is closed and has something in it, and what stands for the rest is the last */
static int is_pattern(const char *pattern)
{
	const char *c;

	for (c = pattern; *c; c++) {
		if (*c == '[') {
			const char *end = strchr(c, ']');

			if (!end || end == c + 1 || memchr(c + 1, '[', end - c - 1)) {
				return 0;
			}
			c = end;
		} else if (*c == ']' || ((*c == '.' || *c == '!') && c[1])) {
			return 0;
		}
	}
	return c != pattern;
}

int destination_entry_is_valid(const char *entry)
{
	char *name = ast_strdupa(entry);
	char *place = strchr(name, '@');

	if (place) {
		*place++ = '\0';
		if (!destination_has_only(place, PLACE_SIGNS) || strlen(place) >= DESTINATION_PLACE_SIZE) {
			return 0;
		}
	}
	if (strlen(name) >= DESTINATION_NAME_SIZE) {
		return 0;
	}
	return *name == '_' ? destination_has_only(name, PATTERN_SIGNS) && is_pattern(name + 1)
		: destination_has_only(name, NAME_SIGNS);
}

int destination_is_nowhere(const char *entry)
{
	char context[DESTINATION_PLACE_SIZE];
	const char *place = strchr(entry, '@');
	int found;

	if (!place) {
		return 0;
	}
	ast_copy_string(context, place + 1, sizeof(context));
	context[strcspn(context, ":")] = '\0';	/* a priority */
	ast_rdlock_contexts();
	found = ast_context_find(context) != NULL;
	ast_unlock_contexts();
	return !found;
}

/*!
 * \brief Whether a name is one of Asterisk's own, where no caller belongs but by an error: h, i, t ...
 *
 * Asterisk passes over dashes; and a name that begins with _ it takes for a pattern.
 */
static int is_special(const char *name)
{
	name += strspn(name, "-");
	return *name == '_' || (*name && !name[1 + strspn(name + 1, "-")] && strchr("aehioTt", *name));
}

const char *destination_widest(const char *list, size_t *length)
{
	/* Premium rate, at home and abroad, as it is dialled in most places. */
	static const char * const dear[] = {
		"0019005551234567", "+19005551234", "0119005551234", "19005551234", "09005551234",
	};
	char pattern[DESTINATION_NAME_SIZE];
	const char *entry;
	size_t i;

	for (entry = list; *entry; entry += *length + (entry[*length] == ',')) {
		*length = strcspn(entry, ",");
		snprintf(pattern, sizeof(pattern), "%.*s", (int) strcspn(entry, "@,"), entry);
		for (i = 0; i < ARRAY_LEN(dear); i++) {
			if (*pattern == '_' && ast_extension_match(pattern, dear[i])) {
				return entry;
			}
		}
	}
	return NULL;
}

int destination_is_admitted(const char *list, const char *name, const char *own, char *place)
{
	char *rest = ast_strdupa(list);
	char *entry;

	if (is_special(name) || !strcmp(list, "none")) {
		return 0;
	}
	while ((entry = strsep(&rest, ","))) {
		const char *there = own;
		char *at = strchr(entry, '@');

		if (at) {
			*at = '\0';
			there = at + 1;
		}
		if ((!*place || !strcasecmp(place, there)) && ast_extension_match(entry, name)) {
			ast_copy_string(place, there, DESTINATION_PLACE_SIZE);
			return 1;
		}
	}
	return 0;
}
