/*
 * app_forkstream: copy a call's audio to a listener
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief A stream by UDP
 *
 * What a packet costs is the kernel's way with it. So streams with the same listener share a socket, and what a tick
 * brings for them goes to the kernel in one system call and takes that way once (UDP_SEGMENT): the kernel cuts it into
 * packets where they leave. The listener gets each by itself, as ever.
 */

#include "asterisk.h"

#include <netdb.h>	/* getaddrinfo(3) */
#include <netinet/udp.h>	/* UDP_SEGMENT */
#include <sys/socket.h>	/* sendmsg(2) */

#include "asterisk/json.h"	/* ast_json_free */
#include "asterisk/lock.h"	/* ast_mutex_lock */
#include "asterisk/utils.h"	/* ast_calloc */

#include "media.h"
#include "stream.h"
#include "tell.h"
#include "udp.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103	/* Linux 4.18; glibc has it since 2.29 */
#endif

/* ---- Sockets ---- */

struct udp_socket {
	int fd;
	int is_single;	/*!< it takes one packet at a time; written where it is opened, then by the network's thread alone */
	unsigned int users;	/*!< streams; with the lock */
	struct sockaddr_storage to;
	socklen_t to_length;
	AST_LIST_ENTRY(udp_socket) list;
};

AST_MUTEX_DEFINE_STATIC(lock);
/*! Those that streams have. With the lock. */
static AST_LIST_HEAD_NOLOCK_STATIC(sockets, udp_socket);

static struct udp_socket *open_socket(const struct addrinfo *address)
{
	const int received = UDP_RECEIVE_BYTES;
	const int sent = UDP_SEND_BYTES;
	const int none = 0;
	struct udp_socket *own = ast_calloc(1, sizeof(*own));

	if (!own) {
		return NULL;
	}
	own->fd = socket(address->ai_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (own->fd < 0 || connect(own->fd, address->ai_addr, address->ai_addrlen)) {
		close(own->fd);
		ast_free(own);
		return NULL;
	}
	/* What comes back is never read: the kernel drops what finds no room. */
	setsockopt(own->fd, SOL_SOCKET, SO_RCVBUF, &received, sizeof(received));
	setsockopt(own->fd, SOL_SOCKET, SO_SNDBUF, &sent, sizeof(sent));
	/* Linux before 4.18 does not know it, and would send them as one. */
	own->is_single = setsockopt(own->fd, SOL_UDP, UDP_SEGMENT, &none, sizeof(none)) != 0;
	own->to_length = address->ai_addrlen;
	memcpy(&own->to, address->ai_addr, address->ai_addrlen);
	return own;
}

/*! \brief A socket to this address, with one user more. \return NULL if there is none */
static struct udp_socket *share_socket(const struct addrinfo *address)
{
	struct udp_socket *own;

	ast_mutex_lock(&lock);
	AST_LIST_TRAVERSE(&sockets, own, list) {
		if (own->users < SOCKET_STREAMS && own->to_length == address->ai_addrlen
			&& !memcmp(&own->to, address->ai_addr, own->to_length)) {
			break;
		}
	}
	if (!own && (own = open_socket(address))) {
		AST_LIST_INSERT_TAIL(&sockets, own, list);
	}
	if (own) {
		own->users++;
	}
	ast_mutex_unlock(&lock);
	return own;
}

int udp_open(struct stream *stream, int flags)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_DGRAM, .ai_flags = flags | AI_NUMERICSERV };
	const struct destination *to = &stream->to;
	const char *host = strcasecmp(to->host, "localhost") ? to->host : "127.0.0.1";
	struct addrinfo *found = NULL;
	const struct addrinfo *each;
	char port[8];

	snprintf(port, sizeof(port), "%u", to->port);
	if (getaddrinfo(host, port, &hints, &found)) {
		return -1;
	}
	for (each = found; each && !stream->socket; each = each->ai_next) {
		stream->socket = share_socket(each);
	}
	freeaddrinfo(found);
	return stream->socket ? 0 : -1;
}

void udp_close(struct stream *stream)
{
	struct udp_socket *own = stream->socket;

	stream->socket = NULL;
	ast_mutex_lock(&lock);
	if (!--own->users) {
		AST_LIST_REMOVE(&sockets, own, list);
		close(own->fd);
		ast_free(own);
	}
	ast_mutex_unlock(&lock);
}

/* ---- Packets ---- */

/*! The network's thread's: packets of streams with one socket, one behind the other, until the kernel gets them */
static struct {
	struct udp_socket *socket;
	struct stream *stream;	/*!< whose packets come now */
	unsigned int count;
	size_t length;	/*!< bytes */
	struct {
		struct stream *stream;
		size_t length;	/*!< bytes */
	} packets[BATCH_PACKETS];
	uint8_t bytes[BATCH_BYTES];
} batch;

/*! \brief How many packets go as one from here: all are as long as the first, but the last may be shorter. \param[out] bytes in all */
static unsigned int find_run(unsigned int first, size_t *bytes)
{
	const size_t length = batch.packets[first].length;
	unsigned int end = first;

	*bytes = 0;
	do {
		*bytes += batch.packets[end++].length;
	} while (!batch.socket->is_single && end < batch.count && batch.packets[end - 1].length == length
		&& batch.packets[end].length <= length);
	return end - first;
}

