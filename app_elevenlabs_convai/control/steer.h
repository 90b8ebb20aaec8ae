/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What operators and programs can do to calls and to the module
 *
 * Threads of Asterisk's: commands and AMI. Nothing here takes the GIL. Each writes one line for people
 * to answer, in any case.
 */

#ifndef CONTROL_STEER_H
#define CONTROL_STEER_H

#include <stddef.h>

/*! Room for an answer, with its terminator: the first fault of a file is in one */
#define STEER_ANSWER_SIZE 1024

struct config_report;

/*!
 * \brief Read elevenlabs.conf again. Reads files, and waits for other loads.
 * \param report where each fault is said; its first is in the answer as well
 * \return 0, or -1: the file has faults, and nothing has changed
 */
int steer_reload(struct config_report *report, char *answer, size_t size);

/*! \brief Refuse new calls (1), or admit them again (0) */
void steer_drain(int on, char *answer, size_t size);

struct call;

/*! \brief Hang up a call, because somebody who may wants that */
void steer_hangup_call(struct call *call);

/*!
 * \brief Hang up the call on a channel, or (`all`) all calls that talk with an agent
 * \return 0, or -1 if there is no such call
 */
int steer_hangup(const char *channel, char *answer, size_t size);

#endif /* CONTROL_STEER_H */
