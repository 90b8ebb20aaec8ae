/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What the readers of JSON in C share: no more than the beginning of each token
 */

#ifndef CONVAI_JSON_TEXT_H
#define CONVAI_JSON_TEXT_H

#include <stdint.h>

/*! \brief Pass over the blanks at the front of a text */
static inline void convai_json_skip_blanks(const uint8_t **at, const uint8_t *end)
{
	while (*at < end && (**at == ' ' || **at == '\t' || **at == '\n' || **at == '\r')) {
		(*at)++;
	}
}

/*! \brief Pass over one character, and the blanks before it. \return 0 if it is another, or the end */
static inline int convai_json_take(const uint8_t **at, const uint8_t *end, char c)
{
	convai_json_skip_blanks(at, end);
	if (*at == end || **at != c) {
		return 0;
	}
	(*at)++;
	return 1;
}

#endif /* CONVAI_JSON_TEXT_H */