/*! \brief Send bytes, cut into packets of this length. \return 0 or the error's number */
static int send_run(uint8_t *bytes, size_t length, size_t packet)
{
	_Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof(uint16_t))] = "";
	const uint16_t cut = (uint16_t) packet;
	struct iovec vector = { bytes, length };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
	struct cmsghdr *control = (struct cmsghdr *) room;

	if (length > packet) {
		message.msg_control = room;
		message.msg_controllen = sizeof(room);
		control->cmsg_level = SOL_UDP;
		control->cmsg_type = UDP_SEGMENT;
		control->cmsg_len = CMSG_LEN(sizeof(cut));
		memcpy(CMSG_DATA(control), &cut, sizeof(cut));
	}
	return sendmsg(batch.socket->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? errno : 0;
}

/*!
 * \brief Hand all to the kernel, which takes them or does not: nothing is sent again
 *
 * ECONNREFUSED is what became of packets before; these have not been tried. EIO, EINVAL and EMSGSIZE: the way to
 * this listener takes only single ones, for an interface does not compute sums, or takes no packet that long whole.
 */
void udp_flush(void)
{
	unsigned int at = 0;
	size_t offset = 0;
	int was_refused = 0;

	while (at < batch.count) {
		size_t length;
		unsigned int run = find_run(at, &length);
		int error = send_run(batch.bytes + offset, length, batch.packets[at].length);
		int is_refusal = error == ECONNREFUSED && !was_refused;
		unsigned int i;

		if (run > 1 && (error == EIO || error == EINVAL || error == EMSGSIZE)) {
			batch.socket->is_single = 1;
			continue;
		}
		for (i = at; error && error != EINTR && i < at + run; i++) {
			struct stream *stream = batch.packets[i].stream;

			if (!is_refusal) {
				count_more(&stream->lost_packets, 1);
			} else if (i == at || stream != batch.packets[i - 1].stream) {
				count_more(&stream->refused, 1);
			}
		}
		was_refused = is_refusal;
		if (!is_refusal && error != EINTR) {
			at += run;
			offset += length;
		}
	}
	batch.count = 0;
	batch.length = 0;
}

static uint8_t *batch_room(struct sink *sink)
{
	if (batch.count == BATCH_PACKETS || batch.length + PACKET_BYTES_MAX > BATCH_BYTES) {
		udp_flush();
	}
	return batch.bytes + batch.length;
}

static void batch_put(struct sink *sink, size_t length)
{
	batch.packets[batch.count].stream = batch.stream;
	batch.packets[batch.count++].length = length;
	batch.length += length;
}

/*! \brief What a stream's packets go to, from now on and until the next is asked for */
static struct sink *sink_of(struct stream *stream)
{
	static struct sink sink = { batch_room, batch_put };

	if (batch.socket != stream->socket) {
		udp_flush();
	}
	batch.socket = stream->socket;
	batch.stream = stream;
	return &sink;
}

/*! \brief Send a JSON text as a packet. tell.c has seen that it fits. */
static void put_text(const struct stream *stream, struct sink *sink, enum packet_kind kind, const char *text)
{
	size_t length = MIN(strlen(text), (size_t) (PACKET_BYTES_MAX - PACKET_HEADER));
	const struct packet head = {
		.kind = kind,
		.codec = stream->options.codec,
		.rate = stream->options.rate,
		.stream = stream->id,
		.length = (uint16_t) length,
	};
	uint8_t *room = sink->room(sink);

	packet_write(room, &head);
	memcpy(room + PACKET_HEADER, text, length);
	sink->put(sink, PACKET_HEADER + length);
}

/* ---- A stream ---- */

/*! \brief Say which stream it is: at the start, and again later */
static void introduce(struct stream *stream, struct sink *sink, int64_t now_us)
{
	if (!stream->start_again_us) {
		tell_event(stream, "ForkStreamStart");
	}
	stream->start_again_us = now_us + START_AGAIN_SECONDS * INT64_C(1000000);
	put_text(stream, sink, PACKET_START, stream->start_text);
}

static void finish_udp(struct stream *stream, struct sink *sink)
{
	char *text;
	int i;

	media_flush(stream->media, sink);
	udp_flush();
	text = tell_end_text(stream);
	for (i = 0; text && i < END_TIMES; i++) {
		put_text(stream, sink, PACKET_END, text);
	}
	udp_flush();
	ast_json_free(text);
	udp_close(stream);
	tell_event(stream, "ForkStreamStop");
	stream_is_over(stream);
}

int udp_serve(struct stream *stream, int64_t now_us)
{
	struct sink *sink = sink_of(stream);
	int is_over = __atomic_load_n(&stream->reason, __ATOMIC_ACQUIRE) != REASON_NONE;

	if (!stream->start_again_us || (!is_over && now_us >= stream->start_again_us)) {
		introduce(stream, sink, now_us);
	}
	if (is_over) {
		finish_udp(stream, sink);
		return 0;
	}
	media_pump(stream->media, now_us, sink);
	stream_listen(stream, now_us);
	return 1;
}
