/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Asterisk's HTTP server: its addresses, and who asks for them; and res_prometheus, which asks as well
 */

#include "host_internal.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "asterisk/astobj2.h"
#include "asterisk/config.h"
#include "asterisk/http.h"
#include "asterisk/iostream.h"
#include "asterisk/manager.h"
#include "asterisk/res_prometheus.h"
#include "asterisk/strings.h"
#include "asterisk/tcptls.h"

#define MAX_ADDRESSES 4

static struct ast_http_uri *linked[MAX_ADDRESSES];
static struct prometheus_callback *scraped;

/*! What the request that is answered now was answered with */
static int status;
static char *header;
static char *body;
static const char *asked_by;
static const struct host_request *asked;

/*! The connection of that request */
static struct {
	int closes;	/*!< behind the answer */
	int all_ms;	/*!< how long all that is read may take together; 0: each piece has its own limit */
	int each_ms;	/*!< how long an answer may wait to be taken; 0: as long as http.conf says */
} connection;

/*! Of the session 1 of AMI over HTTP; 0 and 0: nobody has logged in */
static struct {
	int read;
	int write;
} classes;

/*! How often a viewer of a stream is looked at before it leaves, and what happens meanwhile */
static struct {
	int looks;
	int stays;
	int at;
	void (*happens)(void *data);
	void *data;
} viewer;

int ast_http_uri_link(struct ast_http_uri *urihandler)
{
	int i = 0;

	if (host_call_fails(__func__)) {
		return -1;
	}
	while (linked[i]) {
		if (++i == MAX_ADDRESSES) {
			FAIL("the host knows no more than %d addresses", MAX_ADDRESSES);
		}
	}
	linked[i] = urihandler;
	return 0;
}

void ast_http_uri_unlink(struct ast_http_uri *urihandler)
{
	int i;

	for (i = 0; i < MAX_ADDRESSES; i++) {
		if (linked[i] == urihandler) {
			linked[i] = NULL;
		}
	}
}

/*! \brief The address of a path, and what is behind it; of several that fit, as Asterisk does, the longest */
static struct ast_http_uri *find(const char *path, const char **rest)
{
	struct ast_http_uri *found = NULL;
	int i;

	for (i = 0; i < MAX_ADDRESSES; i++) {
		size_t length = linked[i] ? strlen(linked[i]->uri) : 0;

		if (!linked[i] || strncasecmp(path, linked[i]->uri, length) || !strchr("/", path[length])
			|| (path[length] && path[length + 1] && !linked[i]->has_subtree)
			|| (found && strlen(found->uri) > length)) {
			continue;
		}
		found = linked[i];
		*rest = path + length + (path[length] == '/');
	}
	return found;
}

/* ---- Who asks ---- */

void host_log_in(int read, int write)
{
	classes.read = read;
	classes.write = write;
}

/*! \brief Pairs of name and value, as a list; to be given to ast_variables_destroy */
static struct ast_variable *list(const char *const *pairs, const char *separator)
{
	struct ast_variable *all = NULL;
	int i;

	for (i = HOST_HTTP_MAX; i > 0; i--) {
		const char *at = pairs[i - 1] ? strstr(pairs[i - 1], separator) : NULL;
		struct ast_variable *one;
		char name[64];

		if (!at) {
			continue;
		}
		snprintf(name, sizeof(name), "%.*s", (int) (at - pairs[i - 1]), pairs[i - 1]);
		one = host_pair(name, at + strlen(separator));
		one->next = all;
		all = one;
	}
	return all;
}

uint32_t ast_http_manid_from_vars(struct ast_variable *headers)
{
	for (; headers; headers = headers->next) {
		if (!strcasecmp(headers->name, "Cookie")) {
			return strstr(headers->value, "mansession_id=\"00000001\"") ? 1 : 2;
		}
	}
	return 0;
}

int astman_is_authed(uint32_t ident)
{
	return ident == 1 && (classes.read || classes.write);
}

int astman_verify_session_readpermissions(uint32_t ident, int perm)
{
	return ident == 1 && (classes.read & perm);
}

int astman_verify_session_writepermissions(uint32_t ident, int perm)
{
	return ident == 1 && (classes.write & perm);
}

/* ---- The body ---- */

int ast_http_body_discard(struct ast_tcptls_session_instance *ser)
{
	if (!asked->lacks_body || connection.closes) {
		return 0;
	}
	if (!connection.all_ms) {
		FAIL("a body is waited for that comes byte by byte");
	}
	usleep(connection.all_ms * 1000);
	connection.closes = 1;
	return -1;
}

struct ast_variable *ast_http_get_post_vars(struct ast_tcptls_session_instance *ser,
	struct ast_variable *headers)
{
	return ast_http_body_discard(ser) ? NULL : list(asked->form, "=");
}

void ast_http_request_close_on_completion(struct ast_tcptls_session_instance *ser)
{
	connection.closes = 1;
}

void ast_iostream_set_timeout_inactivity(struct ast_iostream *stream, int timeout)
{
	connection.all_ms = 0;
	connection.each_ms = timeout;
}

