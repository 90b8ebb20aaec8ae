/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief From the caller to the agent: what it is told besides the voice
 *
 * Digits, hold, and that another telephone has taken the caller's place. The channel thread calls
 * all of it.
 */

#ifndef CALL_TELLING_H
#define CALL_TELLING_H

#include <stdint.h>

struct ast_channel;
struct call_statistics;
struct caller;
struct config_agent;
struct convai_ops;
struct convai_progress;
struct convai_session;
struct dtmf;
struct media;
struct watchdog;

/*! What the agent of one call is told; all pointers are borrowed from the call */
struct telling {
	struct ast_channel *channel;
	const struct config_agent *agent;
	const struct convai_ops *ops;
	struct convai_session *session;
	const struct convai_progress *progress;	/*!< as polled last */
	struct media *media;
	struct caller *caller;
	struct dtmf *dtmf;
	struct watchdog *watchdog;
	struct call_statistics *statistics;
	unsigned int moved:1;	/*!< another device has the call, and the agent has not been told */
};

/*! \brief A key has been pressed, and let go */
void telling_digit(struct telling *telling, char digit, int64_t now);

/*!
 * \brief See what is due: digits that are complete, and that the call has been moved. On every wake
 * while the conversation is up.
 */
void telling_look(struct telling *telling, int64_t now);

/*! \brief Tell the engine whether the caller holds */
void telling_hold(struct telling *telling);

/*!
 * \brief Another device has taken the caller's place (device_is_mark): begin with it anew
 *
 * Who holds, and what was pressed and said, belong to the device that has gone: it can say no more.
 */
void telling_device(struct telling *telling);

#endif /* CALL_TELLING_H */
