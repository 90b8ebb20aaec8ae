/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What must not last: an engine that hangs, a caller or an agent who says nothing
 *
 * All of it is called from the channel thread, which alone knows when the caller has put
 * us on hold and what of the agent's is still to be heard.
 */

#ifndef WATCHDOG_H
#define WATCHDOG_H

#include <stddef.h>
#include <stdint.h>

struct ast_frame;
struct call;

/*! One call's; zero before */
struct watchdog {
	int64_t talking_us;	/*!< since when the conversation is up; 0 before */
	int64_t quiet_us;	/*!< since when the caller's silence counts */
	unsigned int loud_ms;	/*!< how long the caller has been loud without a pause */
	unsigned int agent_heard:1;
	unsigned int greeting_over:1;
	int64_t greeting_quiet_us;	/*!< since when nothing of the greeting is queued; 0: it is */
};

/*! \brief The conversation has begun */
void watchdog_begin(struct watchdog *watchdog, int64_t now);

/*! \brief Listen to a frame of the caller's, mu-law or 16-bit PCM */
void watchdog_hear(struct watchdog *watchdog, const struct ast_frame *frame, int64_t now);

/*! \brief The caller has done something that is no speech: pressed a key */
void watchdog_notice(struct watchdog *watchdog, int64_t now);

/*! \brief End the call if a limit has been reached. On every wake. */
void watchdog_look(struct call *call, int64_t now);

/*!
 * \brief Whether the greeting is still to be protected from the caller
 *
 * From the beginning of the conversation until the agent's first words have been played.
 * Once it is over it stays so.
 */
int watchdog_greeting(struct call *call, int64_t now);

#endif /* WATCHDOG_H */
