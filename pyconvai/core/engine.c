/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The engine's front door: how other threads reach the loop thread, and how it is stopped
 *
 * New sessions arrive in a lock-free inbox, and an eventfd wakes the loop. Rare requests (end all,
 * stop) wait under a mutex that no audio path touches. Each copy of the compiled core, that is, each
 * generation, has one engine.
 */

#include "engine.h"
#include "information.h"
#include "inquiry.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/*! Longest build id or version, with its terminator; a build id has 12 characters */
#define CONVAI_NAME_BYTES 64

/*!
 * How long a stop that may wait waits for a log call that is under way, in ms. A call into the host's
 * logger takes microseconds; one that takes this long is stuck.
 */
#define CONVAI_HOST_DRAIN_MS 1000

struct convai_engine {
	_Atomic(struct convai_session *) inbox;	/*!< newest first */
	atomic_int wake_fd;			/*!< -1 before a start, and when stopped for good */
	atomic_int accepting;			/*!< new sessions are taken */
	atomic_int debug;			/*!< messages of all sessions are logged */
	atomic_int hangups;			/*!< a channel has hung up since the loop last looked */
	atomic_int outbox_filled;		/*!< a text has been put into an outbox since then */
	atomic_int holds;			/*!< a caller has held or come back since then */
	atomic_int steps;			/*!< a step has begun or ended since then */
	atomic_int jobs;			/*!< a job is over since then */
	atomic_uint_fast64_t webhooks_waiting;	/*!< the loop thread writes, any thread reads */

	_Atomic(const struct convai_host *) host;
	atomic_int host_calls;			/*!< calls into the host that are under way */

	/* Under the lock */
	pthread_mutex_t lock;
	pthread_cond_t changed;			/*!< running has changed */
	int running;				/*!< the loop thread is in its loop */
	unsigned int starts;			/*!< how often convai_engine_open has succeeded */
	enum convai_wish wish;
	uint32_t end_status;			/*!< CONVAI_STATUS_NONE: nothing asked for */
	char end_reason[CONVAI_REASON_BYTES];
	struct convai_own_job *jobs_over;	/*!< newest first */
};

static struct convai_engine convai_engine = {
	.wake_fd = -1,
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.changed = PTHREAD_COND_INITIALIZER,
};

/*! \brief Wake the loop. Any thread that holds a session or the lock: neither lets the descriptor close. */
static void wake(void)
{
	int fd = atomic_load(&convai_engine.wake_fd);

	if (fd >= 0) {
		convai_signal(fd);
	}
}

static int convai_op_running(void)
{
	int running;

	pthread_mutex_lock(&convai_engine.lock);
	running = convai_engine.running;
	pthread_mutex_unlock(&convai_engine.lock);
	return running;
}

/* ---- Loop thread ---- */

int convai_engine_open(void)
{
	if (convai_op_running()) {
		errno = EBUSY;
		return -1;
	}
	if (convai_engine.wake_fd < 0) {
		convai_engine.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (convai_engine.wake_fd < 0) {
			return -1;
		}
	}
	pthread_mutex_lock(&convai_engine.lock);
	convai_engine.running = 1;
	convai_engine.starts++;
	convai_engine.wish = CONVAI_WISH_NONE;
	convai_engine.end_status = CONVAI_STATUS_NONE;
	pthread_mutex_unlock(&convai_engine.lock);
	convai_engine_tell_webhooks(0);
	atomic_store(&convai_engine.accepting, 1);
	convai_inquiries_accept();
	convai_information_accept();
	return 0;
}

int convai_engine_wake_fd(void)
{
	return convai_engine.wake_fd;
}

int convai_engine_debugging(const struct convai_session *session, int wished)
{
	switch (atomic_load_explicit(&session->debug, memory_order_relaxed)) {
	case CONVAI_DEBUG_ON:
		return 1;
	case CONVAI_DEBUG_OFF:
		return 0;
	default:
		return wished || atomic_load_explicit(&convai_engine.debug, memory_order_relaxed);
	}
}

int convai_engine_woken(void)
{
	convai_signal_clear(convai_engine.wake_fd);
	return atomic_exchange(&convai_engine.hangups, 0);
}

int convai_engine_outbox_filled(void)
{
	return atomic_exchange(&convai_engine.outbox_filled, 0);
}

int convai_engine_holds(void)
{
	return atomic_exchange(&convai_engine.holds, 0);
}

int convai_engine_steps(void)
{
	return atomic_exchange(&convai_engine.steps, 0);
}

int convai_engine_quiet_changed(void)
{
	return atomic_load(&convai_engine.holds) || atomic_load(&convai_engine.steps);
}

struct convai_session *convai_engine_take_inbox(void)
{
	struct convai_session *newest = atomic_exchange(&convai_engine.inbox, NULL);
	struct convai_session *oldest = NULL;

