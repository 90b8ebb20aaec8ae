/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The module loader, and what is run when the process ends
 */

#include "host_internal.h"

#include "asterisk/ast_version.h"
#include "asterisk/module.h"

#define MAX_AT_EXIT 4
#define MAX_FAULTS 8

static struct ast_module_info *module;
static int loaded;
static int users;	/*!< that hold the module */
static void (*at_exit[MAX_AT_EXIT])(void);

static struct {
	char function[64];
	unsigned int countdown;
} faults[MAX_FAULTS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;


/* ---- Faults ---- */

void host_fail_call(const char *function, unsigned int n)
{
	size_t i = 0;

	pthread_mutex_lock(&lock);
	while (i < MAX_FAULTS && faults[i].function[0] && strcmp(faults[i].function, function)) {
		i++;
	}
	if (i == MAX_FAULTS) {
		FAIL("more than %d faults", MAX_FAULTS);
	}
	ast_copy_string(faults[i].function, function, sizeof(faults[i].function));
	faults[i].countdown = n;
	pthread_mutex_unlock(&lock);
}

int host_call_fails(const char *function)
{
	int fails = 0;
	size_t i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < MAX_FAULTS; i++) {
		if (!strcmp(faults[i].function, function)) {
			fails = faults[i].countdown && !--faults[i].countdown;
		}
	}
	pthread_mutex_unlock(&lock);
	return fails;
}

/* ---- The module ---- */

void ast_module_register(const struct ast_module_info *info)
{
	module = (struct ast_module_info *) info;
}

struct ast_module *__ast_module_ref(struct ast_module *mod, const char *file, int line,
	const char *func)
{
	__atomic_fetch_add(&users, 1, __ATOMIC_RELAXED);
	return mod;
}

void __ast_module_unref(struct ast_module *mod, const char *file, int line, const char *func)
{
	if (__atomic_fetch_sub(&users, 1, __ATOMIC_RELAXED) <= 0) {
		host_fail(file, line, "the module is let go more often than it was held");
	}
}

void ast_module_unregister(const struct ast_module_info *info)
{
	module = NULL;
}

/*! What Asterisk itself would check before it calls the module */
static void check_module(void)
{
	if (!module) {
		FAIL("no module has registered itself");
	}
	if (strcmp(module->key, ASTERISK_GPL_KEY)) {
		FAIL("the module has the wrong key");
	}
	if (strcmp(module->buildopt_sum, AST_BUILDOPT_SUM)) {
		FAIL("the module was not built against these headers");
	}
	if (!module->load || !module->unload || !module->reload || !module->description) {
		FAIL("the module is incomplete");
	}
}

int host_load(void)
{
	int res;

	check_module();
	if (loaded) {
		FAIL("the module is loaded twice");
	}
	module->self = (struct ast_module *) &module;
	res = module->load();
	loaded = res == AST_MODULE_LOAD_SUCCESS;
	return res;
}

int host_unload(int force)
{
	if (force) {
		host_channels_hangup(AST_SOFTHANGUP_APPUNLOAD);
	} else if (__atomic_load_n(&users, __ATOMIC_RELAXED)) {
		return -1;
	}
	if (module->unload()) {
		return -1;
	}
	loaded = 0;
	return 0;
}

int host_reload(void)
{
	return module->reload();
}

/* ---- The end of the process ---- */

int ast_register_atexit(void (*func)(void))
{
	size_t i;

	if (host_call_fails(__func__)) {
		return -1;
	}
	for (i = 0; i < MAX_AT_EXIT; i++) {
		if (!at_exit[i]) {
			at_exit[i] = func;
			return 0;
		}
	}
	return -1;
}

void ast_unregister_atexit(void (*func)(void))
{
	size_t i;

	for (i = 0; i < MAX_AT_EXIT; i++) {
		if (at_exit[i] == func) {
			at_exit[i] = NULL;
		}
	}
}

static int shutting_down;

int ast_shutting_down(void)
{
	return shutting_down;
}

void host_shutting_down(void)
{
	shutting_down = 1;
}

void host_stop_now(void)
{
	size_t i;

	for (i = 0; i < MAX_AT_EXIT; i++) {
		if (at_exit[i]) {
			at_exit[i]();
		}
	}
}

unsigned int host_registrations(void)
{
	unsigned int count = host_commands_left() + host_actions_left()
		+ host_functions_left() + host_addresses_left() + host_device_states_left();
	size_t i;

	for (i = 0; i < MAX_AT_EXIT; i++) {
		count += at_exit[i] != NULL;
	}
	return count + host_application_registered("ElevenLabsConvAI");
}

unsigned int host_registrations_left(void)
{
	unsigned int count = host_registrations();

	if (count) {
		printf("# leak: %u registration(s)\n", count);
	}
	return count;
}

const char *ast_get_version(void)
{
	return "mock";
}
