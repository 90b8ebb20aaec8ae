/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The live page: who may have it, what is asked for, and what is answered
 */

#include "asterisk.h"

#include "asterisk/astobj2.h"	/* ao2_cleanup */
#include "asterisk/config.h"	/* struct ast_variable */
#include "asterisk/http.h"	/* URIs */
#include "asterisk/iostream.h"	/* what is written to a viewer */
#include "asterisk/lock.h"	/* ast_atomic_fetchadd_int */
#include "asterisk/manager.h"	/* who has logged in */
#include "asterisk/strings.h"	/* ast_str */
#include "asterisk/tcptls.h"	/* who asks */
#include "asterisk/utils.h"	/* ast_wait_for_input */

#include "call/call.h"
#include "call/feed.h"
#include "call/registry.h"
#include "call/variables.h"
#include "config/config.h"
#include "control/inquire.h"
#include "control/page.h"
#include "control/page_file.h"
#include "control/page_status.h"
#include "control/request.h"
#include "control/running.h"
#include "control/say.h"
#include "control/steer.h"
#include "door.h"
#include "monotonic.h"

/*! Room for the status, which grows: some calls */
#define STATUS_SIZE 16384
/*! Room for the headers of an answer */
#define HEADER_SIZE 512

/*! Those in here right now; each counts itself in and out */
static int running;
/*! Of these, how many have `events` open */
static int viewers;
/*! The module is to go: nobody stays */
static int stopping;

/* ---- Who asks ---- */

/*!
 * \brief Whether a page of another origin asks, by what its browser says. Whoever uses none says nothing.
 *
 * The cookie of the log-in comes along with whatever a browser is made to ask this host for.
 */
static int is_foreign(const struct ast_variable *headers)
{
	const char *site = request_value(headers, "Sec-Fetch-Site");
	const char *origin = request_value(headers, "Origin");
	const char *host = request_value(headers, "Host");

	if (site && strcmp(site, "same-origin") && strcmp(site, "none")) {
		return 1;
	}
	if (!origin) {
		return 0;
	}
	origin = strstr(origin, "://");
	return !origin || !host || strcasecmp(origin + strlen("://"), host);
}

/*! \return the HTTP status: 200 if who asks may see calls */
static int admit(struct ast_variable *headers, struct page_cursor *cursor)
{
	uint32_t id = ast_http_manid_from_vars(headers);

	if (is_foreign(headers)) {
		return 403;
	}
	if (!astman_is_authed(id)) {
		return 401;
	}
	cursor->may_call = astman_verify_session_writepermissions(id, EVENT_FLAG_CALL) != 0;
	return astman_verify_session_readpermissions(id, EVENT_FLAG_REPORTING) ? 200 : 403;
}

static int is_on(void)
{
	struct config *config = config_get();
	int on = config && config->http_page;

	ao2_cleanup(config);
	return on;
}

/* ---- What is answered ---- */

/*! What goes with everything: no other site may show it, or read it */
#define GUARDS "X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nReferrer-Policy: no-referrer\r\n" \
	"Cross-Origin-Resource-Policy: same-origin\r\n"

/*! \brief Send a text, which is freed */
static void send_text(struct ast_tcptls_session_instance *ser, enum ast_http_method method, int status,
	const char *title, const char *type, const char *more, struct ast_str *out)
{
	struct ast_str *header = ast_str_create(HEADER_SIZE);

	if (!header || !out) {
		ast_free(header);
		ast_free(out);
		ast_http_error(ser, 500, "Server Error", "Out of memory");
		return;
	}
	ast_str_set(&header, 0, "Content-Type: %s\r\n" GUARDS "%s", type, more);
	ast_http_send(ser, method, status, title, header, out, 0, 0);
}

/*! \brief Answer with one line for people: why not, or what has become of it */
static void send_answer(struct ast_tcptls_session_instance *ser, int status, const char *title, const char *answer)
{
	struct ast_str *out = ast_str_create(HEADER_SIZE);

	if (out) {
		ast_str_set(&out, 0, "{\"answer\":");
		door_json(&out, answer);
		ast_str_append(&out, 0, "}");
	}
	send_text(ser, AST_HTTP_GET, status, title, "application/json", status == 503 ? "Retry-After: 30\r\n" : "", out);
}

