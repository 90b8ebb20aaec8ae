/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief From the agent to the caller: each frame when it is due, up to the last word
 *
 * The channel thread calls all of it.
 */

#ifndef CALL_SPEAKING_H
#define CALL_SPEAKING_H

#include <stdint.h>

#include "call/playout_clock.h"

struct ast_channel;
struct call_statistics;
struct convai_ops;
struct convai_progress;
struct convai_session;
struct hearing;
struct media;
struct queue;

/*! The agent's voice in one call; all pointers are borrowed from the call */
struct speaking {
	struct ast_channel *channel;
	const struct convai_ops *ops;
	struct convai_session *session;
	const struct convai_progress *progress;	/*!< as polled last */
	struct media *media;
	struct queue *queue;
	struct hearing *hearing;	/*!< gets silence while the caller is queued */
	struct call_statistics *statistics;
	struct playout_clock clock;
	int64_t started_us;	/*!< the call's */
	/*! ended, audio being played out: leave at this time at the latest */
	int64_t leave_us;
	int64_t heard_us;	/*!< when the last frame with audio of the agent's was written; 0: none yet */
	int64_t tail_us;	/*!< ended, all audio played: leave at this time; 0 before */
	unsigned int silence:1;	/*!< the key silence */
	unsigned int waiting:1;	/*!< the caller hears a tone or music until the agent is there */
	unsigned int dry:1;	/*!< since then frames were due, and nothing was queued */
	unsigned int filled:1;	/*!< the caller hears the filler, which keeps frames of ours out */
	unsigned int hurried:1;	/*!< the agent's first word has been waiting to be written */
};

/*!
 * What the agent says comes faster than it is played: a shorter pause is audio that came too late, and no
 * new turn
 */
#define SPEAKING_UNDERRUN_US 500000

/*! \brief Whether audio of the agent's waits to be written */
int speaking_is_queued(const struct speaking *speaking);

/*!
 * \brief Write the frames that are due. On every wake.
 * \param caller_frame_us length of the caller's frame that woke us, 0 if something else did
 */
void speaking_write(struct speaking *speaking, int64_t now, int64_t caller_frame_us);

/*!
 * \brief The session has ended
 * \return whether some of what is queued is still to be heard: then speaking_is_over tells until when
 */
int speaking_end(struct speaking *speaking);

/*! \brief Whether the agent's last word has been heard. On every wake after speaking_end. */
int speaking_is_over(struct speaking *speaking, int64_t now);

#endif /* CALL_SPEAKING_H */
