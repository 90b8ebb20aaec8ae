/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The engine: what the loop thread, and whoever starts it, call besides its sessions
 *
 * All other threads reach the engine through the table of convai_engine_ops (see convai_ops.h).
 * Nothing here needs the GIL, and nothing waits, but where it says so.
 */

#ifndef CONVAI_ENGINE_H
#define CONVAI_ENGINE_H

#include <stdint.h>

#include "convai_ops.h"
#include "job.h"
#include "session.h"

/*! Longest reason of end_all, with its terminator */
#define CONVAI_REASON_BYTES 256

/*! How the loop is asked to end, in the order of urgency */
enum convai_wish {
	CONVAI_WISH_NONE = 0,
	CONVAI_WISH_FINISH = 1,	/*!< end when the last session is over */
	CONVAI_WISH_STOP = 2,	/*!< end now */
};

/* ---- Whoever starts the engine: any thread ---- */

/*!
 * \brief Begin to accept sessions. The loop is to run next, and convai_engine_closed to be its last call.
 * \return 0, or -1 with errno set: EBUSY (the loop of an earlier start has not ended), EMFILE
 */
int convai_engine_open(void);

/*! \brief How often the engine has been opened: the number of the last start */
unsigned int convai_engine_starts(void);

/*! \brief Ask the loop of that start to end now; nothing if another start has followed */
void convai_engine_stop_start(unsigned int start);

/*! \brief Name the engine in its table. Copied; only the first call has an effect. */
void convai_engine_name(const char *build_id, const char *version);

/*! \brief The table for the C module. It is valid for as long as the process: the core is never unmapped. */
const struct convai_ops *convai_engine_ops(void);

/* ---- Loop thread ---- */

/*! \brief The descriptor that becomes readable when another thread wants something; -1 before a start */
int convai_engine_wake_fd(void);

/*! \brief Make that descriptor unreadable again. \return 1 if a channel has hung up since the last call */
int convai_engine_woken(void);

/*! \brief \return 1 if a text has been put into a session's outbox since the last call */
int convai_engine_outbox_filled(void);

/*! \brief \return 1 if a caller has held, or come back, since the last call */
int convai_engine_holds(void);

/*! \brief \return 1 if a step has begun or ended since the last call */
int convai_engine_steps(void);

/*! \brief \return 1 if one of the last two would return 1 */
int convai_engine_quiet_changed(void);

/*!
 * \brief Take every new session
 * \return a list, oldest first, linked by next: the caller has a reference to each; NULL for none
 */
struct convai_session *convai_engine_take_inbox(void);

/*!
 * \brief Take what has been asked of the loop
 * \param[out] end_status enum convai_status with which to end all sessions; CONVAI_STATUS_NONE if nobody
 *             has asked for that since the last call
 * \param[out] end_reason CONVAI_REASON_BYTES
 * \return whether and how the loop is to end; once it is not CONVAI_WISH_NONE it stays
 */
enum convai_wish convai_engine_requests(uint32_t *end_status, char *end_reason);

/*!
 * \brief Whether the messages of a session are logged: what is set for it, else what is set for all
 * \param wished what the section of its agent says
 */
int convai_engine_debugging(const struct convai_session *session, int wished);

/*!
 * \brief Write a line to the host's log; nothing without a host
 *
 * May block, for Asterisk's logger has a lock: call it without the GIL.
 * \param level enum convai_log_level
 * \param channel its name, or ""
 */
void convai_engine_log(uint32_t level, const char *channel, const char *text);

/*!
 * \brief Hand a job over to the host: any lock of its module's is held for a moment alone. Without the GIL.
 * \return enum convai_job_verdict; unless it is CONVAI_JOB_TAKEN the job is still the caller's
 */
uint32_t convai_engine_begin_job(struct convai_session *session, struct convai_own_job *job);

/*! \brief Take the jobs that are over: a list linked by next, which convai_job_free frees; NULL for none */
struct convai_own_job *convai_engine_take_jobs(void);
/*! \brief Tell the host for how long calls to an agent have no prospect, as convai_ops.h says of away */
void convai_engine_away(const char *agent, uint32_t ms);

/*! \brief Say how many records wait to be sent to a webhook, for whoever asks by the table */
void convai_engine_tell_webhooks(uint64_t waiting);

/*! \brief Take no new sessions and inquiries: the loop is about to end */
void convai_engine_refuse(void);

/*! \brief Say that the loop has ended, and wake whoever waits in stop. The loop thread's last act. */
void convai_engine_closed(void);

#endif /* CONVAI_ENGINE_H */
