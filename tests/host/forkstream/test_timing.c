/* Frames of any length at any time, and a network that comes late or takes nothing: all that went in comes out. */

#include "asterisk/alaw.h"
#include "asterisk/ulaw.h"

#include "host.h"
#include "media.h"
#include "options.h"

#define CASES 2000
/*! Of one case, ms: most are short; in one of STALLS the listener stands still for STALL_MS, so that the ring is full */
#define SHORT_MS 600
#define LONG_MS 4500
#define STALLS 50
#define STALL_MS 2500
#define LATE_MS 400
/*! Frames and ticks that come so regularly that no silence has to take the place of any */
#define CALM_LATE_MS 20
#define CALM_FRAME_MS 30
/*! Samples of one direction, at the stream's rate */
#define SAMPLES_MAX (2 * LONG_MS * (RATE_WIDE / 1000))

/*! What comes next; everything in a case follows from its number */
static uint64_t dice;

static unsigned int any(unsigned int below)
{
	dice ^= dice << 13;
	dice ^= dice >> 7;
	dice ^= dice << 17;
	return (unsigned int) ((dice >> 11) % below);
}

static int one_in(unsigned int n)
{
	return !any(n);
}

/*! One direction: what went in, at the stream's rate and in its codec, and how much of that has come out */
struct side {
	enum packet_direction direction;
	uint16_t *in;
	unsigned int pushed;
	unsigned int matched;
	unsigned int silent;	/*!< that have come out since the last sample that was none */
	unsigned int filled;	/*!< that went in nowhere, before any that did */
	uint64_t dropped;	/*!< at the channel's rate */
	unsigned int dropped_last;	/*!< since a frame has had room: at the very end nothing stands in for them */
	int64_t due_us;	/*!< when the next frame would come if it were not late */
	int64_t comes_us;	/*!< when it comes */
	unsigned int spoken;	/*!< samples that are no silence, of all frames */
};

/*! One sequence of packets */
struct line {
	struct side *sides[2];
	unsigned int count;
	uint64_t time;
	uint32_t sequence;
	uint64_t samples;
	uint64_t skipped;
};

static struct world {
	struct sink sink;	/*!< the first member */
	unsigned int number;
	char text[64];
	struct options options;
	struct media *media;
	struct side sides[2];
	struct line lines[2];
	unsigned int line_count;
	int64_t now_us;
	unsigned int room;	/*!< packets that the network takes until the next tick */
	int is_calm;
	int stalls;
	unsigned int late_ms;
	unsigned int rate;	/*!< of the channel; 0: any, which changes */
	uint8_t packet[PACKET_BYTES_MAX];
} world;

static uint16_t went_in[2][SAMPLES_MAX];

#define HOLDS(condition) do { \
	if (!(condition)) { \
		FAIL("case %u (%s): %s is false", world.number, world.text, #condition); \
	} \
} while (0)

static uint16_t coded(int16_t sample)
{
	return world.options.codec == PACKET_ULAW ? AST_LIN2MU(sample)
		: world.options.codec == PACKET_ALAW ? AST_LIN2A(sample) : (uint16_t) sample;
}

static uint64_t number(const uint8_t *at, unsigned int bytes)
{
	uint64_t value = 0;

	while (bytes--) {
		value = value << 8 | *at++;
	}
	return value;
}

/* ---- What comes out ---- */

/*! \brief A sample has come: the next that went in, or silence, of which there is as much as went in and what fills */
static void take(struct side *side, uint16_t sample, uint64_t time)
{
	unsigned int silent = 0;

	if (sample == coded(0)) {
		side->silent++;
		return;
	}
	while (side->matched < side->pushed && side->in[side->matched] == coded(0)) {
		side->matched++;
		silent++;
	}
	HOLDS(side->matched < side->pushed);
	HOLDS(sample == side->in[side->matched]);
	HOLDS(side->silent >= silent);
	if (side->silent > silent) {
		side->filled += side->silent - silent;
		/* Where the directions are apart nothing is made up ahead of the clock. */
		HOLDS(world.options.interleaved
			|| time - silent <= (uint64_t) world.now_us * world.options.rate / 1000000);
	}
	side->silent = 0;
	side->matched++;
}

static void take_packet(struct line *line, const uint8_t *payload, unsigned int length)
{
	unsigned int bytes = world.options.codec == PACKET_SLIN ? 2 : 1;
	unsigned int i;
	unsigned int k;

	for (i = 0; i < length / bytes / line->count; i++) {
		for (k = 0; k < line->count; k++) {
			const uint8_t *at = payload + (i * line->count + k) * bytes;

			take(line->sides[k], bytes == 2 ? (uint16_t) (at[0] | at[1] << 8) : *at, line->time);
		}
		line->time++;
		line->samples++;
	}
}

