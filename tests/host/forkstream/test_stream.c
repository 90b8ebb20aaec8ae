/* A stream's life: it starts at once, goes where its channel goes, and ends with it or before. */

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "listener.h"

#include "asterisk/module.h"
#include "asterisk/pbx.h"

#include "packet.h"
#include "stream.h"

/*! Descriptors that a test has at most */
#define DESCRIPTORS 256
/*! A user who may open no file of root's */
#define NOBODY 65534

static int16_t sample_of(const struct got *got, unsigned int k)
{
	const uint8_t *at = got->bytes + PACKET_HEADER + 2 * k;

	return (int16_t) (at[0] | at[1] << 8);
}

static const char *text_of(const struct got *got)
{
	return (const char *) got->bytes + PACKET_HEADER;
}

/*! \brief The next packet of this kind, and of one of these directions where that is not 0; silence is passed over */
static void get(int fd, struct got *got, enum packet_kind kind, unsigned int directions)
{
	do {
		udp_get(fd, got);
	} while (got->bytes[5] != kind || (directions && !(got->bytes[6] & directions))
		|| (kind == PACKET_AUDIO && got->bytes[28] & PACKET_SILENCE));
}

TEST(both_directions_reach_the_listener)
{
	struct ast_channel *channel = streams_begin(NULL);
	char url[64];
	int fd = listen_udp(url);
	unsigned int seen = 0;
	struct got got;

	CHECK_STR(fork_stream(channel, url), "STARTED");
	CHECK_INT(strlen(host_variable(channel, "FORKSTREAMID")), 16);
	talk(channel, 1000);
	get(fd, &got, PACKET_START, 0);
	CHECK_HAS(text_of(&got), "event: start\n");
	CHECK_HAS(text_of(&got), host_variable(channel, "FORKSTREAMID"));
	CHECK_HAS(text_of(&got), "channel: PJSIP/caller-1\n");
	CHECK_HAS(text_of(&got), "uniqueid: 1700000000.7\n");
	/* Either may come first. */
	while (seen != PACKET_BOTH) {
		get(fd, &got, PACKET_AUDIO, PACKET_BOTH & ~seen);
		seen |= got.bytes[6];
		CHECK_INT(sample_of(&got, 159), got.bytes[6] == PACKET_RX ? 1000 : -1000);
	}
	streams_end(channel);
	get(fd, &got, PACKET_END, 0);
	CHECK_HAS(text_of(&got), "reason: hangup\n");
	CHECK_HAS(host_events(), "Event: ForkStreamStart\nChannel: PJSIP/caller-1\n");
	CHECK_HAS(host_events(), "Reason: hangup\n");
	close(fd);
}

TEST(tag_and_variables_go_along_harmless)
{
	struct ast_channel *channel = streams_begin(NULL);
	char url[64];
	char arguments[256];
	int fd = listen_udp(url);
	struct got got;

	snprintf(arguments, sizeof(arguments), "%s,t(desk 4)v(CUSTOMER&NONE&)", url);
	pbx_builtin_setvar_helper(channel, "CUSTOMER", "J\xe4ger\r\nX: 1");
	CHECK_STR(fork_stream(channel, arguments), "STARTED");
	get(fd, &got, PACKET_START, 0);
	CHECK_HAS(text_of(&got), "tag: desk 4\n");
	CHECK_HAS(text_of(&got), "CUSTOMER: J?ger X: 1\n");
	CHECK_HAS(text_of(&got), "NONE: \n");
	streams_end(channel);
	close(fd);
}