	while (newest) {
		struct convai_session *next = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	return oldest;
}

/*! \brief Take the jobs that are over, newest first. The lock is held. */
static struct convai_own_job *take_jobs(void)
{
	struct convai_own_job *jobs = convai_engine.jobs_over;

	convai_engine.jobs_over = NULL;
	return jobs;
}

struct convai_own_job *convai_engine_take_jobs(void)
{
	struct convai_own_job *jobs;

	if (!atomic_exchange(&convai_engine.jobs, 0)) {
		return NULL;
	}
	pthread_mutex_lock(&convai_engine.lock);
	jobs = take_jobs();
	pthread_mutex_unlock(&convai_engine.lock);
	return jobs;
}

static enum convai_wish current_wish(void)
{
	enum convai_wish wish;

	pthread_mutex_lock(&convai_engine.lock);
	wish = convai_engine.wish;
	pthread_mutex_unlock(&convai_engine.lock);
	return wish;
}

/*! \brief End the new sessions: no loop will ever serve them. Any thread. */
static void refuse_inbox(void)
{
	struct convai_session *session = convai_engine_take_inbox();
	int asked = current_wish() != CONVAI_WISH_NONE;
	uint32_t status = asked ? CONVAI_STATUS_UNLOADED : CONVAI_STATUS_ERROR;
	const char *reason = asked ? "the engine has been stopped" : "the engine's loop has failed";

	while (session) {
		struct convai_session *next = session->next;

		convai_session_end(session, status, reason, "", 0);
		convai_session_unref(session);
		session = next;
	}
}

/*!
 * \brief Close the loop's descriptor, unless there are sessions. The lock is held.
 *
 * A channel that hangs up later would write to a descriptor that somebody else may have by then.
 */
static void close_wake(void)
{
	if (!convai_session_count()) {
		int fd = atomic_exchange(&convai_engine.wake_fd, -1);

		if (fd >= 0) {
			close(fd);
		}
	}
}

void convai_engine_refuse(void)
{
	atomic_store(&convai_engine.accepting, 0);
	convai_inquiries_refuse();
}

void convai_engine_closed(void)
{
	struct convai_own_job *jobs;

	convai_engine_refuse();
	convai_information_refuse();
	refuse_inbox();
	pthread_mutex_lock(&convai_engine.lock);
	convai_engine.running = 0;
	jobs = take_jobs();
	if (convai_engine.wish == CONVAI_WISH_STOP) {
		/* Whoever asked for the stop may not have waited for it. */
		close_wake();
	}
	pthread_cond_broadcast(&convai_engine.changed);
	pthread_mutex_unlock(&convai_engine.lock);
	convai_job_free(jobs);
}

enum convai_wish convai_engine_requests(uint32_t *end_status, char *end_reason)
{
	enum convai_wish wish;

	pthread_mutex_lock(&convai_engine.lock);
	wish = convai_engine.wish;
	*end_status = convai_engine.end_status;
	memcpy(end_reason, convai_engine.end_reason, CONVAI_REASON_BYTES);
	convai_engine.end_status = CONVAI_STATUS_NONE;
	pthread_mutex_unlock(&convai_engine.lock);
	return wish;
}

/*!
 * \brief Begin a call into the host. leave_host ends it, also where there is none.
 *
 * Counted before the pointer is read: stop clears the pointer and then waits for the count. So
 * either stop sees this call, or this call sees no host.
 *
 * \return its table, or NULL
 */
static const struct convai_host *enter_host(void)
{
	atomic_fetch_add(&convai_engine.host_calls, 1);
	return atomic_load(&convai_engine.host);
}

static void leave_host(void)
{
	atomic_fetch_sub(&convai_engine.host_calls, 1);
}

void convai_engine_log(uint32_t level, const char *channel, const char *text)
{
	const struct convai_host *host = enter_host();

	if (host) {
		host->log(level, channel, text);
	}
	leave_host();
}

uint32_t convai_engine_begin_job(struct convai_session *session, struct convai_own_job *job)
{
	const struct convai_host *host = enter_host();
	uint32_t verdict = host ? host->begin_job(session, &job->job) : CONVAI_JOB_REFUSED;

	leave_host();
	return verdict;
}

void convai_engine_away(const char *agent, uint32_t ms)
{
	const struct convai_host *host = enter_host();

	if (host) {
		host->away(agent, ms);
	}
	leave_host();
}

/* ---- Any thread, through struct convai_ops ---- */

static int convai_op_attach(const struct convai_host *host)
{
	if (host->abi_version != CONVAI_ABI_VERSION || host->size != sizeof(*host)) {
		return -1;
	}
	atomic_store(&convai_engine.host, host);
	return 0;
}

static struct convai_session *convai_op_open(const struct convai_request *request)
{
	struct convai_session *session;

