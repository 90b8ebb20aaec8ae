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
 *
 * Whole, unfragmented, unmasked text frames (RFC 6455, section 5.2) whose text is an audio
 * event are taken; everything else is the library's, byte for byte and in order. Of a message that
 * is too long, or becomes so, the library gets empty frames in place of those that would make it
 * so: it knows where messages begin and end, and keeps nothing. After a close frame, or one for
 * which the library fails the connection, nothing is taken or left out. Loop thread; no allocation,
 * no Python.
 */

#ifndef CONVAI_FRAME_READER_H
#define CONVAI_FRAME_READER_H

#include <stddef.h>
#include <stdint.h>

#include "audio_event.h"

/*! Longer frames, in bytes of text, are the library's: what waits for its end is kept in memory */
#define CONVAI_FRAME_TEXT_MAX 131072
/*! Most bytes that one frame of these has: header and text */
#define CONVAI_FRAME_BYTES_MAX (CONVAI_FRAME_TEXT_MAX + 10)

/*! Most frames that are passed on in one go: behind each go the caller looks at its clock */
#define CONVAI_FRAME_PASS_FRAMES 4
/*! The same in bytes, once frames are not looked at any more; the shortest ones have 2 */
#define CONVAI_FRAME_BYPASS_BYTES 256

/*! Length of what ends the head of an HTTP answer, CR LF CR LF */
#define CONVAI_FRAME_HEAD 4

/*! What to do with the bytes at the front */
enum convai_frame_verdict {
	CONVAI_FRAME_MORE,	/*!< nothing: they begin what is not all there yet */
	CONVAI_FRAME_PASS,	/*!< give them to the library */
	CONVAI_FRAME_AUDIO,	/*!< play the event; if it cannot be played, give them to the library */
	CONVAI_FRAME_SKIP,	/*!< drop them: the message under way is too long. The library gets an empty frame, see below */
	CONVAI_FRAME_DROP,	/*!< drop them: they are the rest of a frame that is skipped */
};

/*! One connection's. Zero before the first byte, but for message_max. */
struct convai_frame_reader {
	uint64_t message_max;	/*!< longest message, in bytes of text; longer than any audio event */
	uint64_t message;	/*!< how much of the message under way has been passed on, or has begun to be */
	uint64_t passing;	/*!< how many bytes of the frame that is being passed on have yet to come */
	uint64_t dropping;	/*!< the same of the frame that is skipped */
	unsigned int head:3;	/*!< how much of the HTTP answer's final CR LF CR LF has come; at 4, frames follow */
	unsigned int fragmented:1;	/*!< the message that is under way has come in part */
	unsigned int skipping:1;	/*!< it is too long: all that is still to come of it is skipped */
	unsigned int bypass:1;	/*!< everything is the library's: the connection ends. Set here, and by the caller. */
};

/*!
 * \brief Say what the bytes at the front are
 *
 * Called until it wants more, each time with the bytes behind those that were used; those that were not used come
 * again, with more behind them. Whatever is passed the caller gives to the library before it calls again. If frames
 * follow then and the library's connection is not open, the caller sets bypass: the library has more reasons to fail
 * one than are known here, such as a refusal in the HTTP answer. At the end of the stream, what still waits is the
 * library's.
 *
 * For CONVAI_FRAME_SKIP the caller gives the library two bytes, the first of the frame and a length of 0, and hands on
 * nothing of the message that this frame is part of.
 *
 * \param[out] used how many bytes the verdict is about; 0 for CONVAI_FRAME_MORE
 * \param[out] event set for CONVAI_FRAME_AUDIO; it points into the bytes
 */
enum convai_frame_verdict convai_frame_read(struct convai_frame_reader *reader,
	const uint8_t *bytes, size_t length, size_t *used, struct convai_audio_event *event);

#endif /* CONVAI_FRAME_READER_H */
