/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What programs ask for over AMI
 *
 * Actions run on threads of Asterisk's; nothing here takes the GIL.
 */

#include "asterisk.h"

#include "asterisk/astobj2.h"	/* ao2_cleanup */
#include "asterisk/lock.h"	/* ast_atomic_fetchadd_int */
#include "asterisk/manager.h"	/* actions */
#include "asterisk/module.h"	/* AST_MODULE_SELF */
#include "asterisk/strings.h"	/* ast_strlen_zero */
#include "asterisk/utils.h"	/* ARRAY_LEN */

#include "call/registry.h"
#include "call/totals.h"
#include "call/variables.h"
#include "config/config.h"
#include "config/rows.h"
#include "config/report.h"
#include "control/agent_test.h"
#include "control/manager.h"
#include "control/running.h"
#include "control/say.h"
#include "control/steer.h"
#include "control/view.h"
#include "door.h"

/*** DOCUMENTATION
	<manager name="ElevenLabsSend" language="en_US" module="app_elevenlabs_convai">
		<synopsis>
			Say something to the ElevenLabs agent that talks with a channel.
		</synopsis>
		<syntax>
			<xi:include xpointer="xpointer(/docs/manager[@name='Login']/syntax/parameter[@name='ActionID'])" />
			<parameter name="Channel" required="true">
				<para>The channel that is in <literal>ElevenLabsConvAI</literal>.</para>
			</parameter>
			<parameter name="Type" required="true">
				<enumlist>
					<enum name="message"><para>A turn of the caller's in text: the agent
					answers.</para></enum>
					<enum name="context"><para>Something the agent is to know. It does not
					answer.</para></enum>
					<enum name="activity"><para>Somebody is there: the agent waits a little
					before it speaks. Without a text.</para></enum>
					<enum name="feedback"><para>On the agent's last response: the text is
					<literal>like</literal>, <literal>dislike</literal> or
					<literal>none</literal>.</para></enum>
				</enumlist>
			</parameter>
			<parameter name="Text">
				<para>UTF-8, 8191 bytes at most.</para>
			</parameter>
		</syntax>
		<description>
			<para>Needs the class <literal>call</literal>. Success means that it will be sent, behind what was sent before. While the
			service lets the caller wait for an agent it is kept until one is there, and the
			answer says <literal>Queued</literal>. It fails while the conversation is not
			up.</para>
		</description>
		<see-also>
			<ref type="application">ElevenLabsConvAI</ref>
		</see-also>
	</manager>
	<manager name="ElevenLabsAgents" language="en_US" module="app_elevenlabs_convai">
		<synopsis>
			List the agents of elevenlabs.conf, and those known of a database.
		</synopsis>
		<syntax>
			<xi:include xpointer="xpointer(/docs/manager[@name='Login']/syntax/parameter[@name='ActionID'])" />
		</syntax>
		<description>
			<para>Needs the class <literal>reporting</literal> or <literal>system</literal>. An
			<literal>ElevenLabsAgent</literal> for each, and
			<literal>ElevenLabsAgentsComplete</literal>. No key is among what is shown. Of a
			database (<literal>elevenlabs</literal> in <filename>extconfig.conf</filename>) those
			agents are listed that it has told of since the last reload.</para>
		</description>
		<responses>
			<list-elements>
				<managerEvent language="en_US" name="ElevenLabsAgent">
					<managerEventInstance class="EVENT_FLAG_REPORTING">
						<synopsis>One agent.</synopsis>
						<syntax>
							<parameter name="Agent"><para>Its section, the name for the
							dialplan.</para></parameter>
							<parameter name="AgentId"><para>Its id at the service.</para></parameter>
							<parameter name="Host"><para>Where it is reached.</para></parameter>
							<parameter name="Auth"><para><literal>signed_url</literal> or
							<literal>none</literal>.</para></parameter>
							<parameter name="Sessions"><para>Calls that talk with it
							now.</para></parameter>
							<parameter name="MaxSessions"><para>So many may; 0: any
							number.</para></parameter>
							<parameter name="Total"><para>Calls since the module was
							loaded.</para></parameter>
							<parameter name="Source"><para><literal>file</literal>, or
							<literal>database</literal>: a row that was looked up by
							name.</para></parameter>
						</syntax>
					</managerEventInstance>
				</managerEvent>
			</list-elements>
			<managerEvent language="en_US" name="ElevenLabsAgentsComplete">
				<managerEventInstance class="EVENT_FLAG_REPORTING">
					<synopsis>The end of the list of agents.</synopsis>
					<syntax>
						<parameter name="EventList"><para><literal>Complete</literal></para></parameter>
						<parameter name="ListItems"><para>So many agents.</para></parameter>
					</syntax>
				</managerEventInstance>
			</managerEvent>
		</responses>
		<see-also>
			<ref type="manager">ElevenLabsSessions</ref>
			<ref type="manager">ElevenLabsTest</ref>
		</see-also>
	</manager>
	<manager name="ElevenLabsSessions" language="en_US" module="app_elevenlabs_convai">
		<synopsis>
			List the calls that talk with an ElevenLabs agent.
		</synopsis>
		<syntax>
			<xi:include xpointer="xpointer(/docs/manager[@name='Login']/syntax/parameter[@name='ActionID'])" />
			<parameter name="Channel">
				<para>That of one call alone. Without it all are listed.</para>
			</parameter>
		</syntax>
		<description>
			<para>Needs the class <literal>reporting</literal> or <literal>system</literal>. An
			<literal>ElevenLabsSession</literal> for each, oldest first, and
			<literal>ElevenLabsSessionsComplete</literal>.</para>
		</description>
		<responses>
			<list-elements>
				<managerEvent language="en_US" name="ElevenLabsSession">
					<managerEventInstance class="EVENT_FLAG_REPORTING">
						<synopsis>One call with an ElevenLabs agent.</synopsis>
						<syntax>
							<parameter name="Channel"><para>Its channel.</para></parameter>
							<parameter name="Uniqueid"><para>The channel's.</para></parameter>
							<parameter name="Linkedid"><para>The channel's.</para></parameter>
							<parameter name="Agent"><para>Section of
							<filename>elevenlabs.conf</filename>.</para></parameter>
							<parameter name="ConversationId"><para>Empty until the service has
							given one.</para></parameter>
							<parameter name="State"><para><literal>connecting</literal>,
							<literal>queued</literal>, <literal>talking</literal>,
							<literal>step</literal>, <literal>ending</literal> or
							<literal>leaving</literal>.</para></parameter>
							<parameter name="Duration"><para>Whole seconds since the call
							began.</para></parameter>
							<parameter name="HeardMs"><para>Audio that the agent has heard, in
							ms.</para></parameter>
							<parameter name="SpokenMs"><para>Audio of the agent's that was played, in
							ms.</para></parameter>
							<parameter name="Interruptions"><para>Times that the caller has
							interrupted the agent.</para></parameter>
							<parameter name="Queued"><para>Whole seconds in the service's
							queue.</para></parameter>
							<parameter name="OnHold"><para>1 while the caller
							holds.</para></parameter>
							<parameter name="Steps"><para>Steps that the dialplan has
							run.</para></parameter>
						</syntax>
					</managerEventInstance>
				</managerEvent>
			</list-elements>
			<managerEvent language="en_US" name="ElevenLabsSessionsComplete">
				<managerEventInstance class="EVENT_FLAG_REPORTING">
					<synopsis>The end of the list of calls.</synopsis>
					<syntax>
						<parameter name="EventList"><para><literal>Complete</literal></para></parameter>
						<parameter name="ListItems"><para>So many calls.</para></parameter>
					</syntax>
				</managerEventInstance>
			</managerEvent>
		</responses>
		<see-also>
			<ref type="manager">ElevenLabsAgents</ref>
			<ref type="manager">ElevenLabsHangup</ref>
		</see-also>
	</manager>
	<manager name="ElevenLabsHangup" language="en_US" module="app_elevenlabs_convai">
		<synopsis>
			Hang up a call that talks with an ElevenLabs agent, or all.
		</synopsis>
		<syntax>
			<xi:include xpointer="xpointer(/docs/manager[@name='Login']/syntax/parameter[@name='ActionID'])" />
			<parameter name="Channel" required="true">
				<para>The channel that is in <literal>ElevenLabsConvAI</literal>, or
				<literal>all</literal>.</para>
			</parameter>
		</syntax>
		<description>
			<para>Needs the class <literal>call</literal> or <literal>system</literal>.</para>
		</description>
		<see-also>
			<ref type="manager">ElevenLabsSessions</ref>
			<ref type="manager">ElevenLabsDrain</ref>
		</see-also>
	</manager>
	<manager name="ElevenLabsReload" language="en_US" module="app_elevenlabs_convai">
		<synopsis>
			Read elevenlabs.conf again.
		</synopsis>
		<syntax>
			<xi:include xpointer="xpointer(/docs/manager[@name='Login']/syntax/parameter[@name='ActionID'])" />
		</syntax>
		<description>
			<para>Needs the class <literal>system</literal>. A file with a fault changes nothing: the
			answer has their number and the first of them, the log has them all. What has changed
			is in the log as well. Calls that are up keep what they began with.</para>
		</description>
		<see-also>
			<ref type="filename">elevenlabs.conf</ref>
		</see-also>
	</manager>
	<manager name="ElevenLabsDrain" language="en_US" module="app_elevenlabs_convai">
		<synopsis>
			Refuse new calls with ElevenLabs agents, or admit them again.
		</synopsis>
		<syntax>
			<xi:include xpointer="xpointer(/docs/manager[@name='Login']/syntax/parameter[@name='ActionID'])" />
			<parameter name="Drain" required="true">
				<para><literal>on</literal>: a new call has <literal>LIMIT</literal> at once, those
				that are up go on. <literal>off</literal>: calls are admitted again.</para>
			</parameter>
		</syntax>
		<description>
			<para>Needs the class <literal>system</literal>. The field <literal>Sessions</literal> of
			the answer tells how many calls are left.</para>
		</description>
		<see-also>
			<ref type="manager">ElevenLabsSessions</ref>
		</see-also>
	</manager>
	<manager name="ElevenLabsTest" language="en_US" module="app_elevenlabs_convai">
		<synopsis>
			Reach an ElevenLabs agent as a call would, without a call.
		</synopsis>
		<syntax>
			<xi:include xpointer="xpointer(/docs/manager[@name='Login']/syntax/parameter[@name='ActionID'])" />
			<parameter name="Agent" required="true">
				<para>Section of <filename>elevenlabs.conf</filename>, or row of a database.</para>
			</parameter>
		</syntax>
		<description>
			<para>Needs the class <literal>system</literal>: it begins a conversation at the service.
			The answer comes when that is up or has failed, at the latest 3 s after the agent's
			<literal>connect_timeout</literal> (5 s for one of a database); other actions of this connection wait for it.</para>
			<para>Success has the fields <literal>Agent</literal>, <literal>ConversationId</literal>,
			<literal>ElapsedMs</literal>, <literal>Hears</literal>, <literal>Speaks</literal> (audio
			formats) and <literal>Full</literal> (1: the service would let a caller wait). An error
			has <literal>Agent</literal>, <literal>Status</literal>, <literal>Reason</literal> and
			<literal>Detail</literal>, as a call's variables would have them.</para>
		</description>
		<see-also>
			<ref type="manager">ElevenLabsAgents</ref>
		</see-also>
	</manager>
 ***/

