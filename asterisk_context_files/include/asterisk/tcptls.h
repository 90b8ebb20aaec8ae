/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Connections of Asterisk's servers
 */

#ifndef CONTEXT_TCPTLS_H
#define CONTEXT_TCPTLS_H

#include "asterisk/netsock2.h"
#include "asterisk/utils.h"

struct ast_str;
struct ast_tcptls_session_args;
struct ast_iostream;
struct ssl_ctx_st;

struct ast_tls_config {
	int enabled;
	char *certfile;
	char *pvtfile;
	char *cipher;
	char *cafile;
	char *capath;
	struct ast_flags flags;
	struct ssl_ctx_st *ssl_ctx;
	char certhash[41];
	char pvthash[41];
	char cahash[41];
};

struct ast_tcptls_session_instance {
	int client;
	struct ast_sockaddr remote_address;
	struct ast_tcptls_session_args *parent;
	struct ast_str *overflow_buf;
	struct ast_iostream *stream;
	void *private_data;
};

#endif /* CONTEXT_TCPTLS_H */
