/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The dialplan: extensions that a subroutine may begin at, and functions
 */

#include "host_internal.h"

#include "asterisk/app.h"
#include "asterisk/pbx.h"
#include "asterisk/strings.h"

#define MAX_EXTENSIONS 32
/*! Of NAME(arguments), and of what a function gives */
#define TEXT_SIZE 4096
#define LONG_SIZE 20000
/*! An application that reads the channel looks at the clock as often */
#define READ_SLICE_MS 20

struct extension {
	char context[80];
	char name[80];
	void (*subroutine)(struct ast_channel *channel, void *data);
	void *data;
	const char *arguments;	/*!< of its application, or NULL */
};

static struct extension extensions[MAX_EXTENSIONS];
static size_t extension_count;
static struct ast_custom_function *registered;
static enum ast_custom_function_escalation needed;

/* ---- Extensions ---- */

void host_extension(const char *context, const char *extension,
	void (*subroutine)(struct ast_channel *channel, void *data), void *data)
{
	struct extension *added = &extensions[extension_count++];

	if (extension_count > MAX_EXTENSIONS) {
		FAIL("more than %d extensions", MAX_EXTENSIONS);
	}
	ast_copy_string(added->context, context, sizeof(added->context));
	ast_copy_string(added->name, extension, sizeof(added->name));
	added->subroutine = subroutine;
	added->data = data;
}

void host_extension_line(const char *context, const char *extension, const char *arguments)
{
	host_extension(context, extension, NULL, NULL);
	extensions[extension_count - 1].arguments = arguments;
}

/* ---- Walking through all of it: a context stands for the first of its extensions ---- */

static int locks;	/*!< of the contexts, and of one context */

static void take_lock(int held)
{
	if (locks != held) {
		FAIL("the dialplan is locked in another order, or not at all");
	}
}

int ast_rdlock_contexts(void)
{
	take_lock(0);
	locks++;
	return 0;
}

int ast_unlock_contexts(void)
{
	take_lock(1);
	locks--;
	return 0;
}

int ast_rdlock_context(struct ast_context *con)
{
	take_lock(1);
	locks++;
	return 0;
}

int ast_unlock_context(struct ast_context *con)
{
	take_lock(2);
	locks--;
	return 0;
}

static int is_first(size_t place)
{
	size_t i;

	for (i = 0; i < place; i++) {
		if (!strcmp(extensions[i].context, extensions[place].context)) {
			return 0;
		}
	}
	return 1;
}

struct ast_context *ast_walk_contexts(struct ast_context *con)
{
	size_t i = con ? (struct extension *) con - extensions + 1 : 0;

	take_lock(1);
	while (i < extension_count && !is_first(i)) {
		i++;
	}
	return i < extension_count ? (struct ast_context *) &extensions[i] : NULL;
}

struct ast_context *ast_context_find(const char *name)
{
	size_t i;

	take_lock(1);
	for (i = 0; i < extension_count; i++) {
		if (!strcmp(extensions[i].context, name)) {
			return (struct ast_context *) &extensions[i];
		}
	}
	return NULL;
}

struct ast_exten *ast_walk_context_extensions(struct ast_context *con, struct ast_exten *priority)
{
	const char *context = ((struct extension *) con)->context;
	size_t i = priority ? (struct extension *) priority - extensions + 1 : 0;

	take_lock(2);
	while (i < extension_count && strcmp(extensions[i].context, context)) {
		i++;
	}
	return i < extension_count ? (struct ast_exten *) &extensions[i] : NULL;
}

struct ast_exten *ast_walk_extension_priorities(struct ast_exten *exten, struct ast_exten *priority)
{
	return priority ? NULL : exten;
}

const char *ast_get_context_name(struct ast_context *con)
{
	return ((struct extension *) con)->context;
}

const char *ast_get_extension_name(struct ast_exten *exten)
{
	return ((struct extension *) exten)->name;
}

/*! Each extension has one line */
int ast_get_extension_priority(struct ast_exten *exten)
{
	return 1;
}

/*! All lines are of one application */
const char *ast_get_extension_app(struct ast_exten *e)
{
	return "Set";
}

void *ast_get_extension_app_data(struct ast_exten *e)
{
	return (void *) ((struct extension *) e)->arguments;
}

static const struct extension *find_extension(const char *context, const char *name)
{
	size_t i;

	for (i = 0; i < extension_count; i++) {
		if (!strcmp(extensions[i].context, context) && !strcmp(extensions[i].name, name)) {
			return &extensions[i];
		}
	}
	return NULL;
}

