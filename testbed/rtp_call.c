/*
 * One call's media: packets out, packets in, and the record of both. See rtp_endpoint.c.
 */
#define _GNU_SOURCE
#include "rtp_call.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RTP_HEADER 12
/* RTCP: types of reports, and their words of 32 bits */
#define SENDER_REPORT 200
#define RECEIVER_REPORT 201
#define SDES 202
#define SENDER_WORDS 5	/* time (2), time stamp, packets, bytes */
#define BLOCK_WORDS 6
#define SDES_WORDS 3	/* header, source, and a name of one letter with its end */
#define REPORT_WORDS (2 + SENDER_WORDS + BLOCK_WORDS + SDES_WORDS)
/* Seconds from 1900, where NTP begins, to 1970 */
#define NTP_EPOCH INT64_C(2208988800)
#define DTMF_VOLUME 10

/* Of what has come and waits to be read: several seconds of linear PCM, should the machine stall */
#define SOCKET_BYTES (1 << 20)

/* Far more than arrives for one call between two ticks; a bound, so that no call starves others */
#define MAX_PACKETS_PER_TICK 64

int64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

int bound_socket(uint16_t port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int on = 1;
	int room = SOCKET_BYTES;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));	/* or as much as it gets */
	if (bind(fd, (struct sockaddr *) &address, sizeof(address))
		|| setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on))) {
		close(fd);
		return -1;
	}
	return fd;
}

static void append_record(struct call *call, const struct record *record, const uint8_t *payload)
{
	fwrite(record, sizeof(*record), 1, call->record);
	fwrite(payload, 1, record->bytes, call->record);
}


/* --- sending --- */

static void send_packet(struct call *call, const struct record *record, const uint8_t *payload)
{
	uint8_t packet[RTP_HEADER + MAX_PACKET];
	uint16_t sequence = htons(record->sequence);
	uint32_t timestamp = htonl(record->timestamp);
	uint32_t ssrc = htonl(record->ssrc);

	packet[0] = 0x80;
	packet[1] = (uint8_t) (record->marker << 7 | record->payload_type);
	memcpy(packet + 2, &sequence, sizeof(sequence));
	memcpy(packet + 4, &timestamp, sizeof(timestamp));
	memcpy(packet + 8, &ssrc, sizeof(ssrc));
	memcpy(packet + RTP_HEADER, payload, record->bytes);

	/* A refused packet (the far end has gone) is lost as it would be on a wire. */
	sendto(call->fd, packet, RTP_HEADER + record->bytes, 0,
		(struct sockaddr *) &call->remote, sizeof(call->remote));
	call->sent_ssrc = record->ssrc;
	call->sent_timestamp = record->timestamp;
	call->sent_packets++;
	call->sent_bytes += record->bytes;
	append_record(call, record, payload);
}

/*! Take up to size bytes of what there is to say; files are joined without a seam */
static size_t take_speech(struct call *call, uint8_t *to, size_t size)
{
	size_t taken = 0;

	while (call->speech && taken < size) {
		struct speech *speech = call->speech;
		size_t bytes = speech->size - speech->said;

		if (bytes > size - taken) {
			bytes = size - taken;
		}
		memcpy(to + taken, speech->bytes + speech->said, bytes);
		taken += bytes;
		speech->said += bytes;
		if (speech->said == speech->size) {
			call->speech = speech->next;
			free(speech);
		}
	}
	return taken;
}

static struct record next_record(struct call *call, int64_t now_ns)
{
	return (struct record) {
		.at_ns = now_ns,
		.timestamp = call->timestamp,
		.ssrc = call->ssrc,
		.sequence = call->sequence++,
		.direction = SENT,
		.payload_type = call->payload_type,
	};
}

