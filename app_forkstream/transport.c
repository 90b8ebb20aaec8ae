/*
 * app_forkstream: copy a call's audio to a listener
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The network's threads: the one of all streams, and those that connect
 */

#include "asterisk.h"

#include <netdb.h>	/* AI_NUMERICHOST */
#include <poll.h>	/* poll(2) */
#include <sys/eventfd.h>	/* eventfd(2) */

#include "asterisk/astobj2.h"	/* ao2_bump */
#include "asterisk/lock.h"	/* ast_mutex_lock */
#include "asterisk/strings.h"	/* ast_strlen_zero */
#include "asterisk/utils.h"	/* ast_pthread_create */

#include "monotonic.h"
#include "stream.h"
#include "tell.h"
#include "transport.h"
#include "udp.h"
#include "websocket.h"

/*! The thread looks round at least so often, ms, though nobody has woken it */
#define IDLE_MS 60000

AST_MUTEX_DEFINE_STATIC(lock);
AST_LIST_HEAD_NOLOCK(stream_list, stream);
/*! Streams that the thread has not taken over yet, each with a reference. With the lock. */
static struct stream_list arrived;
/*! Streams with a thread of their own that has not been joined, each with a reference. With the lock. */
static struct stream_list threads;
static unsigned int thread_count;
static int some_are_over;	/*!< of these threads; atomic */
static pthread_t server;
static int wake_fd = -1;
static int ends;	/*!< atomic */

/* ---- The thread ---- */

/*! \brief Do what is to be done for a stream. \return how many ms until it is looked at again, 0 if never */
static int step(struct stream *stream, int64_t now_us)
{
	switch (__atomic_load_n(&stream->state, __ATOMIC_ACQUIRE)) {
	case STATE_CONNECTING:
		if (now_us >= stream->deadline_us && stream_goes_to(stream, STATE_OVER)) {
			tell_failure(stream, REASON_UNREACHABLE, stream->to.scheme == SCHEME_UDP
				? "no name server has told its host's address in time"
				: "its listener has not answered in time");
			return 0;
		}
		return WATCH_MS;
	case STATE_UP:
		return (stream->websocket ? websocket_serve(stream, now_us) : udp_serve(stream, now_us)) ? TICK_MS : 0;
	default:
		return 0;
	}
}

static void wait_until(int64_t due_us)
{
	struct pollfd wake = { .fd = wake_fd, .events = POLLIN };
	int64_t left_us = due_us - monotonic_us();
	eventfd_t value;

	if (left_us > 0 && poll(&wake, 1, (int) ((left_us + 999) / 1000)) > 0) {
		eventfd_read(wake_fd, &value);
	}
}

/*! \brief Add those that have arrived to the thread's own */
static void take_over(struct stream_list *served)
{
	struct stream *stream;

	ast_mutex_lock(&lock);
	while ((stream = AST_LIST_REMOVE_HEAD(&arrived, served))) {
		AST_LIST_INSERT_TAIL(served, stream, served);
	}
	ast_mutex_unlock(&lock);
}

/*! \brief Insert a stream beside those with the same socket: what is one behind the other goes to the kernel as one */
static void insert_beside(struct stream_list *list, struct stream *stream)
{
	struct stream *each;

	AST_LIST_TRAVERSE(list, each, served) {
		/* That of one that is connecting is its own thread's. */
		if (each->start_again_us && each->socket == stream->socket) {
			AST_LIST_INSERT_AFTER(list, each, stream, served);
			return;
		}
	}
	AST_LIST_INSERT_TAIL(list, stream, served);
}

/*! \brief Do what is to be done for all. \return how many ms until one is looked at again */
static int step_all(struct stream_list *served, int64_t now_us)
{
	struct stream_list left = { NULL, NULL };
	struct stream *stream;
	int next_ms = IDLE_MS;

	while ((stream = AST_LIST_REMOVE_HEAD(served, served))) {
		int is_new = !stream->start_again_us;
		int ms = step(stream, now_us);

		if (!ms) {
			ao2_ref(stream, -1);
			continue;
		}
		next_ms = MIN(next_ms, ms);
		if (is_new && stream->start_again_us && stream->socket) {
			insert_beside(&left, stream);
		} else {
			AST_LIST_INSERT_TAIL(&left, stream, served);
		}
	}
	udp_flush();
	*served = left;
	return next_ms;
}

