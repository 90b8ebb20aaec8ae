/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The contract between the C module and the engine (Cython and Python)
 *
 * The engine hands the module a table of functions, struct convai_ops; the module hands the engine
 * a smaller one, struct convai_host. Neither side knows anything else of the other. Both tables
 * begin with the ABI version and their own size, and each side refuses a table it was not built for.
 * Every engine that is alive, that is, every generation, has a table of its own.
 *
 * Who may call what:
 *
 *   channel thread   open .. release, hold, take_step .. end_step, take_event. None of them blocks, takes the GIL or does network I/O. push,
 *                    push_silence, pop, poll and hold do not allocate or take a lock either.
 *   any thread       hangup (of a session that it holds), counters, timings, agent_timings, turns, turn_list, levels, words, send, set_session_debug, attach, set_debug, end_all, finish,
 *                    running, stop, end_job, inform, webhooks_waiting; inquire .. inquiry_release, of one inquiry one thread.
 *                    Only stop waits, for as long as it is told to.
 *
 * A session has two owners, the channel thread and the engine's loop thread; each lets go once and
 * the last one frees it. The channel thread's pointer is valid from open until its own release.
 *
 * Changing anything here means raising CONVAI_ABI_VERSION.
 */

#ifndef CONVAI_OPS_H
#define CONVAI_OPS_H

#include <stdint.h>

#define CONVAI_ABI_VERSION 8

/*! Is in the files of both sides, where scripts/engine_store.py looks for it */
#define CONVAI_CONTRACT_MARK CONVAI_CONTRACT_TEXT(CONVAI_ABI_VERSION)
#define CONVAI_CONTRACT_TEXT(version) CONVAI_CONTRACT_WORDS(version)
#define CONVAI_CONTRACT_WORDS(version) "convai contract " #version

struct convai_host;

/*! One engine-side call; what is in it is the engine's own business */
struct convai_session;

/*! How the bytes of one direction are to be read. Always mono. */
enum convai_encoding {
	CONVAI_ENCODING_NONE = 0,	/*!< not known yet */
	CONVAI_ENCODING_ULAW = 1,	/*!< G.711 mu-law, one byte a sample */
	CONVAI_ENCODING_SLIN = 2,	/*!< signed 16-bit PCM in the machine's byte order, two bytes a sample */
};

struct convai_format {
	uint32_t encoding;	/*!< enum convai_encoding */
	uint32_t rate;		/*!< samples per second */
};

enum convai_state {
	CONVAI_STATE_CONNECTING = 0,	/*!< signed URL, socket or metadata outstanding; pushes are refused */
	CONVAI_STATE_TALKING = 1,	/*!< formats and conversation id are set */
	CONVAI_STATE_ENDED = 2,		/*!< status, reason, detail and play_out are set; nothing changes any more */
	/*!
	 * Between connecting and talking: the service has no agent free and lets the caller wait. Formats
	 * and conversation id are set; pop gives the service's hold audio, and it wants silence meanwhile.
	 */
	CONVAI_STATE_QUEUED = 3,
};

/*! What has become of a call in the service's queue */
enum convai_queue {
	CONVAI_QUEUE_NONE = 0,		/*!< it has not been there */
	CONVAI_QUEUE_WAITING = 1,	/*!< it is there, or has ended there otherwise */
	CONVAI_QUEUE_ADMITTED = 2,	/*!< an agent was free */
	CONVAI_QUEUE_TIMED_OUT = 3,	/*!< none was in time: ended with CONVAI_STATUS_LIMIT */
	CONVAI_QUEUE_REFUSED = 4,	/*!< it was not to wait: ended with CONVAI_STATUS_LIMIT */
};

/*! How a call ended. status_name in call/variables.c has the names that an operator sees. */
enum convai_status {
	CONVAI_STATUS_NONE = 0,
	CONVAI_STATUS_AGENT_ENDED = 1,
	CONVAI_STATUS_HANGUP = 2,
	CONVAI_STATUS_TRANSFER = 3,
	CONVAI_STATUS_TIMEOUT = 4,
	CONVAI_STATUS_LIMIT = 5,
	CONVAI_STATUS_NOAGENT = 6,
	CONVAI_STATUS_AUTH = 7,
	CONVAI_STATUS_REJECTED = 8,
	CONVAI_STATUS_UNREACHABLE = 9,
	CONVAI_STATUS_ERROR = 10,
	CONVAI_STATUS_UNLOADED = 11,
};

