/* From frames to packets: complete and in order, in time, in each form; what has no room is counted. */

#include "host.h"
#include "media.h"
#include "options.h"
#include "ring.h"

#define FRAME 160
#define STREAM UINT64_C(0x0123456789abcdef)

/*! All packets that were made, one behind the other, as a network would have them */
struct heard {
	struct sink sink;
	int is_full;
	size_t count;
	size_t length[4096];
	uint8_t packets[4096][PACKET_BYTES_MAX];
};

static struct heard heard;

static uint8_t *room(struct sink *sink)
{
	return heard.is_full ? NULL : heard.packets[heard.count];
}

static void put(struct sink *sink, size_t length)
{
	CHECK(length <= PACKET_BYTES_MAX);
	heard.length[heard.count++] = length;
}

static struct sink *begin(void)
{
	memset(&heard, 0, sizeof(heard));
	heard.sink = (struct sink) { room, put };
	return &heard.sink;
}

static struct media *make(const char *text)
{
	struct options options;
	char copy[64];
	char error[ERROR_SIZE];
	struct media *media;

	snprintf(copy, sizeof(copy), "%s", text);
	CHECK_INT(options_parse(&options, copy, error), 0);
	media = media_create(&options, STREAM, 0);
	CHECK(media);
	return media;
}

static unsigned int number(const uint8_t *at, unsigned int bytes)
{
	unsigned int value = 0;

	while (bytes--) {
		value = value << 8 | *at++;
	}
	return value;
}

static unsigned int direction_of(size_t i)
{
	return heard.packets[i][6];
}

static unsigned int time_of(size_t i)
{
	return number(heard.packets[i] + 20, 4);
}

static unsigned int sequence_of(size_t i)
{
	return number(heard.packets[i] + 24, 4);
}

static unsigned int length_of(size_t i)
{
	return number(heard.packets[i] + 30, 2);
}

static int is_silence(size_t i)
{
	return heard.packets[i][28] & PACKET_SILENCE;
}

static int16_t sample_of(size_t i, unsigned int k)
{
	const uint8_t *at = heard.packets[i] + PACKET_HEADER + 2 * k;

	return (int16_t) (at[0] | at[1] << 8);
}

/*! \brief A frame whose samples count up from there; 0 is never one of them */
static void push(struct media *media, unsigned int direction, unsigned int from, unsigned int count, unsigned int rate)
{
	int16_t samples[50 * FRAME];
	unsigned int i;

	CHECK(count <= 50 * FRAME);
	for (i = 0; i < count; i++) {
		samples[i] = (int16_t) ((from + i) % 30000 + 1);
	}
	media_push(media, direction, samples, count, rate);
}

/*! \brief Check that one direction's audio is what was pushed, each sample once, with silence around it alone */
static void check_counting(unsigned int direction, unsigned int total)
{
	unsigned int expected = 0;
	size_t i;
	unsigned int k;

	for (i = 0; i < heard.count; i++) {
		for (k = 0; direction_of(i) == direction && k < length_of(i) / 2; k++) {
			if (sample_of(i, k)) {
				CHECK_INT(sample_of(i, k), expected % 30000 + 1);
				expected++;
			}
		}
	}
	CHECK_INT(expected, total);
}

TEST(a_header_is_as_it_is_documented)
{
	static const uint8_t header[PACKET_HEADER] = {
		'F', 'k', 'S', 't', 1, PACKET_AUDIO, PACKET_RX, PACKET_SLIN,
		0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
		0, 0, 0, 0, 0, 0, 0, FRAME, 0, 0, 0, 1, 0, 8, 1, 64,
	};
	struct media *media = make("");
	struct sink *sink = begin();

	push(media, PACKET_RX, 0, 2 * FRAME, 8000);
	media_pump(media, 0, sink);
	CHECK_INT(heard.count, 2);
	CHECK(!memcmp(heard.packets[1], header, sizeof(header)));
	CHECK_INT(heard.length[1], PACKET_HEADER + 2 * FRAME);
	media_free(media);
}

