/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What the dialplan sets and reads of an agent, found in its lines
 */

#ifndef CONTROL_REFERENCES_H
#define CONTROL_REFERENCES_H

struct config_agent;
struct pair_list;

/*!
 * \brief Look through all of the dialplan for channel variables of this module's
 *
 * Threads of Asterisk's that may wait: for the locks of the dialplan. What is put together while a call runs
 * (Set(${NAME}=...), AGI, AMI) is not to be seen.
 *
 * Adds to the list, at most REFERENCES_MAX in all: "variable" NAME for each ELEVENLABS_VAR_NAME and
 * ELEVENLABS_JSON_NAME that some line sets; "reads" "TOOL NAME" for each ELEVENLABS_ARG_NAME in an extension
 * TOOL of the agent's steps_context or tools_context.
 *
 * \return 0, or -1 when out of memory
 */
int references_add(struct pair_list *list, const struct config_agent *agent);

#endif /* CONTROL_REFERENCES_H */
