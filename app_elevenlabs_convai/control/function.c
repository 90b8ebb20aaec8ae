/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What the dialplan asks of a conversation, and says to it: the function ELEVENLABS
 *
 * Any thread of Asterisk's: the channel's own in a step, another channel's, AMI's. A call is looked at
 * under its lock; nothing here waits longer than for that.
 */

#include "asterisk.h"

#include "asterisk/app.h"	/* arguments */
#include "asterisk/astobj2.h"	/* ao2_lock */
#include "asterisk/channel.h"	/* ast_channel_get_by_name, ast_check_hangup */
#include "asterisk/lock.h"	/* ast_atomic_fetchadd_int */
#include "asterisk/logger.h"	/* LOG_WARNING */
#include "asterisk/module.h"	/* AST_MODULE_SELF */
#include "asterisk/pbx.h"	/* dialplan functions */
#include "asterisk/strings.h"	/* ast_strlen_zero, ast_str */
#include "asterisk/utils.h"	/* ARRAY_LEN */

#include "call/agent_state.h"
#include "call/call.h"
#include "call/closing.h"
#include "call/ending.h"
#include "call/recording.h"
#include "call/registry.h"
#include "call/variables.h"
#include "config/config.h"
#include "control/function.h"
#include "control/running.h"
#include "control/say.h"
#include "door.h"
#include "engine/generation.h"
#include "monotonic.h"

/*** DOCUMENTATION
	<function name="ELEVENLABS" language="en_US" module="app_elevenlabs_convai">
		<synopsis>
			Ask about the conversation that a channel has with an ElevenLabs agent, or act on it.
		</synopsis>
		<syntax>
			<parameter name="item" required="true">
				<para>To read:</para>
				<enumlist>
					<enum name="agent"><para>Section of <filename>elevenlabs.conf</filename>.</para></enum>
					<enum name="conversation_id"><para>The service's id, once it has given
					one.</para></enum>
					<enum name="state"><para><literal>connecting</literal>, <literal>queued</literal>,
					<literal>talking</literal>, <literal>step</literal> (the dialplan carries out a tool of
					the agent's), <literal>ending</literal> or <literal>leaving</literal>.</para></enum>
					<enum name="duration"><para>Whole seconds since the agent was
					called.</para></enum>
					<enum name="queued"><para>Of these, whole seconds in the service's
					queue.</para></enum>
					<enum name="latency"><para>How soon the agent has answered, in milliseconds: the
					median and the longest, <literal>812,1430</literal>; empty before its first
					answer.</para></enum>
					<enum name="transcript"><para>What has been said, from old to new:
					<literal>agent: Hello. / caller: I want to book / agent: For when</literal>. Where there
					is too little room (4095 bytes within an application's arguments, 1023 by AMI's
					<literal>Getvar</literal>) the oldest turns are left out. Empty unless
					<literal>transcripts</literal> in <filename>elevenlabs.conf</filename> is
					<literal>events</literal> or <literal>all</literal>.</para></enum>
					<enum name="summary"><para>The parameter <literal>summary</literal> of the last tool that the
					agent has called. As above.</para></enum>
					<enum name="heard"><para>Of the agent's last turn, the words that the caller has
					heard: of one that was interrupted, as far as it was played.</para></enum>
				</enumlist>
				<para>To write:</para>
				<enumlist>
					<enum name="end"><para><literal>TRANSFER</literal> or
					<literal>AGENT_ENDED</literal>: end the conversation now. The dialplan goes on; the
					application ends with this <variable>ELEVENLABSSTATUS</variable> when the step
					returns. A caller who has hung up before is not handed over: that is
					<literal>HANGUP</literal>.</para></enum>
					<enum name="context"><para>Something the agent is to know. It does not
					answer.</para></enum>
					<enum name="message"><para>A turn of the caller's in text: the agent answers. In a
					step it is told behind the step's result.</para></enum>
				</enumlist>
			</parameter>
			<parameter name="channel">
				<para>Name or unique id of the channel that has the conversation, or the unique id that
				it had when the step began; without it, the one that runs the dialplan.</para>
			</parameter>
		</syntax>
		<description>
			<para>Reading gives an empty text where the channel has no conversation. What others have
			said is data: one line in which only letters, digits, blanks,
			<literal>: . _ - / +</literal> and what is beyond ASCII are left. To write from
			AMI and the like needs <literal>live_dangerously = yes</literal> in
			<filename>asterisk.conf</filename>.</para>
			<example title="A person has answered: end the conversation, go on with the call">
			[person-answered]
			exten = s,1,Set(ELEVENLABS(end,${ARG1})=TRANSFER)
			 same = n,Return()
			</example>
		</description>
		<see-also>
			<ref type="application">ElevenLabsConvAI</ref>
			<ref type="manager">ElevenLabsSend</ref>
		</see-also>
	</function>
 ***/

