/*
 * app_forkstream: copy a call's audio to a listener
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Starting a stream: whether it may, and all that is to be done
 */

#include "asterisk.h"

#include "asterisk/astobj2.h"	/* ao2_ref */
#include "asterisk/channel.h"	/* ast_channel_lock */
#include "asterisk/utils.h"	/* ast_copy_string */

#include "config.h"
#include "monotonic.h"
#include "start.h"
#include "stream.h"
#include "tell.h"
#include "transport.h"

/*! \brief Put a stream on its channel. \return 0, or -1 and why not */
static int attach(struct stream *stream, struct ast_channel *channel, char *error)
{
	int res = -1;

	ast_channel_lock(channel);
	stream_name_channel(stream, channel);
	stream->start_text = tell_start_text(stream, channel);
	if (!stream->start_text) {
		snprintf(error, ERROR_SIZE, "tag and variables are longer than a packet, or memory is short");
	} else if (stream_attach(stream, channel)) {
		snprintf(error, ERROR_SIZE, "the channel is going, or memory is short");
	} else {
		res = 0;
	}
	ast_channel_unlock(channel);
	return res;
}

/*! \brief Put a stream on its way. It is in the list. */
static enum stream_status launch(struct stream *stream, struct ast_channel *channel, char *error)
{
	if (attach(stream, channel, error)) {
		stream_is_over(stream);
		return STREAM_UNAVAILABLE;
	}
	if (transport_start(stream, error)) {
		stream_stop(stream, REASON_STOPPED);
		stream_is_over(stream);
		return STREAM_UNAVAILABLE;
	}
	return STREAM_STARTED;
}

static enum stream_status start_admitted(const struct config *config, const struct destination *to,
	const struct options *options, struct ast_channel *channel, char *id, char *error)
{
	struct stream *stream = stream_create(to, options,
			monotonic_us() + config->connect_seconds * INT64_C(1000000));
	enum stream_status status = STREAM_LIMIT;

	if (!stream) {
		snprintf(error, ERROR_SIZE, "memory is short");
		return STREAM_UNAVAILABLE;
	}
	if (streams_add(stream, config->max_streams)) {
		snprintf(error, ERROR_SIZE, "there are as many streams as max_streams = %u in " CONFIG_FILE " allows, "
									"or the module is going", config->max_streams);
	} else {
		status = launch(stream, channel, error);
	}
	if (status == STREAM_STARTED) {
		ast_copy_string(id, stream->id_text, STREAM_ID_SIZE);
	}
	ao2_ref(stream, -1);
	return status;
}

enum stream_status start_stream(struct ast_channel *channel, const char *destination, char *text, char *id,
	char *error)
{
	struct config *config = config_get();
	enum stream_status status = STREAM_UNAVAILABLE;
	struct destination to;
	struct options options;

	*id = '\0';
	if (!config) {
		snprintf(error, ERROR_SIZE, "the module is going");
		return status;
	}
	if (destination_parse(&to, destination, 0, error) || options_parse(&options, text, error)) {
		status = STREAM_INVALID;
	} else if (!config_admits(config, &to, error)) {
		status = STREAM_DENIED;
	} else if (to.scheme == SCHEME_UDP || transport_has_websockets(error)) {
		status = start_admitted(config, &to, &options, channel, id, error);
	}
	ao2_ref(config, -1);
	return status;
}

const char *start_status_name(enum stream_status status)
{
	static const char * const names[] = {
		[STREAM_STARTED] = "STARTED",
		[STREAM_STOPPED] = "STOPPED",
		[STREAM_INVALID] = "INVALID",
		[STREAM_DENIED] = "DENIED",
		[STREAM_LIMIT] = "LIMIT",
		[STREAM_UNAVAILABLE] = "UNAVAILABLE",
		[STREAM_NOTFOUND] = "NOTFOUND",
	};

	return names[status];
}
