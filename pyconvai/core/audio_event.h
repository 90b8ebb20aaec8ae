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
 * What is recognized has the same meaning to orjson and conversation/protocol.py, which read
 * everything else; tests and a fuzzer hold the two against each other. In doubt it is not
 * recognized. Any thread; no allocation, no state.
 */

#ifndef CONVAI_AUDIO_EVENT_H
#define CONVAI_AUDIO_EVENT_H

#include <stddef.h>
#include <stdint.h>

/*! Deepest that objects and lists may lie in each other; the service's lie 3 deep */
#define CONVAI_AUDIO_EVENT_DEPTH 8

struct convai_audio_event {
	const uint8_t *base64;	/*!< within the text: ASCII without blanks, not yet known to be base64 */
	size_t base64_length;	/*!< a multiple of 4, not 0 */
	uint64_t event_id;	/*!< below 10^18 */
	uint32_t characters;	/*!< of the agent's text that it speaks, by its alignment; 0: it has none */
};

/*!
 * \brief Recognize {"type":"audio","audio_event":{"audio_base_64":"...","event_id":N,...}}
 *
 * Keys in any order, other keys and blanks wherever JSON allows them. Unusual are: keys that come twice, escapes
 * in keys or in the base64, surrogate pairs as escapes, exponents, whole numbers of more than 18 digits.
 *
 * \param text JSON, not terminated
 * \param[out] event meaningful if 1 is returned
 * \return 1 with the event, or 0 if it is something else, malformed, or unusual
 */
int convai_audio_event_read(const uint8_t *text, size_t length, struct convai_audio_event *event);

#endif /* CONVAI_AUDIO_EVENT_H */
