/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Whose code the channel thread returns to
 */

#include "asterisk.h"

#include <dlfcn.h>	/* dladdr(3) */
#include <execinfo.h>	/* backtrace(3) */

#include "asterisk/paths.h"	/* where modules are */

#include "call/stack.h"

/*! More than a channel thread ever has: some 15, and 5 for each application that runs another */
#define FRAMES_MAX 128

int stack_has_other_module(void)
{
	void *frames[FRAMES_MAX];
	int count = backtrace(frames, FRAMES_MAX);
	size_t length = strlen(ast_config_AST_MODULE_DIR);
	Dl_info own;
	int i;

	if (count == FRAMES_MAX || !dladdr((void *) stack_has_other_module, &own)) {
		return 1;
	}
	for (i = 0; i < count; i++) {
		Dl_info info;

		if (!dladdr(frames[i], &info)
			|| (info.dli_fbase != own.dli_fbase
				&& !strncmp(info.dli_fname, ast_config_AST_MODULE_DIR, length))) {
			return 1;
		}
	}
	return 0;
}
