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

#ifndef CALL_H
#define CALL_H

#include <stdint.h>

#include "convai_ops.h"
#include "call/dtmf.h"
#include "call/media.h"
#include "call/playout_clock.h"
#include "call/waiting.h"
#include "call/watchdog.h"

struct ast_channel;
struct config_agent;

/*! Longest reason, with its terminator; longer ones of the engine's are cut */
#define CALL_REASON_SIZE 512

/*!
 * What the channel's side of a call counts. Only the channel thread writes, anybody
 * reads.
 */
struct call_statistics {
	uint64_t voice_frames_read;
	uint64_t digits;		/*!< pressed by the caller */
	uint64_t foreign_frames;	/*!< voice in a format that was not agreed on: dropped */
	uint64_t frames_written;	/*!< silence included */
	uint64_t silent_frames;		/*!< of these, how many held nothing of the agent's */
	uint64_t write_failures;
	uint64_t resyncs;		/*!< playout was more than PLAYOUT_RESYNC_US behind */
	uint64_t late_frames;		/*!< written more than a frame after their time */
	uint64_t latest_us;		/*!< the longest that one was written after its time */
	uint64_t preroll_dropped_ms;	/*!< said before the conversation, and too old for it */
	/* From the application's start on, in microseconds; 0 until then */
	uint64_t talking_us;		/*!< the conversation was up */
	uint64_t speaking_us;		/*!< the first frame of the agent's was written */
};

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
	struct call *before;
	int64_t started_us;

	/* Guarded by the object's lock. */
	struct convai_session *session;	/*!< NULL before open and after release */
	/*! as polled last; its strings live as long as the session */
	struct convai_progress progress;
	unsigned int operator_hangup:1;	/*!< `elevenlabs hangup` was the reason */
	/*! of its messages; also for a session that is still to come */
	enum convai_debug debug;

	struct call_statistics statistics;

	/* The channel thread's alone. */
	struct media media;
	struct playout_clock clock;
	struct watchdog watchdog;
	struct dtmf dtmf;
	const struct call_options *options;	/*!< while the call runs */
	int event_fd;
	int64_t caller_heard_us;	/*!< when the last voice frame came */
	int64_t covered_us;	/*!< up to here the agent has been given audio or silence */
	int64_t opened_us;	/*!< when the engine was asked for the session */
	int64_t refused_us;	/*!< since then the engine takes no audio; 0 while it does */
	/*! ended, audio being played out: leave at this time at the latest */
	int64_t leave_us;
	int64_t tail_us;	/*!< ended, all audio played: leave at this time; 0 before */
	unsigned int waiting:1;	/*!< the caller hears a tone or music until the agent is there */
	unsigned int hurried:1;	/*!< the agent's first word has been waiting to be written */
	unsigned int on_hold:1;	/*!< the caller's telephone has put us on hold */
	unsigned int over:1;	/*!< status and reason are final */
	enum convai_status status;
	char reason[CALL_REASON_SIZE];
	char conversation_id[128];
};

/*! \brief Count one more of something. Channel thread. */
static inline void call_count(uint64_t *counter)
{
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

/*! \brief A call that has not begun, or NULL when out of memory */
struct call *call_make(struct ast_channel *channel, struct config_agent *agent,
	const struct convai_ops *ops);

/*!
 * \brief Answer and connect, in the order that is wanted, talk, and clean up behind it
 *
 * Blocks the channel thread until the call with the agent is over. Afterwards status,
 * reason and conversation_id are set, the session is released and the channel has its
 * formats back.
 */
void call_run(struct call *call, const struct call_options *options);

/*!
 * \brief Let the call end with this status, unless it has ended already. Channel thread.
 */
void call_end(struct call *call, enum convai_status status, const char *reason);

#endif /* CALL_H */