int ast_exists_extension(struct ast_channel *c, const char *context, const char *exten, int priority,
	const char *callerid)
{
	return priority == 1 && find_extension(context, exten) != NULL;
}

int ast_app_exec_sub(struct ast_channel *autoservice_chan, struct ast_channel *sub_chan,
	const char *sub_args, int ignore_hangup)
{
	char *rest = strdup(sub_args);
	char *whole = rest;
	const char *context = strsep(&rest, ",");
	const char *name = strsep(&rest, ",");
	const char *before = ast_channel_appl(sub_chan);
	const struct extension *found = name && rest && !strcmp(rest, "1")
		? find_extension(context, name) : NULL;

	if (autoservice_chan) {
		FAIL("a second reader of the channel");
	}
	if (!ignore_hangup && strncmp(ast_channel_name(sub_chan), "Surrogate/", strlen("Surrogate/"))) {
		FAIL("a redirect within a subroutine becomes a hang-up");
	}
	free(whole);
	if (!found || host_call_fails(__func__)) {
		return -1;
	}
	host_channel_set_application(sub_chan, "Dial");
	found->subroutine(sub_chan, found->data);
	host_channel_set_application(sub_chan, before);
	return 0;
}

int host_dialplan_waits(struct ast_channel *channel, int64_t us, char *digits)
{
	int64_t until = host_now() + us;

	if (digits) {
		*digits = '\0';
	}
	while (host_now() < until) {
		int ms = READ_SLICE_MS;
		struct ast_frame *frame;

		if (!ast_waitfor_nandfds(&channel, 1, NULL, 0, NULL, NULL, &ms)) {
			continue;
		}
		frame = ast_read(channel);
		if (!frame) {
			return -1;
		}
		if (digits && frame->frametype == AST_FRAME_DTMF_END) {
			size_t length = strlen(digits);

			snprintf(digits + length, HOST_DIGITS_SIZE - length, "%c", frame->subclass.integer);
		}
		ast_frfree(frame);
	}
	return 0;
}

/* ---- Functions ---- */

int __ast_custom_function_register_escalating(struct ast_custom_function *acf,
	enum ast_custom_function_escalation escalation, struct ast_module *mod)
{
	if (registered || host_call_fails(__func__)) {
		return -1;
	}
	registered = acf;
	needed = escalation;
	return 0;
}

int ast_custom_function_unregister(struct ast_custom_function *acf)
{
	if (registered != acf) {
		FAIL("a function is unregistered that is not registered");
	}
	registered = NULL;
	return 0;
}

unsigned int host_functions_left(void)
{
	return registered != NULL;
}

/*! \brief Split NAME(arguments). \return the function of that name, or NULL */
static struct ast_custom_function *parse(const char *text, char *arguments)
{
	size_t length = strcspn(text, "(");

	if (!registered || strlen(registered->name) != length
		|| strncmp(registered->name, text, length) || text[length] != '(') {
		return NULL;
	}
	ast_copy_string(arguments, text + length + 1, TEXT_SIZE);
	arguments[strcspn(arguments, ")")] = '\0';
	return registered;
}

const char *host_function(struct ast_channel *channel, const char *function)
{
	static _Thread_local char text[TEXT_SIZE];
	char arguments[TEXT_SIZE];
	struct ast_custom_function *found = parse(function, arguments);

	return found && !found->read(channel, found->name, arguments, text, sizeof(text)) ? text : NULL;
}

const char *host_function_long(struct ast_channel *channel, const char *function)
{
	static _Thread_local char copy[LONG_SIZE];
	struct ast_str *text = ast_str_create(16);
	char arguments[TEXT_SIZE];
	struct ast_custom_function *found = parse(function, arguments);
	int res = found ? found->read2(channel, found->name, arguments, &text, 0) : -1;

	ast_copy_string(copy, ast_str_buffer(text), sizeof(copy));
	ast_free(text);
	return res ? NULL : copy;
}

int host_function_set(struct ast_channel *channel, const char *function, const char *value,
	int escalated)
{
	char arguments[TEXT_SIZE];
	struct ast_custom_function *found = parse(function, arguments);

	if (!found || (!escalated && (needed == AST_CFE_WRITE || needed == AST_CFE_BOTH))) {
		return -1;
	}
	return found->write(channel, found->name, arguments, value);
}
