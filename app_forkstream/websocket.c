/*
 * app_forkstream: copy a call's audio to a listener
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief A stream by WebSocket, through Asterisk's own client
 *
 * What may wait is done by a thread of the stream's: to connect, to write the texts `start` and `end`, and to read
 * what the listener says. That thread sleeps as long as the listener is silent. The audio is written by the thread of
 * all streams, what a tick has brought in one system call: ast_websocket_write makes two for each message. Only what is
 * encrypted has to go through that.
 */

#include "asterisk.h"

#include <fcntl.h>	/* fcntl(2) */
#include <poll.h>	/* poll(2) */
#include <sys/random.h>	/* getrandom(2) */
#include <sys/socket.h>	/* send(2) */

#include "asterisk/astobj2.h"	/* ao2_trylock */
#include "asterisk/http_websocket.h"	/* the client */
#include "asterisk/json.h"	/* ast_json_free */
#include "asterisk/module.h"	/* ast_module_check */
#include "asterisk/strings.h"	/* ast_strlen_zero */
#include "asterisk/tcptls.h"	/* struct ast_tls_config */
#include "asterisk/utils.h"	/* ast_calloc */

#include "config.h"
#include "media.h"
#include "stream.h"
#include "tell.h"
#include "websocket.h"

static int is_there;

void websocket_begin(void)
{
	is_there = ast_module_check("res_http_websocket.so");
}

int websocket_is_there(void)
{
	return is_there;
}

/*!
 * What a stream's two threads have in common
 *
 * Whoever uses `session` or `length` has the object's lock: its own thread for as long as a listener takes for a
 * message, so the common one only tries.
 */
struct websocket {
	struct sink sink;	/*!< the first member: it is what media.c knows */
	struct ast_websocket *session;
	int fd;	/*!< a duplicate of the session's: Asterisk closes that where a write fails */
	int is_encrypted;
	size_t skipped;	/*!< bytes of the header, where there is one direction, or both in one: audio alone */
	int is_gone;	/*!< the listener; atomic */
	int64_t write_again_us;	/*!< the common thread's: nothing is written before */
	int64_t end_by_us;	/*!< the common thread's: the stream is over; 0 before */
	char *end_text;	/*!< what its own thread has to say when it is left */
	int is_left;	/*!< the common thread is through with it; atomic */
	unsigned int writes;	/*!< the common thread's: messages that it may encrypt before it asks for room again */
	size_t length;	/*!< bytes of what this tick has brought, and of what the kernel has not taken of the one before */
	uint8_t rest[OUT_BYTES];	/*!< what that is between ticks; in them it is in `out` */
};

static int is_gone(const struct websocket *websocket)
{
	return __atomic_load_n(&websocket->is_gone, __ATOMIC_ACQUIRE);
}

static void note_gone(struct websocket *websocket, int gone)
{
	if (gone) {
		__atomic_store_n(&websocket->is_gone, 1, __ATOMIC_RELEASE);
	}
}

/*! \brief Whether a message finds room at once: TCP says so only while that is much more */
static int can_write(const struct websocket *websocket)
{
	struct pollfd out = { .fd = websocket->fd, .events = POLLOUT };

	return poll(&out, 1, 0) > 0 && out.revents & POLLOUT;
}

/* ---- Audio, on the common thread ---- */

/*! Longest header of a message of up to 64 kB: two bytes, the length, and the mask */
#define FRAME_HEADER 8
/*! ... and what follows it, to its last whole word */
#define FRAME_BYTES_MAX (FRAME_HEADER + (PACKET_BYTES_MAX + 7) / 8 * 8)
/*! Masks that are made at once: the kernel gives so many bytes without a wait */
#define MASKS 64

/* The common thread's, which serves one stream after the other: what was there for the one before is in the cache. */
static uint8_t packet[PACKET_BYTES_MAX + sizeof(uint64_t)];
static uint8_t out[OUT_BYTES];

static uint8_t *message_room(struct sink *sink)
{
	struct websocket *websocket = (struct websocket *) sink;

	if (is_gone(websocket) || websocket->length + FRAME_BYTES_MAX > OUT_BYTES) {
		return NULL;
	}
	if (websocket->is_encrypted && !websocket->writes && can_write(websocket)) {
		websocket->writes = WRITES_A_LOOK;
	}
	return websocket->is_encrypted && !websocket->writes ? NULL : packet;
}

/*! \brief A mask nobody can foresee (RFC 6455, 5.3) */
static uint32_t make_mask(void)
{
	static uint32_t masks[MASKS];
	static unsigned int left;

	if (!left && getrandom(masks, sizeof(masks), 0) == sizeof(masks)) {
		left = MASKS;
	}
	return left ? masks[--left] : 0;
}

