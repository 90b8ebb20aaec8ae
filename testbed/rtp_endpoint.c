/*
 * The media side of many SIP calls: sends, receives and records RTP on loopback.
 *
 * One process, one thread, up to MAX_CALLS calls. Commands come as lines on stdin, answers go as
 * lines to stdout; `rtp.py` is the other end. It decides nothing: every packet sent and received is
 * appended to the call's record file, and Python compares them afterwards. Reports of Asterisk's (RTCP) are
 * answered as a telephone's would be, and are in no record.
 *
 *   open <id> <port> <record file> <payload type> <packet bytes> <timestamp step> <fill>
 *        -> opened <id>          fill: value of the byte that is sent when there is nothing to say,
 *                                or -1 to send nothing then
 *   remote <id> <port>           start sending to 127.0.0.1:<port>
 *   say <id> <file>              queue a file's bytes as payload, behind what is queued already
 *   play <id> <file>             send a file's packets at their times, and nothing else (rtp_call.h)
 *   mute <id> | unmute <id>      send nothing for a while; the audio waits
 *   dtmf <id> <event> <payload type> <packets> <beside>
 *                                queue a digit as RFC 4733; beside: 0 in place of the audio, 1 beside it
 *   flush <id>                   -> flushed <id>    the record file is complete up to now
 *   close <id>                   -> closed <id>
 *   quit                         as does the end of stdin
 *
 * A command that cannot be carried out is answered with: error <id> <reason>
 */
#define _GNU_SOURCE
#include "rtp_call.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define MAX_CALLS 512
#define MAX_LINE 4096

/*! Of a call's sockets: which it is */
enum { RTP, RTCP, SOCKETS };

static struct call calls[MAX_CALLS];
static int sockets_epoll = -1;
static int64_t real_minus_monotonic_ns;


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

static void tick(void)
{
	struct epoll_event ready[SOCKETS * MAX_CALLS];
	int64_t now_ns = clock_ns(CLOCK_MONOTONIC);
	int i, count;

	real_minus_monotonic_ns = clock_ns(CLOCK_REALTIME) - now_ns;
	for (i = 0; i < MAX_CALLS; i++) {
		if (calls[i].used) {
			call_send_due(&calls[i], now_ns);
		}
	}
	count = epoll_wait(sockets_epoll, ready, SOCKETS * MAX_CALLS, 0);
	for (i = 0; i < count; i++) {
		struct call *call = &calls[ready[i].data.u32 / SOCKETS];

		if (ready[i].data.u32 % SOCKETS == RTCP) {
			call_report(call);
		} else {
			call_receive(call, real_minus_monotonic_ns);
		}
	}
}


/* --- commands --- */

static void command_open(struct call *call, unsigned int id, const char *arguments)
{
	struct epoll_event on_rtp = { .events = EPOLLIN, .data.u32 = SOCKETS * id + RTP };
	struct epoll_event on_rtcp = { .events = EPOLLIN, .data.u32 = SOCKETS * id + RTCP };
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
		|| epoll_ctl(sockets_epoll, EPOLL_CTL_ADD, call->fd, &on_rtp)
		|| epoll_ctl(sockets_epoll, EPOLL_CTL_ADD, call->rtcp_fd, &on_rtcp)) {
		complain(id, "cannot open port %u or %s: %s", port, path, strerror(errno));
		call_release(call);
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

static void command_play(struct call *call, unsigned int id, const char *arguments)
{
	char path[MAX_LINE];

	if (sscanf(arguments, "%4095s", path) != 1 || call->schedule
		|| !(call->schedule = read_speech(path))) {
		complain(id, "cannot read what to play, or plays already:%s", arguments);
	}
}

static void command_remote(struct call *call, unsigned int id, const char *arguments)
{
	unsigned int port;

	if (sscanf(arguments, "%u", &port) != 1 || port == 0 || port > UINT16_MAX) {
		complain(id, "bad remote port:%s", arguments);
		return;
	}
	call_start(call, htons((uint16_t) port));
}

static void command_dtmf(struct call *call, unsigned int id, const char *arguments)
{
	unsigned int event, payload_type, packets, beside;

	if (sscanf(arguments, "%u %u %u %u", &event, &payload_type, &packets, &beside) != 4
		|| call->digit_count == DTMF_WAITING) {
		complain(id, "bad digit, or too many wait:%s", arguments);
		return;
	}
	call->digits[call->digit_count++] = (struct dtmf) {
		.packets = packets + DTMF_ENDS,
		.event = (uint8_t) event,
		.payload_type = (uint8_t) payload_type,
		.beside = beside,
	};
}

static void command_flush(struct call *call, unsigned int id, const char *arguments)
{
	(void) arguments;
	call_receive(call, real_minus_monotonic_ns);
	fflush(call->record);
	printf("flushed %u\n", id);
}

static void command_close(struct call *call, unsigned int id, const char *arguments)
{
	(void) arguments;
	call_receive(call, real_minus_monotonic_ns);
	call_release(call);
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
	{ "play", command_play },
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

/*! \brief Be punctual on a busy machine, as a telephone is. Only root may; others are late at times. */
static void hurry(void)
{
	const struct sched_param first = { .sched_priority = 1 };

	sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &first);
}

int main(void)
{
	int timer = make_timer();
	unsigned int id;

	hurry();
	setvbuf(stdout, NULL, _IOLBF, 0);
	srandom((unsigned int) clock_ns(CLOCK_REALTIME));
	sockets_epoll = epoll_create1(EPOLL_CLOEXEC);
	if (timer < 0 || sockets_epoll < 0 || serve(timer)) {
		perror("rtp_endpoint");
		return 1;
	}
	for (id = 0; id < MAX_CALLS; id++) {
		if (calls[id].used) {
			call_release(&calls[id]);
		}
	}
	return 0;
}
