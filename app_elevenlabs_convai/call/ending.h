/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief How a call ends: a status for the dialplan, and one sentence for people
 */

#ifndef CALL_ENDING_H
#define CALL_ENDING_H

#include "convai_ops.h"

/*! Longest reason in bytes, with its terminator; a longer one is cut between characters */
#define ENDING_REASON_SIZE 512

struct ending {
	enum convai_status status;
	char reason[ENDING_REASON_SIZE];
};

/*! \brief Set both; the reason as printf(3) writes it */
void __attribute__((format(printf, 3, 4))) ending_set(struct ending *ending,
	enum convai_status status, const char *format, ...);

#endif /* CALL_ENDING_H */
