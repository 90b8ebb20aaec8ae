/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief ElevenLabsConvAI: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * What Asterisk calls is here: the application, load, reload and unload. A call is in
 * call/, the configuration in config/, commands and AMI actions in control/, and Python,
 * which this file never sees, in engine/.
 */

/*** MODULEINFO
	<support_level>extended</support_level>
 ***/

#include "asterisk.h"

#include "asterisk/app.h"	/* arguments */
#include "asterisk/astobj2.h"	/* references to calls and agents */
#include "asterisk/channel.h"	/* channels */
#include "asterisk/cli.h"	/* ESS */
#include "asterisk/module.h"	/* what makes this a module */
#include "asterisk/pbx.h"	/* ast_register_application_xml */

#include "call/agent_state.h"
#include "call/attempt.h"
#include "call/beside.h"
#include "call/ending.h"
#include "call/feed.h"
#include "call/lookup.h"
#include "call/options.h"
#include "call/recording.h"
#include "call/registry.h"
#include "call/totals.h"
#include "call/variables.h"
#include "config/config.h"
#include "config/diff.h"
#include "control/cli.h"
#include "control/departure.h"
#include "control/function.h"
#include "control/manager.h"
#include "control/page.h"
#include "control/scrape.h"
#include "control/tools.h"
#include "door.h"
#include "engine/embed.h"
#include "engine/generation.h"
#include "tests/test_elevenlabs.h"

