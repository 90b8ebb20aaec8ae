/* Streams by WebSocket: what is sent, and listeners that do what they should not. */

#include "listener.h"

#include <sys/socket.h>

#include "asterisk/http_websocket.h"
#include "asterisk/module.h"

#include "packet.h"
#include "stream.h"

TEST(one_direction_is_audio_alone_between_two_texts)
{
	struct ast_channel *channel = streams_begin(NULL);
	struct got got;

	CHECK_STR(fork_stream(channel, "ws://127.0.0.1:9/in?token=x,d(rx)"), "STARTED");
	talk(channel, 1000);
	WAIT_FOR(host_websocket_listener(0) >= 0);
	CHECK_STR(host_websocket_asked(), "ws://127.0.0.1:9/in?token=x");
	websocket_get(0, &got);
	CHECK_INT(got.opcode, AST_WEBSOCKET_OPCODE_TEXT);
	CHECK_HAS((char *) got.bytes, "event: start\n");
	CHECK_HAS((char *) got.bytes, "codec: slin\n");
	websocket_get_voice(0, &got, 0);
	CHECK_INT(got.length, 320);
	CHECK_INT(got.bytes[0] | got.bytes[1] << 8, 1000);
	CHECK_INT(host_exec(channel, "StopForkStream", ""), 0);
	do {
		websocket_get(0, &got);
	} while (got.opcode == AST_WEBSOCKET_OPCODE_BINARY);
	CHECK_HAS((char *) got.bytes, "event: end\n");
	CHECK_HAS((char *) got.bytes, "reason: stopped\n");
	websocket_get(0, &got);
	CHECK_INT(got.opcode, AST_WEBSOCKET_OPCODE_CLOSE);
	CHECK(!strstr(host_events(), "token"));
	streams_end(channel);
	close(host_websocket_listener(0));
}

TEST(directions_apart_have_headers)
{
	struct ast_channel *channel = streams_begin(NULL);
	unsigned int seen = 0;
	struct got got;

	CHECK_STR(fork_stream(channel, "wss://localhost"), "STARTED");
	talk(channel, 1000);
	WAIT_FOR(host_websocket_listener(0) >= 0);
	CHECK_STR(host_websocket_asked(), "wss://localhost:443 with TLS");
	websocket_get(0, &got);
	/* Either may come first. */
	while (seen != PACKET_BOTH) {
		websocket_get_voice(0, &got, PACKET_HEADER);
		CHECK_INT(got.length, PACKET_HEADER + 320);
		CHECK(!memcmp(got.bytes, PACKET_MAGIC, 4));
		CHECK(!(seen & got.bytes[6]));
		seen |= got.bytes[6];
	}
	CHECK_INT(host_exec(channel, "StopForkStream", ""), 0);
	do {
		websocket_get(0, &got);
	} while (got.opcode == AST_WEBSOCKET_OPCODE_BINARY);
	CHECK_HAS((char *) got.bytes, "event: end\n");
	streams_end(channel);
	close(host_websocket_listener(0));
}

static unsigned int number(const uint8_t *at, unsigned int bytes)
{
	unsigned int value = 0;

	while (bytes--) {
		value = value << 8 | *at++;
	}
	return value;
}

/*! What the console shows of rx */
struct counts {
	unsigned int packets;
	unsigned int dropped;	/*!< samples */
};

static struct counts counts_of(struct ast_channel *channel)
{
	struct counts counts;
	const char *shown;
	char line[80];

	snprintf(line, sizeof(line), "forkstream show stream %s", host_variable(channel, "FORKSTREAMID"));
	shown = strstr(host_cli(line), "rx ");
	CHECK(shown && sscanf(shown, "rx %u packets, %*u samples, %*u of silence left out, %u dropped", &counts.packets,
			&counts.dropped) == 2);
	return counts;
}

/*! \brief Talk until network and ring have no room any more, for at least 40 s of audio. \return how many frames that are */
static unsigned int talk_until_full(struct ast_channel *channel, int16_t value)
{
	struct counts last = { 0 };
	unsigned int frames = 0;
	unsigned int still = 0;

	while (frames < 2000 || still < 10) {
		struct counts counts = counts_of(channel);
		int i;

		still = counts.dropped && counts.packets == last.packets ? still + 1 : 0;
		last = counts;
		for (i = 0; i < 40; i++) {
			talk(channel, value);
		}
		frames += 40;
		host_sleep(TICK_MS * MS);
	}
	return frames;
}

