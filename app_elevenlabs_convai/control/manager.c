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

#include <unistd.h>	/* usleep(3) */

#include "asterisk/lock.h"	/* ast_atomic_fetchadd_int */
#include "asterisk/manager.h"	/* actions */
#include "asterisk/module.h"	/* AST_MODULE_SELF */
#include "asterisk/strings.h"	/* ast_strlen_zero */

#include "control/manager.h"
#include "control/running.h"
#include "control/say.h"
#include "monotonic.h"
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
			<para>Success means that it will be sent, behind what was sent before. It fails
			while the conversation is not up.</para>
		</description>
		<see-also>
			<ref type="application">ElevenLabsConvAI</ref>
		</see-also>
	</manager>
 ***/

/*! How often a wait for actions looks again */
#define POLL_US 10000

static const char action[] = "ElevenLabsSend";

/*! Actions that run right now; each counts itself in and out */
static int running;

/*! Asterisk refuses what is registered twice. Load, reload and unload only, one at a time. */
static int registered;

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

/*! \return 0: anything else would end the program's connection */
static int handle_send(struct mansession *s, const struct message *m)
{
	ast_atomic_fetchadd_int(&running, +1);
	send_text(s, m);
	ast_atomic_fetchadd_int(&running, -1);
	return 0;
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

}

/* ---- Registration ---- */

int manager_register(void)
{
	if (!registered && ast_manager_register_xml(action, EVENT_FLAG_CALL, handle_send)) {
		return -1;
	}
	registered = 1;
	return 0;
}

int manager_unregister(int limit_ms)
{
	int64_t deadline = monotonic_us() + (int64_t) limit_ms * 1000;

	if (registered) {
		ast_manager_unregister(action);
		registered = 0;
	}
	while (__atomic_load_n(&running, __ATOMIC_ACQUIRE)) {
		if (monotonic_us() >= deadline) {
			return -1;
		}
		usleep(POLL_US);
	}
	return 0;
}
