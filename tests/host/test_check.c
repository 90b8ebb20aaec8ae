/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief `elevenlabs check agent`: what the engine is asked and told, and what becomes of its answer
 */

#include "call_script.h"

#include "asterisk/module.h"

#define COMMAND "elevenlabs check agent sales"
#define FAILED "Command '" COMMAND "' failed.\n"

/* The agent has these tools; the dialplan has two of them, and more. */
static void inquired(const char *kind)
{
	fake.outcome = CONVAI_OUTCOME_OK;
	fake.answer = strcmp(kind, "agent tools") ? "nothing found" : "pay\nlook_up\nsing";
}

static void finds(const char *kind)
{
	inquired(kind);
	if (strcmp(kind, "agent tools")) {
		fake.outcome = CONVAI_OUTCOME_FAILED;
		fake.answer = "fault: one\nhint: \x1b[31mtwo\n1 fault, 1 hint";
	}
}

TEST(an_agent_of_which_nothing_is_found)
{
	script_begin(NULL);
	fake.inquired = inquired;
	CHECK_STR(host_cli("elevenlabs check agent SALES"), "nothing found\n");
	CHECK_INT(fake.inquiries, 2);
	CHECK_INT(fake.inquiries_open, 0);
	CHECK_INT(fake.asked_limit_ms, 10000);
	script_end();
}

TEST(what_is_found_is_said_line_by_line)
{
	script_begin(NULL);
	fake.inquired = finds;
	CHECK_STR(host_cli(COMMAND), "fault: one\nhint:  [31mtwo\n1 fault, 1 hint\n" FAILED);
	script_end();
}

TEST(the_engine_is_told_what_the_dialplan_has)
{
	host_extension_line("elevenlabs-steps", "pay", "amount,${ELEVENLABS_ARG_amount},${ELEVENLABS_ARG_}");
	host_extension_line("elevenlabs-steps", "hours", "x");
	host_extension_line("elevenlabs-steps", "hours", "${ELEVENLABS_ARG_day}${ELEVENLABS_ARG_day}");
	host_extension_line("other", "sing", "${ELEVENLABS_ARG_song}");
	host_extension_line("inbound", "100", "__ELEVENLABS_VAR_customer=${ELEVENLABS_VAR_old}");
	host_extension_line("inbound", "100", NULL);
	host_extension_line("inbound", "101", "ELEVENLABS_VAR_customer=x,ELEVENLABS_JSON_cart=[]");
	script_begin("[general]\ntools = *\n"
		"[sales]\nagent_id = x\nauth = none\nsend_caller_number = no\n"
		"overrides = language,prompt\noverride_prompt = Be brief.\nconnect_timeout = 3\n");
	fake.inquired = inquired;
	host_cli(COMMAND);
	CHECK_STR(fake.asked, "check agent sales\n"
		"step=pay\n"
		"override=language\noverride=prompt\n"
		"variable=called_number\nvariable=call_direction\nvariable=channel\nvariable=unique_id\n"
		"variable=linked_id\n"
		"reads=pay amount\nreads=hours day\nvariable=customer\nvariable=cart\n"
		"place=elevenlabs.conf:2 [general] tools\n"
		"place=elevenlabs.conf:4 [sales] agent_id\n"
		"place=elevenlabs.conf:5 [sales] auth\n"
		"place=elevenlabs.conf:6 [sales] send_caller_number\n"
		"place=elevenlabs.conf:7 [sales] overrides\n"
		"place=elevenlabs.conf:8 [sales] override_prompt\n"
		"place=elevenlabs.conf:9 [sales] connect_timeout\n");
	CHECK_INT(fake.asked_limit_ms, 3000);
	script_end();
}

TEST(transfers_to_contexts_that_there_are_not)
{
	host_extension_line("internal", "100", "");
	script_begin("[general]\nauth = none\n[sales]\nagent_id = x\ntransfer_allow = 100,_2XXX@internal,2001@nowhere,s@gone:3\n"
		"[refers]\nagent_id = x\ntransfer_method = refer\ntransfer_allow = 100@nowhere\n");
	fake.inquired = inquired;
	host_cli(COMMAND);
	CHECK_HAS(fake.asked, "\nnowhere=2001@nowhere\nnowhere=s@gone:3\n");
	CHECK(!strstr(fake.asked, "nowhere=_2XXX") && !strstr(fake.asked, "nowhere=100"));
	host_cli("elevenlabs check agent refers");
	CHECK(!strstr(fake.asked, "nowhere="));
	script_end();
}

TEST(the_callers_number_is_one_of_its_variables)
{
	script_begin(NULL);
	fake.inquired = inquired;
	host_cli(COMMAND);
	CHECK_HAS(fake.asked, "variable=caller_number\n");
	script_end();
}

TEST(an_agent_that_cannot_be_asked_for)
{
	script_begin(NULL);
	fake.outcome = CONVAI_OUTCOME_FAILED;
	fake.answer = "the service does not know the key";
	CHECK_STR(host_cli(COMMAND),
		"Agent sales could not be checked: the service does not know the key\n" FAILED);
	CHECK_INT(fake.inquiries, 1);
	CHECK_HAS(host_cli("elevenlabs check agent nobody"),
		"There is no agent nobody in elevenlabs.conf\n");
	fake.inquire_errno = EBUSY;
	CHECK_HAS(host_cli(COMMAND), "too many ask the engine already; try again later\n");
	fake.inquire_errno = ESHUTDOWN;
	CHECK_HAS(host_cli(COMMAND), "the engine is being stopped\n");
	fake.inquire_errno = EMFILE;
	CHECK_HAS(host_cli(COMMAND), "Too many open files\n");
	script_end();
}

TEST(an_engine_that_does_not_answer)
{
	script_begin("[sales]\nagent_id = x\nauth = none\nconnect_timeout = 2\n");
	CHECK_STR(host_cli(COMMAND),
		"Agent sales could not be checked: the engine does not answer\n" FAILED);
	CHECK(host_now() >= 5000 * MS && host_now() <= 5100 * MS);
	CHECK_INT(fake.inquiries_open, 0);
	script_end();
}

TEST(an_engine_that_has_ended)
{
	script_begin(NULL);
	fake.builds[0].fails = 1;
	CHECK_HAS(host_cli(COMMAND), "could not be checked: the engine is not running\n");
	script_end();
}

TEST(usage_and_completion)
{
	script_begin(NULL);
	CHECK_HAS(host_cli("elevenlabs check agent"), "Usage: elevenlabs check agent <name>\n");
	CHECK_HAS(host_cli("elevenlabs check agent a b"), "Usage: elevenlabs check agent <name>\n");
	CHECK_STR(host_complete("elevenlabs check agent "), "sales");
	CHECK_STR(host_complete("elevenlabs check agent sales "), "");
	script_end();
}