/*! Those in the function right now; each counts itself in and out */
static int running;

/*! Load, reload and unload only, one at a time */
static int registered;

/* ---- Whose conversation ---- */

/*!
 * \brief The conversation that is meant, with a reference, or NULL
 * \param channel whose dialplan runs; NULL, or one without a name, where there is none (AMI)
 */
static struct call *find(struct ast_channel *channel, const char *name)
{
	struct ast_channel *other;
	struct call *call;

	if (ast_strlen_zero(name)) {
		return channel ? registry_find_channel(channel) : NULL;
	}
	other = ast_channel_get_by_name(name);
	call = other ? registry_find_channel(other) : NULL;
	ast_channel_cleanup(other);
	/* After an attended transfer the channel has another id than the dialplan was told before. */
	return call ? call : registry_find_unique_id(name);
}

/* ---- Reading ---- */

static void read_agent(struct call *call, char *text, size_t size)
{
	ast_copy_string(text, call->agent->name, size);
}

static void read_conversation_id(struct call *call, char *text, size_t size)
{
	ao2_lock(call);
	ast_copy_string(text, call->progress.conversation_id, size);
	ao2_unlock(call);
}

static void read_state(struct call *call, char *text, size_t size)
{
	ao2_lock(call);
	ast_copy_string(text, registry_state_name(call), size);
	ao2_unlock(call);
}

static void read_duration(struct call *call, char *text, size_t size)
{
	snprintf(text, size, "%d", (int) ((monotonic_us() - call->started_us) / 1000000));
}

static void read_queued(struct call *call, char *text, size_t size)
{
	struct call_statistics statistics;

	statistics_copy(&call->statistics, &statistics);
	snprintf(text, size, "%u", statistics_seconds(statistics_queued_us(&statistics, monotonic_us())));
}

static void read_latency(struct call *call, char *text, size_t size)
{
	struct convai_turn_times times = { 0 };

	ao2_lock(call);
	if (call->session) {
		call->ops->turns(call->session, &times);
	}
	ao2_unlock(call);
	latency_text(&times, text, size);
}

/*! \brief Copy what was said: words of others */
static void read_words(struct call *call, enum convai_words which, char *text, size_t size)
{
	ao2_lock(call);
	if (call->session) {
		call->ops->words(call->session, which, text, size);
	}
	ao2_unlock(call);
	door_value(text);
}

static void read_transcript(struct call *call, char *text, size_t size)
{
	read_words(call, CONVAI_WORDS_TRANSCRIPT, text, size);
}

static void read_summary(struct call *call, char *text, size_t size)
{
	read_words(call, CONVAI_WORDS_SUMMARY, text, size);
}

static void read_heard(struct call *call, char *text, size_t size)
{
	read_words(call, CONVAI_WORDS_HEARD, text, size);
}

static const struct {
	const char *item;
	void (*read)(struct call *call, char *text, size_t size);
} readers[] = {
	{ "agent", read_agent },
	{ "conversation_id", read_conversation_id },
	{ "state", read_state },
	{ "duration", read_duration },
	{ "queued", read_queued },
	{ "latency", read_latency },
	{ "transcript", read_transcript },
	{ "summary", read_summary },
	{ "heard", read_heard },
};

static int read_item(struct ast_channel *channel, const char *item, const char *name, char *text,
	size_t size)
{
	struct call *call;
	size_t i = 0;

	while (i < ARRAY_LEN(readers) && strcasecmp(item, readers[i].item)) {
		i++;
	}
	if (i == ARRAY_LEN(readers)) {
		door_log(LOG_WARNING, "ELEVENLABS(%s) cannot be read: there are agent, conversation_id, state, "
							  "duration, queued, latency, transcript, summary and heard\n", item);
		return -1;
	}
	call = find(channel, name);
	if (call) {
		readers[i].read(call, text, size);
		ao2_ref(call, -1);
	}
	return 0;
}

/* ---- Writing ---- */

/*!
 * \brief End the conversation now; the application ends with this status
 *
 * Unless the caller has gone, or is wanted elsewhere, while somebody made up their mind: then nobody has
 * been handed over, and the call ends as that.
 */
