/*
 * app_forkstream: copy a call's audio to a listener
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The packet: what a listener gets by UDP, and by a WebSocket with the directions apart
 *
 * 32 bytes, all numbers in network order, then the payload. docs/forkstream.md has the table.
 */

#ifndef FORKSTREAM_PACKET_H
#define FORKSTREAM_PACKET_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PACKET_MAGIC "FkSt"
#define PACKET_VERSION 1
#define PACKET_HEADER 32

enum packet_kind {
	PACKET_START = 1,	/*!< payload: the JSON text `start` */
	PACKET_AUDIO = 2,
	PACKET_END = 3,	/*!< payload: the JSON text `end` */
};

enum packet_direction {
	PACKET_RX = 1,	/*!< what the channel's own party says */
	PACKET_TX = 2,	/*!< what it hears */
	PACKET_BOTH = 3,	/*!< the two interleaved, rx first */
};

enum packet_codec {
	PACKET_ULAW = 1,
	PACKET_ALAW = 2,
	PACKET_SLIN = 3,	/*!< 16 bits, the low byte first */
};

enum packet_flags {
	PACKET_SILENCE = 1 << 0,	/*!< digital silence alone: nothing was said, or it is muted */
};

struct packet {
	enum packet_kind kind;
	enum packet_direction direction;	/*!< 0 in `start` and `end` */
	enum packet_codec codec;
	unsigned int rate;	/*!< Hz, whole kHz */
	unsigned int flags;
	uint64_t stream;
	uint64_t time;	/*!< samples since the stream began */
	uint32_t sequence;	/*!< of its direction, from 0 */
	uint16_t length;	/*!< bytes of payload */
};

/*! \brief Write the header, PACKET_HEADER bytes */
static inline void packet_write(uint8_t *to, const struct packet *packet)
{
	const uint64_t longs[] = { htobe64(packet->stream), htobe64(packet->time) };
	const uint32_t sequence = htobe32(packet->sequence);
	const uint16_t length = htobe16(packet->length);

	memcpy(to, PACKET_MAGIC, 4);
	to[4] = PACKET_VERSION;
	to[5] = (uint8_t) packet->kind;
	to[6] = (uint8_t) packet->direction;
	to[7] = (uint8_t) packet->codec;
	memcpy(to + 8, longs, sizeof(longs));
	memcpy(to + 24, &sequence, sizeof(sequence));
	to[28] = (uint8_t) packet->flags;
	to[29] = (uint8_t) (packet->rate / 1000);
	memcpy(to + 30, &length, sizeof(length));
}

#endif /* FORKSTREAM_PACKET_H */
