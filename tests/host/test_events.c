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

#include "asterisk/callerid.h"	/* AST_PRES_ALLOWED */
#include "asterisk/module.h"
#include "asterisk/rtp_engine.h"

/*! What ElevenLabsEnd tells of a call in which nobody has said anything, and of a line that is not known */
#define NOTHING "CallerSpokeMs: 0\nQueued: 0\nTurns: 0\nInterruptions: 0\nSteps: 0\nToolsDone: 0\nToolsFailed: 0\n" \
	"EventsLeftOut: 0\n" \
	"Answers: 0\nLatencyMs: 0\nLatencyMaxMs: 0\n"
#define NO_LINE "JitterMs: \nLossPercent: \nRemoteJitterMs: \nRemoteLossPercent: \nRoundTripMs: \nMos: \n"
#define NOT_TALKED "TalkedMs: 0\nAgentSpokeMs: 0\n" NOTHING NO_LINE "\n"

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
		"Event: ElevenLabsStart\n" CHANNEL "Agent: sales\nConversationId: conv_fake\n"
		"Time: 1970-01-01T00:16:40.010Z\n\n"
		"Event: ElevenLabsQuality\n" CHANNEL "Agent: sales\nConversationId: conv_fake\n"
		"Time: 1970-01-01T00:16:43.500Z\n" NO_LINE "\n"
		"Event: ElevenLabsEnd\n" CHANNEL "Agent: sales\nConversationId: conv_fake\n"
		"Time: 1970-01-01T00:16:43.500Z\n"
		"Status: AGENT_ENDED\nReason: the agent 'said' so\nDetail: \nAskedAgent: sales\nRecordId: \nDuration: 3\n"
		"TalkedMs: 3490\nAgentSpokeMs: 0\n" NOTHING NO_LINE "\n");
	script_end();
}

static void agent_has_answered(void *data)
{
	fake_answers(fake_session(0), 3, 812, 1430);
}

TEST(an_end_tells_how_soon_the_agent_has_answered)
{
	script_begin(NULL);
	script_metadata_at(10 * MS);
	host_at(20 * MS, agent_has_answered, NULL);
	script_agent_ends_at(100 * MS, CONVAI_STATUS_AGENT_ENDED, "over", 0);
	script_run("sales");
	CHECK_HAS(host_events(), "Answers: 3\nLatencyMs: 812\nLatencyMaxMs: 1430\n");
	script_end();
}

#define CEL "Event: CEL\nevent: "
#define OF_CALL "Agent: sales\nConversationId: conv_fake\nTime: 1970-01-01T00:16:4"

TEST(what_cel_and_cdr_keep)
{
	struct ast_channel *channel = script_begin(NULL);

	host_keep_records(1);
	script_metadata_at(10 * MS);
	host_at(20 * MS, agent_has_answered, NULL);
	script_agent_ends_at(3500 * MS, CONVAI_STATUS_AGENT_ENDED, "over", 0);
	script_run("sales");
	CHECK_HAS(host_events(), CEL "ElevenLabsStart\nextra: " OF_CALL "0.010Z\n");
	CHECK_HAS(host_events(), CEL "ElevenLabsEnd\nextra: " OF_CALL "3.500Z\nStatus: AGENT_ENDED\n");
	CHECK(!strstr(host_events(), CEL "ElevenLabsQuality"));
	CHECK_STR(host_detail_record(), "CDR(elevenlabs)=" OF_CALL "3.500Z\nStatus: AGENT_ENDED\n"
		"TalkedMs: 3490\nQueued: 0\nSteps: 0\nLatencyMs: 812\nLatencyMaxMs: 1430\n");
	host_keep_records(0);
	host_exec(channel, "ElevenLabsConvAI", "nobody");
	CHECK(!strstr(host_events(), "extra: Agent: nobody"));
	CHECK_STR(host_detail_record(), "");
	script_end();
}

