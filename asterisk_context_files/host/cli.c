/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Commands: registered, typed and completed
 */

#include "host_internal.h"

#include "asterisk/cli.h"

#define MAX_COMMANDS 32
#define MAX_WORDS (AST_MAX_ARGS - 1)
#define MAX_CANDIDATES 64
#define OUTPUT_SIZE 65536
#define LINE_SIZE 512
/*! The only descriptor that commands print to */
#define CLI_FD 1000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct ast_cli_entry *commands[MAX_COMMANDS];

/*! Where a command prints that a command runs; 0: none does */
static __thread int other_fd;
static __thread char output[OUTPUT_SIZE];
static __thread size_t used;
static __thread char *candidates[MAX_CANDIDATES];
static __thread size_t candidate_count;

/* ---- Registration ---- */

static int register_one(struct ast_cli_entry *e, struct ast_module *mod)
{
	size_t i;

	for (i = 0; i < MAX_COMMANDS; i++) {
		if (commands[i] == e) {
			/* Asterisk warns, and reports success. */
			return 0;
		}
	}
	e->handler(e, CLI_INIT, NULL);
	if (!e->command || !e->usage || !e->summary) {
		FAIL("a command without words, usage or summary is registered");
	}
	e->command = strdup(e->command);
	e->_full_cmd = strdup(e->command);
	e->module = mod;
	for (i = 0; i < MAX_COMMANDS; i++) {
		if (!commands[i]) {
			commands[i] = e;
			return 0;
		}
		if (!strcmp(commands[i]->_full_cmd, e->_full_cmd)) {
			FAIL("command \"%s\" is registered twice", e->_full_cmd);
		}
	}
	FAIL("more than %d commands are registered", MAX_COMMANDS);
}

/*! A failure leaves those registered that came before, as in Asterisk */
int __ast_cli_register_multiple(struct ast_cli_entry *e, int len, struct ast_module *mod)
{
	int fails = host_call_fails(__func__);
	int i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < (fails ? len / 2 : len); i++) {
		register_one(&e[i], mod);
	}
	pthread_mutex_unlock(&lock);
	return fails ? -1 : 0;
}

int ast_cli_unregister(struct ast_cli_entry *e)
{
	size_t i;

	pthread_mutex_lock(&lock);
	if (__atomic_load_n(&e->inuse, __ATOMIC_ACQUIRE)) {
		/* Asterisk only warns. */
		pthread_mutex_unlock(&lock);
		return 0;
	}
	for (i = 0; i < MAX_COMMANDS; i++) {
		if (commands[i] == e) {
			commands[i] = NULL;
			free(e->_full_cmd);
			free(e->command);
			e->_full_cmd = NULL;
			e->command = NULL;
			e->usage = NULL;
		}
	}
	pthread_mutex_unlock(&lock);
	return 0;
}

unsigned int host_commands_left(void)
{
	unsigned int count = 0;
	size_t i;

	for (i = 0; i < MAX_COMMANDS; i++) {
		count += commands[i] != NULL;
	}
	return count;
}

/* ---- Typing ---- */

void ast_cli(int fd, const char *fmt, ...)
{
	va_list ap;

	if (fd != CLI_FD && fd != other_fd) {
		FAIL("a command prints to descriptor %d", fd);
	}
	va_start(ap, fmt);
	if (fd == other_fd) {
		vdprintf(fd, fmt, ap);
		va_end(ap);
		return;
	}
	used += vsnprintf(output + used, sizeof(output) - used, fmt, ap);
	va_end(ap);
	if (used >= sizeof(output)) {
		FAIL("a command prints more than %d bytes", OUTPUT_SIZE);
	}
}

static int split(char *line, const char **words)
{
	int count = 0;
	char *rest = NULL;
	char *word;

	/* More are dropped, as by Asterisk. */
	for (word = strtok_r(line, " ", &rest); word && count < MAX_WORDS;
		word = strtok_r(NULL, " ", &rest)) {
		words[count++] = word;
	}
	return count;
}

/*! \return how many words of the command are the line's first ones; 0 if they are not */
static int matches(const struct ast_cli_entry *e, const char * const *words, int count)
{
	char command[LINE_SIZE];
	const char *own[MAX_WORDS];
	int length;
	int i;

	ast_copy_string(command, e->_full_cmd, sizeof(command));
	length = split(command, own);
	for (i = 0; i < length; i++) {
		if (i >= count || strcasecmp(own[i], words[i])) {
			return 0;
		}
	}
	return length;
}