TEST(what_does_not_fit_into_a_packet_is_refused)
{
	struct ast_channel *channel = streams_begin(NULL);
	char url[64];
	char arguments[256];
	char value[250];
	int fd = listen_udp(url);
	int i;

	memset(value, 'x', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	snprintf(arguments, sizeof(arguments), "%s,v(A&B&C&D&E&F)", url);
	for (i = 'A'; i <= 'F'; i++) {
		pbx_builtin_setvar_helper(channel, (char[]) { (char) i, '\0' }, value);
	}
	CHECK_STR(fork_stream(channel, arguments), "UNAVAILABLE");
	CHECK_INT(host_logged("longer than a packet"), 1);
	CHECK_STR(host_variable(channel, "FORKSTREAMID"), "");
	streams_end(channel);
	close(fd);
}

TEST(a_stream_is_stopped_by_its_id_and_others_go_on)
{
	struct ast_channel *channel = streams_begin(NULL);
	char urls[2][64];
	int fds[2] = { listen_udp(urls[0]), listen_udp(urls[1]) };
	char first[STREAM_ID_SIZE];
	struct got got;

	fork_stream(channel, urls[0]);
	snprintf(first, sizeof(first), "%s", host_variable(channel, "FORKSTREAMID"));
	fork_stream(channel, urls[1]);
	CHECK_INT(host_exec(channel, "StopForkStream", first), 0);
	CHECK_STR(host_variable(channel, "FORKSTREAMSTATUS"), "STOPPED");
	get(fds[0], &got, PACKET_END, 0);
	CHECK_HAS(text_of(&got), "reason: stopped\n");
	CHECK_INT(host_exec(channel, "StopForkStream", first), 0);
	CHECK_STR(host_variable(channel, "FORKSTREAMSTATUS"), "NOTFOUND");
	talk(channel, 5);
	get(fds[1], &got, PACKET_AUDIO, PACKET_RX);
	CHECK_INT(host_channel_hooks(channel), 1);
	CHECK_INT(host_exec(channel, "StopForkStream", ""), 0);
	CHECK_STR(host_variable(channel, "FORKSTREAMSTATUS"), "STOPPED");
	CHECK_INT(host_channel_hooks(channel), 0);
	get(fds[1], &got, PACKET_END, 0);
	streams_end(channel);
	close(fds[0]);
	close(fds[1]);
}

/*! \brief The module's socket that sends from this port */
static int sender_of(unsigned int port)
{
	struct sockaddr_in own;
	socklen_t size = sizeof(own);
	int fd;

	for (fd = 3; fd < DESCRIPTORS; fd++) {
		if (!getsockname(fd, (struct sockaddr *) &own, &size) && own.sin_family == AF_INET
			&& ntohs(own.sin_port) == port) {
			return fd;
		}
		size = sizeof(own);
	}
	FAIL("no socket has this port");
	return -1;
}

TEST(streams_with_one_listener_share_a_socket)
{
	struct ast_channel *channels[SOCKET_STREAMS + 1] = { streams_begin(NULL) };
	char url[64];
	int fd = listen_udp(url);
	unsigned int shared = 0;
	unsigned int port = 0;
	unsigned int i;
	struct got got;

	for (i = 0; i < ARRAY_LEN(channels); i++) {
		char name[32];

		snprintf(name, sizeof(name), "PJSIP/more-%u", i);
		channels[i] = channels[i] ? channels[i] : host_channel(name, ast_format_ulaw);
		CHECK_STR(fork_stream(channels[i], url), "STARTED");
		get(fd, &got, PACKET_START, 0);
	}
	for (i = 0; i < ARRAY_LEN(channels); i++) {
		talk(channels[i], (int16_t) (100 + i));
		get(fd, &got, PACKET_AUDIO, PACKET_RX);
		CHECK_INT(sample_of(&got, 159), (int16_t) (100 + i));
		port = port ? port : got.port;
		shared += got.port == port;
	}
	CHECK_INT(shared, SOCKET_STREAMS);
	for (i = 0; i < ARRAY_LEN(channels); i++) {
		host_channel_end(channels[i]);
	}
	for (i = 0; i < END_TIMES * ARRAY_LEN(channels); i++) {
		get(fd, &got, PACKET_END, 0);
		CHECK_HAS(text_of(&got), "lost: 0\n");
	}
	streams_unload();
	close(fd);
}

TEST(one_stream_of_a_socket_ends_and_the_other_goes_on)
{
	struct ast_channel *channel = streams_begin(NULL);
	char url[64];
	int fd = listen_udp(url);
	struct got got;

	fork_stream(channel, url);
	get(fd, &got, PACKET_START, 0);
	CHECK_STR(fork_stream(channel, url), "STARTED");
	get(fd, &got, PACKET_START, 0);
	CHECK_INT(host_exec(channel, "StopForkStream", host_variable(channel, "FORKSTREAMID")), 0);
	get(fd, &got, PACKET_END, 0);
	talk(channel, 8);
	get(fd, &got, PACKET_AUDIO, PACKET_RX);
	CHECK_INT(sample_of(&got, 159), 8);
	streams_end(channel);
	close(fd);
}

TEST(packets_of_all_lengths_arrive_as_they_are)
{
	struct ast_channel *channel = streams_begin(NULL);
	char url[64];
	char short_ones[80];
	int fd = listen_udp(url);
	struct got got;
	int i;

	snprintf(short_ones, sizeof(short_ones), "%s,c(ulaw)", url);
	fork_stream(channel, url);
	fork_stream(channel, short_ones);
	for (i = 0; i < 10; i++) {
		int k;

		talk(channel, 1000);
		for (k = 0; k < 4; k++) {
			get(fd, &got, PACKET_AUDIO, 0);
			CHECK(!memcmp(got.bytes, PACKET_MAGIC, 4));
			CHECK_INT(got.length, PACKET_HEADER + (got.bytes[7] == PACKET_ULAW ? 160 : 320));
		}
	}
	streams_end(channel);
	close(fd);
}

TEST(where_the_kernel_takes_single_packets_alone_none_is_lost)
{
	struct ast_channel *channel = streams_begin(NULL);
	const int on = 1;
	char url[64];
	int fd = listen_udp(url);
	unsigned int seen;
	struct got got;
	int i;

	fork_stream(channel, url);
	get(fd, &got, PACKET_START, 0);
	/* Without sums it refuses to cut. */
	CHECK_INT(setsockopt(sender_of(got.port), SOL_SOCKET, SO_NO_CHECK, &on, sizeof(on)), 0);
	for (i = 0; i < 3; i++) {
		talk(channel, 9);
		for (seen = 0; seen != PACKET_BOTH; seen |= got.bytes[6]) {
			get(fd, &got, PACKET_AUDIO, PACKET_BOTH & ~seen);
		}
	}
	streams_end(channel);
	get(fd, &got, PACKET_END, 0);
	CHECK_HAS(text_of(&got), "lost: 0\n");
	close(fd);
}

/*! \brief How often a stream was told that nobody listens */
static unsigned int refusals(const char *id)
{
	static const char before[] = " packets not taken, ";
	char command[64];
	const char *found;

	snprintf(command, sizeof(command), "forkstream show stream %s", id);
	found = strstr(host_cli(command), before);
	CHECK(found != NULL);
	return (unsigned int) atoi(found + strlen(before));
}

TEST(each_stream_is_told_that_nobody_listens)
{
	struct ast_channel *channel = streams_begin(NULL);
	char ids[2][STREAM_ID_SIZE];
	unsigned int before[2];
	char url[64];
	int i;

	nowhere_udp(url);
	for (i = 0; i < 2; i++) {
		CHECK_STR(fork_stream(channel, url), "STARTED");
		snprintf(ids[i], sizeof(ids[i]), "%s", host_variable(channel, "FORKSTREAMID"));
	}
	/* Silence, by the clock: what one has sent and the other not is little. */
	before[0] = refusals(ids[0]);
	before[1] = refusals(ids[1]);
	WAIT_FOR(refusals(ids[0]) >= before[0] + 10);
	CHECK(refusals(ids[1]) >= before[1] + 5);
	streams_end(channel);
}

TEST(a_masquerade_takes_the_stream_along)
{
	struct ast_channel *channel = streams_begin(NULL);
	struct ast_channel *other = host_channel("PJSIP/other-2", ast_format_ulaw);
	char url[64];
	int fd = listen_udp(url);
	struct got got;

	host_channel_id(other, "1700000000.8");
	fork_stream(channel, url);
	talk(channel, 11);
	get(fd, &got, PACKET_AUDIO, PACKET_RX);
	CHECK_INT(sample_of(&got, 0), 11);
	host_channel_move(channel, other);
	host_channel_end(channel);
	talk(other, 12);
	get(fd, &got, PACKET_AUDIO, PACKET_RX);
	CHECK_INT(sample_of(&got, 0), 12);
	CHECK_HAS(host_cli("forkstream show streams"), "PJSIP/other-2");
	CHECK_HAS(host_cli("forkstream stop all"), "1 stream stopped");
	get(fd, &got, PACKET_END, 0);
	CHECK_INT(host_channel_hooks(other), 0);
	streams_end(other);
	close(fd);
}

TEST(the_frames_of_the_call_are_not_changed)
{
	struct ast_channel *channel = streams_begin(NULL);
	char url[64];
	int fd = listen_udp(url);
	int16_t samples[160] = { 1, 2, 3 };

	fork_stream(channel, url);
	CHECK_INT(host_channel_hears(channel, 0, samples, 160, 8000), 0);
	CHECK_INT(host_channel_hears(channel, 1, samples, 160, 8000), 0);
	CHECK_INT(samples[2], 3);
	streams_end(channel);
	close(fd);
}

TEST(the_beep_is_heard_and_comes_again)
{
	struct ast_channel *channel = streams_begin(NULL);
	char url[64];
	char arguments[80];
	int fd = listen_udp(url);
	int changed[100];
	int i;

	snprintf(arguments, sizeof(arguments), "%s,b(1)", url);
	fork_stream(channel, arguments);
	for (i = 0; i < 100; i++) {
		int16_t samples[160] = { 0 };

		CHECK_INT(host_channel_hears(channel, 0, samples, 160, 8000), 0);
		changed[i] = host_channel_hears(channel, 1, samples, 160, 8000);
		CHECK_INT(changed[i], samples[1] != 0);
	}
	/* 200 ms of it, a second without, and again. */
	CHECK(changed[0] && changed[9] && !changed[10] && !changed[58]);
	CHECK(changed[61] && changed[69] && !changed[75]);
	streams_end(channel);
	close(fd);
}

TEST(a_mute_by_ami_is_told)
{
	struct ast_channel *channel = streams_begin(NULL);
	char url[64];
	char id[STREAM_ID_SIZE + 16];
	int fd = listen_udp(url);
	struct got got;

	fork_stream(channel, url);
	snprintf(id, sizeof(id), "StreamId: %s", host_variable(channel, "FORKSTREAMID"));
	CHECK_HAS(host_ami("ForkStreamMute", id, "Direction: rx", "State: 1", NULL), "Success");
	talk(channel, 9);
	get(fd, &got, PACKET_AUDIO, 0);
	CHECK_INT(got.bytes[6], PACKET_TX);
	CHECK_HAS(host_events(), "Event: ForkStreamMute\n");
	CHECK_HAS(host_events(), "Muted: rx\n");
	CHECK_HAS(host_ami("ForkStreamMute", id, "State: 2", NULL), "Error: Direction is rx, tx or both");
	CHECK_HAS(host_ami("ForkStreamMute", "StreamId: 1", "State: 1", NULL), "no such stream");
	CHECK_HAS(host_ami("ForkStreamMute", id, "State: 0", NULL), "No longer muted");
	talk(channel, 10);
	get(fd, &got, PACKET_AUDIO, PACKET_RX);
	CHECK_INT(sample_of(&got, 0), 10);
	streams_end(channel);
	close(fd);
}

TEST(a_program_starts_and_stops_by_ami)
{
	struct ast_channel *channel = streams_begin(NULL);
	char url[64];
	char destination[80];
	int fd = listen_udp(url);
	struct got got;

	snprintf(destination, sizeof(destination), "Destination: %s", url);
	CHECK_HAS(host_ami("ForkStream", "Channel: PJSIP/caller-1", destination, "Options: d(tx)", NULL), "StreamId: ");
	talk(channel, 3);
	get(fd, &got, PACKET_AUDIO, 0);
	CHECK_INT(got.bytes[6], PACKET_TX);
	CHECK_HAS(host_ami("ForkStream", "Channel: nobody", destination, NULL), "no such channel");
	CHECK_HAS(host_ami("ForkStream", "Channel: PJSIP/caller-1", "Destination: udp://x:1", NULL), "Status: DENIED");
	CHECK_HAS(host_ami("StopForkStream", "Channel: PJSIP/caller-1", NULL), "Success");
	CHECK_HAS(host_ami("StopForkStream", "Channel: PJSIP/caller-1", NULL), "Error");
	CHECK_HAS(host_ami("StopForkStream", "StreamId: 12", NULL), "Error");
	CHECK_INT(host_action_authority("ForkStream") & ~1, 0);
	streams_end(channel);
	close(fd);
}

TEST(commands_show_what_there_is)
{
	struct ast_channel *channel = streams_begin(NULL);
	char url[64];
	char line[80];
	int fd = listen_udp(url);
	struct got got;

	CHECK_HAS(host_cli("forkstream show streams"), "0 streams");
	/* Without silence, of which there is more and more. */
	snprintf(line, sizeof(line), "%s,s", url);
	fork_stream(channel, line);
	talk(channel, 3);
	get(fd, &got, PACKET_AUDIO, PACKET_TX);
	CHECK_HAS(host_cli("forkstream show streams"), "1 stream\n");
	snprintf(line, sizeof(line), "forkstream show stream %s", host_variable(channel, "FORKSTREAMID"));
	CHECK_HAS(host_cli(line), "both, slin, 8000 Hz, 20 ms a packet, silence skipped");
	WAIT_FOR(strstr(host_cli(line), "rx            1 packets, 160 samples"));
	CHECK_HAS(host_cli("forkstream show stream x"), "There is no stream x");
	CHECK_STR(host_complete("forkstream show stream "), host_variable(channel, "FORKSTREAMID"));
	streams_end(channel);
	close(fd);
}

TEST(what_may_not_go_there_does_not)
{
	struct ast_channel *channel = streams_begin("[general]\nallow = udp://10.0.0.1:9\n");
	char url[64];
	int fd = listen_udp(url);

	CHECK_STR(fork_stream(channel, url), "DENIED");
	CHECK_INT(host_logged("no line of [general] in forkstream.conf has it: allow = udp://127.0.0.1:"), 1);
	CHECK_STR(fork_stream(channel, "udp://10.0.0.1:9"), "STARTED");
	CHECK_STR(fork_stream(channel, "telnet://10.0.0.1:9"), "INVALID");
	CHECK_STR(fork_stream(channel, ""), "INVALID");
	CHECK_STR(fork_stream(channel, "udp://10.0.0.1:9,d(up)"), "INVALID");
	streams_end(channel);
	close(fd);
}

TEST(without_a_file_streams_stay_on_this_machine)
{
	struct ast_channel *channel = streams_begin(NULL);

	CHECK_STR(fork_stream(channel, "udp://10.0.0.1:9"), "DENIED");
	CHECK_INT(host_logged("streams stay on this machine: allow = udp://10.0.0.1:9"), 1);
	streams_end(channel);
}

TEST(there_are_no_more_streams_than_allowed)
{
	struct ast_channel *channel = streams_begin("[general]\nmax_streams = 2\n");
	char url[64];
	int fd = listen_udp(url);

	CHECK_STR(fork_stream(channel, url), "STARTED");
	CHECK_STR(fork_stream(channel, url), "STARTED");
	CHECK_STR(fork_stream(channel, url), "LIMIT");
	CHECK_INT(host_exec(channel, "StopForkStream", ""), 0);
	WAIT_FOR(strstr(host_cli("forkstream show streams"), "0 streams"));
	CHECK_STR(fork_stream(channel, url), "STARTED");
	streams_end(channel);
	close(fd);
}

TEST(each_fault_of_the_file_is_named_and_nothing_is_changed)
{
	static const char * const faults[] = {
		"[general]\nallow = http://x\n", "forkstream.conf:2 [general]: allow = http://x: a destination begins with",
		"[general]\nallow = udp://x/y\n", "nothing may follow the port here",
		"[general]\nmax_streams = 0\n", "max_streams = 0: a whole number from 1 to 10000",
		"[general]\nmax_streams = many\n", "a whole number from 1 to",
		"[general]\nconnect_timeout = 61\n", "connect_timeout = 61: a whole number from 1 to 60",
		"[general]\nca_file = /nowhere\n", "a file of certificates that Asterisk can read",
		"[general]\nspeed = 1\n", "no such key; there are allow, max_streams",
		"[genral]\nallow = udp://x\n", "forkstream.conf:2 [genral]: allow = udp://x: no such section",
		"[general]\n#include \"more.conf\"\n", "more.conf:3 [general]: max_streams = none: a whole number",
		"[general]\n#include \"none.conf\"\n", "forkstream.conf cannot be read: Asterisk cannot parse it",
	};
	struct ast_channel *channel = streams_begin("[general]\nallow = udp://127.0.0.1\n");
	size_t i;

	host_write_config("more.conf", "; more\n\nmax_streams = none\n");
	for (i = 0; i < ARRAY_LEN(faults); i += 2) {
		host_log_clear();
		host_write_config("forkstream.conf", faults[i]);
		CHECK_INT(host_reload(), AST_MODULE_RELOAD_ERROR);
		CHECK_HAS(host_log(), faults[i + 1]);
		CHECK_STR(fork_stream(channel, "udp://10.0.0.1:9"), "DENIED");
	}
	host_write_config("forkstream.conf", "[general]\nallow = udp://10.0.0.1:9\n");
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_SUCCESS);
	CHECK_STR(fork_stream(channel, "udp://10.0.0.1:9"), "STARTED");
	streams_end(channel);
	host_write_config("forkstream.conf", "[general]\nspeed = 1\n");
	CHECK_INT(host_load(), AST_MODULE_LOAD_DECLINE);
	CHECK_INT(host_registrations(), 0);
}

