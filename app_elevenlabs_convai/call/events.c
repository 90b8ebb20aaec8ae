/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What programs are told of a call over AMI
 *
 * An event is data alone, of a type that is Asterisk's own: nothing that waits to be sent
 * refers to the module, which may be unloaded meanwhile.
 */

#include "asterisk.h"

#include <time.h>	/* gmtime_r(3) */

#include "asterisk/astobj2.h"	/* ao2_cleanup */
#include "asterisk/channel.h"	/* ast_channel_uniqueid */
#include "asterisk/json.h"	/* what an event says */
#include "asterisk/manager.h"	/* ast_manager_publish_event */
#include "asterisk/stasis.h"	/* ast_multi_user_event_type */
#include "asterisk/stasis_channels.h"	/* ast_channel_snapshot_get_latest */
#include "asterisk/strings.h"	/* ast_str */
#include "asterisk/utils.h"	/* ast_strdupa */

#include "call/detail_records.h"
#include "call/events.h"
#include "call/feed.h"
#include "convai_ops.h"
#include "words.h"

/*** DOCUMENTATION
	<managerEvent name="ElevenLabsStart" language="en_US" module="app_elevenlabs_convai">
		<managerEventInstance class="EVENT_FLAG_CALL">
			<synopsis>
				Raised when the conversation between a channel and an ElevenLabs agent begins.
			</synopsis>
			<syntax>
				<parameter name="Channel">
					<para>The channel; with all its fields, as in <literal>Newchannel</literal>,
					<literal>Uniqueid</literal> and <literal>Linkedid</literal> among them.</para>
				</parameter>
				<parameter name="Agent">
					<para>Section of <filename>elevenlabs.conf</filename>.</para>
				</parameter>
				<parameter name="ConversationId">
					<para>The service's id of the conversation.</para>
				</parameter>
				<parameter name="Time">
					<para>When it happened: UTC, as in
					<literal>2026-11-30T09:15:02.481Z</literal>.</para>
				</parameter>
			</syntax>
			<description>
				<para>All events of this module have these fields. Where
				<literal>ari_events</literal> in <filename>elevenlabs.conf</filename> says so,
				applications of ARI that are subscribed to the channel have each as a
				<literal>ChannelUserevent</literal>, and AMI has it as a
				<literal>UserEvent</literal> as well.</para>
			</description>
			<see-also>
				<ref type="managerEvent">ElevenLabsEnd</ref>
				<ref type="application">ElevenLabsConvAI</ref>
			</see-also>
		</managerEventInstance>
	</managerEvent>
	<managerEvent name="ElevenLabsQueue" language="en_US" module="app_elevenlabs_convai">
		<managerEventInstance class="EVENT_FLAG_CALL">
			<synopsis>
				Raised when an ElevenLabs agent is full: the caller waits, or waits no longer.
			</synopsis>
			<syntax>
				<xi:include xpointer="xpointer(/docs/managerEvent[@name='ElevenLabsStart']/managerEventInstance/syntax/parameter)" />
				<parameter name="Status">
					<enumlist>
						<enum name="waiting"><para>The service lets the caller wait.</para></enum>
						<enum name="admitted"><para>An agent is there;
						<literal>ElevenLabsStart</literal> follows.</para></enum>
						<enum name="timed_out"><para>None was free in time, by the service's limit
						or by <literal>queue</literal> in
						<filename>elevenlabs.conf</filename>.</para></enum>
						<enum name="refused"><para>The caller would have had to wait, and was not
						to: <literal>queue = refuse</literal>.</para></enum>
					</enumlist>
				</parameter>
				<parameter name="Waited">
					<para>Whole seconds for which the caller has waited for this agent.</para>
				</parameter>
			</syntax>
			<description>
				<para>A caller who hangs up while waiting has an <literal>ElevenLabsEnd</literal>
				alone.</para>
			</description>
			<see-also>
				<ref type="managerEvent">ElevenLabsStart</ref>
				<ref type="managerEvent">ElevenLabsEnd</ref>
				<ref type="application">ElevenLabsConvAI</ref>
			</see-also>
		</managerEventInstance>
	</managerEvent>
	<managerEvent name="ElevenLabsEnd" language="en_US" module="app_elevenlabs_convai">
		<managerEventInstance class="EVENT_FLAG_CALL">
			<synopsis>
				Raised when the channel is through with the ElevenLabs agent.
			</synopsis>
			<syntax>
				<xi:include xpointer="xpointer(/docs/managerEvent[@name='ElevenLabsStart']/managerEventInstance/syntax/parameter)" />
				<parameter name="Status">
					<para>As in <variable>ELEVENLABSSTATUS</variable>.</para>
				</parameter>
				<parameter name="Reason">
					<para>As in <variable>ELEVENLABSREASON</variable>.</para>
				</parameter>
				<parameter name="Detail">
					<para>Words from outside that go with it, as in
					<variable>ELEVENLABSDETAIL</variable>, but with all signs that they
					have: data, which whoever shows or stores it has to treat as such.</para>
				</parameter>
				<parameter name="AskedAgent">
					<para>That the dialplan has asked for; another one than <literal>Agent</literal>
					where a <literal>fallback_agent</literal> was tried.</para>
				</parameter>
				<parameter name="RecordId">
					<para>The <literal>id</literal> of the record, in the file and at the webhook;
					empty if there is none.</para>
				</parameter>
				<parameter name="Duration">
					<para>Whole seconds since the application began, connecting included.</para>
				</parameter>
				<parameter name="TalkedMs">
					<para>Since an agent was there; 0 if none was.</para>
				</parameter>
				<parameter name="AgentSpokeMs">
					<para>Audio of the agent's that was played.</para>
				</parameter>
				<parameter name="CallerSpokeMs">
					<para>Audio of the caller that was loud enough for speech.</para>
				</parameter>
				<parameter name="Queued">
					<para>Whole seconds in the service's queue, with all agents.</para>
				</parameter>
				<parameter name="Turns">
					<para>Responses of the agent's of which there was audio.</para>
				</parameter>
				<parameter name="Interruptions">
					<para>Of the agent by the caller.</para>
				</parameter>
				<parameter name="Steps">
					<para>That the dialplan has run.</para>
				</parameter>
				<parameter name="ToolsDone">
					<para>Tools that the agent has called, of all kinds, and that were done.</para>
				</parameter>
				<parameter name="ToolsFailed">
					<para>... that have failed, or were refused.</para>
				</parameter>
				<parameter name="EventsLeftOut">
					<para>Events that were too many at once, or that have found no room.</para>
				</parameter>
				<parameter name="Answers">
					<para>Turns of the caller's that the agent has answered, and that could be
					timed.</para>
				</parameter>
				<parameter name="LatencyMs">
					<para>How soon it has answered them: the median, as in
					<variable>ELEVENLABSLATENCY</variable>; 0 if there were none.</para>
				</parameter>
				<parameter name="LatencyMaxMs">
					<para>The longest of them.</para>
				</parameter>
				<parameter name="JitterMs">
					<para>As in <literal>ElevenLabsQuality</literal>.</para>
				</parameter>
				<parameter name="LossPercent">
					<para>As in <literal>ElevenLabsQuality</literal>.</para>
				</parameter>
				<parameter name="RemoteJitterMs">
					<para>As in <literal>ElevenLabsQuality</literal>.</para>
				</parameter>
				<parameter name="RemoteLossPercent">
					<para>As in <literal>ElevenLabsQuality</literal>.</para>
				</parameter>
				<parameter name="RoundTripMs">
					<para>As in <literal>ElevenLabsQuality</literal>.</para>
				</parameter>
				<parameter name="Mos">
					<para>As in <literal>ElevenLabsQuality</literal>.</para>
				</parameter>
			</syntax>
			<description>
				<para>Once for each run of the application that names an agent, with options that
				are understood, also where no
				<literal>ElevenLabsStart</literal> came before because the agent could not be
				had; <literal>ConversationId</literal> is empty then. <literal>Agent</literal> is
				the one that was tried last. The record of the call has the same
				figures.</para>
			</description>
			<see-also>
				<ref type="managerEvent">ElevenLabsStart</ref>
				<ref type="application">ElevenLabsConvAI</ref>
			</see-also>
		</managerEventInstance>
	</managerEvent>
 ***/

