#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include "listener.h"

#include "asterisk/http_websocket.h"
#include "asterisk/module.h"

#include "stream.h"

struct ast_channel *streams_begin(const char *conf)
{
	struct ast_channel *channel;

	host_use_real_time();
	if (conf) {
		host_write_config("forkstream.conf", conf);
	}
	CHECK_INT(host_load(), AST_MODULE_LOAD_SUCCESS);
	channel = host_channel("PJSIP/caller-1", ast_format_ulaw);
	host_channel_id(channel, "1700000000.7");
	return channel;
}

void streams_unload(void)
{
	WAIT_FOR(!streams_alive());
	CHECK_INT(host_unload(0), 0);
}

void streams_end(struct ast_channel *channel)
{
	host_channel_end(channel);
	streams_unload();
}

const char *fork_stream(struct ast_channel *channel, const char *arguments)
{
	CHECK_INT(host_exec(channel, "ForkStream", arguments), 0);
	return host_variable(channel, "FORKSTREAMSTATUS");
}

int listen_udp(char url[64])
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const int room = 4 << 20;
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address))
		|| getsockname(fd, (struct sockaddr *) &address, &length)) {
		FAIL("no socket");
	}
	snprintf(url, 64, "udp://127.0.0.1:%u", ntohs(address.sin_port));
	return fd;
}

/*! A wait for a listener's socket looks this often whether the test still waits, ms */
#define LISTENER_LOOK_MS 100

static void wait_readable(int fd)
{
	struct pollfd in = { .fd = fd, .events = POLLIN };

	WAIT_FOR(poll(&in, 1, LISTENER_LOOK_MS) == 1);
}

void nowhere_udp(char url[64])
{
	close(listen_udp(url));
}

void udp_get(int fd, struct got *got)
{
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	ssize_t length;

	wait_readable(fd);
	length = recvfrom(fd, got->bytes, sizeof(got->bytes) - 1, 0, (struct sockaddr *) &from, &size);
	CHECK(length > 0);
	got->port = ntohs(from.sin_port);
	got->length = (size_t) length;
	got->bytes[length] = '\0';
}

void websocket_get(size_t i, struct got *got)
{
	int fd = host_websocket_listener(i);
	uint8_t head[8];
	size_t k;

	wait_readable(fd);
	CHECK_INT(recv(fd, head, 2, MSG_WAITALL), 2);
	/* What a client sends is masked. */
	CHECK_INT(head[0] & 0xf0, 0x80);
	CHECK_INT(head[1] & 0x80, 0x80);
	got->opcode = head[0] & 0x0f;
	got->length = head[1] & 0x7f;
	if (got->length == 126) {
		CHECK_INT(recv(fd, head, 2, MSG_WAITALL), 2);
		got->length = (size_t) head[0] << 8 | head[1];
		CHECK(got->length >= 126);
	}
	CHECK(got->length < sizeof(got->bytes));
	CHECK_INT(recv(fd, head, 4, MSG_WAITALL), 4);
	CHECK(!got->length || recv(fd, got->bytes, got->length, MSG_WAITALL) == (ssize_t) got->length);
	for (k = 0; k < got->length; k++) {
		got->bytes[k] ^= head[k % 4];
	}
	got->bytes[got->length] = '\0';
}

void websocket_get_voice(size_t i, struct got *got, size_t header)
{
	static const uint8_t silence[sizeof(got->bytes)];

	do {
		websocket_get(i, got);
		CHECK_INT(got->opcode, AST_WEBSOCKET_OPCODE_BINARY);
	} while (!memcmp(got->bytes + header, silence, got->length - header));
}

void websocket_say(size_t i, int opcode, const char *text)
{
	uint8_t message[128];
	size_t length = strlen(text);

	CHECK(length < 126);
	message[0] = (uint8_t) (0x80 | opcode);
	message[1] = (uint8_t) length;
	memcpy(message + 2, text, length);
	websocket_say_part(i, message, length + 2);
}

void websocket_say_part(size_t i, const void *bytes, size_t length)
{
	send(host_websocket_listener(i), bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void talk(struct ast_channel *channel, int16_t value)
{
	int16_t samples[2][160];
	size_t i;

	for (i = 0; i < 160; i++) {
		samples[0][i] = value;
		samples[1][i] = (int16_t) -value;
	}
	host_channel_hears(channel, 0, samples[0], 160, 8000);
	host_channel_hears(channel, 1, samples[1], 160, 8000);
}