static void *serve(void *unused)
{
	struct stream_list served = { NULL, NULL };
	int64_t tick_us = monotonic_us();

	while (!__atomic_load_n(&ends, __ATOMIC_ACQUIRE)) {
		int64_t now_us = monotonic_us();
		int next_ms;

		/* A thread that is over holds its stream, and so the module, until it is joined. */
		if (__atomic_exchange_n(&some_are_over, 0, __ATOMIC_ACQUIRE)) {
			transport_join();
		}
		take_over(&served);
		next_ms = step_all(&served, now_us);
		/* From tick to tick, and not from the end of one: frames come by the clock. */
		tick_us = MAX(tick_us + next_ms * INT64_C(1000), now_us);
		tick_us = MIN(tick_us, now_us + next_ms * INT64_C(1000));
		wait_until(tick_us);
	}
	return NULL;
}

int transport_begin(void)
{
	ends = 0;
	wake_fd = streams_open();
	if (wake_fd < 0) {
		return -1;
	}
	if (ast_pthread_create(&server, NULL, serve, NULL)) {
		streams_free();
		wake_fd = -1;
		return -1;
	}
	return 0;
}

void transport_end(void)
{
	if (wake_fd < 0) {
		return;
	}
	__atomic_store_n(&ends, 1, __ATOMIC_RELEASE);
	streams_wake();
	pthread_join(server, NULL);
	streams_free();
	wake_fd = -1;
}

/* ---- Connecting ---- */

static void connect_udp(struct stream *stream)
{
	if (udp_open(stream, 0)) {
		if (stream_goes_to(stream, STATE_OVER)) {
			tell_failure(stream, REASON_UNREACHABLE, "its host is not found");
		}
		return;
	}
	/* The thread may have given the stream up. */
	if (stream_goes_to(stream, STATE_UP)) {
		streams_wake();
	} else {
		udp_close(stream);
	}
}

/*! \brief A stream's own thread */
static void *run_thread(void *data)
{
	struct stream *stream = data;

	if (stream->to.scheme == SCHEME_UDP) {
		connect_udp(stream);
	} else {
		websocket_run(stream);
	}
	__atomic_store_n(&stream->thread_is_over, 1, __ATOMIC_RELEASE);
	__atomic_store_n(&some_are_over, 1, __ATOMIC_RELEASE);
	streams_wake();
	return NULL;
}

static int start_thread(struct stream *stream, char *error)
{
	int res = 0;

	transport_join();
	ast_mutex_lock(&lock);
	if (thread_count >= THREADS_MAX || ast_pthread_create(&stream->thread, NULL, run_thread, stream)) {
		snprintf(error, ERROR_SIZE, "there is no thread for it: %u wait for WebSockets and name servers, %d at most; "
									"udp:// with an address needs none", thread_count, THREADS_MAX);
		res = -1;
	} else {
		thread_count++;
		ao2_ref(stream, +1);
		AST_LIST_INSERT_TAIL(&threads, stream, threads);
	}
	ast_mutex_unlock(&lock);
	return res;
}

unsigned int transport_join(void)
{
	struct stream_list over = { NULL, NULL };
	struct stream_list left = { NULL, NULL };
	struct stream *stream;
	unsigned int still;

	ast_mutex_lock(&lock);
	while ((stream = AST_LIST_REMOVE_HEAD(&threads, threads))) {
		if (__atomic_load_n(&stream->thread_is_over, __ATOMIC_ACQUIRE)) {
			AST_LIST_INSERT_TAIL(&over, stream, threads);
			thread_count--;
		} else {
			AST_LIST_INSERT_TAIL(&left, stream, threads);
		}
	}
	threads = left;
	still = thread_count;
	ast_mutex_unlock(&lock);
	while ((stream = AST_LIST_REMOVE_HEAD(&over, threads))) {
		pthread_join(stream->thread, NULL);
		ao2_ref(stream, -1);
	}
	return still;
}

int transport_start(struct stream *stream, char *error)
{
	if (stream->to.scheme == SCHEME_UDP && !udp_open(stream, AI_NUMERICHOST)) {
		/* It is in the list already: commands read this. */
		stream_goes_to(stream, STATE_UP);
	} else if (start_thread(stream, error)) {
		return -1;
	}
	ast_mutex_lock(&lock);
	ao2_ref(stream, +1);
	AST_LIST_INSERT_TAIL(&arrived, stream, served);
	ast_mutex_unlock(&lock);
	streams_wake();
	return 0;
}

int transport_has_websockets(char *error)
{
	if (websocket_is_there()) {
		return 1;
	}
	snprintf(error, ERROR_SIZE, "Asterisk's WebSocket client was not there when this module was loaded: "
								"load res_http_websocket, and this module again");
	return 0;
}
