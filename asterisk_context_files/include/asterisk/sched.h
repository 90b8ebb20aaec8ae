/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What is to happen later, on a thread of Asterisk's
 */

#ifndef CONTEXT_SCHED_H
#define CONTEXT_SCHED_H

#include "asterisk/compiler.h"

struct ast_sched_context;

/*! \return 0 to be through; else to come again after the same time */
typedef int (*ast_sched_cb)(const void *data);

struct ast_sched_context *ast_sched_context_create(void);

/*! \brief Ends its thread as well, and waits for that */
void ast_sched_context_destroy(struct ast_sched_context *c);

int ast_sched_start_thread(struct ast_sched_context *con);

/*! \param when in ms. \return an id, or below 0 */
int ast_sched_add(struct ast_sched_context *con, int when, ast_sched_cb callback, const void *data)
attribute_warn_unused_result;

#endif /* CONTEXT_SCHED_H */
