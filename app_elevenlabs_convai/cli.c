/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What an operator types: the `elevenlabs ...` commands
 *
 * They run on threads of Asterisk's. A session is looked at under the lock of its call,
 * so that the channel thread cannot release it meanwhile; nothing here takes the GIL, or
 * waits longer than for that.
 */

#include "asterisk.h"

#include <unistd.h>	/* usleep(3) */

#include "asterisk/ast_version.h"	/* ast_get_version */
#include "asterisk/astobj2.h"	/* ao2_lock */
#include "asterisk/channel.h"	/* ast_softhangup */
#include "asterisk/cli.h"	/* commands */
#include "asterisk/strings.h"	/* S_OR */
#include "asterisk/utils.h"	/* ast_strdupa */

#include "call.h"
#include "cli.h"
#include "config.h"
#include "config_diff.h"
#include "embed.h"
#include "monotonic.h"
#include "registry.h"

/*! How often a wait for commands looks again */
#define POLL_US 10000

/*! Commands that run right now; each counts itself in and out */
static int running;

/*! What the commands print of one call, copied while it could not change */
struct view {
	char channel[AST_CHANNEL_NAME];
	char conversation_id[128];
	const char *state;
	struct convai_format caller;
	struct convai_format agent;
	struct convai_counters counters;
	struct call_statistics statistics;
	int seconds;
};

static void channel_name(const struct call *call, char *name, size_t size)
{
	ast_channel_lock(call->channel);
	ast_copy_string(name, ast_channel_name(call->channel), size);
	ast_channel_unlock(call->channel);
}

static const char *state_name(const struct call *call)
{
	static const char * const names[] = {
		[CONVAI_STATE_CONNECTING] = "connecting",
		[CONVAI_STATE_TALKING] = "talking",
		[CONVAI_STATE_ENDED] = "ending",
	};

	return call->session && call->progress.state < ARRAY_LEN(names)
		? names[call->progress.state] : "leaving";
}

/*! \brief The channel thread goes on counting meanwhile; each counter is whole all the same */
static void copy_statistics(const struct call_statistics *from, struct call_statistics *to)
{
	to->voice_frames_read = __atomic_load_n(&from->voice_frames_read, __ATOMIC_RELAXED);
	to->foreign_frames = __atomic_load_n(&from->foreign_frames, __ATOMIC_RELAXED);
	to->frames_written = __atomic_load_n(&from->frames_written, __ATOMIC_RELAXED);
	to->silent_frames = __atomic_load_n(&from->silent_frames, __ATOMIC_RELAXED);
	to->write_failures = __atomic_load_n(&from->write_failures, __ATOMIC_RELAXED);
	to->resyncs = __atomic_load_n(&from->resyncs, __ATOMIC_RELAXED);
}

static void look_at(struct call *call, struct view *view)
{
	memset(view, 0, sizeof(*view));
	channel_name(call, view->channel, sizeof(view->channel));
	view->seconds = (monotonic_us() - call->started_us) / 1000000;
	copy_statistics(&call->statistics, &view->statistics);
	ao2_lock(call);
	view->state = state_name(call);
	view->caller = call->progress.caller;
	view->agent = call->progress.agent;
	ast_copy_string(view->conversation_id, call->progress.conversation_id,
		sizeof(view->conversation_id));
	if (call->session) {
		call->ops->counters(call->session, &view->counters);
	}
	ao2_unlock(call);
}

static double seconds_of(const struct convai_format *format, uint64_t bytes)
{
	unsigned int sample_bytes = format->encoding == CONVAI_ENCODING_SLIN ? 2 : 1;

	return format->rate ? (double) bytes / sample_bytes / format->rate : 0;
}

