/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The actions of AMI: lists, what they do, what they refuse, and who may
 */

#include "call_script.h"

#include "asterisk/manager.h"
#include "asterisk/module.h"

#define CHANNEL "PJSIP/caller-00000001"

/*! What was asked during the call, and the answer */
struct asked {
	const char *action, *header;
	char output[4096];
};

static void ask(void *data)
{
	struct asked *asked = data;

	snprintf(asked->output, sizeof(asked->output), "%s",
		host_ami(asked->action, asked->header, NULL));
}

static void during_a_call(struct asked *asked)
{
	script_begin(NULL);
	script_metadata_at(10 * MS);
	script_say_at(100 * MS, 800);
	host_at(1500 * MS, ask, asked);
	if (strcmp(asked->action, "ElevenLabsHangup")) {
		script_hangup_at(3000 * MS);
	}
	script_run("sales");
}

TEST(agents)
{
	script_begin("[general]\nauth=none\n[sales]\nagent_id=agent_1\nmax_sessions=3\n"
		"[support]\nagent_id=agent_2\nauth=signed_url\napi_key=sk_secret\n");
	CHECK_STR(host_ami("ElevenLabsAgents", "ActionID: 7", NULL),
		"Response: Success\r\nEventList: start\r\nMessage: Agents follow\r\n\r\n"
		"Event: ElevenLabsAgent\r\nActionID: 7\r\nAgent: sales\r\nAgentId: agent_1\r\n"
		"Host: api.elevenlabs.io\r\nAuth: none\r\nSessions: 0\r\nMaxSessions: 3\r\nTotal: 0\r\nSource: file\r\n\r\n"
		"Event: ElevenLabsAgent\r\nActionID: 7\r\nAgent: support\r\nAgentId: agent_2\r\n"
		"Host: api.elevenlabs.io\r\nAuth: signed_url\r\nSessions: 0\r\nMaxSessions: 0\r\nTotal: 0\r\nSource: file\r\n\r\n"
		"Event: ElevenLabsAgentsComplete\r\nEventList: Complete\r\nListItems: 2\r\n\r\n");
	script_end();
}

TEST(sessions)
{
	struct asked asked = { "ElevenLabsSessions", "ActionID: a" };

	during_a_call(&asked);
	CHECK_HAS(asked.output, "Event: ElevenLabsSession\r\nActionID: a\r\nChannel: " CHANNEL "\r\n"
		"Uniqueid: 1700000000.1\r\nLinkedid: ");
	CHECK_HAS(asked.output, "Agent: sales\r\nConversationId: conv_fake\r\nState: talking\r\nDuration: 1\r\n");
	CHECK_HAS(asked.output, "SpokenMs: 100\r\nInterruptions: 0\r\nQueued: 0\r\nOnHold: 0\r\nSteps: 0\r\n\r\n");
	CHECK_HAS(asked.output, "ListItems: 1\r\n");
	CHECK_HAS(host_ami("ElevenLabsSessions", NULL), "ListItems: 0\r\n");
	script_end();
}

TEST(one_session_and_no_other)
{
	struct asked asked = { "ElevenLabsSessions", "Channel: PJSIP/other-00000002" };

	during_a_call(&asked);
	CHECK_HAS(asked.output, "ListItems: 0\r\n");
	script_end();
}

TEST(hang_up_a_call)
{
	struct asked asked = { "ElevenLabsHangup", "Channel: pjsip/CALLER-00000001" };

	during_a_call(&asked);
	CHECK_STR(asked.output, "Success: 1 call hung up");
	CHECK_HAS(host_events(), "Reason: hung up by a command or a program");
	CHECK_STR(host_ami("ElevenLabsHangup", "Channel: " CHANNEL, NULL),
		"Error: There is no session on channel " CHANNEL);
	CHECK_STR(host_ami("ElevenLabsHangup", "Channel: all", NULL), "Success: 0 calls hung up");
	CHECK_STR(host_ami("ElevenLabsHangup", NULL), "Error: Channel not specified: that of a call, or all");
	script_end();
}