static void put(struct sink *sink, size_t length)
{
	const uint8_t *packet = world.packet;
	struct line *line = &world.lines[!world.options.interleaved && packet[6] == PACKET_TX && world.line_count == 2];
	uint64_t gap = number(packet + 16, 8) - line->time;
	unsigned int samples = (unsigned int) (length - PACKET_HEADER) / (world.options.codec == PACKET_SLIN ? 2 : 1)
		/ line->count;
	unsigned int i;
	int is_silent = 1;

	HOLDS(number(packet + 30, 2) == length - PACKET_HEADER);
	HOLDS(number(packet + 24, 4) == line->sequence);
	HOLDS(samples && samples <= world.options.packet_ms * world.options.rate / 1000);
	/* Time goes forward; it leaves out silence, and only where that is asked for or behind a long stall. */
	HOLDS(gap < UINT32_MAX && (!gap || world.options.skips_silence || world.stalls));
	line->skipped += gap;
	line->time += gap;
	line->sequence++;
	for (i = 0; i < line->count; i++) {
		line->sides[i]->silent += (unsigned int) gap;
	}
	take_packet(line, packet + PACKET_HEADER, (unsigned int) (length - PACKET_HEADER));
	for (i = 0; i < line->count; i++) {
		is_silent = is_silent && line->sides[i]->silent >= samples;
	}
	HOLDS(is_silent == (packet[28] & PACKET_SILENCE));
	HOLDS(!is_silent || !world.options.skips_silence);
	world.room--;
}

static uint8_t *room(struct sink *sink)
{
	return world.room ? world.packet : NULL;
}

/* ---- What goes in ---- */

/*! \brief What is said next: no silence in any codec, and, where it is converted, what the host's converter keeps */
static int16_t speak(struct side *side)
{
	unsigned int n = side->spoken++;

	return (int16_t) (world.rate == world.options.rate ? 100 + n * 97 % 30000 : 32 + n % 95);
}

/*! \brief A frame has come: push it, and note what is to come out for it */
static void push(struct side *side, unsigned int rate, unsigned int samples)
{
	unsigned int out = samples * world.options.rate / rate;
	int16_t frame[RECORD_SAMPLES_MAX];
	struct media_count count = { 0 };
	/* Frames are of silence, or of speech, or of both. */
	unsigned int pause = one_in(3) ? any(samples + 1) : one_in(4) ? samples : 0;
	unsigned int i;

	for (i = 0; i < samples; i++) {
		frame[i] = i < pause ? 0 : speak(side);
	}
	media_push(world.media, side->direction, frame, samples, rate);
	if (media_muted(world.media) & side->direction) {
		return;
	}
	media_count(world.media, world.options.interleaved ? PACKET_BOTH : side->direction, &count);
	if (world.options.interleaved) {
		count.dropped -= world.sides[side->direction == PACKET_RX].dropped;
	}
	HOLDS(side->pushed + out <= SAMPLES_MAX);
	/* All of a frame, or nothing: what has no room is counted, and silence takes its place. */
	HOLDS(count.dropped == side->dropped || (count.dropped == side->dropped + samples && !world.is_calm));
	for (i = 0; i < out; i++) {
		side->in[side->pushed++] = coded(count.dropped == side->dropped ? frame[i * rate / world.options.rate] : 0);
	}
	side->dropped_last = count.dropped == side->dropped ? 0 : side->dropped_last + out;
	side->dropped = count.dropped;
}

/*! \brief The frames of one direction that come by now: each after the one before, late, and some all at once */
static void push_due(struct side *side)
{
	static const unsigned int rates[] = { 8000, 16000, 48000 };

	while (side->comes_us <= world.now_us) {
		unsigned int rate = world.rate ? world.rate : rates[any(ARRAY_LEN(rates))];
		unsigned int ms = 10 + 10 * any(world.is_calm ? CALM_FRAME_MS / 10 : 6);
		unsigned int samples = !world.is_calm && one_in(8) ? 1 + any(RECORD_SAMPLES_MAX) : ms * rate / 1000;

		/* The host's converter has no memory: what it gets is to become whole samples. */
		samples = MIN(samples, (unsigned int) RECORD_SAMPLES_MAX);
		samples = world.rate == world.options.rate ? samples : MAX(samples / 6, 1u) * 6;
		if (world.options.interleaved || world.options.directions & side->direction) {
			push(side, rate, samples);
		}
		side->due_us += (int64_t) samples * 1000000 / rate;
		/* A telephone that sends nothing in pauses */
		side->due_us += !world.is_calm && one_in(20) ? any(800) * MS : 0;
		side->comes_us = MAX(side->comes_us, side->due_us + any(world.late_ms + 1) * MS);
	}
}