/*! How much of the agent audio that is queued is heard once the session has ended */
enum convai_play_out {
	CONVAI_PLAY_OUT_NONE = 0,
	CONVAI_PLAY_OUT_ALL = 1,	/*!< the agent's last words */
	CONVAI_PLAY_OUT_BRIEFLY = 2,	/*!< what came before the connection broke, within a limit */
};

enum convai_pair_kind {
	CONVAI_PAIR_SETTING = 0,	/*!< a key of elevenlabs.conf, already checked (config/keys.c) */
	CONVAI_PAIR_VARIABLE = 1,	/*!< a dynamic variable, sent as a string */
	CONVAI_PAIR_JSON = 2,		/*!< a dynamic variable whose value is JSON text */
	CONVAI_PAIR_OVERRIDE = 3,	/*!< a conversation override */
	CONVAI_PAIR_ARGUMENT = 4,	/*!< of an inquiry: what its kind wants to know; names may repeat */
	CONVAI_PAIR_FACT = 5,		/*!< what its record says of a call, when it is to be recorded */
};

struct convai_pair {
	uint32_t kind;		/*!< enum convai_pair_kind */
	const char *name;	/*!< UTF-8 */
	const char *value;	/*!< UTF-8 */
};

/*! Whether tools of the agent's that take time are under way beside the call: it has nothing to say until then */
enum convai_working {
	CONVAI_WORKING_NOT = 0,
	CONVAI_WORKING_YET = 1,		/*!< for less than the key filler_after_ms says */
	CONVAI_WORKING_LONG = 2,	/*!< for so long that the caller is to hear the filler */
};

/*! What a call starts with. The engine copies all of it before open returns. */
struct convai_request {
	const char *channel;	/*!< channel name, for the log */
	const char *agent;	/*!< section of elevenlabs.conf */
	const struct convai_pair *pairs;
	uint32_t pair_count;
};

/*! Where a call stands. Strings are never NULL and stay valid until release. */
struct convai_progress {
	uint32_t state;		/*!< enum convai_state */
	uint32_t status;	/*!< enum convai_status, once ended */
	uint32_t play_out;	/*!< once ended: enum convai_play_out */
	struct convai_format caller;	/*!< what the agent wants to hear: push this */
	struct convai_format agent;	/*!< what the agent speaks: pop gives this */
	const char *conversation_id;	/*!< "" before the metadata */
	const char *reason;		/*!< a sentence of the engine's; "" before the end */
	const char *detail;		/*!< words from outside that go with it, one line, or "" */
	uint32_t queue;		/*!< enum convai_queue */
	uint32_t talked;	/*!< once ended: 1 if it was talking, so that an agent was there */
	uint32_t working;	/*!< enum convai_working */
};

/*!
 * Counters of one session since its start; every one only grows
 *
 * Not counted: caller audio that still waits to be sent when the conversation ends, silence that is
 * refused because it is not up, and the audio of both directions while the call is queued.
 */
struct convai_counters {
	uint64_t pushed_bytes;		/*!< taken from the channel, silence included */
	uint64_t push_dropped_bytes;	/*!< refused: ring full or not talking */
	uint64_t silence_ms;		/*!< of pushed_bytes, how much was silence in place of missing audio */
	uint64_t chunks_sent;		/*!< user_audio_chunk messages handed to the transport */
	uint64_t send_dropped_bytes;	/*!< caller audio dropped because the socket did not take it */
	uint64_t messages_received;
	uint64_t unknown_messages;	/*!< of these, with a type the engine does not know or without one */
	uint64_t pings_answered;
	uint64_t received_bytes;	/*!< agent audio queued, decoded */
	uint64_t stale_dropped_bytes;	/*!< agent audio dropped on arrival: older than the interruption, or held */
	uint64_t overflow_dropped_bytes; /*!< agent audio dropped on arrival: the playout queue was full */
	uint64_t flushed_bytes;		/*!< queued agent audio skipped at an interruption or a hold */
	uint64_t played_bytes;		/*!< handed to the channel by pop, padding not counted */
	uint64_t interruptions;
	uint64_t tools_done;		/*!< calls of tools that the agent was answered */
	uint64_t tools_failed;		/*!< ... with an error, or a refusal */

