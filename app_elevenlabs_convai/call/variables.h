/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What a channel tells the agent, and what a call tells the dialplan
 */

#ifndef CALL_VARIABLES_H
#define CALL_VARIABLES_H

#include <stddef.h>

#include "convai_ops.h"

struct ast_channel;
struct config_agent;
struct ending;

/*! Everything the engine is told about one call, name by name */
struct pair_list {
	struct convai_pair *pairs;
	size_t count;
	size_t capacity;
	size_t borrowed;	/*!< the first so many strings belong to the agent's snapshot */
};

/*!
 * \brief Collect the agent's settings, and dynamic variables and overrides from the
 * channel and from elevenlabs.conf
 *
 * Locks the channel. The list borrows strings of the agent's, so it must be freed before
 * the agent.
 *
 * \return 0, or -1 when out of memory; the list is to be freed in either case
 */
int pair_list_fill(struct pair_list *list, struct ast_channel *channel,
	const struct config_agent *agent);

/*!
 * \brief Collect what elevenlabs.conf says only, for a session that no channel has; as
 * pair_list_fill
 */
int pair_list_fill_agent(struct pair_list *list, const struct config_agent *agent);

/*!
 * \brief Add an argument of an inquiry, copied; names may repeat
 * \return 0, or -1 when out of memory
 */
int pair_list_add(struct pair_list *list, const char *name, const char *value);

/*!
 * \brief Add, as arguments "variable", the names of those that each call of the agent's has by itself
 * \return as pair_list_add
 */
int pair_list_add_defaults(struct pair_list *list, const struct config_agent *agent);

/*!
 * \brief Add a fact of a record, copied as it is
 * \return 0, or -1 when out of memory
 */
int pair_list_add_fact(struct pair_list *list, const char *name, const char *value);

void pair_list_free(struct pair_list *list);

/*! \brief Name of a status as the dialplan sees it */
const char *status_name(enum convai_status status);

/*! \brief Take the result of an earlier call off the channel */
void result_clear(struct ast_channel *channel);

/*! \brief Leave a reason and its detail on the channel: the detail as data, for it is not ours */
void result_set_reason(struct ast_channel *channel, const struct ending *ending);

/*! \brief Leave the result of this call on the channel */
void result_set(struct ast_channel *channel, const struct ending *ending,
	const char *conversation_id);

/*! \brief A time of an answer, rounded to whole milliseconds */
unsigned int latency_ms(uint64_t us);

/*! Room for what latency_text writes */
#define LATENCY_TEXT_SIZE 48

/*! \brief How soon the agent has answered, in ms: "median,worst"; "" where it has not */
const char *latency_text(const struct convai_turn_times *times, char *text, size_t size);

/*! \brief Leave that on the channel */
void result_set_latency(struct ast_channel *channel, const struct convai_turn_times *times);

/*! \brief Leave the seconds in the service's queue on the channel */
void result_set_queued(struct ast_channel *channel, unsigned int seconds);

/*! \brief Leave the digits that the caller has pressed on the channel */
void result_set_digits(struct ast_channel *channel, const char *digits);

#endif /* CALL_VARIABLES_H */
