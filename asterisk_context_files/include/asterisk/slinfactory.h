/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Signed linear audio in any amounts
 */

#ifndef CONTEXT_SLINFACTORY_H
#define CONTEXT_SLINFACTORY_H

#include <stddef.h>

#include "asterisk/linkedlists.h"

#define AST_SLINFACTORY_MAX_HOLD 1280

struct ast_format;
struct ast_frame;
struct ast_trans_pvt;

struct ast_slinfactory {
	AST_LIST_HEAD_NOLOCK(, ast_frame) queue;
	struct ast_trans_pvt *trans;
	short hold[AST_SLINFACTORY_MAX_HOLD];
	short *offset;
	size_t holdlen;
	unsigned int size;
	struct ast_format *format;
	struct ast_format *output_format;
};

#endif /* CONTEXT_SLINFACTORY_H */
