/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */
/*!
 * \file
 * \brief The dialplan, a bridge or the far end takes a channel elsewhere; digits to its line
 *
 * For the one channel that a test has.
 */

#include "host_internal.h"

#include "asterisk/bridge.h"
#include "asterisk/core_local.h"
#include "asterisk/pbx.h"

#define TEXT_SIZE 512

static struct {
	char went[TEXT_SIZE];
	char tones[TEXT_SIZE];
	char sounds;	/*!< the digit, '\0': none */
	int is_lost;	/*!< it sounded on the line of another device */
	int64_t since;
	int is_without_pbx;
	int is_refused;
	struct ast_channel *half;
} seen;

static struct ast_channel_tech telephone;

static void __attribute__((format(printf, 2, 3))) add(char *text, const char *format, ...)
{
	size_t length = strlen(text);
	va_list ap;

	va_start(ap, format);
	vsnprintf(text + length, TEXT_SIZE - length, format, ap);
	va_end(ap);
}

/* ---- The dialplan ---- */

const char *ast_channel_context(const struct ast_channel *chan)
{
	return "callers";
}

void host_channel_without_pbx(void)
{
	seen.is_without_pbx = 1;
}

struct ast_pbx *ast_channel_pbx(const struct ast_channel *chan)
{
	return seen.is_without_pbx ? NULL : (struct ast_pbx *) &seen;
}

int ast_explicit_goto(struct ast_channel *chan, const char *context, const char *exten, int priority)
{
	if (ast_channel_softhangup_internal_flag(chan) & AST_SOFTHANGUP_ASYNCGOTO) {
		return -1;
	}
	add(seen.went, "goto %s,%s,%d ", context, exten, priority);
	return 0;
}

/*! \brief Whether a set such as [1-35] has a character. \param[in,out] set behind the bracket; then behind its end */
static int is_in_set(const char **set, char c)
{
	int found = 0;

	while (**set != ']') {
		if ((*set)[1] == '-' && (*set)[2] != ']') {
			found |= c >= **set && c <= (*set)[2];
			*set += 3;
		} else {
			found |= c == *(*set)++;
		}
	}
	++*set;
	return found;
}

int ast_extension_match(const char *pattern, const char *extension)
{
	if (*pattern++ != '_') {
		return !strcmp(pattern - 1, extension);
	}
	for (; *pattern; extension++) {
		char c = *pattern++;

		if (c == '!' || (c == '.' && *extension)) {
			return 1;
		}
		if (!*extension || (c == '[' ? !is_in_set(&pattern, *extension)
			: c == 'X' ? !strchr("0123456789", *extension)
			: c == 'Z' ? !strchr("123456789", *extension)
			: c == 'N' ? !strchr("23456789", *extension) : c != *extension)) {
			return 0;
		}
	}
	return !*extension;
}

/* ---- A bridge ---- */

void host_channel_half(struct ast_channel *half)
{
	seen.half = half;
}

struct ast_channel *ast_local_get_peer(struct ast_channel *ast)
{
	return ao2_bump(seen.half);
}

int ast_channel_is_bridged(const struct ast_channel *chan)
{
	return chan == seen.half;
}

enum ast_transfer_result ast_bridge_transfer_blind(int is_external, struct ast_channel *transferer,
	const char *exten, const char *context, transfer_channel_cb new_channel_cb, void *user_data)
{
	struct transfer_channel_data data = { .data = user_data };

	if (transferer != seen.half) {
		FAIL("%s is in no bridge", ast_channel_name(transferer));
	}
	if (host_call_fails(__func__)) {
		return AST_BRIDGE_TRANSFER_FAIL;
	}
	new_channel_cb(transferer, &data, AST_BRIDGE_TRANSFER_SINGLE_PARTY);
	add(seen.went, "bridge %s,%s ", context, exten);
	return AST_BRIDGE_TRANSFER_SUCCESS;
}

/* ---- The far end ---- */

static int refer(struct ast_channel *chan, const char *destination)
{
	if (seen.is_refused) {
		return -1;
	}
	add(seen.went, "refer %s ", destination);
	return 0;
}

void host_channel_refers(int takes)
{
	const struct ast_channel_tech tech = { .transfer = refer };

	memcpy(&telephone, &tech, sizeof(tech));
	seen.is_refused = !takes;
}

const struct ast_channel_tech *ast_channel_tech(const struct ast_channel *chan)
{
	return &telephone;
}

const char *host_went(void)
{
	return seen.went;
}

/* ---- Digits ---- */

int ast_senddigit_begin(struct ast_channel *chan, char digit)
{
	if (seen.sounds) {
		FAIL("a digit begins while another sounds");
	}
	seen.sounds = digit;
	seen.is_lost = 0;
	seen.since = host_now();
	return 0;
}

int ast_senddigit_end(struct ast_channel *chan, char digit, unsigned int duration)
{
	if (digit != seen.sounds || seen.is_lost) {
		FAIL("a digit ends that does not sound");
	}
	seen.sounds = '\0';
	add(seen.tones, "%c@%lld+%u ", digit, (long long) (seen.since / 1000), duration);
	return 0;
}

void ast_channel_sending_dtmf_digit_set(struct ast_channel *chan, char value)
{
	seen.sounds = value;
}

void host_lose_tone(void)
{
	seen.is_lost = 1;
}

int host_tone_sounds(void)
{
	return seen.sounds != '\0';
}

const char *host_tones(void)
{
	return seen.tones;
}