/*! The command with the most words that fits, in use until command_done; or NULL */
static struct ast_cli_entry *command_find(const char * const *words, int count)
{
	struct ast_cli_entry *best = NULL;
	int most = 0;
	size_t i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < MAX_COMMANDS; i++) {
		int fit = commands[i] ? matches(commands[i], words, count) : 0;

		if (fit > most) {
			best = commands[i];
			most = fit;
		}
	}
	if (best) {
		__atomic_fetch_add(&best->inuse, 1, __ATOMIC_ACQ_REL);
	}
	pthread_mutex_unlock(&lock);
	return best;
}

static void command_done(struct ast_cli_entry *e)
{
	__atomic_fetch_sub(&e->inuse, 1, __ATOMIC_ACQ_REL);
}

void host_command_hold(const char *command, int hold)
{
	char copy[LINE_SIZE];
	const char *words[MAX_WORDS + 1] = { NULL };
	struct ast_cli_entry *e;

	ast_copy_string(copy, command, sizeof(copy));
	e = command_find(words, split(copy, words));
	if (!e) {
		FAIL("there is no command %s", command);
	}
	/* Finding it has taken one already. */
	if (!hold) {
		command_done(e);
		command_done(e);
	}
}

const char *host_cli(const char *line)
{
	char copy[LINE_SIZE];
	const char *words[MAX_WORDS + 1] = { NULL };
	struct ast_cli_entry *e;
	char *result;
	int count;

	used = 0;
	output[0] = '\0';
	ast_copy_string(copy, line, sizeof(copy));
	count = split(copy, words);
	e = command_find(words, count);
	if (!e) {
		ast_cli(CLI_FD, "No such command '%s'\n", line);
		return output;
	}
	result = e->handler(e, CLI_HANDLER, &(struct ast_cli_args) {
		.fd = CLI_FD, .argc = count, .argv = words,
	});
	if (result == CLI_SHOWUSAGE) {
		ast_cli(CLI_FD, "%s", e->usage);
	} else if (result == CLI_FAILURE) {
		ast_cli(CLI_FD, "Command '%s' failed.\n", line);
	}
	command_done(e);
	return output;
}

int ast_cli_command_full(int uid, int gid, int fd, const char *line)
{
	char copy[LINE_SIZE];
	const char *words[MAX_WORDS + 1] = { NULL };
	struct ast_cli_entry *e;
	int count;

	if (other_fd) {
		FAIL("a command that a command runs runs a command");
	}
	ast_copy_string(copy, line, sizeof(copy));
	count = split(copy, words);
	e = command_find(words, count);
	other_fd = fd;
	if (e) {
		e->handler(e, CLI_HANDLER, &(struct ast_cli_args) { .fd = fd, .argc = count, .argv = words });
		command_done(e);
	} else {
		ast_cli(fd, "No such command '%s'\n", line);
	}
	other_fd = 0;
	return 0;
}

/* ---- Completing ---- */

static void candidate_add(char *value)
{
	if (candidate_count == MAX_CANDIDATES) {
		FAIL("more than %d candidates", MAX_CANDIDATES);
	}
	candidates[candidate_count++] = value;
}

int ast_cli_completion_add(char *value)
{
	if (!value) {
		/* Out of memory. */
		return -1;
	}
	candidate_add(value);
	return 0;
}

char *ast_cli_complete(const char *word, const char * const choices[], int pos)
{
	int i;
	int seen = 0;

	for (i = 0; choices[i]; i++) {
		if (!strncasecmp(word, choices[i], strlen(word)) && seen++ == pos) {
			return ast_strdup(choices[i]);
		}
	}
	return NULL;
}

static int by_text(const void *one, const void *other)
{
	return strcmp(*(char * const *) one, *(char * const *) other);
}

static void generate(struct ast_cli_entry *e, const char *line, const char *word, int pos)
{
	char *candidate;
	int n = 0;

	do {
		candidate = e->handler(e, CLI_GENERATE, &(struct ast_cli_args) {
			.line = line, .word = word, .pos = pos, .n = n,
		});
		n++;
		if (candidate) {
			candidate_add(candidate);
		}
	} while (candidate);
}

const char *host_complete(const char *line)
{
	char copy[LINE_SIZE];
	const char *words[MAX_WORDS + 1] = { NULL };
	int at_blank = line[0] && line[strlen(line) - 1] == ' ';
	struct ast_cli_entry *e;
	int count;
	size_t i;

	used = 0;
	output[0] = '\0';
	candidate_count = 0;
	ast_copy_string(copy, line, sizeof(copy));
	count = split(copy, words);
	e = command_find(words, count - !at_blank);
	if (e) {
		generate(e, line, at_blank ? "" : words[count - 1], count - !at_blank);
		command_done(e);
	}
	qsort(candidates, candidate_count, sizeof(candidates[0]), by_text);
	for (i = 0; i < candidate_count; i++) {
		ast_cli(CLI_FD, "%s%s", i ? " " : "", candidates[i]);
		ast_free(candidates[i]);
	}
	return output;
}
