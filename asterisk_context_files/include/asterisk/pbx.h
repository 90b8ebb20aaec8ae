/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The dialplan
 */

#ifndef CONTEXT_PBX_H
#define CONTEXT_PBX_H

#include <stddef.h>

struct ast_channel;

/*! \brief Set a channel variable; NULL deletes it */
int pbx_builtin_setvar_helper(struct ast_channel *chan, const char *name,
	const char *value);

int ast_func_read(struct ast_channel *chan, const char *function, char *workspace, size_t len);

#endif /* CONTEXT_PBX_H */
