/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Frames
 */

#ifndef CONTEXT_FRAME_H
#define CONTEXT_FRAME_H

#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>

#include "asterisk/format.h"
#include "asterisk/linkedlists.h"

/*! Room that a channel driver wants before the audio */
#define AST_FRIENDLY_OFFSET 64

struct ast_stream_topology;

enum ast_frame_type {
	AST_FRAME_DTMF_END = 1,
	AST_FRAME_VOICE,
	AST_FRAME_VIDEO,
	AST_FRAME_CONTROL,
	AST_FRAME_NULL,
	AST_FRAME_IAX,
	AST_FRAME_TEXT,
	AST_FRAME_IMAGE,
	AST_FRAME_HTML,
	AST_FRAME_CNG,
	AST_FRAME_MODEM,
	AST_FRAME_DTMF_BEGIN,
	AST_FRAME_BRIDGE_ACTION,
	AST_FRAME_BRIDGE_ACTION_SYNC,
	AST_FRAME_RTCP,
	AST_FRAME_TEXT_DATA,
};

enum ast_control_frame_type {
	AST_CONTROL_HANGUP = 1,
	AST_CONTROL_RINGING = 3,
	AST_CONTROL_PROGRESS = 14,
	AST_CONTROL_HOLD = 16,
	AST_CONTROL_UNHOLD = 17,
	AST_CONTROL_TRANSFER = 21,
	AST_CONTROL_SRCCHANGE = 26,
};

enum ast_control_transfer {
	AST_TRANSFER_SUCCESS = 0,
	AST_TRANSFER_FAILED,
};

enum {
	AST_FRFLAG_HAS_TIMING_INFO = 1 << 0,
};

struct ast_frame_subclass {
	int integer;
	union {
		struct ast_format *format;
		struct ast_stream_topology *topology;
	};
	unsigned int frame_ending;
};

struct ast_frame {
	enum ast_frame_type frametype;
	struct ast_frame_subclass subclass;
	int datalen;	/*!< bytes */
	int samples;
	int mallocd;
	size_t mallocd_hdr_len;
	int offset;	/*!< bytes of room before the audio */
	const char *src;
	union {
		void *ptr;
		uint32_t uint32;
		char pad[8];
	} data;
	struct timeval delivery;
	AST_LIST_ENTRY(ast_frame) frame_list;
	unsigned int flags;
	long ts;
	long len;
	int seqno;
	int stream_num;
};

struct ast_frame *__ast_frdup(const struct ast_frame *fr, const char *file, int line,
	const char *func);
#define ast_frdup(fr) __ast_frdup(fr, __FILE__, __LINE__, __PRETTY_FUNCTION__)
void ast_frame_free(struct ast_frame *frame, int cache);
#define ast_frfree(fr) ast_frame_free(fr, 1)

#endif /* CONTEXT_FRAME_H */