TEST(each_direction_has_packets_and_numbers_of_its_own)
{
	struct media *media = make("");
	struct sink *sink = begin();
	unsigned int n;

	for (n = 0; n < 50; n++) {
		push(media, PACKET_RX, n * FRAME, FRAME, 8000);
		push(media, PACKET_TX, n * FRAME, FRAME, 8000);
		media_pump(media, n * 20 * MS, sink);
	}
	CHECK_INT(heard.count, 100);
	for (n = 0; n < 100; n++) {
		CHECK_INT(direction_of(n), n % 2 ? PACKET_TX : PACKET_RX);
		CHECK_INT(sequence_of(n), n / 2);
		CHECK_INT(time_of(n), n / 2 * FRAME);
	}
	check_counting(PACKET_RX, 50 * FRAME);
	check_counting(PACKET_TX, 50 * FRAME);
	media_free(media);
}

TEST(frames_of_any_length_become_packets_of_one)
{
	static const unsigned int lengths[] = { 80, 240, 1, 159, 4000, 33 };
	struct media *media = make("d(rx)");
	struct sink *sink = begin();
	unsigned int pushed = 0;
	unsigned int n;
	size_t i;

	for (n = 0; n < 60; n++) {
		push(media, PACKET_RX, pushed, lengths[n % 6], 8000);
		pushed += lengths[n % 6];
		media_pump(media, (int64_t) pushed * 125, sink);
	}
	for (i = 0; i < heard.count; i++) {
		CHECK_INT(length_of(i), 2 * FRAME);
	}
	media_flush(media, sink);
	check_counting(PACKET_RX, pushed);
	CHECK_INT(length_of(heard.count - 1), 2 * (pushed % FRAME ? pushed % FRAME : FRAME));
	media_free(media);
}

TEST(only_the_directions_asked_for_go_along)
{
	struct media *media = make("d(tx)");
	struct sink *sink = begin();
	struct media_count count;

	push(media, PACKET_RX, 0, FRAME, 8000);
	push(media, PACKET_TX, 0, FRAME, 8000);
	media_pump(media, 0, sink);
	CHECK_INT(heard.count, 1);
	CHECK_INT(direction_of(0), PACKET_TX);
	CHECK_INT(media_count(media, PACKET_RX, &count), 0);
	CHECK_INT(media_count(media, PACKET_TX, &count), 1);
	CHECK_INT(count.packets, 1);
	CHECK_INT(count.samples, FRAME);
	media_free(media);
}

/* ---- Time ---- */

TEST(a_quiet_direction_is_filled_with_silence_by_the_clock)
{
	struct media *media = make("d(rx)");
	struct sink *sink = begin();
	unsigned int n;
	size_t i;

	for (n = 0; n < 5; n++) {
		push(media, PACKET_RX, n * FRAME, FRAME, 8000);
		media_pump(media, n * 20 * MS, sink);
	}
	/* Nothing for a second, and then it goes on. */
	for (; n < 55; n++) {
		media_pump(media, n * 20 * MS, sink);
		CHECK(heard.count <= n);
	}
	push(media, PACKET_RX, 5 * FRAME, FRAME, 8000);
	media_pump(media, n * 20 * MS, sink);
	CHECK_INT(heard.count, 55);
	for (i = 5; i < 54; i++) {
		CHECK(is_silence(i));
		CHECK_INT(time_of(i), i * FRAME);
	}
	CHECK(!is_silence(54));
	CHECK_INT(time_of(54), 54 * FRAME);
	check_counting(PACKET_RX, 6 * FRAME);
	media_free(media);
}

TEST(what_comes_late_and_all_at_once_is_not_taken_for_silence)
{
	struct media *media = make("d(rx)");
	struct sink *sink = begin();
	unsigned int n;

	for (n = 0; n < 40; n++) {
		/* Five frames come together each time. */
		if (n % 5 == 4) {
			push(media, PACKET_RX, (n - 4) * FRAME, 5 * FRAME, 8000);
		}
		media_pump(media, n * 20 * MS, sink);
	}
	check_counting(PACKET_RX, 40 * FRAME);
	CHECK_INT(heard.count, 40);
	media_free(media);
}

