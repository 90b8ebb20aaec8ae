/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Asking the engine in service something that is not about a call, and waiting for the answer
 */

#ifndef CONTROL_INQUIRE_H
#define CONTROL_INQUIRE_H

#include <stdint.h>

struct pair_list;

/*!
 * \brief Ask, and wait
 *
 * Threads of Asterisk's that may wait, and no channel's; never takes the GIL. Waits no longer than the module
 * stays.
 *
 * \param kind which function of the engine's answers: pyconvai/runtime.py lists them
 * \param agent section of elevenlabs.conf that it is about, or ""
 * \param pairs of that agent, and arguments (pair_list_add)
 * \param limit_ms the engine gives up after this, and who asks ENGINE_GRACE_US later
 * \param[out] answer lines without a line feed behind the last, in any case, also where there is no engine;
 *             to be freed by ast_free; NULL when memory is short
 * \return whether the outcome is CONVAI_OUTCOME_OK
 */
int inquire(const char *kind, const char *agent, const struct pair_list *pairs, uint32_t limit_ms,
	char **answer);

/*! \brief The same of no agent, for who does not wait longer than this for an engine that hangs */
int inquire_briefly(const char *kind, const struct pair_list *pairs, uint32_t limit_ms, char **answer);

/*! \brief Write such an answer to a terminal, line by line; NULL: that memory is short */
void inquire_print(int fd, const char *answer);

#endif /* CONTROL_INQUIRE_H */
