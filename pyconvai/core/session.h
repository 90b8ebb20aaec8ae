/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief One session: what its two owners share, and what each may do with it
 *
 * The channel thread calls the functions convai_op_...: they are the entries of struct convai_ops, and
 * convai_ops.h describes them. The loop thread calls the others, through _core.pyx. What one side
 * writes and the other reads is atomic; or it is written before the state is published (release) and
 * read after the state was seen (acquire).
 */

#ifndef CONVAI_SESSION_H
#define CONVAI_SESSION_H

#include <stdatomic.h>
#include <stdint.h>

#include "cache.h"
#include "converter.h"
#include "convai_ops.h"
#include "levels.h"
#include "news.h"
#include "playout.h"
#include "ring.h"
#include "said.h"
#include "stamps.h"
#include "step.h"
#include "timed.h"
#include "turns.h"

/*!
 * Agent audio that may wait to be played, in ms. Agents send whole answers at once, so this is long: it
 * bounds a service that floods.
 */
#define CONVAI_PLAYOUT_MS 600000

/*!
 * Pieces in which it may wait: that time in 10 ms each, which no agent falls short of. Each takes some 60
 * bytes beside its audio, so a service that sends single bytes is bounded as well.
 */
#define CONVAI_PLAYOUT_SEGMENTS 60000

/*! Counters, each with one writer; relaxed, for they are only shown */
struct convai_tallies {
	/* Loop thread */
	atomic_uint_fast64_t chunks_sent, send_dropped_bytes, messages_received, unknown_messages,
						 pings_answered, received_bytes, stale_dropped_bytes, overflow_dropped_bytes,
						 flushed_bytes, interruptions, turns, events_dropped, tools_done, tools_failed;
	/* Channel thread */
	_Alignas(CONVAI_CACHE_LINE) atomic_uint_fast64_t pushed_bytes, push_dropped_bytes, silence_ms,
			 played_bytes;
};

/*! One text that waits to be said to the agent */
struct convai_message {
	struct convai_message *next;
	uint32_t kind;		/*!< enum convai_say */
	char text[];
};

struct convai_session {
	atomic_uint references;		/*!< channel thread and loop thread */
	int event_fd;			/*!< wakes the channel thread */
	struct convai_session *next;	/*!< in the engine's inbox */
	char *channel, *agent;
	struct convai_pair *pairs;
	uint32_t pair_count;

	/* The loop thread writes these before it publishes the state. Audio waits in the agent's own
	 * formats; the channel may have others, see converter.h. */
	struct convai_format caller_format, agent_format;
	char *conversation_id, *reason, *detail;
	uint32_t status, play_out, talked;
	atomic_uint state;		/*!< enum convai_state */
	atomic_uint queue;		/*!< enum convai_queue; loop thread */
	atomic_uint working;		/*!< enum convai_working; loop thread */

	atomic_uint hung_up;		/*!< channel thread: the call is over */
	atomic_int held;		/*!< channel thread: the caller has put us on hold */
	atomic_uint debug;		/*!< enum convai_debug; any thread */
	/*! What waits to be said to the agent, newest first: any thread puts, the loop thread takes */
	_Atomic(struct convai_message *) outbox;
	atomic_uint outbox_count;
	struct convai_ring uplink;		/*!< caller audio for the loop thread */
	struct convai_stamps stamps;		/*!< when it was read from the channel */
	struct convai_playout playout;		/*!< agent audio for the channel thread */
	struct convai_converter converter;	/*!< channel thread */
	struct convai_step_slot step;		/*!< what the agent wants done in the dialplan */
	struct convai_news_list news;		/*!< what programs are to be told */
	int64_t spoken_us;			/*!< channel thread: of the last pop, if it gave agent audio; else 0 */
	struct convai_turns turns;		/*!< how soon the agent answers */
	struct convai_levels levels;		/*!< how loud both sides are */
	struct convai_said said;		/*!< words for others to read */
	struct convai_timed *timed;		/*!< the agent's histograms; may be NULL */
	struct convai_tallies tally;
};

/* ---- Formats and counters ---- */

static inline uint32_t convai_sample_bytes(const struct convai_format *format)
{
	return format->encoding == CONVAI_ENCODING_SLIN ? 2 : 1;
}

static inline uint64_t convai_ms_to_bytes(const struct convai_format *format, uint64_t ms)
{
	return ms * format->rate / 1000 * convai_sample_bytes(format);
}

/*! \brief Add to a counter. Only its writer. */
static inline void convai_tally(atomic_uint_fast64_t *counter, uint64_t n)
{
	convai_advance(counter, n, memory_order_relaxed);
}

/* ---- Event descriptors (eventfd) ---- */

/*! \brief Make a descriptor readable. Any thread; never waits. */
void convai_signal(int fd);

/*! \brief Make it unreadable again. The thread that waits for it. */
void convai_signal_clear(int fd);

/* ---- Life ---- */

/*!
 * \brief Fill the tables of the rates' filter
 *
 * Once, when the core is imported; takes some 2 ms. resample.h keeps them in each C file that includes
 * it, and only session.c converts.
 */
void convai_session_fill_tables(void);

/*!
 * \brief Copy pairs. Any thread.
 * \param[out] copy, copied for convai_pairs_free, also after a failure; zero before
 * \return 0, or -1 when memory is short
 */
