/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What the engine is told of calls, for their records
 */

#include "call_script.h"

#include <errno.h>

#include "asterisk/rtp_engine.h"

#define RECORDED "records=yes\n"
#define HOOKED "webhook_url=https://crm.example.com/calls/\nwebhook_secret=s3cret\n"

static struct ast_channel *channel;

static void begin(const char *configuration)
{
	char text[1024];

	snprintf(text, sizeof(text), "[general]\nauth=none\n%s", configuration);
	channel = script_begin(text);
}

/*! \brief Whether the engine was told this line of a call that is over */
static int told(const char *line)
{
	char wanted[256];

	snprintf(wanted, sizeof(wanted), "%s\n", line);
	return strstr(fake.informed, wanted) != NULL;
}

TEST(a_call_that_is_not_recorded_is_told_for_memory_alone)
{
	begin("[sales]\nagent_id=a\n");
	script_hangup_at(100 * MS);
	script_run("sales");
	CHECK_INT(fake.informs, 1);
	CHECK(fake_value(fake_session(0), CONVAI_PAIR_FACT, "id") != NULL);
	CHECK(told("in_file=no") && told("for_webhook=no") && told("status=HANGUP"));
	script_end();
}

TEST(what_is_kept_in_memory_alone_costs_no_line)
{
	begin("[sales]\nagent_id=a\n");
	fake.inform_errno = EBUSY;
	script_hangup_at(100 * MS);
	script_run("sales");
	CHECK(!host_logged("not recorded"));
	script_end();
}

static void agent_has_answered(void *data)
{
	fake_answers(fake_session(0), 3, 812, 1430);
}

/*! Nobody has sent a report of what comes from here */
static const struct ast_rtp_instance_stats line = {
	.rxcount = 95, .rxploss = 5, .txjitter = 0.0125, .rtt = 0.0302, .rxjitter = 40,
};

TEST(a_call_that_is_recorded)
{
	char wanted[64];

	begin(RECORDED "[sales]\nagent_id=a\n");
	host_line(&line);
	script_metadata_at(10 * MS);
	host_at(20 * MS, agent_has_answered, NULL);
	script_hangup_at(1500 * MS);
	script_run("sales");
	CHECK_INT(fake.informs, 1);
	CHECK_STR(fake_value(fake_session(0), CONVAI_PAIR_FACT, "agent"), "sales");
	CHECK(told("in_file=yes") && told("for_webhook=no") && told("agent=sales") && told("asked_agent=sales"));
	CHECK(told("status=HANGUP") && told("direction=inbound") && told("duration_ms=1500"));
	CHECK(told("started_ms=1000000") && told("ended_ms=1001500"));
	CHECK(told("TalkedMs=1490") && told("Answers=3") && told("LatencyMs=812") && told("LatencyMaxMs=1430"));
	CHECK(told("JitterMs=12.5") && told("LossPercent=5.00") && told("RoundTripMs=30.2") && told("RemoteJitterMs="));
	/* Programs are told the id, and the same figures. */
	snprintf(wanted, sizeof(wanted), "RecordId: %s\n", fake_value(fake_session(0), CONVAI_PAIR_FACT, "id"));
	CHECK_HAS(host_events(), wanted);
	CHECK_HAS(host_events(), "Answers: 3\nLatencyMs: 812\nLatencyMaxMs: 1430\nJitterMs: 12.5\nLossPercent: 5.00\n");
	/* The id of the session's beginning is that of the end. */
	CHECK(strstr(fake.informed, fake_value(fake_session(0), CONVAI_PAIR_FACT, "id")) != NULL);
	host_line(NULL);
	script_end();
}

static void offer_step(void *data)
{
	fake_step(fake_session(0), "call", NULL, 0);
}

static void hand_over(struct ast_channel *chan, void *data)
{
	CHECK_INT(host_function_set(chan, "ELEVENLABS(end)", "TRANSFER", 1), 0);
	CHECK_INT(fake.informs, 1);
	host_dialplan_waits(chan, 2000 * MS, NULL);
}

/*! Recorded when the dialplan ends it, with all that is known by then, and not again */
TEST(a_call_that_ends_in_a_step)
{
	begin(RECORDED "[sales]\nagent_id=a\n");
	host_extension("elevenlabs-steps", "call", hand_over, NULL);
	script_metadata_at(10 * MS);
	host_at(20 * MS, agent_has_answered, NULL);
	host_at(1010 * MS, offer_step, NULL);
	script_run("sales");
	CHECK_INT(fake.informs, 1);
	CHECK(told("status=TRANSFER") && told("TalkedMs=1000") && told("Steps=1"));
	CHECK(told("Answers=3") && told("LatencyMs=812") && told("Mos="));
	script_end();
}

TEST(the_caller_is_not_named_where_he_is_not_to_be_sent)
{
	begin(RECORDED "[sales]\nagent_id=a\nsend_caller_number=no\n");
	host_channel_caller(channel, "0301234", 0);
	script_hangup_at(100 * MS);
	script_run("sales");
	CHECK(told("caller_number=") && told("caller_name="));
	script_end();
}

