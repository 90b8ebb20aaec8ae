/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief One call with an agent, from the moment it is admitted to the status it ends
 * with
 */

#ifndef CALL_CALL_H
#define CALL_CALL_H

#include <stdint.h>

#include "call/caller.h"
#include "call/dtmf.h"
#include "call/ending.h"
#include "call/events.h"
#include "call/filler.h"
#include "call/hearing.h"
#include "call/media.h"
#include "call/queue.h"
#include "call/speaking.h"
#include "call/statistics.h"
#include "call/step.h"
#include "call/telling.h"
#include "call/watchdog.h"
#include "convai_ops.h"

/*! Room for the unique id of a channel, of which Asterisk makes no longer ones, with its terminator */
#define CALL_UNIQUE_ID_SIZE 160

struct ast_channel;
struct call_options;
struct config_agent;
struct device;
struct feed;
struct generation;
struct recording;

/*!
 * One call: an ao2 object with a lock. The channel thread makes it, runs it and lets go
 * of the session before the application returns; the CLI looks at it through the
 * registry.
 */
struct call {
	struct ast_channel *channel;	/*!< with a reference */
	struct config_agent *agent;	/*!< with a reference: the snapshot the call began with */
	const struct convai_ops *ops;	/*!< of the engine the call began with */
	/*! with a reference: the call with an agent that could not be had, or NULL */
	struct call *failed_attempt;
	/*! with a reference: of the run that the call belongs to; NULL: nothing is recorded */
	struct recording *recording;
	struct feed *feed;	/*!< with a reference: of the run; NULL: memory was short */
	int64_t started_us;

	/* Guarded by the object's lock. */
	struct convai_session *session;	/*!< NULL before open and after release */
	struct convai_counters counters;	/*!< of the session, when it was released */
	struct convai_turn_times turns;	/*!< and how soon the agent has answered */
	/*! kept alive for the call; NULL once the conversation is over for good (registry_withdraw) */
	struct generation *generation;
	/*! as polled last; its strings live as long as the session */
	struct convai_progress progress;
	unsigned int operator_hangup:1;	/*!< `elevenlabs hangup` was the reason */
	unsigned int unloading:1;	/*!< the module is to go */
	/*! as the dialplan wants the call to end, which it goes on with; NONE: it has not said */
	enum convai_status asked;
	/*! of the channel when the step began, or the call: another device brings another one */
	char unique_id[CALL_UNIQUE_ID_SIZE];
	/*! of its messages; also for a session that is still to come */
	enum convai_debug debug;

	unsigned int counted;	/*!< in the totals. Guarded by their lock. */
	unsigned int placeless;	/*!< it counts for no limit any more. Guarded by the registry's lock. */

	/* The channel thread writes, any thread reads, without a lock: see statistics.h. */
	struct call_statistics statistics;

	/* The channel thread's alone. */
	const struct call_options *options;	/*!< while the call runs */
	struct device *device;	/*!< behind the channel; borrowed from the attempt, may be NULL */
	int event_fd;
	int64_t quality_us;	/*!< when programs are told of the line next */
	int64_t look_us;	/*!< when the line is looked at next, for the live page */
	struct media media;
	struct caller caller;
	struct hearing hearing;
	struct speaking speaking;
	struct telling telling;
	struct step step;
	struct filler filler;
	struct dtmf dtmf;
	struct queue queue;
	struct watchdog watchdog;
	unsigned int idle:1;	/*!< this wake: nothing waits to be read, from nobody */
	unsigned int begun:1;	/*!< ElevenLabsStart has been published */
	unsigned int engine_closed:1;	/*!< the engine took no session: it is stopping */
	unsigned int over:1;	/*!< the ending is final */
	struct ending ending;
	char conversation_id[128];
	struct event_source source;	/*!< of what programs are told */
};

/*! \brief A call that has not begun, or NULL when out of memory */
struct call *call_make(struct ast_channel *channel, struct config_agent *agent,
	const struct convai_ops *ops);

/*!
 * \brief Answer and connect, in the order that is wanted, talk, and clean up behind it
 *
 * Blocks the channel thread until the call with the agent is over. Afterwards the ending
 * and conversation_id are set, the session is released and the channel has its formats
 * back.
 */
void call_run(struct call *call, const struct call_options *options);

#endif /* CALL_CALL_H */