	uint64_t turns;			/*!< responses of the agent's of which audio was queued */
	uint64_t events_dropped;	/*!< that programs were not told of: too many at once */
};

/*! Buckets of a histogram of times. An enum, for tests read it without a preprocessor. */
enum {
	CONVAI_TIMING_BUCKETS = 336,
};

/*! What an engine measures the times of, over all its sessions */
enum convai_timing_kind {
	CONVAI_TIMING_TICK = 0,		/*!< the loop's tick ran so long after its time */
	CONVAI_TIMING_UPLINK = 1,	/*!< push of the last byte of a chunk -> the chunk given to the socket */
	CONVAI_TIMING_DOWNLINK = 2,	/*!< agent audio read while none was queued -> pop of its first byte */
	CONVAI_TIMING_INTERRUPTION = 3,	/*!< queued audio made stale -> the first pop that skipped it */
	CONVAI_TIMING_GAP = 4,		/*!< from one pop that gave agent audio to the next, if that did too */
	CONVAI_TIMING_TURN = 5,		/*!< read of the caller's last frame of speech -> pop of the agent's first word */
	CONVAI_TIMING_COUNT = 6,
};

/*! A histogram of times. All only grows, from when the engine's files were first imported. */
struct convai_timing {
	uint64_t max_us;	/*!< the longest, in microseconds */
	uint64_t counts[CONVAI_TIMING_BUCKETS];
};

/*! All histograms of an engine */
struct convai_timings {
	/*! The longest time that a bucket counts, in microseconds, rising; the last one counts all beyond */
	uint64_t upper_us[CONVAI_TIMING_BUCKETS];
	struct convai_timing timings[CONVAI_TIMING_COUNT];	/*!< by enum convai_timing_kind */
};

/*! How soon the agent has answered in one call, in microseconds */
struct convai_turn_times {
	uint64_t count;		/*!< turns that were timed */
	uint64_t median_us;	/*!< of the last CONVAI_TURNS_KEPT; 0 while there is none */
	uint64_t worst_us;	/*!< of all */
};

/*! Turns whose times are kept for the median: some three hours of a lively conversation */
enum {
	CONVAI_TURNS_KEPT = 512,
};

/*! How long one level is, in microseconds: ten a second */
#define CONVAI_LEVEL_US 100000

/*! Levels of a call that are kept: of its first hour, 72 kB */
#define CONVAI_LEVELS_KEPT 36000

/*! This bit of a level: it is taken for speech. The agent's is, where audio of its was played. */
#define CONVAI_LEVEL_SPEAKS 0x80

/*!
 * How loud both sides were in a tenth of a second: the loudest frame's mean amplitude in half decibels, 127
 * is full scale, 0 is silence (-63.5 dB) or that nothing came; and CONVAI_LEVEL_SPEAKS
 */
struct convai_level {
	uint8_t caller;		/*!< as heard, on the channel */
	uint8_t agent;		/*!< as played to the channel */
};

/*! One turn of the agent's that was timed */
struct convai_turn {
	uint32_t at_ms;		/*!< when its first word was played, since the conversation began */
	uint32_t us;		/*!< how long after the caller's last */
};

/*! What may be read of a conversation's words. All are one line of data (WORDS_DATA in words.h). */
enum convai_words {
	CONVAI_WORDS_TRANSCRIPT = 0,	/*!< turns from old to new, `agent: ... / caller: ...`; if `transcripts` allows it */
	CONVAI_WORDS_SUMMARY = 1,	/*!< the parameter `summary` of the last tool that was called; as above */
	CONVAI_WORDS_HEARD = 2,		/*!< what has been played of the agent's last turn that the caller has heard any of */
};

/*! Longest of these, with its terminator */
#define CONVAI_WORDS_BYTES 16384

/*! What may be said to the agent during a call, beside audio */
enum convai_say {
	CONVAI_SAY_MESSAGE = 0,		/*!< a turn of the caller's in text; the agent answers */
	CONVAI_SAY_CONTEXT = 1,		/*!< something the agent is to know; it does not answer */
	CONVAI_SAY_ACTIVITY = 2,	/*!< somebody is there: the agent waits a little; without text */
	CONVAI_SAY_FEEDBACK = 3,	/*!< on the agent's last response: like, dislike or none */
};

/*! Longest text of these, with its terminator */
#define CONVAI_SAY_BYTES 8192