TEST(a_thread_that_comes_late_makes_up_nothing)
{
	struct media *media = make("d(rx)");
	struct sink *sink = begin();

	push(media, PACKET_RX, 0, 50 * FRAME, 8000);
	media_pump(media, 1000 * MS, sink);
	push(media, PACKET_RX, 50 * FRAME, 40 * FRAME, 8000);
	media_pump(media, 1800 * MS, sink);
	CHECK_INT(heard.count, 90);
	check_counting(PACKET_RX, 90 * FRAME);
	media_free(media);
}

TEST(a_clock_that_is_slower_than_ours_is_never_cut_by_silence)
{
	struct media *media = make("d(rx)");
	struct sink *sink = begin();
	unsigned int n;

	/* 5 % slower, for a minute. */
	for (n = 0; n < 3000; n++) {
		push(media, PACKET_RX, n * FRAME, FRAME, 8000);
		media_pump(media, n * 21 * MS, sink);
	}
	CHECK_INT(heard.count, 3000);
	check_counting(PACKET_RX, 3000 * FRAME);
	media_free(media);
}

TEST(silence_is_skipped_where_that_is_asked_for)
{
	static const int16_t zeros[FRAME];
	struct media *media = make("d(rx)s");
	struct sink *sink = begin();
	struct media_count count;
	unsigned int n;

	for (n = 0; n < 60; n++) {
		if (n < 10 || n >= 50) {
			push(media, PACKET_RX, (n < 10 ? n : n - 40) * FRAME, FRAME, 8000);
		} else if (n < 30) {
			media_push(media, PACKET_RX, zeros, FRAME, 8000);
		}
		media_pump(media, n * 20 * MS, sink);
	}
	CHECK_INT(heard.count, 20);
	CHECK_INT(sequence_of(10), 10);
	CHECK_INT(time_of(9), 9 * FRAME);
	CHECK_INT(time_of(10), 49 * FRAME);
	check_counting(PACKET_RX, 20 * FRAME);
	CHECK(media_count(media, PACKET_RX, &count));
	CHECK_INT(count.skipped, 39 * FRAME);
	CHECK_INT(count.packets, 20);
	media_free(media);
}

TEST(what_is_muted_is_silence)
{
	struct media *media = make("m(rx)");
	struct sink *sink = begin();
	unsigned int n;

	for (n = 0; n < 60; n++) {
		if (n == 30) {
			media_mute(media, PACKET_TX);
		}
		push(media, PACKET_RX, (n < 30 ? 0 : n - 30) * FRAME, FRAME, 8000);
		push(media, PACKET_TX, n * FRAME, FRAME, 8000);
		media_pump(media, n * 20 * MS, sink);
	}
	check_counting(PACKET_RX, 30 * FRAME);
	check_counting(PACKET_TX, 30 * FRAME);
	CHECK_INT(media_muted(media), PACKET_TX);
	media_free(media);
}

/* ---- Both in one ---- */

TEST(interleaved_samples_come_in_pairs)
{
	struct media *media = make("i");
	struct sink *sink = begin();
	unsigned int n;
	unsigned int k;

	for (n = 0; n < 20; n++) {
		push(media, PACKET_RX, n * FRAME, FRAME, 8000);
		push(media, PACKET_TX, n * FRAME + 10000, FRAME, 8000);
		media_pump(media, n * 20 * MS, sink);
	}
	CHECK_INT(heard.count, 20);
	for (n = 0; n < 20; n++) {
		CHECK_INT(direction_of(n), PACKET_BOTH);
		CHECK_INT(length_of(n), 4 * FRAME);
		for (k = 0; k < FRAME; k++) {
			CHECK_INT(sample_of(n, 2 * k), n * FRAME + k + 1);
			CHECK_INT(sample_of(n, 2 * k + 1), n * FRAME + k + 10001);
		}
	}
	media_free(media);
}