/*** DOCUMENTATION
	<application name="ElevenLabsConvAI" language="en_US" module="app_elevenlabs_convai">
		<synopsis>
			Let the caller talk with an ElevenLabs voice agent.
		</synopsis>
		<syntax>
			<parameter name="agent" required="true">
				<para>Name of a section of <filename>elevenlabs.conf</filename>, as
				<literal>elevenlabs show agents</literal> lists them; or, where
				<filename>extconfig.conf</filename> has the family <literal>elevenlabs</literal>, the
				<literal>name</literal> of a row in the database, which is looked up then.</para>
			</parameter>
			<parameter name="options">
				<optionlist>
					<option name="n">
						<para>Do not answer the channel. Use it where the channel is to be
						answered later or not at all; most callers hear early audio only
						after <literal>Progress()</literal>.</para>
					</option>
					<option name="c">
						<para>Connect first, and answer when the agent is there. The channel
						rings meanwhile, or hears the hold audio of the service if that has no
						agent free and lets callers wait. Where no conversation comes up the channel is left
						unanswered, so that the dialplan can go on with another way to take
						the call. Not together with <literal>n</literal>.</para>
					</option>
					<option name="r">
						<para>Ring until the agent is there: on a channel that has been
						answered with the tone of its zone.</para>
					</option>
					<option name="m">
						<argument name="class" required="false" />
						<para>Play music on hold until the agent is there, of this class or of
						the channel's own. Not together with <literal>r</literal>.</para>
					</option>
					<option name="g">
						<para>The greeting cannot be interrupted: until it has been played (to
						a pause of 0.7 s, for 60 s at most; for 5 s if the agent does not begin
						to speak) the agent hears silence in place of the caller.</para>
					</option>
				</optionlist>
			</parameter>
		</syntax>
		<description>
			<para>Answers the channel, connects it with the agent, and blocks until the
			conversation is over: the agent ended it, the caller hung up, or something went
			wrong. Unless the caller is gone, the dialplan then goes on with the next priority
			and finds out in <variable>ELEVENLABSSTATUS</variable> what happened. An agent that
			does not exist, a missing key, and a full house are found out before the channel is
			answered.</para>
			<para>Where the agent cannot be had, its <literal>fallback_agent</literal> of
			<filename>elevenlabs.conf</filename> is tried, once, before the caller has heard
			anything.</para>
			<para>Where no agent is free, the service may let the caller wait. The caller then
			hears ringing or music, as the options say, or the service's hold audio, and the
			conversation with all its limits begins when an agent is there. The key
			<literal>queue</literal> says how long callers may wait.</para>
			<para>A tone or music that was started before goes on until the agent is there:
			<literal>Playtones(ring)</literal> lets the caller wait less alone.</para>
			<para>The agent is told <literal>caller_number</literal> (unless
			<literal>send_caller_number</literal> is off; empty where the caller withholds it),
			<literal>called_number</literal>, <literal>call_direction</literal>,
			<literal>channel</literal>, <literal>unique_id</literal> and
			<literal>linked_id</literal> as dynamic variables. On a channel that Asterisk has
			called <literal>call_direction</literal> is <literal>outbound</literal>,
			<literal>called_number</literal> is whom it has dialled, and
			<literal>caller_number</literal> is the number that was shown.
			These variables, set on the channel before, add to them:</para>
			<variablelist>
				<variable name="ELEVENLABS_VAR_name">
					<para>Becomes the dynamic variable <replaceable>name</replaceable>, always as
					a string: <literal>01234</literal> keeps its zero.</para>
				</variable>
				<variable name="ELEVENLABS_JSON_name">
					<para>Becomes the dynamic variable <replaceable>name</replaceable>, with the
					type that its value has in JSON: a number, true, false, null, or a list.</para>
				</variable>
				<variable name="ELEVENLABS_OVERRIDE_path">
					<para>Overrides a setting of the agent for this call:
					<literal>ELEVENLABS_OVERRIDE_first_message</literal>,
					<literal>_language</literal>, <literal>_prompt</literal>,
					<literal>_voice_id</literal>, <literal>_user_id</literal> and others, which
					<filename>docs/protocol.md</filename> lists. The agent's security settings must
					allow the override, else the service refuses the call. One that the key
					<literal>overrides</literal> of <filename>elevenlabs.conf</filename> does not
					allow is not used, which the log says.</para>
				</variable>
			</variablelist>
			<para>For every call of an agent <filename>elevenlabs.conf</filename> has the same as
			<literal>var_name</literal>, <literal>json_name</literal> and
			<literal>override_path</literal>; what is set on the channel goes first.</para>
			<para>A tool that the agent calls, and that is an extension of the context
			<literal>steps_context</literal> of <filename>elevenlabs.conf</filename>, runs there by
			<literal>Gosub</literal> on this channel, with <variable>ELEVENLABS_TOOL</variable> and
			<variable>ELEVENLABS_ARG_name</variable> set; the agent, which neither hears nor speaks
			meanwhile, is told what it returns. One that is an extension of
			<literal>tools_context</literal> runs on a channel of its own, with the caller's in
			<variable>ELEVENLABS_CHANNEL</variable>, while the conversation goes on.</para>
			<para>While the caller holds, the agent hears silence, and what it says is dropped.
			Hold belongs to the device that holds: where another one takes its place, by an
			attended transfer, a pick-up or an INVITE with Replaces, it is heard, and the agent
			is told that the call has been moved.
			A Local channel turns hold into music, which the agent takes for speech: give it
			the options <literal>nm</literal>, as in <literal>Local/100@agents/nm</literal>.</para>
			<para>The prefixes <literal>_</literal> and <literal>__</literal> hand variables on to
			other channels as everywhere in Asterisk.</para>
			<para>These variables are cleared at the start and set at the end:</para>
			<variablelist>
				<variable name="ELEVENLABSSTATUS">
					<para>How the call ended.</para>
					<value name="AGENT_ENDED">
						The agent ended the conversation, and its last words were heard.
					</value>
					<value name="HANGUP">
						The caller hung up, or the channel was hung up or sent elsewhere.
					</value>
					<value name="TRANSFER">
						The agent has transferred the caller, by transfer_call; or the dialplan
						has handed them over: ELEVENLABS(end) in a step.
					</value>
					<value name="TIMEOUT">
						A time limit was reached, here or at the service.
					</value>
					<value name="LIMIT">
						No session was free, here (max_sessions, or an operator is draining
						the system) or at the service, or not as soon as queue wants it; or
						4 agents have this caller already, each in a step of the one before.
					</value>
					<value name="NOAGENT">
						Neither elevenlabs.conf nor the database has such an agent, or the
						database did not answer in time, or none was named.
					</value>
					<value name="AUTH">
						The service did not accept the key, or there is none.
					</value>
					<value name="REJECTED">
						The service refused the agent, an override or a variable.
					</value>
					<value name="UNREACHABLE">
						The service could not be reached, or not safely.
					</value>
					<value name="ERROR">
						Something else went wrong, in the conversation or in this module.
					</value>
					<value name="UNLOADED">
						The module is being unloaded, or was during the call.
					</value>
				</variable>
				<variable name="ELEVENLABSREASON">
					<para>One line for people on how it came to that, in words of this
					module.</para>
				</variable>
				<variable name="ELEVENLABSDETAIL">
					<para>What the service, the agent or the dialplan has said of it, or
					nothing. It is data from outside: only letters, digits, blanks,
					<literal>: . _ - / +</literal> and what is beyond ASCII are left of it. Put
					it into quotes, and never hand it to <literal>System()</literal>,
					<literal>SHELL()</literal> or <literal>EVAL()</literal>.</para>
				</variable>
				<variable name="ELEVENLABSCONVERSATIONID">
					<para>The service's id of the conversation, <literal>conv_...</literal>, if it
					came to one.</para>
				</variable>
				<variable name="ELEVENLABSDTMF">
					<para>The digits that the caller pressed meanwhile, the first 255: data from
					outside as well. Whether the
					agent is told of them as well says <literal>dtmf</literal> in
					<filename>elevenlabs.conf</filename>.</para>
				</variable>
				<variable name="ELEVENLABS_TRANSFER_REASON">
					<para>Why the agent has transferred the caller, in its words: data from
					outside. Set by <literal>transfer_call</literal> alone; where the agent is
					behind a Local channel, on the channel of the caller.</para>
				</variable>
				<variable name="ELEVENLABS_TRANSFER_SUMMARY">
					<para>What the agent says of the conversation then: data from outside.</para>
				</variable>
				<variable name="ELEVENLABSLATENCY">
					<para>How soon the agent has answered, in milliseconds: the median of all turns
					and the longest, <literal>812,1430</literal>; empty where it has answered
					nothing. A turn counts from the caller's last frame of speech to the agent's
					first word.</para>
				</variable>
				<variable name="ELEVENLABSQUEUED">
					<para>Whole seconds for which the service has let the caller wait, with all
					agents; 0 if it has not. Set when an agent is there as well.</para>
				</variable>
			</variablelist>
			<example title="An agent first, a person if that fails">
			[incoming]
			exten = 100,1,Set(ELEVENLABS_VAR_customer=${CALLERID(name)})
			 same = n,ElevenLabsConvAI(sales_agent)
			 same = n,Verbose(1,Agent: ${ELEVENLABSSTATUS} ${ELEVENLABSREASON})
			 same = n,GotoIf($["${ELEVENLABSSTATUS}" = "AGENT_ENDED"]?done)
			 same = n,Queue(sales)
			 same = n(done),Hangup()
			</example>
			<example title="Another first message for this call">
			 same = n,Set(ELEVENLABS_OVERRIDE_first_message=Good evening, we are closed now.)
			 same = n,ElevenLabsConvAI(sales_agent)
			</example>
		</description>
		<see-also>
			<ref type="function">ELEVENLABS</ref>
			<ref type="application">Answer</ref>
			<ref type="application">Queue</ref>
			<ref type="filename">elevenlabs.conf</ref>
		</see-also>
	</application>
 ***/

