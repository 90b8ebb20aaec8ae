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
 *
 * The channel's thread pushes frames as they come, the network's thread makes packets of them. What
 * goes along is complete and in order; what could not be taken in time is missing, counted, and its
 * place in time stays empty.
 */

#ifndef FORKSTREAM_MEDIA_H
#define FORKSTREAM_MEDIA_H

#include <stddef.h>
#include <stdint.h>

struct media;
struct options;

/*! \brief Add to a counter that one thread writes, and anybody reads */
static inline void count_more(uint64_t *counter, uint64_t more)
{
	__atomic_store_n(counter, *counter + more, __ATOMIC_RELAXED);
}

/*! Where packets go */
struct sink {
	/*!
	 * \brief Room for the next packet, PACKET_BYTES_MAX bytes; the same until there is one
	 * \return NULL while the network takes nothing
	 */
	uint8_t *(*room)(struct sink *sink);
	/*! \brief So many bytes are in it: a header, and the payload */
	void (*put)(struct sink *sink, size_t length);
};

/*! What became of a direction's audio so far, in samples of the stream's rate unless said otherwise */
struct media_count {
	uint64_t packets;	/*!< made; not those that were skipped */
	uint64_t samples;	/*!< in them */
	uint64_t skipped;	/*!< of silence that was left out: by the option s, and beyond FILL_MS of a gap */
	uint64_t dropped;	/*!< of the channel's rate, for want of room */
};

/*!
 * \brief What a stream has between its two threads; NULL if memory is short
 * \param now_us the stream's time begins here
 */
struct media *media_create(const struct options *options, uint64_t stream, int64_t now_us);
void media_free(struct media *media);

/*! \brief Take a frame: its direction (PACKET_RX, PACKET_TX), samples, and rate in Hz. The channel's thread; waits for nothing. */
void media_push(struct media *media, unsigned int direction, const int16_t *samples, unsigned int count,
	unsigned int rate);

/*! \brief Mute these directions from now on, and no others: silence takes their place. Any thread. */
void media_mute(struct media *media, unsigned int directions);
unsigned int media_muted(const struct media *media);

/*! \brief The directions that go along, are not muted, and have brought nothing for so long. The network's thread. */
unsigned int media_quiet(const struct media *media, int64_t now_us, int ms);

/*! \brief Hand over all packets that are whole. The network's thread. */
void media_pump(struct media *media, int64_t now_us, struct sink *sink);

/*!
 * \brief Hand over what is left, the last packet shorter than the others: the stream is over
 * \return whether that is all; otherwise there was no room for more
 */
int media_flush(struct media *media, struct sink *sink);
/*! \brief Count what is still left as dropped: nobody takes it any more */
void media_drop(struct media *media);

/*! \brief Count one direction; PACKET_BOTH where they are interleaved. Any thread. \return 0 if it does not go along */
int media_count(const struct media *media, unsigned int direction, struct media_count *count);

#endif /* FORKSTREAM_MEDIA_H */
