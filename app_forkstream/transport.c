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

#include <netdb.h>	/* getaddrinfo(3) */
#include <poll.h>	/* poll(2) */
#include <sys/eventfd.h>	/* eventfd(2) */
#include <sys/socket.h>	/* sendmmsg(2) */

#include "asterisk/astobj2.h"	/* ao2_bump */
#include "asterisk/json.h"	/* ast_json_free */
#include "asterisk/lock.h"	/* ast_mutex_lock */
#include "asterisk/strings.h"	/* ast_strlen_zero */
#include "asterisk/utils.h"	/* ast_pthread_create */

#include "monotonic.h"
#include "stream.h"
#include "tell.h"
#include "transport.h"
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
static pthread_t server;
static int wake_fd = -1;
static int ends;	/*!< atomic */

/* ---- Packets ---- */

/*! Packets of one stream, until the kernel gets them */
struct batch {
	struct sink sink;	/*!< the first member: it is what media.c knows */
	struct stream *stream;
	unsigned int count;
	struct iovec vectors[BATCH_PACKETS];
	struct mmsghdr messages[BATCH_PACKETS];
	uint8_t packets[BATCH_PACKETS][PACKET_BYTES_MAX];
};

static void count_more(uint64_t *counter, uint64_t more)
{
	__atomic_store_n(counter, *counter + more, __ATOMIC_RELAXED);
}

/*!
 * \brief Hand all to the kernel, which takes them or does not: nothing is sent again
 *
 * ECONNREFUSED is what became of a packet before; this one has not been tried.
 */
static void batch_send(struct batch *batch)
{
	unsigned int at = 0;
	int was_refused = 0;

	while (at < batch->count) {
		int sent = sendmmsg(batch->stream->fd, batch->messages + at, batch->count - at, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent > 0) {
			at += (unsigned int) sent;
		} else if (errno == ECONNREFUSED && !was_refused) {
			was_refused = 1;
			count_more(&batch->stream->refused, 1);
		} else if (errno != EINTR) {
			count_more(&batch->stream->lost_packets, batch->count - at);
			break;
		}
	}
	batch->count = 0;
}

static uint8_t *batch_room(struct sink *sink)
{
	struct batch *batch = (struct batch *) sink;

	if (batch->count == BATCH_PACKETS) {
		batch_send(batch);
	}
	return batch->packets[batch->count];
}

static void batch_put(struct sink *sink, size_t length)
{
	struct batch *batch = (struct batch *) sink;
	struct mmsghdr *message = &batch->messages[batch->count];

	batch->vectors[batch->count] = (struct iovec) { batch->packets[batch->count], length };
	*message = (struct mmsghdr) {
		.msg_hdr = { .msg_iov = &batch->vectors[batch->count], .msg_iovlen = 1 },
	};
	batch->count++;
}

/*! \brief Put a JSON text into the batch. tell.c has seen that it fits. */
static void put_text(struct batch *batch, enum packet_kind kind, const char *text)
{
	size_t length = MIN(strlen(text), (size_t) (PACKET_BYTES_MAX - PACKET_HEADER));
	const struct packet head = {
		.kind = kind,
		.codec = batch->stream->options.codec,
		.rate = batch->stream->options.rate,
		.stream = batch->stream->id,
		.length = (uint16_t) length,
	};
	uint8_t *room = batch_room(&batch->sink);

	packet_write(room, &head);
	memcpy(room + PACKET_HEADER, text, length);
	batch_put(&batch->sink, PACKET_HEADER + length);
}

static struct batch *batch_of(struct stream *stream)
{
	/* The thread's own: it serves one stream after the other. */
	static struct batch batch = { .sink = { batch_room, batch_put } };

	batch.stream = stream;
	batch.count = 0;
	return &batch;
}

/* ---- A stream by UDP ---- */