TEST(it_is_unloaded_by_force_with_streams_up)
{
	struct ast_channel *channel = streams_begin(NULL);
	char url[64];
	int fd = listen_udp(url);
	struct got got;

	fork_stream(channel, url);
	talk(channel, 4);
	CHECK_INT(host_unload(0), -1);
	CHECK_INT(host_unload(1), 0);
	get(fd, &got, PACKET_END, 0);
	CHECK_HAS(text_of(&got), "reason: unloaded\n");
	CHECK_INT(host_channel_hooks(channel), 0);
	host_channel_end(channel);
	close(fd);
}

/*! \brief Let a command go that was held */
static void *release(void *command)
{
	host_sleep(200 * MS);
	host_command_hold(command, 0);
	return NULL;
}

TEST(an_unload_waits_for_a_command)
{
	struct ast_channel *channel = streams_begin(NULL);
	char command[] = "forkstream show streams";
	pthread_t thread;

	host_command_hold(command, 1);
	CHECK_INT(pthread_create(&thread, NULL, release, command), 0);
	CHECK_INT(host_unload(1), 0);
	/* Nor does Asterisk keep one whose code is gone. */
	CHECK_INT(host_registrations(), 0);
	pthread_join(thread, NULL);
	host_channel_end(channel);
}

TEST(an_unload_that_is_refused_leaves_what_it_can)
{
	struct ast_channel *channel = streams_begin(NULL);
	unsigned int registered = host_registrations();
	char url[64];
	int fd = listen_udp(url);

	host_command_hold("forkstream show streams", 1);
	host_fail_call("ast_manager_register2", 1);
	CHECK_INT(host_unload(1), -1);
	CHECK_INT(host_logged("Not unloaded"), 1);
	CHECK_INT(host_registrations(), registered - 1);
	host_command_hold("forkstream show streams", 0);
	host_channel_end(channel);
	channel = host_channel("PJSIP/caller-2", ast_format_ulaw);
	CHECK_STR(fork_stream(channel, url), "STARTED");
	streams_end(channel);
	close(fd);
}

