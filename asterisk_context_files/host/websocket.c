/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The WebSocket client: each connection is one end of a socket pair, whose other end is the test's
 */

#include "host_internal.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include "asterisk/astobj2.h"
#include "asterisk/http_websocket.h"
#include "asterisk/module.h"
#include "asterisk/tcptls.h"

#define MAX_CONNECTIONS 64
#define MAX_USERS 16
/*! Of what the test's end has not read, bytes */
#define ROOM 65536

struct ast_websocket {
	int fd;
	int timeout_ms;
	int closing;
	char *payload;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int answer = WS_OK;
static int64_t answer_us;
static int is_there = 1;
static int far_ends[MAX_CONNECTIONS];
static size_t made;
static char asked[1024];
static size_t takes;

ssize_t __real_send(int fd, const void *bytes, size_t length, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t length, int flags);

void host_websocket_answers(int result, int64_t after_us)
{
	__atomic_store_n(&answer, result, __ATOMIC_RELEASE);
	__atomic_store_n(&answer_us, after_us, __ATOMIC_RELEASE);
}

void host_websocket_missing(void)
{
	is_there = 0;
}

void host_send_takes(size_t bytes)
{
	__atomic_store_n(&takes, bytes, __ATOMIC_RELEASE);
}

ssize_t __wrap_send(int fd, const void *bytes, size_t length, int flags)
{
	size_t most = __atomic_load_n(&takes, __ATOMIC_ACQUIRE);

	return __real_send(fd, bytes, most ? MIN(length, most) : length, flags);
}

int ast_module_check(const char *name)
{
	return is_there && !strcmp(name, "res_http_websocket.so");
}

int host_websocket_listener(size_t i)
{
	int fd;

	pthread_mutex_lock(&lock);
	fd = i < made ? far_ends[i] : -1;
	pthread_mutex_unlock(&lock);
	return fd;
}

const char *host_websocket_asked(void)
{
	return asked;
}

/* ---- The client ---- */

static void websocket_destroy(void *object)
{
	struct ast_websocket *websocket = object;

	if (websocket->fd >= 0) {
		close(websocket->fd);
	}
	free(websocket->payload);
}

static void free_tls(struct ast_tls_config *tls)
{
	if (tls) {
		ast_free(tls->cafile);
		ast_free(tls);
	}
}

static struct ast_websocket *client_create(struct ast_websocket_client_options *options,
	enum ast_websocket_result *result)
{
	const int room = ROOM;
	struct ast_websocket *websocket;
	int64_t after_us;
	int pair[2];

	if (options->timeout <= 0) {
		FAIL("a connection without a limit");
	}
	pthread_mutex_lock(&lock);
	snprintf(asked, sizeof(asked), "%s%s", options->uri, options->tls_cfg ? " with TLS" : "");
	pthread_mutex_unlock(&lock);
	free_tls(options->tls_cfg);
	while ((after_us = __atomic_load_n(&answer_us, __ATOMIC_ACQUIRE)) == HOST_NOT_YET) {
		host_sleep(1 * MS);
	}
	host_sleep(after_us);
	*result = __atomic_load_n(&answer, __ATOMIC_ACQUIRE);
	if (*result != WS_OK || !(websocket = ao2_alloc(sizeof(*websocket), websocket_destroy))) {
		return NULL;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
		FAIL("no socket pair");
	}
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	websocket->fd = pair[0];
	pthread_mutex_lock(&lock);
	if (made == MAX_CONNECTIONS) {
		FAIL("more than %d connections", MAX_CONNECTIONS);
	}
	far_ends[made++] = pair[1];
	pthread_mutex_unlock(&lock);
	return websocket;
}

static int set_nonblock(struct ast_websocket *session)
{
	return fcntl(session->fd, F_SETFL, O_NONBLOCK);
}

static int set_timeout(struct ast_websocket *session, int timeout)
{
	session->timeout_ms = timeout;
	return 0;
}

static int get_fd(struct ast_websocket *session)
{
	return session->closing ? -1 : session->fd;
}

static int wait_for_input(struct ast_websocket *session, int timeout)
{
	struct pollfd in = { .fd = session->fd, .events = POLLIN };

	return session->closing ? -1 : __real_poll(&in, 1, timeout);
}

/*! Bytes before what a client's message says, at most */
#define HEAD_BYTES 8
/*! So often Asterisk waits a second for the rest of a message */
#define WAITS 10

static int write_message(struct ast_websocket *session, enum ast_websocket_opcode opcode,
	char *payload, uint64_t payload_size)
{
	static const uint8_t mask[] = { 0x5a, 0x00, 0xff, 0x17 };
	uint8_t message[ROOM];
	size_t length = 0;
	uint64_t i;

	if (!session->timeout_ms || payload_size > sizeof(message) - HEAD_BYTES) {
		FAIL("a message without a limit of time, or of %ju bytes", (uintmax_t) payload_size);
	}
	message[length++] = (uint8_t) (0x80 | opcode);
	message[length++] = (uint8_t) (0x80 | (payload_size < 126 ? payload_size : 126));
	if (payload_size >= 126) {
		message[length++] = (uint8_t) (payload_size >> 8);
		message[length++] = (uint8_t) payload_size;
	}
	memcpy(message + length, mask, sizeof(mask));
	length += sizeof(mask);
	for (i = 0; i < payload_size; i++) {
		message[length++] = (uint8_t) payload[i] ^ mask[i % sizeof(mask)];
	}
	ao2_lock(session);
	/* What finds no room is what would wait. */
	session->closing |= session->closing || __real_send(session->fd, message, length, MSG_NOSIGNAL | MSG_DONTWAIT)
		!= (ssize_t) length;
	ao2_unlock(session);
	return session->closing ? -1 : 0;
}

/*! Half a message is waited for, with the lock */
static int read_whole(struct ast_websocket *session, void *to, size_t length)
{
	struct pollfd in = { .fd = session->fd, .events = POLLIN };
	int waits = 0;

	ao2_lock(session);
	while (length && !session->closing) {
		ssize_t got = recv(session->fd, to, length, 0);

		if (got > 0) {
			to = (char *) to + got;
			length -= (size_t) got;
		} else if (!got || errno != EAGAIN || waits++ == WAITS) {
			session->closing = 1;
		} else {
			__real_poll(&in, 1, 1000);
		}
	}
	ao2_unlock(session);
	return length ? -1 : 0;
}

static int read_message(struct ast_websocket *session, char **payload, uint64_t *payload_len,
	enum ast_websocket_opcode *opcode, int *fragmented)
{
	uint8_t head[4];

