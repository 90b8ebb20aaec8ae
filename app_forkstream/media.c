/*
 * app_forkstream: copy a call's audio to a listener
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief From a channel's frames to a stream's packets
 */

#include "asterisk.h"

#include <endian.h>	/* htole16(3) */

#include "asterisk/alaw.h"	/* AST_LIN2A */
#include "asterisk/format_cache.h"	/* ast_format_cache_get_slin_by_rate */
#include "asterisk/frame.h"	/* ast_frfree */
#include "asterisk/translate.h"	/* ast_translate */
#include "asterisk/ulaw.h"	/* AST_LIN2MU */
#include "asterisk/utils.h"	/* ast_calloc */

#include "media.h"
#include "options.h"
#include "ring.h"

#define SAMPLES_PER_MS_MAX (RATE_WIDE / 1000)
#define PACKET_SAMPLES_MAX (PACKET_MS_MOST * SAMPLES_PER_MS_MAX)
/*! A packet, what one direction may be ahead of the other, and one record at twice its rate, or a little more */
#define LINE_SAMPLES (PACKET_SAMPLES_MAX + QUIET_MS * SAMPLES_PER_MS_MAX + 2 * RECORD_SAMPLES_MAX + 512)

/*! One direction: from the ring, at the channel's rate, to a line at the stream's */
struct input {
	struct ring ring;
	struct ast_trans_pvt *path;	/*!< NULL while the rates are the same */
	unsigned int path_rate;	/*!< what it is from, Hz */
	int64_t heard_us;	/*!< when the last record came */
	uint64_t dropped;	/*!< beside the ring's own; written by the network's thread, read by anybody */
	int gap_is_known;	/*!< the record that is next has had its gap */
	uint64_t gap;	/*!< samples of silence that come before it */
	unsigned int length;	/*!< samples in the line */
	int16_t line[LINE_SAMPLES];
};

/*! One sequence of packets: of one direction, or of both */
struct output {
	enum packet_direction direction;
	struct input *inputs[2];
	unsigned int input_count;
	uint64_t time;	/*!< samples since the stream began */
	int64_t heard_us;	/*!< when the last record came */
	uint32_t sequence;
	const struct input *shortened;	/*!< whose gap was, while its silence lasts */
	uint64_t shortened_by;	/*!< samples */
	uint64_t jump;	/*!< samples by which time is to go on ... */
	unsigned int jump_after;	/*!< ... once so many have been taken */
	struct media_count count;	/*!< written by the network's thread, read by anybody */
};

struct media {
	struct packet head;	/*!< what all headers have */
	unsigned int packet_samples;
	unsigned int ahead_samples;	/*!< how far one direction goes ahead before the other is filled up */
	unsigned int fill_samples;	/*!< of silence that are sent for a gap at most */
	int skips_silence;
	unsigned int muted;	/*!< directions */
	int64_t began_us;
	struct input inputs[2];	/*!< rx, tx */
	struct output outputs[2];
	unsigned int output_count;
};

/* ---- Life ---- */

static void add_output(struct media *media, enum packet_direction direction)
{
	struct output *output = &media->outputs[media->output_count++];

	output->direction = direction;
	output->heard_us = media->began_us;
	if (direction & PACKET_RX) {
		output->inputs[output->input_count++] = &media->inputs[0];
	}
	if (direction & PACKET_TX) {
		output->inputs[output->input_count++] = &media->inputs[1];
	}
	media->inputs[0].heard_us = media->inputs[1].heard_us = media->began_us;
}

struct media *media_create(const struct options *options, uint64_t stream, int64_t now_us)
{
	struct media *media = ast_calloc(1, sizeof(*media));

	if (!media) {
		return NULL;
	}
	media->head = (struct packet) {
		.kind = PACKET_AUDIO,
		.codec = options->codec,
		.rate = options->rate,
		.stream = stream,
	};
	media->packet_samples = options->packet_ms * options->rate / 1000;
	media->ahead_samples = QUIET_MS * options->rate / 1000;
	media->fill_samples = FILL_MS * options->rate / 1000;
	media->skips_silence = options->skips_silence;
	media->muted = options->muted;
	media->began_us = now_us;
	if (options->interleaved) {
		add_output(media, PACKET_BOTH);
		return media;
	}
	if (options->directions & PACKET_RX) {
		add_output(media, PACKET_RX);
	}
	if (options->directions & PACKET_TX) {
		add_output(media, PACKET_TX);
	}
	return media;
}

