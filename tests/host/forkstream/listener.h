/* What the tests of streams share: a module that is loaded, a channel, and listeners. */

#ifndef LISTENER_H
#define LISTENER_H

#include "host.h"

/*! One packet, or one message, as a listener has it */
struct got {
	int opcode;	/*!< of a WebSocket's message */
	unsigned int port;	/*!< that a packet comes from */
	size_t length;
	uint8_t bytes[2048];
};

/*! \brief Real time, forkstream.conf with this text (NULL: none), the module loaded. \return a channel that is up */
struct ast_channel *streams_begin(const char *conf);
/*! \brief Hang up the channel, wait until no stream is left, and unload */
void streams_end(struct ast_channel *channel);
/*! \brief Unload; there are no streams */
void streams_unload(void);

/*! \brief Run ForkStream(arguments). \return FORKSTREAMSTATUS */
const char *fork_stream(struct ast_channel *channel, const char *arguments);

/*! \brief Open a socket. \param[out] url where it is, with udp:// */
int listen_udp(char url[64]);
/*! \brief A URL where nobody listens */
void nowhere_udp(char url[64]);
/*! \brief The next packet, or an end of the test */
void udp_get(int fd, struct got *got);
/*! \brief The next message of the nth WebSocket, or an end of the test */
void websocket_get(size_t i, struct got *got);
/*!
 * \brief The next message of audio that is not silence, of which there may be some wherever the test comes late
 * \param header bytes of it before the audio
 */
void websocket_get_voice(size_t i, struct got *got, size_t header);
/*! \brief Send a message to the nth WebSocket's stream */
void websocket_say(size_t i, int opcode, const char *text);
/*! \brief Send a part of one */
void websocket_say_part(size_t i, const void *bytes, size_t length);

/*! \brief 20 ms of one value, read from the channel and written to it */
void talk(struct ast_channel *channel, int16_t value);
#endif /* LISTENER_H */