/*! \brief Say why not. \return whether there is anything to say */
static int refuse(struct ast_tcptls_session_instance *ser, int status)
{
	switch (status) {
	case 200:
		return 0;
	case 401:
		send_answer(ser, 401, "Unauthorized", "Log in first, by AMI over HTTP: manager.conf");
		return 1;
	default:
		send_answer(ser, 403, "Forbidden",
			"Not from a page of another origin, and only who has the class reporting for read (to act: call for "
			"write as well) in manager.conf");
		return 1;
	}
}

/* ---- The page itself ---- */

/*! \brief The page has nothing of calls in it: whoever asks may have it, and sees a log-in form */
static void send_page(struct ast_tcptls_session_instance *ser, enum ast_http_method method)
{
	struct ast_str *out = ast_str_create(STATUS_SIZE);
	char nonce[PAGE_NONCE_SIZE];
	char policy[HEADER_SIZE];

	if (!out || page_file_append(&out, nonce)) {
		ast_free(out);
		send_answer(ser, 503, "Service Unavailable",
			"The engine is not running, or its files are not whole: the log says why, make install brings them anew");
		return;
	}
	snprintf(policy, sizeof(policy),
		"Content-Security-Policy: default-src 'none'; script-src 'nonce-%s'; style-src 'nonce-%s'; "
		"connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
		"Cross-Origin-Opener-Policy: same-origin\r\n", nonce, nonce);
	send_text(ser, method, 200, "OK", "text/html; charset=utf-8", policy, out);
}

/* ---- What there is to see ---- */

static uint64_t number_in(const struct ast_variable *params, const char *name)
{
	const char *value = request_value(params, name);

	return value ? strtoull(value, NULL, 10) : 0;
}

static void take_cursor(struct page_cursor *cursor, const struct ast_variable *params)
{
	cursor->call = number_in(params, "call");
	cursor->from = number_in(params, "from");
	cursor->ended = number_in(params, "ended");
	if (request_value(params, "since")) {
		cursor->has_levels = 1;
		page_status_since(cursor, number_in(params, "since"));
	}
}

static void send_status(struct ast_tcptls_session_instance *ser, enum ast_http_method method,
	struct page_cursor *cursor)
{
	struct ast_str *out = ast_str_create(STATUS_SIZE);

	if (out) {
		page_status_append(&out, cursor);
	}
	send_text(ser, method, 200, "OK", "application/json", "", out);
}

/*! \brief Whether all of it has been written, in time */
static int write_all(struct ast_tcptls_session_instance *ser, const struct ast_str *out)
{
	return ast_iostream_write(ser->stream, ast_str_buffer(out), ast_str_strlen(out))
		== (ssize_t) ast_str_strlen(out);
}

/*! \brief Wait for the next tick. \return whether there is to be one: the viewer is there, and the module stays */
static int wait_for_tick(struct ast_tcptls_session_instance *ser)
{
	int64_t due = monotonic_us() + PAGE_TICK_MS * 1000;

	while (monotonic_us() < due) {
		/* A viewer says nothing any more: what can be read is its end. */
		if (__atomic_load_n(&stopping, __ATOMIC_ACQUIRE)
			|| ast_wait_for_input(ast_iostream_get_fd(ser->stream), PAGE_LOOK_MS)) {
			return 0;
		}
	}
	return 1;
}

/*! \brief Send what there is again and again, as long as who looks may see it */
static void stream(struct ast_tcptls_session_instance *ser, struct ast_variable *headers,
	struct page_cursor *cursor)
{
	struct ast_str *out = ast_str_create(STATUS_SIZE);
	int status;

