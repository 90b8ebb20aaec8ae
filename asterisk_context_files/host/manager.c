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
#define MAX_ACTIONS 8
#define ANSWER_SIZE 8192

/*! What a program has written: "Name: value" each */
struct message {
	const char *headers[MAX_HEADERS];
	size_t count;
};

/*! What it is answered */
struct mansession {
	char answer[ANSWER_SIZE];
};

/*! The actions that are registered; a name is NULL where none is */
static struct {
	const char *name;
	int authority;
	int (*function)(struct mansession *s, const struct message *m);
} actions[MAX_ACTIONS];

static __thread struct mansession session;

/*! What happens while the next answer is given, once */
static void (*when_answered)(void *data);
static void *when_answered_data;

void host_when_ami_answers(void (*happens)(void *data), void *data)
{
	when_answered = happens;
	when_answered_data = data;
}

/*! Whether AMI is enabled in manager.conf */
static int enabled;

void host_enable_ami(int enable)
{
	enabled = enable;
}

int ast_manager_check_enabled(void)
{
	return enabled;
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

static int find(const char *name)
{
	int i;

	for (i = 0; i < MAX_ACTIONS; i++) {
		if (actions[i].name && !strcasecmp(actions[i].name, name)) {
			return i;
		}
	}
	return -1;
}

int ast_manager_register2(const char *action, int authority,
	int (*func)(struct mansession *s, const struct message *m), struct ast_module *module,
	const char *synopsis, const char *description)
{
	int i = 0;

	if (find(action) >= 0 || host_call_fails(__func__)) {
		return -1;
	}
	while (i < MAX_ACTIONS && actions[i].name) {
		i++;
	}
	if (i == MAX_ACTIONS) {
		FAIL("the host knows no more than %d actions", MAX_ACTIONS);
	}
	actions[i].name = action;
	actions[i].authority = authority;
	actions[i].function = func;
	return 0;
}

int ast_manager_unregister(const char *action)
{
	int i = find(action);

	if (i < 0) {
		FAIL("action %s is unregistered, and was not registered", action);
	}
	actions[i].name = NULL;
	return 0;
}

unsigned int host_actions_left(void)
{
	unsigned int left = 0;
	int i;

	for (i = 0; i < MAX_ACTIONS; i++) {
		left += actions[i].name != NULL;
	}
	return left;
}

int host_action_authority(const char *action)
{
	int i = find(action);

	return i < 0 ? -1 : actions[i].authority;
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

void astman_append(struct mansession *s, const char *fmt, ...)
{
	size_t used = strlen(s->answer);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->answer + used, sizeof(s->answer) - used, fmt, ap);
	va_end(ap);
}

void astman_send_listack(struct mansession *s, const struct message *m, char *msg, char *listflag)
{
	astman_append(s, "Response: Success\r\nEventList: %s\r\nMessage: %s\r\n\r\n", listflag, msg);
}

void astman_send_list_complete_start(struct mansession *s, const struct message *m,
	const char *event_name, int count)
{
	astman_append(s, "Event: %s\r\nEventList: Complete\r\nListItems: %d\r\n", event_name, count);
}

void astman_send_list_complete_end(struct mansession *s)
{
	astman_append(s, "\r\n");
}

const char *host_ami(const char *action, ...)
{
	struct message message = { .count = 0 };
	const char *header;
	va_list ap;
	int i;

	va_start(ap, action);
	while (message.count < MAX_HEADERS && (header = va_arg(ap, const char *))) {
		message.headers[message.count++] = header;
	}
	va_end(ap);
	i = find(action);
	if (i < 0) {
		return "Error: Invalid/unknown command";
	}
	session.answer[0] = '\0';
	if (actions[i].function(&session, &message)) {
		FAIL("action %s ends the connection", action);
	}
	return session.answer;
}
