/*
 * The floor that the engine's loop thread stands on: many conversations, and of each only what any client
 * has to do.
 *
 *   bench_loop <port> <CA file> <agent> <calls> <ms of a chunk> <first message>
 *
 * One process, one thread, a tick of 20 ms, the mock agent on the other end; no Python, and nothing is
 * allocated but by OpenSSL. On a tick noise for each call is made a message and sent over TLS 1.3, and what
 * has come is read: agent audio is decoded into the call's ring, a ping is answered, everything else passed
 * over. There is no channel, nothing is timed but when audio was sent, nothing told of, and whatever is not as
 * it should be ends it with status 1.
 *
 * It says `ready` when all calls are up. From then on each line on stdin is answered with a line of JSON
 * about the time since the last one: us, what its thread has used of a processor for a second of a call,
 * user and system; uplink_p99_ms, from when a caller's frame would have been read until it was sent, if the
 * calls' frames came evenly spread over a tick; and how much was sent and received. The end of stdin ends it.
 * testbed.bench_loop is the other end.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/*
 * Of OpenSSL 3, as its manual has them. Whoever has a Python has these libraries, which the loop thread uses
 * as well; not everybody has their headers.
 */
typedef struct ssl_st SSL;
typedef struct ssl_ctx_st SSL_CTX;
typedef struct ssl_method_st SSL_METHOD;

const SSL_METHOD *TLS_client_method(void);
SSL_CTX *SSL_CTX_new(const SSL_METHOD *method);
long SSL_CTX_ctrl(SSL_CTX *context, int command, long number, void *pointer);
int SSL_CTX_load_verify_locations(SSL_CTX *context, const char *file, const char *folder);
void SSL_CTX_set_verify(SSL_CTX *context, int mode, int (*callback)(int, void *));
SSL *SSL_new(SSL_CTX *context);
int SSL_set_fd(SSL *ssl, int fd);
int SSL_connect(SSL *ssl);
int SSL_read(SSL *ssl, void *data, int size);
int SSL_write(SSL *ssl, const void *data, int size);
int SSL_get_error(const SSL *ssl, int returned);
int SSL_shutdown(SSL *ssl);
int EVP_EncodeBlock(unsigned char *text, const unsigned char *data, int size);
int EVP_DecodeBlock(unsigned char *data, const unsigned char *text, int length);

enum {
	SSL_VERIFY_PEER = 1,
	SSL_ERROR_WANT_READ = 2,
	SSL_CTRL_SET_MIN_PROTO_VERSION = 123,
	TLS1_3_VERSION = 0x0304,
};

enum {
	FINAL_TEXT = 0x81,
	FINAL_CLOSE = 0x88,
	MASKED = 0x80,
	LENGTH_16 = 126,
	MASK_BYTES = 4,
};

/*! Which of the two wakes the thread */
enum { QUESTION, TICK };

#define MAX_CALLS 512
#define TICK_MS 20
#define NS_PER_MS 1000000L
#define NS_PER_S 1000000000L
/*! Delays are counted in buckets of so much; the last bucket has all that are longer */
#define BUCKET_NS (NS_PER_MS / 10)
#define BUCKETS 2000
/*! Bytes of a millisecond in mu-law */
#define BYTES_PER_MS 8
#define MAX_CHUNK_MS 100
/*! Longest frame of ours: a chunk of 100 ms has 1097 bytes, the first message some 150 */
#define MAX_FRAME 2048
/*! Chunks of a call that are sent together, when the thread was late; what is more is dropped */
#define MAX_DUE 10
/*! Longest TLS record, in bytes; no frame of the agent's is longer */
#define RECORD 16384
/*! Bytes of agent audio that are kept of a call: two seconds */
#define RING (2000 * BYTES_PER_MS)
/*! Bytes of noise that all callers say, each from another place on */
#define NOISE 65536
/*! Bytes of random masks that are fetched together: getrandom() never stops half-way up to this size */
#define MASKS 256