TEST(reload_names_the_first_fault)
{
	script_begin(NULL);
	CHECK_STR(host_ami("ElevenLabsReload", NULL), "Success: elevenlabs.conf reloaded");
	host_write_config("elevenlabs.conf", "[a]\nagent_id=x\nauth=no\ndtmf=maybe\n");
	CHECK_HAS(host_ami("ElevenLabsReload", NULL), "Error: ElevenLabs configuration not reloaded: "
		"2 faults; the old one stays in use. elevenlabs.conf:3 [a]: auth = no: allowed is ");
	script_end();
}

TEST(drain_and_admit_again)
{
	script_begin(NULL);
	CHECK_STR(host_ami("ElevenLabsDrain", "Drain: maybe", NULL), "Error: Drain must be on or off");
	CHECK_STR(host_ami("ElevenLabsDrain", "Drain: ON", NULL), "Response: Success\r\n"
		"Message: Drained: no new calls, and no session is left\r\nSessions: 0\r\n\r\n");
	script_run("sales");
	CHECK_HAS(host_events(), "Status: LIMIT\n");
	CHECK_HAS(host_ami("ElevenLabsDrain", "Drain: off", NULL), "Message: Not draining: ");
	script_end();
}

static void talk(struct convai_session *session)
{
	fake_talk(session, CONVAI_ENCODING_ULAW, 8000);
}

TEST(test_an_agent)
{
	script_begin(NULL);
	fake.opened = talk;
	CHECK_STR(host_ami("ElevenLabsTest", "Agent: SALES", NULL), "Response: Success\r\n"
		"Message: Agent sales: OK, conv_fake after 0 ms; it hears ulaw 8000 Hz and speaks ulaw 8000 Hz\r\n"
		"Agent: sales\r\nConversationId: conv_fake\r\nElapsedMs: 0\r\nHears: ulaw 8000 Hz\r\n"
		"Speaks: ulaw 8000 Hz\r\nFull: 0\r\n\r\n");
	CHECK_STR(host_ami("ElevenLabsTest", "Agent: nobody", NULL), "Response: Error\r\n"
		"Message: Agent nobody: FAILED, NOAGENT: there is no such agent in elevenlabs.conf\r\n"
		"Agent: nobody\r\nStatus: NOAGENT\r\nReason: there is no such agent in elevenlabs.conf\r\n"
		"Detail: \r\n\r\n");
	CHECK_STR(host_ami("ElevenLabsTest", NULL), "Error: Agent not specified: a section of elevenlabs.conf");
	script_end();
}

/*! \brief An engine that never answers holds the program up for connect_timeout and 3 s */
TEST(test_an_agent_that_never_answers)
{
	int64_t began;

	script_begin("[general]\nauth=none\nconnect_timeout=5\n[sales]\nagent_id=x\n");
	began = host_now();
	CHECK_HAS(host_ami("ElevenLabsTest", "Agent: sales", NULL), "Status: ERROR\r\n"
		"Reason: the engine does not answer\r\n");
	CHECK(host_now() - began <= 8100 * MS);
	script_end();
}

TEST(who_may)
{
	script_begin(NULL);
	CHECK_INT(host_action_authority("ElevenLabsAgents"), EVENT_FLAG_SYSTEM | EVENT_FLAG_REPORTING);
	CHECK_INT(host_action_authority("ElevenLabsSessions"), EVENT_FLAG_SYSTEM | EVENT_FLAG_REPORTING);
	CHECK_INT(host_action_authority("ElevenLabsSend"), EVENT_FLAG_CALL);
	CHECK_INT(host_action_authority("ElevenLabsHangup"), EVENT_FLAG_SYSTEM | EVENT_FLAG_CALL);
	CHECK_INT(host_action_authority("ElevenLabsReload"), EVENT_FLAG_SYSTEM);
	CHECK_INT(host_action_authority("ElevenLabsDrain"), EVENT_FLAG_SYSTEM);
	CHECK_INT(host_action_authority("ElevenLabsTest"), EVENT_FLAG_SYSTEM);
	script_end();
	CHECK_INT(host_action_authority("ElevenLabsTest"), -1);
}
