/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What the caller hears while a tool takes its time, and the agent says nothing
 *
 * The channel thread calls all of it. While it is heard no frame of ours would be.
 */

#ifndef CALL_FILLER_H
#define CALL_FILLER_H

#include <stdint.h>

#include "config/keys.h"

struct ast_channel;

/*! One call's */
struct filler {
	struct ast_channel *channel;	/*!< borrowed from the call */
	enum filler_use use;
	int64_t quiet_us;	/*!< since when there has been nothing else to be heard; 0: there is */
	unsigned int on:1;	/*!< it is heard */
	unsigned int failed:1;	/*!< it cannot be played, which is not tried at each wake */
};

/*!
 * \brief Begin with it, or end it. On every wake, before what is due is written.
 * \param wanted whether a tool has taken long enough, and the caller is there to hear
 * \param queued whether audio of the agent's waits
 */
void filler_look(struct filler *filler, int wanted, int queued, int64_t now);

/*! \brief End it, if it is heard: somebody else has the channel, or nobody any more */
void filler_end(struct filler *filler);

#endif /* CALL_FILLER_H */