/*! Actions that run right now; each counts itself in and out */
static int running;

/* ---- What they do ---- */

static void send_text(struct mansession *s, const struct message *m)
{
	const char *channel = astman_get_header(m, "Channel");
	char answer[256];

	if (ast_strlen_zero(channel)) {
		door_answer(s, m, 0, "Channel not specified");
	} else {
		int failed = say(channel, astman_get_header(m, "Type"), astman_get_header(m, "Text"),
			answer, sizeof(answer));

		door_answer(s, m, !failed, answer);
	}
}

static void list_agent(struct mansession *s, const struct message *m, const struct config_agent *agent)
{
	char host[CONFIG_VALUE_SIZE];
	char counts[3][12];

	snprintf(counts[0], sizeof(counts[0]), "%u", registry_count(agent->name));
	snprintf(counts[1], sizeof(counts[1]), "%u", agent->max_sessions);
	snprintf(counts[2], sizeof(counts[2]), "%u", totals_calls(agent->name));
	door_list_item(s, m, "ElevenLabsAgent", "Agent", agent->name,
		"AgentId", agent->values[KEY_AGENT_ID], "Host", config_agent_host(agent, host, sizeof(host)),
		"Auth", agent->values[KEY_AUTH], "Sessions", counts[0], "MaxSessions", counts[1],
		"Total", counts[2], "Source", agent->in_database ? "database" : "file", SENTINEL);
}