TEST(a_listener_that_stops_reading_loses_and_goes_on)
{
	struct ast_channel *channel = streams_begin(NULL);
	unsigned int expected[PACKET_BOTH] = { 0 };
	unsigned int silent[PACKET_BOTH] = { 0 };
	unsigned int heard = 0;
	unsigned int frames;
	struct got got;

	fork_stream(channel, "ws://127.0.0.1:9");
	WAIT_FOR(host_websocket_listener(0) >= 0);
	frames = talk_until_full(channel, 77);
	CHECK_INT(host_channel_hooks(channel), 1);
	websocket_get(0, &got);
	CHECK_INT(got.opcode, AST_WEBSOCKET_OPCODE_TEXT);
	/* Each message is whole, though the kernel took some of them in parts; none is missing among those that came. */
	while (heard != (PACKET_RX | PACKET_TX)) {
		const uint8_t *packet = got.bytes;

		talk(channel, 78);
		websocket_get(0, &got);
		CHECK_INT(got.opcode, AST_WEBSOCKET_OPCODE_BINARY);
		CHECK(!memcmp(packet, PACKET_MAGIC, 4));
		CHECK_INT(number(packet + 24, 4), expected[packet[6]]);
		expected[packet[6]]++;
		if (packet[PACKET_HEADER + 160] == 78 || (int8_t) packet[PACKET_HEADER + 160] == -78) {
			/* It is where it belongs in time, behind what was lost; but not all that is sent as silence. */
			CHECK(number(packet + 20, 4) >= frames * 160);
			CHECK(heard & packet[6] || silent[packet[6]] == FILL_MS / PACKET_MS);
			heard |= packet[6];
		}
		silent[packet[6]] = packet[28] & PACKET_SILENCE ? silent[packet[6]] + 1 : 0;
	}
	CHECK_INT(host_exec(channel, "StopForkStream", ""), 0);
	do {
		websocket_get(0, &got);
	} while (got.opcode == AST_WEBSOCKET_OPCODE_BINARY);
	CHECK_HAS((char *) got.bytes, "event: end\n");
	CHECK_HAS(host_events(), "Reason: stopped\n");
	streams_end(channel);
	close(host_websocket_listener(0));
}

TEST(what_is_left_at_the_end_is_counted)
{
	struct ast_channel *channel = streams_begin(NULL);
	const char *counted;
	unsigned int before;
	int64_t begin;

	fork_stream(channel, "ws://127.0.0.1:9,d(rx)");
	WAIT_FOR(host_websocket_listener(0) >= 0);
	talk_until_full(channel, 77);
	before = counts_of(channel).dropped;
	begin = host_now();
	streams_end(channel);
	CHECK(host_now() - begin < UNLOAD_SECONDS * 1000 * MS);
	counted = strstr(host_events(), "Dropped: ");
	CHECK(counted);
	/* All that the ring had. */
	CHECK(strtoul(counted + strlen("Dropped: "), NULL, 10) >= before + 99 * 160);
	close(host_websocket_listener(0));
}

TEST(what_the_kernel_takes_in_parts_arrives_whole)
{
	struct ast_channel *channel = streams_begin(NULL);
	unsigned int packets = 0;
	struct got got;
	int i;

	fork_stream(channel, "ws://127.0.0.1:9,d(rx)");
	WAIT_FOR(host_websocket_listener(0) >= 0);
	websocket_get(0, &got);
	host_send_takes(100);
	for (i = 1; i <= 10; i++) {
		talk(channel, (int16_t) i);
	}
	/* The answer to a ping does not come in the midst of one. */
	host_sleep(3 * TICK_MS * MS);
	websocket_say(0, AST_WEBSOCKET_OPCODE_PING, "there?");
	while (packets < 10) {
		websocket_get(0, &got);
		if (got.opcode == AST_WEBSOCKET_OPCODE_PONG) {
			continue;
		}
		CHECK_INT(got.opcode, AST_WEBSOCKET_OPCODE_BINARY);
		CHECK_INT(got.length, 320);
		packets += got.bytes[0] == packets + 1 && got.bytes[318] == packets + 1;
		CHECK(got.bytes[0] == packets || !got.bytes[0]);
	}
	streams_end(channel);
	close(host_websocket_listener(0));
}

