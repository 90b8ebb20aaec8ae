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
 * Python's reader makes an object of every value and holds the GIL meanwhile: 4 MiB of short lists
 * take it 0.2 s and more, for which no other call is served. An excerpt is what is left when long
 * strings are cut and long lists and objects end early; it is made in one pass, without
 * allocation. Agent audio stays whole. Any thread; no state.
 */

#ifndef CONVAI_EXCERPT_H
#define CONVAI_EXCERPT_H

#include <stddef.h>
#include <stdint.h>

/*! Most bytes of a string that is cut; a log line and a name are shorter */
#define CONVAI_EXCERPT_STRING 4096
/*! Most bytes of a number; what is longer becomes null */
#define CONVAI_EXCERPT_NUMBER 1024
/*! Most members of one object or list; the service's messages have some ten */
#define CONVAI_EXCERPT_MEMBERS 64
/*! Deepest that objects and lists lie in each other; what lies deeper becomes empty */
#define CONVAI_EXCERPT_DEPTH 8
/*! Down to here each object and list has its own members, whatever came before it */
#define CONVAI_EXCERPT_FREE_DEPTH 2
/*! Most members of all that lie deeper, together */
#define CONVAI_EXCERPT_VALUES 2048

/*!
 * \brief Write an excerpt of a message: an object in JSON
 *
 * What is kept is not checked beyond its brackets, what is left out not at all; whoever reads the
 * excerpt does that.
 *
 * \param out has room for as much as the message has
 * \param[out] is_cut whether anything but blanks was left out
 * \return bytes written, or 0 if it is no object in JSON
 */
size_t convai_excerpt(const uint8_t *message, size_t length, uint8_t *out, int *is_cut);

/*!
 * \brief Where a value of a message stands: message[outer][inner]
 *
 * Of a key that comes twice the last counts. A key that is written with an escape is not found.
 *
 * \param message valid JSON
 * \param[out] value its first byte
 * \return its length, or 0 if there is none
 */
size_t convai_json_find(const uint8_t *message, size_t length, const char *outer, const char *inner,
	const uint8_t **value);

#endif /* CONVAI_EXCERPT_H */
