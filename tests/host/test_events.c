/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The events of AMI: when they come, and what they say
 */

#include "call_script.h"

#include "asterisk/module.h"

/*! What the host has of the channel; what comes from the network is not UTF-8 */
#define CHANNEL "CallerIDName: J?ger\nUniqueid: 1700000000.1\n" \
	"ChanVariable: a=1\r\nChanVariable: b=C?\n"

TEST(a_conversation_has_a_start_and_an_end)
{
	script_begin(NULL);
	script_metadata_at(10 * MS);
	script_agent_ends_at(3500 * MS, CONVAI_STATUS_AGENT_ENDED, "the\r\nagent \"said\" so", 0);
	script_run("sales");
	CHECK_STR(host_events(),
		"Event: ElevenLabsStart\n" CHANNEL "Agent: sales\nConversationId: conv_fake\n\n"
		"Event: ElevenLabsEnd\n" CHANNEL "Agent: sales\nConversationId: conv_fake\n"
		"Status: AGENT_ENDED\nReason: the  agent \"said\" so\nDuration: 3\n\n");
	script_end();
}

TEST(an_agent_that_could_not_be_had_has_an_end_alone)
{
	script_begin(NULL);
	script_agent_ends_at(100 * MS, CONVAI_STATUS_UNREACHABLE, "away", 0);
	script_run("sales");
	CHECK_STR(host_events(), "Event: ElevenLabsEnd\n" CHANNEL "Agent: sales\n"
		"ConversationId: \nStatus: UNREACHABLE\nReason: away\nDuration: 0\n\n");
	script_end();
}

TEST(an_agent_that_does_not_exist)
{
	script_begin(NULL);
	script_run("nobody");
	CHECK_STR(host_events(), "Event: ElevenLabsEnd\n" CHANNEL "Agent: nobody\n"
		"ConversationId: \nStatus: NOAGENT\n"
		"Reason: there is no agent \"nobody\" in elevenlabs.conf\nDuration: 0\n\n");
	script_end();
}

TEST(a_second_agent_has_the_end_and_the_reason_names_both)
{
	script_begin("[a]\nagent_id=x\napi_key=k\nfallback_agent=b\n"
		"[b]\nagent_id=y\napi_key=k\n");
	script_agent_ends_at(100 * MS, CONVAI_STATUS_UNREACHABLE, "away", 0);
	script_metadata_at(200 * MS);
	script_hangup_at(1000 * MS);
	script_run("a");
	CHECK_HAS(host_events(), "Event: ElevenLabsStart\n" CHANNEL "Agent: b\n");
	CHECK_HAS(host_events(), "Event: ElevenLabsEnd\n" CHANNEL "Agent: b\n");
	CHECK_HAS(host_events(), "Reason: the caller hung up (agent b, in place of a, "
		"UNREACHABLE: away)\n");
	script_end();
}