/*! So many of these may wait for the loop */
#define CONVAI_SAY_WAITING 16

/*! Whether one session's messages are logged */
enum convai_debug {
	CONVAI_DEBUG_AS_ALL = 0,	/*!< as set_debug and the agent's own key say; so every session begins */
	CONVAI_DEBUG_ON = 1,
	CONVAI_DEBUG_OFF = 2,
};

/*! What is given to a tool that the channel carries out */
struct convai_argument {
	const char *name;	/*!< letters of ASCII, digits and _ */
	/*!
	 * UTF-8, one line, without what a dialplan or a shell acts upon. A destination, digits and the name of a
	 * variable are as the agent has given them: printable ASCII, to be checked.
	 */
	const char *value;
};

/*! Who carries a step out, and with which arguments */
enum convai_step_kind {
	CONVAI_STEP_DIALPLAN = 0,	/*!< an extension, with the agent's own arguments */
	CONVAI_STEP_TRANSFER = 1,	/*!< destination, and perhaps reason and summary */
	CONVAI_STEP_DIGITS = 2,		/*!< digits: tones to the caller's line */
	CONVAI_STEP_VARIABLE = 3,	/*!< name and value of a channel variable */
};

/*! A tool that the agent has called, for the caller's own channel */
struct convai_step {
	const char *tool;	/*!< letters of ASCII, digits, _ and -; the first is a letter; not s, h and the like */
	const struct convai_argument *arguments;
	uint32_t argument_count;
	uint32_t kind;		/*!< enum convai_step_kind */
};

/*! What has become of a step */
enum convai_step_outcome {
	CONVAI_STEP_UNKNOWN = 0,	/*!< the dialplan has no such tool: nothing was run */
	CONVAI_STEP_DONE = 1,
	CONVAI_STEP_FAILED = 2,
	CONVAI_STEP_REFUSED = 3,	/*!< elevenlabs.conf does not allow it: nothing was done */
};

/*! Longest result of a step, with its terminator; a longer one is cut between characters */
#define CONVAI_STEP_RESULT_BYTES 8192

/*! What the module tells the engine without asking anything */
enum convai_inform {
	/*!
	 * How calls are recorded, all of it: CONVAI_PAIR_SETTING. Behind the pair "section", for [general] and
	 * each agent, those of its section; before the first "in_service" ("yes" or "no"), "folder", "records_days".
	 */
	CONVAI_INFORM_SETTINGS = 1,
	/*! A call that is to be recorded is over: CONVAI_PAIR_FACT; call/recording.c lists them */
	CONVAI_INFORM_CALL_OVER = 2,
};

/*! So much may wait for the loop: when it hangs there are no more calls, but callers who are refused */
#define CONVAI_INFORMED 1024

/*! Something that the loop is to find out, without a call; what is in it is the engine's own business */
struct convai_inquiry;

/*! So many may be under way at once: operators and programs ask, and each may hold a connection */
#define CONVAI_INQUIRIES 16

/*! What is asked. The engine copies all of it before inquire returns. */
struct convai_question {
	const char *kind;	/*!< which function of the engine's answers: runtime.py lists them */
	const char *agent;	/*!< section of elevenlabs.conf that it is about, or "" */
	const struct convai_pair *pairs;	/*!< of that agent, and arguments */
	uint32_t pair_count;
	uint32_t limit_ms;	/*!< when the engine gives it up; who asks waits a little longer */
};

enum convai_outcome {
	CONVAI_OUTCOME_NONE = 0,	/*!< there is no answer yet */
	CONVAI_OUTCOME_OK = 1,
	CONVAI_OUTCOME_FAILED = 2,	/*!< the answer says why, or what it has found */
};

/*! What the engine has for programs (AMI, ARI) */
enum convai_event_kind {
	CONVAI_EVENT_INTERRUPTION = 0,	/*!< the caller has interrupted the agent */
	CONVAI_EVENT_SPOKEN = 1,	/*!< a response of the agent's has been played out */
	CONVAI_EVENT_TOOL = 2,		/*!< the agent has called a tool, or has its result */
	CONVAI_EVENT_TRANSCRIPT = 3,	/*!< words of the caller's or the agent's */
	CONVAI_EVENT_COUNT = 4,
};

