/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief How a call ends: a status for the dialplan, one sentence for people, and what others said of it
 */

#ifndef CALL_ENDING_H
#define CALL_ENDING_H

#include "convai_ops.h"

/*! Longest reason, and longest detail, in bytes, with the terminator; a longer one is cut */
#define ENDING_REASON_SIZE 512

struct ending {
	enum convai_status status;
	char reason[ENDING_REASON_SIZE];	/*!< ours: what is told in it are names, numbers and addresses */
	char detail[ENDING_REASON_SIZE];	/*!< one line of words from outside, or "" */
};

/*! For printf(3): the reason, and the detail in brackets if there is one */
#define ENDING_FORMAT "%s%s%s%s"
#define ENDING_ARGS(reason, detail) \
	reason, *(detail) ? " [" : "", detail, *(detail) ? "]" : ""

/*! \brief Set the status, and the reason as printf(3) writes it; there is no detail */
void __attribute__((format(printf, 3, 4))) ending_set(struct ending *ending,
	enum convai_status status, const char *format, ...);

/*! \brief Add what the dialplan, the service or somebody else has said */
void ending_set_detail(struct ending *ending, const char *words);

/*! \brief Set what the dialplan has asked for: it goes before whatever has ended the call since */
void ending_set_asked(struct ending *ending, enum convai_status asked);

#endif /* CALL_ENDING_H */