static void list_agents(struct mansession *s, const struct message *m)
{
	struct config *config = rows_config(config_get());
	size_t count = config ? AST_VECTOR_SIZE(&config->agents) : 0;
	size_t i;

	door_list_begin(s, m, "Agents follow");
	for (i = 0; i < count; i++) {
		list_agent(s, m, AST_VECTOR_GET(&config->agents, i));
	}
	door_list_end(s, m, "ElevenLabsAgentsComplete", count);
	ao2_cleanup(config);
}

static void list_session(struct mansession *s, const struct message *m, const struct call *call,
	const struct call_view *view)
{
	char numbers[7][24];

	snprintf(numbers[0], sizeof(numbers[0]), "%d", view->seconds);
	snprintf(numbers[1], sizeof(numbers[1]), "%.0f",
		call_view_seconds(&view->caller, view->counters.pushed_bytes) * 1000);
	snprintf(numbers[2], sizeof(numbers[2]), "%.0f",
		call_view_seconds(&view->agent, view->counters.played_bytes) * 1000);
	snprintf(numbers[3], sizeof(numbers[3]), "%" PRIu64, view->counters.interruptions);
	snprintf(numbers[4], sizeof(numbers[4]), "%.0f", view->queued);
	snprintf(numbers[5], sizeof(numbers[5]), "%" PRIu64, view->statistics.on_hold);
	snprintf(numbers[6], sizeof(numbers[6]), "%" PRIu64, view->statistics.steps);
	door_list_item(s, m, "ElevenLabsSession", "Channel", view->channel, "Uniqueid", view->unique_id,
		"Linkedid", view->linked_id, "Agent", call->agent->name,
		"ConversationId", view->conversation_id, "State", view->state, "Duration", numbers[0],
		"HeardMs", numbers[1], "SpokenMs", numbers[2], "Interruptions", numbers[3],
		"Queued", numbers[4], "OnHold", numbers[5], "Steps", numbers[6], SENTINEL);
}

