/*
 * app_forkstream: copy a call's audio to a listener
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief A stream by WebSocket, through Asterisk's own client, on a thread of its own
 */

#include "asterisk.h"

#include <poll.h>	/* poll(2) */

#include "asterisk/http_websocket.h"	/* the client */
#include "asterisk/json.h"	/* ast_json_free */
#include "asterisk/module.h"	/* ast_module_check */
#include "asterisk/strings.h"	/* ast_strlen_zero */
#include "asterisk/tcptls.h"	/* struct ast_tls_config */
#include "asterisk/utils.h"	/* ast_calloc */

#include "config.h"
#include "monotonic.h"
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

/* ---- Packets ---- */

struct connection {
	struct sink sink;	/*!< the first member: it is what media.c knows */
	struct ast_websocket *websocket;
	size_t skipped;	/*!< bytes of the header, where there is one direction, or both in one: audio alone */
	int is_gone;
	uint8_t packet[PACKET_BYTES_MAX];
};

/*! \brief Whether a packet finds room: TCP says so only while that is much more than a packet */
static uint8_t *connection_room(struct sink *sink)
{
	struct connection *connection = (struct connection *) sink;
	struct pollfd out = { .fd = ast_websocket_fd(connection->websocket), .events = POLLOUT };

	if (connection->is_gone || out.fd < 0 || poll(&out, 1, 0) <= 0 || !(out.revents & POLLOUT)) {
		return NULL;
	}
	return connection->packet;
}

static void connection_put(struct sink *sink, size_t length)
{
	struct connection *connection = (struct connection *) sink;

	connection->is_gone |= ast_websocket_write(connection->websocket, AST_WEBSOCKET_OPCODE_BINARY,
			(char *) connection->packet + connection->skipped, length - connection->skipped) != 0;
}

static void write_text(struct connection *connection, char *text)
{
	if (text && !connection->is_gone) {
		connection->is_gone |= ast_websocket_write(connection->websocket, AST_WEBSOCKET_OPCODE_TEXT, text,
				strlen(text)) != 0;
	}
}

/*! \brief Read what the listener says, which is nothing to us but that it goes */
static void read_some(struct connection *connection)
{
	enum ast_websocket_opcode opcode;
	uint64_t length;
	char *payload;
	int is_fragment;
	int i;

	for (i = 0; i < READS_A_TICK && !connection->is_gone; i++) {
		int ready;

		/* A WebSocket that is closing says -1 and leaves errno alone. */
		errno = 0;
		ready = ast_websocket_wait_for_input(connection->websocket, 0);
		if (!ready || (ready < 0 && errno == EINTR)) {
			return;
		}
		connection->is_gone = ready < 0
			|| ast_websocket_read(connection->websocket, &payload, &length, &opcode, &is_fragment)
			|| opcode == AST_WEBSOCKET_OPCODE_CLOSE;
	}
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

/* ---- The thread ---- */

static void serve_until_over(struct stream *stream, struct connection *connection)
{
	int64_t tick_us = monotonic_us();

	write_text(connection, stream->start_text);
	while (!connection->is_gone && !__atomic_load_n(&stream->reason, __ATOMIC_ACQUIRE)) {
		int64_t now_us = monotonic_us();

		read_some(connection);
		media_pump(stream->media, now_us, &connection->sink);
		stream_listen(stream, now_us);
		tick_us = MAX(tick_us + TICK_MS * INT64_C(1000), now_us);
		now_us = monotonic_us();
		if (tick_us > now_us) {
			poll(NULL, 0, (int) ((tick_us - now_us + 999) / 1000));
		}
	}
}

static void finish(struct stream *stream, struct connection *connection)
{
	char *text;

	if (connection->is_gone && !__atomic_load_n(&stream->reason, __ATOMIC_ACQUIRE)) {
		tell_failure(stream, REASON_CLOSED, "its listener has gone");
		return;
	}
	media_flush(stream->media, &connection->sink);
	text = tell_end_text(stream);
	write_text(connection, connection_room(&connection->sink) ? text : NULL);
	ast_json_free(text);
	tell_event(stream, "ForkStreamStop");
	stream_is_over(stream);
}

void websocket_run(struct stream *stream)
{
	enum ast_websocket_result result = WS_ALLOCATE_ERROR;
	struct connection connection = {
		.sink = { connection_room, connection_put },
		.skipped = stream->options.interleaved || stream->options.directions != PACKET_BOTH ? PACKET_HEADER : 0,
		.websocket = connect_to(stream, &result),
	};
	int is_unreachable = result == WS_CLIENT_START_ERROR || result == WS_URI_RESOLVE_ERROR;

	if (!connection.websocket) {
		if (stream_goes_to(stream, STATE_OVER)) {
			tell_failure(stream, is_unreachable ? REASON_UNREACHABLE : REASON_REFUSED,
				is_unreachable ? "its listener is not reached" : "its listener refuses the WebSocket");
		}
		return;
	}
	ast_websocket_set_nonblock(connection.websocket);
	ast_websocket_set_timeout(connection.websocket, WRITE_LIMIT_MS);
	if (stream_goes_to(stream, STATE_UP)) {
		tell_event(stream, "ForkStreamStart");
		serve_until_over(stream, &connection);
		finish(stream, &connection);
	}
	ast_websocket_close(connection.websocket, 1000);
	ast_websocket_unref(connection.websocket);
}
