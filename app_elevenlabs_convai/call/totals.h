/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What all calls of an agent have counted, since the module was loaded
 *
 * A call is counted when it is over; one that is still up is added by whoever asks. So the sums only
 * grow, and no call is in them twice. Any thread: one mutex guards all of it. Whoever holds it may
 * lock the registry or a call, never the other way round.
 */

#ifndef CALL_TOTALS_H
#define CALL_TOTALS_H

#include <stddef.h>
#include <stdint.h>

#include "config/keys.h"
#include "convai_ops.h"

struct call;

/*! Of each, how much there has been in all calls together */
enum total {
	TOTAL_CALLS,		/*!< with an agent: what the registry refused is in the ends alone */
	TOTAL_CALLER_BYTES,	/*!< audio that the agent was given, in the format that it wants */
	TOTAL_AGENT_BYTES,	/*!< audio that was played, in the format that it speaks */
	TOTAL_CALLER_LOST_BYTES,	/*!< the caller's: neither queue nor socket took it */
	TOTAL_AGENT_LOST_BYTES,	/*!< the agent's: the playout queue was full */
	TOTAL_UNDERRUNS,	/*!< short pauses in what the agent said, for none of it was queued */
	TOTAL_LATE_FRAMES,	/*!< written more than a frame after their time */
	TOTAL_INSERTED_MS,	/*!< silence in place of audio that the caller's line did not bring */
	TOTAL_LATE_US,		/*!< the caller's audio that came too late, and was dropped */
	TOTAL_INTERRUPTIONS,
	TOTAL_MESSAGES,		/*!< of the service's */
	TOTAL_DIGITS,
	TOTAL_STEPS,
	TOTAL_TOOLS_DONE,	/*!< calls of tools, steps included, that the agent was answered */
	TOTAL_TOOLS_FAILED,	/*!< ... with an error, or a refusal */
	TOTAL_WAITS,		/*!< calls that were in the service's queue */
	TOTAL_WAITED_US,	/*!< in the service's queue */
	TOTAL_COUNT,
};

struct totals {
	uint64_t counts[TOTAL_COUNT];
	uint64_t ends[CONVAI_STATUS_UNLOADED + 1];	/*!< by enum convai_status */
};

/*! What totals_take gives; free it with ast_free */
struct totals_list {
	size_t count;
	struct agent_totals {
		char agent[CONFIG_SECTION_SIZE];	/*!< "" for names that no agent has */
		struct totals totals;
	} agents[];
};

/*! \brief A call is over: count it, once. Its session has been released. Channel thread. */
void totals_add_call(struct call *call);

/*!
 * \brief The application has ended with an agent, or turned a call away
 * \param agent NULL if there is no such agent: its name is a stranger's
 */
void totals_add_end(const char *agent, enum convai_status status);

/*! \brief Calls that an agent was asked for (NULL: all agents together), those that are up included */
unsigned int totals_calls(const char *agent);

/*! \brief All of it at this moment, the calls that are up included; NULL when out of memory */
struct totals_list *totals_take(void);

/*! \brief Forget it all; no call is up any more */
void totals_clear(void);

#endif /* CALL_TOTALS_H */
