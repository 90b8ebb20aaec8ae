/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief A job on its way: from the loop thread to the module, and back from any thread
 *
 * The loop makes it and hands it over (convai_engine_begin_job), and knows it by its ticket from then
 * on. Whoever ends it puts it among those that are over, from where the loop takes it.
 */

#ifndef CONVAI_JOB_H
#define CONVAI_JOB_H

#include <stdint.h>

#include "convai_ops.h"

struct convai_own_job {
	struct convai_job job;		/*!< first: what the module knows of it */
	struct convai_step *step;	/*!< owned: what job.what points into */
	uint64_t ticket;		/*!< no other has had it */
	uint32_t outcome;		/*!< enum convai_step_outcome */
	char *result;			/*!< owned; NULL reads as "" */
	struct convai_own_job *next;	/*!< among those that are over */
};

/*!
 * \brief Make one, all of which is copied. Loop thread.
 * \param kind enum convai_job_kind
 * \param arguments name, value, name, value ...
 * \return it, or NULL when memory is short
 */
struct convai_own_job *convai_job_new(uint32_t kind, uint32_t limit_ms, const char *tool,
	const char *const *arguments, uint32_t argument_count);

/*! \brief Note how it has ended. Whoever has it. */
void convai_job_note(struct convai_own_job *job, uint32_t outcome, const char *result);

/*! \brief Free a list of them; NULL is an empty one */
void convai_job_free(struct convai_own_job *job);

#endif /* CONVAI_JOB_H */
