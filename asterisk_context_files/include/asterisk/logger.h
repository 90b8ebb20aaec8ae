/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The log
 */

#ifndef CONTEXT_LOGGER_H
#define CONTEXT_LOGGER_H

#include "asterisk/options.h"	/* option_debug */

#define __LOG_DEBUG 0
#define __LOG_NOTICE 2
#define __LOG_WARNING 3
#define __LOG_ERROR 4

#define _A_ __FILE__, __LINE__, __FUNCTION__
#define LOG_NOTICE __LOG_NOTICE, _A_
#define LOG_WARNING __LOG_WARNING, _A_
#define LOG_ERROR __LOG_ERROR, _A_
#define AST_LOG_DEBUG __LOG_DEBUG, _A_

void __attribute__((format(printf, 5, 6))) ast_log(int level, const char *file, int line,
	const char *function, const char *fmt, ...);
void __attribute__((format(printf, 5, 6))) __ast_verbose(const char *file, int line,
	const char *func, int level, const char *fmt, ...);
#define ast_verbose(...) __ast_verbose(_A_, -1, __VA_ARGS__)

extern int ast_verb_sys_level;
#define VERBOSITY_ATLEAST(level) ((level) <= ast_verb_sys_level)
#define ast_verb(level, ...) do { \
	if (VERBOSITY_ATLEAST(level)) { \
		__ast_verbose(_A_, level, __VA_ARGS__); \
	} \
} while (0)

unsigned int ast_debug_get_by_module(const char *module);
#define DEBUG_ATLEAST(level) \
	(option_debug >= (level) \
		|| (ast_opt_dbg_module \
			&& ((int) ast_debug_get_by_module(AST_MODULE) >= (level) \
				|| (int) ast_debug_get_by_module(__FILE__) >= (level))))
#define ast_debug(level, ...) do { \
	if (DEBUG_ATLEAST(level)) { \
		ast_log(AST_LOG_DEBUG, __VA_ARGS__); \
	} \
} while (0)

#endif /* CONTEXT_LOGGER_H */
