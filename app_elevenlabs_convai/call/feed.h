/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What the live page shows of a call beside its counters: who it is, and its events as programs have them
 *
 * One feed for each run of the application, whichever agents it has. Its channel's thread writes, threads of
 * Asterisk's HTTP server read. Events are kept only as long as http_page is on, and no more than FEED_BYTES of them.
 */

#ifndef CALL_FEED_H
#define CALL_FEED_H

#include <stddef.h>
#include <stdint.h>

#include "call/parties.h"
#include "call/quality.h"

struct ast_channel;
struct ast_json;
struct ast_str;
struct config;
struct config_agent;

/*! Events that are kept of one call, in bytes of JSON: some hundred turns. The oldest go first. */
#define FEED_BYTES 32768

/*! Feeds of calls that are over, with their events, which are kept: 50 times FEED_BYTES are 1.6 MB at most */
#define FEED_ENDINGS 50

/*! Room for the beginning of what was said last */
#define FEED_SAID_SIZE 192

/*! Room for the name of a caller, or of a channel; what is longer is cut */
#define FEED_NAME_SIZE 256

/*! Room for the id of a record */
#define FEED_RECORD_SIZE 40

/*! An ao2 object with a lock */
struct feed {
	/* From the beginning on; any thread. */
	uint64_t number;	/*!< its own, from 1, as long as the module is loaded */
	int64_t started_ms;	/*!< the time of day: since 1970, in ms */
	char unique_id[FEED_NAME_SIZE];	/*!< of the channel, when it began */
	struct parties parties;	/*!< "" where the agent is not to know them either: send_caller_number */
	char caller_name[FEED_NAME_SIZE];
	char record[FEED_RECORD_SIZE];	/*!< its record's id, or "": a channel may be in the application again and again */

	/*! One of its agents has its words told to nobody here; set by the channel thread, before that agent's first */
	int hides_words;

	struct feed_events *events;	/*!< NULL: http_page was off. Guarded by the object's lock, as what follows. */
	struct quality quality;	/*!< as read last */
	char speaker[8];	/*!< who has said something last, or "" */
	char said[FEED_SAID_SIZE];	/*!< the beginning of that */

	/* Once it is over; any thread that has it from feed_endings. */
	uint64_t ended;		/*!< its place among those that have ended, from 1 */
	char channel[FEED_NAME_SIZE];
	char *ending;	/*!< fields of ElevenLabsEnd, an object of JSON, or NULL */
};

/*!
 * \brief Begin. Channel thread; the channel is not locked.
 * \param agent that was asked for; NULL: there is none of this name
 * \param record recording_key
 * \return with a reference, or NULL when memory is short: then nothing is shown
 */
struct feed *feed_begin(struct ast_channel *channel, const struct config *config,
	const struct config_agent *agent, const char *record);

/*!
 * \brief Keep something, or nothing any more, as the configuration in use has http_page. Any thread; after each load.
 *
 * Switched off, it forgets the calls that are over; one that is up gives back its events with the next of them.
 */
void feed_configure(void);

/*! \brief Whether it keeps anything: http_page was on when it began, and is on. NULL keeps nothing. */
int feed_keeps(const struct feed *feed);

/*! \brief An agent takes the call: what is said then may be shown only if its key transcripts says so. Channel thread. */
void feed_take_agent(struct feed *feed, const struct config_agent *agent);

/*! \brief Keep what programs are told: an object of strings that have passed the door. Channel thread. */
void feed_add(struct feed *feed, const char *event, struct ast_json *fields);

/*! \brief Keep how the line is. Channel thread. */
void feed_set_quality(struct feed *feed, const struct quality *quality);

/*! \brief The call is over: put it among those that have ended. Channel thread. */
void feed_end(struct feed *feed, struct ast_channel *channel);

/*!
 * \brief Append events to a text, each an object of JSON, with commas between them
 * \param from number of the first that is wanted, from 0; what has been dropped since is left out
 * \return the number that comes next
 */
uint64_t feed_append(struct feed *feed, struct ast_str **out, uint64_t from);

/*!
 * \brief Feeds of calls that are over, newest first
 * \param[out] feeds room for FEED_ENDINGS; each with a reference
 * \return how many
 */
size_t feed_endings(struct feed **feeds);

/*! \brief The feed of a call that is over, by its number, with a reference; NULL: there is none */
struct feed *feed_find_ended(uint64_t number);

/*! \brief Whether what is said in the call may be shown. Any thread. */
int feed_shows_words(const struct feed *feed);

/*! \brief Forget those that are over; no call is up any more. Any thread: somebody may still look. */
void feed_clear(void);

#endif /* CALL_FEED_H */
