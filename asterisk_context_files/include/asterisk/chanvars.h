/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Channel variables
 */

#ifndef CONTEXT_CHANVARS_H
#define CONTEXT_CHANVARS_H

#include "asterisk/linkedlists.h"

struct ast_var_t {
	AST_LIST_ENTRY(ast_var_t) entries;
	char *value;
	char name[0];
};

AST_LIST_HEAD_NOLOCK(varshead, ast_var_t);

/*! \brief Name without the prefixes for inheritance */
const char *ast_var_name(const struct ast_var_t *var);
const char *ast_var_value(const struct ast_var_t *var);

#endif /* CONTEXT_CHANVARS_H */
