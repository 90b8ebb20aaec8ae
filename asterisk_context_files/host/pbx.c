/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The dialplan: applications, their arguments, and channel variables
 */

#include "host_internal.h"

#include "asterisk/app.h"
#include "asterisk/chanvars.h"
#include "asterisk/module.h"
#include "asterisk/pbx.h"

#define MAX_APPLICATIONS 4

struct application {
	char name[64];
	int (*execute)(struct ast_channel *, const char *);
};

static struct application applications[MAX_APPLICATIONS];

/*! A function of the dialplan's that some module has registered, or NULL */
static const char *brought;

static struct application *find(const char *name)
{
	size_t i;

	for (i = 0; i < MAX_APPLICATIONS; i++) {
		if (!strcasecmp(applications[i].name, name)) {
			return &applications[i];
		}
	}
	return NULL;
}

void host_bring_function(const char *name)
{
	brought = name;
}

#define MAX_GIVEN 8

static struct {
	const char *function;	/*!< NAME(arguments) */
	const char *value;
} given[MAX_GIVEN];

void host_gives(const char *function, const char *value)
{
	size_t i = 0;

	while (given[i].function) {
		i++;
	}
	if (i == MAX_GIVEN - 1) {
		FAIL("more than %d values of functions", MAX_GIVEN - 1);
	}
	given[i].function = function;
	given[i].value = value;
}

static int is_given(const char *name)
{
	size_t length = strlen(name);
	size_t i;

	for (i = 0; given[i].function; i++) {
		if (!strncmp(given[i].function, name, length) && given[i].function[length] == '(') {
			return 1;
		}
	}
	return 0;
}

int host_given(const char *function, char *text, size_t size)
{
	size_t i;

	for (i = 0; given[i].function; i++) {
		if (!strcmp(given[i].function, function)) {
			ast_copy_string(text, given[i].value, size);
			return 0;
		}
	}
	return -1;
}

struct ast_custom_function *ast_custom_function_find(const char *name)
{
	/* Nobody looks into what it leads to. */
	if (brought && !strcmp(brought, name)) {
		return (struct ast_custom_function *) &brought;
	}
	return is_given(name) ? (struct ast_custom_function *) &brought : NULL;
}

int ast_register_application2(const char *app,
	int (*execute)(struct ast_channel *, const char *), const char *synopsis,
	const char *description, void *mod)
{
	struct application *free_one = find("");

	if (host_call_fails(__func__) || find(app) || !free_one) {
		return -1;
	}
	ast_copy_string(free_one->name, app, sizeof(free_one->name));
	free_one->execute = execute;
	return 0;
}

int ast_unregister_application(const char *app)
{
	struct application *found = find(app);

	if (!found) {
		return -1;
	}
	memset(found, 0, sizeof(*found));
	return 0;
}

int host_application_registered(const char *application)
{
	return find(application) != NULL;
}

int host_exec(struct ast_channel *channel, const char *application, const char *data)
{
	struct application *found = find(application);
	int res;

	if (!found) {
		FAIL("there is no application %s", application);
	}
	host_channel_set_application(channel, application);
	res = found->execute(channel, data);
	host_sleep(host_channel_lateness(channel));
	host_channel_set_application(channel, NULL);
	return res;
}

/* ---- Arguments ---- */

unsigned int __ast_app_separate_args(char *buf, char delim, int remove_chars, char **array,
	int arraylen)
{
	int count = 0;
	int depth = 0;
	int quoted = 0;
	char *c;

	memset(array, 0, arraylen * sizeof(*array));
	if (!buf || !*buf) {
		return 0;
	}
	array[count++] = buf;
	for (c = buf; *c && count <= arraylen; c++) {
		if (*c == '\\' && c[1]) {
			c += !remove_chars;
			if (remove_chars) {
				memmove(c, c + 1, strlen(c));
			}
		} else if (*c == '"') {
			quoted = !quoted;
			if (remove_chars) {
				memmove(c, c + 1, strlen(c));
				c--;
			}
		} else if (*c == '(') {
			depth++;
		} else if (*c == ')') {
			depth -= depth > 0;
		} else if (*c == delim && !depth && !quoted && count < arraylen) {
			*c = '\0';
			array[count++] = c + 1;
		}
	}
	return count;
}

int ast_app_parse_options(const struct ast_app_option *options, struct ast_flags *flags,
	char **args, char *optstr)
{
	char *c;

	flags->flags = 0;
	for (c = optstr; c && *c; c++) {
		const struct ast_app_option *option = &options[*c & 0x7f];

		flags->flags |= option->flag;
		if (option->arg_index && c[1] == '(') {
			char *end = strchr(c, ')');

			if (!end) {
				return -1;
			}
			args[option->arg_index - 1] = c + 2;
			*end = '\0';
			c = end;
		}
	}
	return 0;
}

/* ---- Variables ---- */

const char *ast_var_name(const struct ast_var_t *var)
{
	const char *name = var->name;

	name += name[0] == '_';
	return name + (name[0] == '_' && name != var->name);
}

const char *ast_var_value(const struct ast_var_t *var)
{
	return var->value;
}

static const char *bare(const char *name)
{
	name += *name == '_';
	return name + (*name == '_');
}

static struct ast_var_t *find_variable(struct ast_channel *channel, const char *name)
{
	struct ast_var_t *variable;

	AST_LIST_TRAVERSE(ast_channel_varshead(channel), variable, entries) {
		if (!strcmp(ast_var_name(variable), name)) {
			return variable;
		}
	}
	return NULL;
}

static void delete_variable(struct ast_channel *channel, const char *name)
{
	struct varshead *head = ast_channel_varshead(channel);
	struct varshead kept = { NULL, NULL };
	struct ast_var_t *variable;

	while ((variable = AST_LIST_REMOVE_HEAD(head, entries))) {
		if (strcmp(ast_var_name(variable), name)) {
			AST_LIST_INSERT_TAIL(&kept, variable, entries);
		} else {
			free(variable->value);
			free(variable);
		}
	}
	*head = kept;
}

/*! The newest is the first, as in Asterisk */
int pbx_builtin_setvar_helper(struct ast_channel *chan, const char *name,
	const char *value)
{
	struct varshead *head = ast_channel_varshead(chan);
	struct ast_var_t *variable;

	ao2_lock(chan);
	delete_variable(chan, bare(name));
	if (value) {
		variable = host_alloc(sizeof(*variable) + strlen(name) + 1);
		strcpy(variable->name, name);	/* Flawfinder: ignore */
		variable->value = strdup(value);
		AST_LIST_NEXT(variable, entries) = head->first;
		head->first = variable;
		if (!head->last) {
			head->last = variable;
		}
	}
	ao2_unlock(chan);
	return 0;
}

const char *pbx_builtin_getvar_helper(struct ast_channel *chan, const char *name)
{
	struct ast_var_t *variable = find_variable(chan, name);

	return variable ? variable->value : NULL;
}

const char *host_variable(struct ast_channel *channel, const char *name)
{
	struct ast_var_t *variable = find_variable(channel, name);

	return variable ? variable->value : NULL;
}
