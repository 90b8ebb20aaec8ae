/*
 * The media side of many SIP calls: sends, receives and records RTP on loopback.
 *
 * One process, one thread, up to MAX_CALLS calls. Commands come as lines on stdin, answers go as
 * lines to stdout; `rtp.py` is the other end. It decides nothing: every packet sent and received is
 * appended to the call's record file, and Python compares them afterwards.
 *
 *   open <id> <port> <record file> <payload type> <packet bytes> <timestamp step> <fill>
 *        -> opened <id>          fill: value of the byte that is sent when there is nothing to say,
 *                                or -1 to send nothing then
 *   remote <id> <port>           start sending to 127.0.0.1:<port>
 *   say <id> <file>              queue a file's bytes as payload, behind what is queued already
 *   mute <id> | unmute <id>      send nothing for a while; the audio waits
 *   dtmf <id> <event> <payload type> <packets>      a digit as RFC 4733, in place of the audio
 *   flush <id>                   -> flushed <id>    the record file is complete up to now
 *   close <id>                   -> closed <id>
 *   quit                         as does the end of stdin
 *
 * A command that cannot be carried out is answered with: error <id> <reason>
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define MAX_CALLS 512
#define MAX_PACKET 2048
#define MAX_LINE 4096
#define RTP_HEADER 12

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

/* One packet per call and PTIME. All work is done on a tick: 200 wake-ups a second, however many
 * calls there are. Arrival times do not suffer, they are the kernel's. */
#define PTIME_NS (20 * NS_PER_MS)
#define TICK_NS (5 * NS_PER_MS)

/* Far more than arrives for one call between two ticks; a bound, so that no call starves others */
#define MAX_PACKETS_PER_TICK 64

/* RFC 4733: the end of an event is sent three times */
#define DTMF_ENDS 3
#define DTMF_VOLUME 10

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
};

struct call {
	bool used;
	bool muted;
	bool resuming;		/*!< the next packet is the first after a pause: marker bit */
	int fd;
	int rtcp_fd;		/*!< bound so that RTCP is not refused; never read */
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
	struct speech *speech;	/*!< list; the first is being said */
	struct dtmf dtmf;
};

static struct call calls[MAX_CALLS];
static int sockets_epoll = -1;
static int64_t real_minus_monotonic_ns;


static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

__attribute__((format(printf, 2, 3)))
static void complain(unsigned int id, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	printf("error %u ", id);
	vprintf(format, arguments);
	printf("\n");
	va_end(arguments);
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
	send_packet(call, &record, payload);
}

/*! Send all that is due. After a delay of ours that is several packets: no sample is left out. */
static void send_due(struct call *call, int64_t now_ns)
{
	if (!call->remote.sin_port) {
		return;
	}
	for (; call->due_ns <= now_ns; call->due_ns += PTIME_NS) {
		if (call->dtmf.packets) {
			send_dtmf(call, now_ns);
		} else {
			send_audio(call, now_ns);
		}
		call->timestamp += call->step;
	}
}

static void start_sending(struct call *call, uint16_t port)
{
	if (!call->remote.sin_port) {
		/* From the next tick on, exactly: then only the wake-up's delay is in the pace. */
		call->due_ns = (clock_ns(CLOCK_MONOTONIC) / TICK_NS + 1) * TICK_NS;
	}
	call->remote.sin_port = port;
}


/* --- receiving --- */

/*! The kernel's time of arrival as CLOCK_MONOTONIC */
static int64_t arrival_ns(struct msghdr *message)
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
}

static void receive_all(struct call *call)
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
			start_sending(call, from.sin_port);
		}
		take_packet(call, packet, (size_t) size, arrival_ns(&message));
	}
}

static void tick(void)
{
	struct epoll_event ready[MAX_CALLS];
	int64_t now_ns = clock_ns(CLOCK_MONOTONIC);
	int i, count;

	real_minus_monotonic_ns = clock_ns(CLOCK_REALTIME) - now_ns;
	for (i = 0; i < MAX_CALLS; i++) {
		if (calls[i].used) {
			send_due(&calls[i], now_ns);
		}
	}
	count = epoll_wait(sockets_epoll, ready, MAX_CALLS, 0);
	for (i = 0; i < count; i++) {
		receive_all(ready[i].data.ptr);
	}
}


