/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Which overrides channel variables may set: the key overrides
 */

#include "call_script.h"

#include "asterisk/pbx.h"

#define OVERRIDE(name) fake_value(fake_session(0), CONVAI_PAIR_OVERRIDE, name)
#define AGENT "[sales]\nagent_id=agent_1\nauth=none\nmax_duration=9\n"
#define NOT_USED "not used: the key overrides of [sales] in elevenlabs.conf does not allow it"

static struct ast_channel *channel;

static void begin(const char *config)
{
	channel = script_begin(config);
	host_log_clear();
}

static void set(const char *name, const char *value)
{
	pbx_builtin_setvar_helper(channel, name, value);
}

static void run(void)
{
	script_hangup_at(host_now() + 5 * MS);
	script_run("sales");
}

/*! \brief K12: what was in use before the key was there */
TEST(all_unless_the_file_says_otherwise)
{
	begin(AGENT);
	set("ELEVENLABS_OVERRIDE_prompt", "You sell.");
	set("ELEVENLABS_OVERRIDE_of_tomorrow", "x");
	run();
	CHECK_STR(OVERRIDE("prompt"), "You sell.");
	CHECK_STR(OVERRIDE("of_tomorrow"), "x");
	CHECK_INT(host_logged(NOT_USED), 0);
	script_end();
}

/*! \brief K12: also one that the service does not know, which would end the call; variables stay */
TEST(none)
{
	static const char * const names[] = {
		"ELEVENLABS_OVERRIDE_prompt", "ELEVENLABS_OVERRIDE_none", "ELEVENLABS_OVERRIDE_all",
		"ELEVENLABS_OVERRIDE_x", "ELEVENLABS_OVERRIDE_,",
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(names); i++) {
		begin(AGENT "overrides=none\noverride_language=de\n");
		set(names[i], "You sell.");
		set("ELEVENLABS_VAR_name", "Ada");
		run();
		CHECK(!OVERRIDE(names[i] + strlen("ELEVENLABS_OVERRIDE_")));
		CHECK_STR(OVERRIDE("language"), "de");
		CHECK_STR(fake_value(fake_session(0), CONVAI_PAIR_VARIABLE, "name"), "Ada");
		CHECK_HAS(host_log(), "WARNING PJSIP/caller-00000001: the channel variable ELEVENLABS_OVERRIDE_");
		CHECK_INT(host_logged(NOT_USED), 1);
		CHECK_INT(host_logged("You sell"), 0);
		script_end();
	}
}

/*! \brief K12: by whole names; those of the file itself go on */
TEST(some)
{
	begin("[general]\noverrides=first_message, language\n" AGENT "override_prompt=You help.\n");
	set("ELEVENLABS_OVERRIDE_language", "de");
	set("ELEVENLABS_OVERRIDE_first_message", "Hello.");
	set("ELEVENLABS_OVERRIDE_prompt", "You sell.");
	set("ELEVENLABS_OVERRIDE_first", "x");
	set("ELEVENLABS_OVERRIDE_message,", "x");
	set("ELEVENLABS_OVERRIDE_first_message,language", "x");
	run();
	CHECK_STR(OVERRIDE("language"), "de");
	CHECK_STR(OVERRIDE("first_message"), "Hello.");
	CHECK_STR(OVERRIDE("prompt"), "You help.");
	CHECK(!OVERRIDE("first"));
	CHECK(!OVERRIDE("first_message,language"));
	CHECK_INT(host_logged("and others like it are " NOT_USED), 1);
	script_end();
}

/*! \brief K12: a section's own goes before that of [general] */
TEST(each_agent_has_its_own)
{
	begin("[general]\noverrides=none\n" AGENT "overrides=all\n");
	set("ELEVENLABS_OVERRIDE_prompt", "You sell.");
	run();
	CHECK_STR(OVERRIDE("prompt"), "You sell.");
	script_end();
}

/*! \brief K12: as another tenant's dialplan leaves it to the channels that it dials */
TEST(one_that_was_inherited)
{
	begin(AGENT "overrides=none\n");
	set("__ELEVENLABS_OVERRIDE_prompt", "You sell.");
	run();
	CHECK(!OVERRIDE("prompt"));
	CHECK_INT(host_logged("the channel variable ELEVENLABS_OVERRIDE_prompt is " NOT_USED), 1);
	script_end();
}