void media_free(struct media *media)
{
	size_t i;

	for (i = 0; media && i < ARRAY_LEN(media->inputs); i++) {
		if (media->inputs[i].path) {
			ast_translator_free_path(media->inputs[i].path);
		}
	}
	ast_free(media);
}

/* ---- The channel's thread ---- */

void media_push(struct media *media, unsigned int direction, const int16_t *samples, unsigned int count,
	unsigned int rate)
{
	struct ring *ring = &media->inputs[direction == PACKET_TX].ring;

	if (__atomic_load_n(&media->muted, __ATOMIC_RELAXED) & direction) {
		return;
	}
	while (count) {
		unsigned int part = count < RECORD_SAMPLES_MAX ? count : RECORD_SAMPLES_MAX;

		ring_push(ring, samples, part, rate);
		samples += part;
		count -= part;
	}
}

/* ---- The line ---- */

static void append(struct input *input, const int16_t *samples, unsigned int count)
{
	unsigned int room = LINE_SAMPLES - input->length;

	/* There is room: a line is not filled up beyond what leaves it for one record. */
	count = MIN(count, room);
	memcpy(input->line + input->length, samples, count * sizeof(*samples));
	input->length += count;
}

/*! \brief The way from a rate to the stream's. \return 0, or -1 if there is none */
static int find_path(struct input *input, unsigned int from, unsigned int to)
{
	if (input->path_rate == from) {
		return input->path ? 0 : -1;
	}
	if (input->path) {
		ast_translator_free_path(input->path);
	}
	input->path = ast_translator_build_path(ast_format_cache_get_slin_by_rate(to),
		ast_format_cache_get_slin_by_rate(from));
	input->path_rate = from;
	return input->path ? 0 : -1;
}

static void convert(struct input *input, int16_t *samples, const struct ring_record *record, unsigned int rate)
{
	struct ast_frame frame = {
		.frametype = AST_FRAME_VOICE,
		.subclass.format = ast_format_cache_get_slin_by_rate(record->rate),
		.samples = (int) record->samples,
		.datalen = (int) (record->samples * sizeof(*samples)),
		.data.ptr = samples,
		.src = "ForkStream",
	};
	struct ast_frame *made;
	struct ast_frame *each;

	if (find_path(input, record->rate, rate)) {
		/* No codec_resample: what cannot be converted is missing, as what had no room. */
		input->gap += (uint64_t) record->samples * rate / record->rate;
		count_more(&input->dropped, record->samples);
		return;
	}
	made = ast_translate(input->path, &frame, 0);
	for (each = made; each; each = AST_LIST_NEXT(each, frame_list)) {
		append(input, each->data.ptr, (unsigned int) each->samples);
	}
	if (made) {
		ast_frfree(made);
	}
}

/*!
 * \brief Leave out what a gap has beyond FILL_MS: who has stalled for minutes does not get minutes of silence at once
 *
 * Of the other direction in the same sequence as much, so that they stay together. Time goes on when what is in the
 * lines has been taken: the silence that is left is longer.
 */
static void shorten(struct output *output, struct input *input, unsigned int most)
{
	unsigned int i;

	if (output->shortened && output->shortened != input) {
		input->gap -= MIN(input->gap, output->shortened_by);
	} else if (input->gap > most) {
		output->shortened = input;
		output->shortened_by = input->gap - most;
		output->jump += output->shortened_by;
		input->gap = most;
		for (i = 0; i < output->input_count; i++) {
			output->jump_after = MAX(output->jump_after, output->inputs[i]->length);
		}
	}
}

/*! \brief Fill the line up to so many samples, as far as there are any. \return whether a record came */
static int pull(const struct media *media, struct output *output, struct input *input, unsigned int wanted)
{
	const unsigned int rate = media->head.rate;
	static const int16_t silence[64];
	int16_t samples[RECORD_SAMPLES_MAX];
	struct ring_record record;
	int came = 0;

	while (input->length < wanted) {
		if (input->gap) {
			unsigned int part = (unsigned int) MIN(input->gap, (uint64_t) ARRAY_LEN(silence));

			append(input, silence, part);
			input->gap -= part;
			if (!input->gap && output->shortened == input) {
				output->shortened = NULL;
			}
			continue;
		}
		if (!ring_peek(&input->ring, &record)) {
			break;
		}
		if (record.lost && !input->gap_is_known) {
			input->gap = (uint64_t) record.lost * rate / record.rate;
			shorten(output, input, media->fill_samples);
			input->gap_is_known = 1;
			continue;
		}
		ring_take(&input->ring, &record, samples);
		input->gap_is_known = 0;
		came = 1;
		if (record.rate == rate) {
			append(input, samples, record.samples);
		} else {
			convert(input, samples, &record, rate);
		}
	}
	return came;
}

