/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The core's shared structures under two real threads, for the sanitizers to watch
 *
 * Each test moves a stream whose every byte follows from its position, so that a byte lost, repeated
 * or out of place is seen at once. Run by tests/unit/test_threads.py, once under the thread sanitizer
 * and once under address and undefined-behaviour sanitizers.
 */

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "information.h"
#include "check.h"
#include "engine.h"
#include "histogram.h"
#include "inquiry.h"

/*! Longest wait for something that comes at once, ms: little less than the whole program is given */
#define LIMIT_MS 50000
/*! A stop that only asks is quicker than that, ms: one that waits gives the host a second */
#define ASKED_MS 500
/*! So often it is asked until one time was quick: a machine that is busy holds up some, not all */
#define ASKED_TIMES 20
#define STREAM_BYTES 4000000
#define SESSIONS 2000
#define SAYINGS 20000
#define STEPS 2000
#define INQUIRIES 3000
#define JOBS 5000

static uint8_t byte_at(uint64_t position)
{
	return (position * 2654435761u) >> 13;
}

static void wait_ms(long ms)
{
	const struct timespec moment = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&moment, NULL);
}

/* A generator of its own for each thread: rand() is shared */
static uint32_t next_size(uint32_t *seed, uint32_t limit)
{
	*seed = *seed * 1664525u + 1013904223u;
	return 1 + (*seed >> 8) % limit;
}

/* ---- Uplink: channel thread puts, loop thread takes ---- */

static void *ring_writer(void *arg)
{
	struct convai_ring *ring = arg;
	uint64_t at = 0;
	uint32_t seed = 1;
	uint8_t frame[960];

	while (at < STREAM_BYTES) {
		uint32_t n = next_size(&seed, sizeof(frame)), i;

		for (i = 0; i < n; i++) {
			frame[i] = byte_at(at + i);
		}
		n = convai_ring_put(ring, frame, 0, n);
		at += n;
		if (!n) {
			sched_yield();
		}
	}
	return NULL;
}

static void test_ring(void)
{
	struct convai_ring ring;
	pthread_t writer;
	uint64_t at = 0;
	uint32_t seed = 2;
	uint8_t chunk[1000];

	CHECK(convai_ring_init(&ring, 4001) == 0);
	CHECK(pthread_create(&writer, NULL, ring_writer, &ring) == 0);
	while (at < STREAM_BYTES) {
		uint64_t waiting = convai_ring_waiting(&ring);
		uint32_t n = next_size(&seed, sizeof(chunk)), i;

		CHECK(waiting <= 4001);
		if (!waiting) {
			sched_yield();
		}
		if (waiting < n) {
			n = waiting;
		}
		convai_ring_take(&ring, chunk, n);
		for (i = 0; i < n; i++) {
			CHECK(chunk[i] == byte_at(at + i));
		}
		at += n;
	}
	pthread_join(writer, NULL);
	convai_ring_free(&ring);
}

/* ---- Their times: channel thread puts, loop thread looks ---- */

static struct convai_stamps stamps;
static struct convai_histogram histogram;

/* The stamp of each byte follows from its position; every third piece has none. */
static void *stamps_writer(void *arg)
{
	struct convai_ring *ring = arg;
	const uint8_t frame[200] = { 0 };
	uint32_t seed = 5;
	uint64_t at = 0;

	while (at < STREAM_BYTES) {
		uint32_t n = convai_ring_put(ring, frame, 0, next_size(&seed, sizeof(frame)));

		if (n && seed % 3) {
			convai_stamps_put(&stamps, at, at + n, at + 1);
		}
		at += n;
		convai_histogram_add(&histogram, n);
		if (!n) {
			sched_yield();
		}
	}
	return NULL;
}