TEST(a_channel_that_is_going_gets_none)
{
	struct ast_channel *channel = streams_begin(NULL);
	char url[64];
	int fd = listen_udp(url);

	host_fail_call("ast_audiohook_attach", 1);
	CHECK_STR(fork_stream(channel, url), "UNAVAILABLE");
	CHECK_INT(host_logged("the channel is going"), 1);
	streams_end(channel);
	close(fd);
}

TEST(whatever_memory_is_short_nothing_is_left)
{
	struct ast_channel *channel = streams_begin(NULL);
	char url[64];
	int fd = listen_udp(url);
	unsigned int n = 0;

	do {
		host_fail_allocation(++n);
		fork_stream(channel, url);
		CHECK_INT(host_exec(channel, "StopForkStream", ""), 0);
		/* The network's thread has its share. */
		WAIT_FOR(!streams_alive());
	} while (host_allocation_failed());
	CHECK(n > 5);
	host_fail_allocation(0);
	host_fail_call("ast_pthread_create_stack", 1);
	CHECK_STR(fork_stream(channel, "ws://127.0.0.1:1"), "UNAVAILABLE");
	streams_end(channel);
	close(fd);
}

TEST(a_load_that_fails_leaves_nothing)
{
	host_use_real_time();
	host_fail_call("ast_pthread_create_stack", 1);
	CHECK_INT(host_load(), AST_MODULE_LOAD_DECLINE);
	host_fail_call("ast_register_application2", 2);
	CHECK_INT(host_load(), AST_MODULE_LOAD_DECLINE);
	host_fail_call("ast_manager_register2", 2);
	CHECK_INT(host_load(), AST_MODULE_LOAD_DECLINE);
	CHECK_INT(host_registrations(), 0);
}

