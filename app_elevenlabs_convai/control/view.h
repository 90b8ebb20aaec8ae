/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief One call, as operators and programs see it: copied while it could not change
 */

#ifndef CONTROL_VIEW_H
#define CONTROL_VIEW_H

#include "asterisk/channel.h"	/* AST_CHANNEL_NAME */

#include "call/call.h"
#include "convai_ops.h"

struct call_view {
	char channel[AST_CHANNEL_NAME];
	char unique_id[CALL_UNIQUE_ID_SIZE];
	char linked_id[CALL_UNIQUE_ID_SIZE];
	char conversation_id[128];
	const char *state;
	const char *debug;
	struct convai_format caller;
	struct convai_format agent;
	struct convai_counters counters;
	struct call_statistics statistics;
	struct convai_turn_times turns;
	double queued;	/*!< seconds in the service's queue */
	int seconds;	/*!< since the call began */
};

/*!
 * \brief Look at a call
 *
 * Any thread but the channel's. The session is looked at under the lock of its call, so that the
 * channel thread cannot release it meanwhile; nothing here waits longer than for that.
 */
void call_view_take(struct call *call, struct call_view *view);

/*! \brief How long so many bytes of this format last; 0 while it is not known */
double call_view_seconds(const struct convai_format *format, uint64_t bytes);

#endif /* CONTROL_VIEW_H */
