/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What programs are told of a call over AMI and ARI, and what CEL and CDR keep of it
 */

#ifndef CALL_EVENTS_H
#define CALL_EVENTS_H

#include <stdint.h>

struct ast_channel;
struct convai_event;
struct convai_ops;
struct convai_session;
struct feed;

/*! Whose event it is. Nothing is copied. */
struct event_source {
	struct ast_channel *channel;
	const char *agent;		/*!< section of elevenlabs.conf, or whatever was asked for */
	const char *conversation_id;	/*!< "" before there is one */
	int to_ari;			/*!< applications of ARI are told as well: the key ari_events */
	struct feed *feed;		/*!< where it is kept for the live page, or NULL */
};

/*! The time of an event that happens now */
#define EVENT_NOW 0

/*!
 * \brief Tell programs of something that has happened to a channel
 *
 * CEL has the beginning, the steps and the end as well. The channel thread, without a lock; waits for nothing. Each event has the channel's own fields, Agent,
 * ConversationId and Time. Behind its name come pairs of field and value, and SENTINEL. When
 * memory is short, some or all of it is left out.
 */
void __attribute__((sentinel)) events_publish(const struct event_source *source, const char *name, ...);

/*! \brief Log something in CEL alone. As above. */
void __attribute__((sentinel)) events_log(const struct event_source *source, const char *name, ...);

/*! \brief Leave pairs of field and value in CDR(elevenlabs). As above, but it waits for Asterisk's thread of CDR. */
void __attribute__((sentinel)) events_leave(const struct event_source *source, ...);

/*! \brief Tell programs of something under this name that the engine has told us. As above. */
void events_publish_told(const struct event_source *source, const char *name,
	const struct convai_event *told);

/*! \brief Tell programs what the engine has for them. As above. */
void events_tell(const struct event_source *source, const struct convai_ops *ops,
	struct convai_session *session);

#endif /* CALL_EVENTS_H */