/*! The field of a channel variable that manager.conf wants in all events */
#define VARIABLE "ChanVariable"
/*! Enough for a few of them; it grows */
#define VARIABLES_SIZE 128

/*! Of a field, in bytes: a channel variable has some 4096 at most */
#define FIELD_MAX 8000

/*! Room for a name or an id of a channel, with its terminator */
#define FIELD_SHORT 160

/*! \brief Make a value fit for its line */
static char *clean(char *value)
{
	value[words_clean(value, strlen(value), FIELD_MAX, WORDS_COLUMNS)] = '\0';
	return value;
}

static void add_field(struct ast_json *event, const char *name, const char *value)
{
	ast_json_object_set(event, name, ast_json_string_create(clean(ast_strdupa(value))));
}

/*!
 * \brief One field of the channel's, out of its line
 *
 * All channelvars of manager.conf arrive as ChanVariable, but a JSON object has a name only
 * once. So we join them with CR LF, which Asterisk writes out unchanged.
 */
static void add_line(struct ast_json *event, char *line, struct ast_str **variables)
{
	char *value = strstr(line, ": ");

	if (!value) {
		return;
	}
	*value = '\0';
	value += strlen(": ");
	if (strcmp(line, VARIABLE)) {
		add_field(event, line, value);
	} else if (*variables) {
		clean(value);
		ast_str_append(variables, 0, "%s%s",
			ast_str_buffer(*variables)[0] ? "\r\n" VARIABLE ": " : "", value);
	}
}

