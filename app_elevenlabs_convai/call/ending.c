/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief How a call ends: a status for the dialplan, one sentence for people, and what others said of it
 */

#include "asterisk.h"

#include "asterisk/utils.h"	/* ast_copy_string */

#include "call/ending.h"
#include "words.h"

void ending_set(struct ending *ending, enum convai_status status, const char *format, ...)
{
	char text[2 * ENDING_REASON_SIZE];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	ending->status = status;
	text[words_clean(text, strlen(text), sizeof(ending->reason) - 1, WORDS_SENTENCE)] = '\0';
	ast_copy_string(ending->reason, text, sizeof(ending->reason));
	ending->detail[0] = '\0';
}

void ending_set_detail(struct ending *ending, const char *words)
{
	char text[2 * ENDING_REASON_SIZE];

	ast_copy_string(text, words, sizeof(text));
	text[words_clean(text, strlen(text), sizeof(ending->detail) - 1, WORDS_LINE)] = '\0';
	ast_copy_string(ending->detail, text, sizeof(ending->detail));
}

void ending_set_asked(struct ending *ending, enum convai_status asked)
{
	ending_set(ending, asked, asked == CONVAI_STATUS_TRANSFER
		? "the dialplan has handed the caller over" : "the dialplan has ended the conversation");
}