static void test_stamps(void)
{
	struct convai_ring ring;
	struct convai_timing timing;
	pthread_t writer;
	uint64_t at = 0, found = 0, counted = 0;
	uint32_t i;
	uint8_t chunk[160];

	CHECK(convai_ring_init(&ring, 4000) == 0);
	CHECK(pthread_create(&writer, NULL, stamps_writer, &ring) == 0);
	while (at + sizeof(chunk) <= STREAM_BYTES) {
		int64_t put_us;

		if (convai_ring_waiting(&ring) < sizeof(chunk)) {
			convai_histogram_copy(&histogram, &timing);
			sched_yield();
			continue;
		}
		convai_ring_take(&ring, chunk, sizeof(chunk));
		at += sizeof(chunk);
		put_us = convai_stamps_find(&stamps, at - 1);
		CHECK(!put_us || ((uint64_t) put_us <= at && put_us + 200 > (int64_t) at));
		found += put_us != 0;
		convai_histogram_add(&histogram, -1);
	}
	pthread_join(writer, NULL);
	CHECK(found > STREAM_BYTES / sizeof(chunk) / 10);
	convai_histogram_copy(&histogram, &timing);
	for (i = 0; i < CONVAI_TIMING_BUCKETS; i++) {
		counted += timing.counts[i];
	}
	CHECK(counted > STREAM_BYTES / 200 + STREAM_BYTES / sizeof(chunk));
	CHECK(timing.max_us == 200);
	convai_ring_free(&ring);
}

/* ---- Playout: loop thread appends and flushes, channel thread takes ---- */

static void *playout_writer(void *arg)
{
	struct convai_playout *playout = arg;
	uint64_t at = 0;
	uint32_t seed = 3;

	while (at < STREAM_BYTES) {
		struct convai_segment *segment = convai_segment_new(next_size(&seed, 5000));
		uint32_t i;

		CHECK(segment != NULL);
		for (i = 0; i < segment->length; i++) {
			segment->data[i] = byte_at(at + i);
		}
		at += segment->length;
		convai_playout_append(playout, segment);
		if (next_size(&seed, 50) == 1) {
			convai_playout_flush(playout, at);
		}
		while (convai_playout_queued(playout) > 100000) {
			sched_yield();
		}
	}
	return NULL;
}

static void test_playout(void)
{
	struct convai_playout playout;
	pthread_t writer;
	uint64_t played = 0, position = 0;
	uint32_t seed = 4;
	uint8_t frame[2000];

	CHECK(convai_playout_init(&playout) == 0);
	CHECK(pthread_create(&writer, NULL, playout_writer, &playout) == 0);
	while (position < STREAM_BYTES) {
		uint32_t n = convai_playout_take(&playout, frame, next_size(&seed, sizeof(frame)), 1), i;

		position = atomic_load(&playout.position);
		for (i = 0; i < n; i++) {
			CHECK(frame[i] == byte_at(position - n + i));
		}
		played += n;
		if (!n) {
			sched_yield();
		}
	}
	pthread_join(writer, NULL);
	CHECK(played + atomic_load(&playout.skipped) == position);
	CHECK(atomic_load(&playout.skipped) > 0);
	convai_playout_free(&playout);
}

/* ---- Engine: channels open and hang up while the loop takes them, until it is stopped ---- */

static atomic_int logged;

static void log_nothing(uint32_t level, const char *channel, const char *text)
{
	(void) level;
	(void) channel;
	(void) text;
	atomic_fetch_add(&logged, 1);
}

static void *loop_thread(void *arg)
{
	const struct convai_format ulaw = { CONVAI_ENCODING_ULAW, 8000 };
	char reason[CONVAI_REASON_BYTES];
	uint32_t end_status;
	int stop;

	(void) arg;
	do {
		struct convai_session *session;

		convai_engine_woken();
		stop = convai_engine_requests(&end_status, reason);
		session = convai_engine_take_inbox();
		while (session) {
			struct convai_session *next = session->next;

			convai_engine_log(CONVAI_LOG_DEBUG, session->channel, "hello");
			CHECK(convai_session_agree(session, ulaw, ulaw, "conv_1") == 0);
			convai_session_queue(session);
			convai_session_talk(session);
			if (convai_engine_holds()) {
				CHECK((unsigned int) convai_session_held(session) <= 1);
			}
			convai_session_end(session, CONVAI_STATUS_AGENT_ENDED, "over", "said", 1);
			convai_session_unref(session);
			session = next;
		}
		sched_yield();
	} while (!stop);
	convai_engine_closed();
	return NULL;
}

