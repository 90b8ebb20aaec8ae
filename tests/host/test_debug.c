/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief `elevenlabs debug`, of one call and of all
 */

#include "call_script.h"

#define CHANNEL "PJSIP/caller-00000001"

/*! What was typed during the call, what it printed, and what the session was told */
struct typed {
	const char *line;
	char output[4096];
	uint32_t debug;
};

static void type(void *data)
{
	struct typed *typed = data;

	snprintf(typed->output, sizeof(typed->output), "%s", host_cli(typed->line));
	typed->debug = fake_session_debug(fake_session(0));
}

static void complete(void *data)
{
	struct typed *typed = data;

	snprintf(typed->output, sizeof(typed->output), "%s", host_complete(typed->line));
}

/*! \brief One call, in which all this is typed, one after the other */
static void during_a_call(const char *config, struct typed *typed, size_t count)
{
	size_t i;

	script_begin(config);
	script_metadata_at(10 * MS);
	for (i = 0; i < count; i++) {
		host_at((100 + 10 * i) * MS, type, &typed[i]);
	}
	script_hangup_at(1000 * MS);
	script_run("sales");
}

TEST(of_one_call)
{
	struct typed typed[] = {
		{ "elevenlabs debug on pjsip/CALLER-00000001" },
		{ "elevenlabs show session " CHANNEL },
		{ "elevenlabs set debug off " CHANNEL },
		{ "elevenlabs show session " CHANNEL },
	};

	during_a_call(NULL, typed, 4);
	CHECK_STR(typed[0].output, "ElevenLabs debug enabled on channel pjsip/CALLER-00000001\n");
	CHECK_INT(typed[0].debug, CONVAI_DEBUG_ON);
	CHECK_HAS(typed[1].output, "Debug:            on, for this call\n");
	CHECK_STR(typed[2].output, "ElevenLabs debug disabled on channel " CHANNEL "\n");
	CHECK_INT(typed[2].debug, CONVAI_DEBUG_OFF);
	CHECK_HAS(typed[3].output, "Debug:            off, for this call\n");
	/* Of all there was no word. */
	CHECK_INT(fake.builds[0].debug, 0);
	script_end();
}

TEST(of_all_ends_what_was_said_of_one)
{
	struct typed typed[] = {
		{ "elevenlabs debug off " CHANNEL },
		{ "elevenlabs debug on" },
		{ "elevenlabs show session " CHANNEL },
		{ "elevenlabs debug off" },
		{ "elevenlabs show session " CHANNEL },
	};

	during_a_call(NULL, typed, 5);
	CHECK_INT(typed[0].debug, CONVAI_DEBUG_OFF);
	CHECK_INT(typed[1].debug, CONVAI_DEBUG_AS_ALL);
	CHECK_HAS(typed[2].output, "Debug:            on, for all calls\n");
	CHECK_HAS(typed[4].output, "Debug:            off\n");
	script_end();
}

TEST(what_the_agent_asks_for_is_shown)
{
	struct typed typed = { "elevenlabs show session " CHANNEL };

	during_a_call("[general]\n[sales]\nagent_id = x\nauth = none\ndebug = yes\n", &typed, 1);
	CHECK_HAS(typed.output, "Debug:            on, by debug of the agent\n");
	CHECK_INT(typed.debug, CONVAI_DEBUG_AS_ALL);
	script_end();
}

TEST(another_channel)
{
	struct typed typed = { "elevenlabs debug on PJSIP/other" };

	during_a_call(NULL, &typed, 1);
	CHECK_HAS(typed.output, "There is no session on channel PJSIP/other\nCommand");
	CHECK_INT(typed.debug, CONVAI_DEBUG_AS_ALL);
	script_end();
}

/*! \brief The first agent is refused; the second is to be seen as well */
TEST(goes_on_with_the_second_agent)
{
	struct typed typed = { "elevenlabs debug on " CHANNEL };

	script_begin("[general]\nauth = none\n[sales]\nagent_id = x\nfallback_agent = other\n"
		"[other]\nagent_id = y\n");
	host_at(100 * MS, type, &typed);
	script_agent_ends_at(200 * MS, CONVAI_STATUS_UNREACHABLE, "no network", 0);
	script_hangup_at(1000 * MS);
	script_run("sales");
	CHECK_INT(fake.opens, 2);
	CHECK_INT(fake_session_debug(fake_session(1)), CONVAI_DEBUG_ON);
	script_end();
}

TEST(completion)
{
	struct typed plain = { "elevenlabs debug on " };
	struct typed set = { "elevenlabs set debug off pj" };
	struct typed behind = { "elevenlabs debug on " CHANNEL " " };

	script_begin(NULL);
	host_at(100 * MS, complete, &plain);
	host_at(100 * MS, complete, &set);
	host_at(100 * MS, complete, &behind);
	script_hangup_at(200 * MS);
	script_run("sales");
	CHECK_STR(plain.output, CHANNEL);
	CHECK_STR(set.output, CHANNEL);
	CHECK_STR(behind.output, "");
	script_end();
}