static const char app[] = "ElevenLabsConvAI";

/*! Unload waits this long for calls to leave; a channel thread needs some 20 ms */
#define LEAVE_LIMIT_MS 5000
/*! ... this long for the engine, which closes every conversation properly */
#define STOP_LIMIT_MS 5000
/*! ... this long for tools in the dialplan, whose channels are hung up */
#define JOBS_LIMIT_MS 5000
/*! ... and this long for commands, which print and return, and as long for AMI's actions */
#define CLI_LIMIT_MS 5000
/*! `core stop now` is to be quick: the whole of it */
#define EXIT_LIMIT_MS 2000
/*! ... and the loader of engines, which has nothing to do then */
#define CLOSE_LIMIT_MS 1000

/* ---- The application ---- */

/*!
 * \brief The application. \return 0, so that the dialplan decides; -1 only when the
 * channel is gone
 */
static int convai_exec(struct ast_channel *channel, const char *data)
{
	struct call_options options = { .answer = 1, .music_class = "" };
	char *parse = ast_strdupa(data);
	struct ending refusal;
	AST_DECLARE_APP_ARGS(args,
		AST_APP_ARG(agent);
		AST_APP_ARG(options);
	);

	AST_STANDARD_APP_ARGS(args, parse);
	result_clear(channel);
	if (ast_strlen_zero(args.agent)) {
		ending_set(&refusal, CONVAI_STATUS_NOAGENT, "no agent named: ElevenLabsConvAI(agent)");
		attempt_refuse(channel, &refusal);
	} else if (!ast_strlen_zero(args.options)
		&& options_parse(ast_strdupa(args.options), &options)) {
		ending_set(&refusal, CONVAI_STATUS_ERROR, "the options are not understood");
		ending_set_detail(&refusal, args.options);
		attempt_refuse(channel, &refusal);
	} else if (attempt_run(channel, args.agent, &options) == CONVAI_STATUS_UNLOADED
		|| registry_is_closed()) {
		/* It has done its duty: it has woken us. The call itself is not to end by it. */
		ast_channel_clear_softhangup(channel, AST_SOFTHANGUP_APPUNLOAD);
	}
	return ast_check_hangup(channel) ? -1 : 0;
}

