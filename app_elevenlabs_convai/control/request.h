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
 *
 * Asterisk calls us when it has the headers, and waits for the body in ast_http_send, 30 s for each piece of it,
 * whether anybody has logged in or not; the module cannot be unloaded meanwhile. Threads of that server.
 */

#ifndef CONTROL_REQUEST_H
#define CONTROL_REQUEST_H

struct ast_tcptls_session_instance;
struct ast_variable;

/*! Longest body that is read, in bytes: what Asterisk takes of a form, and more than the page can send */
#define REQUEST_BODY_MAX 40960

/*! So long a body may take, all of it, in ms. With the answer behind it less than an unload waits. */
#define REQUEST_BODY_MS 2000

/*! So long an answer may wait to be taken, or a message of a stream, in ms */
#define REQUEST_ANSWER_MS 2000

/*! \brief The value of the first pair of this name, in small letters or capitals, or NULL */
const char *request_value(const struct ast_variable *pairs, const char *name);

/*!
 * \brief Read the body, before anything is answered, and give the answer its limit
 *
 * One that is longer than REQUEST_BODY_MAX, or does not say how long it is (chunked), is not read: the connection
 * is closed behind the answer, as it is if the body does not come in time.
 *
 * \return the fields of a form, to be given to ast_variables_destroy, or NULL: there is none, or not all of it
 */
struct ast_variable *request_take(struct ast_tcptls_session_instance *ser, struct ast_variable *headers);

#endif /* CONTROL_REQUEST_H */
