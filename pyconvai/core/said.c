/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The words of one conversation, for others to read
 */

#include "said.h"

#include <stdlib.h>
#include <string.h>

/*! What stands between two turns of a transcript: no turn has it in it */
#define BETWEEN_TURNS " / "

void convai_said_init(struct convai_said *said)
{
	pthread_mutex_init(&said->lock, NULL);
}

void convai_said_free(struct convai_said *said)
{
	uint32_t i;

	for (i = 0; i < CONVAI_WORDS_HEARD; i++) {
		free(said->texts[i]);
	}
	for (i = 0; i < said->response_count; i++) {
		free(said->responses[i].text);
	}
	pthread_mutex_destroy(&said->lock);
}

/* ---- UTF-8, as words.h has left it ---- */

static int is_inside(char byte)
{
	return (byte & 0xc0) == 0x80;
}

static uint32_t characters_of(const char *text)
{
	uint32_t count = 0;

	for (; *text; text++) {
		count += !is_inside(*text);
	}
	return count;
}

/*! \brief Bytes of the first so many characters, up to the end of a word */
static size_t bytes_of_words(const char *text, uint32_t characters)
{
	size_t bytes = 0;

	while (text[bytes] && (characters || is_inside(text[bytes]))) {
		characters -= !is_inside(text[bytes++]);
	}
	while (bytes && text[bytes] && text[bytes] != ' ') {
		bytes--;
	}
	while (bytes && text[bytes - 1] == ' ') {
		bytes--;
	}
	return bytes;
}

/*! \brief Copy no more than there is room for, and whole characters */
static void copy(const char *from, size_t length, char *text, size_t size)
{
	if (length >= size) {
		length = size - 1;
		while (length && is_inside(from[length])) {
			length--;
		}
	}
	memcpy(text, from, length);
	text[length] = '\0';
}

/* ---- Loop thread ---- */

int convai_said_put(struct convai_said *said, enum convai_words which, const char *text)
{
	char *copied = strndup(text, CONVAI_WORDS_BYTES - 1);
	char *before;

	if (!copied) {
		return -1;
	}
	pthread_mutex_lock(&said->lock);
	before = said->texts[which];
	said->texts[which] = copied;
	pthread_mutex_unlock(&said->lock);
	free(before);
	return 0;
}

void convai_said_begin(struct convai_said *said, uint64_t id, uint64_t place)
{
	struct convai_response *newest = said->responses;
	char *gone = NULL;

	pthread_mutex_lock(&said->lock);
	if (said->response_count && newest->end == UINT64_MAX) {
		newest->end = place;
	}
	if (said->response_count == CONVAI_RESPONSES_KEPT) {
		gone = said->responses[--said->response_count].text;
	}
	memmove(newest + 1, newest, said->response_count++ * sizeof(*newest));
	memset(newest, 0, sizeof(*newest));
	newest->id = id;
	newest->begin = place;
	newest->end = newest->heard_end = UINT64_MAX;
	newest->most = UINT32_MAX;
	pthread_mutex_unlock(&said->lock);
	free(gone);
}

int convai_said_response(struct convai_said *said, const char *text, uint32_t characters)
{
	struct convai_response *response = said->responses;
	char *before, *copied;

	if (!said->response_count) {
		return 0;
	}
	copied = strndup(text, CONVAI_WORDS_BYTES - 1);
	if (!copied) {
		return -1;
	}
	pthread_mutex_lock(&said->lock);
	before = response->text;
	response->text = copied;
	response->characters = characters;
	pthread_mutex_unlock(&said->lock);
	free(before);
	return 0;
}

/*! \brief Make room: marks that lie twice as far apart tell nearly as much */
static void thin_out(struct convai_response *response)
{
	uint32_t i;

	for (i = 0; i < CONVAI_RESPONSE_MARKS / 2; i++) {
		response->marks[i] = response->marks[2 * i + 1];
	}
	response->mark_count = CONVAI_RESPONSE_MARKS / 2;
}

void convai_said_audio(struct convai_said *said, uint64_t end, uint32_t characters)
{
	struct convai_response *response = said->responses;
	uint32_t count, before;

	/* Only this thread changes these; the others look. */
	if (!said->response_count || response->end != UINT64_MAX || response->unaligned) {
		return;
	}
	pthread_mutex_lock(&said->lock);
	response->unaligned = !characters;
	if (response->mark_count == CONVAI_RESPONSE_MARKS) {
		thin_out(response);
	}
	count = response->mark_count++;
	before = count ? response->marks[count - 1].characters : 0;
	response->marks[count] = (struct convai_said_mark) { end, before + characters };
	pthread_mutex_unlock(&said->lock);
}

