/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief An engine that does what the test says, in the place of embed.c
 */

#ifndef FAKE_ENGINE_H
#define FAKE_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include "convai_ops.h"

/*! Audio of the agent's counts up from here, byte by byte, so that what was skipped shows */
#define FAKE_AUDIO_FIRST 1

/*! Builds of the engine that can be installed */
#define FAKE_BUILDS 4

/*! One build: its loop, and what was asked of it */
struct fake_build {
	int running;
	int fails;	/*!< its loop ends by a fault as soon as it is asked about */
	int hangs;	/*!< its loop does not end */
	unsigned int starts;
	unsigned int finishes;
	unsigned int forgets;
	int debug;	/*!< -1: never set */
};

/*! What the engine does as a whole */
extern struct fake {
	const char *open_error;	/*!< embed_open fails with this, if set */
	const char *detail;	/*!< of each conversation that ends; may be NULL */
	const char *start_error;	/*!< embed_import fails with this */
	unsigned int start_failures;	/*!< so often; UINT32_MAX: always */
	unsigned int stop_failures;
	/*! \brief Called by a stop that waits, if set: what happens meanwhile */
	void (*stopping)(void);
	int open_errno;	/*!< open fails with this */
	/*! \brief Called at the end of each open, if set */
	void (*opened)(struct convai_session *session);
	struct fake_build builds[FAKE_BUILDS];
	struct convai_timings timings;	/*!< of each build */
	const char *timed_agent;	/*!< the one agent that has such timings as well */
	/* What it was asked. */
	unsigned int starts;
	unsigned int stops;	/*!< that wait; being only asked to is not counted */
	uint32_t stop_limit_ms;
	unsigned int closes;	/*!< of the loader */
	unsigned int pins;
	unsigned int opens;
	unsigned int releases;
	unsigned int ends;
	uint32_t end_status;
	const struct convai_host *host;

	/* Inquiries */
	int inquire_errno;	/*!< inquire fails with this */
	uint32_t outcome;	/*!< enum convai_outcome of each; NONE: there is no answer */
	const char *answer;
	/*! \brief Called by each, before it is answered, if set */
	void (*inquired)(const char *kind);
	unsigned int inquiries;	/*!< that have been asked */
	unsigned int inquiries_open;	/*!< that have not been released */
	uint32_t asked_limit_ms;
	char asked[262144];	/*!< the last: its kind and agent, and a line NAME=VALUE for each argument */

	/* Information */
	int inform_errno;	/*!< inform fails with this */
	unsigned int informs;	/*!< calls that were over */
	uint64_t webhooks_waiting;
	char settings[4096];	/*!< how calls are recorded, a line NAME=VALUE each */
	char informed[8192];	/*!< of all calls that are over */
} fake;

/*! \brief `make install` of build n. The module's first load installs build 0 by itself. */
void fake_install(unsigned int n);
/*! \brief Which build a session was opened with */
unsigned int fake_build_of(const struct convai_session *session);

/*! \brief The nth session since the start, also after its release */
struct convai_session *fake_session(unsigned int n);
/*! \brief The value that open was given for a name, or NULL */
const char *fake_value(const struct convai_session *session, uint32_t kind,
	const char *name);
const char *fake_agent(const struct convai_session *session);
uint32_t fake_pair_count(const struct convai_session *session);

/*! \brief The metadata has come: both sides have this encoding and rate */
void fake_talk(struct convai_session *session, uint32_t encoding, uint32_t rate);
void fake_talk_formats(struct convai_session *session, struct convai_format caller,
	struct convai_format agent);