TEST(one_direction_does_not_wait_for_the_other)
{
	struct media *media = make("i");
	struct sink *sink = begin();
	unsigned int n;
	unsigned int k;
	unsigned int seen = 0;

	for (n = 0; n < 100; n++) {
		push(media, PACKET_RX, n * FRAME, FRAME, 8000);
		media_pump(media, n * 20 * MS, sink);
		/* 100 ms behind, no more. */
		CHECK(heard.count + 6 >= n);
	}
	media_flush(media, sink);
	for (n = 0; n < heard.count; n++) {
		for (k = 0; k < length_of(n) / 4; k++) {
			CHECK_INT(sample_of(n, 2 * k), seen + 1);
			CHECK_INT(sample_of(n, 2 * k + 1), 0);
			seen++;
		}
	}
	CHECK_INT(seen, 100 * FRAME);
	media_free(media);
}

TEST(both_quiet_go_on_by_the_clock)
{
	struct media *media = make("i");
	struct sink *sink = begin();

	media_pump(media, 1000 * MS, sink);
	CHECK_INT(heard.count, 50);
	CHECK(is_silence(49));
	media_free(media);
}

/* ---- Want of room ---- */

TEST(what_the_network_does_not_take_is_dropped_and_counted)
{
	struct media *media = make("d(rx)");
	struct sink *sink = begin();
	struct media_count count;
	unsigned int n;
	unsigned int k;
	size_t i;
	unsigned int last = 0;
	unsigned int got = 0;

	heard.is_full = 1;
	for (n = 0; n < 150; n++) {
		push(media, PACKET_RX, n * FRAME, FRAME, 8000);
		media_pump(media, n * 20 * MS, sink);
	}
	CHECK_INT(heard.count, 0);
	heard.is_full = 0;
	for (; n < 160; n++) {
		push(media, PACKET_RX, n * FRAME, FRAME, 8000);
		media_pump(media, n * 20 * MS, sink);
	}
	CHECK(media_count(media, PACKET_RX, &count));
	CHECK(count.dropped > 40 * FRAME && count.dropped < 60 * FRAME);
	/* In order, and what came after the gap is where it belongs in time. */
	for (i = 0; i < heard.count; i++) {
		for (k = 0; k < length_of(i) / 2; k++) {
			if (sample_of(i, k)) {
				unsigned int is = (unsigned int) sample_of(i, k) - 1;

				CHECK(!got || is > last);
				last = is;
				got++;
				CHECK_INT(time_of(i) + k, is);
			}
		}
	}
	CHECK_INT(got + count.dropped, 160 * FRAME);
	media_free(media);
}

/*! \brief Check that each sample of one side stands in its place in time, and count those of silence */
static unsigned int check_places(unsigned int direction, unsigned int sides, unsigned int side)
{
	unsigned int silent = 0;
	size_t i;
	unsigned int k;

	for (i = 0; i < heard.count; i++) {
		for (k = 0; direction_of(i) == direction && k < length_of(i) / (2 * sides); k++) {
			int16_t is = sample_of(i, k * sides + side);

			silent += !is;
			CHECK(!is || is == (int16_t) ((time_of(i) + k) % 30000 + 1));
		}
	}
	return silent;
}

/*! \brief Talk for 120 s; the listener takes nothing from the first second to the hundredth */
static void stall(struct media *media, struct sink *sink)
{
	unsigned int n;

	for (n = 0; n < 6000; n++) {
		push(media, PACKET_RX, n * FRAME, FRAME, 8000);
		/* Shorter frames fill the ring earlier: another part of it is lost. */
		push(media, PACKET_TX, n * FRAME, FRAME / 2, 8000);
		push(media, PACKET_TX, n * FRAME + FRAME / 2, FRAME / 2, 8000);
		heard.is_full = n >= 50 && n < 5000;
		media_pump(media, n * 20 * MS, sink);
	}
}

TEST(who_has_stalled_for_long_does_not_get_all_of_it_as_silence)
{
	struct media *media = make("");
	struct sink *sink = begin();
	struct media_count count;

	stall(media, sink);
	CHECK_INT(check_places(PACKET_RX, 1, 0), FILL_MS * 8);
	CHECK_INT(check_places(PACKET_TX, 1, 0), FILL_MS * 8);
	CHECK(media_count(media, PACKET_RX, &count));
	CHECK(count.dropped > 4000 * FRAME);
	CHECK_INT(count.skipped, count.dropped - FILL_MS * 8);
	CHECK_INT(count.samples + count.skipped, 6000 * FRAME);
	media_free(media);
}