int convai_pairs_copy(const struct convai_pair *pairs, uint32_t count, struct convai_pair **copy,
	uint32_t *copied);

/*! \brief Free such a copy; its values are overwritten. Any thread. */
void convai_pairs_free(struct convai_pair *pairs, uint32_t count);

/*!
 * \brief Make a session for a request, all of which is copied. Channel thread.
 * \return a session with two references, or NULL with errno set: ENOMEM, EMFILE
 */
struct convai_session *convai_session_new(const struct convai_request *request);

/*! \brief Let go of a reference; the last one frees the session. Either owner. */
void convai_session_unref(struct convai_session *session);

/*! \brief Sessions that have not been freed: while there is one, a channel may wake the loop. Any thread. */
int convai_session_count(void);

/* ---- Loop thread ---- */

/*! \brief Whether the channel is through with it */
static inline int convai_session_hung_up(struct convai_session *session)
{
	return atomic_load_explicit(&session->hung_up, memory_order_acquire);
}

/*! \brief Fetch all that is touched when caller audio is taken and sent */
static inline void convai_session_fetch_uplink(const struct convai_session *session)
{
	cache_fetch(&session->caller_format, CACHE_LINE);
	cache_fetch(&session->uplink, sizeof(session->uplink));
	cache_fetch(&session->stamps, sizeof(session->stamps));
	cache_fetch(&session->step, CACHE_LINE);
	cache_fetch(&session->timed, 1);
	cache_fetch(&session->tally, CACHE_LINE);
}

/*! \brief Whether the caller has put us on hold */
static inline int convai_session_held(struct convai_session *session)
{
	return atomic_load_explicit(&session->held, memory_order_acquire);
}

/*!
 * \brief Take on what the metadata says, once; nothing is published yet
 * \param caller, agent what the agent hears and speaks
 * \param conversation_id copied
 * \return 0, or -1 when memory is short
 */
int convai_session_agree(struct convai_session *session, struct convai_format caller,
	struct convai_format agent, const char *conversation_id);

/*! \brief Publish that an agent is there, and wake the channel thread. After convai_session_agree. */
void convai_session_talk(struct convai_session *session);

/*! \brief Publish that the service lets the caller wait, and wake the channel thread. As above. */
void convai_session_queue(struct convai_session *session);

/*!
 * \brief Say, before the end, why the service's queue is over for the caller
 * \param how enum convai_queue
 */
void convai_session_leave_queue(struct convai_session *session, uint32_t how);

/*!
 * \brief Say whether tools are under way beside the call, and wake the channel thread if that is new
 * \param working enum convai_working
 */
void convai_session_work(struct convai_session *session, uint32_t working);

/*!
 * \brief Publish the end, and wake the channel thread. Only the first call has an effect.
 * \param status enum convai_status
 * \param reason, detail copied
 * \param play_out enum convai_play_out
 */
void convai_session_end(struct convai_session *session, uint32_t status, const char *reason,
	const char *detail, uint32_t play_out);

/*! \brief Whether the agent audio that was queued ends in half a sample */
int convai_session_misaligned(const struct convai_session *session);

/*!
 * \brief The last chunks taken from the uplink have been given to the socket: record how long that took
 * \param chunk_bytes of each
 */
void convai_session_sent(struct convai_session *session, uint64_t chunk_bytes, uint32_t chunks);

/*! \brief The loop's tick begins, and was to begin at this time in microseconds of CLOCK_MONOTONIC. \return the time */
int64_t convai_tick_began(int64_t due_us);

/*! \brief Take all that waits to be said to the agent, oldest first. convai_outbox_free frees it. */
struct convai_message *convai_session_take_outbox(struct convai_session *session);

/*! \brief Free a list of texts; NULL is an empty one */
void convai_outbox_free(struct convai_message *message);

/* ---- Channel thread: entries of struct convai_ops ---- */

int convai_op_event_fd(const struct convai_session *session);
void convai_op_poll(struct convai_session *session, struct convai_progress *progress);
uint32_t convai_op_push(struct convai_session *session, const uint8_t *audio, uint32_t bytes,
	int64_t now_us);
uint32_t convai_op_push_silence(struct convai_session *session, uint32_t ms);
uint32_t convai_op_pop(struct convai_session *session, uint8_t *audio, uint32_t bytes, int64_t now_us);
uint64_t convai_op_queued(const struct convai_session *session);

/* ---- Any thread that holds the session ---- */

/*!
 * \brief Put a text, copied, into the outbox; the caller wakes the loop
 * \param kind enum convai_say
 * \return 0, or the errno: ENOTCONN, ENOBUFS, EINVAL as convai_ops.h says of send
 */
int convai_session_say(struct convai_session *session, uint32_t kind, const char *text);

/* Entries of struct convai_ops */
void convai_op_set_session_debug(struct convai_session *session, uint32_t debug);
void convai_op_counters(const struct convai_session *session, struct convai_counters *counters);
void convai_op_turns(const struct convai_session *session, struct convai_turn_times *times);
uint32_t convai_op_levels(const struct convai_session *session, struct convai_level *levels, uint32_t most);
uint32_t convai_op_turn_list(const struct convai_session *session, struct convai_turn *turns, uint32_t most);
void convai_op_words(struct convai_session *session, uint32_t which, char *text, uint32_t size);

#endif /* CONVAI_SESSION_H */
