/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Formats, frames, and translation between what there is
 *
 * A translation repeats or leaves out samples, and keeps their values as near as a test
 * needs to recognize them: the low bits of mu-law bytes count, as in the frames a test sends.
 */

#include "host_internal.h"

#include "asterisk/format_cap.h"
#include "asterisk/translate.h"

struct ast_format {
	const char *name;
	unsigned int rate;
	unsigned int sample_bytes;
	int is_slin;
	int is_foreign;	/*!< nothing translates it */
};

/*! Formats that one of a channel can have */
#define CAP_FORMATS 4

struct ast_format_cap {
	struct ast_format *formats[CAP_FORMATS];
	size_t count;
};

struct ast_trans_pvt {
	struct ast_format *to;
	struct ast_format *from;
};

#define SLIN_RATES 9

static const unsigned int slin_rates[SLIN_RATES] = {
	8000, 12000, 16000, 24000, 32000, 44100, 48000, 96000, 192000,
};
static struct ast_format *slin[SLIN_RATES];
struct ast_format *ast_format_ulaw;
struct ast_format *ast_format_alaw;
struct ast_format *ast_format_none;
static struct ast_format *g729;
static struct ast_format *vp8;

static unsigned int piece_samples;
static int frames_alive;
static int paths_alive;
static unsigned int paths_asked;

static struct ast_format *format_make(const char *name, unsigned int rate,
	unsigned int sample_bytes)
{
	struct ast_format *format = ao2_alloc_options(sizeof(*format), NULL,
		AO2_ALLOC_OPT_LOCK_NOLOCK);

	if (!format) {
		FAIL("no memory for a format");
	}
	format->name = name;
	format->rate = rate;
	format->sample_bytes = sample_bytes;
	format->is_slin = sample_bytes == 2;
	return format;
}

void host_formats_begin(void)
{
	size_t i;

	ast_format_ulaw = format_make("ulaw", 8000, 1);
	ast_format_alaw = format_make("alaw", 8000, 1);
	ast_format_none = format_make("none", 8000, 1);
	ast_format_none->is_foreign = 1;
	g729 = format_make("g729", 8000, 1);
	g729->is_foreign = 1;
	vp8 = format_make("vp8", 90000, 1);
	vp8->is_foreign = 1;
	for (i = 0; i < SLIN_RATES; i++) {
		slin[i] = format_make("slin", slin_rates[i], 2);
	}
}

void host_formats_end(void)
{
	size_t i;

	ao2_ref(ast_format_ulaw, -1);
	ao2_ref(ast_format_alaw, -1);
	ao2_ref(ast_format_none, -1);
	ao2_ref(g729, -1);
	ao2_ref(vp8, -1);
	for (i = 0; i < SLIN_RATES; i++) {
		ao2_ref(slin[i], -1);
	}
}

/*! As in Asterisk: the rate asked for, else the next lower one, at least 8000 */
struct ast_format *ast_format_cache_get_slin_by_rate(unsigned int rate)
{
	size_t i = SLIN_RATES - 1;

	while (i && slin_rates[i] > rate) {
		i--;
	}
	return slin[i];
}

struct ast_format *host_slin(unsigned int rate)
{
	struct ast_format *format = ast_format_cache_get_slin_by_rate(rate);

	if (format->rate != rate) {
		FAIL("there is no slin of %u Hz", rate);
	}
	return format;
}

int ast_format_cache_is_slinear(struct ast_format *format)
{
	return format->is_slin;
}

enum ast_format_cmp_res ast_format_cmp(const struct ast_format *format1,
	const struct ast_format *format2)
{
	return format1 == format2 ? AST_FORMAT_CMP_EQUAL : AST_FORMAT_CMP_NOT_EQUAL;
}

unsigned int ast_format_get_sample_rate(const struct ast_format *format)
{
	return format->rate;
}

enum ast_media_type ast_format_get_type(const struct ast_format *format)
{
	return format == vp8 ? AST_MEDIA_TYPE_VIDEO : AST_MEDIA_TYPE_AUDIO;
}

const char *ast_format_get_name(const struct ast_format *format)
{
	return format->name;
}

struct ast_format *host_g729(void)
{
	return g729;
}

struct ast_format *host_vp8(void)
{
	return vp8;
}

static void cap_destructor(void *object)
{
	struct ast_format_cap *cap = object;

	while (cap->count) {
		ao2_ref(cap->formats[--cap->count], -1);
	}
}

struct ast_format_cap *host_cap_make(void)
{
	struct ast_format_cap *cap = ao2_alloc_options(sizeof(*cap), cap_destructor,
		AO2_ALLOC_OPT_LOCK_NOLOCK);

	if (!cap) {
		FAIL("no memory for a set of formats");
	}
	return cap;
}

void host_cap_add(struct ast_format_cap *cap, struct ast_format *format)
{
	if (cap->count == CAP_FORMATS) {
		FAIL("a set of more than %d formats", CAP_FORMATS);
	}
	cap->formats[cap->count++] = ao2_bump(format);
}

struct ast_format_cap *__ast_format_cap_alloc(enum ast_format_cap_flags flags, const char *tag,
	const char *file, int line, const char *func)
{
	return host_call_fails(__func__) ? NULL : host_cap_make();
}

int __ast_format_cap_append(struct ast_format_cap *cap, struct ast_format *format,
	unsigned int framing, const char *tag, const char *file, int line, const char *func)
{
	host_cap_add(cap, format);
	return 0;
}

size_t ast_format_cap_count(const struct ast_format_cap *cap)
{
	return cap->count;
}

struct ast_format *ast_format_cap_get_format(const struct ast_format_cap *cap, int position)
{
	return position >= 0 && (size_t) position < cap->count
		? ao2_bump(cap->formats[position]) : NULL;
}

