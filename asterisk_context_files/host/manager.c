/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Actions of AMI: registered and asked for
 */

#include "host_internal.h"

#include "asterisk/manager.h"

#define MAX_HEADERS 8
#define ANSWER_SIZE 1024

/*! What a program has written: "Name: value" each */
struct message {
	const char *headers[MAX_HEADERS];
	size_t count;
};

/*! What it is answered */
struct mansession {
	char answer[ANSWER_SIZE];
};

/*! The one action that is registered, or NULL */
static const char *registered;
static int (*function)(struct mansession *s, const struct message *m);

static __thread struct mansession session;

/*! What happens while the next answer is given, once */
static void (*when_answered)(void *data);
static void *when_answered_data;

void host_when_ami_answers(void (*happens)(void *data), void *data)
{
	when_answered = happens;
	when_answered_data = data;
}

static void answer(struct mansession *s, const char *outcome, const char *text)
{
	void (*happens)(void *data) = when_answered;

	snprintf(s->answer, sizeof(s->answer), "%s: %s", outcome, text);
	when_answered = NULL;
	if (happens) {
		happens(when_answered_data);
	}
}

int ast_manager_register2(const char *action, int authority,
	int (*func)(struct mansession *s, const struct message *m), struct ast_module *module,
	const char *synopsis, const char *description)
{
	if (registered || host_call_fails(__func__)) {
		return -1;
	}
	registered = action;
	function = func;
	return 0;
}

int ast_manager_unregister(const char *action)
{
	if (!registered || strcmp(registered, action)) {
		FAIL("action %s is unregistered, and was not registered", action);
	}
	registered = NULL;
	return 0;
}

unsigned int host_actions_left(void)
{
	return registered != NULL;
}

const char *astman_get_header(const struct message *m, char *var)
{
	size_t length = strlen(var);
	size_t i;

	for (i = 0; i < m->count; i++) {
		if (!strncasecmp(m->headers[i], var, length)
			&& !strncmp(m->headers[i] + length, ": ", 2)) {
			return m->headers[i] + length + 2;
		}
	}
	return "";
}

void astman_send_error(struct mansession *s, const struct message *m, char *error)
{
	answer(s, "Error", error);
}

void astman_send_ack(struct mansession *s, const struct message *m, char *msg)
{
	answer(s, "Success", msg);
}

const char *host_ami(const char *action, ...)
{
	struct message message = { .count = 0 };
	const char *header;
	va_list ap;

	va_start(ap, action);
	while (message.count < MAX_HEADERS && (header = va_arg(ap, const char *))) {
		message.headers[message.count++] = header;
	}
	va_end(ap);
	if (!registered || strcasecmp(registered, action)) {
		return "Error: Invalid/unknown command";
	}
	session.answer[0] = '\0';
	if (function(&session, &message)) {
		FAIL("action %s ends the connection", action);
	}
	return session.answer;
}
