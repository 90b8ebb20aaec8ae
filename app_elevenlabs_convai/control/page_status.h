/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What the live page shows, as JSON
 */

#ifndef CONTROL_PAGE_STATUS_H
#define CONTROL_PAGE_STATUS_H

#include <stdint.h>

struct ast_str;

/*! What a viewer has seen already, and which call it looks at */
struct page_cursor {
	unsigned int has_levels:1;	/*!< it has had a status before: the newest levels are enough */
	uint64_t call;	/*!< number of a feed; 0: none */
	uint64_t from;	/*!< its events that come next */
	uint64_t ended;	/*!< the last ending that was seen */
	unsigned int may_call:1;	/*!< who looks may send and hang up */
};

/*! \brief Note when the module was loaded. Load, reload, unload only; counts the first time alone. */
void page_status_begin(void);

/*! \brief Begin anew if what was seen was another load's: its calls and endings had numbers of their own */
void page_status_since(struct page_cursor *cursor, uint64_t since);

/*!
 * \brief Append all of it, one object on one line, and move the cursor on
 *
 * Threads of Asterisk's HTTP server, without a lock; waits for the locks of calls, each for a moment.
 * docs/page.md has its members.
 */
void page_status_append(struct ast_str **out, struct page_cursor *cursor);

#endif /* CONTROL_PAGE_STATUS_H */
