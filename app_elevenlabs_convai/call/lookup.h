/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The agent of a name: elevenlabs.conf's, else that of a row in a database
 *
 * A database may take any time, and its driver cannot be interrupted. So it is asked on a thread of the
 * pool, by a few at a time; who waits for it gives up after LOOKUP_LIMIT_MS, and takes the row that it gave
 * before (config/rows.h). What hangs in the driver keeps its thread, and is counted.
 */

#ifndef CALL_LOOKUP_H
#define CALL_LOOKUP_H

struct ast_channel;
struct config;
struct config_agent;
struct ending;

/*! So long a call's start, or a command, waits for the database at most: callers bear some two seconds of silence */
#define LOOKUP_LIMIT_MS 2000
/*! So many threads of the pool may be in the database at once; the others are left to tools, whatever it does */
#define LOOKUP_THREADS 4
/*! Longest name that the database is asked for, in bytes: with each as %XX it still fits into what drivers have room for */
#define LOOKUP_NAME_MAX 79

/*!
 * \brief Find an agent
 *
 * Waits, without a lock, only where the file lacks the agent, extconfig.conf has the family `elevenlabs`, and
 * the cache has no answer that is fresh. A caller who hangs up meanwhile, and an unload, end that at once.
 *
 * \param config NULL is one without agents
 * \param channel whose thread this is; Asterisk reads it meanwhile, and drops what the caller says. NULL: a command
 * \param[out] ending where there is none: how a call ends for that
 * \return with a reference for the caller, or NULL
 */
struct config_agent *lookup_agent(const struct config *config, const char *name,
	struct ast_channel *channel, struct ending *ending);

/*! How many look-ups are under way */
struct lookup_numbers {
	unsigned int asked;	/*!< on a thread of the pool */
	unsigned int late;	/*!< of these: nobody waits for them any more */
	unsigned int waiting;	/*!< for a thread */
};

struct lookup_numbers lookup_count(void);

#endif /* CALL_LOOKUP_H */