/*! \brief Write a binary message of up to 64 kB as a client does. \return its bytes */
static size_t write_frame(uint8_t *to, const uint8_t *payload, size_t length)
{
	const uint32_t mask = make_mask();
	uint8_t *at = to;
	size_t i;

	*at++ = 0x80 | AST_WEBSOCKET_OPCODE_BINARY;
	if (length < 126) {
		*at++ = (uint8_t) (0x80 | length);
	} else {
		*at++ = 0x80 | 126;
		*at++ = (uint8_t) (length >> 8);
		*at++ = (uint8_t) length;
	}
	memcpy(at, &mask, sizeof(mask));
	at += sizeof(mask);
	/* In words; what the last one has beyond the payload is not sent. */
	for (i = 0; i < length; i += sizeof(uint64_t)) {
		uint64_t word;

		memcpy(&word, payload + i, sizeof(word));
		word ^= mask | (uint64_t) mask << 32;
		memcpy(at + i, &word, sizeof(word));
	}
	return (size_t) (at - to) + length;
}

static void message_put(struct sink *sink, size_t length)
{
	struct websocket *websocket = (struct websocket *) sink;
	uint8_t *payload = packet + websocket->skipped;

	length -= websocket->skipped;
	if (!websocket->is_encrypted) {
		websocket->length += write_frame(out + websocket->length, payload, length);
		return;
	}
	websocket->writes--;
	websocket->length += length;
	note_gone(websocket, ast_websocket_write(websocket->session, AST_WEBSOCKET_OPCODE_BINARY, (char *) payload, length));
}

/*! \brief Hand the tick's messages to the kernel; what it does not take waits for the next tick */
static void send_out(struct websocket *websocket)
{
	ssize_t sent = (ssize_t) websocket->length;

	if (!websocket->is_encrypted && sent) {
		sent = send(websocket->fd, out, websocket->length, MSG_DONTWAIT | MSG_NOSIGNAL);
		note_gone(websocket, sent < 0 && errno != EAGAIN && errno != EINTR);
	}
	sent = MAX(sent, 0);
	websocket->length -= (size_t) sent;
	memcpy(websocket->rest, out + sent, websocket->length);
}

/*! \brief Let its own thread say the rest: nothing of the stream is touched any more */
static void leave(struct stream *stream, struct websocket *websocket)
{
	if (!websocket->end_by_us) {
		tell_failure(stream, REASON_CLOSED, "its listener has gone");
	} else {
		media_drop(stream->media);
		websocket->end_text = tell_end_text(stream);
		tell_event(stream, "ForkStreamStop");
		stream_is_over(stream);
	}
	/* That wakes it, also from the middle of a message. */
	shutdown(websocket->fd, SHUT_RD);
	__atomic_store_n(&websocket->is_left, 1, __ATOMIC_RELEASE);
}

int websocket_serve(struct stream *stream, int64_t now_us)
{
	struct websocket *websocket = stream->websocket;
	int is_out = 0;

	if (!stream->start_again_us) {
		stream->start_again_us = INT64_MAX;
		tell_event(stream, "ForkStreamStart");
	}
	if (!websocket->end_by_us && __atomic_load_n(&stream->reason, __ATOMIC_ACQUIRE)) {
		websocket->end_by_us = now_us + END_LIMIT_MS * INT64_C(1000);
	}
	if (!websocket->end_by_us && !is_gone(websocket) && now_us < websocket->write_again_us) {
		return 1;
	}
	/* While it is read from, the audio waits in the ring. */
	if (!ao2_trylock(websocket)) {
		/* Half a tick earlier is in time: ticks are not that even. */
		websocket->write_again_us = now_us + (WEBSOCKET_MS - TICK_MS / 2) * INT64_C(1000);
		memcpy(out, websocket->rest, websocket->length);
		websocket->writes = 0;
		if (websocket->end_by_us) {
			is_out = media_flush(stream->media, &websocket->sink);
		} else {
			media_pump(stream->media, now_us, &websocket->sink);
		}
		send_out(websocket);
		is_out = is_out && !websocket->length;
		ao2_unlock(websocket);
	}
	if (is_gone(websocket) || is_out || (websocket->end_by_us && now_us >= websocket->end_by_us)) {
		leave(stream, websocket);
		return 0;
	}
	if (!websocket->end_by_us) {
		stream_listen(stream, now_us);
	}
	return 1;
}

/* ---- Connecting ---- */

/*! \brief Where distributions have the certificates of those who sign others'; the client knows none by itself */
static const char *system_ca_file(void)
{
	static const char * const files[] = {
		"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem",
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(files); i++) {
		if (!access(files[i], R_OK)) {	/* Flawfinder: ignore */
			return files[i];
		}
	}
	return "";
}

/*! \brief What TLS needs; the client frees it */
static struct ast_tls_config *make_tls(const struct config *config)
{
	struct ast_tls_config *tls = ast_calloc(1, sizeof(*tls));

	if (tls) {
		tls->enabled = 1;
		tls->cafile = ast_strdup(S_OR(config->ca_file, system_ca_file()));
	}
	return tls;
}

/*! \brief Wait for the client. \return the connection, or NULL and why not */
static struct ast_websocket *connect_to(const struct stream *stream, enum ast_websocket_result *result)
{
	struct config *config = config_get();
	struct ast_websocket *websocket = NULL;

