/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What an operator types: the table of `elevenlabs ...` commands, and those that act
 *
 * They run on threads of Asterisk's; nothing here takes the GIL. What only shows is in
 * cli_show.c.
 */

#include "asterisk.h"

#include <unistd.h>	/* usleep(3) */

#include "asterisk/astobj2.h"	/* ao2_cleanup */
#include "asterisk/channel.h"	/* AST_CHANNEL_NAME */
#include "asterisk/cli.h"	/* commands */
#include "asterisk/utils.h"	/* ARRAY_LEN */

#include "call/registry.h"
#include "config/config.h"
#include "config/rows.h"
#include "config/report.h"
#include "control/cli.h"
#include "control/cli_commands.h"
#include "control/say.h"
#include "control/steer.h"
#include "control/tools.h"
#include "door.h"
#include "monotonic.h"

/*! How often a wait for commands looks again */
#define POLL_US 10000

/*! Commands that run right now; each counts itself in and out */
static int running;

/* ---- Completion ---- */

static void complete(const char *word, const char *candidate)
{
	if (!strncasecmp(word, candidate, strlen(word))) {
		door_completion(candidate);
	}
}

static char *complete_channels(const char *word)
{
	struct call **calls;
	size_t count = registry_list(&calls);
	size_t i;

	for (i = 0; i < count; i++) {
		char name[AST_CHANNEL_NAME];

		registry_channel_name(calls[i], name, sizeof(name));
		complete(word, name);
	}
	registry_free_list(calls, count);
	return NULL;
}

static void complete_agents(const char *word)
{
	struct config *config = rows_config(config_get());
	size_t i;

	for (i = 0; config && i < AST_VECTOR_SIZE(&config->agents); i++) {
		complete(word, AST_VECTOR_GET(&config->agents, i)->name);
	}
	ao2_cleanup(config);
}

/* ---- Commands that act ---- */

/*! \brief Say what has come of it. \return CLI_SUCCESS, or CLI_FAILURE */
static char *answer(struct ast_cli_args *a, int failed, const char *text)
{
	if (*text) {
		door_cli(a->fd, "%s\n", text);
	}
	return failed ? CLI_FAILURE : CLI_SUCCESS;
}

static char *reload(struct ast_cli_args *a)
{
	struct config_report report = { .fd = a->fd };
	char text[STEER_ANSWER_SIZE];
	int failed;

	if (a->argc != 2) {
		return CLI_SHOWUSAGE;
	}
	failed = steer_reload(&report, text, sizeof(text));
	/* What has changed has been said already. */
	return answer(a, failed, failed ? text : "");
}

static char *drain(struct ast_cli_args *a)
{
	char text[STEER_ANSWER_SIZE];

	if (a->argc != 3 || (strcasecmp(a->argv[2], "on") && strcasecmp(a->argv[2], "off"))) {
		return CLI_SHOWUSAGE;
	}
	steer_drain(!strcasecmp(a->argv[2], "on"), text, sizeof(text));
	return answer(a, 0, text);
}

