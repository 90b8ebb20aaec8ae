/*
 * app_forkstream: copy a call's audio to a listener
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What operators type, and programs ask for by AMI
 */

#include "asterisk.h"

#include "asterisk/channel.h"	/* ast_channel_get_by_name */
#include "asterisk/cli.h"	/* commands */
#include "asterisk/manager.h"	/* actions */
#include "asterisk/module.h"	/* AST_MODULE_SELF */
#include "asterisk/strings.h"	/* ast_strlen_zero */
#include "asterisk/utils.h"	/* ARRAY_LEN */

#include "control.h"
#include "door.h"
#include "monotonic.h"
#include "start.h"
#include "stream.h"
#include "tell.h"

/*** DOCUMENTATION
	<manager name="ForkStream" language="en_US" module="app_forkstream">
		<synopsis>
			Copy the audio of a channel to a listener.
		</synopsis>
		<syntax>
			<xi:include xpointer="xpointer(/docs/manager[@name='Login']/syntax/parameter[@name='ActionID'])" />
			<parameter name="Channel" required="true"><para>Its name, or its unique id.</para></parameter>
			<parameter name="Destination" required="true"><para>As in the application.</para></parameter>
			<parameter name="Options"><para>As in the application.</para></parameter>
		</syntax>
		<description>
			<para>Needs the class <literal>system</literal>: a listener hears all that is said. The answer has the
			field <literal>StreamId</literal>, or <literal>Status</literal> with the value that
			<variable>FORKSTREAMSTATUS</variable> would have.</para>
		</description>
		<see-also>
			<ref type="application">ForkStream</ref>
		</see-also>
	</manager>
	<manager name="StopForkStream" language="en_US" module="app_forkstream">
		<synopsis>
			End streams of a channel, or one stream.
		</synopsis>
		<syntax>
			<xi:include xpointer="xpointer(/docs/manager[@name='Login']/syntax/parameter[@name='ActionID'])" />
			<parameter name="Channel"><para>All streams of this channel end.</para></parameter>
			<parameter name="StreamId"><para>This one alone. One of the two is to be there.</para></parameter>
		</syntax>
		<description>
			<para>Needs the class <literal>call</literal>.</para>
		</description>
		<see-also>
			<ref type="application">StopForkStream</ref>
		</see-also>
	</manager>
	<manager name="ForkStreamMute" language="en_US" module="app_forkstream">
		<synopsis>
			Mute a stream, or no longer.
		</synopsis>
		<syntax>
			<xi:include xpointer="xpointer(/docs/manager[@name='Login']/syntax/parameter[@name='ActionID'])" />
			<parameter name="StreamId" required="true"><para>The stream's: the value of
			<variable>FORKSTREAMID</variable>.</para></parameter>
			<parameter name="Direction"><para><literal>rx</literal>, <literal>tx</literal> or
			<literal>both</literal>, which is what it is without this.</para></parameter>
			<parameter name="State" required="true"><para><literal>1</literal>: mute that direction.
			<literal>0</literal>: no longer. The other one stays as it is.</para></parameter>
		</syntax>
		<description>
			<para>Needs the class <literal>call</literal>. The call itself is not touched.</para>
		</description>
		<see-also>
			<ref type="managerEvent">ForkStreamMute</ref>
		</see-also>
	</manager>
 ***/

/*! Commands and actions that run right now; each counts itself in and out */
static int running;

/* ---- Commands ---- */

static const char *direction_of(const struct stream *stream)
{
	return stream->options.interleaved ? "interleaved" : options_direction_name(stream->options.directions);
}

