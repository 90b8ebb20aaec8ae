/*
 * app_forkstream: copy a call's audio to a listener
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Every limit of the module, with its unit and its reason
 */

#ifndef FORKSTREAM_BOUNDS_H
#define FORKSTREAM_BOUNDS_H

/* ---- Audio ---- */

/*! Audio in a packet where no option says otherwise, ms: what most telephones send */
#define PACKET_MS 20
#define PACKET_MS_LEAST 10
#define PACKET_MS_MOST 60
/*! Bytes of a packet: an Ethernet frame takes it whole, through IPv6 and a tunnel as well */
#define PACKET_BYTES_MAX 1400
/*! Rates that a listener may ask for, Hz */
#define RATE_NARROW 8000
#define RATE_WIDE 16000
/*! Room for what the network has not taken yet, 16-bit words a direction: 2 s at 8 kHz, 1 s at 16 kHz. A power of two. */
#define RING_WORDS 16384u
/*! Samples of one record of the ring; longer frames are cut into several */
#define RECORD_SAMPLES_MAX 1024
/*! A direction is quiet when it has brought nothing for so long, ms: jitter buffers hold back less */
#define QUIET_MS 100
/*! A direction that brings nothing for so long may be deaf (stream_listen), ms, and how often that is seen to while it stays so */
#define DEAF_MS 300
#define LISTEN_AGAIN_MS 1000
/*! The last of RTP's numbers: the build that Debian has of 22.10 gives no audiohook the frame behind it, whose number is 0 */
#define SEQUENCE_LAST 0xffff
/*! Silence that is sent for a gap, ms: what goes beyond is left out, or who has stalled for minutes would get minutes of it */
#define FILL_MS 2000
/*! The beep: its length in ms, its pitch in Hz, its loudness as a sample's value (-14 dBFS) */
#define BEEP_MS 200
#define BEEP_HZ 1000
#define BEEP_PEAK 6500
/*! Longest time between two beeps, s */
#define BEEP_SECONDS_MAX 3600

/* ---- Network ---- */

/*! How often a stream's audio is taken to the network, ms */
#define TICK_MS 20
/*! ... and by WebSocket, ms: to write four messages costs what two cost, for TCP makes one packet of them */
#define WEBSOCKET_MS 40
/*! How often a stream that is connecting is looked at while nothing else is to be done, ms */
#define WATCH_MS 200
/*! Seconds that a listener has to answer, look-up included: the default, and the most that a file may say */
#define CONNECT_SECONDS 10
#define CONNECT_SECONDS_MAX 60
/*! Threads of streams: for WebSockets, and for look-ups. A listener that is silent may hold one beyond its stream's end. */
#define THREADS_MAX 1000
/*! What one stream hands to its WebSocket at once, bytes: some 20 packets, so that one that catches up keeps no other waiting */
#define OUT_BYTES 8192
/*! Encrypted packets that are written before it is asked for room again: TCP says that there is while a third of its buffer is free, 15 kB or more */
#define WRITES_A_LOOK 4
/*! A stream that is over has so long until its WebSocket has taken what is left, ms; then that is dropped */
#define END_LIMIT_MS 1000
/*! Texts and answers to pings on a WebSocket's own thread take no longer, ms */
#define WRITE_LIMIT_MS 500
/*! Messages of a WebSocket's listener that are read in one tick: who floods is slowed down by TCP */
#define READS_A_TICK 4
/*! A WebSocket's thread looks round at least so often, ms, though its listener says nothing */
#define LOOK_MS 10000
/*! Packets handed to the kernel at once, and their bytes: its own limits for what it takes as one (UDP_MAX_SEGMENTS, 65507) */
#define BATCH_PACKETS 64
#define BATCH_BYTES 65000
/*! Streams that share a socket: with two packets each they fill a batch */
#define SOCKET_STREAMS (BATCH_PACKETS / 2)
/*! Bytes that the kernel is asked to keep of a socket's packets while the network is slow: 0.5 s of 32 streams. It may grant less. */
#define UDP_SEND_BYTES (1 << 20)
/*! Bytes that the kernel keeps of what a listener sends back by UDP, which nobody reads */
#define UDP_RECEIVE_BYTES 2048
/*! The packet `start` is sent again this often, s: one may be lost, and a listener may begin late */
#define START_AGAIN_SECONDS 5
/*! ... and the packet `end` so many times */
#define END_TIMES 3

/* ---- Everything else ---- */

/*! Streams at once: the default, and the most that a file may say */
#define STREAMS 500
#define STREAMS_MAX 10000
/*! Bytes of an URL, of a host's name, of a tag, and of a variable's value that goes along */
#define URL_SIZE 1024
#define HOST_SIZE 256
#define TAG_SIZE 128
#define VALUE_SIZE 256
/*! Bytes of a sentence that says what is wrong */
#define ERROR_SIZE 256
/*! Seconds that unloading waits for streams to end, and for threads */
#define UNLOAD_SECONDS 5
/*! Applications, commands and actions do their work and return, ms */
#define COMMAND_LIMIT_MS 5000

#endif /* FORKSTREAM_BOUNDS_H */
