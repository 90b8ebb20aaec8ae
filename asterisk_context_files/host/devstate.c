/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Device states, and a scheduler whose thread is whoever waits
 */

#include "host_internal.h"

#include "asterisk/devicestate.h"
#include "asterisk/sched.h"

struct ast_sched_context {
	int gone;	/*!< destroyed; what still holds it is for nothing */
	int started;
	int held;	/*!< by what is to happen */
};

struct scheduled {
	struct ast_sched_context *context;
	int when_ms;
	ast_sched_cb callback;
	const void *data;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/*! Held while something that was scheduled runs: whoever destroys a scheduler waits for that */
static pthread_mutex_t running = PTHREAD_MUTEX_INITIALIZER;
static ast_devstate_prov_cb_type provider;
static char label[80];
static char told[4096];
static unsigned int contexts;

/* ---- Device states ---- */

static const char *state_name(enum ast_device_state state)
{
	static const char * const names[AST_DEVICE_TOTAL] = {
		"UNKNOWN", "NOT_INUSE", "INUSE", "BUSY", "INVALID", "UNAVAILABLE", "RINGING", "RINGINUSE",
		"ONHOLD",
	};

	return names[state];
}

int ast_devstate_prov_add(const char *name, ast_devstate_prov_cb_type callback)
{
	if (provider || host_call_fails(__func__)) {
		return -1;
	}
	provider = callback;
	ast_copy_string(label, name, sizeof(label));
	return 0;
}

int ast_devstate_prov_del(const char *name)
{
	if (!provider || strcmp(name, label)) {
		FAIL("a provider of device states is taken off that is not there");
	}
	provider = NULL;
	return 0;
}

static void __attribute__((format(printf, 1, 2))) note(const char *format, ...)
{
	size_t length;
	va_list ap;

	pthread_mutex_lock(&lock);
	length = strlen(told);
	snprintf(told + length, sizeof(told) - length, "%s", length ? " " : "");
	length = strlen(told);
	va_start(ap, format);
	vsnprintf(told + length, sizeof(told) - length, format, ap);
	va_end(ap);
	pthread_mutex_unlock(&lock);
}

int ast_devstate_changed(enum ast_device_state state, enum ast_devstate_cache cachable, const char *fmt,
	...)
{
	char device[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(device, sizeof(device), fmt, ap);
	va_end(ap);
	note("%s=%s", device, state_name(state));
	return 0;
}

int ast_device_state_clear_cache(const char *device)
{
	note("%s=cleared", device);
	return 0;
}

const char *host_device_states(void)
{
	static char copy[sizeof(told)];

	pthread_mutex_lock(&lock);
	ast_copy_string(copy, told, sizeof(copy));
	told[0] = '\0';
	pthread_mutex_unlock(&lock);
	return copy;
}

const char *host_device_state(const char *device)
{
	size_t length = strlen(label);

	if (!provider || strncmp(device, label, length) || device[length] != ':') {
		return "INVALID";
	}
	return state_name(provider(device + length + 1));
}

/* ---- The scheduler ---- */

struct ast_sched_context *ast_sched_context_create(void)
{
	struct ast_sched_context *context;

	if (host_call_fails(__func__)) {
		return NULL;
	}
	context = host_alloc(sizeof(*context));
	memset(context, 0, sizeof(*context));
	contexts++;
	return context;
}

/*! \brief Add to what still holds it, and free it when nothing does and it was destroyed */
static void hold(struct ast_sched_context *context, int by)
{
	int is_free;

	pthread_mutex_lock(&lock);
	context->held += by;
	is_free = context->gone && !context->held;
	pthread_mutex_unlock(&lock);
	if (is_free) {
		free(context);
	}
}

static int is_gone(struct ast_sched_context *context)
{
	int gone;

	pthread_mutex_lock(&lock);
	gone = context->gone;
	pthread_mutex_unlock(&lock);
	return gone;
}

void ast_sched_context_destroy(struct ast_sched_context *context)
{
	pthread_mutex_lock(&running);
	pthread_mutex_lock(&lock);
	context->gone = 1;
	pthread_mutex_unlock(&lock);
	pthread_mutex_unlock(&running);
	contexts--;
	hold(context, 0);
}

int ast_sched_start_thread(struct ast_sched_context *context)
{
	context->started = !host_call_fails(__func__);
	return context->started ? 0 : -1;
}

static void fire(void *data)
{
	struct scheduled *item = data;

	int again;

	pthread_mutex_lock(&running);
	again = !is_gone(item->context) && item->callback(item->data);
	pthread_mutex_unlock(&running);
	if (again) {
		host_at(host_now() + item->when_ms * MS, fire, item);
		return;
	}
	hold(item->context, -1);
	free(item);
}

int ast_sched_add(struct ast_sched_context *context, int when, ast_sched_cb callback, const void *data)
{
	struct scheduled *item = host_alloc(sizeof(*item));

	if (is_gone(context) || !context->started) {
		FAIL("something is scheduled where nobody looks");
	}
	*item = (struct scheduled) { context, when, callback, data };
	hold(context, +1);
	host_at(host_now() + when * MS, fire, item);
	return 1;
}

unsigned int host_device_states_left(void)
{
	return (provider != NULL) + contexts;
}