static void send_audio(struct call *call, int64_t now_ns)
{
	uint8_t payload[MAX_PACKET];
	size_t bytes = call->muted ? 0 : take_speech(call, payload, call->packet_bytes);
	struct record record;

	if (call->fill >= 0 && !call->muted) {
		memset(payload + bytes, call->fill, call->packet_bytes - bytes);
		bytes = call->packet_bytes;
	}
	if (!bytes) {
		call->resuming = true;
		return;
	}
	record = next_record(call, now_ns);
	record.bytes = (uint16_t) bytes;
	record.marker = call->resuming;
	call->resuming = false;
	send_packet(call, &record, payload);
}

static void send_dtmf(struct call *call, int64_t now_ns)
{
	struct dtmf *dtmf = &call->dtmf;
	bool end = dtmf->packets <= DTMF_ENDS;
	struct record record = next_record(call, now_ns);
	uint8_t payload[4];

	if (!dtmf->started) {
		dtmf->timestamp = call->timestamp;
	}
	if (!end || !dtmf->started) {
		dtmf->duration = (uint16_t) (dtmf->duration + call->step);
	}
	payload[0] = dtmf->event;
	payload[1] = (uint8_t) (end << 7 | DTMF_VOLUME);
	payload[2] = (uint8_t) (dtmf->duration >> 8);
	payload[3] = (uint8_t) dtmf->duration;
	record.timestamp = dtmf->timestamp;
	record.payload_type = dtmf->payload_type;
	record.marker = !dtmf->started;
	record.bytes = sizeof(payload);
	dtmf->started = true;
	dtmf->packets--;
	if (!dtmf->packets) {
		call->pause = DTMF_PAUSE;
	}
	send_packet(call, &record, payload);
}

/*! Begin with the next digit once the one before is long enough ago */
static void next_digit(struct call *call)
{
	if (call->dtmf.packets || !call->digit_count) {
		return;
	}
	if (call->pause) {
		call->pause--;
		return;
	}
	call->dtmf = call->digits[0];
	call->digit_count--;
	memmove(call->digits, call->digits + 1, call->digit_count * sizeof(call->digits[0]));
}

/*! due_ns stays where the schedule began. An entry that is cut off ends it. */
static void send_scheduled(struct call *call, int64_t now_ns)
{
	struct speech *schedule = call->schedule;
	struct record record;

	while (schedule->size - schedule->said >= sizeof(record)) {
		const uint8_t *payload = schedule->bytes + schedule->said + sizeof(record);

		memcpy(&record, schedule->bytes + schedule->said, sizeof(record));
		if (call->due_ns + record.at_ns > now_ns) {
			return;
		}
		if (record.bytes > MAX_PACKET
			|| record.bytes > schedule->size - schedule->said - sizeof(record)) {
			schedule->said = schedule->size;
			return;
		}
		schedule->said += sizeof(record) + record.bytes;
		record.at_ns = now_ns;
		record.direction = SENT;
		send_packet(call, &record, payload);
	}
}

void call_send_due(struct call *call, int64_t now_ns)
{
	if (!call->remote.sin_port) {
		return;
	}
	if (call->schedule) {
		send_scheduled(call, now_ns);
		return;
	}
	for (; call->due_ns <= now_ns; call->due_ns += PTIME_NS) {
		bool with_audio;

		next_digit(call);
		with_audio = !call->dtmf.packets || call->dtmf.beside;
		if (call->dtmf.packets) {
			send_dtmf(call, now_ns);
		}
		if (with_audio) {
			send_audio(call, now_ns);
		}
		call->timestamp += call->step;
	}
}

void call_start(struct call *call, uint16_t port)
{
	if (!call->remote.sin_port) {
		/* From the next tick on, exactly: then only the wake-up's delay is in the pace. */
		call->due_ns = (clock_ns(CLOCK_MONOTONIC) / TICK_NS + 1) * TICK_NS;
	}
	call->remote.sin_port = port;
}


/* --- receiving --- */

/*! The kernel's time of arrival as CLOCK_MONOTONIC */
static int64_t arrival_ns(struct msghdr *message, int64_t real_minus_monotonic_ns)
{
	struct cmsghdr *header;

	for (header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_TIMESTAMPNS) {
			struct timespec stamp;

			memcpy(&stamp, CMSG_DATA(header), sizeof(stamp));
			return stamp.tv_sec * NS_PER_S + stamp.tv_nsec - real_minus_monotonic_ns;
		}
	}
	return clock_ns(CLOCK_MONOTONIC);
}

