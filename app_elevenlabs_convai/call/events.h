/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What programs are told of a call over AMI
 */

#ifndef CALL_EVENTS_H
#define CALL_EVENTS_H

#include <stdint.h>

struct ast_channel;
/*! The time of an event that happens now */
#define EVENT_NOW 0

/*!
 * \brief Tell programs of something that has happened to a channel
 *
 * The channel thread, without a lock; waits for nothing. Behind the event's name
 * come pairs of field and value, and SENTINEL; the channel's own fields come along. When
 * memory is short, some or all of it is left out.
 */
void __attribute__((sentinel)) events_publish(const struct event_source *source, const char *name, ...);

/*! \brief Log something in CEL alone. As above. */
void __attribute__((sentinel)) events_log(const struct event_source *source, const char *name, ...);

/*! \brief Tell programs of something under this name that the engine has told us. As above. */
void events_publish_told(const struct event_source *source, const char *name,
	const struct convai_event *told);

/*! \brief Tell programs what the engine has for them. As above. */
void events_tell(const struct event_source *source, const struct convai_ops *ops,
	struct convai_session *session);

#endif /* CALL_EVENTS_H */