TEST(an_agent_that_could_not_be_had_has_an_end_alone)
{
	script_begin(NULL);
	script_agent_ends_at(100 * MS, CONVAI_STATUS_UNREACHABLE, "away", 0);
	script_run("sales");
	CHECK_STR(host_events(), "Event: ElevenLabsEnd\n" CHANNEL "Agent: sales\n"
		"ConversationId: \nTime: 1970-01-01T00:16:40.100Z\n"
		"Status: UNREACHABLE\nReason: away\nDetail: \nAskedAgent: sales\nRecordId: \nDuration: 0\n" NOT_TALKED);
	script_end();
}

TEST(an_agent_that_does_not_exist)
{
	script_begin(NULL);
	script_run("nobody");
	CHECK_STR(host_events(), "Event: ElevenLabsEnd\n" CHANNEL "Agent: nobody\n"
		"ConversationId: \nTime: 1970-01-01T00:16:40.000Z\nStatus: NOAGENT\n"
		"Reason: there is no such agent in elevenlabs.conf\nDetail: nobody\nAskedAgent: nobody\nRecordId: \nDuration: 0\n" NOT_TALKED);
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

/*! \brief K10: line ends in a number make no fields: not those of others, nor any that come later */
TEST(a_number_with_line_ends_is_one_field)
{
	static const char number[] = "1\r\nUniqueid: 2\r\nCallerIDName: x\n\nForged: 3";
	struct ast_channel *channel = script_begin(NULL);

	host_channel_caller(channel, number, AST_PRES_ALLOWED);
	host_event_caller(number);
	script_agent_ends_at(100 * MS, CONVAI_STATUS_UNREACHABLE, "away", 0);
	script_run("sales");
	host_event_caller("");
	CHECK_STR(host_events(), "Event: ElevenLabsEnd\n"
		"CallerIDNum: 1  Uniqueid: 2  CallerIDName: x  Forged: 3\n" CHANNEL "Agent: sales\n"
		"ConversationId: \nTime: 1970-01-01T00:16:40.100Z\n"
		"Status: UNREACHABLE\nReason: away\nDetail: \nAskedAgent: sales\nRecordId: \nDuration: 0\n" NOT_TALKED);
	script_end();
}

static const struct convai_argument told[] = {
	{ "Speaker", "caller" }, { "Text", "hello\r\nEvent: Hangup\r\n\r\nx\x1b[2J" }, { "Final", "1" },
};

static void tell(void *data)
{
	fake_event(fake_session(0), CONVAI_EVENT_TRANSCRIPT, told, 3);
	fake_event(fake_session(0), CONVAI_EVENT_COUNT, told, 3);	/* of a later contract, say */
}

/*! \brief What the engine has is told with its own time, between start and end, and forges nothing */
TEST(what_the_engine_tells)
{
	script_begin(NULL);
	script_metadata_at(10 * MS);
	host_at(100 * MS, tell, NULL);
	script_hangup_at(200 * MS);
	script_run("sales");
	CHECK_HAS(host_events(), "Time: 1970-01-01T00:16:40.010Z\n\n"
		"Event: ElevenLabsTranscript\n" CHANNEL "Agent: sales\nConversationId: conv_fake\n"
		"Time: 2023-11-14T22:13:20.123Z\n"
		"Speaker: caller\nText: hello  Event: Hangup    x [2J\nFinal: 1\n\n"
		"Event: ElevenLabsQuality\n");
	script_end();
}

/*! \brief The agent ends the conversation in the moment in which it has told something */
static void tell_and_end(void *data)
{
	fake_event(fake_session(0), CONVAI_EVENT_SPOKEN, told, 1);
	fake_end(fake_session(0), CONVAI_STATUS_AGENT_ENDED, "over", CONVAI_PLAY_OUT_NONE);
}

TEST(what_comes_with_the_end_is_told_before_it)
{
	script_begin(NULL);
	script_metadata_at(10 * MS);
	host_at(100 * MS, tell_and_end, NULL);
	script_run("sales");
	CHECK(strstr(host_events(), "Event: ElevenLabsSpoken\n")
		< strstr(host_events(), "Event: ElevenLabsEnd\n"));
	CHECK_HAS(host_events(), "Event: ElevenLabsSpoken\n");
	script_end();
}

TEST(applications_of_ARI_are_told_where_the_agent_says_so)
{
	script_begin("[general]\nauth=none\n[sales]\nagent_id=x\nari_events=yes\n");
	script_metadata_at(10 * MS);
	script_hangup_at(100 * MS);
	script_run("sales");
	CHECK_HAS(host_events(), "Event: UserEvent\nAgent: sales\nConversationId: conv_fake\n"
		"Time: 1970-01-01T00:16:40.010Z\neventname: ElevenLabsStart\n"
		"Channel: PJSIP/caller-00000001\nUniqueid: 1700000000.1\nLinkedid: ");
	CHECK_HAS(host_events(), "eventname: ElevenLabsEnd\n");
	script_end();
}

static const struct ast_rtp_instance_stats good = {
	.txcount = 1000, .rxcount = 950, .txploss = 20, .rxploss = 50, .txjitter = 0.0125, .rxjitter = 0.004,
	.rtt = 0.0302,
};
static const struct ast_rtp_instance_stats awful = { .rxcount = 10, .rxploss = 90, .txjitter = 0.5 };
/*! What the formula gives for this is less than the worst that there is */
static const struct ast_rtp_instance_stats bad = { .rxcount = 64, .rxploss = 36 };
/*! As Asterisk 16, and 18 before 18.17, have it: in samples */
static const struct ast_rtp_instance_stats old = { .txcount = 1000, .rxcount = 950, .rxjitter = 40, .rtt = 0.02 };
static const struct ast_rtp_instance_stats doubled = { .rxcount = 10, .rxploss = (unsigned int) -3 };
/*! A device that says that it has had a report for longer than that was under way */
static const struct ast_rtp_instance_stats below_zero = { .txcount = 10, .rxcount = 10, .rtt = 65535.98 };
static const struct ast_rtp_instance_stats no_rtcp;

static void check_line(const struct ast_rtp_instance_stats *line, const char *fields)
{
	script_begin(NULL);
	host_line(line);
	script_metadata_at(10 * MS);
	script_hangup_at(100 * MS);
	script_run("sales");
	CHECK_HAS(host_events(), fields);
	host_line(NULL);
	script_end();
}

/*! \brief Asterisk calls what it measures itself txjitter; a round trip of 0 means that no report came */
TEST(the_line)
{
	check_line(&good, "JitterMs: 12.5\nLossPercent: 5.00\nRemoteJitterMs: 4.0\nRemoteLossPercent: 2.00\n"
		"RoundTripMs: 30.2\nMos: 3.99\n");
	check_line(&awful, "JitterMs: 500.0\nLossPercent: 90.00\nRemoteJitterMs: \nRemoteLossPercent: \n"
		"RoundTripMs: \nMos: 1.00\n");
	check_line(&bad, "LossPercent: 36.00\nRemoteJitterMs: \nRemoteLossPercent: \nRoundTripMs: \nMos: 1.00\n");
	check_line(&old, "LossPercent: 0.00\nRemoteJitterMs: \nRemoteLossPercent: 0.00\nRoundTripMs: 20.0\n");
	check_line(&doubled, "JitterMs: 0.0\nLossPercent: 0.00\n");
	check_line(&below_zero, "RemoteLossPercent: 0.00\nRoundTripMs: \nMos: 4.40\n");
	check_line(&no_rtcp, NO_LINE);
}

TEST(the_line_is_told_of_now_and_then)
{
	const char *event;
	unsigned int count = 0;

	script_begin(NULL);
	host_line(&good);
	script_metadata_at(10 * MS);
	script_hangup_at(65000 * MS);
	script_run("sales");
	host_line(NULL);
	for (event = host_events(); (event = strstr(event, "Event: ElevenLabsQuality\n")); event++) {
		count++;
	}
	CHECK_INT(count, 3);
	script_end();
}
