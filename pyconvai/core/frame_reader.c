/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Takes audio events off the bytes of a WebSocket before the library sees them
 */

#include "frame_reader.h"

enum {
	FINAL = 0x80,
	RESERVED = 0x70,
	OPCODE = 0x0f,
	OPCODE_CONTINUATION = 0x00,
	OPCODE_TEXT = 0x01,
	OPCODE_BINARY = 0x02,
	OPCODE_CLOSE = 0x08,	/* from here on: control frames */
	OPCODE_PONG = 0x0a,
	MASKED = 0x80,
	CONTROL_TEXT_MAX = 125,
	LENGTH_16 = 126,
	LENGTH_64 = 127,
	LENGTH_BITS = 63,	/* the highest bit of a length of 64 bits has to be 0 */
};

/*! The header of one frame that a server sent */
struct frame {
	uint8_t first;
	int is_masked;
	size_t header;		/*!< its bytes */
	uint64_t text;		/*!< bytes behind it, if it is not masked */
};

/*! \brief Bytes up to the end of the HTTP answer, as far as they are there */
static size_t read_head(struct convai_frame_reader *reader, const uint8_t *bytes, size_t length)
{
	size_t i;

	for (i = 0; i < length && reader->head < CONVAI_FRAME_HEAD; i++) {
		if (bytes[i] == (reader->head % 2 ? '\n' : '\r')) {
			reader->head++;
		} else {
			reader->head = bytes[i] == '\r';
		}
	}
	return i;
}

/*! \return 0 if the header is not all there */
static int read_header(const uint8_t *bytes, size_t length, struct frame *frame)
{
	size_t extra, i;

	if (length < 2) {
		return 0;
	}
	frame->first = bytes[0];
	frame->is_masked = !!(bytes[1] & MASKED);
	frame->text = bytes[1] & ~MASKED;
	extra = frame->text == LENGTH_16 ? 2 : frame->text == LENGTH_64 ? 8 : 0;
	frame->header = 2 + extra;
	if (length < frame->header) {
		return 0;
	}
	for (i = 0; i < extra; i++) {
		frame->text = (i ? frame->text << 8 : 0) | bytes[2 + i];
	}
	return 1;
}

/*! \brief Whether the connection ends with this frame: a close, or one for which the library fails it */
static int is_last(const struct convai_frame_reader *reader, const struct frame *frame)
{
	int opcode = frame->first & OPCODE;

	if (frame->is_masked || frame->first & RESERVED || frame->text >> LENGTH_BITS) {
		return 1;
	}
	if (opcode >= OPCODE_CLOSE) {
		return opcode == OPCODE_CLOSE || opcode > OPCODE_PONG || !(frame->first & FINAL)
			|| frame->text > CONTROL_TEXT_MAX;
	}
	return opcode > OPCODE_BINARY || reader->fragmented != (opcode == OPCODE_CONTINUATION);
}

/*! \brief Whether a frame that is not the last may be audio, as far as its header and first character tell */
static int may_be_audio(const struct frame *frame, const uint8_t *bytes, size_t length)
{
	return frame->first == (FINAL | OPCODE_TEXT) && frame->text <= CONVAI_FRAME_TEXT_MAX
		&& (length == frame->header || bytes[frame->header] == '{');
}

/*! \brief Whether the message that a frame is part of is, or becomes, too long */
static int is_too_long(const struct convai_frame_reader *reader, const struct frame *frame)
{
	int opcode = frame->first & OPCODE;

	if (opcode >= OPCODE_CLOSE) {
		return 0;
	}
	if (opcode != OPCODE_CONTINUATION) {
		return frame->text > reader->message_max;
	}
	return reader->skipping || frame->text > reader->message_max - reader->message;
}

/*! \brief A frame begins: what is known of the message that it is part of changes */
static void begin(struct convai_frame_reader *reader, const struct frame *frame, int skip)
{
	int opcode = frame->first & OPCODE;

	if (opcode >= OPCODE_CLOSE) {
		return;
	}
	if (opcode != OPCODE_CONTINUATION) {
		reader->message = 0;
	}
	reader->message += skip ? 0 : frame->text;
	reader->fragmented = !(frame->first & FINAL);
	reader->skipping = skip && reader->fragmented;
}

/*! \brief As much as is there of what has yet to come of a frame */
static size_t read_rest(uint64_t *rest, size_t length)
{
	size_t there = *rest < length ? *rest : length;

	*rest -= there;
	return there;
}

/*! \brief Leave a frame to the library, as far as it is there. \return how many bytes that is */
static size_t pass(struct convai_frame_reader *reader, const struct frame *frame, size_t length)
{
	begin(reader, frame, 0);
	reader->passing = frame->text;
	return frame->header + read_rest(&reader->passing, length - frame->header);
}

/*! \brief Leave out a frame, as far as it is there. \return how many bytes that is */
static size_t skip(struct convai_frame_reader *reader, const struct frame *frame, size_t length)
{
	begin(reader, frame, 1);
	reader->dropping = frame->text;
	return frame->header + read_rest(&reader->dropping, length - frame->header);
}

enum convai_frame_verdict convai_frame_read(struct convai_frame_reader *reader,
	const uint8_t *bytes, size_t length, size_t *used, struct convai_audio_event *event)
{
	struct frame frame;
	size_t at = 0;
	int frames = 0;

	while (at < length && frames < CONVAI_FRAME_PASS_FRAMES) {
		if (reader->head < CONVAI_FRAME_HEAD) {
			/* By itself: it may refuse the upgrade, and then no frames follow. */
			at = read_head(reader, bytes, length);
			break;
		}
		if (reader->bypass) {
			at += length - at < CONVAI_FRAME_BYPASS_BYTES ? length - at : CONVAI_FRAME_BYPASS_BYTES;
			break;
		}
		if (reader->passing) {
			at += read_rest(&reader->passing, length - at);
		} else if (reader->dropping) {
			if (!at) {
				*used = read_rest(&reader->dropping, length);
				return CONVAI_FRAME_DROP;
			}
			break;
		} else if (!read_header(bytes + at, length - at, &frame)) {
			break;
		} else if (is_last(reader, &frame)) {
			reader->bypass = 1;
		} else if (is_too_long(reader, &frame)) {
			if (!at) {
				*used = skip(reader, &frame, length);
				return CONVAI_FRAME_SKIP;
			}
			break;
		} else if (!may_be_audio(&frame, bytes + at, length - at)) {
			at += pass(reader, &frame, length - at);
			frames++;
		} else if (at || length < frame.header + frame.text) {
			/* What came before it goes first; then it is looked at when all of it is there. */
			break;
		} else if (convai_audio_event_read(bytes + frame.header, frame.text, event)) {
			*used = frame.header + frame.text;
			return CONVAI_FRAME_AUDIO;
		} else {
			at += pass(reader, &frame, length);
			frames++;
		}
	}
	*used = at;
	return at ? CONVAI_FRAME_PASS : CONVAI_FRAME_MORE;
}