static void add_variables(struct ast_json *event, const struct ast_str *variables)
{
	if (variables && ast_str_buffer(variables)[0]) {
		ast_json_object_set(event, VARIABLE,
			ast_json_string_create(ast_str_buffer(variables)));
	}
}

/*! \brief Take line ends out of the value that a field has, where it is this one */
static void on_one_line(char *lines, const char *field, const char *value)
{
	char *at = strstr(lines, field);
	char *c;

	if (!at || !value || strncmp(at += strlen(field), value, strlen(value))) {
		return;
	}
	for (c = at; c < at + strlen(value); c++) {
		if (*c == '\r' || *c == '\n') {
			*c = ' ';
		}
	}
}

/*!
 * \brief Leave the fields' own line ends alone
 *
 * What a caller chooses may have some (`%0d%0a` in a SIP address), and Asterisk writes them out. In
 * the order of the fields: so none of them stands in the value of one before it.
 */
static void join_lines(char *lines, struct ast_channel *channel)
{
	const struct ast_party_id *caller;
	const struct ast_party_id *connected;

	ast_channel_lock(channel);
	caller = &ast_channel_caller(channel)->id;
	connected = &ast_channel_connected(channel)->id;
	on_one_line(lines, "CallerIDNum: ", caller->number.str);
	on_one_line(lines, "CallerIDName: ", caller->name.str);
	on_one_line(lines, "ConnectedLineNum: ", connected->number.str);
	on_one_line(lines, "ConnectedLineName: ", connected->name.str);
	on_one_line(lines, "Exten: ", ast_channel_exten(channel));
	ast_channel_unlock(channel);
}

/*!
 * \brief The channel's fields, as Asterisk itself puts them into events
 *
 * It gives them as text; the members that it takes them from differ between its versions.
 */
static void add_channel(struct ast_json *event, struct ast_channel *channel)
{
	struct ast_channel_snapshot *snapshot;
	struct ast_str *lines = NULL;
	struct ast_str *variables = ast_str_create(VARIABLES_SIZE);
	char *rest = NULL;
	char *line;

	snapshot = ast_channel_snapshot_get_latest(ast_channel_uniqueid(channel));
	if (snapshot && (lines = ast_manager_build_channel_state_string(snapshot))) {
		rest = ast_str_buffer(lines);
		join_lines(rest, channel);
	}
	while ((line = strsep(&rest, "\r\n"))) {
		add_line(event, line, &variables);
	}
	add_variables(event, variables);
	ast_free(variables);
	ast_free(lines);
	ao2_cleanup(snapshot);
}

/*! \brief When it happened: ISO 8601, in UTC, to the millisecond */
static void add_time(struct ast_json *event, int64_t at_ms)
{
	struct timespec now;
	struct tm tm;
	time_t seconds;
	char day[32];
	char text[48];

	if (at_ms == EVENT_NOW) {
		clock_gettime(CLOCK_REALTIME, &now);
		at_ms = now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
	}
	seconds = at_ms / 1000;
	gmtime_r(&seconds, &tm);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, sizeof(text), "%s.%03dZ", day, (int) (at_ms % 1000));
	add_field(event, "Time", text);
}