/* --- commands --- */

static int bound_socket(uint16_t port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int on = 1;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		return -1;
	}
	if (bind(fd, (struct sockaddr *) &address, sizeof(address))
		|| setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on))) {
		close(fd);
		return -1;
	}
	return fd;
}

static void release_call(struct call *call)
{
	while (call->speech) {
		struct speech *next = call->speech->next;

		free(call->speech);
		call->speech = next;
	}
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

static void command_open(struct call *call, unsigned int id, const char *arguments)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = call };
	char path[MAX_LINE];
	unsigned int port, payload_type, packet_bytes, step;
	int fill;

	if (sscanf(arguments, "%u %4095s %u %u %u %d",
			&port, path, &payload_type, &packet_bytes, &step, &fill) != 6
		|| call->used || packet_bytes > MAX_PACKET) {
		complain(id, "cannot open: bad arguments or already open");
		return;
	}
	*call = (struct call) {
		.used = true,
		.resuming = true,
		.fd = bound_socket((uint16_t) port),
		.rtcp_fd = bound_socket((uint16_t) (port + 1)),
		.fill = fill,
		.record = fopen(path, "wbe"),
		.remote = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) },
		.ssrc = (uint32_t) random(),
		.timestamp = (uint32_t) random(),
		.sequence = (uint16_t) random(),
		.step = step,
		.payload_type = (uint8_t) payload_type,
		.packet_bytes = packet_bytes,
	};
	if (call->fd < 0 || call->rtcp_fd < 0 || !call->record
		|| epoll_ctl(sockets_epoll, EPOLL_CTL_ADD, call->fd, &event)) {
		complain(id, "cannot open port %u or %s: %s", port, path, strerror(errno));
		release_call(call);
		return;
	}
	printf("opened %u\n", id);
}

static struct speech *read_speech(const char *path)
{
	struct speech *speech = NULL;
	struct stat about;
	FILE *file = fopen(path, "rbe");

	if (!file) {
		return NULL;
	}
	if (!fstat(fileno(file), &about)) {
		speech = calloc(1, sizeof(*speech) + (size_t) about.st_size);
	}
	if (speech) {
		speech->size = fread(speech->bytes, 1, (size_t) about.st_size, file);
	}
	fclose(file);
	return speech;
}

static void command_say(struct call *call, unsigned int id, const char *arguments)
{
	struct speech **last = &call->speech;
	char path[MAX_LINE];
	struct speech *speech;

	if (sscanf(arguments, "%4095s", path) != 1 || !(speech = read_speech(path))) {
		complain(id, "cannot read what to say:%s", arguments);
		return;
	}
	if (!speech->size) {
		free(speech);
		return;
	}
	while (*last) {
		last = &(*last)->next;
	}
	*last = speech;
}

static void command_remote(struct call *call, unsigned int id, const char *arguments)
{
	unsigned int port;

	if (sscanf(arguments, "%u", &port) != 1 || port == 0 || port > UINT16_MAX) {
		complain(id, "bad remote port:%s", arguments);
		return;
	}
	start_sending(call, htons((uint16_t) port));
}

static void command_dtmf(struct call *call, unsigned int id, const char *arguments)
{
	unsigned int event, payload_type, packets;

	if (sscanf(arguments, "%u %u %u", &event, &payload_type, &packets) != 3
		|| call->dtmf.packets) {
		complain(id, "bad digit, or one is under way:%s", arguments);
		return;
	}
	call->dtmf = (struct dtmf) {
		.packets = packets + DTMF_ENDS,
		.event = (uint8_t) event,
		.payload_type = (uint8_t) payload_type,
	};
}

static void command_flush(struct call *call, unsigned int id, const char *arguments)
{
	(void) arguments;
	receive_all(call);
	fflush(call->record);
	printf("flushed %u\n", id);
}

static void command_close(struct call *call, unsigned int id, const char *arguments)
{
	(void) arguments;
	receive_all(call);
	release_call(call);
	printf("closed %u\n", id);
}

