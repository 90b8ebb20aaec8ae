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
 */

#include "asterisk.h"

#include "asterisk/astobj2.h"	/* references to calls */
#include "asterisk/channel.h"	/* ast_channel_alloc */
#include "asterisk/format_cache.h"	/* ast_format_cache_get_slin_by_rate */
#include "asterisk/format_cap.h"	/* ast_format_cap_alloc */
#include "asterisk/linkedlists.h"	/* AST_LIST */
#include "asterisk/lock.h"	/* AST_MUTEX_DEFINE_STATIC */
#include "asterisk/utils.h"	/* ast_calloc */

#include "call/beside.h"
#include "call/call.h"
#include "call/dialplan.h"
#include "call/pool.h"
#include "call/registry.h"
#include "call/state.h"
#include "config/config.h"
#include "convai_ops.h"
#include "door.h"
#include "monotonic.h"

/*!
 * Who looks at the channel ends so much later than the engine gives up: it is the engine that tells the
 * agent of the limit
 */
#define GRACE_MS 250
/*! Who has not ended so much later does not look: it is said, and counted */
#define LATE_MS 1000
/*!
 * Numbers for jobs, taken in turn. Asterisk keeps the state of each for ever, as of a device, so there are
 * not many; and looks at it some time after the channel has gone, so one is not taken again soon.
 */
#define PLACES 256

struct job {
	const struct convai_job *what;	/*!< the engine's, until end_job */
	const struct convai_ops *ops;
	struct call *call;	/*!< with a reference; NULL once it has been looked at */
	int64_t began_us;
	unsigned int place;	/*!< a number that no other job has meanwhile */
	struct ast_channel *channel;	/*!< its own; NULL while there is none. Guarded by the lock. */
	AST_LIST_ENTRY(job) entry;
};

/*! What a job knows of its call, which may be over before it */
struct origin {
	char channel[AST_CHANNEL_NAME];
	char unique_id[CALL_UNIQUE_ID_SIZE];
	char number[80];
	char agent[80];
	char context[CONFIG_VALUE_SIZE];
};

AST_MUTEX_DEFINE_STATIC(lock);
static AST_LIST_HEAD_NOLOCK_STATIC(jobs, job);
static int surrogates;
static unsigned int last_place;
static int ending;	/*!< in beside_end */

/*! \brief Look at the call, and let go of it: it is not to live as long as a job that hangs */
static void take_origin(struct job *job, struct origin *origin)
{
	struct call *call = job->call;

	ast_channel_lock(call->channel);
	ast_copy_string(origin->channel, ast_channel_name(call->channel), sizeof(origin->channel));
	ast_copy_string(origin->unique_id, ast_channel_uniqueid(call->channel), sizeof(origin->unique_id));
	ast_copy_string(origin->number, S_COR(ast_channel_caller(call->channel)->id.number.valid,
		ast_channel_caller(call->channel)->id.number.str, ""), sizeof(origin->number));
	ast_channel_unlock(call->channel);
	ast_copy_string(origin->agent, call->agent->name, sizeof(origin->agent));
	ast_copy_string(origin->context, call->agent->values[KEY_TOOLS_CONTEXT], sizeof(origin->context));
	job->call = NULL;
	ao2_ref(call, -1);
}

/* ---- A channel without a caller ---- */

/*!
 * \brief A channel that nobody is told of
 *
 * Its technology is found by its name: one of Asterisk's own, for which there are no events, and neither
 * CDR nor CEL. Without a PBX it does not count as a call either. What is before the last dash is a device:
 * when a channel has gone, Asterisk would tell of its state if another had the same.
 */
static struct ast_channel *make_surrogate(const struct job *job, const struct origin *origin)
{
	const struct convai_job *what = job->what;
	struct ast_format *slin = ast_format_cache_get_slin_by_rate(8000);
	struct ast_format_cap *formats = ast_format_cap_alloc(AST_FORMAT_CAP_FLAG_DEFAULT);
	struct ast_channel *channel = NULL;
	int64_t limit_us = (what->limit_ms + GRACE_MS) * INT64_C(1000);
	const struct timeval limit = { .tv_sec = limit_us / 1000000, .tv_usec = limit_us % 1000000 };

	if (formats && !ast_format_cap_append(formats, slin, 0)) {
		/* NULL as well when Asterisk is about to end */
		channel = ast_channel_alloc(1, AST_STATE_UP, S_OR(origin->number, NULL), NULL, NULL,
			what->what.tool, origin->context, NULL, NULL, AST_AMA_NONE,
			"Surrogate/elevenlabs-%u-%08x", job->place,
			(unsigned int) ast_atomic_fetchadd_int(&surrogates, 1));
	}
	if (channel) {
		/* What the tool dials has to know a format. */
		ast_channel_nativeformats_set(channel, formats);
		ast_channel_set_rawreadformat(channel, slin);
		ast_channel_set_readformat(channel, slin);
		ast_channel_set_rawwriteformat(channel, slin);
		ast_channel_set_writeformat(channel, slin);
		ast_channel_setwhentohangup_tv(channel, limit);
		ast_channel_unlock(channel);
	}
	ao2_cleanup(formats);
	return channel;
}

