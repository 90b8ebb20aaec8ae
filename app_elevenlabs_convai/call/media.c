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
 */

#include "asterisk.h"

#include "asterisk/channel.h"	/* ast_set_read_format, ast_write */
#include "asterisk/format_cache.h"	/* the formats that are always there */
#include "asterisk/translate.h"	/* the pre-roll's way into the caller format */
#include "asterisk/utils.h"	/* ARRAY_LEN */

#include "call/media.h"
#include "call/playout_clock.h"

#define FRAMES_PER_SECOND (1000000 / PLAYOUT_FRAME_US)
#define ULAW_SILENCE 0xff
#define ALAW_SILENCE 0xd5

static int same_format(const struct ast_format *one, const struct ast_format *other)
{
	return ast_format_cmp(one, other) == AST_FORMAT_CMP_EQUAL;
}

/*!
 * \brief The format of Asterisk's for one of the contract, borrowed from the cache, or
 * NULL
 */
static struct ast_format *to_ast_format(const struct convai_format *format)
{
	struct ast_format *found;

	if (format->encoding == CONVAI_ENCODING_ULAW) {
		return format->rate == 8000 ? ast_format_ulaw : NULL;
	}
	if (format->encoding != CONVAI_ENCODING_SLIN || format->rate > 48000) {
		return NULL;
	}
	/* The cache gives the next lower rate when it has not got the one asked for. */
	found = ast_format_cache_get_slin_by_rate(format->rate);
	return ast_format_get_sample_rate(found) == format->rate ? found : NULL;
}

const char *media_format_name(const struct convai_format *format, char *name, size_t size)
{
	static const char * const encodings[] = {
		[CONVAI_ENCODING_NONE] = "none",
		[CONVAI_ENCODING_ULAW] = "ulaw",
		[CONVAI_ENCODING_SLIN] = "pcm",
	};

	snprintf(name, size, "%s %u Hz",
		format->encoding < ARRAY_LEN(encodings) ? encodings[format->encoding] : "unknown",
		format->rate);
	return name;
}

void media_open(struct media *media, struct ast_channel *channel)
{
	media->channel = channel;
	AST_LIST_HEAD_INIT_NOLOCK(&media->preroll);
	ast_channel_lock(channel);
	media->native_read = ao2_bump(ast_channel_readformat(channel));
	media->native_write = ao2_bump(ast_channel_writeformat(channel));
	ast_channel_unlock(channel);
}

int64_t media_length_us(const struct ast_frame *frame)
{
	unsigned int rate = ast_format_get_sample_rate(frame->subclass.format);

	return rate ? (int64_t) frame->samples * 1000000 / rate : 0;
}

unsigned int media_length_ms(const struct ast_frame *frame)
{
	return media_length_us(frame) / 1000;
}

int64_t media_audio_us(const struct convai_format *format, uint64_t bytes)
{
	unsigned int sample_bytes = format->encoding == CONVAI_ENCODING_SLIN ? 2 : 1;

	return format->rate ? (int64_t) (bytes * 1000000 / sample_bytes / format->rate) : 0;
}

int media_is_caller_format(const struct media *media, const struct ast_frame *frame)
{
	return same_format(frame->subclass.format, media->caller);
}

static void preroll_drop_oldest(struct media *media)
{
	struct ast_frame *frame = AST_LIST_REMOVE_HEAD(&media->preroll, frame_list);

	media->preroll_ms -= media_length_ms(frame);
	ast_frfree(frame);
}

void media_preroll_drop(struct media *media)
{
	while (!AST_LIST_EMPTY(&media->preroll)) {
		preroll_drop_oldest(media);
	}
}

void media_preroll_move(struct media *to, struct media *from)
{
	struct ast_frame *frame;

	while ((frame = AST_LIST_REMOVE_HEAD(&from->preroll, frame_list))) {
		AST_LIST_INSERT_TAIL(&to->preroll, frame, frame_list);
	}
	to->preroll_ms = from->preroll_ms;
	to->preroll_dropped_ms = from->preroll_dropped_ms;
	from->preroll_ms = 0;
}

void media_close(struct media *media)
{
	if (media->caller && media->native_read) {
		ast_set_read_format(media->channel, media->native_read);
	}
	if (media->agent && media->native_write) {
		ast_set_write_format(media->channel, media->native_write);
	}
	ao2_cleanup(media->native_read);
	ao2_cleanup(media->native_write);
	media->native_read = NULL;
	media->native_write = NULL;
}

static void frame_init(struct media *media, struct ast_format *format, unsigned int bytes,
	unsigned int samples)
{
	media->frame = (struct ast_frame) {
		.frametype = AST_FRAME_VOICE,
		.subclass.format = format,
		.datalen = bytes,
		.samples = samples,
		.offset = AST_FRIENDLY_OFFSET,
		.src = "ElevenLabsConvAI",
		.data.ptr = media_audio(media),
	};
}