static void *channel_thread(void *arg)
{
	const struct convai_pair pairs[] = { { CONVAI_PAIR_SETTING, "agent_id", "agent_x" } };
	const struct convai_request request = { "Local/1", "sales_agent", pairs, 1 };
	const struct convai_ops *ops = arg;
	int i;

	for (i = 0; i < SESSIONS; i++) {
		struct convai_session *session = ops->open(&request);
		struct convai_progress progress;
		struct convai_timings timings;
		uint8_t frame[160] = { 0 };

		if (!session) {
			CHECK(errno == ESHUTDOWN);
			return NULL;
		}
		do {
			ops->hold(session, i % 2);
			ops->push(session, frame, sizeof(frame), i + 1);
			ops->push_silence(session, 20);
			ops->pop(session, frame, sizeof(frame), i + 1);
			ops->timings(&timings);
			ops->poll(session, &progress);
			sched_yield();
		} while (progress.state != CONVAI_STATE_ENDED);
		CHECK(progress.status == CONVAI_STATUS_AGENT_ENDED
			|| progress.status == CONVAI_STATUS_UNLOADED);
		ops->release(session);
	}
	return NULL;
}

/* As the module does it when another generation is in service. */
static void finish(const struct convai_ops *ops)
{
	ops->finish();
	while (ops->running()) {
		wait_ms(1);
	}
	CHECK(ops->stop(0) == 0);
}

static void test_engine(void)
{
	const struct convai_host host = {
		.abi_version = CONVAI_ABI_VERSION, .size = sizeof(host), .log = log_nothing,
	};
	const struct convai_ops *ops = convai_engine_ops();
	pthread_t loop, channels[3];
	int round, i;

	for (round = 0; round < 5; round++) {
		CHECK(convai_engine_open() == 0);
		CHECK(ops->attach(&host) == 0);
		CHECK(pthread_create(&loop, NULL, loop_thread, NULL) == 0);
		for (i = 0; i < 3; i++) {
			CHECK(pthread_create(&channels[i], NULL, channel_thread, (void *) ops) == 0);
		}
		i = atomic_load(&logged);
		do {
			wait_ms(50);
		} while (atomic_load(&logged) == i);
		CHECK(convai_engine_open() == -1 && errno == EBUSY);
		if (round % 2) {
			finish(ops);
		} else {
			CHECK(ops->stop(LIMIT_MS) == 0);
		}
		i = atomic_load(&logged);
		pthread_join(loop, NULL);
		CHECK(atomic_load(&logged) == i);	/* nobody logs once stop has returned */
		for (i = 0; i < 3; i++) {
			pthread_join(channels[i], NULL);
		}
	}
	CHECK(convai_session_count() == 0);
	CHECK(ops->stop(0) == 0);
	CHECK(convai_engine_wake_fd() == -1);
}

/* ---- A stop that only asks, while a call into the host hangs ---- */

static atomic_int log_entered, log_may_return;

static void log_that_hangs(uint32_t level, const char *channel, const char *text)
{
	(void) level;
	(void) channel;
	(void) text;
	atomic_store(&log_entered, 1);
	while (!atomic_load(&log_may_return)) {
		wait_ms(1);
	}
}