unsigned int host_sample_bytes(const struct ast_format *format)
{
	return format->sample_bytes;
}

/* ---- Frames ---- */

struct ast_frame *host_frame_copy(const struct ast_frame *fr)
{
	struct ast_frame *copy = host_alloc(sizeof(*copy) + AST_FRIENDLY_OFFSET + fr->datalen);

	*copy = *fr;
	copy->mallocd = 1;
	copy->offset = AST_FRIENDLY_OFFSET;
	AST_LIST_NEXT(copy, frame_list) = NULL;
	if (fr->datalen) {
		copy->data.ptr = (char *) (copy + 1) + AST_FRIENDLY_OFFSET;
		memcpy(copy->data.ptr, fr->data.ptr, fr->datalen);
	}
	if (copy->frametype == AST_FRAME_VOICE) {
		ao2_bump(copy->subclass.format);
	}
	__atomic_fetch_add(&frames_alive, 1, __ATOMIC_RELAXED);
	return copy;
}

struct ast_frame *__ast_frdup(const struct ast_frame *fr, const char *file, int line,
	const char *func)
{
	return host_allocation_fails() ? NULL : host_frame_copy(fr);
}

/*! A frame that was not allocated is left alone; one that was goes with its list */
void ast_frame_free(struct ast_frame *frame, int cache)
{
	while (frame) {
		struct ast_frame *next = AST_LIST_NEXT(frame, frame_list);

		if (frame->mallocd) {
			if (frame->frametype == AST_FRAME_VOICE) {
				ao2_cleanup(frame->subclass.format);
			}
			free(frame);
			__atomic_fetch_sub(&frames_alive, 1, __ATOMIC_RELAXED);
		}
		frame = next;
	}
}

unsigned int host_frames_left(void)
{
	if (frames_alive) {
		printf("# leak: %d frame(s)\n", frames_alive);
	}
	if (paths_alive) {
		printf("# leak: %d translation path(s)\n", paths_alive);
	}
	return frames_alive + paths_alive;
}

/* ---- Translation ---- */

unsigned int host_paths_asked(void)
{
	return paths_asked;
}

void host_translate_in_pieces(unsigned int samples)
{
	piece_samples = samples;
}

static uint8_t sample_get(const struct ast_frame *frame, unsigned int i)
{
	const uint8_t *audio = frame->data.ptr;

	return audio[i * frame->subclass.format->sample_bytes];
}

static struct ast_frame *piece_make(const struct ast_frame *frame, struct ast_format *to,
	unsigned int first, unsigned int samples)
{
	uint64_t from_rate = frame->subclass.format->rate;
	struct ast_frame head = *frame;
	struct ast_frame *piece;
	uint8_t *audio;
	unsigned int i;

	head.subclass.format = to;
	head.samples = samples;
	head.datalen = samples * to->sample_bytes;
	head.data.ptr = audio = host_alloc(head.datalen);
	for (i = 0; i < samples; i++) {
		audio[i * to->sample_bytes] = sample_get(frame, (first + i) * from_rate / to->rate);
	}
	piece = host_frame_copy(&head);
	free(audio);
	return piece;
}

struct ast_frame *host_translate(struct ast_frame *frame, struct ast_format *to)
{
	uint64_t rate = frame->subclass.format->rate;
	unsigned int samples = (uint64_t) frame->samples * to->rate / rate;
	unsigned int step = piece_samples ? piece_samples : samples;
	AST_LIST_HEAD_NOLOCK(, ast_frame) pieces = { NULL, NULL };
	unsigned int first;

	for (first = 0; first < samples; first += step) {
		struct ast_frame *piece = piece_make(frame, to, first, MIN(step, samples - first));

		AST_LIST_INSERT_TAIL(&pieces, piece, frame_list);
	}
	return AST_LIST_FIRST(&pieces);
}

/*! As in Asterisk, of a format to itself there is no path */
unsigned int ast_translate_path_steps(struct ast_format *dest, struct ast_format *src)
{
	if (host_call_fails(__func__) || dest == src || dest->is_foreign || src->is_foreign) {
		return -1;
	}
	return 1;
}

struct ast_trans_pvt *ast_translator_build_path(struct ast_format *dest,
	struct ast_format *source)
{
	struct ast_trans_pvt *path;

	paths_asked++;
	if (host_call_fails(__func__) || dest == source || dest->is_foreign || source->is_foreign) {
		return NULL;
	}
	path = host_alloc(sizeof(*path));
	path->to = ao2_bump(dest);
	path->from = ao2_bump(source);
	__atomic_fetch_add(&paths_alive, 1, __ATOMIC_RELAXED);
	return path;
}

void ast_translator_free_path(struct ast_trans_pvt *tr)
{
	ao2_ref(tr->to, -1);
	ao2_ref(tr->from, -1);
	free(tr);
	__atomic_fetch_sub(&paths_alive, 1, __ATOMIC_RELAXED);
}

struct ast_frame *ast_translate(struct ast_trans_pvt *tr, struct ast_frame *f,
	int consume)
{
	struct ast_frame *result = NULL;

	if (f->subclass.format != tr->from) {
		FAIL("a frame of %s goes into a path from %s", f->subclass.format->name,
			tr->from->name);
	}
	if (f->seqno || f->flags & AST_FRFLAG_HAS_TIMING_INFO || f->delivery.tv_sec
		|| AST_LIST_NEXT(f, frame_list)) {
		FAIL("a frame is translated that Asterisk may take for a late one");
	}
	if (f->datalen <= 0 || f->samples <= 0) {
		FAIL("a frame without audio is translated");
	}
	if (!host_call_fails(__func__)) {
		result = host_translate(f, tr->to);
	}
	if (consume) {
		ast_frfree(f);
	}
	return result;
}
