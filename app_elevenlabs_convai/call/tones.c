/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */
/*!
 * \file
 * \brief Digits to the caller's line, one tone after the other, while its channel is read as ever
 */

#include "asterisk.h"

#include <ctype.h>	/* toupper(3) */

#include "asterisk/channel.h"	/* ast_senddigit_begin, ast_senddigit_end */
#include "asterisk/utils.h"	/* ast_copy_string */

#include "call/tones.h"

/*! Length of a tone, and of the pause behind it: what the slowest of menus still understands */
#define TONE_US 100000
/*! What a w stands for, as in SendDTMF() */
#define PAUSE_US 500000
#define PAUSE 'w'

size_t tones_count(const char *digits)
{
	size_t length = strlen(digits);

	return length < TONES_SIZE && strspn(digits, "0123456789*#ABCDabcdw") == length ? length : 0;
}

void tones_begin(struct tones *tones, const char *digits, int64_t now)
{
	*tones = (struct tones) { .due_us = now, .busy = 1 };
	ast_copy_string(tones->digits, digits, sizeof(tones->digits));
}

static char digit(const struct tones *tones)
{
	char c = tones->digits[tones->next];

	return c == PAUSE ? c : toupper(c);
}

static void end_tone(struct tones *tones, struct ast_channel *channel, int64_t now)
{
	ast_senddigit_end(channel, digit(tones), (now - tones->began_us) / 1000);
	tones->began_us = 0;
	tones->next++;
}

int tones_look(struct tones *tones, struct ast_channel *channel, int64_t now)
{
	if (!tones->busy || now < tones->due_us) {
		return 0;
	}
	if (tones->began_us) {
		end_tone(tones, channel, now);
		tones->due_us = now + TONE_US;
	} else if (!digit(tones)) {
		tones->busy = 0;
	} else if (digit(tones) == PAUSE) {
		tones->next++;
		tones->due_us = now + PAUSE_US;
	} else {
		ast_senddigit_begin(channel, digit(tones));
		tones->began_us = now;
		tones->due_us = now + TONE_US;
	}
	return !tones->busy;
}

int tones_wait_ms(const struct tones *tones, int64_t now)
{
	return tones->due_us <= now ? 0 : (int) ((tones->due_us - now + 999) / 1000);
}

void tones_lose(struct tones *tones, struct ast_channel *channel)
{
	if (tones->busy && tones->began_us) {
		/* Asterisk's own tone, where the line had none, would sound on, and its note be kept. */
		ast_deactivate_generator(channel);
		ast_channel_lock(channel);
		ast_channel_sending_dtmf_digit_set(channel, 0);
		ast_channel_unlock(channel);
	}
	tones->busy = 0;
}

void tones_stop(struct tones *tones, struct ast_channel *channel, int64_t now)
{
	if (tones->busy && tones->began_us) {
		end_tone(tones, channel, now);
	}
	tones->busy = 0;
}
