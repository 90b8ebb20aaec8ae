/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Options of the process
 */

#ifndef CONTEXT_OPTIONS_H
#define CONTEXT_OPTIONS_H

#include "asterisk/utils.h"	/* struct ast_flags64 */

enum ast_option_flags {
	AST_OPT_FLAG_DEBUG_MODULE = 1 << 23,
};

extern struct ast_flags64 ast_options;
extern int option_debug;

#define ast_opt_dbg_module ast_test_flag64(&ast_options, AST_OPT_FLAG_DEBUG_MODULE)

#endif /* CONTEXT_OPTIONS_H */