	if (!out) {
		ast_http_error(ser, 500, "Server Error", "Out of memory");
		return;
	}
	ast_str_set(&out, 0,
		"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
		"X-Accel-Buffering: no\r\nConnection: close\r\n" GUARDS "\r\n");
	do {
		status = is_on() ? admit(headers, cursor) : 404;
		if (status == 200) {
			ast_str_append(&out, 0, "data: ");
			page_status_append(&out, cursor);
		} else {
			ast_str_append(&out, 0, "event: refused\ndata: %d", status);
		}
		ast_str_append(&out, 0, "\n\n");
		if (!write_all(ser, out)) {
			break;
		}
		ast_str_reset(out);
	} while (status == 200 && wait_for_tick(ser));
	ast_free(out);
}

/*! \brief The call that a viewer means, with a reference, or NULL */
static struct call *find_call(uint64_t feed)
{
	struct call *found = NULL;
	struct call **calls;
	size_t count = registry_list(&calls);
	size_t i;

	for (i = 0; i < count; i++) {
		if (calls[i]->feed && calls[i]->feed->number == feed) {
			ao2_replace(found, calls[i]);
		}
	}
	registry_free_list(calls, count);
	return found;
}

/*!
 * \brief Have the engine make the report of a call, which is a page of its own. \return whether it has
 *
 * Its record may have words that are for who may read files, and not for who looks at calls.
 */
static int make_report(uint64_t number, char **report)
{
	struct pair_list list = { 0 };
	struct call *call = find_call(number);
	struct feed *feed = call ? ao2_bump(call->feed) : feed_find_ended(number);
	int ok = 0;

	if (feed && *feed->record && !pair_list_add(&list, "call", feed->record)
		&& !pair_list_add(&list, "words", feed_shows_words(feed) ? "yes" : "no")) {
		ok = inquire("report page", "", &list, PAGE_REPORT_MS, report);
	}
	pair_list_free(&list);
	ao2_cleanup(feed);
	ao2_cleanup(call);
	return ok;
}

static void send_report(struct ast_tcptls_session_instance *ser, enum ast_http_method method, uint64_t feed)
{
	char *report = NULL;
	struct ast_str *out = make_report(feed, &report) ? ast_str_create(STATUS_SIZE) : NULL;

	if (out) {
		ast_str_set(&out, 0, "%s", report);
		send_text(ser, method, 200, "OK", "text/html; charset=utf-8",
			"Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; sandbox\r\n", out);
	} else {
		send_answer(ser, 404, "Not Found", S_OR(report, "There is no report of this call"));
	}
	ast_free(report);
}

/*! \return -1: the connection is to be closed, 0: it may stay */
static int send_events(struct ast_tcptls_session_instance *ser, struct ast_variable *headers,
	struct page_cursor *cursor)
{
	int res = 0;

	if (ast_atomic_fetchadd_int(&viewers, +1) >= PAGE_VIEWERS_MAX) {
		send_answer(ser, 503, "Service Unavailable", "Too many watch already: poll status.json");
	} else {
		stream(ser, headers, cursor);
		res = -1;
	}
	ast_atomic_fetchadd_int(&viewers, -1);
	return res;
}

/* ---- What can be done ---- */

static int act_on(struct call *call, int hangs_up, const struct ast_variable *form, char *answer, size_t size)
{
	if (!call) {
		snprintf(answer, size, "The call is over");
		return -1;
	}
	if (hangs_up) {
		steer_hangup_call(call);
		snprintf(answer, size, "Hung up");
		return 0;
	}
	return say_to(call, S_OR(request_value(form, "type"), ""), S_OR(request_value(form, "text"), ""), answer, size);
}

/*!
 * \brief Carry out what a button wants
 *
 * Its header is one that no form and no other page can send without asking first, and that is never answered.
 */
static void act(struct ast_tcptls_session_instance *ser, const struct ast_variable *headers,
	const struct ast_variable *form, int hangs_up, struct page_cursor *cursor)
{
	struct call *call;
	char answer[STEER_ANSWER_SIZE];
	int failed;

	if (!cursor->may_call || !request_value(headers, "X-ElevenLabs-Page")) {
		refuse(ser, 403);
		return;
	}
	if (!form) {
		send_answer(ser, 400, "Bad Request", "There is no form, or it is too long");
		return;
	}
	take_cursor(cursor, form);
	call = find_call(cursor->call);
	failed = act_on(call, hangs_up, form, answer, sizeof(answer));
	send_answer(ser, failed ? 409 : 200, failed ? "Conflict" : "OK", answer);
	ao2_cleanup(call);
}

