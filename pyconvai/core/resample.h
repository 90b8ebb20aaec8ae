/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief PCM between 22050 Hz and 24000 Hz, and between 44100 Hz and 48000 Hz
 *
 * Both are 160 / 147: one polyphase filter, one row of coefficients for each place that an
 * output sample can have between two input samples. Integers only, so that every machine and every
 * way to cut the stream into pieces gives the same bytes.
 *
 * The filter is flat up to 9.8 kHz and closed from 11.1 kHz on, 79 dB down; at the higher rates all
 * of this is doubled. It delays by CONVAI_RESAMPLE_DELAY input samples, 2.2 or 1.1 ms.
 *
 * Nothing here allocates, locks or fails. A resampler belongs to one thread; the tables are written
 * once, when the core is imported, and only read afterwards.
 */

#ifndef CONVAI_RESAMPLE_H
#define CONVAI_RESAMPLE_H

#include <math.h>
#include <stdint.h>

/* The filter's design rates; it works equally at any multiple of both. */
#define CONVAI_RATE_LOW 22050
#define CONVAI_RATE_HIGH 24000
/* The two rates, without their common divisor of 150 */
#define CONVAI_STEPS_LOW 147
#define CONVAI_STEPS_HIGH 160

/*! Input samples that one output sample is made of: what the slope from 9.8 to 11.1 kHz takes */
#define CONVAI_RESAMPLE_TAPS 96
#define CONVAI_RESAMPLE_DELAY (CONVAI_RESAMPLE_TAPS / 2)
/*! Middle of that slope, in Hz; its end is where images and aliases begin */
#define CONVAI_RESAMPLE_CUTOFF 10400.0
/*! Of the Kaiser window: side lobes some 80 dB down, as far as 16-bit coefficients reach */
#define CONVAI_RESAMPLE_BETA 7.9
/*! Coefficients are fractions of this. The largest is below 1. */
#define CONVAI_RESAMPLE_ONE 32768

/*! Input samples per output sample are down / up */
struct convai_ratio {
	uint32_t up, down;
	int16_t rows[CONVAI_STEPS_HIGH][CONVAI_RESAMPLE_TAPS];
};

/* Each C file that includes this has tables of its own, empty before its convai_resample_init. */
static struct convai_ratio convai_to_high = { CONVAI_STEPS_HIGH, CONVAI_STEPS_LOW, { { 0 } } };
static struct convai_ratio convai_to_low = { CONVAI_STEPS_LOW, CONVAI_STEPS_HIGH, { { 0 } } };

struct convai_resampler {
	/*! The newest samples, twice in a row: wherever the oldest is, all follow it in one piece */
	int16_t history[2 * CONVAI_RESAMPLE_TAPS];
	uint32_t at;		/*!< the oldest */
	uint32_t phase;		/*!< of the next output sample, in steps behind an input sample */
	uint32_t needed;	/*!< input samples to take before the next output sample */
};

static inline void convai_resample_start(struct convai_resampler *resampler)
{
	*resampler = (struct convai_resampler) { .needed = 1 };
}

/*! \brief How many input samples n output samples take */
static inline uint64_t convai_resample_input(const struct convai_ratio *ratio,
	const struct convai_resampler *resampler, uint64_t n)
{
	return n ? resampler->needed + (resampler->phase + (n - 1) * ratio->down) / ratio->up : 0;
}

/*! \brief How many output samples n input samples give */
static inline uint64_t convai_resample_output(const struct convai_ratio *ratio,
	const struct convai_resampler *resampler, uint64_t n)
{
	if (n < resampler->needed) {
		return 0;
	}
	return ((n - resampler->needed + 1) * ratio->up - resampler->phase - 1) / ratio->down + 1;
}

static inline void convai_resample_put(struct convai_resampler *resampler, int16_t sample)
{
	resampler->history[resampler->at] = sample;
	resampler->history[resampler->at + CONVAI_RESAMPLE_TAPS] = sample;
	resampler->at = (resampler->at + 1) % CONVAI_RESAMPLE_TAPS;
}

/*! \brief Half a row's worth: a whole one, at its loudest, would not fit into 32 bits */
static inline int32_t convai_resample_half(const int16_t *samples, const int16_t *row)
{
	int32_t sum = 0;
	int i;

	for (i = 0; i < CONVAI_RESAMPLE_DELAY; i++) {
		sum += samples[i] * row[i];
	}
	return sum;
}

/*! \brief The output sample that is due, once `needed` is 0 */
static inline int16_t convai_resample_get(const struct convai_ratio *ratio,
	struct convai_resampler *resampler)
{
	const int16_t *samples = resampler->history + resampler->at;
	const int16_t *row = ratio->rows[resampler->phase];
	int64_t sum = CONVAI_RESAMPLE_ONE / 2;

	sum += convai_resample_half(samples, row);
	sum += convai_resample_half(samples + CONVAI_RESAMPLE_DELAY, row + CONVAI_RESAMPLE_DELAY);
	resampler->phase += ratio->down;
	resampler->needed = resampler->phase / ratio->up;
	resampler->phase %= ratio->up;
	sum >>= 15;
	return sum > INT16_MAX ? INT16_MAX : sum < INT16_MIN ? INT16_MIN : sum;
}

/* ---- The tables ---- */

/*! \brief The modified Bessel function of order 0, by its series */
static inline double convai_bessel(double x)
{
	double term = 1, sum = 1;
	int k;

	for (k = 1; term > sum * 1e-12; k++) {
		term *= x / (2 * k) * (x / (2 * k));
		sum += term;
	}
	return sum;
}

/*! \brief The filter's response, at a distance in input samples of the given rate */
static inline double convai_resample_response(double distance, double rate)
{
	double width = 2 * CONVAI_RESAMPLE_CUTOFF / rate;
	double place = distance / CONVAI_RESAMPLE_DELAY;
	double angle = M_PI * width * distance;

	if (place <= -1 || place >= 1) {
		return 0;
	}
	return (distance == 0 ? width : width * sin(angle) / angle)
		* convai_bessel(CONVAI_RESAMPLE_BETA * sqrt(1 - place * place));
}

/*! \brief Fill one row; its sum is exactly one, for a level that wavers would be heard as a tone */
static inline void convai_resample_fill_row(int16_t *row, double offset, double rate)
{
	double exact[CONVAI_RESAMPLE_TAPS], sum = 0;
	int32_t left = CONVAI_RESAMPLE_ONE;
	int i;

	for (i = 0; i < CONVAI_RESAMPLE_TAPS; i++) {
		exact[i] = convai_resample_response(i - (CONVAI_RESAMPLE_DELAY - 1) - offset, rate);
		sum += exact[i];
	}
	for (i = 0; i < CONVAI_RESAMPLE_TAPS; i++) {
		row[i] = lrint(exact[i] / sum * CONVAI_RESAMPLE_ONE);
		left -= row[i];
	}
	row[offset < 0.5 ? CONVAI_RESAMPLE_DELAY - 1 : CONVAI_RESAMPLE_DELAY] += left;
}

static inline void convai_resample_fill(struct convai_ratio *ratio, double rate)
{
	uint32_t phase;

	for (phase = 0; phase < ratio->up; phase++) {
		convai_resample_fill_row(ratio->rows[phase], (double) phase / ratio->up, rate);
	}
}

/*! \brief Fill the tables. Once, before the first session; takes some 2 ms. */
static inline void convai_resample_init(void)
{
	convai_resample_fill(&convai_to_high, CONVAI_RATE_LOW);
	convai_resample_fill(&convai_to_low, CONVAI_RATE_HIGH);
}

#endif /* CONVAI_RESAMPLE_H */
