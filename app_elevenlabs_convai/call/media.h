/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Formats and frames: what the channel carries against what the agent hears and
 * speaks
 *
 * All of it is called from the channel thread alone.
 */

#ifndef CALL_MEDIA_H
#define CALL_MEDIA_H

#include <stdint.h>

#include "asterisk/frame.h"	/* struct ast_frame, AST_FRIENDLY_OFFSET */
#include "asterisk/linkedlists.h"	/* AST_LIST_HEAD_NOLOCK */

#include "convai_ops.h"

struct ast_channel;
struct ast_format;
struct ast_trans_pvt;

/*! 20 ms of the widest format there is here, 48 kHz PCM */
#define MEDIA_FRAME_BYTES_MAX (48000 / 50 * 2)
/*! Caller audio kept while the agent is not there yet; what came longer ago is stale by then */
#define MEDIA_PREROLL_MS_MAX 2000

/*!
 * The formats of one call. "Caller format" is what the agent hears of the caller, "agent
 * format" what it speaks; the channel's own are native_read and native_write.
 *
 * What is written, Asterisk translates. What is read comes as the line has it, and is
 * translated here, for the line may change its codec at any time: the channel's own path
 * stays behind then, and takes the time stamps of a jitter buffer for late frames.
 */
struct media {
	struct ast_channel *channel;	/*!< borrowed from the call */
	/*! the channel's formats before us; media_close restores them */
	struct ast_format *native_read;
	struct ast_format *native_write;
	unsigned int read_translated:1;	/*!< somebody before us had the channel translate */
	unsigned int write_translated:1;
	unsigned int said:1;	/*!< a codec without a translation has been logged */
	/*! which the channel goes on translating, whatever we ask for; with a reference, or NULL */
	struct ast_format *stuck;
	/*! what the agent hears, NULL until media_agree; borrowed, cached */
	struct ast_format *caller;
	struct ast_format *agent;	/*!< what the agent speaks, likewise */
	struct ast_format *source;	/*!< what path is from; with a reference, or NULL */
	struct ast_trans_pvt *path;	/*!< from source to caller; NULL if there is no way */
	/*! from which there was none when it was last looked for; with a reference, or NULL */
	struct ast_format *no_way;
	int64_t idle_us;	/*!< when the channel was last found without a frame; whoever waits for it sets it */
	int64_t came_us;	/*!< when the last voice frame came, see media_came */
	AST_LIST_HEAD_NOLOCK(, ast_frame) preroll;	/*!< owned; their delivery is when they came */
	unsigned int preroll_ms;
	/*! ms that the pre-roll has dropped: too old, or no memory */
	unsigned int preroll_dropped_ms;
	unsigned int frame_bytes;	/*!< of one frame of agent's audio */
	unsigned int failures;	/*!< writes that have failed in a row */
	int cause;	/*!< the channel's hang-up cause before us; mostly none */
	struct ast_frame frame;		/*!< reused for every write */
	/*! headroom and its audio */
	uint8_t buffer[AST_FRIENDLY_OFFSET + MEDIA_FRAME_BYTES_MAX];
};

/*!
 * \brief Note the channel's formats, so that media_close can restore them, and have the
 * channel read without translating
 */
void media_open(struct media *media, struct ast_channel *channel);

/*!
 * \brief See that the channel still reads without translating: a re-INVITE or a masquerade
 * may have it begin again
 */
void media_read_raw(struct media *media);

/*!
 * \brief Whether Asterisk can translate any codec that the channel has
 * \return 0, or -1 with a sentence in reason
 */
int media_check(const struct media *media, char *reason, size_t size);

/*!
 * \brief Restore the channel's formats: those before us, or whatever codec the channel has
 * got meanwhile. What is left of the pre-roll is kept.
 */
void media_close(struct media *media);

/*!
 * \brief Give the channel to the dialplan, in the middle of a conversation, with its formats as media_close
 * leaves them. What is left of the pre-roll is dropped.
 */
void media_lend(struct media *media);

/*!
 * \brief Take the channel back, with the formats that it has by now, for the same conversation
 * \return as media_agree
 */
int media_take_back(struct media *media, const struct convai_progress *progress, char *reason,
	size_t size);

/*! \brief Take over the pre-roll of a call that came to nothing, after media_open */
void media_preroll_move(struct media *to, struct media *from);

/*! \brief Forget the pre-roll */
void media_preroll_drop(struct media *media);

/*!
 * \brief Agree on the formats of the conversation, once, and set the channel to what is
 * written
 * \return 0, or -1 with a sentence in reason
 */
int media_agree(struct media *media, const struct convai_progress *progress, char *reason,
	size_t size);

/*!
 * \brief Note a voice frame that is read now, each one
 *
 * While the channel's thread does something else, on a busy machine or between two agents, frames
 * wait for it and are then read all at once. Nothing was missing on the line.
 * \return when it came at the latest: when the one before it was over, but not before the channel
 * was last found without one
 */
int64_t media_came(struct media *media, const struct ast_frame *frame, int64_t now);

/*!
 * \brief Keep a copy of a caller's frame until the agent is there, and forget the oldest
 * \param came_us when it came
 */
void media_preroll_keep(struct media *media, struct ast_frame *frame, int64_t came_us);

/*!
 * \brief Take the oldest frame of the pre-roll that is not stale by now
 * \param[out] came_us when it came
 * \return the frame, which the caller frees, or NULL
 */
struct ast_frame *media_preroll_take(struct media *media, int64_t now, int64_t *came_us);

/*!
 * \brief Hand over a voice frame in the caller format: as it is, or what a translation
 * makes of it. After media_agree.
 *
 * \param take is given each frame; it does not keep it
 * \return 0, or -1 if nothing was handed over; a codec without a translation is logged once
 */
int media_convert(struct media *media, const struct ast_frame *frame,
	void (*take)(void *data, const struct ast_frame *frame), void *data);

/*! \brief Where the audio of the frame that is written goes */
static inline uint8_t *media_audio(struct media *media)
{
	return media->buffer + AST_FRIENDLY_OFFSET;
}

/*! \brief Fill the frame with silence in the agent's format */
void media_silence(struct media *media);

/*!
 * \brief Write the frame whose audio is in place, frame_bytes of the agent format
 * \return as ast_write; what fails for less than a second does not end the call
 */
int media_write(struct media *media);

/*!
 * \brief Write a frame of silence in the format the channel has by itself
 *
 * The format is never changed for silence: switching in mid-stream is heard as noise.
 * Where the codec's silence is not known, nothing is written.
 */
int media_write_native_silence(struct media *media);

/*! \brief How long a voice frame lasts; 0 where its format has no rate */
int64_t media_length_us(const struct ast_frame *frame);
unsigned int media_length_ms(const struct ast_frame *frame);

/*! \brief When the line says that a voice frame begins, on a clock of its own; or CALLER_NO_STAMP */
int64_t media_stamp_us(const struct ast_frame *frame);

/*! \brief How long so many bytes of a format of the contract last, in microseconds */
int64_t media_audio_us(const struct convai_format *format, uint64_t bytes);

/*! \brief Name of a format of the contract, such as "ulaw 8000 Hz" */
const char *media_format_name(const struct convai_format *format, char *name,
	size_t size);

#endif /* CALL_MEDIA_H */
