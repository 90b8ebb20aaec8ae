/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief While the service has no agent free, and lets the caller wait
 *
 * Of the call's timers none runs meanwhile, and nothing counts: neither what the caller hears,
 * which is hold audio, nor what the caller says, which nobody hears. The engine keeps the time
 * (the key queue) and says how it ends. All of it runs on the channel thread.
 */

#ifndef CALL_QUEUE_H
#define CALL_QUEUE_H

#include <stdint.h>

#include "convai_ops.h"

struct ast_channel;
struct call_options;
struct call_statistics;
struct media;

/*! One call's; what it points to belongs to the call */
struct queue {
	struct ast_channel *channel;
	const struct call_options *options;
	const struct event_source *source;
	struct media *media;
	struct call_statistics *statistics;
	uint64_t before_us;	/*!< spent in the queue of an agent that could not be had */
	int64_t hold_us;	/*!< hold audio is heard from this time on; 0: there is none */
	unsigned int silence:1;	/*!< the key silence */
	unsigned int waits:1;	/*!< the service lets the caller wait */
	unsigned int yielded:1;	/*!< ringing has made room for hold audio */
};

/*! \brief The service lets the caller wait. The formats are agreed on. */
void queue_begin(struct queue *queue);

/*!
 * \brief Write a frame of hold audio, unless the caller hears a tone or music of ours
 * \param waiting whether the caller hears one of ours
 * \return whether it goes on
 */
int queue_write(struct queue *queue, const struct convai_ops *ops, struct convai_session *session,
	int waiting, int64_t now);

/*! \brief An agent is there: tell it if the caller has waited */
void queue_admit(struct queue *queue);

/*! \brief The session has ended: tell it if no agent was free. \param how enum convai_queue */
void queue_end(struct queue *queue, uint32_t how);

/*! \brief The caller waits no longer, in whatever way. May be called when nobody does. */
void queue_leave(struct queue *queue);

#endif /* CALL_QUEUE_H */