/* ---- Packets ---- */

static void encode(uint8_t *to, const int16_t *samples, unsigned int count, enum packet_codec codec)
{
	unsigned int i;

	switch (codec) {
	case PACKET_ULAW:
		for (i = 0; i < count; i++) {
			to[i] = AST_LIN2MU(samples[i]);
		}
		break;
	case PACKET_ALAW:
		for (i = 0; i < count; i++) {
			to[i] = AST_LIN2A(samples[i]);
		}
		break;
	case PACKET_SLIN:
		for (i = 0; i < count; i++) {
			const uint16_t low_first = htole16((uint16_t) samples[i]);

			memcpy(to + 2 * i, &low_first, sizeof(low_first));
		}
		break;
	}
}

/*! \brief Take so many samples from each line, interleaved; what a line has not is silence. \return whether all is */
static int take(struct output *output, int16_t *samples, unsigned int count)
{
	unsigned int step = output->input_count;
	unsigned int i;
	unsigned int k;

	for (i = 0; i < step; i++) {
		struct input *input = output->inputs[i];
		unsigned int part = MIN(count, input->length);

		if (step == 1) {
			memcpy(samples, input->line, part * sizeof(*samples));
			memset(samples + part, 0, (count - part) * sizeof(*samples));
		} else {
			for (k = 0; k < count; k++) {
				samples[k * step + i] = k < part ? input->line[k] : 0;
			}
		}
		input->length -= part;
		memmove(input->line, input->line + part, input->length * sizeof(*input->line));
	}
	/* The first is 0, and each is as the one before it: that ends with the first word that is said. */
	return !*samples && !memcmp(samples, samples + 1, (count * step - 1) * sizeof(*samples));
}

/*! \brief Silence is left out: time goes on without it */
static void leave_out(struct output *output, uint64_t samples)
{
	output->time += samples;
	count_more(&output->count.skipped, samples);
}

static void make_packet(struct media *media, struct output *output, unsigned int samples, uint8_t *room,
	struct sink *sink)
{
	int16_t taken[2 * PACKET_SAMPLES_MAX];
	unsigned int count = samples * output->input_count;
	struct packet head = media->head;
	int is_silent = take(output, taken, samples);

	head.direction = output->direction;
	head.flags = is_silent ? PACKET_SILENCE : 0;
	head.time = output->time;
	head.sequence = output->sequence;
	head.length = (uint16_t) (count * (head.codec == PACKET_SLIN ? 2 : 1));
	output->jump_after -= MIN(output->jump_after, samples);
	if (!output->jump_after) {
		leave_out(output, output->jump);
		output->jump = 0;
	}
	if (is_silent && media->skips_silence) {
		leave_out(output, samples);
		return;
	}
	output->time += samples;
	output->sequence++;
	packet_write(room, &head);
	encode(room + PACKET_HEADER, taken, count, head.codec);
	count_more(&output->count.packets, 1);
	count_more(&output->count.samples, samples);
	sink->put(sink, PACKET_HEADER + head.length);
}

/*! \brief How long the shorter and the longer line are, filled up from the rings first */
static void fill(struct media *media, struct output *output, int64_t now_us, unsigned int *shorter,
	unsigned int *longer)
{
	unsigned int wanted = media->packet_samples + (output->input_count > 1 ? media->ahead_samples : 0);
	unsigned int i;

	*shorter = UINT_MAX;
	*longer = 0;
	for (i = 0; i < output->input_count; i++) {
		struct input *input = output->inputs[i];

		if (pull(media, output, input, wanted)) {
			input->heard_us = output->heard_us = now_us;
		}
		*shorter = MIN(*shorter, input->length);
		*longer = MAX(*longer, input->length);
	}
}

/*!
 * \brief Samples of the next packet; 0: it is not time for one
 *
 * A packet is whole, or one direction has gone so far ahead that the other is taken for quiet, or all
 * have been quiet for a while: then time goes on by the clock, and what is said next is in its place.
 */