void ast_iostream_set_timeout_sequence(struct ast_iostream *stream, struct timeval start,
	int timeout)
{
	connection.all_ms = timeout;
}

/* ---- Answers ---- */

static void auth_destructor(void *object)
{
	struct ast_http_auth *auth = object;

	free(auth->userid);
	free(auth->password);
}

struct ast_http_auth *ast_http_get_auth(struct ast_variable *headers)
{
	const char *colon = asked_by ? strchr(asked_by, ':') : NULL;
	struct ast_http_auth *auth = colon ? ao2_alloc(sizeof(*auth), auth_destructor) : NULL;

	if (auth) {
		auth->userid = strndup(asked_by, (size_t) (colon - asked_by));
		auth->password = strdup(colon + 1);
	}
	return auth;
}

static void respond(int code, const char *lines, const char *text)
{
	if (!connection.each_ms) {
		FAIL("an answer may wait to be taken for longer than an unload waits");
	}
	status = code;
	free(header);
	header = strdup(lines);
	free(body);
	body = strdup(text);
}

void ast_http_send(struct ast_tcptls_session_instance *ser, enum ast_http_method method,
	int status_code, const char *status_title, struct ast_str *http_header, struct ast_str *out,
	int fd, unsigned int static_content)
{
	ast_http_body_discard(ser);
	respond(status_code, ast_str_buffer(http_header), ast_str_buffer(out));
	if (fd) {
		/* As in Asterisk, where -1 is a descriptor as well, and its length is added. */
		body[strlen(body) + lseek(fd, 0, SEEK_END)] = '\0';
	}
	ast_free(http_header);
	ast_free(out);
}

void ast_http_create_response(struct ast_tcptls_session_instance *ser, int status_code,
	const char *status_title, struct ast_str *http_header_data, const char *text)
{
	ast_http_body_discard(ser);
	respond(status_code, http_header_data ? ast_str_buffer(http_header_data) : "", text);
	ast_free(http_header_data);
}

void ast_http_error(struct ast_tcptls_session_instance *ser, int code, const char *title,
	const char *text)
{
	ast_http_body_discard(ser);
	respond(code, "", text);
}

/* ---- A stream ---- */

void host_viewer_stays(int looks)
{
	memset(&viewer, 0, sizeof(viewer));
	viewer.stays = looks;
}

void host_when_viewer_looks(int look, void (*happens)(void *data), void *data)
{
	viewer.at = look;
	viewer.happens = happens;
	viewer.data = data;
}

int ast_iostream_get_fd(struct ast_iostream *stream)
{
	return -1;
}

ssize_t ast_iostream_write(struct ast_iostream *stream, const void *buffer, size_t count)
{
	char *all;

	if (!strncmp(buffer, "HTTP/1.1 200 ", 13)) {
		respond(200, "", "");
	}
	if (asprintf(&all, "%s%.*s", body, (int) count, (const char *) buffer) < 0) {
		return -1;
	}
	free(body);
	body = all;
	return (ssize_t) count;
}

int ast_wait_for_input(int fd, int ms)
{
	if (viewer.happens && viewer.looks == viewer.at) {
		viewer.happens(viewer.data);
	}
	usleep(ms * 1000);
	return viewer.looks++ == viewer.stays;
}

/* ---- A request ---- */

static int ask(const struct host_request *request, const char *from)
{
	struct ast_tcptls_session_instance session = { 0 };
	struct sockaddr_in *in = (struct sockaddr_in *) &session.remote_address.ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *) &session.remote_address.ss;
	struct ast_variable *headers;
	struct ast_variable *params;
	struct ast_http_uri *uri;
	const char *rest;

	if (inet_pton(AF_INET, from, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
	} else if (inet_pton(AF_INET6, from, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
	}
	uri = find(request->path, &rest);
	if (!uri) {
		return 404;
	}
	asked = request;
	memset(&connection, 0, sizeof(connection));
	headers = list(request->headers, ": ");
	params = list(request->params, "=");
	uri->callback(&session, uri, rest, request->method, params, headers);
	ast_variables_destroy(params);
	ast_variables_destroy(headers);
	return status;
}

int host_http(const struct host_request *request, const char **lines, const char **text)
{
	int res = ask(request, "127.0.0.1");

	*lines = header;
	*text = body;
	return res;
}

int host_http_get(const char *from, const char *login, const char **text)
{
	const struct host_request request = { .path = "elevenlabs/metrics" };
	int res;

	asked_by = login;
	res = ask(&request, from);
	*text = body;
	return res;
}

int prometheus_callback_register(struct prometheus_callback *callback)
{
	scraped = callback;
	return 0;
}

void prometheus_callback_unregister(struct prometheus_callback *callback)
{
	if (scraped == callback) {
		scraped = NULL;
	}
}

void host_scrape(struct ast_str **output)
{
	if (scraped) {
		scraped->callback_fn(output);
	}
}

unsigned int host_addresses_left(void)
{
	unsigned int left = scraped != NULL;
	int i;

	free(header);
	header = NULL;
	free(body);
	body = NULL;
	for (i = 0; i < MAX_ADDRESSES; i++) {
		left += linked[i] != NULL;
	}
	return left;
}