	if (!atomic_load(&convai_engine.accepting)) {
		errno = ESHUTDOWN;
		return NULL;
	}
	session = convai_session_new(request);
	if (!session) {
		return NULL;
	}
	session->next = atomic_load(&convai_engine.inbox);
	while (!atomic_compare_exchange_weak(&convai_engine.inbox, &session->next, session)) {
		continue;
	}
	/* The loop may have ended since the first look: nobody else looks into the inbox then. */
	if (!atomic_load(&convai_engine.accepting)) {
		refuse_inbox();
	}
	wake();
	return session;
}

static void convai_op_hangup(struct convai_session *session)
{
	if (!atomic_exchange(&session->hung_up, 1)) {
		atomic_store(&convai_engine.hangups, 1);
		wake();
	}
}

static void convai_op_hold(struct convai_session *session, int on)
{
	convai_turns_forget(&session->turns);
	atomic_store(&session->held, on);
	atomic_store(&convai_engine.holds, 1);
	wake();
}

static void tell_step(void)
{
	atomic_store(&convai_engine.steps, 1);
	wake();
}

static const struct convai_step *convai_op_take_step(struct convai_session *session)
{
	return convai_step_take(&session->step);
}

static int convai_op_begin_step(struct convai_session *session)
{
	int refused = convai_step_begin(&session->step);

	convai_turns_forget(&session->turns);
	tell_step();
	return refused;
}

static void convai_op_end_step(struct convai_session *session, uint32_t outcome, const char *result)
{
	convai_step_end(&session->step, outcome, result);
	tell_step();
}

static const struct convai_event *convai_op_take_event(struct convai_session *session)
{
	return convai_news_take(&session->news);
}

static void convai_op_end_job(const struct convai_job *ended, uint32_t outcome, const char *result)
{
	struct convai_own_job *job = (struct convai_own_job *) ended;

	convai_job_note(job, outcome, result);
	pthread_mutex_lock(&convai_engine.lock);
	if (convai_engine.running) {
		job->next = convai_engine.jobs_over;
		convai_engine.jobs_over = job;
		atomic_store(&convai_engine.jobs, 1);
		wake();
		job = NULL;
	}
	pthread_mutex_unlock(&convai_engine.lock);
	/* Nobody asks for it any more. */
	convai_job_free(job);
}

static int convai_op_send(struct convai_session *session, uint32_t kind, const char *text)
{
	int failure = convai_session_say(session, kind, text);

	if (failure) {
		errno = failure;
		return -1;
	}
	atomic_store(&convai_engine.outbox_filled, 1);
	wake();
	return 0;
}

/*! \brief Wake the loop, if there is one, for somebody who holds no session */
static void wake_locked(void)
{
	pthread_mutex_lock(&convai_engine.lock);
	wake();
	pthread_mutex_unlock(&convai_engine.lock);
}

static struct convai_inquiry *convai_op_inquire(const struct convai_question *question)
{
	struct convai_inquiry *inquiry = convai_inquiry_ask(question);

	if (inquiry) {
		wake_locked();
	}
	return inquiry;
}

static void convai_op_inquiry_release(struct convai_inquiry *inquiry)
{
	convai_inquiry_leave(inquiry);
	wake_locked();
}

static int convai_op_inform(uint32_t what, const struct convai_pair *pairs, uint32_t pair_count)
{
	if (convai_information_put(what, pairs, pair_count)) {
		return -1;
	}
	wake_locked();
	return 0;
}

static void convai_op_release(struct convai_session *session)
{
	convai_op_hangup(session);
	convai_session_unref(session);
}

static uint64_t convai_op_webhooks_waiting(void)
{
	return atomic_load_explicit(&convai_engine.webhooks_waiting, memory_order_relaxed);
}

void convai_engine_tell_webhooks(uint64_t waiting)
{
	atomic_store_explicit(&convai_engine.webhooks_waiting, waiting, memory_order_relaxed);
}

static void convai_op_set_debug(int on)
{
	atomic_store(&convai_engine.debug, on);
}

static void convai_op_end_all(uint32_t status, const char *reason)
{
	pthread_mutex_lock(&convai_engine.lock);
	convai_engine.end_status = status;
	strncpy(convai_engine.end_reason, reason, CONVAI_REASON_BYTES - 1);
	wake();
	pthread_mutex_unlock(&convai_engine.lock);
}

/*! \brief Ask the loop to end. A more urgent wish stays. */
static void ask(enum convai_wish wish)
{
	pthread_mutex_lock(&convai_engine.lock);
	/* Whoever sees that none is taken waits for the lock, and so sees why: refuse_inbox. */
	convai_engine_refuse();
	if (convai_engine.wish < wish) {
		convai_engine.wish = wish;
	}
	wake();
	pthread_mutex_unlock(&convai_engine.lock);
}

static void convai_op_finish(void)
{
	ask(CONVAI_WISH_FINISH);
}

/*!
 * \brief Let go of the host's table
 * \return 0, or -1 when a call into the host was still under way at the limit
 */
static int withdraw_host(int limit_ms)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	int waited;

