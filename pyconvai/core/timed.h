/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief How long things take: the histograms of all sessions, and those of each agent's
 *
 * Any thread; no lock. What was counted stays for as long as the process: a list that only grows has one
 * entry for each agent that was ever called, so that nobody waits for anybody and nothing is freed.
 */

#ifndef CONVAI_TIMED_H
#define CONVAI_TIMED_H

#include <stdint.h>

#include "convai_ops.h"

/*! Agents that are counted by name, 17 kB each; of others all sessions' histograms tell alone */
#define CONVAI_AGENTS_TIMED 1000

struct convai_timed;

/*! \brief The histograms of an agent, made if need be. NULL: memory is short, or there are too many. */
struct convai_timed *convai_timed_agent(const char *agent);

/*!
 * \brief Count the time from one moment to another, in microseconds, unless one of them (0) is not known
 * \param agent counted there as well; may be NULL
 */
void convai_timed_record(struct convai_timed *agent, enum convai_timing_kind kind, int64_t from_us,
	int64_t until_us);

/* Entries of struct convai_ops */
void convai_op_timings(struct convai_timings *timings);
int convai_op_agent_timings(const char *agent, struct convai_timings *timings);

#endif /* CONVAI_TIMED_H */