	*fragmented = 0;
	if (read_whole(session, head, 2) || ((head[1] & 0x7f) == 126 && read_whole(session, head + 2, 2))) {
		return -1;
	}
	*opcode = head[0] & 0x0f;
	*payload_len = (head[1] & 0x7f) < 126 ? head[1] & 0x7fu : (unsigned int) head[2] << 8 | head[3];
	free(session->payload);
	*payload = session->payload = host_alloc(*payload_len + 1);
	if (*payload_len && read_whole(session, *payload, *payload_len)) {
		return -1;
	}
	if (*opcode == AST_WEBSOCKET_OPCODE_PING) {
		return write_message(session, AST_WEBSOCKET_OPCODE_PONG, *payload, *payload_len);
	}
	session->closing |= *opcode == AST_WEBSOCKET_OPCODE_CLOSE;
	return 0;
}

static int close_with(struct ast_websocket *session, uint16_t reason)
{
	char code[2] = { (char) (reason >> 8), (char) reason };

	if (!session->closing) {
		write_message(session, AST_WEBSOCKET_OPCODE_CLOSE, code, sizeof(code));
		session->closing = 1;
	}
	return 0;
}

static void let_go(struct ast_websocket *session)
{
	ao2_cleanup(session);
}

/* ---- The functions that may be missing ---- */

static const struct {
	const char *name;
	ast_optional_fn function;
} functions[] = {
	{ "ast_websocket_read", (ast_optional_fn) read_message },
	{ "ast_websocket_write", (ast_optional_fn) write_message },
	{ "ast_websocket_close", (ast_optional_fn) close_with },
	{ "ast_websocket_unref", (ast_optional_fn) let_go },
	{ "ast_websocket_fd", (ast_optional_fn) get_fd },
	{ "ast_websocket_wait_for_input", (ast_optional_fn) wait_for_input },
	{ "ast_websocket_set_nonblock", (ast_optional_fn) set_nonblock },
	{ "ast_websocket_client_create_with_options", (ast_optional_fn) client_create },
	{ "ast_websocket_set_timeout", (ast_optional_fn) set_timeout },
};

void ast_optional_api_use(const char *symname, ast_optional_fn *optional_ref, ast_optional_fn stub,
	const char *module)
{
	size_t i;

	*optional_ref = stub;
	for (i = 0; i < ARRAY_LEN(functions); i++) {
		if (!strcmp(functions[i].name, symname)) {
			*optional_ref = functions[i].function;
		}
	}
}

void ast_optional_api_unuse(const char *symname, ast_optional_fn *optional_ref, const char *module)
{
}