static int end(struct call *call, const char *value)
{
	struct generation *generation;
	struct closing_figures figures;
	struct closing closing;
	struct ending ending;
	enum convai_status status = !strcasecmp(value, "TRANSFER") ? CONVAI_STATUS_TRANSFER
		: !strcasecmp(value, "AGENT_ENDED") ? CONVAI_STATUS_AGENT_ENDED : CONVAI_STATUS_NONE;
	int gone;

	if (!status) {
		door_log(LOG_WARNING, "ELEVENLABS(end) is TRANSFER or AGENT_ENDED, not '%s'\n", value);
		return -1;
	}
	gone = ast_check_hangup(call->channel);
	ao2_lock(call);
	if (!gone) {
		call->asked = status;
	}
	if (call->session) {
		call->ops->hangup(call->session);
	}
	ao2_unlock(call);
	ending_set_asked(&ending, status);
	generation = registry_withdraw(call);
	if (generation) {
		/* The step may go on for hours, with somebody else. */
		closing_take(&closing, call);
		closing_write(&figures, &closing);
		recording_end(call->recording, generation, call->agent->name, &ending, figures.figures, CLOSING_FIGURES);
		generation_leave(generation);
	}
	agent_state_changed();
	return 0;
}

static int write_to(struct call *call, const char *item, const char *value)
{
	char answer[256];

	if (!strcasecmp(item, "end")) {
		return end(call, value);
	}
	if (say_to(call, item, value, answer, sizeof(answer))) {
		door_log(LOG_WARNING, "ELEVENLABS(%s): %s\n", item, answer);
		return -1;
	}
	return 0;
}

static int write_item(struct ast_channel *channel, const char *item, const char *name,
	const char *value)
{
	struct call *call;
	int res;

	if (strcasecmp(item, "end") && strcasecmp(item, "context") && strcasecmp(item, "message")) {
		door_log(LOG_WARNING, "ELEVENLABS(%s) cannot be written: there are end, context and message\n",
			item);
		return -1;
	}
	call = find(channel, name);
	if (!call) {
		door_log(LOG_WARNING, "ELEVENLABS(%s): there is no conversation on %s\n", item,
			S_OR(name, "this channel"));
		return -1;
	}
	res = write_to(call, item, value);
	ao2_ref(call, -1);
	return res;
}

/* ---- The function ---- */

/*! \brief Read into text (value NULL), or write the value */
static int function(struct ast_channel *channel, const char *data, char *text, size_t size,
	const char *value)
{
	char *parse = ast_strdupa(data);
	int res;
	AST_DECLARE_APP_ARGS(args,
		AST_APP_ARG(item);
		AST_APP_ARG(channel);
	);

	ast_atomic_fetchadd_int(&running, +1);
	AST_STANDARD_APP_ARGS(args, parse);
	if (value) {
		res = write_item(channel, S_OR(args.item, ""), args.channel, value);
	} else {
		res = read_item(channel, S_OR(args.item, ""), args.channel, text, size);
	}
	ast_atomic_fetchadd_int(&running, -1);
	return res;
}

static int function_read(struct ast_channel *channel, const char *name, char *data, char *text,
	size_t size)
{
	*text = '\0';
	return function(channel, data, text, size, NULL);
}

/*! \brief The same for whoever has more room than an application's arguments: ARI, for one */
static int function_read2(struct ast_channel *channel, const char *name, char *data,
	struct ast_str **text, ssize_t size)
{
	char whole[CONVAI_WORDS_BYTES] = "";
	int res = function(channel, data, whole, sizeof(whole), NULL);

	ast_str_set(text, size, "%s", whole);
	return res;
}

static int function_write(struct ast_channel *channel, const char *name, char *data,
	const char *value)
{
	return function(channel, data, NULL, 0, value);
}

static struct ast_custom_function elevenlabs_function = {
	.name = "ELEVENLABS",
	.read = function_read,
	.read2 = function_read2,
	.write = function_write,
};

/* ---- Registration ---- */

int function_register(void)
{
	/* To write ends a call: not for whoever may only read variables over AMI or ARI. */
	if (!registered
		&& ast_custom_function_register_escalating(&elevenlabs_function, AST_CFE_WRITE)) {
		return -1;
	}
	registered = 1;
	return 0;
}

int function_unregister(int limit_ms)
{
	if (registered) {
		ast_custom_function_unregister(&elevenlabs_function);
		registered = 0;
	}
	return running_wait(&running, limit_ms);
}
