/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What every file of a module begins with
 */

#ifndef CONTEXT_ASTERISK_H
#define CONTEXT_ASTERISK_H

#include <alloca.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/types.h>
#include <unistd.h>

#include "asterisk/astmm.h"
#include "asterisk/buildopts.h"
#include "asterisk/compiler.h"

struct ast_channel;
struct ast_frame;
struct ast_module;
struct ast_str;
struct ast_variable;

#ifndef AST_MODULE_SELF_SYM
#error "AST_MODULE_SELF_SYM is to be defined by whoever compiles a module"
#endif
struct ast_module *AST_MODULE_SELF_SYM(void);
#define AST_MODULE_SELF AST_MODULE_SELF_SYM()

int ast_register_atexit(void (*func)(void));
void ast_unregister_atexit(void (*func)(void));
/*! \return 0 as long as nobody has asked Asterisk to stop */
int ast_shutting_down(void);

#endif /* CONTEXT_ASTERISK_H */
