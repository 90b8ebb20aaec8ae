/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What programs are to be told of a conversation: from the loop thread to the channel thread
 *
 * A list that the loop thread adds to and the channel thread empties; neither waits for the other. It
 * has a limit, for a channel whose dialplan runs a step takes nothing for as long as that lasts.
 */

#ifndef CONVAI_NEWS_H
#define CONVAI_NEWS_H

#include <stdatomic.h>
#include <stdint.h>

#include "convai_ops.h"

/*! One piece of news, with all its texts in one piece of memory */
struct convai_news {
	struct convai_news *next;
	struct convai_event event;
};

/*! Zero at the start of a session */
struct convai_news_list {
	_Atomic(struct convai_news *) newest;	/*!< what has been added, newest first */
	atomic_uint count;			/*!< of all that waits */
	struct convai_news *oldest;		/*!< channel thread: what it has taken over, in order */
	struct convai_news *taken;		/*!< channel thread: what it has been given last */
};

/*!
 * \brief Add a piece of news. Loop thread; allocates.
 * \param fields name and value in turn, copied
 * \return 0, or -1: so many wait already, or memory is short
 */
int convai_news_add(struct convai_news_list *list, uint32_t kind, int64_t at_ms, const char *const *fields,
	uint32_t field_count);

/*! \brief The next piece, valid until the next call, or NULL. Channel thread. */
const struct convai_event *convai_news_take(struct convai_news_list *list);

/*! \brief Free what is left. Nobody uses the list any more. */
void convai_news_free(struct convai_news_list *list);

#endif /* CONVAI_NEWS_H */
