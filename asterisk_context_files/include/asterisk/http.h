/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Addresses of Asterisk's HTTP server
 */

#ifndef CONTEXT_HTTP_H
#define CONTEXT_HTTP_H

#include <stdint.h>

#include "asterisk/linkedlists.h"

struct ast_str;
struct ast_tcptls_session_instance;
struct ast_variable;

enum ast_http_method {
	AST_HTTP_UNKNOWN = -1,
	AST_HTTP_GET = 0,
	AST_HTTP_POST,
	AST_HTTP_HEAD,
	AST_HTTP_PUT,
	AST_HTTP_DELETE,
	AST_HTTP_OPTIONS,
	AST_HTTP_MAX_METHOD,
};

struct ast_http_uri;

typedef int (*ast_http_callback)(struct ast_tcptls_session_instance *ser,
	const struct ast_http_uri *urih, const char *uri, enum ast_http_method method,
	struct ast_variable *get_params, struct ast_variable *headers);

struct ast_http_uri {
	AST_LIST_ENTRY(ast_http_uri) entry;
	const char *description;
	const char *uri;
	const char *prefix;
	ast_http_callback callback;
	unsigned int has_subtree:1;
	unsigned int mallocd:1;
	unsigned int dmallocd:1;
	unsigned int no_decode_uri:1;
	void *data;
	const char *key;
};

struct ast_http_auth {
	char *userid;
	char *password;
};

int ast_http_uri_link(struct ast_http_uri *urihandler);
void ast_http_uri_unlink(struct ast_http_uri *urihandler);
/*! \brief With a reference for the caller, or NULL */
struct ast_http_auth *ast_http_get_auth(struct ast_variable *headers);
/*! \brief The session that the cookie of AMI over HTTP names, or 0 */
uint32_t ast_http_manid_from_vars(struct ast_variable *headers);
/*! \brief What a form has sent, to be given to ast_variables_destroy; NULL: nothing, or no form */
struct ast_variable *ast_http_get_post_vars(struct ast_tcptls_session_instance *ser,
	struct ast_variable *headers);
/*! \brief Read what nobody has read of a body; ast_http_send does so too. -1: it did not come. */
int ast_http_body_discard(struct ast_tcptls_session_instance *ser);
/*! \brief Close the connection behind the answer, without reading what is left of the body */
void ast_http_request_close_on_completion(struct ast_tcptls_session_instance *ser);
/*! \brief Frees header and body; reads what is left of a body before */
void ast_http_send(struct ast_tcptls_session_instance *ser, enum ast_http_method method,
	int status_code, const char *status_title, struct ast_str *http_header,
	struct ast_str *out, int fd, unsigned int static_content);
/*! \brief Frees the header */
void ast_http_create_response(struct ast_tcptls_session_instance *ser, int status_code,
	const char *status_title, struct ast_str *http_header_data, const char *text);
void ast_http_error(struct ast_tcptls_session_instance *ser, int status, const char *title,
	const char *text);

#endif /* CONTEXT_HTTP_H */
