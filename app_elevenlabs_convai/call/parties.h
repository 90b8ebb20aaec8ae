/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Who calls whom, as the agent is told
 */

#ifndef CALL_PARTIES_H
#define CALL_PARTIES_H

struct ast_channel;

/*! Longest number that is told, with its terminator */
#define PARTIES_NUMBER_SIZE 128

/*! Numbers are "" where they are withheld or not known */
struct parties {
	unsigned int outbound:1;	/*!< we have called: the other party is the one that was called */
	char caller[PARTIES_NUMBER_SIZE];
	char called[PARTIES_NUMBER_SIZE];
};

/*!
 * \brief Say who calls whom. The channel's own thread; locks the channel.
 * \param ask_driver whom the channel's driver has dialled may be asked: chan_pjsip answers on a
 *        thread of its own, which is waited for; not while audio flows
 */
void parties_read(struct parties *parties, struct ast_channel *channel, int ask_driver);

/*! \brief Number of the party at the other end */
const char *parties_other(const struct parties *parties);

#endif /* CALL_PARTIES_H */