static int refuse(const char *side, const struct convai_format *format, const char *why,
	char *reason, size_t size)
{
	char name[32];

	snprintf(reason, size,
		"the agent %s %s, %s; set its audio format to ulaw_8000 or pcm_16000",
		side, media_format_name(format, name, sizeof(name)), why);
	return -1;
}

int media_agree(struct media *media, const struct convai_progress *progress, char *reason,
	size_t size)
{
	struct ast_format *caller = to_ast_format(&progress->caller);
	struct ast_format *agent = to_ast_format(&progress->agent);
	unsigned int samples = progress->agent.rate / FRAMES_PER_SECOND;

	if (!caller) {
		return refuse("hears", &progress->caller, "which no channel has", reason, size);
	}
	if (!agent) {
		return refuse("speaks", &progress->agent, "which no channel has", reason, size);
	}
	if (ast_set_read_format(media->channel, caller)) {
		return refuse("hears", &progress->caller,
				"into which this channel's codec cannot be translated", reason, size);
	}
	media->caller = caller;
	if (ast_set_write_format(media->channel, agent)) {
		return refuse("speaks", &progress->agent,
				"which cannot be translated into this channel's codec", reason, size);
	}
	media->agent = agent;
	media->frame_bytes = progress->agent.encoding == CONVAI_ENCODING_SLIN
		? samples * sizeof(int16_t) : samples;
	frame_init(media, agent, media->frame_bytes, samples);
	return 0;
}

void media_preroll_keep(struct media *media, struct ast_frame *frame)
{
	struct ast_frame *copy = ast_frdup(frame);

	if (!copy) {
		media->preroll_dropped_ms += media_length_ms(frame);
		return;
	}
	AST_LIST_INSERT_TAIL(&media->preroll, copy, frame_list);
	media->preroll_ms += media_length_ms(copy);
	while (media->preroll_ms > MEDIA_PREROLL_MS_MAX) {
		media->preroll_dropped_ms += media_length_ms(AST_LIST_FIRST(&media->preroll));
		preroll_drop_oldest(media);
	}
}

/*! \brief Hand a list of frames to the taker, then free it: a translation may give several */
static void give(struct ast_frame *frames,
	void (*take)(void *data, struct ast_frame *frame), void *data)
{
	struct ast_frame *frame;

	for (frame = frames; frame; frame = AST_LIST_NEXT(frame, frame_list)) {
		take(data, frame);
	}
	if (frames) {
		ast_frfree(frames);
	}
}

void media_preroll_drain(struct media *media,
	void (*take)(void *data, struct ast_frame *frame), void *data)
{
	struct ast_trans_pvt *path = NULL;
	struct ast_format *source = NULL;
	struct ast_frame *frame;

	while ((frame = AST_LIST_REMOVE_HEAD(&media->preroll, frame_list))) {
		AST_LIST_NEXT(frame, frame_list) = NULL;
		if (same_format(frame->subclass.format, media->caller)) {
			give(frame, take, data);
			continue;
		}
		if (!path || !same_format(source, frame->subclass.format)) {
			if (path) {
				ast_translator_free_path(path);
			}
			ao2_replace(source, frame->subclass.format);
			path = ast_translator_build_path(media->caller, source);
		}
		if (path) {
			give(ast_translate(path, frame, 1), take, data);
		} else {
			media->preroll_dropped_ms += media_length_ms(frame);
			ast_frfree(frame);
		}
	}
	if (path) {
		ast_translator_free_path(path);
	}
	ao2_cleanup(source);
	media->preroll_ms = 0;
}

void media_silence(struct media *media)
{
	memset(media_audio(media), same_format(media->agent, ast_format_ulaw) ? ULAW_SILENCE : 0,
		media->frame_bytes);
}

int media_write(struct media *media)
{
	return ast_write(media->channel, &media->frame);
}

int media_write_native_silence(struct media *media)
{
	struct ast_format *format = media->native_write;
	unsigned int samples;
	unsigned int bytes;
	int silence;

	if (!format) {
		return 0;
	}
	samples = ast_format_get_sample_rate(format) / FRAMES_PER_SECOND;
	bytes = samples;
	if (same_format(format, ast_format_ulaw)) {
		silence = ULAW_SILENCE;
	} else if (same_format(format, ast_format_alaw)) {
		silence = ALAW_SILENCE;
	} else if (ast_format_cache_is_slinear(format)) {
		silence = 0;
		bytes = samples * sizeof(int16_t);
	} else {
		return 0;
	}
	if (bytes > MEDIA_FRAME_BYTES_MAX) {
		return 0;
	}
	memset(media_audio(media), silence, bytes);
	frame_init(media, format, bytes, samples);
	return media_write(media);
}