/*! \brief Say which stream it is: at the start, and again later */
static void introduce(struct stream *stream, struct batch *batch, int64_t now_us)
{
	if (!stream->start_again_us) {
		tell_event(stream, "ForkStreamStart");
	}
	stream->start_again_us = now_us + START_AGAIN_SECONDS * INT64_C(1000000);
	put_text(batch, PACKET_START, stream->start_text);
}

static void finish_udp(struct stream *stream, int64_t now_us)
{
	struct batch *batch = batch_of(stream);
	char *text;
	int i;

	if (!stream->start_again_us) {
		introduce(stream, batch, now_us);
	}
	media_flush(stream->media, &batch->sink);
	text = tell_end_text(stream);
	for (i = 0; text && i < END_TIMES; i++) {
		put_text(batch, PACKET_END, text);
	}
	batch_send(batch);
	ast_json_free(text);
	close(stream->fd);
	stream->fd = -1;
	tell_event(stream, "ForkStreamStop");
	stream_is_over(stream);
}

static void serve_udp(struct stream *stream, int64_t now_us)
{
	struct batch *batch = batch_of(stream);

	if (now_us >= stream->start_again_us) {
		introduce(stream, batch, now_us);
	}
	media_pump(stream->media, now_us, &batch->sink);
	batch_send(batch);
	stream_listen(stream, now_us);
}

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
		if (stream->websocket) {
			return websocket_serve(stream, now_us) ? TICK_MS : 0;
		}
		if (__atomic_load_n(&stream->reason, __ATOMIC_ACQUIRE)) {
			finish_udp(stream, now_us);
			return 0;
		}
		serve_udp(stream, now_us);
		return TICK_MS;
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

/*! \brief Do what is to be done for all. \return how many ms until one is looked at again */
static int step_all(struct stream_list *served, int64_t now_us)
{
	struct stream_list left = { NULL, NULL };
	struct stream *stream;
	int next_ms = IDLE_MS;

	while ((stream = AST_LIST_REMOVE_HEAD(served, served))) {
		int ms = step(stream, now_us);

		if (ms) {
			next_ms = MIN(next_ms, ms);
			AST_LIST_INSERT_TAIL(&left, stream, served);
		} else {
			ao2_ref(stream, -1);
		}
	}
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
		transport_join();
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

/*! \brief Open a socket to an address. \return it, or -1 */
static int open_udp(const struct addrinfo *address)
{
	const int bytes = UDP_RECEIVE_BYTES;
	int fd = socket(address->ai_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		return -1;
	}
	/* What comes back is never read: the kernel drops what finds no room. */
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (connect(fd, address->ai_addr, address->ai_addrlen)) {
		close(fd);
		return -1;
	}
	return fd;
}

/*! \brief Open a socket to a host; with AI_NUMERICHOST nobody is asked. \return it, or -1 */
static int reach_udp(const struct destination *to, int flags)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_DGRAM, .ai_flags = flags | AI_NUMERICSERV };
	struct addrinfo *found = NULL;
	const struct addrinfo *each;
	const char *host = strcasecmp(to->host, "localhost") ? to->host : "127.0.0.1";
	char port[8];
	int fd = -1;

	snprintf(port, sizeof(port), "%u", to->port);
	if (getaddrinfo(host, port, &hints, &found)) {
		return -1;
	}
	for (each = found; each && fd < 0; each = each->ai_next) {
		fd = open_udp(each);
	}
	freeaddrinfo(found);
	return fd;
}

static void connect_udp(struct stream *stream)
{
	int fd = reach_udp(&stream->to, 0);

	if (fd < 0) {
		if (stream_goes_to(stream, STATE_OVER)) {
			tell_failure(stream, REASON_UNREACHABLE, "its host is not found");
		}
		return;
	}
	/* Before the state: whoever sees that sees this. The thread may have given the stream up. */
	stream->fd = fd;
	if (!stream_goes_to(stream, STATE_UP)) {
		stream->fd = -1;
		close(fd);
		return;
	}
	streams_wake();
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
	if (stream->to.scheme == SCHEME_UDP && (stream->fd = reach_udp(&stream->to, AI_NUMERICHOST)) >= 0) {
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