static void list_sessions(struct mansession *s, const struct message *m)
{
	const char *channel = astman_get_header(m, "Channel");
	struct call **calls;
	size_t count = registry_list(&calls);
	size_t listed = 0;
	size_t i;

	door_list_begin(s, m, "Sessions follow");
	for (i = 0; i < count; i++) {
		struct call_view view;

		call_view_take(calls[i], &view);
		if (ast_strlen_zero(channel) || !strcasecmp(channel, view.channel)) {
			list_session(s, m, calls[i], &view);
			listed++;
		}
	}
	door_list_end(s, m, "ElevenLabsSessionsComplete", listed);
	registry_free_list(calls, count);
}

static void hang_up(struct mansession *s, const struct message *m)
{
	const char *channel = astman_get_header(m, "Channel");
	char answer[STEER_ANSWER_SIZE];

	if (ast_strlen_zero(channel)) {
		door_answer(s, m, 0, "Channel not specified: that of a call, or all");
	} else {
		int failed = steer_hangup(channel, answer, sizeof(answer));

		door_answer(s, m, !failed, answer);
	}
}

static void reload(struct mansession *s, const struct message *m)
{
	struct config_report report = { .fd = -1 };
	char answer[STEER_ANSWER_SIZE];
	int failed = steer_reload(&report, answer, sizeof(answer));

	door_answer(s, m, !failed, answer);
}

