/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What must hold whatever bytes come: the readers of frames, of audio events and of long messages, for libFuzzer
 *
 * An input is flags, the sizes of the pieces that the bytes come in, and the bytes. tests/unit/test_frame_reader.py
 * reads it in the same way, and holds the outcome against orjson and the library.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "excerpt.h"
#include "frame_reader.h"

#define CHECK(condition) do { \
	if (!(condition)) { \
		fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
		abort(); \
	} \
} while (0)

enum {
	IS_TEXT = 0x01,		/* the bytes are one text, not frames */
	HAS_HEAD = 0x02,	/* the frames come behind an HTTP answer */
	PIECES = 3,		/* sizes, each one less than it is; they take turns */
	LEADING = 1 + PIECES,
	HEAD_IS_OVER = 4,
	MESSAGE_MAX = 300,	/* so that an input of a few bytes can be too long */
};

/*! What became of one byte */
enum fate {
	WAITS,
	PASSED,
	TAKEN,
	TAKEN_FIRST,		/* of a frame */
	DROPPED,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*! \brief A copy beyond whose ends nothing may be read. To be freed */
static uint8_t *copy_exactly(const uint8_t *bytes, size_t length)
{
	uint8_t *copy = malloc(length);

	CHECK(copy);
	memcpy(copy, bytes, length);
	return copy;
}

static void check_event(const uint8_t *bytes, size_t length, const struct convai_audio_event *event)
{
	CHECK(event->base64 > bytes && event->base64_length < length);
	CHECK(event->base64[-1] == '"' && event->base64[event->base64_length] == '"');
	CHECK((size_t) (event->base64 - bytes) + event->base64_length < length);
	CHECK(event->base64_length && event->base64_length % 4 == 0);
	CHECK(!memchr(event->base64, '"', event->base64_length) && !memchr(event->base64, '\\', event->base64_length));
	CHECK(event->event_id < 1000000000000000000u);
}

/*! \brief Read what is there. \return how much of it is dealt with */
static size_t read_piece(struct convai_frame_reader *reader, const uint8_t *bytes, size_t length, uint8_t *fates)
{
	struct convai_audio_event event;
	enum convai_frame_verdict verdict;
	size_t at = 0, used;

	do {
		int may_take = reader->head == HEAD_IS_OVER && !reader->bypass && !reader->fragmented && !reader->passing
			&& !reader->dropping;
		uint8_t *copy = copy_exactly(bytes + at, length - at);

		verdict = convai_frame_read(reader, copy, length - at, &used, &event);
		CHECK(used <= length - at);
		CHECK((verdict == CONVAI_FRAME_MORE) == !used);
		if (verdict == CONVAI_FRAME_AUDIO) {
			CHECK(may_take && copy[0] == 0x81 && copy[1] < 0x80 && copy[used - 1] != '"');
			check_event(copy, used, &event);
			memset(fates + at, TAKEN, used);
			fates[at] = TAKEN_FIRST;
		} else if (verdict == CONVAI_FRAME_SKIP || verdict == CONVAI_FRAME_DROP) {
			CHECK(reader->head == HEAD_IS_OVER && !reader->bypass && !reader->passing);
			CHECK(verdict == CONVAI_FRAME_DROP || ((copy[0] & 0x7f) < 0x03 && copy[1] < 0x80));
			memset(fates + at, DROPPED, used);
		} else {
			CHECK(reader->message <= reader->message_max);
			memset(fates + at, PASSED, used);
		}
		free(copy);
		at += used;
	} while (used);
	CHECK(length - at < CONVAI_FRAME_BYTES_MAX);
	return at;
}

/*! \param sizes of pieces, or NULL for one piece */
static void read_stream(const uint8_t *bytes, size_t length, struct convai_frame_reader reader, const uint8_t *sizes,
	uint8_t *fates)
{
	size_t there = 0, at = 0;
	int turn = 0;

	while (there < length) {
		size_t piece = sizes ? sizes[turn++ % PIECES] + 1u : length;

		there += piece < length - there ? piece : length - there;
		at += read_piece(&reader, bytes + at, there - at, fates + at);
	}
}

/*! \brief However a stream is cut, the same becomes of each byte */
static void check_stream(const uint8_t *bytes, size_t length, int has_head, const uint8_t *sizes)
{
	struct convai_frame_reader reader = { .head = has_head ? 0 : HEAD_IS_OVER, .message_max = MESSAGE_MAX };
	uint8_t *whole = calloc(1, length + 1), *cut = calloc(1, length + 1);

	CHECK(whole && cut);
	read_stream(bytes, length, reader, NULL, whole);
	read_stream(bytes, length, reader, sizes, cut);
	CHECK(!memcmp(whole, cut, length));
	free(whole);
	free(cut);
}

/*! \brief An excerpt is no longer than the text, and its own excerpt; a value lies within the text */
static void check_excerpt(const uint8_t *bytes, size_t length)
{
	uint8_t *copy = copy_exactly(bytes, length), *once = malloc(length), *twice = malloc(length);
	const uint8_t *value = NULL;
	int is_cut = 0;
	size_t first = convai_excerpt(copy, length, once, &is_cut), second, found;

	CHECK(first <= length);
	if (first) {
		uint8_t *exactly = copy_exactly(once, first);

		second = convai_excerpt(exactly, first, twice, &is_cut);
		/* A string with a wrong escape may be cut where it makes no sense any more. */
		CHECK(!second || (second == first && !memcmp(once, twice, first) && !is_cut));
		free(exactly);
	}
	found = convai_json_find(copy, length, "audio_event", "event_id", &value);
	CHECK(!found || (value > copy && value + found <= copy + length));
	free(copy);
	free(once);
	free(twice);
}

/*! \brief A text is recognized by itself exactly if it is within a frame */
static void check_text(const uint8_t *bytes, size_t length, const uint8_t *sizes)
{
	struct convai_frame_reader reader = { .head = HEAD_IS_OVER, .message_max = length };
	struct convai_audio_event event;
	uint8_t *copy = copy_exactly(bytes, length);
	int recognized = convai_audio_event_read(copy, length, &event);
	uint8_t *frame, *fates;

	if (recognized) {
		check_event(copy, length, &event);
	}
	free(copy);
	if (!length || length > UINT16_MAX) {
		return;
	}
	frame = malloc(4 + length);
	fates = calloc(1, 4 + length);
	CHECK(frame && fates);
	frame[0] = 0x81;
	frame[1] = 126;
	frame[2] = length >> 8;
	frame[3] = length & 0xff;
	memcpy(frame + 4, bytes, length);
	read_stream(frame, 4 + length, reader, sizes, fates);
	CHECK((fates[0] == TAKEN_FIRST) == (recognized && bytes[0] == '{'));
	free(frame);
	free(fates);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < LEADING) {
		return 0;
	}
	if (data[0] & IS_TEXT) {
		check_text(data + LEADING, size - LEADING, data + 1);
		check_excerpt(data + LEADING, size - LEADING);
	} else {
		check_stream(data + LEADING, size - LEADING, data[0] & HAS_HEAD, data + 1);
	}
	return 0;
}