/* ---- What the engine calls ---- */

/*! \brief One line of the engine's, on its loop thread, without the GIL */
static void log_line(uint32_t level, const char *channel, const char *text)
{
	const char *separator = ast_strlen_zero(channel) ? "" : ": ";

	switch (level) {
	case CONVAI_LOG_ERROR:
		door_log(LOG_ERROR, "%s%s%s\n", channel, separator, text);
		break;
	case CONVAI_LOG_WARNING:
		door_log(LOG_WARNING, "%s%s%s\n", channel, separator, text);
		break;
	case CONVAI_LOG_NOTICE:
		door_log(LOG_NOTICE, "%s%s%s\n", channel, separator, text);
		break;
	default:
		/* Asked for with `elevenlabs debug on`, so it shows at any level of core's. */
		door_verbose(0, "ElevenLabs: %s%s%s\n", channel, separator, text);
		break;
	}
}

static const char contract_mark[] __attribute__((used)) = CONVAI_CONTRACT_MARK;

static const struct convai_host host = {
	.abi_version = CONVAI_ABI_VERSION,
	.size = sizeof(host),
	.log = log_line,
	.begin_job = beside_begin,
	.away = agent_state_away,
};

/* ---- Unloading ---- */

/*!
 * \brief `core stop now` and `restart now` do not unload: leave no conversation open at
 * the service
 */
static void at_exit(void)
{
	registry_close(1);
	generation_end_all(CONVAI_STATUS_UNLOADED, "Asterisk is stopping");
	generation_stop_all(EXIT_LIMIT_MS, 1);
}

