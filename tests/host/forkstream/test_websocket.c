/* Streams by WebSocket: what is sent, and listeners that do what they should not. */

#include "listener.h"

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
	streams_end(channel);
	close(host_websocket_listener(0));
}

TEST(a_listener_that_stops_reading_loses_and_the_call_does_not)
{
	struct ast_channel *channel = streams_begin(NULL);
	char line[80];
	int i;

	fork_stream(channel, "ws://127.0.0.1:9");
	WAIT_FOR(host_websocket_listener(0) >= 0);
	snprintf(line, sizeof(line), "forkstream show stream %s", host_variable(channel, "FORKSTREAMID"));
	/* As fast as it goes: 64 kB, and what the ring has, are full soon. */
	for (i = 0; i < 2000; i++) {
		talk(channel, 77);
	}
	WAIT_FOR(!strstr(host_cli(line), ", 0 dropped"));
	CHECK_INT(host_channel_hooks(channel), 1);
	CHECK_HAS(host_cli(line), "State:        up");
	streams_end(channel);
	close(host_websocket_listener(0));
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