/*! Length of everything in front of the payload, or 0 if this is no RTP packet */
static size_t header_length(const uint8_t *packet, size_t size)
{
	size_t length;

	if (size < RTP_HEADER || packet[0] >> 6 != 2) {
		return 0;
	}
	length = RTP_HEADER + 4 * (size_t) (packet[0] & 0x0f);
	if (packet[0] & 0x10) {
		if (size < length + 4) {
			return 0;
		}
		length += 4 + 4 * (size_t) (packet[length + 2] << 8 | packet[length + 3]);
	}
	return length <= size ? length : 0;
}

/*! Note that a packet has come: digits, whose time stamps stand still, say nothing of jitter */
static void note_arrival(struct call *call, const struct record *record)
{
	struct arrivals *arrivals = &call->arrivals;
	uint32_t units_per_s = call->step * (uint32_t) (NS_PER_S / PTIME_NS);
	uint32_t transit = (uint32_t) (record->at_ns / 1000 * units_per_s / 1000000) - record->timestamp;
	int16_t ahead = (int16_t) (record->sequence - (uint16_t) arrivals->highest);

	if (!arrivals->any || arrivals->ssrc != record->ssrc) {
		*arrivals = (struct arrivals) {
			.any = true, .ssrc = record->ssrc, .first = record->sequence, .highest = record->sequence,
			.transit = transit,
		};
	} else if (ahead > 0) {
		arrivals->highest += (uint32_t) ahead;
	}
	arrivals->count++;
	if (record->payload_type == call->payload_type) {
		int32_t moved = (int32_t) (transit - arrivals->transit);

		arrivals->jitter += (abs(moved) - arrivals->jitter) / 16;
		arrivals->transit = transit;
	}
}

static void take_packet(struct call *call, const uint8_t *packet, size_t size, int64_t at_ns)
{
	size_t header = header_length(packet, size);
	size_t padding = header && (packet[0] & 0x20) ? packet[size - 1] : 0;
	struct record record = { .at_ns = at_ns, .direction = RECEIVED };

	if (!header || header + padding > size) {
		return;
	}
	memcpy(&record.sequence, packet + 2, sizeof(record.sequence));
	memcpy(&record.timestamp, packet + 4, sizeof(record.timestamp));
	memcpy(&record.ssrc, packet + 8, sizeof(record.ssrc));
	record.sequence = ntohs(record.sequence);
	record.timestamp = ntohl(record.timestamp);
	record.ssrc = ntohl(record.ssrc);
	record.payload_type = packet[1] & 0x7f;
	record.marker = packet[1] >> 7;
	record.bytes = (uint16_t) (size - header - padding);
	append_record(call, &record, packet + header);
	note_arrival(call, &record);
}

void call_receive(struct call *call, int64_t real_minus_monotonic_ns)
{
	uint8_t packet[MAX_PACKET];
	char control[CMSG_SPACE(sizeof(struct timespec))];
	struct sockaddr_in from;
	int i;

	for (i = 0; i < MAX_PACKETS_PER_TICK; i++) {
		struct iovec part = { .iov_base = packet, .iov_len = sizeof(packet) };
		struct msghdr message = {
			.msg_name = &from,
			.msg_namelen = sizeof(from),
			.msg_iov = &part,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control),
		};
		ssize_t size = recvmsg(call->fd, &message, 0);

		if (size < 0) {
			return;
		}
		if (!call->remote.sin_port) {
			call_start(call, from.sin_port);
		}
		take_packet(call, packet, (size_t) size, arrival_ns(&message, real_minus_monotonic_ns));
	}
}


/* --- reports --- */

static uint32_t *put(uint32_t *to, uint32_t word)
{
	*to = htonl(word);
	return to + 1;
}