/*! \brief End what is done beside calls. A thread that SHELL, CURL or a database's driver holds cannot be ended. */
static int end_jobs(void)
{
	struct lookup_numbers lookups;

	if (!beside_end(JOBS_LIMIT_MS)) {
		return 0;
	}
	lookups = lookup_count();
	if (lookups.asked) {
		door_log(LOG_ERROR,
			"Not unloaded: the database has not answered %u look-ups of agents within %d ms; the "
			"module can go when its driver gives up\n", lookups.asked, JOBS_LIMIT_MS);
	} else {
		door_log(LOG_ERROR, "Not unloaded: a tool of %u in the dialplan has not ended within %d ms\n",
			beside_count().all, JOBS_LIMIT_MS);
	}
	return -1;
}

static int offer_commands(void)
{
	tests_register();
	return manager_register() || cli_register() || function_register() || scrape_register()
		|| page_register() || agent_state_start() ? -1 : 0;
}

static int withdraw_commands(void)
{
	int left;

	tests_unregister();
	agent_state_stop();
	/* All of them, also where one is still used: after a load that has failed nobody would take back the rest. */
	left = page_unregister(CLI_LIMIT_MS);
	left |= scrape_unregister(CLI_LIMIT_MS);
	left |= function_unregister(CLI_LIMIT_MS);
	left |= manager_unregister(CLI_LIMIT_MS);
	left |= cli_unregister(CLI_LIMIT_MS);
	return left;
}

/*!
 * \brief End the engines, and wait for calls that came meanwhile and were turned away
 *
 * After a failure there is no engine any more, and the module turns calls away until it
 * is unloaded after all, or a reload brings another engine in.
 */
static int stop_engines(void)
{
	if (generation_stop_all(STOP_LIMIT_MS, 0)) {
		door_log(LOG_ERROR, "Not unloaded: the engine has not stopped within %d ms\n",
			STOP_LIMIT_MS);
		return -1;
	}
	embed_close(CLOSE_LIMIT_MS);
	return departure_wait(app, LEAVE_LIMIT_MS);
}

/*!
 * \brief Take the application back, last of all, or leave it where it was
 *
 * A refusal here is for a thread that looked the application up before it went.
 */
static int withdraw_application(void)
{
	ast_unregister_application(app);
	/* The function once more: somebody may have looked it up just before it went, as with the application. */
	if (!departure_settle(app, LEAVE_LIMIT_MS) && !function_unregister(CLI_LIMIT_MS)) {
		return 0;
	}
	ast_register_application_xml(app, convai_exec);
	return -1;
}

/*! \brief After a refused unload. Not while Asterisk ends: it frees what they would refer to. */
static void offer_commands_again(void)
{
	if (!ast_shutting_down()) {
		offer_commands();
	}
}

/*!
 * \brief End all calls, wait until none is in the application any more, and take
 * everything back
 *
 * After a refusal before the engines are stopped, the module works on as if nothing had
 * been asked. Each step has a limit of its own: half a minute if each one takes it.
 */
static int unload_module(void)
{
	registry_close(1);
	agent_state_changed();
	if (departure_wait(app, LEAVE_LIMIT_MS)) {
		registry_close(0);
		agent_state_changed();
		return -1;
	}
	if (end_jobs()) {
		registry_close(0);
		return -1;
	}
	if (withdraw_commands()) {
		door_log(LOG_ERROR, "Not unloaded: a command has not ended within %d ms\n",
			CLI_LIMIT_MS);
		offer_commands_again();
		registry_close(0);
		return -1;
	}
	/* Once more: a loop may have begun a job just when its call was about to leave. */
	if (stop_engines() || end_jobs() || withdraw_application()) {
		offer_commands_again();
		return -1;
	}
	ast_unregister_atexit(at_exit);
	config_unload();
	totals_clear();
	feed_clear();
	registry_clear();
	return 0;
}

/* ---- Loading ---- */

static int reload_configuration(void)
{
	struct config_report report = { .fd = -1 };

	if (!config_reload(&report)) {
		return 0;
	}
	door_log(LOG_ERROR, "%s has %u fault%s; the old configuration stays in use\n",
		CONFIG_FILE, report.faults, ESS(report.faults));
	return -1;
}

