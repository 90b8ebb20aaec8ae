/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief One session: what its two owners do with it
 */

#include "session.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "monotonic.h"

/*!
 * Caller audio that may wait for the loop thread, in ms: 2 s from before the conversation was up, and
 * as much again for a loop that is held up
 */
#define CONVAI_UPLINK_MS 4000

#define CONVAI_ULAW_SILENCE 0xff

/* PCM on the wire is little-endian; the channel gets it as it comes. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "PCM needs swapping on this machine");

/*! Sessions that have not been freed */
static atomic_int session_count;

static uint32_t state_of(const struct convai_session *session)
{
	return atomic_load_explicit(&session->state, memory_order_acquire);
}

static int silence_byte(const struct convai_format *format)
{
	return format->encoding == CONVAI_ENCODING_ULAW ? CONVAI_ULAW_SILENCE : 0;
}

/* ---- Event descriptors ---- */

void convai_signal(int fd)
{
	uint64_t one = 1;

	/* EAGAIN means that the counter is full: the other side will wake all the same. */
	if (write(fd, &one, sizeof(one)) < 0) {
		return;
	}
}

void convai_signal_clear(int fd)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0) {
		return;
	}
}

/* ---- Life ---- */

void convai_session_fill_tables(void)
{
	convai_resample_init();
}

int convai_session_count(void)
{
	return atomic_load(&session_count);
}

void convai_outbox_free(struct convai_message *message)
{
	while (message) {
		struct convai_message *next = message->next;

		free(message);
		message = next;
	}
}

void convai_pairs_free(struct convai_pair *pairs, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		/* One of them is the key. */
		if (pairs[i].value) {
			explicit_bzero((char *) pairs[i].value, strlen(pairs[i].value));
		}
		free((char *) pairs[i].value);
		free((char *) pairs[i].name);
	}
	free(pairs);
}

static void free_session(struct convai_session *session)
{
	atomic_fetch_sub(&session_count, 1);
	convai_pairs_free(session->pairs, session->pair_count);
	convai_outbox_free(atomic_load(&session->outbox));
	convai_step_free(&session->step);
	convai_news_free(&session->news);
	convai_said_free(&session->said);
	convai_levels_free(&session->levels);
	free(session->channel);
	free(session->agent);
	free(session->conversation_id);
	free(session->reason);
	free(session->detail);
	convai_ring_free(&session->uplink);
	convai_playout_free(&session->playout);
	if (session->event_fd >= 0) {
		close(session->event_fd);
	}
	free(session);
}

void convai_session_unref(struct convai_session *session)
{
	if (atomic_fetch_sub_explicit(&session->references, 1, memory_order_acq_rel) == 1) {
		free_session(session);
	}
}

int convai_pairs_copy(const struct convai_pair *pairs, uint32_t count, struct convai_pair **copy,
	uint32_t *copied)
{
	struct convai_pair *all = calloc(count ? count : 1, sizeof(*all));
	uint32_t i;

	*copy = all;
	if (!all) {
		return -1;
	}
	for (i = 0; i < count; i++) {
		all[i].kind = pairs[i].kind;
		all[i].name = strdup(pairs[i].name);
		all[i].value = strdup(pairs[i].value);
		*copied = i + 1;
		if (!all[i].name || !all[i].value) {
			return -1;
		}
	}
	return 0;
}

struct convai_session *convai_session_new(const struct convai_request *request)
{
	/* Not calloc: positions that two threads write are aligned to cache lines. */
	struct convai_session *session = aligned_alloc(CONVAI_CACHE_LINE, sizeof(*session));

	if (!session) {
		errno = ENOMEM;
		return NULL;
	}
	memset(session, 0, sizeof(*session));	/* every counter, position and pointer begins at zero */
	atomic_fetch_add(&session_count, 1);
	atomic_init(&session->references, 2);
	convai_converter_start(&session->converter);
	convai_said_init(&session->said);
	session->timed = convai_timed_agent(request->agent);
	session->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	session->channel = strdup(request->channel);
	session->agent = strdup(request->agent);
	if (session->event_fd < 0 || !session->channel || !session->agent
		|| convai_pairs_copy(request->pairs, request->pair_count, &session->pairs, &session->pair_count)
		|| convai_playout_init(&session->playout)) {
		int cause = session->event_fd < 0 ? errno : ENOMEM;

		free_session(session);
		errno = cause;
		return NULL;
	}
	return session;
}

