/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Where Prometheus reads the metrics: res_prometheus, and an address of our own
 *
 * Threads of Asterisk's HTTP server come here. Our own address answers loopback alone, unless
 * metrics_user and metrics_password are set: then it asks whoever comes for them.
 */

#include "asterisk.h"

#include <dlfcn.h>	/* dlsym(3) */
#include <netinet/in.h>	/* IN6_IS_ADDR_LOOPBACK */

#include "asterisk/astobj2.h"	/* ao2_cleanup */
#include "asterisk/config.h"	/* struct ast_variable */
#include "asterisk/http.h"	/* URIs */
#include "asterisk/lock.h"	/* ast_atomic_fetchadd_int */
#include "asterisk/logger.h"	/* LOG_WARNING */
#if __has_include("asterisk/res_prometheus.h")
#include "asterisk/res_prometheus.h"	/* not in Asterisk 16 */
#define HAVE_PROMETHEUS 1
#endif
#include "asterisk/strings.h"	/* ast_str */
#include "asterisk/tcptls.h"	/* who asks */

#include "config/config.h"
#include "control/metrics.h"
#include "control/request.h"
#include "control/running.h"
#include "control/scrape.h"
#include "door.h"

/*! Room for the metrics of some agents; it grows */
#define METRICS_SIZE 16384

/*! Room for the headers of an answer */
#define HEADER_SIZE 128

/*! Those in here right now; each counts itself in and out */
static int running;

/* ---- Our own address ---- */

/*! \brief Whether somebody on this machine asks */
static int is_local(const struct ast_tcptls_session_instance *ser)
{
	const struct sockaddr_storage *remote = &ser->remote_address.ss;

	if (remote->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *) remote;

		return ntohl(in->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	}
	if (remote->ss_family == AF_INET6) {
		const struct in6_addr *in6 = &((const struct sockaddr_in6 *) remote)->sin6_addr;

		return IN6_IS_ADDR_LOOPBACK(in6) || (IN6_IS_ADDR_V4MAPPED(in6) && in6->s6_addr[12] == IN_LOOPBACKNET);
	}
	return 0;
}

/*! \brief Whether two texts are equal, in a time that does not tell where they differ */
static int is_equal(const char *given, const char *wanted)
{
	size_t length = strlen(wanted);
	unsigned char differs = strlen(given) != length;
	size_t i;

	for (i = 0; i < length && given[i]; i++) {
		differs |= given[i] ^ wanted[i];
	}
	return !differs;
}

static int knows_password(struct ast_variable *headers, const char *user, const char *password)
{
	struct ast_http_auth *auth = ast_http_get_auth(headers);
	int res = auth && is_equal(auth->userid, user) & is_equal(auth->password, password);

	ao2_cleanup(auth);
	return res;
}

/*! \return the HTTP status: 200 if these metrics are for who asks */
static int admit(const struct ast_tcptls_session_instance *ser, struct ast_variable *headers)
{
	struct config *config = config_get();
	const char *user = config ? config->general[KEY_METRICS_USER] : NULL;
	int status;

	if (user) {
		status = knows_password(headers, user, config->general[KEY_METRICS_PASSWORD]) ? 200 : 401;
	} else {
		status = is_local(ser) ? 200 : 403;
	}
	ao2_cleanup(config);
	return status;
}

static void send_metrics(struct ast_tcptls_session_instance *ser, enum ast_http_method method)
{
	struct ast_str *header = ast_str_create(HEADER_SIZE);
	struct ast_str *out = ast_str_create(METRICS_SIZE);

	if (!header || !out) {
		ast_free(header);
		ast_free(out);
		ast_http_error(ser, 500, "Server Error", "Out of memory");
		return;
	}
	ast_str_set(&header, 0, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
	metrics_append(&out);
	ast_http_send(ser, method, 200, "OK", header, out, 0, 0);
}

/*! \brief ast_http_auth would ask for Digest, which Prometheus has not */
static void ask_for_password(struct ast_tcptls_session_instance *ser)
{
	struct ast_str *header = ast_str_create(HEADER_SIZE);

	if (header) {
		ast_str_set(&header, 0, "WWW-Authenticate: Basic realm=\"elevenlabs\"\r\n");
	}
	ast_http_create_response(ser, 401, "Unauthorized", header, "metrics_user and metrics_password");
}

static void answer(struct ast_tcptls_session_instance *ser, enum ast_http_method method,
	struct ast_variable *headers)
{
	if (method != AST_HTTP_GET && method != AST_HTTP_HEAD) {
		ast_http_error(ser, 501, "Not Implemented", "There is GET alone");
		return;
	}
	switch (admit(ser, headers)) {
	case 200:
		send_metrics(ser, method);
		break;
	case 401:
		ask_for_password(ser);
		break;
	default:
		ast_http_error(ser, 403, "Forbidden",
			"From elsewhere than this machine only with metrics_user and metrics_password");
		break;
	}
}

static int handle_http(struct ast_tcptls_session_instance *ser, const struct ast_http_uri *urih,
	const char *uri, enum ast_http_method method, struct ast_variable *get_params,
	struct ast_variable *headers)
{
	ast_atomic_fetchadd_int(&running, +1);
	ast_variables_destroy(request_take(ser, headers));
	answer(ser, method, headers);
	ast_atomic_fetchadd_int(&running, -1);
	return 0;
}

static struct ast_http_uri address = {
	.description = "Metrics of the ElevenLabs agents, for Prometheus",
	.uri = "elevenlabs/metrics",
	.callback = handle_http,
};

/*! Load, reload and unload only, one at a time */
static int linked;

/* ---- res_prometheus ---- */

#ifdef HAVE_PROMETHEUS

static void scraped(struct ast_str **output)
{
	ast_atomic_fetchadd_int(&running, +1);
	metrics_append(output);
	ast_atomic_fetchadd_int(&running, -1);
}

static struct prometheus_callback callback = {
	.name = AST_MODULE,
	.callback_fn = scraped,
};

static void leave_prometheus(void)
{
	/* Looked up each time: nothing links with what need not be there, and it may have gone. */
	void (*unregister)(struct prometheus_callback *callback) = dlsym(RTLD_DEFAULT,
		"prometheus_callback_unregister");

	if (unregister) {
		unregister(&callback);
	}
}

static void join_prometheus(void)
{
	int (*join)(struct prometheus_callback *callback) = dlsym(RTLD_DEFAULT,
		"prometheus_callback_register");

	if (join && join(&callback)) {
		door_log(LOG_WARNING, "res_prometheus does not take the metrics\n");
	}
}

#else

static void leave_prometheus(void)
{
}

static void join_prometheus(void)
{
}

#endif

/* ---- Registration ---- */

int scrape_register(void)
{
	if (!linked && ast_http_uri_link(&address)) {
		return -1;
	}
	linked = 1;
	leave_prometheus();
	join_prometheus();
	return 0;
}

int scrape_unregister(int limit_ms)
{
	leave_prometheus();
	if (linked) {
		ast_http_uri_unlink(&address);
		linked = 0;
		return running_wait_http(&running, limit_ms);
	}
	return running_wait(&running, limit_ms);
}