/* ---- The network ---- */

TEST(a_listener_that_is_not_there_touches_nothing)
{
	struct ast_channel *channel = streams_begin(NULL);
	char url[64];
	char line[80];
	int fd = listen_udp(url);
	int i;

	close(fd);
	CHECK_STR(fork_stream(channel, url), "STARTED");
	snprintf(line, sizeof(line), "forkstream show stream %s", host_variable(channel, "FORKSTREAMID"));
	for (i = 0; i < 10; i++) {
		talk(channel, 3);
		host_sleep(20 * MS);
	}
	WAIT_FOR(!strstr(host_cli(line), " 0 times nobody listened"));
	streams_end(channel);
	CHECK_HAS(host_events(), "Event: ForkStreamStop\n");
}

TEST(a_host_that_is_not_found_ends_the_stream_and_no_call)
{
	struct ast_channel *channel = streams_begin("[general]\nallow = udp://*\n");

	/* No part of a name may be that long: no server is asked, which may take its time. */
	CHECK_STR(fork_stream(channel, "udp://a-name-that-cannot-be-one-because-a-part-of-it-has-more-than-63-letters:9"),
		"STARTED");
	WAIT_FOR(host_logged("is over: its host is not found"));
	talk(channel, 3);
	WAIT_FOR(!host_channel_hooks(channel) || (talk(channel, 3), 0));
	CHECK_HAS(host_events(), "Reason: unreachable\n");
	streams_end(channel);
}