/* ---- Loop thread ---- */

int convai_session_misaligned(const struct convai_session *session)
{
	return atomic_load_explicit(&session->playout.appended, memory_order_relaxed)
		% convai_sample_bytes(&session->agent_format) != 0;
}

/*! \brief Hand what was written before over to the channel thread. Nothing follows the end. */
static void publish(struct convai_session *session, uint32_t state)
{
	if (state_of(session) == CONVAI_STATE_ENDED) {
		return;
	}
	atomic_store_explicit(&session->state, state, memory_order_release);
	convai_signal(session->event_fd);
}

int convai_session_agree(struct convai_session *session, struct convai_format caller,
	struct convai_format agent, const char *conversation_id)
{
	session->caller_format = caller;
	session->agent_format = agent;
	session->conversation_id = strdup(conversation_id);
	if (!session->conversation_id || convai_levels_init(&session->levels)
		|| convai_ring_init(&session->uplink, convai_ms_to_bytes(&caller, CONVAI_UPLINK_MS))) {
		return -1;
	}
	return 0;
}

void convai_session_leave_queue(struct convai_session *session, uint32_t how)
{
	atomic_store_explicit(&session->queue, how, memory_order_relaxed);
}

void convai_session_queue(struct convai_session *session)
{
	convai_session_leave_queue(session, CONVAI_QUEUE_WAITING);
	publish(session, CONVAI_STATE_QUEUED);
}

void convai_session_talk(struct convai_session *session)
{
	if (state_of(session) == CONVAI_STATE_QUEUED) {
		convai_session_leave_queue(session, CONVAI_QUEUE_ADMITTED);
	}
	convai_levels_begin(&session->levels, monotonic_us());
	publish(session, CONVAI_STATE_TALKING);
}

void convai_session_work(struct convai_session *session, uint32_t working)
{
	if (atomic_exchange_explicit(&session->working, working, memory_order_relaxed) != working) {
		convai_signal(session->event_fd);
	}
}

void convai_session_end(struct convai_session *session, uint32_t status, const char *reason,
	const char *detail, uint32_t play_out)
{
	uint32_t queue = atomic_load_explicit(&session->queue, memory_order_relaxed);

	if (state_of(session) == CONVAI_STATE_ENDED) {
		return;
	}
	session->status = status;
	session->play_out = play_out;
	session->talked = state_of(session) == CONVAI_STATE_TALKING
		&& queue != CONVAI_QUEUE_TIMED_OUT && queue != CONVAI_QUEUE_REFUSED;
	session->reason = strdup(reason);	/* NULL reads as "" */
	session->detail = strdup(detail);
	publish(session, CONVAI_STATE_ENDED);
}

void convai_session_sent(struct convai_session *session, uint64_t chunk_bytes, uint32_t chunks)
{
	uint64_t end = atomic_load_explicit(&session->uplink.taken, memory_order_relaxed)
		- chunks * chunk_bytes;
	int64_t now_us = monotonic_us();

	while (chunks--) {
		end += chunk_bytes;
		convai_timed_record(session->timed, CONVAI_TIMING_UPLINK,
			convai_stamps_find(&session->stamps, end - 1), now_us);
	}
}

int64_t convai_tick_began(int64_t due_us)
{
	int64_t now_us = monotonic_us();

	convai_timed_record(NULL, CONVAI_TIMING_TICK, due_us, now_us);
	return now_us;
}

struct convai_message *convai_session_take_outbox(struct convai_session *session)
{
	struct convai_message *newest = atomic_exchange(&session->outbox, NULL);
	struct convai_message *oldest = NULL;

	while (newest) {
		struct convai_message *next = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = next;
		atomic_fetch_sub(&session->outbox_count, 1);
	}
	return oldest;
}

/* ---- Channel thread ---- */

int convai_op_event_fd(const struct convai_session *session)
{
	return session->event_fd;
}

