/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Tests that run inside Asterisk: `test execute category /apps/elevenlabs/`
 *
 * They exist where Asterisk was built with its test framework. No network, no Python, no
 * configuration but what they write themselves; all together take some 2 s.
 */

#ifndef TEST_ELEVENLABS_H
#define TEST_ELEVENLABS_H

#ifdef TEST_FRAMEWORK

#define TEST_CATEGORY "/apps/elevenlabs/"

/*! The part of a test that describes it. */
#define TEST_DESCRIBE(test_name, test_summary) \
	switch (cmd) { \
	case TEST_INIT: \
		info->name = test_name; \
		info->category = TEST_CATEGORY; \
		info->summary = test_summary; \
		info->description = test_summary; \
		return AST_TEST_NOT_RUN; \
	case TEST_EXECUTE: \
		break; \
	}

struct config;
struct config_report;

/*! \brief Read this text as a configuration file. As config_read. */
struct config *test_config(const char *text, struct config_report *report);

void tests_register(void);

/*! \brief Also waits until none of them runs any more: some 2 s */
void tests_unregister(void);

/*! \brief Those of test_call.c; the others are in test_elevenlabs.c */
void call_tests_register(void);
void call_tests_unregister(void);

#else

static inline void tests_register(void)
{
}

static inline void tests_unregister(void)
{
}

#endif

#endif /* TEST_ELEVENLABS_H */
