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
 */

#include "job.h"

#include <stdlib.h>
#include <string.h>

#include "step.h"

/*! Of the job that was made last. Kept over a restart of the loop: what is late is still late. */
static uint64_t last_ticket;

struct convai_own_job *convai_job_new(uint32_t kind, uint32_t limit_ms, const char *tool,
	const char *const *arguments, uint32_t argument_count)
{
	struct convai_own_job *job = calloc(1, sizeof(*job));

	if (!job) {
		return NULL;
	}
	job->step = convai_step_copy(CONVAI_STEP_DIALPLAN, tool, arguments, argument_count);
	if (!job->step) {
		free(job);
		return NULL;
	}
	job->job = (struct convai_job) { .kind = kind, .limit_ms = limit_ms, .what = *job->step };
	job->ticket = ++last_ticket;
	return job;
}

void convai_job_note(struct convai_own_job *job, uint32_t outcome, const char *result)
{
	job->outcome = outcome;
	job->result = strndup(result, CONVAI_STEP_RESULT_BYTES - 1);
}

void convai_job_free(struct convai_own_job *job)
{
	while (job) {
		struct convai_own_job *next = job->next;

		free(job->step);
		free(job->result);
		free(job);
		job = next;
	}
}
