/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Saying something to an agent during a call, for commands and for programs
 */

#ifndef CONTROL_SAY_H
#define CONTROL_SAY_H

#include <stddef.h>

/*! Names of what can be said, in the order of enum convai_say, with NULL behind them */
extern const char * const say_types[];

struct call;

/*! \brief Say something to the agent of a call; as say */
int say_to(struct call *call, const char *type, const char *text, char *answer, size_t size);

/*!
 * \brief Say something to the agent that talks with a channel
 *
 * Any thread but the channel's. Waits for nothing but the call's lock.
 * \param type one of say_types
 * \param[out] answer one line for people, in any case
 * \return 0, or -1
 */
int say(const char *channel, const char *type, const char *text, char *answer, size_t size);

#endif /* CONTROL_SAY_H */