static unsigned int next_packet(struct media *media, struct output *output, int64_t now_us)
{
	unsigned int packet = media->packet_samples;
	uint64_t clock = (uint64_t) (now_us - media->began_us) * media->head.rate / 1000000;
	unsigned int shorter;
	unsigned int longer;

	fill(media, output, now_us, &shorter, &longer);
	if (shorter >= packet || longer >= packet + media->ahead_samples) {
		return packet;
	}
	if (now_us - output->heard_us <= QUIET_MS * 1000 || output->time + longer + packet > clock) {
		return 0;
	}
	if (!longer && clock - output->time > media->fill_samples) {
		leave_out(output, clock - output->time - media->fill_samples);
	}
	return longer ? longer : packet;
}

unsigned int media_quiet(const struct media *media, int64_t now_us, int ms)
{
	unsigned int quiet = 0;
	struct ring_record record;
	unsigned int i;

	for (i = 0; i < media->output_count; i++) {
		quiet |= media->outputs[i].direction;
	}
	for (i = 0; i < ARRAY_LEN(media->inputs); i++) {
		const struct input *input = &media->inputs[i];

		/* What waits in the ring has come, though the network takes nothing. */
		if (now_us - input->heard_us < ms * INT64_C(1000) || ring_peek(&input->ring, &record)) {
			quiet &= ~(i ? PACKET_TX : PACKET_RX);
		}
	}
	return quiet & ~media_muted(media);
}

void media_pump(struct media *media, int64_t now_us, struct sink *sink)
{
	unsigned int samples;
	unsigned int i;
	uint8_t *room;
	int made;

	/* In turn: where there is little room, no direction waits for the other. */
	do {
		made = 0;
		for (i = 0; i < media->output_count && (room = sink->room(sink)); i++) {
			samples = next_packet(media, &media->outputs[i], now_us);
			if (samples) {
				make_packet(media, &media->outputs[i], MIN(samples, media->packet_samples), room, sink);
				made = 1;
			}
		}
	} while (made);
}

int media_flush(struct media *media, struct sink *sink)
{
	unsigned int i;

	for (i = 0; i < media->output_count; i++) {
		struct output *output = &media->outputs[i];
		unsigned int shorter;
		unsigned int longer;
		uint8_t *room;

		do {
			room = sink->room(sink);
			if (!room) {
				return 0;
			}
			fill(media, output, output->heard_us, &shorter, &longer);
			if (longer) {
				make_packet(media, output, MIN(longer, media->packet_samples), room, sink);
			}
		} while (longer);
	}
	return 1;
}

void media_drop(struct media *media)
{
	int16_t samples[RECORD_SAMPLES_MAX];
	struct ring_record record;
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(media->inputs); i++) {
		struct input *input = &media->inputs[i];
		unsigned int rate = input->path ? input->path_rate : media->head.rate;

		count_more(&input->dropped, (uint64_t) input->length * rate / media->head.rate);
		input->length = 0;
		while (ring_peek(&input->ring, &record)) {
			ring_take(&input->ring, &record, samples);
			count_more(&input->dropped, record.samples);
		}
	}
}

/* ---- Any thread ---- */

void media_mute(struct media *media, unsigned int directions)
{
	__atomic_store_n(&media->muted, directions, __ATOMIC_RELAXED);
}

unsigned int media_muted(const struct media *media)
{
	return __atomic_load_n(&media->muted, __ATOMIC_RELAXED);
}

int media_count(const struct media *media, unsigned int direction, struct media_count *count)
{
	unsigned int i;
	unsigned int k;

	for (i = 0; i < media->output_count; i++) {
		const struct output *output = &media->outputs[i];

		if (output->direction == direction) {
			count->packets = __atomic_load_n(&output->count.packets, __ATOMIC_RELAXED);
			count->samples = __atomic_load_n(&output->count.samples, __ATOMIC_RELAXED);
			count->skipped = __atomic_load_n(&output->count.skipped, __ATOMIC_RELAXED);
			count->dropped = 0;
			for (k = 0; k < output->input_count; k++) {
				count->dropped += __atomic_load_n(&output->inputs[k]->ring.dropped, __ATOMIC_RELAXED)
					+ __atomic_load_n(&output->inputs[k]->dropped, __ATOMIC_RELAXED);
			}
			return 1;
		}
	}
	return 0;
}
