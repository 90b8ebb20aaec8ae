/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Digits that the caller presses: collected, for the agent and for the dialplan
 *
 * Facts come in, verdicts go out; telling.c acts on them. The channel thread calls all of it.
 * The agent never hears the tones: it would understand a digit twice.
 */

#ifndef CALL_DTMF_H
#define CALL_DTMF_H

#include <stdint.h>

struct config_agent;

/*! Digits that wait to be sent, with a terminator; more than anybody presses in one go */
#define DTMF_WAITING_SIZE 64
/*! Digits of one call that are kept for the dialplan, with a terminator */
#define DTMF_KEPT_SIZE 256
/*! Longest text that tells the agent of digits, with its terminator */
#define DTMF_TEXT_SIZE 128

/*! The caller's, whoever the agent is; zero before */
struct dtmf {
	/*! not sent yet; each group that has been ended is followed by a line feed */
	char waiting[DTMF_WAITING_SIZE];
	/*! all of the call, the oldest ones if there are too many */
	char kept[DTMF_KEPT_SIZE];
	int64_t last_us;	/*!< when the key of the last digit was released */
	int64_t resumed_us;	/*!< when the dialplan gave the channel back; 0: it has not had it */
	int64_t mute_until_us;	/*!< until this time the caller's audio counts as a key's tone */
};

/*! What the agent is to be told */
struct dtmf_message {
	uint32_t kind;	/*!< enum convai_say */
	char text[DTMF_TEXT_SIZE];
};

/*! \brief A key is down */
void dtmf_down(struct dtmf *dtmf, int64_t now);

/*!
 * \brief A key is up again; many channels tell only that
 * \param end the key that ends a group of digits, '\0' for none
 * \return 1 if the caller may press more of this group, so that the agent is to wait
 */
int dtmf_up(struct dtmf *dtmf, char digit, char end, int64_t now);

/*! \brief Whether the caller's audio now counts as a key's tone: the agent is not to hear it */
int dtmf_covers_audio(const struct dtmf *dtmf, int64_t now);

/*!
 * \brief Say what the agent is to be told now. On every wake while the conversation is up.
 *
 * It stays due until dtmf_told: what the engine does not take is tried again.
 *
 * \return 0 if nothing is, 1 with the message
 */
int dtmf_due(struct dtmf *dtmf, const struct config_agent *agent, int64_t now,
	struct dtmf_message *message);

/*! \brief Another device is the caller's now: forget what was pressed on the one before */
void dtmf_forget(struct dtmf *dtmf);

/*!
 * \brief The dialplan has given the channel back
 *
 * A key that went down there, and comes up here, is none of the conversation's.
 */
void dtmf_resume(struct dtmf *dtmf, int64_t now);

/*! \brief Whether a key that comes up now went down in the dialplan. Before dtmf_up. */
int dtmf_is_foreign(struct dtmf *dtmf, int64_t now);

/*! \brief The agent has been told what was due */
void dtmf_told(struct dtmf *dtmf);

#endif /* CALL_DTMF_H */
