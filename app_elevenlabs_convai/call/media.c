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
#include "asterisk/codec.h"	/* AST_MEDIA_TYPE_AUDIO */
#include "asterisk/format_cache.h"	/* the formats that are always there */
#include "asterisk/format_cap.h"	/* a channel's codecs */
#include "asterisk/translate.h"	/* the way into the caller format */
#include "asterisk/utils.h"	/* ARRAY_LEN */

#include "call/caller_clock.h"
#include "call/media.h"
#include "call/playout_clock.h"
#include "door.h"

#define FRAMES_PER_SECOND (1000000 / PLAYOUT_FRAME_US)
#define ULAW_SILENCE 0xff
#define ALAW_SILENCE 0xd5
/*! A channel that takes no frame for a second never will; a busy machine's re-INVITE is quicker */
#define FAILURES_MAX FRAMES_PER_SECOND
/*! What helps against a codec that cannot be translated */
#define REMEDY "set allow = ulaw (or alaw, g722) for its endpoint"

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
	media->read_translated = ast_channel_readtrans(channel) != NULL;
	media->write_translated = ast_channel_writetrans(channel) != NULL;
	media->cause = ast_channel_hangupcause(channel);
	ast_channel_unlock(channel);
	media_read_raw(media);
}

/*! \brief What the channel translates from, with a reference; NULL if it does not translate */
static struct ast_format *translated_from(struct ast_channel *channel)
{
	struct ast_format *raw = NULL;

	ast_channel_lock(channel);
	if (ast_channel_readtrans(channel)) {
		raw = ao2_bump(ast_channel_rawreadformat(channel));
	}
	ast_channel_unlock(channel);
	return raw;
}

void media_read_raw(struct media *media)
{
	struct ast_format *raw = translated_from(media->channel);

	if (!raw) {
		return;
	}
	if (!media->stuck || !same_format(raw, media->stuck)) {
		ast_set_read_format(media->channel, raw);
		ao2_ref(raw, -1);
		ao2_cleanup(media->stuck);
		raw = media->stuck = translated_from(media->channel);
		ao2_bump(raw);
	}
	ao2_cleanup(raw);
}

static int can_translate(struct ast_format *from, struct ast_format *to)
{
	return same_format(from, to) || (int) ast_translate_path_steps(to, from) >= 0;
}

/*! \brief Whether some format of an agent's can be had of a codec and made into it */
static int is_usable(struct ast_format *codec)
{
	struct ast_format *linear = ast_format_cache_get_slin_by_rate(8000);

	return same_format(codec, ast_format_ulaw) || ast_format_cache_is_slinear(codec)
		|| (can_translate(codec, linear) && can_translate(linear, codec));
}

