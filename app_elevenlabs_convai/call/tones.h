/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */
/*!
 * \file
 * \brief Digits to the caller's line, one tone after the other, while its channel is read as ever
 *
 * The channel thread calls all of it. Nothing waits: the tones have deadlines, on CLOCK_MONOTONIC. What
 * is written meanwhile would be lost, so nothing is to be.
 */

#ifndef CALL_TONES_H
#define CALL_TONES_H

#include <stddef.h>
#include <stdint.h>

struct ast_channel;

/*! Digits that are sent in one go, with a terminator: more than any menu or card number wants */
#define TONES_SIZE 65

/*! One call's; zero at first */
struct tones {
	char digits[TONES_SIZE];	/*!< 0 to 9, *, #, A to D; w: a pause */
	size_t next;		/*!< the digit that sounds, or comes next */
	int64_t began_us;	/*!< when the one that sounds began; 0: none sounds */
	int64_t due_us;		/*!< when it ends, or the next one begins */
	unsigned int busy:1;	/*!< they are not all through */
};

/*! \brief Whether these can be sent, and how many there are. \return 0 if they cannot */
size_t tones_count(const char *digits);

/*! \brief Send digits that can be; the first tone begins with the next look */
void tones_begin(struct tones *tones, const char *digits, int64_t now);

/*! \brief Begin and end what is due. \return 1 when all are through, once */
int tones_look(struct tones *tones, struct ast_channel *channel, int64_t now);

/*! \brief Milliseconds until the next look at most, rounded up; while they are busy */
int tones_wait_ms(const struct tones *tones, int64_t now);

/*! \brief The line has gone: send nothing more, not even the end of a tone, to the one in its place */
void tones_lose(struct tones *tones, struct ast_channel *channel);

/*! \brief End at once, also a tone that sounds */
void tones_stop(struct tones *tones, struct ast_channel *channel, int64_t now);

#endif /* CALL_TONES_H */
