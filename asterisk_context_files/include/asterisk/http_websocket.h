/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief WebSockets
 */

#ifndef CONTEXT_HTTP_WEBSOCKET_H
#define CONTEXT_HTTP_WEBSOCKET_H

#include <errno.h>
#include <stdint.h>

#include "asterisk/optional_api.h"

struct ast_tls_config;
struct ast_websocket;

enum ast_websocket_opcode {
	AST_WEBSOCKET_OPCODE_TEXT = 0x1,
	AST_WEBSOCKET_OPCODE_BINARY = 0x2,
	AST_WEBSOCKET_OPCODE_PING = 0x9,
	AST_WEBSOCKET_OPCODE_PONG = 0xA,
	AST_WEBSOCKET_OPCODE_CLOSE = 0x8,
	AST_WEBSOCKET_OPCODE_CONTINUATION = 0x0,
};

enum ast_websocket_result {
	WS_OK,
	WS_ALLOCATE_ERROR,
	WS_KEY_ERROR,
	WS_URI_PARSE_ERROR,
	WS_URI_RESOLVE_ERROR,
	WS_BAD_STATUS,
	WS_INVALID_RESPONSE,
	WS_BAD_REQUEST,
	WS_URL_NOT_FOUND,
	WS_HEADER_MISMATCH,
	WS_HEADER_MISSING,
	WS_NOT_SUPPORTED,
	WS_WRITE_ERROR,
	WS_CLIENT_START_ERROR,
	WS_UNAUTHORIZED,
};

struct ast_websocket_client_options {
	const char *uri;
	const char *protocols;
	int timeout;	/*!< ms */
	struct ast_tls_config *tls_cfg;	/*!< the client frees it */
	const char *username;
	const char *password;
	int suppress_connection_msgs;
};

AST_OPTIONAL_API(int, ast_websocket_read, (struct ast_websocket *session, char **payload,
		uint64_t *payload_len, enum ast_websocket_opcode *opcode, int *fragmented), {
	errno = ENOSYS;
	return -1;
});
AST_OPTIONAL_API(int, ast_websocket_write, (struct ast_websocket *session,
		enum ast_websocket_opcode opcode, char *payload, uint64_t payload_size), {
	errno = ENOSYS;
	return -1;
});
AST_OPTIONAL_API(int, ast_websocket_close, (struct ast_websocket *session, uint16_t reason), {
	errno = ENOSYS;
	return -1;
});
AST_OPTIONAL_API(void, ast_websocket_unref, (struct ast_websocket *session), {
	return;
});
AST_OPTIONAL_API(int, ast_websocket_fd, (struct ast_websocket *session), {
	errno = ENOSYS;
	return -1;
});
AST_OPTIONAL_API(int, ast_websocket_wait_for_input, (struct ast_websocket *session, int timeout), {
	errno = ENOSYS;
	return -1;
});
AST_OPTIONAL_API(int, ast_websocket_set_nonblock, (struct ast_websocket *session), {
	errno = ENOSYS;
	return -1;
});
AST_OPTIONAL_API(struct ast_websocket *, ast_websocket_client_create_with_options,
	(struct ast_websocket_client_options *options, enum ast_websocket_result *result), {
	return NULL;
});
AST_OPTIONAL_API(int, ast_websocket_set_timeout, (struct ast_websocket *session, int timeout), {
	return -1;
});

#endif /* CONTEXT_HTTP_WEBSOCKET_H */
