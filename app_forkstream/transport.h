/*
 * app_forkstream: copy a call's audio to a listener
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The network's threads
 *
 * One thread serves all streams, every TICK_MS, and waits for none. Each stream by WebSocket has a thread of its own
 * besides, for Asterisk's client waits when it connects and when it reads; so has a UDP stream while its host is looked up.
 */

#ifndef FORKSTREAM_TRANSPORT_H
#define FORKSTREAM_TRANSPORT_H

struct stream;

/*! \brief Start and end the thread. \return 0 or -1 */
int transport_begin(void);
/*! \brief Ends it; all streams are over */
void transport_end(void);

/*! \brief Whether WebSockets can be reached. \param error why not, ERROR_SIZE bytes */
int transport_has_websockets(char *error);

/*! \brief Take a stream to its listener. It has a reference of its own to it. \return 0, or -1 and why not */
int transport_start(struct stream *stream, char *error);

/*! \brief Join threads that are over. \return how many are not */
unsigned int transport_join(void);

#endif /* FORKSTREAM_TRANSPORT_H */