TEST(half_a_message_holds_up_nobody)
{
	struct ast_channel *channel = streams_begin(NULL);
	struct got got;
	int64_t begin;
	int i;

	fork_stream(channel, "ws://127.0.0.1:9,d(rx)");
	WAIT_FOR(host_websocket_listener(0) >= 0);
	fork_stream(channel, "ws://127.0.0.1:9,d(rx)");
	WAIT_FOR(host_websocket_listener(1) >= 0);
	websocket_get(0, &got);
	websocket_get(1, &got);
	websocket_say_part(0, "\x81\x05he", 4);
	host_sleep(100 * MS);
	begin = host_now();
	for (i = 0; i < 20; i++) {
		talk(channel, 1000);
		do {
			websocket_get(1, &got);
		} while (got.bytes[0] != 0xe8);
	}
	/* And that one goes on where the other half comes. */
	websocket_say_part(0, "llo", 3);
	do {
		websocket_get(0, &got);
	} while (got.bytes[0] != 0xe8);
	/* It is not waited for when the call ends. */
	websocket_say_part(0, "\x81\x05he", 4);
	host_sleep(100 * MS);
	streams_end(channel);
	CHECK(host_now() - begin < 6000 * MS);
	close(host_websocket_listener(0));
	close(host_websocket_listener(1));
}

TEST(a_ping_is_answered)
{
	static const char * const schemes[] = { "ws://localhost:9,d(rx)", "wss://localhost:9,d(rx)" };
	struct ast_channel *channel = streams_begin(NULL);
	struct got got;
	size_t i;

	for (i = 0; i < ARRAY_LEN(schemes); i++) {
		fork_stream(channel, schemes[i]);
		WAIT_FOR(host_websocket_listener(i) >= 0);
		websocket_say(i, AST_WEBSOCKET_OPCODE_PING, "there?");
		do {
			websocket_get(i, &got);
		} while (got.opcode != AST_WEBSOCKET_OPCODE_PONG);
		CHECK_STR((char *) got.bytes, "there?");
	}
	streams_end(channel);
	close(host_websocket_listener(0));
	close(host_websocket_listener(1));
}

TEST(a_listener_that_floods_back_is_not_believed)
{
	struct ast_channel *channel = streams_begin(NULL);
	struct got got;
	int i;

	fork_stream(channel, "ws://127.0.0.1:9,d(rx)");
	WAIT_FOR(host_websocket_listener(0) >= 0);
	websocket_get(0, &got);
	for (i = 0; i < 200; i++) {
		websocket_say(0, i % 2 ? AST_WEBSOCKET_OPCODE_TEXT : AST_WEBSOCKET_OPCODE_BINARY, "{\"event\":\"end\"}");
	}
	talk(channel, 1000);
	do {
		websocket_get(0, &got);
		CHECK_INT(got.opcode, AST_WEBSOCKET_OPCODE_BINARY);
	} while (got.bytes[0] != 0xe8);
	streams_end(channel);
	close(host_websocket_listener(0));
}

TEST(a_listener_that_goes_ends_the_stream_alone)
{
	struct ast_channel *channel = streams_begin(NULL);

	fork_stream(channel, "ws://127.0.0.1:9");
	WAIT_FOR(host_websocket_listener(0) >= 0);
	close(host_websocket_listener(0));
	WAIT_FOR(host_logged("is over: its listener has gone"));
	WAIT_FOR(!host_channel_hooks(channel) || (talk(channel, 1), 0));
	/* Told before the hook is taken off. */
	CHECK_HAS(host_events(), "Reason: closed\n");
	CHECK_INT(host_exec(channel, "StopForkStream", ""), 0);
	CHECK_STR(host_variable(channel, "FORKSTREAMSTATUS"), "NOTFOUND");
	streams_end(channel);
}