void convai_op_poll(struct convai_session *session, struct convai_progress *progress)
{
	uint32_t state;

	convai_signal_clear(session->event_fd);
	state = state_of(session);
	memset(progress, 0, sizeof(*progress));
	progress->state = state;
	progress->conversation_id = progress->reason = progress->detail = "";
	if (state == CONVAI_STATE_CONNECTING) {
		return;
	}
	progress->caller = convai_channel_format(session->caller_format);
	progress->agent = convai_channel_format(session->agent_format);
	progress->queue = atomic_load_explicit(&session->queue, memory_order_relaxed);
	progress->working = atomic_load_explicit(&session->working, memory_order_relaxed);
	if (session->conversation_id) {
		progress->conversation_id = session->conversation_id;
	}
	if (state == CONVAI_STATE_ENDED) {
		progress->status = session->status;
		progress->play_out = session->play_out;
		progress->talked = session->talked;
		if (session->reason) {
			progress->reason = session->reason;
		}
		if (session->detail) {
			progress->detail = session->detail;
		}
	}
}

/*! \brief Put bytes of the channel's rate, NULL for silence, that were read at this time or (0) never */
static uint32_t put_bytes(struct convai_session *session, const uint8_t *audio, uint32_t bytes,
	int64_t now_us)
{
	struct convai_ring *uplink = &session->uplink;
	uint64_t from = atomic_load_explicit(&uplink->put, memory_order_relaxed);
	uint32_t taken;

	if (convai_needs_converter(&session->caller_format)) {
		taken = convai_converter_put(&session->converter, uplink, audio, bytes);
	} else {
		taken = convai_ring_put(uplink, audio, silence_byte(&session->caller_format), bytes);
	}
	/* A loop that is quicker than this finds no time for these bytes, and leaves them out. */
	if (taken && now_us) {
		convai_stamps_put(&session->stamps, from,
			atomic_load_explicit(&uplink->put, memory_order_relaxed), now_us);
	}
	return taken;
}

static uint32_t push_bytes(struct convai_session *session, const uint8_t *audio, uint32_t bytes,
	int64_t now_us)
{
	uint32_t taken = 0;

	if (state_of(session) == CONVAI_STATE_TALKING) {
		taken = put_bytes(session, audio, bytes, now_us);
	}
	convai_tally(taken ? &session->tally.pushed_bytes : &session->tally.push_dropped_bytes, bytes);
	return taken;
}

/*! \brief Whether the caller speaks in it. What was kept from before has no time, and is answered by a greeting. */
static void look_for_speech(struct convai_session *session, const uint8_t *audio, uint32_t bytes,
	int64_t now_us)
{
	struct convai_format format;
	uint32_t level;
	int speaks;

	if (now_us && state_of(session) == CONVAI_STATE_TALKING) {
		format = convai_channel_format(session->caller_format);
		level = convai_turns_loudest(audio, bytes, &format);
		speaks = convai_turns_hear(&session->turns, level, bytes, &format, now_us);
		convai_levels_add(&session->levels, CONVAI_SIDE_CALLER, level, speaks, now_us);
	}
}

/*! \brief Fetch all that a frame goes through here, on its way to the agent and then on its way back */
static void fetch_session(const struct convai_session *session)
{
	cache_fetch(&session->caller_format, offsetof(struct convai_session, uplink)
		- offsetof(struct convai_session, caller_format));
	cache_fetch(&session->uplink, offsetof(struct convai_session, converter)
		- offsetof(struct convai_session, uplink));
	cache_fetch(&session->spoken_us, offsetof(struct convai_session, turns.count)
		- offsetof(struct convai_session, spoken_us));
	cache_fetch(&session->levels, sizeof(session->levels));
	cache_fetch(&session->timed, 1);
	cache_fetch(&session->tally.pushed_bytes, 1);
}

uint32_t convai_op_push(struct convai_session *session, const uint8_t *audio, uint32_t bytes,
	int64_t now_us)
{
	fetch_session(session);
	look_for_speech(session, audio, bytes, now_us);
	return push_bytes(session, audio, bytes, now_us);
}

uint32_t convai_op_push_silence(struct convai_session *session, uint32_t ms)
{
	struct convai_format format;
	uint32_t state = state_of(session);
	uint32_t taken;

	if (state != CONVAI_STATE_TALKING && state != CONVAI_STATE_QUEUED) {
		return 0;
	}
	format = convai_channel_format(session->caller_format);
	if (state == CONVAI_STATE_QUEUED) {
		/* It only keeps the service from giving the caller up: nobody hears it, nobody counts it. */
		return put_bytes(session, NULL, convai_ms_to_bytes(&format, ms), 0);
	}
	taken = push_bytes(session, NULL, convai_ms_to_bytes(&format, ms), 0);
	if (taken) {
		convai_tally(&session->tally.silence_ms, ms);
	}
	return taken;
}