static void command_mute(struct call *call, unsigned int id, const char *arguments)
{
	(void) id;
	(void) arguments;
	call->muted = true;
}

static void command_unmute(struct call *call, unsigned int id, const char *arguments)
{
	(void) id;
	(void) arguments;
	call->muted = false;
}

static const struct {
	const char *name;
	void (*run)(struct call *call, unsigned int id, const char *arguments);
} commands[] = {
	{ "open", command_open },
	{ "remote", command_remote },
	{ "say", command_say },
	{ "mute", command_mute },
	{ "unmute", command_unmute },
	{ "dtmf", command_dtmf },
	{ "flush", command_flush },
	{ "close", command_close },
};

/*! \return false when it was the last line */
static bool run_line(const char *line)
{
	char name[16];
	unsigned int id;
	int used = 0;
	size_t i;

	if (!strcmp(line, "quit")) {
		return false;
	}
	if (sscanf(line, "%15s %u%n", name, &id, &used) != 2 || id >= MAX_CALLS) {
		printf("error 0 not understood: %s\n", line);
		return true;
	}
	if (strcmp(name, "open") && !calls[id].used) {
		complain(id, "not open: %s", line);
		return true;
	}
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (!strcmp(name, commands[i].name)) {
			commands[i].run(&calls[id], id, line + used);
			return true;
		}
	}
	complain(id, "unknown command: %s", line);
	return true;
}

/*! Run the complete lines that have come. \return false at the end of stdin or on quit */
static bool read_commands(void)
{
	static char buffer[16 * MAX_LINE];
	static size_t filled;
	ssize_t size = read(STDIN_FILENO, buffer + filled, sizeof(buffer) - 1 - filled);
	char *line = buffer;
	char *end;

	if (size <= 0) {
		return size < 0 && (errno == EAGAIN || errno == EINTR);
	}
	filled += (size_t) size;
	buffer[filled] = '\0';
	while ((end = strchr(line, '\n'))) {
		*end = '\0';
		if (!run_line(line)) {
			return false;
		}
		line = end + 1;
	}
	filled -= (size_t) (line - buffer);
	memmove(buffer, line, filled);
	return filled < sizeof(buffer) - 1;
}

static int make_timer(void)
{
	struct itimerspec each = { .it_interval.tv_nsec = TICK_NS };
	int64_t first_ns = (clock_ns(CLOCK_MONOTONIC) / TICK_NS + 1) * TICK_NS;
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

	each.it_value.tv_sec = first_ns / NS_PER_S;
	each.it_value.tv_nsec = first_ns % NS_PER_S;
	if (fd < 0 || timerfd_settime(fd, TFD_TIMER_ABSTIME, &each, NULL)) {
		return -1;
	}
	return fd;
}

static int serve(int timer)
{
	struct epoll_event on_stdin = { .events = EPOLLIN, .data.fd = STDIN_FILENO };
	struct epoll_event on_tick = { .events = EPOLLIN, .data.fd = timer };
	int control = epoll_create1(EPOLL_CLOEXEC);

	if (control < 0 || epoll_ctl(control, EPOLL_CTL_ADD, STDIN_FILENO, &on_stdin)
		|| epoll_ctl(control, EPOLL_CTL_ADD, timer, &on_tick)) {
		return -1;
	}
	for (;;) {
		struct epoll_event event;
		uint64_t ticks;

		if (epoll_wait(control, &event, 1, -1) < 1) {
			continue;
		}
		if (event.data.fd == STDIN_FILENO) {
			if (!read_commands()) {
				return 0;
			}
		} else if (read(timer, &ticks, sizeof(ticks)) > 0) {
			tick();
		}
	}
}

int main(void)
{
	int timer = make_timer();
	unsigned int id;

	setvbuf(stdout, NULL, _IOLBF, 0);
	srandom((unsigned int) clock_ns(CLOCK_REALTIME));
	sockets_epoll = epoll_create1(EPOLL_CLOEXEC);
	if (timer < 0 || sockets_epoll < 0 || serve(timer)) {
		perror("rtp_endpoint");
		return 1;
	}
	for (id = 0; id < MAX_CALLS; id++) {
		if (calls[id].used) {
			release_call(&calls[id]);
		}
	}
	return 0;
}
