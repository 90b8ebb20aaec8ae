/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The generations of the engine that are alive: one in service, others on their way out
 *
 * Every call belongs to the generation that was in service when it began, and keeps it
 * alive. When another one comes into service, the one before ends with its last call.
 * One mutex guards the list; it is held for looks and pointers, never while something
 * is imported or waited for, so that a channel thread may take it.
 */

#ifndef ENGINE_GENERATION_H
#define ENGINE_GENERATION_H

#include <stddef.h>

#include "convai_ops.h"

/*! Longest list that is shown. More than a few alive at once is a sign of calls that never end. */
#define GENERATIONS_SHOWN 64

struct generation;

enum generation_verdict {
	GENERATION_NEW,		/*!< another engine is in service now */
	GENERATION_SAME,	/*!< what is installed is in service already */
	GENERATION_REFUSED,	/*!< what is installed is not fit; what was in service still is */
};

/*! What is told of one generation, copied */
struct generation_view {
	char build_id[64];
	char version[64];
	unsigned int abi_version;
	unsigned int calls;	/*!< that began with it and are not over */
	int seconds;	/*!< since it came into service */
	unsigned int in_service:1;
	unsigned int running:1;	/*!< its loop has not ended */
};

/*!
 * \brief Put the engine that is installed into service, if it is another one
 *
 * Threads that load and reload the module, one at a time. Waits for some seconds at most.
 *
 * \param[out] error one line on what is wrong and what helps, when refused
 */
enum generation_verdict generation_renew(const struct convai_host *host, char *error,
	size_t size);

/*!
 * \brief The generation in service, with one more user; NULL if there is none that runs
 *
 * Any thread, also a channel's: takes a mutex for a moment.
 */
struct generation *generation_take(void);

/*!
 * \brief Let go of it. The last user of one that is not in service any more has it end.
 *
 * Any thread, also a channel's: takes a mutex for a moment.
 */
void generation_leave(struct generation *generation);

/*! \brief Its table of functions */
const struct convai_ops *generation_ops(const struct generation *generation);

/*! \brief Whether the generation in service is there, and serves */
int generation_serves(void);

/*!
 * \brief Describe those that are alive, the one in service first, then from new to old
 *
 * Any thread: takes a mutex for a moment. What has gone is left out; a reload strikes it off.
 *
 * \return how many were written to views
 */
size_t generation_list(struct generation_view *views, size_t count);

/*! \brief Directory that the engine in service was imported from; "" if there is none */
void generation_directory(char *directory, size_t size);

/*!
 * \brief Tell every engine these settings (CONVAI_INFORM_SETTINGS)
 *
 * Copied. Any thread: takes a mutex for a moment.
 *
 * \param settings the first one's value is set here: whether the engine is the one in service
 * \return 0, or -1 when memory is short; what an engine has been told before then stays
 */
int generation_inform(struct convai_pair *settings, uint32_t count);

/*! \brief Log every message of every session, of those to come as well, or not any more */
void generation_set_debug(int on);

/*! \brief Whether generation_set_debug(1) is in effect */
int generation_debug(void);

/*! \brief End every session of every generation. Does not wait. */
void generation_end_all(enum convai_status status, const char *reason);

/*!
 * \brief Stop every generation, close its conversations, and take the host back
 *
 * Several threads may do this at once: an unload, and the end of Asterisk.
 *
 * \param limit_ms for all together; a call into the host that is under way may take
 * CONVAI_HOST_DRAIN_MS more
 * \param for_good nothing comes into service any more
 * \return 0, or -1 if one has not ended within the limit; the others have
 */
int generation_stop_all(int limit_ms, int for_good);

#endif /* ENGINE_GENERATION_H */