/*! \brief Count what was taken from the queue, unless it was the service's hold audio */
static void count_played(struct convai_session *session, uint32_t state, uint64_t bytes)
{
	if (state != CONVAI_STATE_QUEUED) {
		convai_tally(&session->tally.played_bytes, bytes);
	}
}

/*! \brief Take what is due, in the channel's rate. \return bytes up to the last that is the agent's */
static uint32_t pop_bytes(struct convai_session *session, uint8_t *audio, uint32_t bytes)
{
	uint32_t state = state_of(session);
	uint32_t taken;

	if (state == CONVAI_STATE_CONNECTING) {
		/* The format is not known, and may be written just now. */
		memset(audio, 0, bytes);
		return 0;
	}
	if (convai_needs_converter(&session->agent_format)) {
		uint64_t played;

		taken = convai_converter_take(&session->converter, &session->playout, audio, bytes, &played);
		count_played(session, state, played);
		return taken;
	}
	taken = convai_playout_take(&session->playout, audio, bytes,
			convai_sample_bytes(&session->agent_format));
	count_played(session, state, taken);
	memset(audio + taken, silence_byte(&session->agent_format), bytes - taken);
	return taken;
}

/*! \brief This goes to the caller: time the turn that is answered with it, if it is an agent's first word */
static void look_for_answer(struct convai_session *session, uint32_t taken, uint32_t level, int64_t now_us)
{
	int64_t spoke_us = convai_turns_speak(&session->turns, taken, level, now_us);
	int64_t zero_us = atomic_load_explicit(&session->levels.zero_us, memory_order_relaxed);
	uint64_t second;

	if (!spoke_us) {
		return;
	}
	second = convai_ms_to_bytes(&session->agent_format, 1000);
	/* Of the last byte of it that was taken: behind it another response may begin. */
	convai_turns_count(&session->turns, now_us - spoke_us, now_us > zero_us ? (now_us - zero_us) / 1000 : 0,
		(convai_playout_position(&session->playout) - 1) * 1000 / second);
	convai_timed_record(session->timed, CONVAI_TIMING_TURN, spoke_us, now_us);
}

/*! \brief So much of it is the agent's: how loud it is, and whether the caller has waited for it */
static void look_at_played(struct convai_session *session, const uint8_t *audio, uint32_t taken,
	int64_t now_us)
{
	uint32_t level = convai_turns_level(audio, taken, convai_channel_format(session->agent_format).encoding);

	convai_levels_add(&session->levels, CONVAI_SIDE_AGENT, level, taken != 0, now_us);
	look_for_answer(session, taken, level, now_us);
}

uint32_t convai_op_pop(struct convai_session *session, uint8_t *audio, uint32_t bytes, int64_t now_us)
{
	struct convai_playout *playout = &session->playout;
	uint32_t taken = pop_bytes(session, audio, bytes);
	uint32_t state = state_of(session);

	convai_timed_record(session->timed, CONVAI_TIMING_DOWNLINK, playout->met_idle_us, now_us);
	convai_timed_record(session->timed, CONVAI_TIMING_INTERRUPTION, playout->met_flush_us, now_us);
	playout->met_idle_us = playout->met_flush_us = 0;
	if (taken) {
		convai_timed_record(session->timed, CONVAI_TIMING_GAP, session->spoken_us, now_us);
	}
	if (now_us && (state == CONVAI_STATE_TALKING || state == CONVAI_STATE_ENDED)) {
		look_at_played(session, audio, taken, now_us);
	}
	session->spoken_us = taken ? now_us : 0;
	return taken;
}

uint64_t convai_op_queued(const struct convai_session *session)
{
	uint64_t queued = convai_playout_queued(&session->playout);

	if (state_of(session) == CONVAI_STATE_CONNECTING) {
		return 0;
	}
	/* Half a sample is never played: nobody is to wait for it. */
	queued -= queued % convai_sample_bytes(&session->agent_format);
	if (convai_needs_converter(&session->agent_format)) {
		queued += convai_converter_held(&session->converter) * sizeof(int16_t);
	}
	return convai_channel_bytes(&session->agent_format, queued);
}

/* ---- Any thread that holds the session ---- */

