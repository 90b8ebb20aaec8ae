/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The state of an extension, a device or a queue, as the dialplan's own functions tell it
 */

#ifndef CALL_STATE_H
#define CALL_STATE_H

#include <stddef.h>
#include <stdint.h>

/*!
 * \brief Tell what is asked for: exten@context, technology/resource or Custom:name, or a queue
 *
 * A thread of the pool: a queue may have to be looked up in a database.
 * \param name without blanks, commas and brackets
 * \return enum convai_step_outcome
 */
uint32_t state_tell(const char *name, char *text, size_t size);

#endif /* CALL_STATE_H */