#define CHUNK_HEAD "{\"user_audio_chunk\":\""
#define CHUNK_TAIL "\"}"
#define AUDIO_HEAD "{\"type\":\"audio\",\"audio_event\":{\"audio_base_64\":\""
#define PING_HEAD "{\"type\":\"ping\",\"ping_event\":{\"event_id\":"
/*! Code 1000 */
#define NORMAL_CLOSURE "\x03\xe8"
#define UPGRADE "GET /v1/convai/conversation?agent_id=%s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\n" \
	"Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
#define LENGTH(text) (sizeof(text) - 1)

struct call {
	SSL *ssl;
	size_t said;	/*!< where in the noise its next chunk begins */
	size_t heard;	/*!< where in the ring the next audio goes */
	size_t kept;	/*!< bytes of a frame that has come in part */
	uint8_t part[RECORD];
	uint8_t ring[RING];
};

static struct call calls[MAX_CALLS];
static uint8_t noise[NOISE + MAX_CHUNK_MS * BYTES_PER_MS];

/*! What has been done since the last question */
static struct {
	int64_t wall_ns, cpu_ns;
	uint64_t sent, sent_bytes, received, received_bytes, audio_bytes, pongs, dropped;
	uint64_t delays[BUCKETS];	/*!< of chunks that were sent, by how long their last frame had waited */
} since;

__attribute__((noreturn))
static void die(const char *what)
{
	fprintf(stderr, "bench_loop: %s\n", what);
	exit(1);
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}


/* --- out --- */

/*! A listener must not be able to predict them (RFC 6455, section 5.3) */
static void next_mask(uint8_t *mask)
{
	static uint8_t masks[MASKS];
	static size_t used = MASKS;

	if (used == MASKS) {
		if (getrandom(masks, MASKS, 0) != MASKS) {
			die("no random bytes");
		}
		used = 0;
	}
	memcpy(mask, masks + used, MASK_BYTES);
	used += MASK_BYTES;
}

static size_t header_of(size_t length)
{
	return (length < LENGTH_16 ? 2 : 4) + MASK_BYTES;
}

/*! \brief Mask a text that stands behind the room for its header, less than 64 KiB. \return where the frame ends */
static uint8_t *finish(uint8_t *frame, uint8_t kind, size_t length)
{
	uint8_t *text = frame + header_of(length), *mask = text - MASK_BYTES;
	uint64_t eight, word;
	size_t i;

	frame[0] = kind;
	if (length < LENGTH_16) {
		frame[1] = (uint8_t) (MASKED | length);
	} else {
		frame[1] = MASKED | LENGTH_16;
		frame[2] = (uint8_t) (length >> 8);
		frame[3] = (uint8_t) length;
	}
	next_mask(mask);
	memcpy(&eight, mask, MASK_BYTES);
	memcpy((uint8_t *) &eight + MASK_BYTES, mask, MASK_BYTES);
	for (i = 0; i + sizeof(word) <= length; i += sizeof(word)) {
		memcpy(&word, text + i, sizeof(word));
		word ^= eight;
		memcpy(text + i, &word, sizeof(word));
	}
	for (; i < length; i++) {
		text[i] ^= mask[i % MASK_BYTES];
	}
	return text + length;
}

static void send_all(struct call *call, const void *data, size_t length)
{
	if (SSL_write(call->ssl, data, (int) length) != (int) length) {
		die("the agent does not take what is sent");
	}
	since.sent_bytes += length;
}

static void send_frame(struct call *call, uint8_t kind, const char *text, size_t length)
{
	uint8_t frame[MAX_FRAME];

	if (header_of(length) + length > sizeof(frame)) {
		die("the first message is too long");
	}
	memcpy(frame + header_of(length), text, length);
	send_all(call, frame, (size_t) (finish(frame, kind, length) - frame));
}

