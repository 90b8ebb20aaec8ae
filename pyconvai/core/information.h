/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What the module informs the loop of: its configuration, and calls that are over
 */

#ifndef CONVAI_INFORMATION_H
#define CONVAI_INFORMATION_H

#include <stdint.h>

#include "convai_ops.h"

struct convai_information {
	struct convai_information *next;	/*!< in the list of new ones */
	uint32_t what;			/*!< enum convai_inform */
	struct convai_pair *pairs;
	uint32_t pair_count;
};

/*! \brief Take what has come; or throw it away, where no loop will. Any thread. */
void convai_information_accept(void);
void convai_information_refuse(void);

/*!
 * \brief Take all that has come. Loop thread.
 * \return a list, oldest first, linked by next: each for convai_information_free; NULL for none
 */
struct convai_information *convai_information_take(void);

/*! \brief Free one; its values are overwritten */
void convai_information_free(struct convai_information *information);

/*!
 * \brief Keep a copy for the loop. Any thread; the caller wakes the loop.
 * \return 0, or -1 with errno set: ENOMEM, EBUSY, ESHUTDOWN (see inform in convai_ops.h)
 */
int convai_information_put(uint32_t what, const struct convai_pair *pairs, uint32_t pair_count);

#endif /* CONVAI_INFORMATION_H */
