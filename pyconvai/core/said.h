/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The words of one conversation, for others to read
 *
 * The loop thread writes; any thread that holds the session reads. A mutex is held for the exchange of a
 * pointer and for a copy of a text, never while anything is allocated or waited for.
 *
 * Of the agent's turns the last few are kept with their places in the playout queue. So what has been heard
 * of one follows from what has been played: by the characters that the service has told with each piece of audio
 * (its alignment), or, where it has told none, by the share of the audio that has come.
 */

#ifndef CONVAI_SAID_H
#define CONVAI_SAID_H

#include <pthread.h>
#include <stdint.h>

#include "convai_ops.h"

/*! Turns of the agent's that may wait to be heard, or have just been */
#define CONVAI_RESPONSES_KEPT 4

/*! Pieces of one of them whose characters are told apart; when there are more, every second mark goes */
#define CONVAI_RESPONSE_MARKS 64

/*! The audio up to a place in the queue speaks so many characters of its turn */
struct convai_said_mark {
	uint64_t end;
	uint32_t characters;
};

/*! One turn of the agent's. Places are bytes of the playout queue since the start. */
struct convai_response {
	uint64_t id;		/*!< the service's */
	char *text;		/*!< owned; NULL while it is not known */
	uint32_t characters;	/*!< of it, as the service has said it: as data it has fewer */
	uint64_t begin, end;	/*!< of its audio; end is UINT64_MAX while more may come */
	uint64_t heard_end;	/*!< what lies behind it was thrown away; UINT64_MAX: nothing was */
	uint32_t most;		/*!< no more characters were spoken, says the service; UINT32_MAX: it has not said */
	uint32_t mark_count;
	struct convai_said_mark marks[CONVAI_RESPONSE_MARKS];
	int unaligned;		/*!< some of its audio has come without its characters: the marks do not count */
};

/*! One conversation's. Zero, then convai_said_init. */
struct convai_said {
	pthread_mutex_t lock;
	char *texts[CONVAI_WORDS_HEARD];	/*!< owned, by enum convai_words; NULL reads as "" */
	struct convai_response responses[CONVAI_RESPONSES_KEPT];	/*!< from new to old */
	uint32_t response_count;
};

void convai_said_init(struct convai_said *said);

/*! \brief Free all texts. The last owner. */
void convai_said_free(struct convai_said *said);

/* ---- Loop thread ---- */

/*! \brief Let others read this text (copied) as transcript or summary. \return -1 when memory is short */
int convai_said_put(struct convai_said *said, enum convai_words which, const char *text);

/*! \brief A turn of the agent's begins: its audio comes from this place on */
void convai_said_begin(struct convai_said *said, uint64_t id, uint64_t place);

/*!
 * \brief What it says in words
 * \param text copied
 * \param characters how many there were before the text was made harmless
 * \return 0, or -1 when memory is short
 */
int convai_said_response(struct convai_said *said, const char *text, uint32_t characters);

/*! \brief The audio that ends at this place speaks so many more characters; 0: that is not known */
void convai_said_audio(struct convai_said *said, uint64_t end, uint32_t characters);

/*! \brief All audio behind what has been played is thrown away; the turn is over */
void convai_said_cut(struct convai_said *said, uint64_t played, uint64_t appended);

/*! \brief The service says of the turn that was cut: no more than so many characters were spoken */
void convai_said_correct(struct convai_said *said, uint32_t characters);

/*!
 * \brief How much of the last turn of this id has been heard
 * \return characters of its text, as the service has said it, or -1 where they are not known
 */
int64_t convai_said_heard(const struct convai_said *said, uint64_t id, uint64_t played,
	uint64_t appended);

/* ---- Any thread ---- */

/*!
 * \brief Copy words, as convai_ops.h says of them
 * \param played, appended places in the playout queue now
 */
void convai_said_read(struct convai_said *said, enum convai_words which, uint64_t played,
	uint64_t appended, char *text, size_t size);

#endif /* CONVAI_SAID_H */
