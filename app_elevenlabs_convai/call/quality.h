/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The line between Asterisk and the caller, by Asterisk's RTCP figures
 */

#ifndef CALL_QUALITY_H
#define CALL_QUALITY_H

#include <stdint.h>

struct ast_channel;

/*! So often programs are told of it during a conversation, in microseconds: an RTCP report comes every 5 s */
#define QUALITY_INTERVAL_US 30000000

/*! So often the live page has it anew, where there is one, in microseconds */
#define QUALITY_LOOK_US 5000000

/*! Room for a figure as text, with its terminator */
#define QUALITY_TEXT_SIZE 16

/*! As programs are told: decimal numbers, "" for what is not known */
struct quality {
	char jitter[QUALITY_TEXT_SIZE];		/*!< ms, of what comes from the caller */
	char loss[QUALITY_TEXT_SIZE];		/*!< percent, of what comes from the caller */
	char remote_jitter[QUALITY_TEXT_SIZE];	/*!< ms, of what the caller's device gets, as it reports */
	char remote_loss[QUALITY_TEXT_SIZE];	/*!< percent, of that */
	char round_trip[QUALITY_TEXT_SIZE];	/*!< ms */
	char mos[QUALITY_TEXT_SIZE];		/*!< 1.0 to 4.4, of what comes from the caller */
};

/*!
 * \brief Look at the line of a channel. Any thread that holds it, without a lock; waits for nobody.
 *
 * All is unknown where the channel has no RTP, or that has no RTCP.
 */
void quality_read(struct quality *quality, struct ast_channel *channel);

/*! \brief Tell programs of it: the fields of struct quality, with SENTINEL behind them */
#define QUALITY_FIELDS(quality) \
	"JitterMs", (quality)->jitter, "LossPercent", (quality)->loss, \
	"RemoteJitterMs", (quality)->remote_jitter, "RemoteLossPercent", (quality)->remote_loss, \
	"RoundTripMs", (quality)->round_trip, "Mos", (quality)->mos

#endif /* CALL_QUALITY_H */
