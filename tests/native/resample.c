/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The converter of rates, at its loudest and in pieces of every size, for the sanitizers to watch
 *
 * Run by tests/unit/test_threads.py. How it sounds is measured by tests/unit/test_resample.py.
 */

#include <stdio.h>

#include "check.h"
#include "converter.h"

#define SAMPLES 30000

static uint32_t next(uint32_t *seed, uint32_t limit)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (*seed >> 8) % limit;
}

/*! Full scale, with the signs of a row: no signal makes a larger sum. Noise in between. */
static void fill_loud(const struct convai_ratio *ratio, int16_t *samples)
{
	uint32_t seed = 1;
	int i;

	for (i = 0; i < SAMPLES; i++) {
		const int16_t *row = ratio->rows[i / (2 * CONVAI_RESAMPLE_TAPS) % ratio->up];

		samples[i] = row[i % CONVAI_RESAMPLE_TAPS] < 0 ? INT16_MIN : INT16_MAX;
		if (i % (4 * CONVAI_RESAMPLE_TAPS) >= 2 * CONVAI_RESAMPLE_TAPS) {
			samples[i] = next(&seed, 65536) - 32768;
		}
	}
}

static void append(struct convai_playout *playout, const uint8_t *bytes, uint32_t length)
{
	struct convai_segment *segment = convai_segment_new(length);

	CHECK(segment != NULL);
	memcpy(segment->data, bytes, length);
	convai_playout_append(playout, segment);
}

/*! \brief The agent's side, appended and taken in pieces of up to so many bytes. \return bytes out */
static uint32_t to_channel(const int16_t *in, uint8_t *out, uint32_t size, uint32_t piece, uint32_t seed)
{
	struct convai_converter converter;
	struct convai_playout playout;
	uint64_t played, all = 0;
	uint32_t at = 0, got = 0, heard;

	convai_converter_start(&converter);
	CHECK(convai_playout_init(&playout) == 0);
	while (at < SAMPLES * sizeof(*in)) {
		uint32_t n = 1 + next(&seed, piece), wanted;

		n = n > SAMPLES * sizeof(*in) - at ? SAMPLES * sizeof(*in) - at : n;
		append(&playout, (const uint8_t *) in + at, n);
		at += n;
		/* Never more than there is: the stream is one, then, however it is cut. */
		wanted = convai_playout_queued(&playout) / 2;
		wanted = wanted ? next(&seed, wanted) * 2 : 0;
		heard = convai_converter_take(&converter, &playout, out + got, wanted, &played);
		CHECK(heard == wanted);
		got += heard;
		all += played;
	}
	while (convai_playout_queued(&playout) || convai_converter_held(&converter)) {
		CHECK(size - got >= 966);
		got += convai_converter_take(&converter, &playout, out + got, 966, &played);
		all += played;
	}
	CHECK(all == SAMPLES * sizeof(*in));
	convai_playout_free(&playout);
	return got;
}

static void test_to_channel(void)
{
	static int16_t in[SAMPLES];
	static uint8_t first[SAMPLES * 3], again[SAMPLES * 3];
	struct convai_resampler fresh;
	uint32_t length, i;

	fill_loud(&convai_to_high, in);
	convai_resample_start(&fresh);
	length = to_channel(in, first, sizeof(first), 4000, 1);
	CHECK(length / 2 == convai_resample_output(&convai_to_high, &fresh,
		SAMPLES + CONVAI_RESAMPLE_DELAY - 1));
	for (i = 2; i < 8; i++) {
		CHECK(to_channel(in, again, sizeof(again), i * i * i * 4, i) == length);
		CHECK(!memcmp(first, again, length));
	}
}

/*! \brief The caller's side, in pieces of up to so many samples. \return bytes out */
static uint32_t to_agent(const int16_t *in, uint8_t *out, uint32_t piece, uint32_t seed)
{
	struct convai_converter converter;
	struct convai_ring ring;
	uint32_t at = 0, got = 0;

	convai_converter_start(&converter);
	CHECK(convai_ring_init(&ring, 3001) == 0);
	while (at < SAMPLES) {
		uint32_t n = next(&seed, piece), taken;
		uint64_t waiting;

		n = n > SAMPLES - at ? SAMPLES - at : n;
		taken = convai_converter_put(&converter, &ring, (const uint8_t *) (in + at), n * 2);
		CHECK(taken == n * 2 || taken == 0);
		at += taken / 2;
		waiting = convai_ring_waiting(&ring);
		CHECK(waiting % 2 == 0);
		if (!taken || next(&seed, 2)) {
			convai_ring_take(&ring, out + got, waiting);
			got += waiting;
		}
	}
	at = convai_ring_waiting(&ring);
	convai_ring_take(&ring, out + got, at);
	convai_ring_free(&ring);
	return got + at;
}

static void test_to_agent(void)
{
	static int16_t in[SAMPLES];
	static uint8_t first[SAMPLES * 2], again[SAMPLES * 2];
	struct convai_resampler fresh;
	uint32_t length, i;

	fill_loud(&convai_to_low, in);
	convai_resample_start(&fresh);
	length = to_agent(in, first, 1500, 1);
	CHECK(length / 2 == convai_resample_output(&convai_to_low, &fresh, SAMPLES));
	for (i = 2; i < 8; i++) {
		CHECK(to_agent(in, again, 4 << i, i) == length);
		CHECK(!memcmp(first, again, length));
	}
}

static void test_full_ring(void)
{
	static const uint8_t silence[2000];
	struct convai_converter converter;
	struct convai_resampler before;
	struct convai_ring ring;

	convai_converter_start(&converter);
	CHECK(convai_ring_init(&ring, 1000) == 0);
	CHECK(convai_converter_put(&converter, &ring, silence, 960) == 960);
	before = converter.caller;
	CHECK(convai_converter_put(&converter, &ring, silence, 960) == 0);
	CHECK(!memcmp(&before, &converter.caller, sizeof(before)));
	CHECK(convai_ring_waiting(&ring) == 882);
	convai_ring_skip(&ring, 882);
	CHECK(convai_converter_put(&converter, &ring, NULL, 960) == 960);
	CHECK(convai_ring_waiting(&ring) == 882);
	convai_ring_free(&ring);
}

static void test_tables(void)
{
	const struct convai_ratio *ratios[] = { &convai_to_high, &convai_to_low };
	uint32_t r, phase, i;

	for (r = 0; r < 2; r++) {
		for (phase = 0; phase < ratios[r]->up; phase++) {
			int32_t sum = 0, loudest[2] = { 0, 0 };

			for (i = 0; i < CONVAI_RESAMPLE_TAPS; i++) {
				sum += ratios[r]->rows[phase][i];
				loudest[i / CONVAI_RESAMPLE_DELAY] += abs(ratios[r]->rows[phase][i]);
			}
			CHECK(sum == CONVAI_RESAMPLE_ONE);
			CHECK(loudest[0] < 65536 && loudest[1] < 65536);
		}
	}
}

int main(void)
{
	convai_resample_init();
	test_tables();
	test_to_channel();
	test_to_agent();
	test_full_ring();
	puts("4 passed, 0 failed");
	return 0;
}