TEST(both_in_one_stay_together_behind_a_stall)
{
	struct media *media = make("i");
	struct sink *sink = begin();

	stall(media, sink);
	CHECK_INT(time_of(heard.count - 1), 5999 * FRAME);
	CHECK(check_places(PACKET_BOTH, 2, 0) <= FILL_MS * 8 + 2 * FRAME);
	CHECK(check_places(PACKET_BOTH, 2, 1) <= FILL_MS * 8 + 2 * FRAME);
	media_free(media);
}

TEST(a_pause_during_a_stall_is_no_flood_either)
{
	struct media *media = make("d(rx)");
	struct sink *sink = begin();
	struct media_count count;

	media_pump(media, 100000 * MS, sink);
	CHECK_INT(heard.count, FILL_MS / PACKET_MS);
	CHECK_INT(time_of(0), 98 * 8000);
	CHECK(media_count(media, PACKET_RX, &count));
	CHECK_INT(count.skipped, 98 * 8000);
	media_free(media);
}

TEST(what_waits_for_the_network_is_not_quiet)
{
	struct media *media = make("");
	struct sink *sink = begin();
	unsigned int n;

	for (n = 0; n < 30; n++) {
		heard.is_full = n >= 5;
		push(media, PACKET_RX, n * FRAME, FRAME, 8000);
		media_pump(media, n * 20 * MS, sink);
	}
	CHECK_INT(media_quiet(media, 600 * MS, DEAF_MS), PACKET_TX);
	heard.is_full = 0;
	media_pump(media, 600 * MS, sink);
	CHECK_INT(media_quiet(media, (600 + DEAF_MS - 1) * MS, DEAF_MS), PACKET_TX);
	CHECK_INT(media_quiet(media, (600 + DEAF_MS) * MS, DEAF_MS), PACKET_BOTH);
	media_free(media);
}

TEST(what_is_lost_has_its_length_whatever_its_rate)
{
	struct media *media = make("d(rx)");
	struct sink *sink = begin();
	unsigned int lost_ms = 0;
	unsigned int n;

	push(media, PACKET_RX, 0, FRAME, 8000);
	media_pump(media, 0, sink);
	heard.is_full = 1;
	/* The ring is filled up, then a channel of another rate loses 500 ms. */
	for (n = 0; n < RING_WORDS / (FRAME + RING_HEADER); n++) {
		push(media, PACKET_RX, n * FRAME, FRAME, 8000);
	}
	for (; lost_ms < 500; lost_ms += 20) {
		push(media, PACKET_RX, 0, 6 * FRAME, 48000);
	}
	heard.is_full = 0;
	media_pump(media, 20 * MS, sink);
	push(media, PACKET_RX, 0, FRAME, 8000);
	media_pump(media, 40 * MS, sink);
	CHECK_INT(time_of(heard.count - 1), (1 + n) * FRAME + 500 * 8);
	media_free(media);
}

TEST(where_there_is_little_room_both_directions_get_some)
{
	struct media *media = make("");
	struct sink *sink = begin();
	size_t i;

	push(media, PACKET_RX, 0, 50 * FRAME, 8000);
	push(media, PACKET_TX, 0, 50 * FRAME, 8000);
	media_pump(media, 0, sink);
	CHECK_INT(heard.count, 100);
	for (i = 0; i < heard.count; i++) {
		CHECK_INT(direction_of(i), i % 2 ? PACKET_TX : PACKET_RX);
	}
	media_free(media);
}