static void drain(struct mansession *s, const struct message *m)
{
	const char *wanted = astman_get_header(m, "Drain");
	char answer[STEER_ANSWER_SIZE];
	char left[12];

	if (strcasecmp(wanted, "on") && strcasecmp(wanted, "off")) {
		door_answer(s, m, 0, "Drain must be on or off");
		return;
	}
	steer_drain(!strcasecmp(wanted, "on"), answer, sizeof(answer));
	snprintf(left, sizeof(left), "%u", registry_count(NULL));
	door_answer_fields(s, m, 1, answer, "Sessions", left, SENTINEL);
}

static void test(struct mansession *s, const struct message *m)
{
	const char *name = astman_get_header(m, "Agent");
	struct agent_test result;
	char text[AGENT_TEST_SIZE];
	char ms[12];

	if (ast_strlen_zero(name)) {
		door_answer(s, m, 0, "Agent not specified: a section of " CONFIG_FILE);
		return;
	}
	if (agent_test(&result, name)) {
		agent_test_tell(&result, text, sizeof(text));
		door_answer_fields(s, m, 0, text, "Agent", result.agent,
			"Status", status_name(result.ending.status), "Reason", result.ending.reason,
			"Detail", result.ending.detail, SENTINEL);
		return;
	}
	agent_test_tell(&result, text, sizeof(text));
	snprintf(ms, sizeof(ms), "%d", result.ms);
	door_answer_fields(s, m, 1, text, "Agent", result.agent, "ConversationId", result.conversation_id,
		"ElapsedMs", ms, "Hears", result.hears, "Speaks", result.speaks,
		"Full", result.full ? "1" : "0", SENTINEL);
}

/* ---- Registration ---- */

/*! \brief Define an action: counted, and always 0, for anything else would end the program's connection */
#define ACTION(function) \
	static int handle_##function(struct mansession *s, const struct message *m) \
	{ \
		ast_atomic_fetchadd_int(&running, +1); \
		function(s, m); \
		ast_atomic_fetchadd_int(&running, -1); \
		return 0; \
	}

ACTION(send_text)
ACTION(list_agents)
ACTION(list_sessions)
ACTION(hang_up)
ACTION(reload)
ACTION(drain)
ACTION(test)

/*! Who may see has `reporting`; what changes a call needs `call`, what changes more `system` */
static struct {
	const char *name;
	int authority;	/*!< one of these classes is enough */
	int (*handle)(struct mansession *s, const struct message *m);
	int registered;	/*!< Asterisk refuses what is registered twice. Load, reload and unload only. */
} actions[] = {
	{ "ElevenLabsAgents", EVENT_FLAG_SYSTEM | EVENT_FLAG_REPORTING, handle_list_agents },
	{ "ElevenLabsSessions", EVENT_FLAG_SYSTEM | EVENT_FLAG_REPORTING, handle_list_sessions },
	{ "ElevenLabsSend", EVENT_FLAG_CALL, handle_send_text },
	{ "ElevenLabsHangup", EVENT_FLAG_SYSTEM | EVENT_FLAG_CALL, handle_hang_up },
	{ "ElevenLabsReload", EVENT_FLAG_SYSTEM, handle_reload },
	{ "ElevenLabsDrain", EVENT_FLAG_SYSTEM, handle_drain },
	{ "ElevenLabsTest", EVENT_FLAG_SYSTEM, handle_test },
};

int manager_register(void)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(actions); i++) {
		if (!actions[i].registered
			&& ast_manager_register_xml(actions[i].name, actions[i].authority, actions[i].handle)) {
			return -1;
		}
		actions[i].registered = 1;
	}
	return 0;
}

int manager_unregister(int limit_ms)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(actions); i++) {
		if (actions[i].registered) {
			ast_manager_unregister(actions[i].name);
			actions[i].registered = 0;
		}
	}
	return running_wait(&running, limit_ms);
}
