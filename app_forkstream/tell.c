/*
 * app_forkstream: copy a call's audio to a listener
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What programs are told of a stream: JSON for its listener, events for AMI
 */

#include "asterisk.h"

#include "asterisk/channel.h"	/* ast_channel_name */
#include "asterisk/json.h"	/* ast_json_object_create */
#include "asterisk/logger.h"	/* LOG_WARNING */
#include "asterisk/manager.h"	/* ast_manager_publish_event */
#include "asterisk/pbx.h"	/* pbx_builtin_getvar_helper */
#include "asterisk/strings.h"	/* S_OR */
#include "asterisk/utils.h"	/* ast_strdupa */

#include "door.h"
#include "stream.h"
#include "tell.h"

/*** DOCUMENTATION
	<managerEvent name="ForkStreamStart" language="en_US" module="app_forkstream">
		<managerEventInstance class="EVENT_FLAG_CALL">
			<synopsis>
				Raised when a stream of ForkStream() has reached its listener.
			</synopsis>
			<syntax>
				<parameter name="Channel"><para>The channel's name, as far as the stream knows
				it.</para></parameter>
				<parameter name="Uniqueid"><para>The channel's.</para></parameter>
				<parameter name="Linkedid"><para>The channel's.</para></parameter>
				<parameter name="StreamId"><para>The stream's: the value of
				<variable>FORKSTREAMID</variable>.</para></parameter>
				<parameter name="Destination"><para>Scheme, host and port; what follows may be
				a secret.</para></parameter>
				<parameter name="Tag"><para>The option <literal>t</literal>.</para></parameter>
				<parameter name="Muted"><para>The directions that are muted: <literal>rx</literal>,
				<literal>tx</literal>, <literal>both</literal> or <literal>none</literal>.</para></parameter>
			</syntax>
			<description>
				<para>By UDP nobody answers: the stream has reached its listener once the host is
				found.</para>
			</description>
			<see-also>
				<ref type="application">ForkStream</ref>
				<ref type="managerEvent">ForkStreamStop</ref>
			</see-also>
		</managerEventInstance>
	</managerEvent>
	<managerEvent name="ForkStreamMute" language="en_US" module="app_forkstream">
		<managerEventInstance class="EVENT_FLAG_CALL">
			<synopsis>
				Raised when a stream of ForkStream() is muted, or no longer.
			</synopsis>
			<syntax>
				<xi:include xpointer="xpointer(/docs/managerEvent[@name='ForkStreamStart']/managerEventInstance/syntax/parameter)" />
			</syntax>
			<see-also>
				<ref type="manager">ForkStreamMute</ref>
			</see-also>
		</managerEventInstance>
	</managerEvent>
	<managerEvent name="ForkStreamStop" language="en_US" module="app_forkstream">
		<managerEventInstance class="EVENT_FLAG_CALL">
			<synopsis>
				Raised when a stream of ForkStream() is over.
			</synopsis>
			<syntax>
				<xi:include xpointer="xpointer(/docs/managerEvent[@name='ForkStreamStart']/managerEventInstance/syntax/parameter)" />
				<parameter name="Reason">
					<enumlist>
						<enum name="hangup"><para>The channel has ended.</para></enum>
						<enum name="stopped"><para>By <literal>StopForkStream</literal>, AMI or the
						console.</para></enum>
						<enum name="unreachable"><para>The listener was not found, or did not answer in
						time.</para></enum>
						<enum name="refused"><para>The listener answered, but no
						WebSocket.</para></enum>
						<enum name="closed"><para>The listener has gone.</para></enum>
						<enum name="unloaded"><para>The module was unloaded by force.</para></enum>
					</enumlist>
				</parameter>
				<parameter name="Packets"><para>Packets of audio that were made.</para></parameter>
				<parameter name="Lost"><para>Packets that the kernel did not take.</para></parameter>
				<parameter name="Refused"><para>Times that the network said nobody
				listens.</para></parameter>
				<parameter name="Dropped"><para>Samples that found no room, because the listener
				did not take what was there.</para></parameter>
			</syntax>
			<see-also>
				<ref type="application">StopForkStream</ref>
				<ref type="managerEvent">ForkStreamStart</ref>
			</see-also>
		</managerEventInstance>
	</managerEvent>
 ***/

/*! \brief Make a text harmless, in place. \return it */
static const char *clean(char *text)
{
	return words_clean_string(text, strlen(text) + 1, WORDS_LINE);
}

static void set_text(struct ast_json *object, const char *name, const char *text)
{
	ast_json_object_set(object, name, ast_json_string_create(clean(ast_strdupa(text))));
}

static void set_number(struct ast_json *object, const char *name, uint64_t number)
{
	ast_json_object_set(object, name, ast_json_integer_create((intmax_t) number));
}

/* ---- The listener ---- */

static struct ast_json *begin_text(const struct stream *stream, const char *event)
{
	struct ast_json *object = ast_json_object_create();

	if (object) {
		set_text(object, "event", event);
		set_text(object, "stream_id", stream->id_text);
		set_number(object, "version", PACKET_VERSION);
	}
	return object;
}

/*! \brief Dump an object, and free it. \return the text, or NULL if memory is short or a packet is too small for it */
static char *end_text(const struct stream *stream, struct ast_json *object)
{
	char *text = ast_json_dump_string(object);

	ast_json_unref(object);
	if (text && stream->to.scheme == SCHEME_UDP && strlen(text) > PACKET_BYTES_MAX - PACKET_HEADER) {
		ast_json_free(text);
		text = NULL;
	}
	return text;
}