/*! One piece of it */
struct convai_event {
	uint32_t kind;		/*!< enum convai_event_kind */
	uint32_t field_count;
	int64_t at_ms;		/*!< when it happened: CLOCK_REALTIME, in milliseconds */
	const struct convai_argument *fields;	/*!< names are the engine's; values are one line of UTF-8 */
};

/*! So many may wait for the channel thread, which takes none while a step runs */
#define CONVAI_EVENTS_WAITING 64
/*! What a job is */
enum convai_job_kind {
	CONVAI_JOB_TOOL = 0,	/*!< run a tool in the dialplan, on a channel of its own */
	CONVAI_JOB_STATE = 1,	/*!< tell the state of an extension, a device or a queue: its name is the tool's */
};

/*! What is to be done beside a call, which goes on meanwhile. Valid until its end_job. */
struct convai_job {
	uint32_t kind;		/*!< enum convai_job_kind */
	uint32_t limit_ms;	/*!< nobody waits for it any longer */
	struct convai_step what;
};

/*! What becomes of a job that is to begin */
enum convai_job_verdict {
	CONVAI_JOB_TAKEN = 0,	/*!< end_job is owed to it, once, from any thread */
	CONVAI_JOB_NO_ROOM = 1,	/*!< too many are under way */
	CONVAI_JOB_REFUSED = 2,	/*!< there is no such call any more, or the module is about to go */
};

struct convai_ops {
	uint32_t abi_version;	/*!< CONVAI_ABI_VERSION */
	uint32_t size;		/*!< sizeof(struct convai_ops) */
	const char *build_id;	/*!< names the engine's files; lives as long as the process */
	const char *version;	/*!< product version, for people */

	/*!
	 * \brief Give the engine a host to log to; stop takes it back. Before, its lines go nowhere.
	 * \return 0, or -1 if the table is of another version of the contract
	 */
	int (*attach)(const struct convai_host *host);

	/*!
	 * \brief Start a session; the engine connects in the background
	 * \return the session, or NULL with errno set: ENOMEM, EMFILE, ESHUTDOWN (the engine is stopping)
	 */
	struct convai_session *(*open)(const struct convai_request *request);

	/*!
	 * \brief A descriptor that is readable when poll has something new, and when the agent's first
	 * audio has been queued. Owned by the session.
	 */
	int (*event_fd)(const struct convai_session *session);

	/*! \brief Clear the event descriptor and say where the session stands */
	void (*poll)(struct convai_session *session, struct convai_progress *progress);

	/*!
	 * \brief Queue caller audio, in the caller format of the progress
	 * \param now_us when it was read from the channel: CLOCK_MONOTONIC in microseconds; 0 leaves it
	 *        out of the timings
	 * \return bytes taken: all of them, or 0 (ring full or not talking; counted)
	 */
	uint32_t (*push)(struct convai_session *session, const uint8_t *audio, uint32_t bytes, int64_t now_us);

	/*!
	 * \brief Queue silence in the caller format in place of audio that did not come. Taken while queued, too.
	 * \return as push; what is refused because it is not talking is not counted
	 */
	uint32_t (*push_silence)(struct convai_session *session, uint32_t ms);

	/*!
	 * \brief Take the agent audio that is due, in the agent format of the progress
	 *
	 * Fills all of audio: with queued audio, and with silence where the queue ends (zero bytes
	 * while connecting, when no format is known).
	 * \param now_us as push has it: when the channel thread woke for this; 0 leaves it out of the timings
	 * \return bytes that were agent audio; 0 means nothing was queued and all is silence
	 */
	uint32_t (*pop)(struct convai_session *session, uint8_t *audio, uint32_t bytes, int64_t now_us);

	/*! \brief Agent audio waiting to be popped, in bytes */
	uint64_t (*queued)(const struct convai_session *session);

	/*!
	 * \brief Say that the channel is through; the engine closes the conversation with code 1000
	 *
	 * Without effect when the session has ended. May be called twice.
	 */
	void (*hangup)(struct convai_session *session);

	/*! \brief The channel thread's last word. Implies hangup. The pointer is dead afterwards. */
	void (*release)(struct convai_session *session);

	/*! \brief Copy the counters. The caller must hold the session (from open, before release). */
	void (*counters)(const struct convai_session *session, struct convai_counters *counters);

	/*! \brief Copy the histograms of all sessions, those that are over included. Takes no lock. */
	void (*timings)(struct convai_timings *timings);

