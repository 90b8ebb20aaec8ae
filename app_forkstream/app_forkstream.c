/*
 * app_forkstream: copy a call's audio to a listener
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Copy a call's audio to a listener: what Asterisk calls
 *
 * The smallest complete module of this project; docs/forkstream.md shows how to begin one from it.
 */

/*** MODULEINFO
	<use type="module">res_http_websocket</use>
	<support_level>extended</support_level>
 ***/

#include "asterisk.h"

#include "asterisk/app.h"	/* AST_STANDARD_APP_ARGS */
#include "asterisk/channel.h"	/* ast_check_hangup, ast_channel_iterator_all_new */
#include "asterisk/module.h"	/* AST_MODULE_INFO */
#include "asterisk/strings.h"	/* ast_strlen_zero */
#include "asterisk/utils.h"	/* ast_strdupa */

#include "config.h"
#include "control.h"
#include "door.h"
#include "monotonic.h"
#include "start.h"
#include "stream.h"
#include "transport.h"
#include "websocket.h"

/*** DOCUMENTATION
	<application name="ForkStream" language="en_US" module="app_forkstream">
		<synopsis>
			Copy the audio of this channel to a listener, and go on.
		</synopsis>
		<syntax>
			<parameter name="destination" required="true">
				<para><literal>udp://host:port</literal>,
				<literal>ws://host[:port][/path]</literal> or
				<literal>wss://host[:port][/path]</literal>. Without a line
				<literal>allow</literal> in <filename>forkstream.conf</filename> the host is this
				machine.</para>
			</parameter>
			<parameter name="options">
				<optionlist>
					<option name="b">
						<argument name="seconds" />
						<para>The channel's party hears a beep when the stream begins, and again
						every so many seconds.</para>
					</option>
					<option name="c">
						<argument name="codec" required="true" />
						<para><literal>slin</literal> (the default: 16 bits, the low byte first),
						<literal>ulaw</literal> or <literal>alaw</literal>.</para>
					</option>
					<option name="d">
						<argument name="direction" required="true" />
						<para><literal>rx</literal>, what the channel's party says;
						<literal>tx</literal>, what it hears; <literal>both</literal>, the
						default.</para>
					</option>
					<option name="i">
						<para>Both directions interleaved, <literal>rx</literal> first: one sequence
						with two channels. Otherwise they are apart.</para>
					</option>
					<option name="m">
						<argument name="direction" />
						<para>Start muted: both directions, or this one.</para>
					</option>
					<option name="p">
						<argument name="ms" required="true" />
						<para>Audio in a packet, 10 to 60 ms; 20 without this.</para>
					</option>
					<option name="r">
						<argument name="rate" required="true" />
						<para><literal>8000</literal> (the default) or
						<literal>16000</literal>.</para>
					</option>
					<option name="s">
						<para>Silence is skipped: packets in which nothing is said are not sent, and
						the time stamps tell for how long. Otherwise silence is sent where the channel
						has nothing.</para>
					</option>
					<option name="t">
						<argument name="tag" required="true" />
						<para>A word of yours that the listener gets with the start.</para>
					</option>
					<option name="v">
						<argument name="variables" required="true" />
						<para>Names of variables of the channel's, with <literal>&amp;</literal> between
						them, whose values the listener gets with the start.</para>
					</option>
				</optionlist>
			</parameter>
		</syntax>
		<description>
			<para>Returns at once. The copy goes on through whatever the dialplan does next, an agent, a
			queue, a bridge or a transfer, until the channel ends or
			<literal>StopForkStream</literal>. The call is never held up: what the listener does not
			take is dropped and counted.</para>
			<variablelist>
				<variable name="FORKSTREAMID">
					<para>The stream's id, 16 hexadecimal digits; empty if there is none.</para>
				</variable>
				<variable name="FORKSTREAMSTATUS">
					<value name="STARTED">The stream is on its way; the event
					<literal>ForkStreamStop</literal> and the log say if it does not get there.</value>
					<value name="INVALID">Destination or options are not understood.</value>
					<value name="DENIED"><filename>forkstream.conf</filename> does not admit the
					destination.</value>
					<value name="LIMIT">There are as many streams as <filename>forkstream.conf</filename>
					allows.</value>
					<value name="UNAVAILABLE">Asterisk has no WebSocket client, memory is short, or the
					channel is going.</value>
				</variable>
			</variablelist>
			<example title="A copy for a transcription while an agent talks">
			same => n,ForkStream(udp://127.0.0.1:9999,t(${UNIQUEID}))
			same => n,ElevenLabsConvAI(sales_agent)
			</example>
		</description>
		<see-also>
			<ref type="application">StopForkStream</ref>
			<ref type="manager">ForkStream</ref>
			<ref type="filename">forkstream.conf</ref>
		</see-also>
	</application>
	<application name="StopForkStream" language="en_US" module="app_forkstream">
		<synopsis>
			End the streams of this channel, or one of them.
		</synopsis>
		<syntax>
			<parameter name="id">
				<para>The value of <variable>FORKSTREAMID</variable>. Without it all streams of the
				channel end.</para>
			</parameter>
		</syntax>
		<description>
			<variablelist>
				<variable name="FORKSTREAMSTATUS">
					<value name="STOPPED" />
					<value name="NOTFOUND">There was none.</value>
				</variable>
			</variablelist>
		</description>
		<see-also>
			<ref type="application">ForkStream</ref>
		</see-also>
	</application>
 ***/

static const char start_app[] = "ForkStream";
static const char stop_app[] = "StopForkStream";

/* ---- The applications ---- */

/*! Applications that run right now: Asterisk forgets its own count of them when it unloads by force */
static int running;

static void enter(void)
{
	__atomic_add_fetch(&running, 1, __ATOMIC_ACQUIRE);
}