TEST(what_nobody_takes_at_the_end_is_counted)
{
	struct media *media = make("d(rx)r(16000)");
	struct sink *sink = begin();
	struct media_count count;

	push(media, PACKET_RX, 0, 10 * FRAME + 40, 8000);
	CHECK_INT(media_flush(media, sink), 1);
	push(media, PACKET_RX, 0, 10 * FRAME, 8000);
	heard.is_full = 1;
	CHECK_INT(media_flush(media, sink), 0);
	media_drop(media);
	CHECK(media_count(media, PACKET_RX, &count));
	CHECK_INT(count.dropped, 10 * FRAME);
	media_free(media);
}

TEST(a_ring_is_used_to_its_last_word_and_around_its_end)
{
	struct ring *ring = calloc(1, sizeof(*ring));
	int16_t samples[RECORD_SAMPLES_MAX];
	struct ring_record record;
	unsigned int pushed = 0;
	unsigned int taken = 0;
	unsigned int i;
	unsigned int length = 1;

	CHECK(ring);
	while (taken < 10 * RING_WORDS) {
		while (!ring->lost) {
			for (i = 0; i < length; i++) {
				samples[i] = (int16_t) (pushed + i);
			}
			ring_push(ring, samples, length, 48000);
			pushed += ring->lost ? 0 : length;
			length = length % RECORD_SAMPLES_MAX + 1;
		}
		ring->lost = 0;
		while (ring_peek(ring, &record)) {
			CHECK_INT(record.rate, 48000);
			ring_take(ring, &record, samples);
			for (i = 0; i < record.samples; i++) {
				CHECK_INT(samples[i], (int16_t) (taken + i));
			}
			taken += record.samples;
		}
	}
	CHECK_INT(pushed, taken);
	free(ring);
}

/* ---- Forms ---- */

TEST(each_codec_has_its_bytes)
{
	static const struct {
		const char *options;
		unsigned int bytes;
		uint8_t first[4];
	} cases[] = {
		{ "c(ulaw)d(rx)", FRAME, { 0xff, 0x80, 0x00, 0xaf } },
		{ "c(alaw)d(rx)", FRAME, { 0xd5, 0xaa, 0x2a, 0x85 } },
		{ "c(slin)d(rx)", 2 * FRAME, { 0x00, 0x00, 0xff, 0x7f } },
	};
	int16_t samples[FRAME] = { 0, 32767, -32768, 1000 };
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct media *media = make(cases[i].options);
		struct sink *sink = begin();

		media_push(media, PACKET_RX, samples, FRAME, 8000);
		media_pump(media, 0, sink);
		CHECK_INT(length_of(0), cases[i].bytes);
		CHECK(!memcmp(heard.packets[0] + PACKET_HEADER, cases[i].first, 3));
		media_free(media);
	}
}

TEST(another_rate_is_converted_and_may_change)
{
	struct media *media = make("d(rx)r(16000)");
	struct sink *sink = begin();
	unsigned int n;
	size_t i;
	unsigned int samples = 0;

	for (n = 0; n < 30; n++) {
		push(media, PACKET_RX, 100, n < 10 ? 160 : n < 20 ? 320 : 960, n < 10 ? 8000 : n < 20 ? 16000 : 48000);
		media_pump(media, n * 20 * MS, sink);
	}
	for (i = 0; i < heard.count; i++) {
		CHECK_INT(heard.packets[i][29], 16);
		samples += length_of(i) / 2;
	}
	CHECK_INT(samples, 30 * 320);
	media_free(media);
}

TEST(a_rate_that_cannot_be_converted_is_silence_and_counted)
{
	struct media *media = make("d(rx)r(16000)");
	struct sink *sink = begin();
	struct media_count count;

	host_fail_call("ast_translator_build_path", 1);
	push(media, PACKET_RX, 0, 320, 8000);
	media_pump(media, 0, sink);
	CHECK_INT(heard.count, 2);
	CHECK(is_silence(0) && is_silence(1));
	CHECK(media_count(media, PACKET_RX, &count));
	CHECK_INT(count.dropped, 320);
	media_free(media);
}

TEST(memory_that_is_short_is_no_stream)
{
	struct options options;
	char error[ERROR_SIZE];

	CHECK_INT(options_parse(&options, NULL, error), 0);
	host_fail_allocation(1);
	CHECK(!media_create(&options, STREAM, 0));
}
