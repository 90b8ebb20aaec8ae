/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The state of an extension, a device or a queue, as the dialplan's own functions tell it
 */

#include "asterisk.h"

#include "asterisk/pbx.h"	/* ast_func_read */
#include "asterisk/strings.h"	/* ast_copy_string */

#include "call/state.h"
#include "convai_ops.h"

/*! Room for a function's name, and for what is asked for */
#define ASKED_SIZE 256

/*!
 * \brief Ask a function. \return 0, or -1 with a sentence for the agent
 * \param more goes behind the name: a comma and an option, or ""
 */
static int ask(const char *function, const char *name, const char *more, char *value, size_t value_size,
	char *text, size_t size)
{
	char asked[ASKED_SIZE];

	if (!ast_custom_function_find(function)) {
		snprintf(text, size, "The phone system cannot tell the state of %s: its function %s is not loaded.",
			name, function);
		return -1;
	}
	snprintf(asked, sizeof(asked), "%s(%s%s)", function, name, more);
	if (ast_func_read(NULL, asked, value, value_size)) {
		snprintf(text, size, "The phone system cannot tell the state of %s; its log tells why.", name);
		return -1;
	}
	return 0;
}

static uint32_t tell_one(const char *function, const char *name, char *text, size_t size)
{
	char value[64];

	if (ask(function, name, "", value, sizeof(value), text, size)) {
		return CONVAI_STEP_FAILED;
	}
	ast_copy_string(text, value, size);
	return CONVAI_STEP_DONE;
}

static uint32_t tell_queue(const char *name, char *text, size_t size)
{
	char members[16];
	char ready[16];
	char callers[16];
	char exists[16];

	if (ask("QUEUE_EXISTS", name, "", exists, sizeof(exists), text, size)) {
		return CONVAI_STEP_FAILED;
	}
	if (strcmp(exists, "1")) {
		snprintf(text, size, "The phone system has no queue %s.", name);
		return CONVAI_STEP_FAILED;
	}
	if (ask("QUEUE_MEMBER", name, ",logged", members, sizeof(members), text, size)
		|| ask("QUEUE_MEMBER", name, ",free", ready, sizeof(ready), text, size)
		|| ask("QUEUE_WAITING_COUNT", name, "", callers, sizeof(callers), text, size)) {
		return CONVAI_STEP_FAILED;
	}
	snprintf(text, size, "members=%s, free=%s, callers=%s", members, ready, callers);
	return CONVAI_STEP_DONE;
}

uint32_t state_tell(const char *name, char *text, size_t size)
{
	if (strpbrk(name, "/:")) {
		return tell_one("DEVICE_STATE", name, text, size);
	}
	return strchr(name, '@') ? tell_one("EXTENSION_STATE", name, text, size)
		: tell_queue(name, text, size);
}