static char *show_streams(struct ast_cli_args *a)
{
	struct stream **list;
	size_t count;
	size_t i;
	int held;

	if (a->argc != 3) {
		return CLI_SHOWUSAGE;
	}
	count = streams_list(&list);
	door_cli(a->fd, "%-16s  %-28s %-11s %-10s %8s  %s\n", "Stream", "Channel", "Direction", "State", "Seconds",
		"Destination");
	for (i = 0; i < count; i++) {
		struct stream *stream = list[i];
		char channel[AST_CHANNEL_NAME];

		ao2_lock(stream);
		ast_copy_string(channel, stream->channel, sizeof(channel));
		ao2_unlock(stream);
		door_cli(a->fd, "%-16s  %-28s %-11s %-10s %8d  %s\n", stream->id_text, channel, direction_of(stream),
			stream_state_name(__atomic_load_n(&stream->state, __ATOMIC_ACQUIRE)),
			(int) ((monotonic_us() - stream->began_us) / 1000000), stream->to.shown);
	}
	door_cli(a->fd, "%zu stream%s\n", count, ESS(count));
	streams_free_list(list, count);
	/* What `module unload` waits for, which is not in the list. */
	held = streams_alive() - (int) count;
	if (held > 0) {
		door_cli(a->fd, "%d over, and held: by a name server or listener that does not answer, or by a channel "
						"without audio\n", held);
	}
	return CLI_SUCCESS;
}

static void show_counts(int fd, struct stream *stream, unsigned int direction)
{
	struct media_count count;
	unsigned int muted = 0;
	int is_there = 0;

	ast_audiohook_lock(&stream->hook);
	if (stream->media) {
		is_there = media_count(stream->media, direction, &count);
		muted = media_muted(stream->media) & direction;
	}
	ast_audiohook_unlock(&stream->hook);
	if (is_there) {
		door_cli(fd, "%-13s %" PRIu64 " packets, %" PRIu64 " samples, %" PRIu64 " of silence left out, %" PRIu64
			" dropped%s\n", options_direction_name(direction), count.packets, count.samples, count.skipped,
			count.dropped, muted ? ", muted" : "");
	}
}

static void show(int fd, struct stream *stream)
{
	const struct options *options = &stream->options;
	char channel[sizeof(stream->channel)];
	char unique_id[sizeof(stream->unique_id)];
	unsigned int direction;

	/* A console that does not read holds nobody up: a masquerade waits for this lock. */
	ao2_lock(stream);
	ast_copy_string(channel, stream->channel, sizeof(channel));
	ast_copy_string(unique_id, stream->unique_id, sizeof(unique_id));
	ao2_unlock(stream);
	door_cli(fd, "Stream:       %s\n", stream->id_text);
	door_cli(fd, "Channel:      %s\n", channel);
	door_cli(fd, "Unique id:    %s\n", unique_id);
	door_cli(fd, "Destination:  %s\n", stream->to.shown);
	door_cli(fd, "State:        %s, %d s\n", stream_state_name(__atomic_load_n(&stream->state, __ATOMIC_ACQUIRE)),
		(int) ((monotonic_us() - stream->began_us) / 1000000));
	door_cli(fd, "Audio:        %s, %s, %u Hz, %u ms a packet, silence %s\n", direction_of(stream),
		options_codec_name(options->codec), options->rate, options->packet_ms,
		options->skips_silence ? "skipped" : "filled");
	door_cli(fd, "Tag:          %s\n", options->tag);
	for (direction = PACKET_RX; direction <= PACKET_BOTH; direction++) {
		show_counts(fd, stream, direction);
	}
	door_cli(fd, "Network:      %" PRIu64 " packets not taken, %" PRIu64 " times nobody listened\n",
		__atomic_load_n(&stream->lost_packets, __ATOMIC_RELAXED), __atomic_load_n(&stream->refused, __ATOMIC_RELAXED));
}

static char *show_stream(struct ast_cli_args *a)
{
	struct stream *stream;

	if (a->argc != 4) {
		return CLI_SHOWUSAGE;
	}
	stream = streams_find(a->argv[3]);
	if (!stream) {
		door_cli(a->fd, "There is no stream %s; see 'forkstream show streams'\n", a->argv[3]);
		return CLI_FAILURE;
	}
	show(a->fd, stream);
	ao2_ref(stream, -1);
	return CLI_SUCCESS;
}