	atomic_store(&convai_engine.host, NULL);
	for (waited = 0; atomic_load(&convai_engine.host_calls); waited++) {
		if (waited == limit_ms) {
			return -1;
		}
		nanosleep(&ms, NULL);
	}
	return 0;
}

/*! \brief Wait until the loop has ended. \return whether it still runs at the limit */
static int await_end(uint32_t limit_ms)
{
	struct timespec until;
	int running, timed_out = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += limit_ms / 1000;
	until.tv_nsec += limit_ms % 1000 * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	pthread_mutex_lock(&convai_engine.lock);
	while (convai_engine.running && !timed_out) {
		timed_out = pthread_cond_clockwait(&convai_engine.changed, &convai_engine.lock,
				CLOCK_MONOTONIC, &until);
	}
	running = convai_engine.running;
	pthread_mutex_unlock(&convai_engine.lock);
	return running;
}

static int convai_op_stop(uint32_t limit_ms)
{
	int running;

	ask(CONVAI_WISH_STOP);
	running = await_end(limit_ms);
	if (running && !limit_ms) {
		return -1;
	}
	refuse_inbox();
	if (withdraw_host(limit_ms ? CONVAI_HOST_DRAIN_MS : 0) || running) {
		return -1;
	}
	pthread_mutex_lock(&convai_engine.lock);
	close_wake();
	pthread_mutex_unlock(&convai_engine.lock);
	return 0;
}

static const char contract_mark[] __attribute__((used)) = CONVAI_CONTRACT_MARK;

static struct convai_ops table = {
	.abi_version = CONVAI_ABI_VERSION,
	.size = sizeof(struct convai_ops),
	.attach = convai_op_attach,
	.open = convai_op_open,
	.event_fd = convai_op_event_fd,
	.poll = convai_op_poll,
	.push = convai_op_push,
	.push_silence = convai_op_push_silence,
	.pop = convai_op_pop,
	.queued = convai_op_queued,
	.hangup = convai_op_hangup,
	.release = convai_op_release,
	.counters = convai_op_counters,
	.timings = convai_op_timings,
	.send = convai_op_send,
	.set_session_debug = convai_op_set_session_debug,
	.set_debug = convai_op_set_debug,
	.end_all = convai_op_end_all,
	.finish = convai_op_finish,
	.running = convai_op_running,
	.stop = convai_op_stop,
	.hold = convai_op_hold,
	.take_step = convai_op_take_step,
	.begin_step = convai_op_begin_step,
	.end_step = convai_op_end_step,

	.inquire = convai_op_inquire,
	.inquiry_fd = convai_op_inquiry_fd,
	.inquiry_poll = convai_op_inquiry_poll,
	.inquiry_release = convai_op_inquiry_release,
	.take_event = convai_op_take_event,

	.end_job = convai_op_end_job,
	.agent_timings = convai_op_agent_timings,
	.turns = convai_op_turns,
	.words = convai_op_words,
	.levels = convai_op_levels,
	.turn_list = convai_op_turn_list,
	.inform = convai_op_inform,
	.webhooks_waiting = convai_op_webhooks_waiting,
};

/* ---- Whoever starts the engine ---- */

unsigned int convai_engine_starts(void)
{
	unsigned int starts;

	pthread_mutex_lock(&convai_engine.lock);
	starts = convai_engine.starts;
	pthread_mutex_unlock(&convai_engine.lock);
	return starts;
}

void convai_engine_stop_start(unsigned int start)
{
	pthread_mutex_lock(&convai_engine.lock);
	if (convai_engine.starts == start && convai_engine.running) {
		convai_engine_refuse();
		convai_engine.wish = CONVAI_WISH_STOP;
		wake();
	}
	pthread_mutex_unlock(&convai_engine.lock);
}

void convai_engine_name(const char *build_id, const char *version)
{
	static char names[2][CONVAI_NAME_BYTES];

	/* Once: when the loop is started again, others may be reading. */
	if (!table.build_id) {
		snprintf(names[0], CONVAI_NAME_BYTES, "%s", build_id);
		snprintf(names[1], CONVAI_NAME_BYTES, "%s", version);
		table.build_id = names[0];
		table.version = names[1];
	}
}

const struct convai_ops *convai_engine_ops(void)
{
	return &table;
}