/*! \return where the frame ends */
static uint8_t *put_chunk(uint8_t *frame, struct call *call, size_t bytes)
{
	size_t length = LENGTH(CHUNK_HEAD) + (bytes + 2) / 3 * 4 + LENGTH(CHUNK_TAIL);
	uint8_t *text = frame + header_of(length);

	memcpy(text, CHUNK_HEAD, LENGTH(CHUNK_HEAD));
	EVP_EncodeBlock(text + LENGTH(CHUNK_HEAD), noise + call->said, (int) bytes);
	memcpy(text + length - LENGTH(CHUNK_TAIL), CHUNK_TAIL, LENGTH(CHUNK_TAIL));
	call->said = (call->said + bytes) % NOISE;
	return finish(frame, FINAL_TEXT, length);
}

/*! \brief Send what is due. ready_ns: when the last frame of the newest chunk would have been read */
static void send_audio(struct call *call, int chunk_ms, uint64_t due, int64_t ready_ns)
{
	uint8_t frames[MAX_DUE * MAX_FRAME], *end = frames;
	size_t chunk_bytes = (size_t) chunk_ms * BYTES_PER_MS;
	uint64_t i, together = due < MAX_DUE ? due : MAX_DUE;
	int64_t waited;

	for (i = 0; i < together; i++) {
		end = put_chunk(end, call, chunk_bytes);
	}
	send_all(call, frames, (size_t) (end - frames));
	since.sent += together;
	since.dropped += due - together;
	waited = clock_ns(CLOCK_MONOTONIC) - ready_ns;
	for (i = 0; i < together; i++, waited += chunk_ms * NS_PER_MS) {
		since.delays[waited / BUCKET_NS < BUCKETS ? waited / BUCKET_NS : BUCKETS - 1]++;
	}
}


/* --- in --- */

/*! \brief Decode into the ring, from its beginning if there is no room for all of it before its end */
static void play(struct call *call, const uint8_t *text, size_t length)
{
	size_t most = length / 4 * 3;

	if (most > RING - call->heard) {
		call->heard = 0;
	}
	if (most > RING || EVP_DecodeBlock(call->ring + call->heard, text, (int) length) != (int) most) {
		die("the agent sends what is no base64, or too much of it");
	}
	most -= length && text[length - 1] == '=';
	most -= length && text[length - 2] == '=';
	call->heard += most;
	since.audio_bytes += most;
	since.received++;
}

static void answer_ping(struct call *call, const uint8_t *id, const uint8_t *end)
{
	char pong[64];
	int digits = 0, length;

	while (id + digits < end && id[digits] >= '0' && id[digits] <= '9') {
		digits++;
	}
	length = snprintf(pong, sizeof(pong), "{\"type\":\"pong\",\"event_id\":%.*s}", digits, (const char *) id);
	send_frame(call, FINAL_TEXT, pong, (size_t) length);
	since.pongs++;
}

static void take(struct call *call, const uint8_t *text, size_t length)
{
	if (length > LENGTH(AUDIO_HEAD) && !memcmp(text, AUDIO_HEAD, LENGTH(AUDIO_HEAD))) {
		const uint8_t *audio = text + LENGTH(AUDIO_HEAD);
		const uint8_t *quote = memchr(audio, '"', length - LENGTH(AUDIO_HEAD));

		play(call, audio, quote ? (size_t) (quote - audio) : 0);
	} else if (length > LENGTH(PING_HEAD) && !memcmp(text, PING_HEAD, LENGTH(PING_HEAD))) {
		answer_ping(call, text + LENGTH(PING_HEAD), text + length);
	}
}

/*! \brief Take the whole frames at the front. \return how many bytes they are */
static size_t take_frames(struct call *call, const uint8_t *data, size_t length)
{
	size_t at = 0;

	while (length - at >= 4) {
		const uint8_t *frame = data + at;
		size_t header = frame[1] == LENGTH_16 ? 4 : 2;
		size_t text = header == 4 ? (size_t) frame[2] << 8 | frame[3] : frame[1];

		if (frame[0] != FINAL_TEXT || frame[1] > LENGTH_16 || header + text > RECORD) {
			die("the agent closes, or sends what is no short text");
		}
		if (length - at < header + text) {
			break;
		}
		take(call, frame + header, text);
		at += header + text;
	}
	return at;
}