int media_check(const struct media *media, char *reason, size_t size)
{
	struct ast_format_cap *codecs;
	char names[64] = "";
	int is_any_usable = 0;
	size_t i;

	ast_channel_lock(media->channel);
	codecs = ao2_bump(ast_channel_nativeformats(media->channel));
	ast_channel_unlock(media->channel);
	for (i = 0; codecs && i < ast_format_cap_count(codecs); i++) {
		struct ast_format *codec = ast_format_cap_get_format(codecs, i);
		size_t length = strlen(names);

		if (ast_format_get_type(codec) == AST_MEDIA_TYPE_AUDIO
			&& !same_format(codec, ast_format_none)) {
			is_any_usable |= is_usable(codec);
			snprintf(names + length, sizeof(names) - length, "%s%s", length ? ", " : "",
				ast_format_get_name(codec));
		}
		ao2_ref(codec, -1);
	}
	ao2_cleanup(codecs);
	if (is_any_usable || !names[0]) {
		return 0;
	}
	snprintf(reason, size,
		"this Asterisk cannot translate the channel's codec, %s: " REMEDY, names);
	return -1;
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

int64_t media_stamp_us(const struct ast_frame *frame)
{
	/* In ms; what RTP has no room for is not of a line's. */
	if (!(frame->flags & AST_FRFLAG_HAS_TIMING_INFO) || frame->ts < 0 || frame->ts > INT32_MAX) {
		return CALLER_NO_STAMP;
	}
	return (int64_t) frame->ts * 1000;
}

int64_t media_audio_us(const struct convai_format *format, uint64_t bytes)
{
	unsigned int sample_bytes = format->encoding == CONVAI_ENCODING_SLIN ? 2 : 1;

	return format->rate ? (int64_t) (bytes * 1000000 / sample_bytes / format->rate) : 0;
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
	to->idle_us = from->idle_us;
	to->came_us = from->came_us;
	to->preroll_ms = from->preroll_ms;
	to->preroll_dropped_ms = from->preroll_dropped_ms;
	from->preroll_ms = 0;
}

/*! \brief What the channel is to be written in when we leave, with a reference */
static struct ast_format *format_to_leave(const struct media *media)
{
	struct ast_format *format = media->native_write;

	ast_channel_lock(media->channel);
	if (!media->write_translated) {
		format = ast_channel_rawwriteformat(media->channel);
	}
	ao2_bump(format);
	ast_channel_unlock(media->channel);
	return format;
}

static void path_free(struct media *media)
{
	if (media->path) {
		ast_translator_free_path(media->path);
		media->path = NULL;
	}
	ao2_cleanup(media->source);
	media->source = NULL;
}

void media_close(struct media *media)
{
	struct ast_format *format = format_to_leave(media);

	if (media->read_translated) {
		ast_set_read_format(media->channel, media->native_read);
	} else {
		media_read_raw(media);
	}
	if (media->agent && format) {
		ast_set_write_format(media->channel, format);
	}
	ao2_cleanup(format);
	path_free(media);
	ao2_cleanup(media->no_way);
	media->no_way = NULL;
	ao2_cleanup(media->stuck);
	ao2_cleanup(media->native_read);
	ao2_cleanup(media->native_write);
	media->stuck = NULL;
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

/*! \brief Whether what the line sends now can be translated; it may send something else later */
static int can_hear(const struct media *media, struct ast_format *caller)
{
	struct ast_format *raw;
	int res;

	ast_channel_lock(media->channel);
	raw = ao2_bump(ast_channel_rawreadformat(media->channel));
	ast_channel_unlock(media->channel);
	res = raw && can_translate(raw, caller);
	ao2_cleanup(raw);
	return res;
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
	if (!can_hear(media, caller)) {
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

void media_lend(struct media *media)
{
	media_preroll_drop(media);
	media_close(media);
	media->agent = NULL;
}

int media_take_back(struct media *media, const struct convai_progress *progress, char *reason,
	size_t size)
{
	unsigned int read_translated = media->read_translated;
	unsigned int write_translated = media->write_translated;

	media_open(media, media->channel);
	/* A masquerade leaves the channel translating from another codec; nobody before us wanted that. */
	media->read_translated &= read_translated;
	media->write_translated &= write_translated;
	return media_agree(media, progress, reason, size);
}

/*! \brief Forget the oldest frame of the pre-roll, and count that */
static void preroll_age(struct media *media)
{
	media->preroll_dropped_ms += media_length_ms(AST_LIST_FIRST(&media->preroll));
	preroll_drop_oldest(media);
}

int64_t media_came(struct media *media, const struct ast_frame *frame, int64_t now)
{
	int64_t came_us = MAX(media->came_us + media_length_us(frame), media->idle_us);

	media->came_us = media->came_us ? MIN(came_us, now) : now;
	return media->came_us;
}

void media_preroll_keep(struct media *media, struct ast_frame *frame, int64_t came_us)
{
	struct ast_frame *copy = ast_frdup(frame);

	if (!copy) {
		media->preroll_dropped_ms += media_length_ms(frame);
		return;
	}
	copy->delivery = (struct timeval) { came_us / 1000000, came_us % 1000000 };
	AST_LIST_INSERT_TAIL(&media->preroll, copy, frame_list);
	media->preroll_ms += media_length_ms(copy);
	while (media->preroll_ms > MEDIA_PREROLL_MS_MAX) {
		preroll_age(media);
	}
}

struct ast_frame *media_preroll_take(struct media *media, int64_t now, int64_t *came_us)
{
	struct ast_frame *frame;

	while ((frame = AST_LIST_FIRST(&media->preroll))) {
		*came_us = frame->delivery.tv_sec * INT64_C(1000000) + frame->delivery.tv_usec;
		if (now - *came_us < MEDIA_PREROLL_MS_MAX * INT64_C(1000)) {
			AST_LIST_REMOVE_HEAD(&media->preroll, frame_list);
			AST_LIST_NEXT(frame, frame_list) = NULL;
			media->preroll_ms -= media_length_ms(frame);
			break;
		}
		preroll_age(media);
	}
	return frame;
}

/*! \brief Have a path from this format, or none where there is no way; that is said once */
static void path_follow(struct media *media, struct ast_format *source)
{
	if (media->source && same_format(source, media->source)) {
		return;
	}
	path_free(media);
	media->source = ao2_bump(source);
	if (media->no_way && same_format(source, media->no_way)) {
		/* Asterisk logs each look, and a telephone may change its codec with each packet. */
		return;
	}
	media->path = ast_translator_build_path(media->caller, source);
	if (!media->path) {
		ao2_cleanup(media->no_way);
		media->no_way = ao2_bump(source);
	}
	if (!media->path && !media->said) {
		media->said = 1;
		door_log(LOG_WARNING,
			"%s: this Asterisk cannot translate what the caller sends, %s: the agent hears silence; "
			REMEDY "\n",
			ast_channel_name(media->channel), ast_format_get_name(source));
	}
}

int media_convert(struct media *media, const struct ast_frame *frame,
	void (*take)(void *data, const struct ast_frame *frame), void *data)
{
	struct ast_frame copy;
	struct ast_frame *translated;
	struct ast_frame *each;

	if (same_format(frame->subclass.format, media->caller)) {
		take(data, frame);
		return 0;
	}
	path_follow(media, frame->subclass.format);
	if (!media->path) {
		return -1;
	}
	/*
	 * What looks late, or as if something were missing before it, some of Asterisk's
	 * translators drop or add to. The caller's clock knows better.
	 */
	copy = *frame;
	copy.mallocd = 0;
	copy.seqno = 0;
	copy.delivery = (struct timeval) { 0, 0 };
	copy.flags = 0;
	AST_LIST_NEXT(&copy, frame_list) = NULL;
	translated = ast_translate(media->path, &copy, 0);
	for (each = translated; each; each = AST_LIST_NEXT(each, frame_list)) {
		take(data, each);
	}
	if (!translated) {
		return -1;
	}
	ast_frfree(translated);
	return 0;
}

void media_silence(struct media *media)
{
	memset(media_audio(media), same_format(media->agent, ast_format_ulaw) ? ULAW_SILENCE : 0,
		media->frame_bytes);
}

/*! \brief Whether somebody has said why the channel is to be hung up: RTP's time-out does, a write that fails does not */
static int has_new_cause(const struct media *media)
{
	int cause;

	ast_channel_lock(media->channel);
	cause = ast_channel_hangupcause(media->channel);
	ast_channel_unlock(media->channel);
	return cause != media->cause;
}

/*
 * ast_write soft-hangs up a channel that does not take a frame. chan_pjsip does not while a
 * re-INVITE changes the codec: the RTP has the new one by then, the channel not yet. Nobody would
 * tell the telephone that its call is over, so the hang-up is taken back. Other reasons stay. A
 * hang-up by the line that comes just before ast_write has the same flag and the same outcome, and
 * is not told again: a caller's is told of by a frame as well, RTP's time-out by its cause.
 */
int media_write(struct media *media)
{
	int was_up = !ast_channel_softhangup_internal_flag(media->channel);

	if (!ast_write(media->channel, &media->frame)) {
		media->failures = 0;
		return 0;
	}
	if (was_up && !has_new_cause(media) && ++media->failures <= FAILURES_MAX) {
		ast_channel_clear_softhangup(media->channel, AST_SOFTHANGUP_DEV);
	}
	return -1;
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