/*! \brief The variables that go along, by their names. The channel is locked. */
static struct ast_json *variables_of(const struct stream *stream, struct ast_channel *channel)
{
	struct ast_json *object = ast_json_object_create();
	char *names = ast_strdupa(stream->options.variables);
	char *name;

	while (object && (name = strsep(&names, "&"))) {
		char value[VALUE_SIZE];

		if (*name) {
			ast_copy_string(value, S_OR(pbx_builtin_getvar_helper(channel, name), ""), sizeof(value));
			set_text(object, clean(name), value);
		}
	}
	return object;
}

char *tell_start_text(const struct stream *stream, struct ast_channel *channel)
{
	const struct options *options = &stream->options;
	struct ast_json *object = begin_text(stream, "start");

	if (!object) {
		return NULL;
	}
	set_text(object, "channel", ast_channel_name(channel));
	set_text(object, "uniqueid", ast_channel_uniqueid(channel));
	set_text(object, "linkedid", ast_channel_linkedid(channel));
	set_text(object, "tag", options->tag);
	set_text(object, "direction", options_direction_name(options->directions));
	set_text(object, "layout", options->interleaved ? "interleaved" : "apart");
	set_text(object, "codec", options_codec_name(options->codec));
	set_number(object, "rate", options->rate);
	set_number(object, "channels", options->interleaved ? 2 : 1);
	set_number(object, "packet_ms", options->packet_ms);
	set_text(object, "silence", options->skips_silence ? "skip" : "fill");
	ast_json_object_set(object, "variables", variables_of(stream, channel));
	return end_text(stream, object);
}

char *tell_end_text(const struct stream *stream)
{
	struct ast_json *object = begin_text(stream, "end");
	unsigned int direction;

	if (!object) {
		return NULL;
	}
	set_text(object, "reason", stream_reason_name(__atomic_load_n(&stream->reason, __ATOMIC_RELAXED)));
	for (direction = PACKET_RX; direction <= PACKET_BOTH; direction++) {
		struct ast_json *counts;
		struct media_count count;

		if (media_count(stream->media, direction, &count) && (counts = ast_json_object_create())) {
			set_number(counts, "packets", count.packets);
			set_number(counts, "samples", count.samples);
			set_number(counts, "skipped", count.skipped);
			set_number(counts, "dropped", count.dropped);
			ast_json_object_set(object, options_direction_name(direction), counts);
		}
	}
	set_number(object, "lost", stream->lost_packets);
	return end_text(stream, object);
}

/* ---- AMI ---- */

/*! \brief AMI takes no numbers from JSON but whole ones, and shows texts as they are */
static void set_count(struct ast_json *event, const char *name, uint64_t count)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, count);
	set_text(event, name, text);
}

/*! \brief Packets that were made, and samples that were dropped, of all directions */
static struct media_count count_all(const struct media *media)
{
	struct media_count sum = { 0 };
	struct media_count count;
	unsigned int direction;

	for (direction = PACKET_RX; direction <= PACKET_BOTH; direction++) {
		if (media_count(media, direction, &count)) {
			sum.packets += count.packets;
			sum.dropped += count.dropped;
		}
	}
	return sum;
}

void tell_event(struct stream *stream, const char *name)
{
	struct ast_json *event = ast_json_object_create();
	int reason = __atomic_load_n(&stream->reason, __ATOMIC_RELAXED);
	struct media_count sum = { 0 };
	unsigned int muted = 0;

	if (!event) {
		return;
	}
	ast_audiohook_lock(&stream->hook);
	if (stream->media) {
		muted = media_muted(stream->media);
		sum = count_all(stream->media);
	}
	ast_audiohook_unlock(&stream->hook);
	ao2_lock(stream);
	set_text(event, "Channel", stream->channel);
	set_text(event, "Uniqueid", stream->unique_id);
	set_text(event, "Linkedid", stream->linked_id);
	ao2_unlock(stream);
	set_text(event, "StreamId", stream->id_text);
	set_text(event, "Destination", stream->to.shown);
	set_text(event, "Tag", stream->options.tag);
	set_text(event, "Muted", options_direction_name(muted));
	if (!strcmp(name, "ForkStreamStop")) {
		set_text(event, "Reason", stream_reason_name(reason));
		set_count(event, "Packets", sum.packets);
		set_count(event, "Dropped", sum.dropped);
		set_count(event, "Lost", stream->lost_packets);
		set_count(event, "Refused", stream->refused);
	}
	ast_manager_publish_event(name, EVENT_FLAG_CALL, event);
	ast_json_unref(event);
}

void tell_failure(struct stream *stream, enum stream_reason reason, const char *why)
{
	char unique_id[sizeof(stream->unique_id)];

	stream_end(stream, reason);
	ao2_lock(stream);
	ast_copy_string(unique_id, stream->unique_id, sizeof(unique_id));
	ao2_unlock(stream);
	door_log(LOG_WARNING, "Stream %s of channel %s to %s is over: %s\n", stream->id_text, unique_id,
		stream->to.shown, why);
	tell_event(stream, "ForkStreamStop");
	stream_is_over(stream);
}