/*! \brief Read one record. If there is more, epoll says so on the next tick. */
static void receive(struct call *call)
{
	static uint8_t inbox[2 * RECORD];
	int some = SSL_read(call->ssl, inbox + call->kept, RECORD);
	size_t there, used;

	if (some <= 0) {
		if (SSL_get_error(call->ssl, some) != SSL_ERROR_WANT_READ) {
			die("the agent has hung up");
		}
		return;
	}
	memcpy(inbox, call->part, call->kept);
	since.received_bytes += (uint64_t) some;
	there = call->kept + (size_t) some;
	used = take_frames(call, inbox, there);
	call->kept = there - used;
	memcpy(call->part, inbox + used, call->kept);
}


/* --- calls --- */

static SSL_CTX *trusting(const char *ca_file)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	if (!context || SSL_CTX_load_verify_locations(context, ca_file, NULL) != 1
		|| SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_3_VERSION, NULL) != 1) {
		die("no TLS 1.3, or no certificates");
	}
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	return context;
}

/*! \brief Shake hands with an agent and say the first message; here the thread waits. \return the socket */
static int begin(struct call *call, SSL_CTX *context, unsigned int port, const char *agent, const char *first)
{
	const struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t) port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	const int yes = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), some;
	char head[1024];

	call->ssl = SSL_new(context);
	call->said = (size_t) (call - calls) * MAX_CHUNK_MS * BYTES_PER_MS % NOISE;
	if (fd < 0 || !call->ssl || connect(fd, (const struct sockaddr *) &to, sizeof(to))
		|| setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes))
		|| SSL_set_fd(call->ssl, fd) != 1 || SSL_connect(call->ssl) != 1) {
		die("no connection");
	}
	some = snprintf(head, sizeof(head), UPGRADE, agent, port);
	send_all(call, head, (size_t) some);
	some = SSL_read(call->ssl, head, sizeof(head) - 1);
	head[some > 0 ? some : 0] = '\0';
	if (strncmp(head, "HTTP/1.1 101 ", 13) || !strstr(head, "\r\n\r\n")) {
		die("no WebSocket");
	}
	send_frame(call, FINAL_TEXT, first, strlen(first));
	if (fcntl(fd, F_SETFL, O_NONBLOCK)) {
		die("no connection");
	}
	return fd;
}

/*!
 * \brief Send of each call what is due, and read what has come
 *
 * ticks: how many there were, new: how many since then, due_ns: when the last of these was due.
 */
static void tick(int sockets, int up, int chunk_ms, uint64_t ticks, uint64_t new, int64_t due_ns)
{
	struct epoll_event ready[MAX_CALLS];
	uint64_t every = (uint64_t) chunk_ms / TICK_MS;
	int i, count;

	for (i = 0; i < up; i++) {
		/* Long chunks are due on different ticks, so that all ticks have as much to do. */
		uint64_t end = ticks + new + (uint64_t) i, due = end / every - (end - new) / every;

		if (due) {
			/* Callers' frames come evenly spread over a tick. */
			int64_t since_ready = (int64_t) (end % every) * TICK_MS * NS_PER_MS + i * TICK_MS * NS_PER_MS / up;

			send_audio(&calls[i], chunk_ms, due, due_ns - since_ready);
		}
	}
	count = epoll_wait(sockets, ready, MAX_CALLS, 0);
	for (i = 0; i < count; i++) {
		receive(&calls[ready[i].data.u32]);
	}
}