TEST(a_listener_that_says_goodbye_ends_the_stream_alone)
{
	struct ast_channel *channel = streams_begin(NULL);

	fork_stream(channel, "ws://127.0.0.1:9");
	WAIT_FOR(host_websocket_listener(0) >= 0);
	websocket_say(0, AST_WEBSOCKET_OPCODE_CLOSE, "");
	WAIT_FOR(host_logged("is over: its listener has gone"));
	streams_end(channel);
	close(host_websocket_listener(0));
}

TEST(http_500_is_a_refusal)
{
	struct ast_channel *channel = streams_begin(NULL);

	host_websocket_answers(WS_BAD_STATUS, 0);
	CHECK_STR(fork_stream(channel, "ws://127.0.0.1:9"), "STARTED");
	WAIT_FOR(host_logged("is over: its listener refuses the WebSocket"));
	WAIT_FOR(strstr(host_events(), "Reason: refused\n"));
	host_websocket_answers(WS_CLIENT_START_ERROR, 0);
	CHECK_STR(fork_stream(channel, "ws://127.0.0.1:9"), "STARTED");
	WAIT_FOR(host_logged("is over: its listener is not reached"));
	streams_end(channel);
}

TEST(what_is_over_leaves_the_call_that_goes_on)
{
	struct ast_channel *channel = streams_begin(NULL);

	host_websocket_answers(WS_BAD_STATUS, 0);
	fork_stream(channel, "ws://127.0.0.1:9");
	WAIT_FOR(host_logged("is over: its listener refuses the WebSocket") == 1);
	/* By its next frame, */
	WAIT_FOR(!streams_alive() || (talk(channel, 1), 0));
	fork_stream(channel, "ws://127.0.0.1:9");
	WAIT_FOR(host_logged("is over: its listener refuses the WebSocket") == 2);
	/* or, where none comes, by an unload. */
	CHECK_INT(host_unload(1), 0);
	CHECK_INT(host_channel_hooks(channel), 0);
	host_channel_end(channel);
}

TEST(a_listener_that_never_answers_is_given_up)
{
	struct ast_channel *channel = streams_begin("[general]\nconnect_timeout = 1\n");

	host_websocket_answers(WS_OK, HOST_NOT_YET);
	CHECK_STR(fork_stream(channel, "ws://127.0.0.1:9"), "STARTED");
	WAIT_FOR(host_logged("is over: its listener has not answered in time"));
	WAIT_FOR(strstr(host_events(), "Reason: unreachable\n"));
	WAIT_FOR(strstr(host_cli("forkstream show streams"), "0 streams"));
	/* Its thread still waits: it is not unmapped under it. */
	host_channel_end(channel);
	CHECK_INT(host_unload(0), -1);
	host_websocket_answers(WS_OK, 0);
	WAIT_FOR(host_websocket_listener(0) >= 0);
	streams_unload();
	close(host_websocket_listener(0));
}

TEST(a_call_that_ends_first_is_sent_all_the_same)
{
	struct ast_channel *channel = streams_begin(NULL);
	struct got got;

	host_websocket_answers(WS_OK, HOST_NOT_YET);
	fork_stream(channel, "ws://127.0.0.1:9,d(rx)");
	talk(channel, 1000);
	host_channel_end(channel);
	host_websocket_answers(WS_OK, 0);
	WAIT_FOR(host_websocket_listener(0) >= 0);
	websocket_get(0, &got);
	websocket_get(0, &got);
	CHECK_INT(got.bytes[0] | got.bytes[1] << 8, 1000);
	websocket_get(0, &got);
	CHECK_HAS((char *) got.bytes, "reason: hangup\n");
	streams_unload();
	close(host_websocket_listener(0));
}

TEST(without_the_client_there_is_udp_alone)
{
	struct ast_channel *channel;
	char url[64];
	int fd = listen_udp(url);

	host_websocket_missing();
	channel = streams_begin(NULL);
	CHECK_STR(fork_stream(channel, "ws://127.0.0.1:9"), "UNAVAILABLE");
	CHECK_INT(host_logged("load res_http_websocket, and this module again"), 1);
	CHECK_STR(fork_stream(channel, url), "STARTED");
	streams_end(channel);
	close(fd);
}
