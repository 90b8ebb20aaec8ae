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
	FINAL_TEXT = 0x81,
	FINAL = 0x80,
	CONTROL = 0x08,
	OPCODE = 0x0f,
	OPCODE_CLOSE = 0x08,
	MASKED = 0x80,
	LENGTH_16 = 126,
	LENGTH_64 = 127,
};

/*! The head of one frame */
struct frame {
	uint8_t first;
	int is_masked;
	size_t header;		/*!< bytes before mask and text */
	uint64_t text;		/*!< bytes behind the header, a mask included */
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
	if (frame->is_masked) {
		frame->text += 4;
	}
	return 1;
}

/*! \brief Whether a frame may be audio, as far as its header and the first of its text tell */
static int may_be_audio(const struct convai_frame_reader *reader, const struct frame *frame,
	const uint8_t *bytes, size_t length)
{
	return frame->first == FINAL_TEXT && !frame->is_masked && !reader->fragmented
		&& !reader->bypass && frame->text && frame->text <= CONVAI_FRAME_TEXT_MAX
		&& (length <= frame->header || bytes[frame->header] == '{');
}

/*! \brief Leave a frame to the library, as far as it is there. \return how many bytes that is */
static size_t pass(struct convai_frame_reader *reader, const struct frame *frame, size_t length)
{
	size_t there = length - frame->header;

	if ((frame->first & OPCODE) == OPCODE_CLOSE) {
		reader->bypass = 1;
	} else if (!(frame->first & CONTROL)) {
		reader->fragmented = !(frame->first & FINAL);
	}
	if (there >= frame->text) {
		return frame->header + frame->text;
	}
	reader->passing = frame->text - there;
	return length;
}

/*! \brief The rest of what was passed on in part. \return how many bytes of it are there */
static size_t read_passing(struct convai_frame_reader *reader, size_t length)
{
	size_t there = reader->passing < length ? reader->passing : length;

	reader->passing -= there;
	return there;
}

enum convai_frame_verdict convai_frame_read(struct convai_frame_reader *reader,
	const uint8_t *bytes, size_t length, size_t *used, struct convai_audio_event *event)
{
	struct frame frame;
	size_t at = 0;

	while (at < length) {
		if (reader->head < CONVAI_FRAME_HEAD) {
			at = read_head(reader, bytes, length);
			/* It may refuse the upgrade: then no frames follow. */
			break;
		}
		if (reader->bypass) {
			at = length;
		} else if (reader->passing) {
			at += read_passing(reader, length - at);
		} else if (!read_header(bytes + at, length - at, &frame)) {
			break;
		} else if (may_be_audio(reader, &frame, bytes + at, length - at)) {
			if (at || length < frame.header + frame.text) {
				/* What came before it goes first; then it is looked at when all of it is there. */
				break;
			}
			if (convai_audio_event_read(bytes + frame.header, frame.text, event)) {
				*used = frame.header + frame.text;
				return CONVAI_FRAME_AUDIO;
			}
			at += pass(reader, &frame, length);
		} else {
			at += pass(reader, &frame, length - at);
		}
	}
	*used = at;
	return at ? CONVAI_FRAME_PASS : CONVAI_FRAME_MORE;
}
