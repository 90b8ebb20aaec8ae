/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The calls that are up, and how many there have been
 *
 * Any thread: channels come and go, CLI and AMI look calls up and drain, load, reload and
 * unload open and close it. One mutex guards all of it. It is held for a walk through the
 * list and no longer, and no channel or call is locked meanwhile.
 */

#ifndef CALL_REGISTRY_H
#define CALL_REGISTRY_H

#include <stddef.h>

struct call;

enum registry_verdict {
	REGISTRY_ADMITTED,
	REGISTRY_FULL,		/*!< as many calls as [general] allows are up */
	REGISTRY_AGENT_FULL,	/*!< as many calls as the agent's section allows are up */
	REGISTRY_DRAINING,	/*!< an operator wants no new calls */
	REGISTRY_CLOSED,	/*!< the module is going */
	REGISTRY_NO_MEMORY,
};

/*! Calls of one agent, or of all */
struct registry_numbers {
	unsigned int now;
	unsigned int in_all;	/*!< since the module was loaded */
};

/*!
 * \brief Enter a call, if the limits allow one more; counting and entering are one step
 * \param max_sessions limit for all agents together, 0 for none; the agent's own is in
 * the call
 */
enum registry_verdict registry_admit(struct call *call, unsigned int max_sessions);

/*! \brief Take a call out again */
void registry_remove(struct call *call);

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

/*! \brief The same by the id that the channel had when the call, or its step, began */
struct call *registry_find_unique_id(const char *unique_id);

/*! \brief Copy the name of a call's channel, which may be renamed at any time */
void registry_channel_name(const struct call *call, char *name, size_t size);

/*! \brief Numbers of one agent, or of all agents together if the name is NULL */
struct registry_numbers registry_numbers(const char *agent);

/*! \brief Forget the numbers; no call is up any more */
void registry_clear(void);

#endif /* CALL_REGISTRY_H */
