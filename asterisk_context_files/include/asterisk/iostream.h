/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief A connection of Asterisk's HTTP server
 */

#ifndef CONTEXT_IOSTREAM_H
#define CONTEXT_IOSTREAM_H

#include <sys/time.h>
#include <sys/types.h>

struct ast_iostream;

int ast_iostream_get_fd(struct ast_iostream *stream);
ssize_t ast_iostream_write(struct ast_iostream *stream, const void *buffer, size_t count);
/*! \brief How long each read or write may take, in ms */
void ast_iostream_set_timeout_inactivity(struct ast_iostream *stream, int timeout);
/*! \brief How long all of them together may take, in ms, from a time of day on */
void ast_iostream_set_timeout_sequence(struct ast_iostream *stream, struct timeval start,
	int timeout);

#endif /* CONTEXT_IOSTREAM_H */