TEST(a_name_server_that_does_not_answer_holds_up_nothing)
{
	struct ast_channel *channel = streams_begin("[general]\nallow = udp://*\nconnect_timeout = 1\n");
	char url[64];
	int fd = listen_udp(url);
	struct got got;

	host_names_take(2500 * MS);
	CHECK_STR(fork_stream(channel, "udp://silent.example:9"), "STARTED");
	CHECK_HAS(host_cli("forkstream show streams"), "connecting");
	/* Neither the call waits for it, nor another stream. */
	CHECK_STR(fork_stream(channel, url), "STARTED");
	talk(channel, 1000);
	get(fd, &got, PACKET_AUDIO, PACKET_RX);
	WAIT_FOR(host_logged("is over: no name server has told its host's address in time"));
	WAIT_FOR(strstr(host_events(), "Reason: unreachable\n"));
	CHECK_INT(host_exec(channel, "StopForkStream", ""), 0);
	get(fd, &got, PACKET_END, 0);
	WAIT_FOR(streams_alive() == 1);
	CHECK_HAS(host_cli("forkstream show streams"), "0 streams\n1 over, and held: by a name server");
	/* Its thread still waits: it is not unmapped under it. */
	CHECK_INT(host_unload(1), 0);
	CHECK_INT(streams_alive(), 0);
	host_channel_end(channel);
	close(fd);
}