static char *stop(struct ast_cli_args *a)
{
	struct stream **list;
	size_t stopped = 0;
	size_t count;
	size_t i;

	if (a->argc != 3) {
		return CLI_SHOWUSAGE;
	}
	count = streams_list(&list);
	for (i = 0; i < count; i++) {
		if (!strcasecmp(a->argv[2], "all") || !strcasecmp(a->argv[2], list[i]->id_text)) {
			stream_stop(list[i], REASON_STOPPED);
			stopped++;
		}
	}
	streams_free_list(list, count);
	door_cli(a->fd, "%zu stream%s stopped\n", stopped, ESS(stopped));
	return stopped || !strcasecmp(a->argv[2], "all") ? CLI_SUCCESS : CLI_FAILURE;
}

static char *complete_stream(struct ast_cli_args *a, int position)
{
	struct stream **list;
	size_t count;
	size_t i;

	if (a->pos != position) {
		return NULL;
	}
	count = streams_list(&list);
	for (i = 0; i < count; i++) {
		if (!strncasecmp(a->word, list[i]->id_text, strlen(a->word))) {
			door_completion(list[i]->id_text);
		}
	}
	streams_free_list(list, count);
	return NULL;
}

/*! \brief Run a command, counted */
static char *run(struct ast_cli_args *a, char *(*command)(struct ast_cli_args *a))
{
	char *result;

	__atomic_add_fetch(&running, 1, __ATOMIC_ACQUIRE);
	result = command(a);
	__atomic_sub_fetch(&running, 1, __ATOMIC_RELEASE);
	return result;
}

#define COMMAND(function, words, help, completion) \
	static char *handle_##function(struct ast_cli_entry *e, int cmd, struct ast_cli_args *a) \
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

static char *complete_third(struct ast_cli_args *a)
{
	return complete_stream(a, 3);
}

static char *complete_second(struct ast_cli_args *a)
{
	return complete_stream(a, 2);
}

COMMAND(show_streams, "forkstream show streams",
	"Usage: forkstream show streams\n"
	"       Lists the streams of ForkStream(), oldest first.\n", NULL)

COMMAND(show_stream, "forkstream show stream",
	"Usage: forkstream show stream <id>\n"
	"       Shows one stream with all its counters.\n", run(a, complete_third))

COMMAND(stop, "forkstream stop",
	"Usage: forkstream stop <id>|all\n"
	"       Ends one stream, or all. The calls go on.\n", run(a, complete_second))

static struct ast_cli_entry commands[] = {
	AST_CLI_DEFINE(handle_show_streams, "List streams of ForkStream()"),
	AST_CLI_DEFINE(handle_show_stream, "Show one stream of ForkStream()"),
	AST_CLI_DEFINE(handle_stop, "End streams of ForkStream()"),
};

/* ---- Actions ---- */

/*! \brief The channel that a program names, with a reference, or NULL. Asterisk logs an error if it is asked for none. */
static struct ast_channel *channel_of(const struct message *m)
{
	const char *name = astman_get_header(m, "Channel");

	return ast_strlen_zero(name) ? NULL : ast_channel_get_by_name(name);
}

static void action_start(struct mansession *s, const struct message *m)
{
	const char *destination = astman_get_header(m, "Destination");
	struct ast_channel *channel = channel_of(m);
	enum stream_status status;
	char id[STREAM_ID_SIZE];
	char error[ERROR_SIZE];

	if (!channel) {
		door_answer(s, m, 0, "Channel: there is no such channel");
		return;
	}
	status = start_stream(channel, destination, ast_strdupa(astman_get_header(m, "Options")), id, error);
	ast_channel_unref(channel);
	if (status == STREAM_STARTED) {
		door_answer_fields(s, m, 1, "The stream has started", "StreamId", id, SENTINEL);
	} else {
		door_answer_fields(s, m, 0, error, "Status", start_status_name(status), SENTINEL);
	}
}

