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
 */

#include "timed.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "histogram.h"

struct convai_timed {
	struct convai_histogram histograms[CONVAI_TIMING_COUNT];
	struct convai_timed *next;	/*!< older */
	uint32_t number;		/*!< of those that are older */
	char *agent;
};

/*! Of all sessions */
static struct convai_histogram all[CONVAI_TIMING_COUNT];

/*! The newest agent's */
static _Atomic(struct convai_timed *) newest;

static struct convai_timed *find(struct convai_timed *from, const char *agent)
{
	while (from && strcasecmp(from->agent, agent)) {
		from = from->next;
	}
	return from;
}

static struct convai_timed *make(const char *agent)
{
	/* Not calloc: histograms are aligned to cache lines. */
	struct convai_timed *timed = aligned_alloc(CONVAI_CACHE_LINE, sizeof(*timed));

	if (!timed) {
		return NULL;
	}
	memset(timed, 0, sizeof(*timed));
	timed->agent = strdup(agent);
	if (!timed->agent) {
		free(timed);
		return NULL;
	}
	return timed;
}

struct convai_timed *convai_timed_agent(const char *agent)
{
	struct convai_timed *first = atomic_load_explicit(&newest, memory_order_acquire);
	struct convai_timed *found = find(first, agent);
	struct convai_timed *made = NULL;

	while (!found) {
		if (first && first->number + 1 == CONVAI_AGENTS_TIMED) {
			break;
		}
		made = made ? made : make(agent);
		if (!made) {
			return NULL;
		}
		made->next = first;
		made->number = first ? first->number + 1 : 0;
		if (atomic_compare_exchange_weak_explicit(&newest, &first, made, memory_order_acq_rel,
			memory_order_acquire)) {
			return made;
		}
		found = find(first, agent);
	}
	if (made) {
		free(made->agent);
		free(made);
	}
	return found;
}

void convai_timed_record(struct convai_timed *agent, enum convai_timing_kind kind, int64_t from_us,
	int64_t until_us)
{
	if (!from_us || !until_us) {
		return;
	}
	convai_histogram_add(&all[kind], until_us - from_us);
	if (agent) {
		convai_histogram_add(&agent->histograms[kind], until_us - from_us);
	}
}

static void copy(struct convai_histogram *histograms, struct convai_timings *timings)
{
	uint32_t i;

	for (i = 0; i < CONVAI_TIMING_BUCKETS; i++) {
		timings->upper_us[i] = convai_histogram_upper(i);
	}
	for (i = 0; i < CONVAI_TIMING_COUNT; i++) {
		convai_histogram_copy(&histograms[i], &timings->timings[i]);
	}
}

void convai_op_timings(struct convai_timings *timings)
{
	copy(all, timings);
}

int convai_op_agent_timings(const char *agent, struct convai_timings *timings)
{
	struct convai_timed *found = find(atomic_load_explicit(&newest, memory_order_acquire), agent);

	if (!found) {
		return -1;
	}
	copy(found->histograms, timings);
	return 0;
}