/* ---- The address ---- */

static int answer_get(struct ast_tcptls_session_instance *ser, const char *uri, enum ast_http_method method,
	const struct ast_variable *params, struct ast_variable *headers)
{
	struct page_cursor cursor = { 0 };
	int is_stream = !strcmp(uri, "events");

	if (!*uri) {
		send_page(ser, method);
		return 0;
	}
	if (!is_stream && strcmp(uri, "status.json") && strcmp(uri, "report")) {
		ast_http_error(ser, 404, "Not Found", "There is no such page");
		return 0;
	}
	if (refuse(ser, admit(headers, &cursor))) {
		return 0;
	}
	take_cursor(&cursor, params);
	if (!strcmp(uri, "report")) {
		send_report(ser, method, cursor.call);
		return 0;
	}
	if (is_stream) {
		return send_events(ser, headers, &cursor);
	}
	send_status(ser, method, &cursor);
	return 0;
}

static void answer_post(struct ast_tcptls_session_instance *ser, const char *uri, struct ast_variable *headers,
	const struct ast_variable *form)
{
	struct page_cursor cursor = { 0 };
	int hangs_up = !strcmp(uri, "hangup");

	if (!hangs_up && strcmp(uri, "say")) {
		ast_http_error(ser, 404, "Not Found", "There is no such page");
	} else if (!refuse(ser, admit(headers, &cursor))) {
		act(ser, headers, form, hangs_up, &cursor);
	}
}

static int answer(struct ast_tcptls_session_instance *ser, const char *uri, enum ast_http_method method,
	const struct ast_variable *params, struct ast_variable *headers, const struct ast_variable *form)
{
	if (!is_on()) {
		ast_http_error(ser, 404, "Not Found", "http_page in elevenlabs.conf is not on");
		return 0;
	}
	switch (method) {
	case AST_HTTP_GET:
		return answer_get(ser, uri, method, params, headers);
	case AST_HTTP_HEAD:
		if (!strcmp(uri, "events")) {
			break;
		}
		return answer_get(ser, uri, method, params, headers);
	case AST_HTTP_POST:
		answer_post(ser, uri, headers, form);
		return 0;
	default:
		break;
	}
	ast_http_error(ser, 405, "Method Not Allowed", "There are GET and POST alone");
	return 0;
}

static int handle_http(struct ast_tcptls_session_instance *ser, const struct ast_http_uri *urih,
	const char *uri, enum ast_http_method method, struct ast_variable *get_params,
	struct ast_variable *headers)
{
	struct ast_variable *form;
	int res;

	ast_atomic_fetchadd_int(&running, +1);
	form = request_take(ser, headers);
	res = answer(ser, uri, method, get_params, headers, form);
	ast_variables_destroy(form);
	ast_atomic_fetchadd_int(&running, -1);
	return res;
}

static struct ast_http_uri address = {
	.description = "The live page of the ElevenLabs agents",
	.uri = "elevenlabs",
	.callback = handle_http,
	.has_subtree = 1,
};

/*! Load, reload and unload only, one at a time */
static int linked;

int page_register(void)
{
	page_status_begin();
	__atomic_store_n(&stopping, 0, __ATOMIC_RELEASE);
	if (!linked && ast_http_uri_link(&address)) {
		return -1;
	}
	linked = 1;
	return 0;
}

int page_unregister(int limit_ms)
{
	__atomic_store_n(&stopping, 1, __ATOMIC_RELEASE);
	if (linked) {
		ast_http_uri_unlink(&address);
		linked = 0;
		return running_wait_http(&running, limit_ms);
	}
	return running_wait(&running, limit_ms);
}