static uint32_t *put_header(uint32_t *to, unsigned int blocks, unsigned int type, unsigned int words)
{
	return put(to, 2U << 30 | blocks << 24 | type << 16 | (words - 1));
}

static uint32_t *put_sender(const struct call *call, uint32_t *to)
{
	int64_t now_ns = clock_ns(CLOCK_REALTIME);

	to = put(to, (uint32_t) (now_ns / NS_PER_S + NTP_EPOCH));
	to = put(to, (uint32_t) (((uint64_t) (now_ns % NS_PER_S) << 32) / NS_PER_S));
	to = put(to, call->sent_timestamp);
	to = put(to, call->sent_packets);
	return put(to, call->sent_bytes);
}

/*! \param heard_of the middle of the time that Asterisk's report bears; 0: it bears none */
static uint32_t *put_block(const struct call *call, uint32_t *to, uint32_t heard_of)
{
	const struct arrivals *arrivals = &call->arrivals;
	uint32_t expected = arrivals->highest - arrivals->first + 1;
	uint32_t lost = expected > arrivals->count ? expected - arrivals->count : 0;

	to = put(to, arrivals->ssrc);
	to = put(to, lost & 0xffffff);
	to = put(to, arrivals->highest);
	to = put(to, (uint32_t) arrivals->jitter);
	to = put(to, heard_of);
	return put(to, 0);	/* answered at once */
}

/*! What RFC 3550 wants in each packet: a report, and a name for its source */
static size_t write_report(const struct call *call, uint32_t *words, uint32_t heard_of)
{
	unsigned int blocks = call->arrivals.any;
	unsigned int sender_words = call->sent_packets ? SENDER_WORDS : 0;
	unsigned int type = call->sent_packets ? SENDER_REPORT : RECEIVER_REPORT;
	uint32_t *to = put_header(words, blocks, type, 2 + sender_words + blocks * BLOCK_WORDS);

	to = put(to, call->sent_packets ? call->sent_ssrc : call->ssrc);
	if (call->sent_packets) {
		to = put_sender(call, to);
	}
	if (blocks) {
		to = put_block(call, to, heard_of);
	}
	to = put_header(to, 1, SDES, SDES_WORDS);
	to = put(to, call->sent_packets ? call->sent_ssrc : call->ssrc);
	to = put(to, 1U << 24 | 1U << 16 | 'x' << 8);	/* CNAME, one letter, end */
	return (size_t) (to - words) * sizeof(*words);
}

/*! The time that a sender's report bears, as it comes back in ours; 0 for others */
static uint32_t time_of(const uint8_t *packet, size_t size)
{
	uint32_t time;

	if (size < 16 || packet[1] != SENDER_REPORT) {
		return 0;
	}
	memcpy(&time, packet + 10, sizeof(time));
	return ntohl(time);
}

void call_report(struct call *call)
{
	uint8_t packet[MAX_PACKET];
	uint32_t words[REPORT_WORDS];
	struct sockaddr_in from;
	int i;

	for (i = 0; i < MAX_PACKETS_PER_TICK; i++) {
		socklen_t from_size = sizeof(from);
		ssize_t size = recvfrom(call->rtcp_fd, packet, sizeof(packet), 0, (struct sockaddr *) &from,
			&from_size);

		if (size < 0) {
			return;
		}
		if (size >= 8 && packet[0] >> 6 == 2
			&& (packet[1] == SENDER_REPORT || packet[1] == RECEIVER_REPORT)) {
			sendto(call->rtcp_fd, words, write_report(call, words, time_of(packet, (size_t) size)), 0,
				(struct sockaddr *) &from, from_size);
		}
	}
}

void call_release(struct call *call)
{
	while (call->speech) {
		struct speech *next = call->speech->next;

		free(call->speech);
		call->speech = next;
	}
	free(call->schedule);
	if (call->record) {
		fclose(call->record);
	}
	if (call->fd >= 0) {
		close(call->fd);
	}
	if (call->rtcp_fd >= 0) {
		close(call->rtcp_fd);
	}
	memset(call, 0, sizeof(*call));
}
