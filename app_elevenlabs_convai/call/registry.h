/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The calls that are up
 *
 * Any thread: channels come and go, CLI and AMI look calls up and drain, load, reload and
 * unload open and close it. One mutex guards all of it. It is held for a walk through the
 * list and no longer, and no channel or call is locked meanwhile.
 */

#ifndef CALL_REGISTRY_H
#define CALL_REGISTRY_H

#include <stddef.h>

struct ast_channel;
struct call;
struct convai_session;

/*!
 * So many agents may have one channel, each in a step of the one before. All are on the stack of the
 * channel's thread, of which Asterisk gives 500 kB: each takes some 35 kB with the dialplan around it.
 */
#define REGISTRY_NESTED_MAX 4

enum registry_verdict {
	REGISTRY_ADMITTED,
	REGISTRY_FULL,		/*!< as many calls as [general] allows are up */
	REGISTRY_AGENT_FULL,	/*!< as many calls as the agent's section allows are up */
	REGISTRY_NESTED,	/*!< as many agents as may have one channel have this one */
	REGISTRY_DRAINING,	/*!< an operator wants no new calls */
	REGISTRY_CLOSED,	/*!< the module is going */
	REGISTRY_NO_MEMORY,
};

/*!
 * \brief Enter a call, if the limits allow one more; counting and entering are one step
 * \param max_sessions limit for all agents together, 0 for none; the agent's own is in
 * the call
 */
enum registry_verdict registry_admit(struct call *call, unsigned int max_sessions);

/*! \brief Take a call out again */
void registry_remove(struct call *call);

/*!
 * \brief Take from a conversation what it takes up, its place and its generation, for it is over or about to be
 *
 * Any thread; may be called again. The call stays in the list for as long as the application runs: its
 * channel may be in a step, where nothing else tells that it needs our code.
 *
 * \return the generation, which the caller leaves; NULL when it has been taken before
 */
struct generation *registry_withdraw(struct call *call);

/*! \brief Whether no call is in the list, with or without its place */
int registry_is_empty(void);

/*! \brief Refuse calls because the module is going (1), or not any more (0) */
void registry_close(int closed);

int registry_is_closed(void);

/*!
 * \brief Refuse calls because an operator wants that (1), or not any more (0)
 *
 * Calls that are up go on; when the last has gone, the log says so.
 */
void registry_drain(int draining);

int registry_is_draining(void);

/*!
 * \brief The calls that are up, oldest first
 * \param[out] calls to be given back with registry_free_list
 * \return how many; 0 also when out of memory
 */
size_t registry_list(struct call ***calls);

void registry_free_list(struct call **calls, size_t count);

/*! \brief Wake the channels of all calls, and have the calls end: the module is to go */
void registry_end_all(void);

/*! \brief The call on a channel, with a reference, or NULL */
struct call *registry_find(const char *channel);

/*! \brief The same by the channel itself: of several, the one that was admitted last */
struct call *registry_find_channel(const struct ast_channel *channel);

/*! \brief The same by its session, which is only compared */
struct call *registry_find_session(const struct convai_session *session);

/*! \brief The same by the id that the channel had when the call, or its step, began */
struct call *registry_find_unique_id(const char *unique_id);

/*! \brief Where a call stands, in a word. It is locked. */
const char *registry_state_name(const struct call *call);

/*! \brief Copy the name of a call's channel, which may be renamed at any time */
void registry_channel_name(const struct call *call, char *name, size_t size);

/*! \brief Conversations with one agent, or with all together if the name is NULL, that have their place */
unsigned int registry_count(const char *agent);

/*! \brief Begin anew; no call is up any more */
void registry_clear(void);

#endif /* CALL_REGISTRY_H */