static int leave(struct ast_channel *channel, enum stream_status status)
{
	int res;

	door_variable(channel, "FORKSTREAMSTATUS", start_status_name(status), WORDS_DATA);
	res = ast_check_hangup(channel) ? -1 : 0;
	__atomic_sub_fetch(&running, 1, __ATOMIC_RELEASE);
	return res;
}

/*! \brief ForkStream(destination[,options]). \return 0, so that the dialplan decides; -1 only when the channel is gone */
static int start_exec(struct ast_channel *channel, const char *data)
{
	char *parse = ast_strdupa(data);
	enum stream_status status;
	char id[STREAM_ID_SIZE];
	char error[ERROR_SIZE];
	AST_DECLARE_APP_ARGS(args,
		AST_APP_ARG(destination);
		AST_APP_ARG(options);
	);

	enter();
	AST_STANDARD_APP_ARGS(args, parse);
	status = start_stream(channel, S_OR(args.destination, ""), args.options, id, error);
	if (status != STREAM_STARTED) {
		door_log(LOG_WARNING, "No stream of %s: %s\n", ast_channel_name(channel), error);
	}
	door_variable(channel, "FORKSTREAMID", id, WORDS_DATA);
	return leave(channel, status);
}

/*! \brief StopForkStream([id]) */
static int stop_exec(struct ast_channel *channel, const char *data)
{
	unsigned int stopped;

	enter();
	stopped = stream_stop_all(channel, ast_strlen_zero(data) ? NULL : data);
	return leave(channel, stopped ? STREAM_STOPPED : STREAM_NOTFOUND);
}

/* ---- Loading and unloading ---- */

/*! \brief Take from all channels what they have of streams, of those too that are over */
static void clear_channels(void)
{
	struct ast_channel_iterator *iterator = ast_channel_iterator_all_new();
	struct ast_channel *channel;

	while (iterator && (channel = ast_channel_iterator_next(iterator))) {
		stream_stop_all(channel, NULL);
		ast_channel_unref(channel);
	}
	if (iterator) {
		ast_channel_iterator_destroy(iterator);
	}
}

/*! \brief End all streams, and wait until the last has been freed and its thread is over. \return 0, or -1 */
static int end_streams(void)
{
	int64_t deadline = monotonic_us() + UNLOAD_SECONDS * INT64_C(1000000);
	struct stream **list;
	size_t count = streams_list(&list);
	size_t i;

	for (i = 0; i < count; i++) {
		stream_end(list[i], REASON_UNLOADED);
	}
	streams_free_list(list, count);
	clear_channels();
	while (transport_join() || streams_alive()) {
		if (monotonic_us() >= deadline) {
			return -1;
		}
		usleep(TICK_MS * 1000);
	}
	return 0;
}

/*! \brief Offer all that can be. \return 0, or -1 if something cannot be */
static int offer(void)
{
	int res = control_register();

	res |= ast_register_application_xml(start_app, start_exec);
	res |= ast_register_application_xml(stop_app, stop_exec);
	return res ? -1 : 0;
}

/*! \brief Take back what is offered. \return 0, or -1 if somebody is still in it */
static int withdraw(void)
{
	int64_t deadline = monotonic_us() + COMMAND_LIMIT_MS * INT64_C(1000);
	int res;

	ast_unregister_application(start_app);
	ast_unregister_application(stop_app);
	res = control_unregister();
	while (!res && __atomic_load_n(&running, __ATOMIC_ACQUIRE)) {
		if (monotonic_us() >= deadline) {
			return -1;
		}
		usleep(10000);
	}
	return res;
}

/*!
 * \brief `module unload`. Asterisk refuses it by itself while there are streams, for each holds the module; -f ends them.
 *
 * It is refused here while something of ours may still run: a look-up, or a listener that has accepted a connection and
 * says nothing. After that the module works on.
 */
static int unload_module(void)
{
	streams_close(1);
	if (withdraw() || end_streams()) {
		door_log(LOG_ERROR, "Not unloaded: a stream or its thread has not ended within %d s; a name server or a "
							"listener that does not answer may hold it: try again later\n", UNLOAD_SECONDS);
		if (!ast_shutting_down()) {
			offer();
			streams_close(0);
		}
		return -1;
	}
	transport_end();
	config_release();
	return 0;
}

static int load_module(void)
{
	if (config_read()) {
		door_log(LOG_ERROR, "Not loaded: mend " CONFIG_FILE "\n");
		return AST_MODULE_LOAD_DECLINE;
	}
	websocket_begin();
	/* None may start before it is certain that the module stays: Asterisk unmaps what has declined without asking it. */
	streams_close(1);
	if (transport_begin() || offer()) {
		door_log(LOG_ERROR, "Not loaded: something cannot be registered\n");
		withdraw();
		transport_end();
		config_release();
		return AST_MODULE_LOAD_DECLINE;
	}
	streams_close(0);
	return AST_MODULE_LOAD_SUCCESS;
}

/*! \brief `module reload`: forkstream.conf. Streams that are up go on; a fault changes nothing. */
static int reload_module(void)
{
	if (config_read()) {
		door_log(LOG_ERROR, CONFIG_FILE " has a fault; what was read before stays in use\n");
		return AST_MODULE_RELOAD_ERROR;
	}
	return AST_MODULE_RELOAD_SUCCESS;
}

AST_MODULE_INFO(ASTERISK_GPL_KEY, AST_MODFLAG_LOAD_ORDER, "Copy a call's audio to a listener",
	.support_level = AST_MODULE_SUPPORT_EXTENDED,
	.load = load_module,
	.unload = unload_module,
	.reload = reload_module,
	.load_pri = AST_MODPRI_DEFAULT,
	.optional_modules = "res_http_websocket",
);
