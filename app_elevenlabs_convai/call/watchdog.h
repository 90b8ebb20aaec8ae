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
 * Facts come in, a verdict goes out; call.c acts on it. The channel thread calls all of it:
 * it alone knows when the caller has put us on hold, and what of the agent's audio still
 * waits to be heard.
 */

#ifndef CALL_WATCHDOG_H
#define CALL_WATCHDOG_H

#include <stdint.h>

#include "call/ending.h"

struct ast_frame;
struct config_agent;

/*!
 * The engine keeps to connect_timeout by itself; if so much later it has said nothing,
 * it hangs. Longer than the pauses of a loop that is only busy.
 */
#define ENGINE_GRACE_US 3000000

/*! One call's; zero before watchdog_open */
struct watchdog {
	const struct config_agent *agent;	/*!< borrowed from the call */
	int64_t opened_us;	/*!< when the engine was asked for the session */
	int64_t refused_us;	/*!< since then the engine takes no audio; 0 while it does */
	int64_t talking_us;	/*!< since when the conversation is up; 0 before */
	int64_t quiet_us;	/*!< since when the caller's silence counts */
	int64_t asked_us;	/*!< when the caller has said what is not answered yet; 0: nothing */
	int64_t looked_us;	/*!< when watchdog_look was called last */
	uint64_t speech_ms;	/*!< of all that the caller has said */
	unsigned int loud_ms;	/*!< how long the caller has been loud without a pause */
	unsigned int agent_heard:1;
	unsigned int agent_talks:1;	/*!< as looked at last */
	unsigned int greeting_over:1;
	int64_t greeting_quiet_us;	/*!< when the greeting's queue ran empty; 0 while audio is queued */
};

/*! What the watchdog looks at on each wake */
struct watchdog_facts {
	int64_t now;
	uint32_t state;			/*!< enum convai_state */
	unsigned int agent_works:1;	/*!< a tool of the agent's is under way, beside the call */
	unsigned int agent_queued:1;	/*!< agent audio waits to be heard; if watchdog_wants_queue */
	unsigned int on_hold:1;
};

/*! \brief The engine has been asked for a session */
void watchdog_open(struct watchdog *watchdog, const struct config_agent *agent, int64_t now);

/*! \brief The conversation has begun */
void watchdog_begin(struct watchdog *watchdog, int64_t now);

/*! \brief The engine was given audio. \param taken 0 if it refused */
void watchdog_pushed(struct watchdog *watchdog, int taken, int64_t now);

/*! \brief The caller has said this: a frame of mu-law or 16-bit PCM */
void watchdog_hear(struct watchdog *watchdog, const struct ast_frame *frame, int64_t now);

/*! \brief The caller has done something that is no speech: pressed a key */
void watchdog_notice(struct watchdog *watchdog, int64_t now);

/*! \brief The agent has been asked something, by speech or in text: it owes an answer */
void watchdog_asked(struct watchdog *watchdog, int64_t now);

/*! \brief The dialplan has had the channel since then, and gives it back: that time does not count */
void watchdog_resume(struct watchdog *watchdog, int64_t since_us, int64_t now);

/*! \brief Whether watchdog_look is to be told what of the agent's is queued: to ask costs */
int watchdog_wants_queue(const struct watchdog *watchdog, uint32_t state);

/*!
 * \brief Say whether a limit has been reached. On every wake.
 * \return 0, or 1 with the ending of the call
 */
int watchdog_look(struct watchdog *watchdog, const struct watchdog_facts *facts,
	struct ending *ending);

/*!
 * \brief Whether the greeting is still to be protected from the caller
 *
 * From the beginning of the conversation until the agent's first words have been played.
 * Once it is over it stays so.
 */
int watchdog_greeting(struct watchdog *watchdog, int agent_queued, int64_t now);

#endif /* CALL_WATCHDOG_H */
