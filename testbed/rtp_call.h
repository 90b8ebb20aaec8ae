/*
 * One call's media: packets out, packets in, and the record of both. See rtp_endpoint.c.
 */
#ifndef RTP_CALL_H
#define RTP_CALL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define MAX_PACKET 2048

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

/* One packet per call and PTIME. All work is done on a tick: 200 wake-ups a second, however many
 * calls there are. Arrival times do not suffer, they are the kernel's. */
#define PTIME_NS (20 * NS_PER_MS)
#define TICK_NS (5 * NS_PER_MS)

/* RFC 4733: the end of an event is sent three times */
#define DTMF_ENDS 3
/* Packets of audio between one digit and the next */
#define DTMF_PAUSE 5
/* Digits that can wait */
#define DTMF_WAITING 64

enum direction { RECEIVED = 0, SENT = 1 };

/*! What precedes each packet's payload in a record file; host byte order */
struct record {
	int64_t at_ns;		/*!< CLOCK_MONOTONIC */
	uint32_t timestamp;
	uint32_t ssrc;
	uint16_t sequence;
	uint16_t bytes;		/*!< of payload, which follows */
	uint8_t direction;	/*!< enum direction */
	uint8_t payload_type;
	uint8_t marker;
	uint8_t unused;
};

/*! What has come, for the reports of RTCP (RFC 3550, A.3 and A.8); of the source that has spoken last */
struct arrivals {
	bool any;
	uint32_t ssrc;
	uint16_t first;		/*!< sequence number */
	uint32_t highest;	/*!< sequence number, and in the upper half how often that has begun anew */
	uint32_t count;
	uint32_t transit;	/*!< of the last packet: its arrival less its time stamp, in the time stamp's units */
	double jitter;		/*!< in these units */
};

/*! Bytes to say, one file of them */
struct speech {
	struct speech *next;
	size_t size;
	size_t said;
	uint8_t bytes[];
};

/*! A digit on its way */
struct dtmf {
	unsigned int packets;	/*!< still to be sent, the ends included; 0: none under way */
	uint32_t timestamp;	/*!< of its start */
	uint16_t duration;
	uint8_t event;
	uint8_t payload_type;
	bool started;
	bool beside;		/*!< the audio goes on meanwhile, as through a gateway that sends both */
};

struct call {
	bool used;
	bool muted;
	bool resuming;		/*!< the next packet is the first after a pause: marker bit */
	int fd;
	int rtcp_fd;
	int fill;
	FILE *record;
	struct sockaddr_in remote;	/*!< port 0 until known */
	int64_t due_ns;		/*!< when the next packet is to be sent */
	uint32_t ssrc;
	uint32_t timestamp;
	uint32_t step;
	uint16_t sequence;
	uint8_t payload_type;
	size_t packet_bytes;
	uint32_t sent_ssrc;	/*!< of the last packet sent, and its time stamp: a schedule has its own */
	uint32_t sent_timestamp;
	uint32_t sent_packets;
	uint32_t sent_bytes;	/*!< of payload */
	struct arrivals arrivals;
	struct speech *speech;	/*!< list; the first is being said */
	struct speech *schedule;	/*!< packets to send instead, see call_send_due; or NULL */
	struct dtmf dtmf;
	struct dtmf digits[DTMF_WAITING];	/*!< what follows that one, oldest first */
	unsigned int digit_count;
	unsigned int pause;	/*!< packets until the next digit */
};

int64_t clock_ns(clockid_t clock);

/*! \return a non-blocking UDP socket on loopback with times of arrival, or -1 with errno set */
int bound_socket(uint16_t port);

/*! Start sending to a port of loopback (network byte order), or go on there */
void call_start(struct call *call, uint16_t port);

/*!
 * Send all that is due. After a delay of ours that is several packets: no sample is left out.
 *
 * With a schedule that is what stands in there and nothing else: a struct record for each packet,
 * at_ns from the start of sending on, in order of time, and its payload behind it.
 */
void call_send_due(struct call *call, int64_t now_ns);

/*!
 * Take in what has come
 * \param real_minus_monotonic_ns turns the kernel's times of arrival into CLOCK_MONOTONIC
 */
void call_receive(struct call *call, int64_t real_minus_monotonic_ns);

/*!
 * Answer each report of Asterisk's with one of our own, at once (RTCP, RFC 3550)
 *
 * So Asterisk knows what has arrived here, and the round trip: its own interval (rtcpinterval in rtp.conf) is ours.
 */
void call_report(struct call *call);

/*! Close and free all that the call holds; it may be half open */
void call_release(struct call *call);

#endif /* RTP_CALL_H */