	/*!
	 * \brief Say something to the agent beside audio; the engine sends it soon, in order
	 *
	 * Any thread that holds the session (from open, before release). Takes no lock. While the call is
	 * queued it waits until an agent is there.
	 * \param kind enum convai_say
	 * \param text UTF-8, copied
	 * \return 0, or -1 with errno set: ENOTCONN (neither talking nor queued), ENOBUFS (too many wait, or
	 *         memory is short), EINVAL (no such kind, a text that it cannot have, or one that is too long)
	 */
	int (*send)(struct convai_session *session, uint32_t kind, const char *text);

	/*!
	 * \brief Log one session's messages or not, whatever is set for all
	 *
	 * Any thread that holds the session (from open, before release).
	 * \param debug enum convai_debug
	 */
	void (*set_session_debug)(struct convai_session *session, uint32_t debug);

	/*! \brief Log every message of every session (1) or only of those whose agent asks for it (0) */
	void (*set_debug)(int on);

	/*!
	 * \brief End every session that is up, at once
	 *
	 * Each ends with this status and reason (copied), and its conversation is closed with code 1000.
	 */
	void (*end_all)(uint32_t status, const char *reason);

	/*!
	 * \brief Refuse new sessions, and end the loop thread once the last session is over
	 *
	 * For a generation that another one has followed. Live sessions are not touched.
	 */
	void (*finish)(void);

	/*! \brief Whether the loop thread runs; once it does not, stop waits only for a call into the host */
	int (*running)(void);

	/*!
	 * \brief Refuse new sessions, close all conversations, end the loop thread, and let go of the host table
	 *
	 * The caller must not hold the GIL. May be called again after a failure.
	 * \param limit_ms 0 only asks for all this, never waits, and keeps the host table until the loop has
	 *         ended
	 * \return 0, or -1 if the loop had not ended within the limit. Even then the host table has been
	 *         withdrawn unless a call into it is still under way.
	 */
	int (*stop)(uint32_t limit_ms);

	/*!
	 * \brief Say that the caller has put us on hold (1), or is back (0); in any state but the last
	 *
	 * While held the engine keeps the agent quiet: what is queued and what comes is dropped, and the
	 * agent is told every second that somebody is there. The caller's audio stays the channel's: it
	 * pushes silence.
	 */
	void (*hold)(struct convai_session *session, int on);

	/*!
	 * \brief Take the step that the agent wants done, if there is one. After each poll while talking.
	 *
	 * The event descriptor tells of it. There is one at a time: the next one comes after end_step, which
	 * is owed to each that was taken, also if it is never begun.
	 *
	 * \return valid until its end_step, or NULL
	 */
	const struct convai_step *(*take_step)(struct convai_session *session);

	/*!
	 * \brief Say that the step is being done from now on
	 *
	 * If it is the dialplan's, that now has the channel: the agent is to be deaf and mute until end_step.
	 * Meanwhile nothing is pushed or popped. The engine sends silence by itself, at real time, drops what
	 * the agent says, and keeps it quiet as in hold. Beside a step of another kind the conversation goes on.
	 *
	 * \return 0, or -1 if the engine has told the agent by now that it is not done: then it must not be
	 */
	int (*begin_step)(struct convai_session *session);

	/*!
	 * \brief Say how the step that was taken has ended; the engine tells the agent
	 * \param outcome enum convai_step_outcome
	 * \param result UTF-8, copied: what the agent is told
	 */
	void (*end_step)(struct convai_session *session, uint32_t outcome, const char *result);

	/*!
	 * \brief Ask the loop something that is not about a call, as commands do
	 * \return the inquiry, or NULL with errno set: ENOMEM, EMFILE, EBUSY (CONVAI_INQUIRIES are under way),
	 *         ESHUTDOWN (the engine is stopping)
	 */
	struct convai_inquiry *(*inquire)(const struct convai_question *question);

	/*! \brief A descriptor that is readable once there is an answer. Owned by the inquiry. */
	int (*inquiry_fd)(const struct convai_inquiry *inquiry);

	/*!
	 * \brief Look for the answer
	 * \param[out] answer lines of UTF-8, without a line feed behind the last; valid until inquiry_release
	 * \return enum convai_outcome
	 */
	uint32_t (*inquiry_poll)(const struct convai_inquiry *inquiry, const char **answer);

	/*! \brief Let go of the inquiry, with or without an answer: without one it is given up */
	void (*inquiry_release)(struct convai_inquiry *inquiry);