/*! \return milliseconds that 99 of 100 chunks have not waited longer than; 0 if none was sent */
static double uplink_p99_ms(void)
{
	uint64_t within = since.sent - since.sent / 100, seen = 0;
	int buckets = 0;

	while (seen < within) {
		seen += since.delays[buckets++];
	}
	return (double) (buckets * BUCKET_NS) / NS_PER_MS;
}

static void tell(int count)
{
	int64_t wall_ns = clock_ns(CLOCK_MONOTONIC), cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	double seconds = (double) (wall_ns - since.wall_ns) / NS_PER_S;

	printf("{\"seconds\": %.3f, \"us\": %.1f, \"uplink_p99_ms\": %.1f, \"sent\": %" PRIu64
		", \"sent_bytes\": %" PRIu64 ", \"received\": %" PRIu64 ", \"received_bytes\": %" PRIu64
		", \"audio_bytes\": %" PRIu64 ", \"pongs\": %" PRIu64 ", \"dropped\": %" PRIu64 "}\n", seconds,
		(double) (cpu_ns - since.cpu_ns) / 1000 / seconds / count, uplink_p99_ms(), since.sent,
		since.sent_bytes, since.received, since.received_bytes, since.audio_bytes, since.pongs, since.dropped);
	memset(&since, 0, sizeof(since));
	since.wall_ns = wall_ns;
	since.cpu_ns = cpu_ns;
}

static void watch(int epoll, int fd, uint32_t number)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = number };

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) {
		die("no epoll");
	}
}

static int make_timer(void)
{
	const struct timespec each = { .tv_nsec = TICK_MS * NS_PER_MS };
	const struct itimerspec always = { .it_interval = each, .it_value = each };
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

	if (timer < 0 || timerfd_settime(timer, 0, &always, NULL)) {
		die("no timer");
	}
	return timer;
}

int main(int argc, char **argv)
{
	int control = epoll_create1(EPOLL_CLOEXEC), sockets = epoll_create1(EPOLL_CLOEXEC), timer = make_timer();
	int count = argc == 7 ? atoi(argv[4]) : 0, chunk_ms = argc == 7 ? atoi(argv[5]) : 0, up = 0;
	int64_t began_ns = clock_ns(CLOCK_MONOTONIC);
	uint64_t ticks = 0, new;
	struct epoll_event event;
	char question[64];
	SSL_CTX *context;
	size_t i;

	if (count < 1 || count > MAX_CALLS || chunk_ms < TICK_MS || chunk_ms > MAX_CHUNK_MS) {
		die("PORT CA_FILE AGENT CALLS CHUNK_MS FIRST_MESSAGE");
	}
	for (i = 0; i < sizeof(noise); i++) {
		/* Soft codes of both signs, which are no speech, as those of the benchmark's callers. */
		noise[i] = (uint8_t) (0x78 | (random() & 0x87));
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	context = trusting(argv[2]);
	watch(control, STDIN_FILENO, QUESTION);
	watch(control, timer, TICK);
	while (epoll_wait(control, &event, 1, -1) == 1) {
		if (event.data.u32 == QUESTION) {
			if (read(STDIN_FILENO, question, sizeof(question)) <= 0) {
				break;
			}
			tell(count);
		} else if (read(timer, &new, sizeof(new)) == sizeof(new)) {
			int64_t due_ns = began_ns + (int64_t) (ticks + new) * TICK_MS * NS_PER_MS;

			tick(sockets, up, chunk_ms, ticks, new, due_ns);
			ticks += new;
			/* One call begins on each tick: the others go on meanwhile. */
			if (up < count) {
				int fd = begin(&calls[up], context, (unsigned int) atoi(argv[1]), argv[3], argv[6]);

				watch(sockets, fd, (uint32_t) up);
				if (++up == count) {
					printf("ready\n");
				}
			}
		}
	}
	while (up) {
		up--;
		send_frame(&calls[up], FINAL_CLOSE, NORMAL_CLOSURE, LENGTH(NORMAL_CLOSURE));
		SSL_shutdown(calls[up].ssl);
	}
	return 0;
}