static void *logging_thread(void *arg)
{
	convai_engine_log(CONVAI_LOG_DEBUG, "", arg);
	return NULL;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static void test_stop_that_only_asks(void)
{
	const struct convai_host host = {
		.abi_version = CONVAI_ABI_VERSION, .size = sizeof(host), .log = log_that_hangs,
	};
	const struct convai_ops *ops = convai_engine_ops();
	pthread_t logging;
	int64_t began, took;
	int asked = 0;

	CHECK(convai_engine_open() == 0);
	CHECK(ops->attach(&host) == 0);
	CHECK(pthread_create(&logging, NULL, logging_thread, "hello") == 0);
	while (!atomic_load(&log_entered)) {
		wait_ms(1);
	}
	convai_engine_closed();
	do {
		CHECK(asked++ < ASKED_TIMES);
		began = now_ms();
		CHECK(ops->stop(0) == -1);
		took = now_ms() - began;
	} while (took >= ASKED_MS);
	began = now_ms();
	CHECK(ops->stop(1) == -1);
	CHECK(now_ms() - began >= 1000);
	atomic_store(&log_may_return, 1);
	pthread_join(logging, NULL);
	CHECK(ops->stop(0) == 0);
}

/* ---- What is said during a call ---- */

static struct convai_session *talking;

/* One of several threads that say things; each numbers its own. arg: its kind */
static void *saying_thread(void *arg)
{
	const struct timespec moment = { .tv_nsec = 1000 };
	uint32_t kind = (uint32_t) (uintptr_t) arg;
	char text[16];
	int i;

	for (i = 0; i < SAYINGS; i++) {
		snprintf(text, sizeof(text), "%d", i);
		while (convai_engine_ops()->send(talking, kind, text)) {
			CHECK(errno == ENOBUFS);
			nanosleep(&moment, NULL);
		}
	}
	return NULL;
}

/* The loop thread's part: nothing is lost, and each thread's texts come in its order. */
static void take_outbox(void)
{
	int next[] = { 0, 0 };

	while (next[0] + next[1] < 2 * SAYINGS) {
		struct convai_message *first = convai_session_take_outbox(talking);
		struct convai_message *message;
		int taken = 0;

		for (message = first; message; message = message->next) {
			CHECK(atoi(message->text) == next[message->kind]++);
			taken++;
		}
		CHECK(taken <= 2 * CONVAI_SAY_WAITING);
		convai_outbox_free(first);
		if (!taken) {
			sched_yield();
		}
	}
}

static void test_outbox(void)
{
	const struct convai_format ulaw = { CONVAI_ENCODING_ULAW, 8000 };
	const struct convai_request request = { .channel = "Local/1", .agent = "sales_agent" };
	pthread_t threads[2];
	int i;

	talking = convai_session_new(&request);
	CHECK(talking);
	CHECK(convai_session_agree(talking, ulaw, ulaw, "conv_1") == 0);
	convai_session_talk(talking);
	for (i = 0; i < 2; i++) {
		CHECK(pthread_create(&threads[i], NULL, saying_thread, (void *) (uintptr_t) i) == 0);
	}
	take_outbox();
	for (i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
	}
	/* What nobody takes any more goes with the session. */
	CHECK(convai_engine_ops()->send(talking, CONVAI_SAY_MESSAGE, "left behind") == 0);
	convai_session_unref(talking);
	convai_session_unref(talking);
}

/* ---- Steps: what the agent was told is not done is never done ---- */

static struct convai_step_slot slot;
static atomic_int steps_begun, no_more_steps;

static void *stepping_thread(void *arg)
{
	(void) arg;
	while (!atomic_load(&no_more_steps)) {
		const struct convai_step *step = convai_step_take(&slot);

		if (!step) {
			sched_yield();
			continue;
		}
		CHECK(!strcmp(step->tool, "pay") && step->argument_count == 1);
		CHECK(!strcmp(step->arguments[0].name, "who") && !strcmp(step->arguments[0].value, "Anna"));
		if (!convai_step_begin(&slot)) {
			atomic_fetch_add(&steps_begun, 1);
		}
		convai_step_end(&slot, CONVAI_STEP_DONE, "done");
	}
	return NULL;
}

static void test_steps(void)
{
	const char *const arguments[] = { "who", "Anna" };
	int withdrawn = 0;
	pthread_t thread;
	int i;

	CHECK(pthread_create(&thread, NULL, stepping_thread, NULL) == 0);
	for (i = 0; i < STEPS; i++) {
		CHECK(convai_step_offer(&slot, CONVAI_STEP_DIALPLAN, "pay", arguments, 1) == 0);
		CHECK(convai_step_offer(&slot, CONVAI_STEP_DIALPLAN, "again", NULL, 0) == -1);
		withdrawn += i % 2 && convai_step_withdraw(&slot);
		while (convai_step_state(&slot) != CONVAI_STEP_FREE) {
			if (convai_step_state(&slot) == CONVAI_STEP_OVER) {
				CHECK(slot.outcome == CONVAI_STEP_DONE && !strcmp(slot.result, "done"));
				convai_step_collect(&slot);
			} else {
				sched_yield();
			}
		}
	}
	atomic_store(&no_more_steps, 1);
	pthread_join(thread, NULL);
	CHECK(withdrawn + atomic_load(&steps_begun) == STEPS);
	/* What nobody takes any more goes with the session. */
	CHECK(convai_step_offer(&slot, CONVAI_STEP_DIALPLAN, "pay", arguments, 1) == 0);
	convai_step_free(&slot);
}

/* ---- Inquiries: each is answered, or given up, until the engine ends under them ---- */

static atomic_int inquiries_answered;

/* The loop answers all but every third that it takes, which it lets go after a while. */
static void *answering_thread(void *arg)
{
	char reason[CONVAI_REASON_BYTES];
	uint32_t end_status;
	int stop, taken = 0;

	(void) arg;
	do {
		struct convai_inquiry *inquiry;

		convai_engine_woken();
		stop = convai_engine_requests(&end_status, reason);
		inquiry = convai_inquiries_take();
		while (inquiry) {
			struct convai_inquiry *next = inquiry->next;

			CHECK(inquiry->pair_count == 1 && !strcmp(inquiry->pairs[0].name, "step"));
			if (taken++ % 3) {
				convai_inquiry_answer(inquiry, CONVAI_OUTCOME_OK, inquiry->pairs[0].value);
			}
			convai_inquiry_given_up(inquiry);
			convai_inquiry_answer(inquiry, CONVAI_OUTCOME_FAILED, "late");
			convai_inquiry_unref(inquiry);
			inquiry = next;
		}
		sched_yield();
	} while (!stop);
	convai_engine_closed();
	return NULL;
}

static void *asking_thread(void *arg)
{
	const struct convai_pair pair = { CONVAI_PAIR_ARGUMENT, "step", "pay" };
	const struct convai_question question = { "check", "sales_agent", &pair, 1, 1000 };
	const struct convai_ops *ops = arg;
	int i;

	for (i = 0; i < INQUIRIES; i++) {
		struct convai_inquiry *inquiry = ops->inquire(&question);
		const char *answer;
		uint32_t outcome;

		if (!inquiry) {
			CHECK(errno == ESHUTDOWN);
			return NULL;
		}
		if (i % 4) {
			struct pollfd event = { .fd = ops->inquiry_fd(inquiry), .events = POLLIN };

			CHECK(poll(&event, 1, LIMIT_MS) == 1);
			outcome = ops->inquiry_poll(inquiry, &answer);
			CHECK(outcome == CONVAI_OUTCOME_OK ? !strcmp(answer, "pay")
				: outcome == CONVAI_OUTCOME_FAILED && *answer);
			atomic_fetch_add(&inquiries_answered, 1);
		}
		ops->inquiry_release(inquiry);
	}
	return NULL;
}

static void test_inquiries(void)
{
	const struct convai_question question = { .kind = "check", .agent = "" };
	const struct convai_ops *ops = convai_engine_ops();
	struct convai_inquiry *waiting[CONVAI_INQUIRIES];
	pthread_t loop, threads[3];
	const char *answer;
	int round, i;

	for (round = 0; round < 5; round++) {
		CHECK(convai_engine_open() == 0);
		CHECK(pthread_create(&loop, NULL, answering_thread, NULL) == 0);
		for (i = 0; i < 3; i++) {
			CHECK(pthread_create(&threads[i], NULL, asking_thread, (void *) ops) == 0);
		}
		i = atomic_load(&inquiries_answered);
		do {
			wait_ms(20);
		} while (atomic_load(&inquiries_answered) == i);
		CHECK(ops->stop(LIMIT_MS) == 0);
		pthread_join(loop, NULL);
		for (i = 0; i < 3; i++) {
			pthread_join(threads[i], NULL);
		}
	}
	/* More than are allowed are refused at once, and what no loop has taken is not left waiting. */
	CHECK(convai_engine_open() == 0);
	for (i = 0; i < CONVAI_INQUIRIES; i++) {
		waiting[i] = ops->inquire(&question);
		CHECK(waiting[i]);
	}
	CHECK(!ops->inquire(&question) && errno == EBUSY);
	CHECK(ops->inquiry_poll(waiting[0], &answer) == CONVAI_OUTCOME_NONE && !*answer);
	convai_engine_closed();
	CHECK(!ops->inquire(&question));
	for (i = 0; i < CONVAI_INQUIRIES; i++) {
		CHECK(ops->inquiry_poll(waiting[i], &answer) == CONVAI_OUTCOME_FAILED && *answer);
		ops->inquiry_release(waiting[i]);
	}
	CHECK(!ops->inquire(&question) && errno == ESHUTDOWN);
	CHECK(ops->stop(0) == 0);
}

/* ---- News: in order, none twice, and no more than may wait ---- */

static struct convai_news_list news;
static atomic_int no_more_news;
static int news_taken;

static void *reading_thread(void *arg)
{
	(void) arg;
	for (;;) {
		int last = atomic_load(&no_more_news);
		const struct convai_event *event = convai_news_take(&news);

		if (!event && last) {
			return NULL;
		}
		if (event) {
			CHECK(event->field_count == 1 && !strcmp(event->fields[0].name, "n"));
			CHECK(event->at_ms == atoi(event->fields[0].value) && event->at_ms == news_taken);
			news_taken++;
		} else {
			sched_yield();
		}
	}
}

static void test_news(void)
{
	const char *fields[] = { "n", NULL };
	char number[16];
	pthread_t thread;
	int i;

	CHECK(pthread_create(&thread, NULL, reading_thread, NULL) == 0);
	for (i = 0; i < STEPS; i++) {
		snprintf(number, sizeof(number), "%d", i);
		fields[1] = number;
		while (convai_news_add(&news, CONVAI_EVENT_SPOKEN, i, fields, 1)) {
			sched_yield();
		}
	}
	atomic_store(&no_more_news, 1);
	pthread_join(thread, NULL);
	CHECK(news_taken == STEPS);
	for (i = 0; i < CONVAI_EVENTS_WAITING; i++) {
		CHECK(convai_news_add(&news, CONVAI_EVENT_SPOKEN, 0, NULL, 0) == 0);
	}
	CHECK(convai_news_add(&news, CONVAI_EVENT_SPOKEN, 0, NULL, 0) == -1);
	/* What nobody takes any more goes with the session. */
	convai_news_free(&news);
}

/* ---- Jobs: each comes back once, whoever ends it, also while the loop ends ---- */

static _Atomic(const struct convai_job *) handed[JOBS];
static atomic_int jobs_handed, no_more_jobs;

/* As the module: a slot for each, from which one of the threads takes it */
static uint32_t take_job(struct convai_session *session, const struct convai_job *job)
{
	int place = atomic_fetch_add(&jobs_handed, 1);

	CHECK(!session);
	atomic_store(&handed[place], job);
	return CONVAI_JOB_TAKEN;
}

static void *ending_thread(void *arg)
{
	int i;

	(void) arg;
	while (!atomic_load(&no_more_jobs)) {
		for (i = 0; i < JOBS; i++) {
			const struct convai_job *job = atomic_exchange(&handed[i], NULL);

			if (job) {
				CHECK(!strcmp(job->what.tool, "look") && !strcmp(job->what.arguments[0].value, "17"));
				convai_engine_ops()->end_job(job, CONVAI_STEP_DONE, "found");
			}
		}
		sched_yield();
	}
	return NULL;
}

static void test_jobs(void)
{
	const char *const arguments[] = { "order", "17" };
	const struct convai_host host = {
		.abi_version = CONVAI_ABI_VERSION, .size = sizeof(host), .log = log_nothing, .begin_job = take_job,
	};
	const struct convai_ops *ops = convai_engine_ops();
	static unsigned char seen[JOBS + 1];
	pthread_t threads[3];
	uint64_t first = 0;
	int made = 0, back = 0, i;

	CHECK(convai_engine_open() == 0);
	CHECK(ops->attach(&host) == 0);
	for (i = 0; i < 3; i++) {
		CHECK(pthread_create(&threads[i], NULL, ending_thread, NULL) == 0);
	}
	while (back < JOBS - JOBS / 10) {
		struct convai_own_job *over = convai_engine_take_jobs(), *each;

		for (each = over; each; each = each->next) {
			CHECK(each->outcome == CONVAI_STEP_DONE && !strcmp(each->result, "found"));
			CHECK(!seen[each->ticket - first]++);
			back++;
		}
		convai_job_free(over);
		if (made < JOBS) {
			struct convai_own_job *job = convai_job_new(CONVAI_JOB_TOOL, 1000, "look", arguments, 1);

			CHECK(job);
			first = first ? first : job->ticket;
			made++;
			CHECK(convai_engine_begin_job(NULL, job) == CONVAI_JOB_TAKEN);
		} else {
			sched_yield();
		}
	}
	/* What comes later is dropped, as is what nobody has taken. */
	convai_engine_closed();
	CHECK(ops->stop(LIMIT_MS) == 0);
	for (i = 0; i < JOBS; i++) {
		while (atomic_load(&handed[i])) {
			sched_yield();
		}
	}
	atomic_store(&no_more_jobs, 1);
	for (i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
	}
	/* Without a host there is nobody to take it. */
	{
		struct convai_own_job *job = convai_job_new(CONVAI_JOB_TOOL, 1000, "look", NULL, 0);

		CHECK(convai_engine_begin_job(NULL, job) == CONVAI_JOB_REFUSED);
		convai_job_free(job);
	}
}

/* ---- Levels: the channel thread adds, the loop thread begins anew, another one reads ---- */

#define LOOKS 20000

static atomic_int levels_over;

static void *levels_writer(void *arg)
{
	struct convai_levels *levels = arg;
	int64_t now_us = 1000000;
	uint32_t amplitude = 0;

	while (!atomic_load(&levels_over)) {
		now_us += 20000;
		amplitude = (amplitude + 257) % 32768;
		convai_levels_add(levels, CONVAI_SIDE_CALLER, amplitude, 0, now_us);
		convai_levels_add(levels, CONVAI_SIDE_AGENT, amplitude, 1, now_us);
	}
	return NULL;
}

static void test_levels(void)
{
	static struct convai_levels levels;
	struct convai_level newest[10];
	pthread_t writer;
	int i;

	CHECK(convai_level_of(0) == 0 && convai_level_of(1) == 0 && convai_level_of(32767) == 126);
	/* Half as loud is 6 dB less; the line between is half a decibel from the curve at most. */
	CHECK(convai_level_of(16384) == 115 && convai_level_of(8192) == 103 && convai_level_of(24576) == 121);
	CHECK(convai_level_of(UINT32_MAX) == 127);
	CHECK(convai_levels_init(&levels) == 0);
	convai_levels_begin(&levels, 1000000);
	CHECK(pthread_create(&writer, NULL, levels_writer, &levels) == 0);
	for (i = 0; i < LOOKS; i++) {
		uint32_t count = convai_levels_read(&levels, newest, 10);
		uint32_t j;

		CHECK(count <= CONVAI_LEVELS_KEPT);
		for (j = 0; j < count && j < 10; j++) {
			/* Both have the same frames, but for one of the agent's where it begins anew between the two. */
			CHECK(!newest[j].agent || newest[j].agent >= (newest[j].caller | CONVAI_LEVEL_SPEAKS));
		}
		if (i == LOOKS / 2) {
			convai_levels_begin(&levels, 1100000);
		}
	}
	atomic_store(&levels_over, 1);
	pthread_join(writer, NULL);
	convai_levels_free(&levels);
}

/* ---- Words: the loop thread tells, another thread reads ---- */

#define TELLINGS 20000

static void *said_writer(void *arg)
{
	struct convai_said *said = arg;
	uint64_t place = 0;
	int i;

	for (i = 0; i < TELLINGS; i++) {
		convai_said_begin(said, i, place);
		convai_said_response(said, "one two three four", 18);
		place += 100;
		convai_said_audio(said, place, i % 3 ? 18 : 0);
		convai_said_put(said, CONVAI_WORDS_TRANSCRIPT, i % 2 ? "agent: one / caller: two" : "agent: one");
		if (i % 5 == 0) {
			convai_said_cut(said, place - 50, place);
			convai_said_correct(said, 8);
		}
		CHECK(convai_said_heard(said, i, place, place) <= 18);
		CHECK(convai_timed_agent(i % 2 ? "sales" : "support") != NULL);
	}
	return NULL;
}

static void test_said(void)
{
	static struct convai_said said;
	struct convai_timings timings;
	pthread_t writer;
	char text[20];
	int i;

	convai_said_init(&said);
	CHECK(pthread_create(&writer, NULL, said_writer, &said) == 0);
	for (i = 0; i < TELLINGS; i++) {
		convai_said_read(&said, CONVAI_WORDS_HEARD, i * 100, i * 100 + 100, text, sizeof(text));
		CHECK(!strncmp("one two three four", text, strlen(text)));
		convai_said_read(&said, CONVAI_WORDS_TRANSCRIPT, 0, 0, text, sizeof(text));
		CHECK(!*text || !strcmp(text, "agent: one") || !strcmp(text, "caller: two"));
		convai_timed_record(convai_timed_agent(i % 2 ? "support" : "sales"), CONVAI_TIMING_TURN, 1, 2);
	}
	pthread_join(writer, NULL);
	CHECK(convai_op_agent_timings("SALES", &timings) == 0);
	CHECK(convai_op_agent_timings("nobody", &timings) == -1);
	convai_said_free(&said);
}

#define INFORMED 3000

/* ---- Information: two threads inform, the loop takes ---- */

static void *informer(void *name)
{
	struct convai_pair pairs[2] = { { CONVAI_PAIR_FACT, name, NULL }, { CONVAI_PAIR_FACT, "x", "y" } };
	const struct convai_ops *ops = convai_engine_ops();
	char number[16];
	unsigned int i = 0;

	pairs[0].value = number;
	while (i < INFORMED) {
		snprintf(number, sizeof(number), "%u", i);
		if (ops->inform(CONVAI_INFORM_CALL_OVER, pairs, 2)) {
			CHECK(errno == EBUSY);
			sched_yield();
		} else {
			i++;
		}
	}
	return NULL;
}

/*! \brief Each comes once, and those of one thread in order; none comes to a loop that has ended */
static void test_information(void)
{
	const struct convai_pair pair = { CONVAI_PAIR_SETTING, "secret", "s" };
	const struct convai_ops *ops = convai_engine_ops();
	unsigned int come[2] = { 0, 0 };
	pthread_t threads[2];
	char names[2][2] = { "0", "1" };
	int i;

	CHECK(!convai_engine_open());
	for (i = 0; i < 2; i++) {
		CHECK(!pthread_create(&threads[i], NULL, informer, names[i]));
	}
	while (come[0] < INFORMED || come[1] < INFORMED) {
		struct convai_information *information = convai_information_take();

		while (information) {
			struct convai_information *next = information->next;
			int whose = *information->pairs[0].name - '0';

			CHECK(information->pair_count == 2);
			CHECK((unsigned int) atoi(information->pairs[0].value) == come[whose]++);
			convai_information_free(information);
			information = next;
		}
		sched_yield();
	}
	for (i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
	}
	for (i = 0; i < CONVAI_INFORMED; i++) {
		CHECK(!ops->inform(CONVAI_INFORM_SETTINGS, &pair, 1));
	}
	CHECK(ops->inform(CONVAI_INFORM_SETTINGS, &pair, 1) && errno == EBUSY);
	convai_engine_closed();
	CHECK(ops->inform(CONVAI_INFORM_SETTINGS, &pair, 1) && errno == ESHUTDOWN);
	CHECK(!convai_information_take());
}

int main(void)
{
	test_ring();
	test_stamps();
	test_playout();
	test_engine();
	test_stop_that_only_asks();
	test_outbox();
	test_steps();
	test_inquiries();
	test_news();
	test_jobs();
	test_information();
	test_levels();
	test_said();
	puts("8 passed, 0 failed");
	return 0;
}
