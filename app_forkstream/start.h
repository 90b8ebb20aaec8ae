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

#ifndef FORKSTREAM_START_H
#define FORKSTREAM_START_H

struct ast_channel;

/*! What has become of an attempt to start, or to stop: the value of FORKSTREAMSTATUS */
enum stream_status {
	STREAM_STARTED,
	STREAM_STOPPED,
	STREAM_INVALID,	/*!< destination or options are not understood */
	STREAM_DENIED,	/*!< forkstream.conf does not admit the destination */
	STREAM_LIMIT,	/*!< there are max_streams */
	STREAM_UNAVAILABLE,	/*!< no WebSocket client, no memory, or the channel or the module is going */
	STREAM_NOTFOUND,	/*!< no such stream on the channel */
};

/*!
 * \brief Start a stream on a channel, which is not locked. Returns at once.
 * \param options is written into; NULL or "" is none
 * \param[out] id its id, STREAM_ID_SIZE bytes; "" if there is none
 * \param[out] error what is wrong, ERROR_SIZE bytes
 */
enum stream_status start_stream(struct ast_channel *channel, const char *destination, char *options, char *id,
	char *error);

/*! \brief The value of FORKSTREAMSTATUS */
const char *start_status_name(enum stream_status status);

#endif /* FORKSTREAM_START_H */