static void note_channel(struct job *job, struct ast_channel *channel)
{
	SCOPED_MUTEX(locked, &lock);

	job->channel = channel;
	if (channel && ending) {
		ast_softhangup(channel, AST_SOFTHANGUP_APPUNLOAD);
	}
}

/*! \return enum convai_step_outcome */
static uint32_t run_tool(struct job *job, const struct origin *origin, char *result, size_t size)
{
	const struct convai_job *what = job->what;
	const char *tool = what->what.tool;
	struct ast_channel *channel = make_surrogate(job, origin);
	uint32_t outcome = CONVAI_STEP_UNKNOWN;

	if (!channel) {
		snprintf(result, size, "%s could not be run: the phone system has no channel for it.", tool);
		return CONVAI_STEP_FAILED;
	}
	note_channel(job, channel);
	if (dialplan_has(channel, origin->context, tool)) {
		door_verbose(3, "%s: agent %s runs tool %s on %s\n", origin->channel, origin->agent, tool,
			ast_channel_name(channel));
		door_variable(channel, "ELEVENLABS_CHANNEL", origin->unique_id, WORDS_DATA);
		/* Nobody is there to be redirected, and what does not wait ends here as well. */
		outcome = dialplan_run(channel, origin->context, &what->what, 0, result, size);
	}
	note_channel(job, NULL);
	ast_hangup(channel);
	return outcome;
}

/* ---- Jobs ---- */

static unsigned int is_late(const struct job *job)
{
	return monotonic_us() - job->began_us > (job->what->limit_ms + LATE_MS) * INT64_C(1000);
}

static int is_taken(unsigned int place)
{
	const struct job *job;

	AST_LIST_TRAVERSE(&jobs, job, entry) {
		if (job->place == place) {
			return 1;
		}
	}
	return 0;
}

static void enter(struct job *job)
{
	SCOPED_MUTEX(locked, &lock);

	do {
		job->place = last_place = (last_place + 1) % PLACES;
	} while (is_taken(job->place));
	AST_LIST_INSERT_TAIL(&jobs, job, entry);
}

static void leave(struct job *job)
{
	SCOPED_MUTEX(locked, &lock);

	AST_LIST_REMOVE(&jobs, job, entry);
}

/*! \brief The whole of a job, on a thread of the pool */
static void carry_out(void *data)
{
	struct job *job = data;
	char result[CONVAI_STEP_RESULT_BYTES] = "";
	struct origin origin;
	uint32_t outcome;

	take_origin(job, &origin);
	outcome = job->what->kind == CONVAI_JOB_STATE
		? state_tell(job->what->what.tool, result, sizeof(result))
		: run_tool(job, &origin, result, sizeof(result));
	if (is_late(job)) {
		/* Nothing can end what does not look at its channel. */
		door_log(LOG_WARNING, "%s: %s of agent %s has ended after %d s only, and had %u ms\n", origin.channel, job->what->what.tool, origin.agent,
			(int) ((monotonic_us() - job->began_us) / 1000000), job->what->limit_ms);
	}
	leave(job);
	job->ops->end_job(job->what, outcome, result);
	ast_free(job);
}

uint32_t beside_begin(struct convai_session *session, const struct convai_job *what)
{
	struct call *call = registry_find_session(session);
	struct job *job = call ? ast_calloc(1, sizeof(*job)) : NULL;

	if (!job) {
		ao2_cleanup(call);
		return CONVAI_JOB_REFUSED;
	}
	job->what = what;
	job->ops = call->ops;
	job->call = call;
	job->began_us = monotonic_us();
	enter(job);
	if (!pool_run(carry_out, job)) {
		return CONVAI_JOB_TAKEN;
	}
	leave(job);
	ast_free(job);
	ao2_ref(call, -1);
	return CONVAI_JOB_NO_ROOM;
}

struct beside_numbers beside_count(void)
{
	struct beside_numbers numbers = { 0, 0 };
	struct job *job;
	SCOPED_MUTEX(locked, &lock);

	AST_LIST_TRAVERSE(&jobs, job, entry) {
		numbers.all++;
		numbers.late += is_late(job);
	}
	return numbers;
}

int beside_end(int limit_ms)
{
	struct job *job;
	int res;

	ast_mutex_lock(&lock);
	ending = 1;
	AST_LIST_TRAVERSE(&jobs, job, entry) {
		if (job->channel) {
			ast_softhangup(job->channel, AST_SOFTHANGUP_APPUNLOAD);
		}
	}
	ast_mutex_unlock(&lock);
	res = pool_close(limit_ms);
	ast_mutex_lock(&lock);
	ending = 0;
	ast_mutex_unlock(&lock);
	return res;
}
