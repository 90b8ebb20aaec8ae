/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Reaching an agent as a call does, without a call, for commands and for programs
 */

#ifndef CONTROL_AGENT_TEST_H
#define CONTROL_AGENT_TEST_H

#include <stddef.h>

#include "call/ending.h"

/*! Room for what is told of a test in one line, with its terminator */
#define AGENT_TEST_SIZE (2 * ENDING_REASON_SIZE + 256)

struct agent_test {
	char agent[80];	/*!< its section; as it was asked for, where there is none */
	struct ending ending;	/*!< its status is NONE if the agent was reached */
	/* Of an agent that was reached */
	char conversation_id[128];
	char hears[32];
	char speaks[32];
	int ms;	/*!< until the service had answered */
	unsigned int full:1;	/*!< the service would have let a caller wait */
};

/*!
 * \brief Reach an agent
 *
 * Waits for the service, for connect_timeout and some seconds at most, and no longer than the module
 * stays. A thread of Asterisk's that may wait so long.
 * \return 0, or -1
 */
int agent_test(struct agent_test *test, const char *name);

/*! \brief What has come of it, in a line for people */
void agent_test_tell(const struct agent_test *test, char *text, size_t size);

#endif /* CONTROL_AGENT_TEST_H */