	/*!
	 * \brief Take what programs are to be told of next. After each poll, and before release.
	 *
	 * The event descriptor tells of it. Takes no lock.
	 *
	 * \return valid until the next call, or NULL
	 */
	const struct convai_event *(*take_event)(struct convai_session *session);

	/*!
	 * \brief Say how a job that was taken has ended
	 *
	 * Once for each, from any thread, however late: the call may be over, and the engine have stopped. Takes a lock
	 * for a moment. The pointer is dead afterwards.
	 * \param outcome enum convai_step_outcome
	 * \param result UTF-8, copied: what the agent is told
	 */
	void (*end_job)(const struct convai_job *job, uint32_t outcome, const char *result);

	/*!
	 * \brief Copy the histograms of one agent's sessions, by the section of elevenlabs.conf. Takes no lock.
	 *
	 * That of the loop's tick is empty: it is nobody's.
	 * \return 0, or -1 if no session of such an agent has been opened
	 */
	int (*agent_timings)(const char *agent, struct convai_timings *timings);

	/*! \brief Say how soon the agent has answered. Any thread that holds the session. */
	void (*turns)(const struct convai_session *session, struct convai_turn_times *times);

	/*!
	 * \brief Copy words of the conversation. Any thread that holds the session; takes a mutex for a copy of them.
	 * \param which enum convai_words
	 * \param size of text; where it is too small, a transcript's newest turns stay, and the beginning of others
	 */
	void (*words)(struct convai_session *session, uint32_t which, char *text, uint32_t size);

	/*!
	 * \brief Copy the newest levels since the conversation began, from old to new. Takes no lock.
	 *
	 * Any thread that holds the session. They begin anew where what was taken for an agent was the service's queue.
	 * \param levels room for so many
	 * \return how many there are in all, CONVAI_LEVELS_KEPT at most: the last one copied is that less one
	 */
	uint32_t (*levels)(const struct convai_session *session, struct convai_level *levels, uint32_t most);

	/*!
	 * \brief Copy the newest turns that were timed, from old to new. As levels.
	 * \return how many there were in all; CONVAI_TURNS_KEPT of them are kept
	 */
	uint32_t (*turn_list)(const struct convai_session *session, struct convai_turn *turns, uint32_t most);

	/*!
	 * \brief Tell the engine something that concerns no session, or one that is over
	 *
	 * Any thread, also a channel's: copies, and takes a lock for a moment. What was told before open returned
	 * is known when that session begins, and what was told before finish is known when the loop ends.
	 *
	 * \param what enum convai_inform
	 * \return 0, or -1 with errno set: ENOMEM, EBUSY (CONVAI_INFORMED wait), ESHUTDOWN (the loop has ended)
	 */
	int (*inform)(uint32_t what, const struct convai_pair *pairs, uint32_t pair_count);

	/*!
	 * \brief How many records wait to be sent to a webhook, as this engine knows of
	 *
	 * Any thread; takes no lock. 0 where another engine sends.
	 */
	uint64_t (*webhooks_waiting)(void);
};

enum convai_log_level {
	CONVAI_LOG_DEBUG = 0,
	CONVAI_LOG_NOTICE = 1,
	CONVAI_LOG_WARNING = 2,
	CONVAI_LOG_ERROR = 3,
};

struct convai_host {
	uint32_t abi_version;	/*!< CONVAI_ABI_VERSION */
	uint32_t size;		/*!< sizeof(struct convai_host) */

	/*!
	 * \brief Write one line to the log. Called from the loop thread, without the GIL. May block.
	 * \param level enum convai_log_level
	 * \param channel name of the channel, or "" when it concerns none
	 */
	void (*log)(uint32_t level, const char *channel, const char *text);

	/*!
	 * \brief Have something done beside a call. Called from the loop thread, without the GIL. Does not wait.
	 * \return enum convai_job_verdict
	 */
	uint32_t (*begin_job)(struct convai_session *session, const struct convai_job *job);

	/*!
	 * \brief Say that calls to an agent have no prospect for so long, or (0) that they have again
	 *
	 * It cannot be reached, or the service wants to be left alone. Loop thread, without the GIL; does not wait.
	 * \param agent section of elevenlabs.conf
	 */
	void (*away)(const char *agent, uint32_t ms);
};

#endif /* CONVAI_OPS_H */