static void duration_text(int seconds, char *text, size_t size)
{
	snprintf(text, size, "%d:%02d:%02d", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

/* ---- Completion ---- */

static void complete(const char *word, const char *candidate)
{
	if (!strncasecmp(word, candidate, strlen(word))) {
		ast_cli_completion_add(ast_strdup(candidate));
	}
}

static char *complete_channels(const char *word)
{
	struct call **calls;
	size_t count = registry_list(&calls);
	size_t i;

	for (i = 0; i < count; i++) {
		char name[AST_CHANNEL_NAME];

		channel_name(calls[i], name, sizeof(name));
		complete(word, name);
	}
	registry_free_list(calls, count);
	return NULL;
}

/* ---- Commands ---- */

#define AGENTS_FORMAT "%-20.20s %-32.32s %-32.32s %-10s %-6s %5s %7s\n"

static void show_agent(int fd, const struct config_agent *agent)
{
	struct registry_numbers numbers = registry_numbers(agent->name);
	char host[CONFIG_VALUE_SIZE];
	char now[12];
	char in_all[12];

	snprintf(now, sizeof(now), "%u", numbers.now);
	snprintf(in_all, sizeof(in_all), "%u", numbers.in_all);
	ast_cli(fd, AGENTS_FORMAT, agent->name, agent->values[KEY_AGENT_ID],
		config_agent_host(agent, host, sizeof(host)), agent->values[KEY_AUTH],
		agent->send_caller_number ? "sent" : "kept", now, in_all);
}

static char *show_agents(struct ast_cli_args *a)
{
	struct config *config;
	struct registry_numbers numbers = registry_numbers(NULL);
	size_t count = 0;
	size_t i;

	if (a->argc != 3) {
		return CLI_SHOWUSAGE;
	}
	ast_cli(a->fd, AGENTS_FORMAT, "Name", "Agent ID", "Host", "Auth", "Caller", "Now",
		"In all");
	config = config_get();
	if (config) {
		count = AST_VECTOR_SIZE(&config->agents);
		for (i = 0; i < count; i++) {
			show_agent(a->fd, AST_VECTOR_GET(&config->agents, i));
		}
		ao2_ref(config, -1);
	}
	ast_cli(a->fd, "%zu agent%s, %u session%s now, %u in all\n", count, ESS(count),
		numbers.now, ESS(numbers.now), numbers.in_all);
	return CLI_SUCCESS;
}

#define SESSIONS_FORMAT "%-32.32s %-20.20s %-36.36s %-10s %9s %8s %8s\n"

static char *show_sessions(struct ast_cli_args *a)
{
	struct call **calls;
	size_t count;
	size_t i;

	if (a->argc != 3) {
		return CLI_SHOWUSAGE;
	}
	ast_cli(a->fd, SESSIONS_FORMAT, "Channel", "Agent", "Conversation", "State",
		"Duration", "Heard", "Spoken");
	count = registry_list(&calls);
	for (i = 0; i < count; i++) {
		struct view view;
		char duration[16];
		char heard[16];
		char spoken[16];

		look_at(calls[i], &view);
		duration_text(view.seconds, duration, sizeof(duration));
		snprintf(heard, sizeof(heard), "%.1f s",
			seconds_of(&view.caller, view.counters.pushed_bytes));
		snprintf(spoken, sizeof(spoken), "%.1f s",
			seconds_of(&view.agent, view.counters.played_bytes));
		ast_cli(a->fd, SESSIONS_FORMAT, view.channel, calls[i]->agent->name,
			S_OR(view.conversation_id, "-"), view.state, duration, heard, spoken);
	}
	registry_free_list(calls, count);
	ast_cli(a->fd, "%zu session%s\n", count, ESS(count));
	return CLI_SUCCESS;
}

static void show_view(int fd, const char *agent, const struct view *view)
{
	const struct convai_counters *c = &view->counters;
	const struct call_statistics *s = &view->statistics;
	char duration[16];
	char caller[32];
	char spoken[32];

	duration_text(view->seconds, duration, sizeof(duration));
	ast_cli(fd, "Channel:          %s\n", view->channel);
	ast_cli(fd, "Agent:            %s\n", agent);
	ast_cli(fd, "Conversation:     %s\n", S_OR(view->conversation_id, "-"));
	ast_cli(fd, "State:            %s, for %s in all\n", view->state, duration);
	ast_cli(fd, "Formats:          agent hears %s, speaks %s\n",
		media_format_name(&view->caller, caller, sizeof(caller)),
		media_format_name(&view->agent, spoken, sizeof(spoken)));
	ast_cli(fd,
		"Heard:            %.2f s, of which %.2f s silence in place of missing audio\n",
		seconds_of(&view->caller, c->pushed_bytes), c->silence_ms / 1000.0);
	ast_cli(fd, "  not taken:      %.2f s by the queue, %.2f s by the socket\n",
		seconds_of(&view->caller, c->push_dropped_bytes),
		seconds_of(&view->caller, c->send_dropped_bytes));
	ast_cli(fd, "Spoken:           %.2f s of %.2f s received\n",
		seconds_of(&view->agent, c->played_bytes),
		seconds_of(&view->agent, c->received_bytes));
	ast_cli(fd, "  not spoken:     %.2f s interrupted, %.2f s stale, %.2f s overflow\n",
		seconds_of(&view->agent, c->flushed_bytes),
		seconds_of(&view->agent, c->stale_dropped_bytes),
		seconds_of(&view->agent, c->overflow_dropped_bytes));
	ast_cli(fd, "Interruptions:    %" PRIu64 "\n", c->interruptions);
	ast_cli(fd, "Messages:         %" PRIu64 " received (%" PRIu64 " unknown), %" PRIu64
		" audio chunks sent, %" PRIu64 " pings answered\n", c->messages_received,
		c->unknown_messages, c->chunks_sent, c->pings_answered);
	ast_cli(fd, "Frames read:      %" PRIu64 " voice, %" PRIu64 " in a foreign format\n",
		s->voice_frames_read, s->foreign_frames);
	ast_cli(fd, "Frames written:   %" PRIu64 ", of which %" PRIu64 " silence; %" PRIu64
		" failed, %" PRIu64 " resynchronisations\n", s->frames_written, s->silent_frames,
		s->write_failures, s->resyncs);
}

static char *show_session(struct ast_cli_args *a)
{
	struct call **calls;
	size_t count;
	size_t i;
	int found = 0;

	if (a->argc != 4) {
		return CLI_SHOWUSAGE;
	}
	count = registry_list(&calls);
	for (i = 0; i < count && !found; i++) {
		struct view view;

		look_at(calls[i], &view);
		if (!strcasecmp(view.channel, a->argv[3])) {
			show_view(a->fd, calls[i]->agent->name, &view);
			found = 1;
		}
	}
	registry_free_list(calls, count);
	if (!found) {
		ast_cli(a->fd, "There is no session on channel %s\n", a->argv[3]);
		return CLI_FAILURE;
	}
	return CLI_SUCCESS;
}

static char *show_version(struct ast_cli_args *a)
{
	const struct convai_ops *ops = embed_ops();

	if (a->argc != 3) {
		return CLI_SHOWUSAGE;
	}
	ast_cli(a->fd, "Module:    %s, contract %u\n", CONVAI_VERSION, CONVAI_ABI_VERSION);
	if (ops) {
		ast_cli(a->fd, "Engine:    %s, build %s, from %s\n", ops->version, ops->build_id,
			embed_directory());
	} else {
		ast_cli(a->fd, "Engine:    not running\n");
	}
	ast_cli(a->fd, "Python:    %s\n", embed_python_version());
	ast_cli(a->fd, "Asterisk:  %s\n", ast_get_version());
	return CLI_SUCCESS;
}

static char *reload(struct ast_cli_args *a)
{
	struct config_report report = { .fd = a->fd };

	if (a->argc != 2) {
		return CLI_SHOWUSAGE;
	}
	if (config_reload(&report)) {
		ast_cli(a->fd,
			"ElevenLabs configuration not reloaded: %u fault%s; the old one stays in "
			"use\n", report.faults, ESS(report.faults));
		return CLI_FAILURE;
	}
	return CLI_SUCCESS;
}

static char *debug(struct ast_cli_args *a)
{
	const struct convai_ops *ops = embed_ops();
	const char *word = a->argv[a->argc - 1];
	int on = !strcasecmp(word, "on");

	/* `elevenlabs debug on` and `elevenlabs set debug on` come here. */
	if (a->argc != 3 + !strcasecmp(a->argv[1], "set")
		|| (!on && strcasecmp(word, "off"))) {
		return CLI_SHOWUSAGE;
	}
	if (!ops) {
		ast_cli(a->fd, "The engine is not running\n");
		return CLI_FAILURE;
	}
	ops->set_debug(on);
	ast_cli(a->fd, "ElevenLabs debug %s\n", on ? "enabled" : "disabled");
	return CLI_SUCCESS;
}

static void hang_up(struct call *call)
{
	ao2_lock(call);
	call->operator_hangup = 1;
	ao2_unlock(call);
	ast_softhangup(call->channel, AST_SOFTHANGUP_EXPLICIT);
}

static char *hangup(struct ast_cli_args *a)
{
	struct call **calls;
	size_t count;
	size_t i;
	unsigned int hung_up = 0;

	if (a->argc != 3) {
		return CLI_SHOWUSAGE;
	}
	count = registry_list(&calls);
	for (i = 0; i < count; i++) {
		char name[AST_CHANNEL_NAME];

		channel_name(calls[i], name, sizeof(name));
		if (!strcasecmp(a->argv[2], "all") || !strcasecmp(a->argv[2], name)) {
			hang_up(calls[i]);
			hung_up++;
		}
	}
	registry_free_list(calls, count);
	if (!hung_up && strcasecmp(a->argv[2], "all")) {
		ast_cli(a->fd, "There is no session on channel %s\n", a->argv[2]);
		return CLI_FAILURE;
	}
	ast_cli(a->fd, "%u call%s hung up\n", hung_up, ESS(hung_up));
	return CLI_SUCCESS;
}

/* ---- Registration ---- */

/*! \brief Run a command, counted */
static char *run(struct ast_cli_args *a, char *(*command)(struct ast_cli_args *a))
{
	char *result;

	ast_atomic_fetchadd_int(&running, +1);
	result = command(a);
	ast_atomic_fetchadd_int(&running, -1);
	return result;
}

/*!
 * \brief Define the handler of a command; the name is also that of the function that
 * carries it out
 */
#define COMMAND(function, words, help, completion) \
	static char *handle_##function(struct ast_cli_entry *e, int cmd, \
		struct ast_cli_args *a) \
	{ \
		switch (cmd) { \
		case CLI_INIT: \
			e->command = words; \
			e->usage = help; \
			return NULL; \
		case CLI_GENERATE: \
			return completion; \
		default: \
			return run(a, function); \
		} \
	}

static char *complete_session(struct ast_cli_args *a)
{
	return a->pos == 3 ? complete_channels(a->word) : NULL;
}

static char *complete_switch(struct ast_cli_args *a, int position)
{
	static const char * const words[] = { "on", "off", NULL };

	return a->pos == position ? ast_cli_complete(a->word, words, a->n) : NULL;
}

static char *complete_hangup(struct ast_cli_args *a)
{
	if (a->pos != 2) {
		return NULL;
	}
	complete(a->word, "all");
	return complete_channels(a->word);
}

COMMAND(show_agents, "elevenlabs show agents",
	"Usage: elevenlabs show agents\n"
	"       Lists the agents of elevenlabs.conf: name for the dialplan, agent id, host,\n"
	"       authentication, whether the caller's number is sent, and sessions now and\n"
	"       in all since the module was loaded.\n", NULL)

COMMAND(show_sessions, "elevenlabs show sessions",
	"Usage: elevenlabs show sessions\n"
	"       Lists the calls that talk with an agent: channel, agent, conversation id,\n"
	"       state, duration, and how much the agent has heard and spoken.\n", NULL)

COMMAND(show_session, "elevenlabs show session",
	"Usage: elevenlabs show session <channel>\n"
	"       Shows one call with all its counters.\n", run(a, complete_session))

COMMAND(show_version, "elevenlabs show version",
	"Usage: elevenlabs show version\n"
	"       Shows the versions of the module, the engine, Python and Asterisk.\n", NULL)

COMMAND(reload, "elevenlabs reload",
	"Usage: elevenlabs reload\n"
	"       Reads elevenlabs.conf again, and lists the agents that are added, removed and\n"
	"       changed. A file with a fault changes nothing, and every fault is named. Calls\n"
	"       that are up keep what they began with.\n", NULL)

static char *set_debug(struct ast_cli_args *a)
{
	return debug(a);
}

#define DEBUG_HELP \
	"       Logs every message of every session, without keys and audio.\n"

COMMAND(debug, "elevenlabs debug",
	"Usage: elevenlabs debug on|off\n" DEBUG_HELP, complete_switch(a, 2))

COMMAND(set_debug, "elevenlabs set debug",
	"Usage: elevenlabs set debug on|off\n" DEBUG_HELP, complete_switch(a, 3))

COMMAND(hangup, "elevenlabs hangup",
	"Usage: elevenlabs hangup <channel>|all\n"
	"       Hangs up the call on one channel, or all calls that talk with an agent.\n",
	run(a, complete_hangup))

static struct ast_cli_entry commands[] = {
	AST_CLI_DEFINE(handle_show_agents, "List ElevenLabs agents"),
	AST_CLI_DEFINE(handle_show_sessions, "List calls with ElevenLabs agents"),
	AST_CLI_DEFINE(handle_show_session, "Show one call with an ElevenLabs agent"),
	AST_CLI_DEFINE(handle_show_version, "Show versions of the ElevenLabs module"),
	AST_CLI_DEFINE(handle_reload, "Reload elevenlabs.conf"),
	AST_CLI_DEFINE(handle_debug, "Turn ElevenLabs message logging on or off"),
	AST_CLI_DEFINE(handle_set_debug, "Turn ElevenLabs message logging on or off"),
	AST_CLI_DEFINE(handle_hangup, "Hang up calls with ElevenLabs agents"),
};

int cli_register(void)
{
	return ast_cli_register_multiple(commands, ARRAY_LEN(commands));
}

/*!
 * \brief Unregister what is not in use. \return whether anything is left, or still runs
 */
static int unregister_idle(void)
{
	int busy = __atomic_load_n(&running, __ATOMIC_ACQUIRE) != 0;
	size_t i;

	for (i = 0; i < ARRAY_LEN(commands); i++) {
		/* Asterisk keeps a command that is in use, and reports success. */
		if (commands[i]._full_cmd && !commands[i].inuse) {
			ast_cli_unregister(&commands[i]);
		}
		busy |= commands[i]._full_cmd || commands[i].inuse;
	}
	return busy;
}

int cli_unregister(int limit_ms)
{
	int64_t deadline = monotonic_us() + (int64_t) limit_ms * 1000;

	while (unregister_idle()) {
		if (monotonic_us() >= deadline) {
			return -1;
		}
		usleep(POLL_US);
	}
	return 0;
}
