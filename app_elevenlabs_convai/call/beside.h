/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Jobs: what the agent wants done beside its call, which goes on meanwhile
 *
 * A tool is dialplan on a channel of its own, in a thread of the pool. Its limit ends what looks at the
 * channel, as all that waits there does; whoever does not look (SHELL, CURL, ODBC) keeps its thread. The
 * engine waits for neither.
 */

#ifndef CALL_BESIDE_H
#define CALL_BESIDE_H

#include <stdint.h>

struct convai_job;
struct convai_session;

/*! \brief As convai_ops.h says of begin_job. Loop thread. */
uint32_t beside_begin(struct convai_session *session, const struct convai_job *job);

/*! How many jobs are under way */
struct beside_numbers {
	unsigned int all;
	unsigned int late;	/*!< of these: beyond their limits */
};

struct beside_numbers beside_count(void);

/*!
 * \brief Hang up the channels of all jobs, and end the pool's threads
 * \return 0: no thread of it is left; -1: one was at the limit
 */
int beside_end(int limit_ms);

#endif /* CALL_BESIDE_H */
