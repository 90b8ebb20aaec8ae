/*
 * app_forkstream: copy a call's audio to a listener
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief A stream by UDP
 */

#ifndef FORKSTREAM_UDP_H
#define FORKSTREAM_UDP_H

#include <stdint.h>

struct stream;

/*!
 * \brief Find the stream's host, and a socket to it, which other streams to the same port of it may have as well. Any thread.
 * \param flags AI_NUMERICHOST: nobody is asked, or 0: it waits for a name server
 * \return 0 or -1
 */
int udp_open(struct stream *stream, int flags);
/*! \brief Give the socket back. Any thread. */
void udp_close(struct stream *stream);

/*! \brief Make packets of what a stream that is up has; never waits. The common thread. \return 0: it is over */
int udp_serve(struct stream *stream, int64_t now_us);
/*! \brief Hand the kernel what udp_serve has made for all streams. The common thread. */
void udp_flush(void);

#endif /* FORKSTREAM_UDP_H */
