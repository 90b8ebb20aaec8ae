/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Between the channel and the queues: conversion for an agent whose rate Asterisk cannot serve
 *
 * It has no format for 22050 Hz. For 44100 Hz it has one, but what it converts to or from that rate
 * comes out at half its level (measured with 22.10: -6.0 dB both ways, for every codec). Both are
 * 147 / 160 of a rate that it converts well.
 *
 * What waits in the ring and in the playout queue is always in the agent's own format: chunks,
 * limits, half samples and flushes know nothing of the other rate. The channel thread converts as it
 * puts and takes. The loop thread, which serves all calls, has no work with it.
 */

#ifndef CONVAI_CONVERTER_H
#define CONVAI_CONVERTER_H

#include <stdint.h>
#include <string.h>

#include "convai_ops.h"
#include "playout.h"
#include "resample.h"
#include "ring.h"

/*! Samples converted at a time, on the stack */
#define CONVAI_CONVERT_SAMPLES 512

/*! Channel thread */
struct convai_converter {
	struct convai_resampler caller, agent;
	/*! Samples of silence since the agent's last sample, counted up to CONVAI_RESAMPLE_DELAY */
	uint32_t silent;
};

static inline int convai_needs_converter(const struct convai_format *format)
{
	return format->encoding == CONVAI_ENCODING_SLIN
		&& (format->rate == CONVAI_RATE_LOW || format->rate == 2 * CONVAI_RATE_LOW);
}

/*! \brief The format that the channel reads or writes for an agent's format */
static inline struct convai_format convai_channel_format(struct convai_format format)
{
	if (convai_needs_converter(&format)) {
		format.rate = format.rate / CONVAI_STEPS_LOW * CONVAI_STEPS_HIGH;
	}
	return format;
}

/*! \brief Convert a byte count from the agent's rate to the channel's */
static inline uint64_t convai_channel_bytes(const struct convai_format *format, uint64_t bytes)
{
	if (convai_needs_converter(format)) {
		return bytes / sizeof(int16_t) * CONVAI_STEPS_HIGH / CONVAI_STEPS_LOW * sizeof(int16_t);
	}
	return bytes;
}

static inline void convai_converter_start(struct convai_converter *converter)
{
	convai_resample_start(&converter->caller);
	convai_resample_start(&converter->agent);
	converter->silent = CONVAI_RESAMPLE_DELAY;
}

/* ---- Caller to agent ---- */

/*! \brief Put converted samples into the ring; the caller has checked that it has room */
static inline void convai_converter_give(struct convai_ring *ring, const int16_t *samples, uint32_t n)
{
	convai_ring_put(ring, (const uint8_t *) samples, 0, n * sizeof(*samples));
}

/*!
 * \brief As convai_ring_put, from the channel's rate; NULL is silence
 * \return length, or 0 when the ring has no room for the converted audio: then only these bytes are lost
 */
static inline uint32_t convai_converter_put(struct convai_converter *converter, struct convai_ring *ring,
	const uint8_t *bytes, uint32_t length)
{
	struct convai_resampler *caller = &converter->caller;
	int16_t out[CONVAI_CONVERT_SAMPLES];
	uint32_t count = length / sizeof(int16_t), filled = 0, i;

	if (convai_ring_room(ring)
		< convai_resample_output(&convai_to_low, caller, count) * sizeof(int16_t)) {
		return 0;
	}
	for (i = 0; i < count; i++) {
		int16_t sample = 0;

		if (bytes) {
			memcpy(&sample, bytes + i * sizeof(sample), sizeof(sample));
		}
		convai_resample_put(caller, sample);
		if (--caller->needed) {
			continue;
		}
		/* The agent's rate is the lower one: no input sample completes two output samples. */
		out[filled++] = convai_resample_get(&convai_to_low, caller);
		if (filled == CONVAI_CONVERT_SAMPLES) {
			convai_converter_give(ring, out, filled);
			filled = 0;
		}
	}
	convai_converter_give(ring, out, filled);
	return length;
}

/* ---- Agent to caller ---- */

/*! \brief How many of the agent's samples have left the queue and are not heard yet */
static inline uint32_t convai_converter_held(const struct convai_converter *converter)
{
	return CONVAI_RESAMPLE_DELAY - converter->silent;
}

/*! \brief One block of convai_converter_take. \return samples up to and including the last with agent audio */
static inline uint32_t convai_converter_block(struct convai_converter *converter,
	struct convai_playout *playout, uint8_t *out, uint32_t count, uint64_t *played)
{
	struct convai_resampler *agent = &converter->agent;
	/* No more than is needed now: what has left the queue can't be flushed any more. */
	uint32_t wanted = convai_resample_input(&convai_to_high, agent, count);
	int16_t in[CONVAI_CONVERT_SAMPLES] = { 0 };
	uint32_t taken = convai_playout_take(playout, (uint8_t *) in, wanted * sizeof(*in), sizeof(*in));
	uint32_t next = 0, heard = 0, i;

	*played += taken;
	for (i = 0; i < count; i++) {
		int16_t sample;

		if (agent->needed) {
			/* The channel's rate is the higher one: no output sample takes two input samples. */
			if (next < taken / sizeof(*in)) {
				converter->silent = 0;
			} else if (converter->silent < CONVAI_RESAMPLE_DELAY) {
				converter->silent++;
			}
			convai_resample_put(agent, in[next++]);
			agent->needed = 0;
		}
		sample = convai_resample_get(&convai_to_high, agent);
		memcpy(out + i * sizeof(sample), &sample, sizeof(sample));
		if (converter->silent < CONVAI_RESAMPLE_DELAY) {
			heard = i + 1;
		}
	}
	return heard;
}

/*!
 * \brief As convai_playout_take, to the channel's rate; fills all of out, with silence at the end
 * \param played is given the bytes taken from the queue
 * \return bytes of out up to and including the last sample with agent audio
 */
static inline uint32_t convai_converter_take(struct convai_converter *converter,
	struct convai_playout *playout, uint8_t *out, uint32_t length, uint64_t *played)
{
	uint32_t count = length / sizeof(int16_t), done = 0, heard = 0;

	*played = 0;
	/* Half a sample's worth of room stays silent. */
	memset(out + count * sizeof(int16_t), 0, length % sizeof(int16_t));
	while (done < count) {
		uint32_t some = count - done < CONVAI_CONVERT_SAMPLES ? count - done : CONVAI_CONVERT_SAMPLES;
		uint32_t till = convai_converter_block(converter, playout,
				out + done * sizeof(int16_t), some, played);

		if (till) {
			heard = done + till;
		}
		done += some;
	}
	return heard * sizeof(int16_t);
}

#endif /* CONVAI_CONVERTER_H */