static char *hangup(struct ast_cli_args *a)
{
	char text[STEER_ANSWER_SIZE];

	if (a->argc != 3) {
		return CLI_SHOWUSAGE;
	}
	return answer(a, steer_hangup(a->argv[2], text, sizeof(text)), text);
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

COMMAND(cli_show_agents, "elevenlabs show agents",
	"Usage: elevenlabs show agents\n"
	"       Lists the agents of elevenlabs.conf: name for the dialplan, agent id, host,\n"
	"       authentication, whether the caller's number is sent, and sessions now and\n"
	"       in all since the module was loaded.\n", NULL)

COMMAND(cli_show_sessions, "elevenlabs show sessions",
	"Usage: elevenlabs show sessions\n"
	"       Lists the calls that talk with an agent: channel, agent, conversation id,\n"
	"       state, duration, and how much the agent has heard and spoken.\n", NULL)

COMMAND(cli_show_session, "elevenlabs show session",
	"Usage: elevenlabs show session <channel>\n"
	"       Shows one call with all its counters.\n", run(a, complete_session))

static char *complete_stats(struct ast_cli_args *a)
{
	if (a->pos == 3 || a->pos == 4) {
		complete(a->word, "buckets");
	}
	if (a->pos == 3) {
		complete_agents(a->word);
	}
	return NULL;
}

COMMAND(cli_show_stats, "elevenlabs show stats",
	"Usage: elevenlabs show stats [agent] [buckets]\n"
	"       Shows how long things take in the engine that is in service, over all its calls,\n"
	"       or those with one agent; those that are over included: half of the times (p50) and\n"
	"       99 of 100 (p99) are no longer than this. With 'buckets', for programs, a line for\n"
	"       each: its name, the longest in us, and how often a time up to so many us was\n"
	"       counted, <us>:<count>.\n",
	run(a, complete_stats))

COMMAND(cli_show_version, "elevenlabs show version",
	"Usage: elevenlabs show version\n"
	"       Shows the versions of the module, Python and Asterisk, and every generation of\n"
	"       the engine that is alive: build, version, ABI, calls, and time since it came\n"
	"       into service. Those before the newest end with their last call.\n", NULL)

static char *complete_test_agent(struct ast_cli_args *a)
{
	if (a->pos == 3) {
		complete_agents(a->word);
	}
	return NULL;
}

COMMAND(cli_show_webhooks, "elevenlabs show webhooks",
	"Usage: elevenlabs show webhooks\n"
	"       Shows what becomes of the records that are sent to a webhook_url, for each host:\n"
	"       how many wait, were sent, failed or were given up, when the next is tried, and\n"
	"       why the last one failed; and whether records wait for room on the disk.\n", NULL)

static char *complete_report(struct ast_cli_args *a)
{
	if (a->pos == 2) {
		complete(a->word, "last");
		cli_report_names(complete, a->word);
	}
	return NULL;
}

COMMAND(cli_report, "elevenlabs report",
	"Usage: elevenlabs report <channel>|<unique id>|<conversation id>|last\n"
	"       Writes the report of a call, a page for a browser, and says where: levels, transcript,\n"
	"       interruptions, tools, latency, line, end. Of a call that is up, one of the last 50, or one\n"
	"       in the records; 'last' is the one that has ended last. 'transcripts' in elevenlabs.conf\n"
	"       says whether it has what was said.\n",
	run(a, complete_report))

COMMAND(cli_bundle, "elevenlabs bundle",
	"Usage: elevenlabs bundle\n"
	"       Writes a file to send to whoever helps, and says where: versions, counters, the last\n"
	"       endings and lines of the log; of the configuration, and of the dialplan around the\n"
	"       application, what is known to be harmless alone. Keys and telephone numbers are cut\n"
	"       out, and nothing in it was said in a call.\n", NULL)

COMMAND(cli_test_agent, "elevenlabs test agent",
	"Usage: elevenlabs test agent <name>\n"
	"       Reaches an agent as a call would, without a call: signed URL, connection, and\n"
	"       the service's answer. Says OK, or the status and reason that a call would have.\n",
	run(a, complete_test_agent))

COMMAND(cli_check_agent, "elevenlabs check agent",
	"Usage: elevenlabs check agent <name>\n"
	"       Reads an agent's settings at the service, and changes nothing. Says what of them\n"
	"       will not work here (fault) or deserves a look (hint), a line each with its\n"
	"       remedy, and at the end how many of each there are. Fails if there is a fault.\n",
	run(a, complete_test_agent))

static char *complete_show_tools(struct ast_cli_args *a)
{
	if (a->pos == 3) {
		complete_agents(a->word);
	}
	return NULL;
}

COMMAND(cli_show_tools, "elevenlabs show tools",
	"Usage: elevenlabs show tools [agent]\n"
	"       Lists the tools that agents, or this one, may call, in the order in which a name is\n"
	"       looked for: parameters, and where each is written. Names in tools that nothing has\n"
	"       follow, files of tools_directory that are broken, and the processes of the others.\n",
	run(a, complete_show_tools))

COMMAND(cli_test_tool, "elevenlabs test tool",
	"Usage: elevenlabs test tool <name> [json]\n"
	"       Runs a tool of a tools_directory without a call, and shows what the agent would be\n"
	"       told, and a traceback. The parameters are an object: {\"article\": \"A7\", \"count\": 2}.\n"
	"       Asterisk takes the quotes from it; \\\" keeps one, where a text has a comma, a colon\n"
	"       or a bracket.\n", NULL)

COMMAND(reload, "elevenlabs reload",
	"Usage: elevenlabs reload\n"
	"       Reads elevenlabs.conf again, and lists the agents that are added, removed and\n"
	"       changed. A file with a fault changes nothing, and every fault is named. Calls\n"
	"       that are up keep what they began with.\n", NULL)

static char *set_debug(struct ast_cli_args *a)
{
	return cli_debug(a);
}

#define DEBUG_HELP \
	"       Logs every message of every session, or of the one on a channel, without keys\n" \
	"       and audio. What is said of a channel goes before what is said of all, until its\n" \
	"       call is over, or all are turned on or off anew.\n"

/*! \brief `on` or `off` at a position, a channel behind it */
static char *complete_debug(struct ast_cli_args *a, int position)
{
	return a->pos == position + 1 ? complete_channels(a->word)
		: complete_switch(a, position);
}

static char *complete_plain_debug(struct ast_cli_args *a)
{
	return complete_debug(a, 2);
}

static char *complete_set_debug(struct ast_cli_args *a)
{
	return complete_debug(a, 3);
}

COMMAND(cli_debug, "elevenlabs debug",
	"Usage: elevenlabs debug on|off [channel]\n" DEBUG_HELP,
	run(a, complete_plain_debug))

COMMAND(set_debug, "elevenlabs set debug",
	"Usage: elevenlabs set debug on|off [channel]\n" DEBUG_HELP,
	run(a, complete_set_debug))

COMMAND(hangup, "elevenlabs hangup",
	"Usage: elevenlabs hangup <channel>|all\n"
	"       Hangs up the call on one channel, or all calls that talk with an agent.\n",
	run(a, complete_hangup))

static char *complete_send(struct ast_cli_args *a)
{
	size_t i;

	if (a->pos == 3) {
		return complete_channels(a->word);
	}
	for (i = 0; a->pos == 2 && say_types[i]; i++) {
		complete(a->word, say_types[i]);
	}
	return NULL;
}

COMMAND(cli_send, "elevenlabs send",
	"Usage: elevenlabs send message|context <channel> <text>\n"
	"       elevenlabs send activity <channel>\n"
	"       elevenlabs send feedback <channel> like|dislike|none\n"
	"       Says something to the agent that talks with a channel: a turn of the caller's in\n"
	"       text, which it answers; something it is to know; that somebody is there; or what\n"
	"       its last response was like. While the caller waits for an agent it is kept\n"
	"       until one is there.\n", run(a, complete_send))

COMMAND(drain, "elevenlabs drain",
	"Usage: elevenlabs drain on|off\n"
	"       Refuses new calls (ELEVENLABSSTATUS is LIMIT), or admits them again. Calls\n"
	"       that are up go on; the log tells when the last is over.\n",
	complete_switch(a, 2))

static struct ast_cli_entry commands[] = {
	AST_CLI_DEFINE(handle_cli_show_agents, "List ElevenLabs agents"),
	AST_CLI_DEFINE(handle_cli_show_sessions, "List calls with ElevenLabs agents"),
	AST_CLI_DEFINE(handle_cli_show_session, "Show one call with an ElevenLabs agent"),
	AST_CLI_DEFINE(handle_cli_show_stats, "Show how long things take in ElevenLabs calls"),
	AST_CLI_DEFINE(handle_cli_show_version, "Show versions of the ElevenLabs module"),
	AST_CLI_DEFINE(handle_cli_show_webhooks, "Show ElevenLabs records that are to be sent"),
	AST_CLI_DEFINE(handle_cli_report, "Write the report of a call with an ElevenLabs agent"),
	AST_CLI_DEFINE(handle_cli_bundle, "Write a file for whoever helps with the ElevenLabs module"),
	AST_CLI_DEFINE(handle_cli_test_agent, "Reach an ElevenLabs agent without a call"),
	AST_CLI_DEFINE(handle_cli_check_agent, "Find what will not work with an ElevenLabs agent"),
	AST_CLI_DEFINE(handle_cli_show_tools, "List tools of ElevenLabs agents"),
	AST_CLI_DEFINE(handle_cli_test_tool, "Run a tool in Python without a call"),
	AST_CLI_DEFINE(handle_reload, "Reload elevenlabs.conf"),
	AST_CLI_DEFINE(handle_cli_debug, "Turn ElevenLabs message logging on or off"),
	AST_CLI_DEFINE(handle_set_debug, "Turn ElevenLabs message logging on or off"),
	AST_CLI_DEFINE(handle_hangup, "Hang up calls with ElevenLabs agents"),
	AST_CLI_DEFINE(handle_cli_send, "Say something to an ElevenLabs agent"),
	AST_CLI_DEFINE(handle_drain, "Refuse new calls, or admit them again"),
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
		int in_use = __atomic_load_n(&commands[i].inuse, __ATOMIC_ACQUIRE);

		/* Asterisk keeps a command that is in use, and reports success. */
		if (commands[i]._full_cmd && !in_use) {
			ast_cli_unregister(&commands[i]);
		}
		busy |= commands[i]._full_cmd || in_use;
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