TEST(a_direction_that_may_be_deaf_is_heard_anew)
{
	struct ast_channel *channel = streams_begin(NULL);
	char url[64];
	char arguments[80];
	int16_t samples[160] = { 1 };
	int fd = listen_udp(url);

	snprintf(arguments, sizeof(arguments), "%s,d(rx)", url);
	fork_stream(channel, arguments);
	/* Only the direction that goes along; and not while it brings frames. */
	WAIT_FOR(host_refreshed(0) >= 1);
	CHECK_INT(host_refreshed(1), 0);
	CHECK_INT(host_channel_hears(channel, 0, samples, 160, 8000), 0);
	/* A masquerade: at once, both. */
	host_channel_masquerade(channel, "PJSIP/other-3", ast_format_ulaw, "1");
	WAIT_FOR(host_refreshed(1) >= 1);
	CHECK_HAS(host_cli("forkstream show streams"), "PJSIP/other-3");
	streams_end(channel);
	close(fd);
}

TEST(the_frame_behind_the_last_number_is_heard)
{
	struct ast_channel *channel = streams_begin(NULL);
	const unsigned int before[2] = { host_refreshed(0), host_refreshed(1) };
	char url[64];
	char arguments[80];
	int16_t samples[160] = { 1 };
	int fd = listen_udp(url);
	int number;
	int i;

	/* Muted, so that no direction is taken for deaf. */
	snprintf(arguments, sizeof(arguments), "%s,m", url);
	fork_stream(channel, arguments);
	for (number = SEQUENCE_LAST - 1; number <= SEQUENCE_LAST; number++) {
		host_channel_hears_number(number);
		for (i = 0; i < 2; i++) {
			CHECK_INT(host_channel_hears(channel, i, samples, 160, 8000), 0);
			CHECK_INT(host_refreshed(i), before[i] + (number == SEQUENCE_LAST));
		}
	}
	host_channel_hears_number(0);
	streams_end(channel);
	close(fd);
}

