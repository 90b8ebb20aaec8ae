/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Device states: whether an agent can be had, for hints, lamps and queues
 *
 * `ElevenLabs:<section>` is not in use while there is room, busy at max_sessions, unavailable while an
 * operator drains, the module goes, no engine runs, or the engine has said that calls have no prospect; and
 * invalid where there is no such agent. It is made up from counters whenever Asterisk asks.
 *
 * That something has changed is told by a thread of Asterisk's scheduler, at most once in
 * AGENT_STATE_PACE_MS for each agent, and without a lock of ours.
 */

#ifndef CALL_AGENT_STATE_H
#define CALL_AGENT_STATE_H

#include <stdint.h>

#include "asterisk/devicestate.h"	/* enum ast_device_state */

/*! So long changes are collected: a queue and a lamp need no more, and each is a message to all who listen */
#define AGENT_STATE_PACE_MS 50

/*! How often agents that are away are looked at, in ms: nobody else tells that they are back */
#define AGENT_STATE_WATCH_MS 1000

/*! \brief Begin to answer, and to tell. Load, reload, unload only. \return 0, or -1 */
int agent_state_start(void);

/*!
 * \brief Tell last states, and let nothing of ours be called any more. Load, reload, unload only.
 *
 * Waits for a look that is under way, which takes microseconds, and for Asterisk's list of providers.
 */
void agent_state_stop(void);

/*! \brief What Asterisk is answered. Any thread that holds no lock of the module's; does not wait. */
enum ast_device_state agent_state_get(const char *agent);

/*! \brief Something may have changed. Any thread that holds no lock of the module's; does not wait. */
void agent_state_changed(void);

/*! \brief Calls to an agent have no prospect for so long, or (0) they have again. As above. */
void agent_state_away(const char *agent, uint32_t ms);

#endif /* CALL_AGENT_STATE_H */
