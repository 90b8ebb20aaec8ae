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

#ifndef FORKSTREAM_TELL_H
#define FORKSTREAM_TELL_H

#include "stream.h"

struct ast_channel;

/*! \brief The JSON text `start`, to be freed with ast_json_free, or NULL. The channel is locked. */
char *tell_start_text(const struct stream *stream, struct ast_channel *channel);

/*! \brief The JSON text `end`, to be freed with ast_json_free, or NULL */
char *tell_end_text(const struct stream *stream);

/*! \brief The network is why a stream is over: say so in the log and by ForkStreamStop, and end it. The network's thread. */
void tell_failure(struct stream *stream, enum stream_reason reason, const char *why);

/*! \brief Raise ForkStreamStart, ForkStreamStop or ForkStreamMute */
void tell_event(struct stream *stream, const char *name);

#endif /* FORKSTREAM_TELL_H */