TEST(a_caller_for_whom_there_is_no_place)
{
	begin(RECORDED "[sales]\nagent_id=a\n");
	host_cli("elevenlabs drain on");
	script_run("sales");
	CHECK_INT(fake.opens, 0);
	CHECK_INT(fake.informs, 1);
	CHECK(told("status=LIMIT") && told("agent=sales"));
	script_end();
}

TEST(an_agent_that_there_is_not)
{
	begin(RECORDED "[sales]\nagent_id=a\n");
	script_run("slaes");
	CHECK_INT(fake.informs, 1);
	CHECK(told("status=NOAGENT") && told("asked_agent=slaes"));
	script_end();
}

static void fail_first(struct convai_session *session)
{
	if (fake.opens == 1) {
		fake_end(session, CONVAI_STATUS_UNREACHABLE, "no answer", 0);
	} else {
		fake_talk(session, CONVAI_ENCODING_ULAW, 8000);
		fake_end(session, CONVAI_STATUS_AGENT_ENDED, "bye", 0);
	}
}

TEST(two_agents_are_one_record_and_one_engine)
{
	begin(RECORDED "[sales]\nagent_id=a\nfallback_agent=desk\n[desk]\nagent_id=b\n");
	fake.opened = fail_first;
	script_run("sales");
	CHECK_INT(fake.opens, 2);
	CHECK_INT(fake.informs, 1);
	CHECK(told("asked_agent=sales") && told("agent=desk") && told("status=AGENT_ENDED"));
	CHECK_STR(fake_value(fake_session(0), CONVAI_PAIR_FACT, "id"),
		fake_value(fake_session(1), CONVAI_PAIR_FACT, "id"));
	CHECK(strstr(fake.informed, "in place of sales") != NULL);
	script_end();
}

TEST(an_engine_that_does_not_listen_costs_a_line_and_no_call)
{
	begin(RECORDED "[sales]\nagent_id=a\n");
	fake.inform_errno = EBUSY;
	script_metadata_at(10 * MS);
	script_hangup_at(100 * MS);
	script_run("sales");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "HANGUP");
	CHECK(host_logged("the end of the call is not recorded"));
	script_end();
}

TEST(the_engine_knows_where_and_for_whom)
{
	begin("records_days=7\n" HOOKED "[sales]\nagent_id=a\nwebhook_url=none\n" RECORDED);
	CHECK(!strncmp(fake.settings, "in_service=yes\nfolder=", strlen("in_service=yes\nfolder=")));
	CHECK(strstr(fake.settings, "records_days=7\nsection=general\nrecords=no\n"
			"webhook_url=https://crm.example.com/calls/\nwebhook_secret=s3cret\n") != NULL);
	CHECK(strstr(fake.settings, "section=sales\nrecords=yes\nwebhook_url=\n") != NULL);
	host_write_config("elevenlabs.conf", "[general]\nauth=none\n[desk]\nagent_id=a\n");
	host_cli("elevenlabs reload");
	CHECK(strstr(fake.settings, "section=desk\n") != NULL);
	CHECK(strstr(fake.settings, "section=sales\n") == NULL);
	script_end();
}

/* ---- Keys ---- */

static void refused(const char *configuration, const char *words)
{
	begin("[sales]\nagent_id=a\n");
	host_write_config("elevenlabs.conf", configuration);
	CHECK(strstr(host_cli("elevenlabs reload"), words) != NULL);
	script_end();
}

TEST(a_webhook_without_a_secret)
{
	refused("[general]\nwebhook_url=https://crm.example.com/\n", "webhook_url needs webhook_secret");
	refused("[sales]\nagent_id=a\nwebhook_url=https://crm.example.com/\n", "elevenlabs.conf:3 [sales]");
}

TEST(a_webhook_in_the_clear)
{
	static const char * const urls[] = {
		"http://crm.example.com/", "http://127.0.0.1.example.com/", "http://[::2]/", "ftp://h/", "https://",
		"https://user@h/", "yes",
	};
	char text[256];
	size_t i;

	for (i = 0; i < ARRAY_LEN(urls); i++) {
		snprintf(text, sizeof(text), "[general]\nwebhook_secret=x\nwebhook_url=%s\n", urls[i]);
		refused(text, "webhook_url = (not shown): allowed is an https URL");
	}
}

TEST(a_webhook_on_this_machine)
{
	begin("webhook_secret=x\nwebhook_url=http://[::1]:8080/calls\n[sales]\nagent_id=a\n");
	CHECK(strstr(fake.settings, "webhook_url=http://[::1]:8080/calls\n") != NULL);
	script_end();
}

TEST(how_long_records_are_kept_is_said_once)
{
	refused("[sales]\nagent_id=a\nrecords_days=3\n", "records_days belongs into [general]");
	refused("[general]\nrecords_days=0\n", "allowed is a whole number of days from 1 to 3650");
}
