/*
 * app_forkstream: copy a call's audio to a listener
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief A stream by WebSocket, through Asterisk's own client
 */

#ifndef FORKSTREAM_WEBSOCKET_H
#define FORKSTREAM_WEBSOCKET_H

#include <stdint.h>

struct stream;

/*! \brief Look whether the client is there. Once, when the module is loaded: from then on Asterisk keeps it. */
void websocket_begin(void);
int websocket_is_there(void);

/*! \brief Connect, and read what the listener says until the stream is over. Its own thread. */
void websocket_run(struct stream *stream);

/*! \brief Take a stream that is up to its listener, as far as that reads; never waits. The common thread. \return 0: it is over */
int websocket_serve(struct stream *stream, int64_t now_us);

#endif /* FORKSTREAM_WEBSOCKET_H */