	if (config) {
		struct ast_websocket_client_options options = {
			.uri = stream->to.url,
			.protocols = "",
			.timeout = (int) config->connect_seconds * 1000,
			.tls_cfg = stream->to.scheme == SCHEME_WSS ? make_tls(config) : NULL,
		};

		if (stream->to.scheme == SCHEME_WS || options.tls_cfg) {
			websocket = ast_websocket_client_create_with_options(&options, result);
		}
		ao2_ref(config, -1);
	}
	return websocket;
}

/* ---- Its own thread ---- */

/*!
 * \brief Read what the listener says, which is nothing to us but that it goes; Asterisk answers pings
 *
 * Not while half a message of ours is out: an answer would come into the middle of it.
 * \return whether there may be more
 */
static int read_some(struct websocket *websocket)
{
	enum ast_websocket_opcode opcode;
	uint64_t length;
	char *payload;
	int is_fragment;
	int i = 0;

	ao2_lock(websocket);
	while (i < READS_A_TICK && !is_gone(websocket) && !websocket->length && can_write(websocket)) {
		int ready;

		/* A WebSocket that is closing says -1 and leaves errno alone. */
		errno = 0;
		ready = ast_websocket_wait_for_input(websocket->session, 0);
		if (!ready || (ready < 0 && errno == EINTR)) {
			break;
		}
		note_gone(websocket, ready < 0
			|| ast_websocket_read(websocket->session, &payload, &length, &opcode, &is_fragment)
			|| opcode == AST_WEBSOCKET_OPCODE_CLOSE);
		i++;
	}
	ao2_unlock(websocket);
	return i == READS_A_TICK;
}

static void read_until_left(const struct stream *stream, struct websocket *websocket)
{
	struct pollfd in = { .fd = websocket->fd, .events = POLLIN };
	int is_more = 0;

	while (!__atomic_load_n(&websocket->is_left, __ATOMIC_ACQUIRE)) {
		if (!is_more && !is_gone(websocket)) {
			poll(&in, 1, LOOK_MS);
		}
		if (__atomic_load_n(&stream->state, __ATOMIC_ACQUIRE) == STATE_UP) {
			is_more = read_some(websocket);
		}
		/* Who floods is slowed down; and who has gone is left within a tick. */
		poll(NULL, 0, TICK_MS);
	}
}

static void write_text(struct websocket *websocket, char *text)
{
	if (text && !is_gone(websocket) && !websocket->length) {
		note_gone(websocket, ast_websocket_write(websocket->session, AST_WEBSOCKET_OPCODE_TEXT, text, strlen(text)));
	}
}

static void websocket_destroy(void *object)
{
	struct websocket *websocket = object;

	close(websocket->fd);
	ast_json_free(websocket->end_text);
}

static struct websocket *websocket_create(const struct stream *stream, struct ast_websocket *session)
{
	struct websocket *websocket = ao2_alloc(sizeof(*websocket), websocket_destroy);

	if (websocket) {
		websocket->sink = (struct sink) { message_room, message_put };
		websocket->session = session;
		websocket->fd = fcntl(ast_websocket_fd(session), F_DUPFD_CLOEXEC, 0);
		websocket->is_gone = websocket->fd < 0;
		websocket->is_encrypted = stream->to.scheme == SCHEME_WSS;
		websocket->skipped = stream->options.interleaved || stream->options.directions != PACKET_BOTH
			? PACKET_HEADER : 0;
	}
	return websocket;
}

void websocket_run(struct stream *stream)
{
	enum ast_websocket_result result = WS_ALLOCATE_ERROR;
	struct ast_websocket *session = connect_to(stream, &result);
	struct websocket *websocket = session ? websocket_create(stream, session) : NULL;
	int is_unreachable = result == WS_CLIENT_START_ERROR || result == WS_URI_RESOLVE_ERROR;

	if (websocket) {
		ast_websocket_set_nonblock(session);
		ast_websocket_set_timeout(session, WRITE_LIMIT_MS);
		write_text(websocket, stream->start_text);
		/* What the common thread writes has room: it never waits for longer than its tick. */
		ast_websocket_set_timeout(session, TICK_MS);
		/* Before the state: whoever sees that sees this. The common thread may have given the stream up. */
		stream->websocket = websocket;
		if (stream_goes_to(stream, STATE_UP)) {
			streams_wake();
			read_until_left(stream, websocket);
			ast_websocket_set_timeout(session, WRITE_LIMIT_MS);
			write_text(websocket, websocket->end_text);
		}
		ao2_ref(websocket, -1);
	} else if (stream_goes_to(stream, STATE_OVER)) {
		tell_failure(stream, is_unreachable ? REASON_UNREACHABLE : REASON_REFUSED,
			is_unreachable ? "its listener is not reached" : "its listener refuses the WebSocket");
	}
	if (session) {
		ast_websocket_close(session, 1000);
		ast_websocket_unref(session);
	}
}