static uint8_t *any_room(struct sink *sink)
{
	static uint8_t packet[PACKET_BYTES_MAX];

	return packet;
}

static void take_any(struct sink *sink, size_t length)
{
}

TEST(a_direction_that_was_heard_may_be_deaf_again_at_once)
{
	struct ast_channel *channel = streams_begin(NULL);
	struct sink nobody = { any_room, take_any };
	struct destination to;
	struct options options;
	struct stream *stream;
	char error[ERROR_SIZE];
	int16_t samples[160] = { 1 };
	unsigned int i;
	int64_t now_us;

	CHECK_INT(destination_parse(&to, "udp://127.0.0.1:9", 0, error), 0);
	CHECK_INT(options_parse(&options, NULL, error), 0);
	/* No thread of the network's has it: its time is the test's. */
	stream = stream_create(&to, &options, 0);
	stream_name_channel(stream, channel);
	ast_channel_lock(channel);
	CHECK_INT(stream_attach(stream, channel), 0);
	ast_channel_unlock(channel);
	now_us = stream->began_us;
	for (i = 1; i <= 3; i++) {
		/* The caller is heard, and then no longer; nothing is ever written to the channel. */
		host_channel_hears(channel, 0, samples, 160, 8000);
		media_pump(stream->media, now_us, &nobody);
		stream_listen(stream, now_us + (DEAF_MS - 1) * MS);
		CHECK_INT(host_refreshed(0), i - 1);
		now_us += DEAF_MS * MS;
		stream_listen(stream, now_us);
		stream_listen(stream, now_us + TICK_MS * MS);
		CHECK_INT(host_refreshed(0), i);
	}
	/* While it stays so, now and then. */
	stream_listen(stream, now_us + LISTEN_AGAIN_MS * MS);
	CHECK_INT(host_refreshed(0), i);
	ao2_ref(stream, -1);
	streams_end(channel);
}

TEST(a_file_that_cannot_be_opened_is_no_file_that_is_missing)
{
	static const char name[] = "forkstream.conf";
	struct ast_channel *channel = streams_begin("[general]\nallow = udp://127.0.0.1\n");
	const uid_t user = geteuid();
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%.2000s/%s", host_config_directory(), name);
	CHECK_INT(chmod(host_config_directory(), 0755), 0);
	CHECK_INT(chmod(path, 0), 0);
	/* Root can open any. */
	CHECK(user || !seteuid(NOBODY));
	CHECK_INT(host_reload(), AST_MODULE_RELOAD_ERROR);
	CHECK_HAS(host_log(), "forkstream.conf cannot be read: the user that Asterisk runs as needs to");
	CHECK_STR(fork_stream(channel, "udp://10.0.0.1:9"), "DENIED");
	streams_end(channel);
	CHECK_INT(host_load(), AST_MODULE_LOAD_DECLINE);
	CHECK_INT(host_registrations(), 0);
	CHECK(user || !seteuid(user));
	host_remove_config(name);
	CHECK_INT(host_load(), AST_MODULE_LOAD_SUCCESS);
	streams_unload();
}