/*! \brief Whether a kind may have this text */
static int message_fits(uint32_t kind, const char *text)
{
	switch (kind) {
	case CONVAI_SAY_MESSAGE:
	case CONVAI_SAY_CONTEXT:
		return *text != '\0';
	case CONVAI_SAY_ACTIVITY:
		return *text == '\0';
	case CONVAI_SAY_FEEDBACK:
		return !strcmp(text, "like") || !strcmp(text, "dislike") || !strcmp(text, "none");
	default:
		return 0;
	}
}

int convai_session_say(struct convai_session *session, uint32_t kind, const char *text)
{
	size_t bytes = strnlen(text, CONVAI_SAY_BYTES) + 1;
	struct convai_message *message;

	if (bytes > CONVAI_SAY_BYTES || !message_fits(kind, text)) {
		return EINVAL;
	}
	if (state_of(session) != CONVAI_STATE_TALKING && state_of(session) != CONVAI_STATE_QUEUED) {
		return ENOTCONN;
	}
	message = malloc(sizeof(*message) + bytes);
	if (!message || atomic_fetch_add(&session->outbox_count, 1) >= CONVAI_SAY_WAITING) {
		if (message) {
			atomic_fetch_sub(&session->outbox_count, 1);
		}
		free(message);
		return ENOBUFS;
	}
	message->kind = kind;
	memcpy(message->text, text, bytes);
	message->next = atomic_load(&session->outbox);
	while (!atomic_compare_exchange_weak(&session->outbox, &message->next, message)) {
		continue;
	}
	return 0;
}

void convai_op_set_session_debug(struct convai_session *session, uint32_t debug)
{
	atomic_store_explicit(&session->debug, debug, memory_order_relaxed);
}

/*! \brief Convert what is counted in the agent's formats: counters are told in the channel's */
static void convert_to_channel(const struct convai_session *session, struct convai_counters *counters)
{
	const struct convai_format *caller = &session->caller_format, *agent = &session->agent_format;

	if (state_of(session) == CONVAI_STATE_CONNECTING) {
		return;
	}
	counters->send_dropped_bytes = convai_channel_bytes(caller, counters->send_dropped_bytes);
	counters->received_bytes = convai_channel_bytes(agent, counters->received_bytes);
	counters->stale_dropped_bytes = convai_channel_bytes(agent, counters->stale_dropped_bytes);
	counters->overflow_dropped_bytes = convai_channel_bytes(agent, counters->overflow_dropped_bytes);
	counters->flushed_bytes = convai_channel_bytes(agent, counters->flushed_bytes);
	counters->played_bytes = convai_channel_bytes(agent, counters->played_bytes);
}

void convai_op_counters(const struct convai_session *session, struct convai_counters *counters)
{
	const struct convai_tallies *tally = &session->tally;

#define COPY(field) \
	counters->field = atomic_load_explicit(&tally->field, memory_order_relaxed)
	COPY(pushed_bytes);
	COPY(push_dropped_bytes);
	COPY(silence_ms);
	COPY(chunks_sent);
	COPY(send_dropped_bytes);
	COPY(messages_received);
	COPY(unknown_messages);
	COPY(pings_answered);
	COPY(received_bytes);
	COPY(stale_dropped_bytes);
	COPY(overflow_dropped_bytes);
	COPY(flushed_bytes);
	COPY(played_bytes);
	COPY(interruptions);
	COPY(tools_done);
	COPY(tools_failed);
	COPY(turns);
	COPY(events_dropped);
#undef COPY
	convert_to_channel(session, counters);
}

void convai_op_turns(const struct convai_session *session, struct convai_turn_times *times)
{
	convai_turns_read(&session->turns, times);
}

uint32_t convai_op_levels(const struct convai_session *session, struct convai_level *levels, uint32_t most)
{
	return convai_levels_read(&session->levels, levels, most);
}

uint32_t convai_op_turn_list(const struct convai_session *session, struct convai_turn *turns, uint32_t most)
{
	return convai_turns_list(&session->turns, turns, most);
}

void convai_op_words(struct convai_session *session, uint32_t which, char *text, uint32_t size)
{
	/* The reader's place first: what has come, read later, can only be further on. */
	uint64_t played = convai_playout_position(&session->playout);
	uint64_t appended = atomic_load_explicit(&session->playout.appended, memory_order_acquire);

	convai_said_read(&session->said, which, played, appended, text, size);
}
