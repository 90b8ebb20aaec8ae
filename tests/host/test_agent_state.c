/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Device states: what hints, lamps and queues are told of an agent
 */

#include "call_script.h"

#define TWO_AGENTS "[sales]\nagent_id=a\nmax_sessions=1\n[support]\nagent_id=b\n"
#define ONE_EACH "[general]\nauth=none\n" TWO_AGENTS

static struct ast_channel *channel;

static const char *state(const char *agent)
{
	static char device[80];

	snprintf(device, sizeof(device), "ElevenLabs:%s", agent);
	return host_device_state(device);
}

static void while_it_talks(void *data)
{
	CHECK_STR(state("sales"), "BUSY");
	CHECK_STR(state("support"), "NOT_INUSE");
	CHECK_STR(host_device_states(), "ElevenLabs:sales=BUSY");
}

TEST(busy_when_its_place_is_taken)
{
	channel = script_begin(ONE_EACH);
	CHECK_STR(state("sales"), "NOT_INUSE");
	host_sleep(100 * MS);
	CHECK_STR(host_device_states(), "ElevenLabs:sales=NOT_INUSE ElevenLabs:support=NOT_INUSE");
	script_metadata_at(200 * MS);
	host_at(1000 * MS, while_it_talks, NULL);
	script_hangup_at(2000 * MS);
	script_run("sales");
	CHECK_STR(state("sales"), "NOT_INUSE");
	host_sleep(100 * MS);
	CHECK_STR(host_device_states(), "ElevenLabs:sales=NOT_INUSE");
	script_end();
	CHECK_STR(host_device_states(), "ElevenLabs:sales=UNAVAILABLE ElevenLabs:sales=cleared "
		"ElevenLabs:support=UNAVAILABLE ElevenLabs:support=cleared");
	CHECK_STR(state("sales"), "INVALID");
}

static void hand_over(void *data)
{
	CHECK_INT(host_function_set(channel, "ELEVENLABS(end)", "TRANSFER", 1), 0);
	CHECK_STR(state("sales"), "NOT_INUSE");
	fake_end(fake_session(0), CONVAI_STATUS_HANGUP, "the caller hung up", 0);
}

TEST(free_when_the_conversation_has_been_ended)
{
	channel = script_begin(ONE_EACH);
	script_metadata_at(10 * MS);
	host_at(1000 * MS, hand_over, NULL);
	script_run("sales");
	script_end();
}

static void while_all_are_taken(void *data)
{
	CHECK_STR(state("sales"), "BUSY");
	CHECK_STR(state("support"), "BUSY");
}

TEST(busy_when_all_places_are_taken)
{
	channel = script_begin("[general]\nauth=none\nmax_sessions=1\n" TWO_AGENTS);
	script_metadata_at(10 * MS);
	host_at(1000 * MS, while_all_are_taken, NULL);
	script_hangup_at(2000 * MS);
	script_run("support");
	script_end();
}

TEST(there_is_no_such_agent)
{
	channel = script_begin(NULL);
	CHECK_STR(state("nobody"), "INVALID");
	CHECK_STR(state(""), "INVALID");
	host_write_config("elevenlabs.conf", "[general]\nauth=none\n[support]\nagent_id=b\n");
	host_sleep(100 * MS);
	host_device_states();
	host_cli("elevenlabs reload");
	CHECK_STR(state("sales"), "INVALID");
	host_sleep(100 * MS);
	CHECK_STR(host_device_states(), "ElevenLabs:sales=INVALID ElevenLabs:support=NOT_INUSE");
	script_end();
}

TEST(draining)
{
	channel = script_begin(NULL);
	host_cli("elevenlabs drain on");
	CHECK_STR(state("sales"), "UNAVAILABLE");
	host_cli("elevenlabs drain off");
	/* It has come and gone between two looks: nobody is told. */
	host_sleep(100 * MS);
	CHECK_STR(host_device_states(), "ElevenLabs:sales=NOT_INUSE");
	host_cli("elevenlabs drain on");
	host_sleep(100 * MS);
	CHECK_STR(host_device_states(), "ElevenLabs:sales=UNAVAILABLE");
	script_end();
}

TEST(away_for_a_while)
{
	channel = script_begin(ONE_EACH);
	fake_away("sales", 3000);
	CHECK_STR(state("sales"), "UNAVAILABLE");
	CHECK_STR(state("support"), "NOT_INUSE");
	host_sleep(2900 * MS);
	CHECK_STR(host_device_states(), "ElevenLabs:sales=UNAVAILABLE ElevenLabs:support=NOT_INUSE");
	host_sleep(1200 * MS);
	CHECK_STR(state("sales"), "NOT_INUSE");
	CHECK_STR(host_device_states(), "ElevenLabs:sales=NOT_INUSE");
	script_end();
}

TEST(back_before_its_time)
{
	channel = script_begin(ONE_EACH);
	fake_away("sales", 60000);
	host_sleep(1000 * MS);
	fake_away("sales", 0);
	CHECK_STR(state("sales"), "NOT_INUSE");
	host_sleep(1000 * MS);
	CHECK_STR(host_device_states(), "ElevenLabs:sales=UNAVAILABLE ElevenLabs:support=NOT_INUSE "
		"ElevenLabs:sales=NOT_INUSE");
	fake_away("sales", 0);
	host_sleep(1000 * MS);
	CHECK_STR(host_device_states(), "");
	script_end();
}

TEST(without_an_engine)
{
	channel = script_begin(NULL);
	fake.builds[0].fails = 1;
	CHECK_STR(state("sales"), "UNAVAILABLE");
	script_end();
}

TEST(an_unload_that_is_refused)
{
	channel = script_begin(ONE_EACH);
	fake.stop_failures = 1;
	CHECK_INT(host_unload(0), -1);
	CHECK_STR(state("sales"), "UNAVAILABLE");
	script_end();
}

TEST(what_cannot_be_had_at_load)
{
	static const char * const calls[] = {
		"ast_devstate_prov_add", "ast_sched_context_create", "ast_sched_start_thread",
	};
	size_t i;

	host_write_config("elevenlabs.conf", SCRIPT_CONFIG);
	for (i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		host_fail_call(calls[i], 1);
		CHECK(host_load());
		CHECK_INT(host_registrations(), 0);
	}
}
