/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What is recorded of a call: the module's half, which writes nothing
 *
 * The engine is told the facts when its session begins, and how it has ended when all is over; it
 * makes the record (pyconvai/records), of every call: it keeps the last ones in memory, and writes and
 * sends it where elevenlabs.conf says so. To tell it never waits.
 */

#ifndef CALL_RECORDING_H
#define CALL_RECORDING_H

#include <stdint.h>

/*! So many figures may be told of a call */
#define RECORDING_FIGURES_MAX 32

struct ast_channel;
struct config;
struct config_agent;
struct convai_argument;
struct ending;
struct generation;
struct pair_list;

/*! Of one run of the application, whichever agents it has. An ao2 object with a lock. */
struct recording;

/*!
 * \brief Begin. Channel thread; the channel is not locked.
 * \param agent NULL: there is none of this name; [general] then says whether it is recorded
 * \param asked the name that the application was given
 * \return with a reference, or NULL without a configuration, or when memory is short
 */
struct recording *recording_begin(struct ast_channel *channel, const struct config *config,
	const struct config_agent *agent, const char *asked);

/*!
 * \brief Add the facts that are known to what a session begins with; nothing for NULL
 * \param agent that it is opened with
 * \return 0, or -1 when out of memory
 */
int recording_describe(const struct recording *recording, const char *agent, struct pair_list *list);

/*!
 * \brief The conversation is over for good: tell the engine how, the first time that this is called
 *
 * The channel thread, or whoever ends the conversation for the dialplan. Nothing for NULL.
 *
 * \param generation that its sessions were on, held by the caller; NULL: it has had none
 * \param agent that was tried last
 * \param figures of its call (closing_write), RECORDING_FIGURES_MAX at most: facts of the record as well
 */
void recording_end(struct recording *recording, struct generation *generation, const char *agent,
	const struct ending *ending, const struct convai_argument *figures, uint32_t figure_count);

/*! \brief The id of the record that a file or a webhook will have; "" where none will. As long as the recording. */
const char *recording_id(const struct recording *recording);

/*! \brief The id of the record, also where nothing but an engine's memory will have it; "" for NULL. As long as the recording. */
const char *recording_key(const struct recording *recording);

/*!
 * \brief Tell all engines how calls are recorded from now on
 *
 * Whoever has changed the configuration, or has brought an engine into service.
 */
void recording_configure(void);

#endif /* CALL_RECORDING_H */