/*! \brief The fields that all events have besides the channel's, or NULL */
static struct ast_json *begin(const struct event_source *source, int64_t at_ms)
{
	struct ast_json *event = ast_json_object_create();

	if (event) {
		add_field(event, "Agent", source->agent);
		add_field(event, "ConversationId", source->conversation_id);
		add_time(event, at_ms);
	}
	return event;
}

/*!
 * \brief What ARI is told: a user event of the channel, with what the channel's own object there has not
 *
 * In an object of its own: CEL's thread may be reading the fields.
 */
static void publish_to_ari(struct ast_channel *channel, const char *name, struct ast_json *fields)
{
	struct ast_json *event = ast_json_object_create();
	char texts[3][FIELD_SHORT];

	if (!event) {
		return;
	}
	ast_json_object_update(event, fields);
	ast_channel_lock(channel);
	ast_copy_string(texts[0], ast_channel_name(channel), sizeof(texts[0]));
	ast_copy_string(texts[1], ast_channel_uniqueid(channel), sizeof(texts[1]));
	ast_copy_string(texts[2], ast_channel_linkedid(channel), sizeof(texts[2]));
	add_field(event, "eventname", name);
	add_field(event, "Channel", texts[0]);
	add_field(event, "Uniqueid", texts[1]);
	add_field(event, "Linkedid", texts[2]);
	ast_multi_object_blob_single_channel_publish(channel, ast_multi_user_event_type(), event);
	ast_channel_unlock(channel);
	ast_json_unref(event);
}

/*! \brief Whether CEL has it as well */
static int is_logged(const char *name)
{
	return !strcmp(name, "ElevenLabsStart") || !strcmp(name, "ElevenLabsStep")
		|| !strcmp(name, "ElevenLabsEnd");
}

/*! \brief Hand an event over, and let go of its fields */
static void hand_over(const struct event_source *source, const char *name, struct ast_json *fields)
{
	struct ast_json *event = ast_json_object_create();

	if (event) {
		add_channel(event, source->channel);
		ast_json_object_update(event, fields);
		ast_manager_publish_event(name, EVENT_FLAG_CALL, event);
		ast_json_unref(event);
	}
	if (is_logged(name)) {
		detail_records_event(source->channel, name, fields);
	}
	feed_add(source->feed, name, fields);
	if (source->to_ari) {
		publish_to_ari(source->channel, name, fields);
	}
	ast_json_unref(fields);
}

/*! \brief The fields of something that happens now: those that all have, and these pairs; or NULL */
static struct ast_json *fields_of(const struct event_source *source, va_list pairs)
{
	struct ast_json *fields = begin(source, EVENT_NOW);
	const char *field;

	while (fields && (field = va_arg(pairs, const char *))) {
		add_field(fields, field, va_arg(pairs, const char *));
	}
	return fields;
}

void events_publish(const struct event_source *source, const char *name, ...)
{
	struct ast_json *fields;
	va_list pairs;

	va_start(pairs, name);
	fields = fields_of(source, pairs);
	va_end(pairs);
	if (fields) {
		hand_over(source, name, fields);
	}
}

void events_log(const struct event_source *source, const char *name, ...)
{
	struct ast_json *fields;
	va_list pairs;

	va_start(pairs, name);
	fields = fields_of(source, pairs);
	va_end(pairs);
	if (fields) {
		detail_records_event(source->channel, name, fields);
		ast_json_unref(fields);
	}
}

void events_leave(const struct event_source *source, ...)
{
	struct ast_json *fields;
	va_list pairs;

	va_start(pairs, source);
	fields = fields_of(source, pairs);
	va_end(pairs);
	if (fields) {
		detail_records_set(source->channel, fields);
		ast_json_unref(fields);
	}
}

void events_publish_told(const struct event_source *source, const char *name,
	const struct convai_event *told)
{
	struct ast_json *event = begin(source, told->at_ms);
	uint32_t i;

	if (!event) {
		return;
	}
	for (i = 0; i < told->field_count; i++) {
		add_field(event, told->fields[i].name, told->fields[i].value);
	}
	hand_over(source, name, event);
}
