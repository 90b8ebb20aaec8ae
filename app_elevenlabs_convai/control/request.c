/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief A request to Asterisk's HTTP server: what comes behind its headers, and how long it may keep us
 */

#include "asterisk.h"

#include <sys/time.h>	/* gettimeofday(2) */

#include "asterisk/config.h"	/* struct ast_variable */
#include "asterisk/http.h"	/* the body of a request */
#include "asterisk/iostream.h"	/* limits of a connection */
#include "asterisk/tcptls.h"	/* who asks */

#include "control/request.h"

const char *request_value(const struct ast_variable *pairs, const char *name)
{
	for (; pairs; pairs = pairs->next) {
		if (!strcasecmp(pairs->name, name)) {
			return pairs->value;
		}
	}
	return NULL;
}

/*! \brief Whether there is an end to the body, and a near one. Asterisk, too, takes the first of equal headers. */
static int is_short(const struct ast_variable *headers)
{
	const char *length = request_value(headers, "Content-Length");
	long long bytes = length ? strtoll(length, NULL, 10) : 0;

	return !request_value(headers, "Transfer-Encoding") && bytes >= 0 && bytes <= REQUEST_BODY_MAX;
}

struct ast_variable *request_take(struct ast_tcptls_session_instance *ser, struct ast_variable *headers)
{
	struct ast_variable *form = NULL;
	struct timeval now;

	if (is_short(headers)) {
		/* All of it together, not each piece: who sends one byte a second would never be done. */
		gettimeofday(&now, NULL);
		ast_iostream_set_timeout_sequence(ser->stream, now, REQUEST_BODY_MS);
		form = ast_http_get_post_vars(ser, headers);
		ast_http_body_discard(ser);
	} else {
		ast_http_request_close_on_completion(ser);
	}
	ast_iostream_set_timeout_inactivity(ser->stream, REQUEST_ANSWER_MS);
	return form;
}
