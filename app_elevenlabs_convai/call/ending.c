/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief How a call ends: a status for the dialplan, and one sentence for people
 */

#include "asterisk.h"

#include "asterisk/utf8.h"	/* ast_utf8_copy_string */

#include "call/ending.h"

void ending_set(struct ending *ending, enum convai_status status, const char *format, ...)
{
	char text[ENDING_REASON_SIZE];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	ending->status = status;
	/* A program that reads it need not bear half a character. */
	ast_utf8_copy_string(ending->reason, text, sizeof(ending->reason));
}