/*! \brief Tell those who do not look at the configuration with each call. The thread that loads. */
static void configuration_changed(void)
{
	recording_configure();
	feed_configure();
}

static int start_engine(const char *failure)
{
	char error[ENDING_REASON_SIZE];

	if (!embed_open(error, sizeof(error))
		&& generation_renew(&host, error, sizeof(error)) != GENERATION_REFUSED) {
		recording_configure();
		return 0;
	}
	door_log(LOG_ERROR, "%s: %s\n", failure, error);
	return -1;
}

/*!
 * \brief Another engine, if another one is installed
 *
 * Calls that are up stay with theirs. What is refused leaves everything as it was.
 */
static int reload_engine(void)
{
	if (start_engine(generation_serves() ? "The engine stays as it was"
		: "There is still no engine")) {
		return -1;
	}
	/* An unload that was refused has left the door closed. */
	registry_close(0);
	return 0;
}

/*!
 * \brief `module reload`: configuration and engine, each on its own
 *
 * Asterisk's list of modules is locked meanwhile: this takes some seconds at most.
 */
static int reload_module(void)
{
	int res = reload_configuration();

	res |= reload_engine();
	tools_renew();
	agent_state_changed();
	return res ? AST_MODULE_RELOAD_ERROR : AST_MODULE_RELOAD_SUCCESS;
}

static int offer(void)
{
	if (offer_commands()) {
		door_log(LOG_ERROR, "Not loaded: the commands cannot be registered\n");
	} else if (ast_register_atexit(at_exit)) {
		door_log(LOG_ERROR, "Not loaded: the end of Asterisk cannot be waited for\n");
	} else if (ast_register_application_xml(app, convai_exec)) {
		door_log(LOG_ERROR, "Not loaded: %s cannot be registered\n", app);
	} else {
		return 0;
	}
	return -1;
}

/*!
 * \brief Take back what a load has done before it failed
 *
 * May not refuse: Asterisk unmaps a module that has declined without asking it. What
 * might still be run then is mapped for good. No call can be up: the application is what
 * is registered last.
 */
static void undo_load(void)
{
	int left;

	registry_close(1);
	ast_unregister_atexit(at_exit);
	left = withdraw_commands();
	left |= generation_stop_all(STOP_LIMIT_MS, 0);
	if (left) {
		door_log(LOG_ERROR,
			"A command or an engine has not ended: this build of the module "
			"stays in memory until Asterisk is restarted\n");
		embed_pin();
	}
	embed_close(CLOSE_LIMIT_MS);
	config_unload();
	totals_clear();
	feed_clear();
	registry_clear();
}

static int load_module(void)
{
	struct config_report report = { .fd = -1 };
	struct config_change change;

	registry_close(0);
	config_watch(configuration_changed);
	if (config_load(&report, &change)) {
		door_log(LOG_ERROR, "Not loaded: %s has %u fault%s\n", CONFIG_FILE, report.faults,
			ESS(report.faults));
		return AST_MODULE_LOAD_DECLINE;
	}
	config_change_release(&change);
	if (start_engine("Not loaded") || offer()) {
		undo_load();
		return AST_MODULE_LOAD_DECLINE;
	}
	tools_renew();
	return AST_MODULE_LOAD_SUCCESS;
}

AST_MODULE_INFO(ASTERISK_GPL_KEY, AST_MODFLAG_LOAD_ORDER, "ElevenLabs voice agents",
	.support_level = AST_MODULE_SUPPORT_EXTENDED,
	.load = load_module,
	.unload = unload_module,
	.reload = reload_module,
	/* Behind what loads a dialplan (pbx_config): transfer_allow is held against it. */
	.load_pri = AST_MODPRI_DEFAULT + 1,
	.optional_modules = "res_prometheus",
);