void convai_said_cut(struct convai_said *said, uint64_t played, uint64_t appended)
{
	uint32_t i;

	pthread_mutex_lock(&said->lock);
	for (i = 0; i < said->response_count; i++) {
		struct convai_response *response = &said->responses[i];

		if (response->end == UINT64_MAX) {
			response->end = appended;
		}
		if (response->heard_end == UINT64_MAX && response->end > played) {
			response->heard_end = played;
		}
	}
	pthread_mutex_unlock(&said->lock);
}

void convai_said_correct(struct convai_said *said, uint32_t characters)
{
	if (said->response_count && said->responses[0].end != UINT64_MAX) {
		pthread_mutex_lock(&said->lock);
		said->responses[0].most = characters;
		pthread_mutex_unlock(&said->lock);
	}
}

/* ---- Any thread, and the lock is held; or the loop thread ---- */

/*! \brief Characters that the audio up to a place speaks, by what the service has told with each piece */
static uint32_t aligned(const struct convai_response *response, uint64_t place)
{
	struct convai_said_mark from = { response->begin, 0 };
	uint32_t i;

	for (i = 0; i < response->mark_count; i++) {
		struct convai_said_mark to = response->marks[i];

		if (place < to.end) {
			return from.characters
				+ (to.characters - from.characters) * (place - from.end) / (to.end - from.end);
		}
		from = to;
	}
	return from.characters;
}

/*! Of one turn: up to where it has been heard, and up to where its audio has come */
struct heard {
	uint64_t until, come;
};

static struct heard look(const struct convai_response *response, uint64_t played, uint64_t appended)
{
	uint64_t come = response->end == UINT64_MAX ? appended : response->end;
	uint64_t until = played < response->heard_end ? played : response->heard_end;

	until = until < come ? until : come;
	return (struct heard) { until > response->begin ? until : response->begin, come };
}

/*! \brief How many characters of it have been heard, as the service has said it */
static uint32_t heard_of(const struct convai_response *response, const struct heard *heard)
{
	uint64_t whole = response->characters;
	uint64_t spoken;

	if (heard->until == response->begin) {
		return 0;
	}
	if (!response->mark_count || response->unaligned) {
		spoken = whole * (heard->until - response->begin) / (heard->come - response->begin);
	} else {
		spoken = aligned(response, heard->until);
		if (heard->until >= heard->come && response->heard_end == UINT64_MAX
			&& spoken >= whole - whole / 8) {
			/* What it speaks may be written otherwise than what it says. */
			spoken = whole;
		}
	}
	spoken = spoken < response->most ? spoken : response->most;
	return spoken < whole ? spoken : whole;
}

/*! \brief What has been heard of the last turn of which anything has */
static void read_heard(const struct convai_said *said, uint64_t played, uint64_t appended, char *text,
	size_t size)
{
	uint32_t i;

	for (i = 0; i < said->response_count; i++) {
		const struct convai_response *response = &said->responses[i];
		struct heard heard = look(response, played, appended);
		uint64_t spoken;

		if (heard.until == response->begin) {
			continue;
		}
		if (response->text) {
			spoken = heard_of(response, &heard);
			/* As data it has fewer. */
			spoken = spoken < response->characters
				? spoken * characters_of(response->text) / response->characters : UINT32_MAX;
			copy(response->text, bytes_of_words(response->text, spoken), text, size);
		}
		return;
	}
}

/*! \brief A whole transcript, or its newest turns: as many as there is room for */
static void read_transcript(const char *all, char *text, size_t size)
{
	size_t length = strlen(all);
	const char *from = all;

	while (length - (from - all) >= size) {
		const char *next = strstr(from, BETWEEN_TURNS);

		if (!next) {
			break;	/* one turn is too long: its beginning */
		}
		from = next + strlen(BETWEEN_TURNS);
	}
	copy(from, strlen(from), text, size);
}

void convai_said_read(struct convai_said *said, enum convai_words which, uint64_t played,
	uint64_t appended, char *text, size_t size)
{
	*text = '\0';
	pthread_mutex_lock(&said->lock);
	if (which == CONVAI_WORDS_HEARD) {
		read_heard(said, played, appended, text, size);
	} else if (which < CONVAI_WORDS_HEARD && said->texts[which]) {
		if (which == CONVAI_WORDS_TRANSCRIPT) {
			read_transcript(said->texts[which], text, size);
		} else {
			copy(said->texts[which], strlen(said->texts[which]), text, size);
		}
	}
	pthread_mutex_unlock(&said->lock);
}

int64_t convai_said_heard(const struct convai_said *said, uint64_t id, uint64_t played,
	uint64_t appended)
{
	uint32_t i;

	/* The loop thread alone changes them: without the lock. */
	for (i = 0; i < said->response_count; i++) {
		const struct convai_response *response = &said->responses[i];
		struct heard heard = look(response, played, appended);

		if (response->id == id) {
			return response->text ? (int64_t) heard_of(response, &heard) : -1;
		}
	}
	return -1;
}