/*! \brief The service lets the caller wait; fake_talk ends that, and drops what is left of its audio */
void fake_queue(struct convai_session *session, uint32_t encoding, uint32_t rate);
/*! \brief No agent was free: enum convai_queue. The conversation ends. */
void fake_leave_queue(struct convai_session *session, uint32_t how);
/*! \brief What the module has pushed while the caller was queued */
uint64_t fake_queue_silence_ms(const struct convai_session *session);
/*! \brief The agent says something, in bytes of the agent's format */
void fake_say(struct convai_session *session, unsigned int bytes);
/*! \brief The agent is interrupted: what is queued goes */
void fake_interrupt(struct convai_session *session);
/*! \brief The conversation ends */
void fake_end(struct convai_session *session, uint32_t status, const char *reason,
	int play_out);
/*! \brief The queue says that it holds audio, and never gives any */
void fake_jam(struct convai_session *session);
/*! \brief Caller audio is refused from now on (1), or taken again (0) */
void fake_refuse(struct convai_session *session, int refuse);

/*! What the module has pushed, in order */
struct fake_push {
	int64_t at_us;
	uint32_t bytes;	/*!< 0 for silence */
	uint32_t silence_ms;
	uint8_t first;
};
size_t fake_push_count(const struct convai_session *session);
const struct fake_push *fake_push(const struct convai_session *session, size_t i);
uint64_t fake_pushed_bytes(const struct convai_session *session);
uint64_t fake_silence_ms(const struct convai_session *session);
/*! \brief What was said last: its kind and text, or "" */
const char *fake_said(const struct convai_session *session, uint32_t *kind);
/*! \brief All that was said, in order: the number of its kind, a colon, the text, a line feed */
const char *fake_all_said(const struct convai_session *session);
/*! \brief When the caller held and was back: "hold@500 back@900", in ms; "" for never */
const char *fake_holds(const struct convai_session *session);
/*! \brief Saying something fails with this errno from now on; 0: it does not */
void fake_say_fails(struct convai_session *session, int failure);
/*! \brief What was wished for its log: enum convai_debug */
uint32_t fake_session_debug(const struct convai_session *session);
int fake_hung_up(const struct convai_session *session);

/*! \brief Free the sessions; those not released fail the test */
void fake_forget(void);

/*! \brief How soon the agent has answered */
void fake_answers(struct convai_session *session, unsigned int count, unsigned int median_ms,
	unsigned int worst_ms);
/*! \brief There are so many levels */
void fake_is_as_loud(struct convai_session *session, uint32_t count);
/*! \brief What may be read of its words: enum convai_words */
void fake_words(struct convai_session *session, uint32_t which, const char *text);
/*! \brief The engine says that calls to an agent have no prospect for so long, or (0) have again */
void fake_away(const char *agent, uint32_t ms);

/*! \brief The agent wants a step; tool and arguments live until it is over */
void fake_step(struct convai_session *session, const char *tool,
	const struct convai_argument *arguments, unsigned int count);
/*! \brief The same, of any kind */
void fake_step_of(struct convai_session *session, enum convai_step_kind kind, const char *tool,
	const struct convai_argument *arguments, unsigned int count);
/*! \brief No step may begin any more: the agent has been told that it is not done */
void fake_refuse_step(struct convai_session *session);
/*! \brief What has become of steps, a line each: "tool@ms done@ms:result", ms since the test began */
const char *fake_steps(const struct convai_session *session);

/*! So many events may there be in one session */
#define FAKE_EVENTS 8

/*! \brief The engine has something for programs, in November 2023: enum convai_event_kind. The fields live on. */
void fake_event(struct convai_session *session, uint32_t kind, const struct convai_argument *fields,
	unsigned int count);
/*!
 * \brief The agent wants something done beside the call, with order=17 and who=Anna
 * \param kind enum convai_job_kind
 * \return enum convai_job_verdict
 */
uint32_t fake_job(struct convai_session *session, uint32_t kind, const char *tool, uint32_t limit_ms);
/*! \brief Wait, in real time, until so many are over. \return all of them, a line each: "tool done:result" */
const char *fake_jobs(unsigned int count);
/*! \brief Tools are under way, or are not: enum convai_working */
void fake_work(struct convai_session *session, uint32_t working);

#endif /* FAKE_ENGINE_H */
