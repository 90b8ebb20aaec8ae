/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Saying something to the agent during a call, typed and over AMI
 */

#include "call_script.h"

#include <errno.h>

#include "asterisk/module.h"

#define CHANNEL "PJSIP/caller-00000001"

/*! What was asked during the call, and the answer */
struct asked {
	const char *line;	/*!< a command; NULL: the action with the headers */
	const char *channel, *type, *text;
	int failure;	/*!< of the engine's */
	char output[1024];
};

static void ask(void *data)
{
	struct asked *asked = data;

	fake_say_fails(fake_session(0), asked->failure);
	snprintf(asked->output, sizeof(asked->output), "%s", asked->line
		? host_cli(asked->line)
		: host_ami("ElevenLabsSend", asked->channel, asked->type, asked->text, NULL));
}

/*! \brief One call in which this is asked */
static void during_a_call(struct asked *asked)
{
	script_begin(NULL);
	script_metadata_at(10 * MS);
	host_at(500 * MS, ask, asked);
	script_hangup_at(1000 * MS);
	script_run("sales");
}

static void check_said(struct asked asked, uint32_t kind, const char *text, const char *answer)
{
	uint32_t got;

	during_a_call(&asked);
	CHECK_STR(asked.output, answer);
	CHECK_STR(fake_said(fake_session(0), &got), text);
	CHECK_INT(got, kind);
	script_end();
}

TEST(a_message_that_is_typed)
{
	check_said((struct asked) { "elevenlabs send message pjsip/CALLER-00000001 Good morning" },
		CONVAI_SAY_MESSAGE, "Good morning", "Sent to the agent: message\n");
}

TEST(feedback_that_is_typed)
{
	check_said((struct asked) { "elevenlabs send FEEDBACK " CHANNEL " like" },
		CONVAI_SAY_FEEDBACK, "like", "Sent to the agent: feedback\n");
}

TEST(an_activity_that_is_typed)
{
	check_said((struct asked) { "elevenlabs send activity " CHANNEL },
		CONVAI_SAY_ACTIVITY, "", "Sent to the agent: activity\n");
}

TEST(a_context_over_ami)
{
	check_said((struct asked) { NULL, "Channel: " CHANNEL, "Type: context", "Text: a: b  c" },
		CONVAI_SAY_CONTEXT, "a: b  c", "Success: Sent to the agent: context");
}

static void check_refused(struct asked asked, const char *answer)
{
	uint32_t kind;

	during_a_call(&asked);
	CHECK_HAS(asked.output, answer);
	CHECK_STR(fake_said(fake_session(0), &kind), "");
	script_end();
}

/*! \brief A line of so many words; the text's are "x" */
static const char *words(int count)
{
	static char line[512];
	int i;

	strcpy(line, "elevenlabs send message " CHANNEL);
	for (i = 4; i < count; i++) {
		strcat(line, " x");
	}
	return line;
}

/*! H4: what Asterisk's command line drops is not to be seen, so the last word that it takes is one too many */
TEST(more_words_than_a_command_may_have)
{
	char text[512] = "x";
	int i;

	check_refused((struct asked) { words(104) }, "Not sent: Asterisk's command line drops what is "
		"behind 63 words. Put the text into quotes, or use the AMI action ElevenLabsSend\n");
	check_refused((struct asked) { words(64) }, "Not sent: ");
	check_refused((struct asked) { words(63) }, "Not sent: ");
	for (i = 5; i < 62; i++) {
		strcat(text, " x");
	}
	check_said((struct asked) { words(62) }, CONVAI_SAY_MESSAGE, text, "Sent to the agent: message\n");
}

TEST(another_channel)
{
	check_refused((struct asked) { "elevenlabs send message PJSIP/x hello" },
		"There is no session on channel PJSIP/x\nCommand");
}

TEST(no_channel)
{
	check_refused((struct asked) { NULL, "Type: message", "Text: x", "X: y" },
		"Error: Channel not specified");
}

TEST(a_type_that_does_not_exist)
{
	check_refused((struct asked) { NULL, "Channel: " CHANNEL, "Type: x", "Text: y" },
		"Error: Type must be message, context, activity or feedback");
}

TEST(a_text_that_is_not_UTF_8)
{
	check_refused((struct asked) { NULL, "Channel: " CHANNEL, "Type: message", "Text: \xe4" },
		"Error: The text is not UTF-8");
}

TEST(what_the_engine_does_not_take)
{
	check_refused((struct asked) { NULL, "Channel: " CHANNEL, "Type: message", "Text: x",
		EINVAL }, "Error: A message must have a text, of 8191 bytes at most");
}

TEST(a_conversation_that_is_not_up)
{
	check_refused((struct asked) { NULL, "Channel: " CHANNEL, "Type: message", "Text: x",
		ENOTCONN }, "Error: The conversation is not up");
}

TEST(too_much_at_once)
{
	check_refused((struct asked) { NULL, "Channel: " CHANNEL, "Type: message", "Text: x",
		ENOBUFS }, "Error: Too much waits to be sent already");
}

TEST(usage)
{
	script_begin(NULL);
	CHECK_HAS(host_cli("elevenlabs send"), "Usage: elevenlabs send message|context");
	CHECK_HAS(host_cli("elevenlabs send message"), "Usage: elevenlabs send message|context");
	CHECK_STR(host_complete("elevenlabs send "), "activity context feedback message");
	CHECK_STR(host_complete("elevenlabs send m"), "message");
	CHECK_STR(host_complete("elevenlabs send message PJSIP/x "), "");
	script_end();
}

TEST(an_action_that_is_not_registered)
{
	host_write_config("elevenlabs.conf", SCRIPT_CONFIG);
	host_fail_call("ast_manager_register2", 1);
	CHECK_INT(host_load(), AST_MODULE_LOAD_DECLINE);
	CHECK_INT(host_registrations(), 0);
	CHECK_HAS(host_log(), "ERROR Not loaded: the commands cannot be registered\n");
}

static void unload(void *data)
{
	*(int *) data = host_unload(0);
}

TEST(an_action_that_does_not_end)
{
	int unloaded = 1;

	script_begin(NULL);
	host_when_ami_answers(unload, &unloaded);
	CHECK_HAS(host_ami("ElevenLabsSend", "Type: message", NULL), "Channel not specified");
	CHECK_INT(unloaded, -1);
	CHECK(host_now() >= 5200 * MS && host_now() <= 5220 * MS);
	CHECK_INT(host_logged("Not unloaded: a command has not ended within 5000 ms"), 1);
	/* All is as it was. */
	CHECK_HAS(host_ami("ElevenLabsSend", "Type: message", NULL), "Channel not specified");
	script_end();
}

TEST(an_action_after_the_module_has_gone)
{
	script_begin(NULL);
	script_end();
	CHECK_HAS(host_ami("ElevenLabsSend", "Channel: x", NULL), "unknown command");
}
