/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Digits that the caller presses: collected, told to the agent or kept for the
 * dialplan
 *
 * All of it is called from the channel thread. The agent never hears the tones: where a
 * digit was heard as audio as well, it would be understood twice.
 */

#ifndef DTMF_H
#define DTMF_H

#include <stdint.h>

struct call;

/*! Digits that wait to be sent, with a terminator; more than anybody presses in one go */
#define DTMF_WAITING_SIZE 64
/*! Digits of one call that are kept for the dialplan, with a terminator */
#define DTMF_KEPT_SIZE 256

/*! One call's; zero before */
struct dtmf {
	/*! not sent yet; each group that has been ended is followed by a line feed */
	char waiting[DTMF_WAITING_SIZE];
	/*! all of the call, the oldest ones if there are too many */
	char kept[DTMF_KEPT_SIZE];
	int64_t last_us;	/*!< when the last digit was over */
	int64_t mute_until_us;	/*!< what is heard before that is a tone */
};

/*! \brief A key is down */
void dtmf_down(struct dtmf *dtmf, int64_t now);

/*! \brief A key is up again; many channels tell only that */
void dtmf_up(struct call *call, char digit, int64_t now);

/*! \brief Whether the caller's audio is a tone at the moment */
int dtmf_is_heard(const struct dtmf *dtmf, int64_t now);

/*! \brief Tell the agent what is complete. On every wake while the conversation is up. */
void dtmf_look(struct call *call, int64_t now);

#endif /* DTMF_H */