/* ---- Cases ---- */

static void add_line(struct side *first, struct side *second)
{
	world.lines[world.line_count++] = (struct line) { .sides = { first, second }, .count = second ? 2 : 1 };
}

static void begin(unsigned int of)
{
	static const char * const directions[] = { "", "d(rx)", "d(tx)", "i" };
	static const char * const codecs[] = { "", "c(ulaw)", "c(alaw)" };
	char text[sizeof(world.text)];
	char error[ERROR_SIZE];

	memset(&world, 0, sizeof(world));
	world.sink = (struct sink) { room, put };
	world.number = of;
	dice = UINT64_C(0x9e3779b97f4a7c15) * (of + 1);
	snprintf(world.text, sizeof(world.text), "%s%s%s%sp(%u)", directions[any(4)], codecs[any(3)],
		one_in(2) ? "r(16000)" : "", one_in(2) ? "s" : "", PACKET_MS_LEAST + any(PACKET_MS_MOST - PACKET_MS_LEAST + 1));
	snprintf(text, sizeof(text), "%s", world.text);
	if (options_parse(&world.options, text, error)) {
		/* It does not fit a packet: less, then. */
		strcpy(strstr(world.text, "p("), "p(20)");
		snprintf(text, sizeof(text), "%s", world.text);
		HOLDS(!options_parse(&world.options, text, error));
	}
	world.stalls = one_in(STALLS);
	world.is_calm = !world.stalls && one_in(4);
	world.late_ms = world.is_calm ? CALM_LATE_MS : one_in(3) ? LATE_MS : any(LATE_MS);
	world.rate = one_in(2) ? world.options.rate : one_in(2) ? 48000 : 0;
	world.sides[0] = (struct side) { .direction = PACKET_RX, .in = went_in[0] };
	world.sides[1] = (struct side) { .direction = PACKET_TX, .in = went_in[1] };
	if (world.options.interleaved) {
		add_line(&world.sides[0], &world.sides[1]);
	} else {
		if (world.options.directions & PACKET_RX) {
			add_line(&world.sides[0], NULL);
		}
		if (world.options.directions & PACKET_TX) {
			add_line(&world.sides[1], NULL);
		}
	}
	world.media = media_create(&world.options, 1, 0);
	CHECK(world.media);
}

static void check_line(const struct line *line)
{
	struct media_count count;
	unsigned int i;

	HOLDS(media_count(world.media, world.options.interleaved ? PACKET_BOTH : line->sides[0]->direction, &count));
	HOLDS(count.packets == line->sequence);
	HOLDS(count.samples == line->samples);
	/* Silence at the very end may have been skipped: nothing comes that tells of it. */
	HOLDS(count.skipped >= line->skipped);
	HOLDS(count.dropped == line->sides[0]->dropped + (line->count == 2 ? line->sides[1]->dropped : 0));
	for (i = 0; i < line->count; i++) {
		struct side *side = line->sides[i];
		uint64_t silent = side->silent + count.skipped - line->skipped;

		HOLDS(!world.is_calm || !side->filled);
		HOLDS(side->pushed - side->matched <= silent + side->dropped_last);
		while (side->matched < side->pushed) {
			HOLDS(side->in[side->matched++] == coded(0));
		}
	}
}

static void run(unsigned int of)
{
	unsigned int tick_late_ms;
	int64_t end_us;
	unsigned int i;

	begin(of);
	end_us = (world.stalls ? LONG_MS : SHORT_MS) * INT64_C(1000);
	tick_late_ms = world.is_calm ? CALM_LATE_MS : one_in(4) ? LATE_MS : any(60);
	while (world.now_us < end_us) {
		for (i = 0; i < 2; i++) {
			push_due(&world.sides[i]);
		}
		if (!world.is_calm && one_in(30)) {
			media_mute(world.media, any(4));
		}
		world.room = world.stalls && world.now_us > 500 * MS && world.now_us < (500 + STALL_MS) * MS ? 0
			: !world.is_calm && one_in(4) ? any(4) : UINT_MAX;
		media_pump(world.media, world.now_us, &world.sink);
		world.now_us += TICK_MS * MS + (one_in(3) ? any(tick_late_ms + 1) * MS : 0);
	}
	do {
		world.room = any(8);
	} while (!media_flush(world.media, &world.sink));
	for (i = 0; i < world.line_count; i++) {
		check_line(&world.lines[i]);
	}
	media_free(world.media);
}

TEST(what_goes_in_comes_out_whatever_the_timing)
{
	/* Whoever watches each access of memory is slow. */
	const unsigned int cases = getenv("HOST_IS_WATCHED") ? CASES / 10 : CASES;
	unsigned int i;

	for (i = 0; i < cases; i++) {
		run(i);
	}
}