static void action_stop(struct mansession *s, const struct message *m)
{
	const char *id = astman_get_header(m, "StreamId");
	struct stream *stream = ast_strlen_zero(id) ? NULL : streams_find(id);
	struct ast_channel *channel = NULL;
	unsigned int stopped = 0;

	if (stream) {
		stream_stop(stream, REASON_STOPPED);
		ao2_ref(stream, -1);
		stopped = 1;
	} else if (ast_strlen_zero(id) && (channel = channel_of(m))) {
		stopped = stream_stop_all(channel, NULL);
		ast_channel_unref(channel);
	}
	door_answer(s, m, stopped > 0, stopped ? "Stopped" : "There is no such stream: StreamId, or Channel");
}

static void action_mute(struct mansession *s, const struct message *m)
{
	const char *state = astman_get_header(m, "State");
	unsigned int direction = options_direction(astman_get_header(m, "Direction"));
	struct stream *stream = streams_find(astman_get_header(m, "StreamId"));

	if (!stream) {
		door_answer(s, m, 0, "StreamId: there is no such stream");
	} else if (!direction || (strcmp(state, "0") && strcmp(state, "1"))) {
		door_answer(s, m, 0, "Direction is rx, tx or both, State is 0 or 1");
	} else {
		stream_mute(stream, direction, *state == '1');
		tell_event(stream, "ForkStreamMute");
		door_answer(s, m, 1, *state == '1' ? "Muted" : "No longer muted");
	}
	ao2_cleanup(stream);
}

#define ACTION(function) \
	static int handle_##function(struct mansession *s, const struct message *m) \
	{ \
		__atomic_add_fetch(&running, 1, __ATOMIC_ACQUIRE); \
		function(s, m); \
		__atomic_sub_fetch(&running, 1, __ATOMIC_RELEASE); \
		return 0; \
	}

ACTION(action_start)
ACTION(action_stop)
ACTION(action_mute)

static struct {
	const char *name;
	int authority;	/*!< one of these classes is enough */
	int (*handle)(struct mansession *s, const struct message *m);
	int is_registered;	/*!< load and unload only */
} actions[] = {
	{ "ForkStream", EVENT_FLAG_SYSTEM, handle_action_start },
	{ "StopForkStream", EVENT_FLAG_SYSTEM | EVENT_FLAG_CALL, handle_action_stop },
	{ "ForkStreamMute", EVENT_FLAG_SYSTEM | EVENT_FLAG_CALL, handle_action_mute },
};

/* ---- Registration ---- */

int control_register(void)
{
	int res = ast_cli_register_multiple(commands, ARRAY_LEN(commands));
	size_t i;

	/* All of them, also where one fails: after an unload that was refused the rest works on. */
	for (i = 0; i < ARRAY_LEN(actions); i++) {
		actions[i].is_registered = !ast_manager_register_xml(actions[i].name, actions[i].authority,
				actions[i].handle);
		res |= !actions[i].is_registered;
	}
	return res ? -1 : 0;
}

/*! \brief Take back the commands that nobody uses. \return whether one is left, or something still runs */
static int unregister_idle(void)
{
	int busy = __atomic_load_n(&running, __ATOMIC_ACQUIRE) != 0;
	size_t i;

	for (i = 0; i < ARRAY_LEN(commands); i++) {
		/* Asterisk keeps a command that is in use, warns, and reports success. */
		if (commands[i]._full_cmd && !__atomic_load_n(&commands[i].inuse, __ATOMIC_ACQUIRE)) {
			ast_cli_unregister(&commands[i]);
		}
		busy |= commands[i]._full_cmd != NULL;
	}
	return busy;
}

int control_unregister(void)
{
	int64_t deadline = monotonic_us() + COMMAND_LIMIT_MS * INT64_C(1000);
	size_t i;

	for (i = 0; i < ARRAY_LEN(actions); i++) {
		if (actions[i].is_registered) {
			ast_manager_unregister(actions[i].name);
			actions[i].is_registered = 0;
		}
	}
	while (unregister_idle()) {
		if (monotonic_us() >= deadline) {
			return -1;
		}
		usleep(10000);
	}
	return 0;
}
