/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The commands: what they print, refuse and complete
 */

#include "call_script.h"

#include "asterisk/pbx.h"

#define CHANNEL "PJSIP/caller-00000001"

/*! What was typed during the call, and what it printed */
struct typed {
	const char *line;
	char output[8192];
};

static void type(void *data)
{
	struct typed *typed = data;

	snprintf(typed->output, sizeof(typed->output), "%s", host_cli(typed->line));
}

static void complete(void *data)
{
	struct typed *typed = data;

	snprintf(typed->output, sizeof(typed->output), "%s", host_complete(typed->line));
}

/* ---- Without calls ---- */

TEST(show_agents)
{
	const char *output;

	script_begin("[general]\nauth=none\n[sales]\nagent_id=agent_1\nbase_url=eu\n"
		"[support]\nagent_id=agent_2\nauth=signed_url\napi_key=sk_secret\n"
		"send_caller_number=no\nbase_url=http://127.0.0.1:8765/sub\n");
	output = host_cli("elevenlabs show agents");
	CHECK_HAS(output, "Name                 Agent ID                         Host");
	CHECK_HAS(output, "sales                agent_1                          "
		"api.eu.residency.elevenlabs.io   none       sent       0       0\n");
	CHECK_HAS(output, "support              agent_2                          "
		"127.0.0.1:8765                   signed_url kept       0       0\n");
	CHECK_HAS(output, "2 agents, 0 sessions now, 0 in all\n");
	CHECK(!strstr(output, "sk_secret"));
	script_end();
}

TEST(show_agents_without_any)
{
	script_begin("");
	CHECK_HAS(host_cli("elevenlabs show agents"), "0 agents, 0 sessions now, 0 in all\n");
	script_end();
}

TEST(show_sessions_without_any)
{
	script_begin(NULL);
	CHECK_HAS(host_cli("elevenlabs show sessions"), "\n0 sessions\n");
	script_end();
}

TEST(show_version)
{
	const char *output;

	script_begin(NULL);
	output = host_cli("elevenlabs show version");
	CHECK_HAS(output, "0.host");
	CHECK_HAS(output, "Engine:    0.0, build build-0, from ");
	CHECK_HAS(output, "app_elevenlabs_convai.d/build-0\n1 generation alive:\n");
	CHECK_HAS(output, "0 (fake)");
	CHECK_HAS(output, "mock");
	script_end();
}

TEST(show_stats)
{
	struct convai_timing *gap = &fake.timings.timings[CONVAI_TIMING_GAP];
	struct convai_timing *tick = &fake.timings.timings[CONVAI_TIMING_TICK];
	const char *output;

	script_begin(NULL);
	fake.timings.upper_us[0] = 400;
	fake.timings.upper_us[7] = 20479;
	fake.timings.upper_us[CONVAI_TIMING_BUCKETS - 1] = 16777215;
	tick->counts[0] = 1;
	tick->max_us = 349;
	gap->counts[7] = 98;
	gap->counts[CONVAI_TIMING_BUCKETS - 1] = 2;
	gap->max_us = 16500000;
	output = host_cli("elevenlabs show stats");
	CHECK_HAS(output, "Times in ms                                           Count        p50        "
		"p99        Max\n");
	CHECK_HAS(output, "The engine's tick, behind its time                        1       0.35       "
		"0.35       0.35\n");
	CHECK_HAS(output, "Caller's frame read, until given to the socket            0          -          "
		"-          -\n");
	CHECK_HAS(output, "From one frame of the agent's to the next               100      20.48   "
		"16500.00   16500.00\n");
	gap->counts[7] = 198;
	CHECK_HAS(host_cli("elevenlabs show stats"), "200      20.48      20.48   16500.00\n");
	CHECK_STR(host_cli("elevenlabs show stats buckets"), "tick 349  400:1\nuplink 0 \n"
		"downlink 0 \ninterruption 0 \ngap 16500000  20479:198 16777215:2\nturn 0 \n");
	script_end();
}

TEST(show_stats_of_one_agent)
{
	struct convai_timing *turn = &fake.timings.timings[CONVAI_TIMING_TURN];

	script_begin(NULL);
	fake.timed_agent = "sales";
	fake.timings.upper_us[7] = 819199;
	turn->counts[7] = 3;
	turn->max_us = 815000;
	CHECK_HAS(host_cli("elevenlabs show stats SALES"), "Caller's last word read, until the agent's first "
		"         3     815.00     815.00     815.00\n");
	CHECK(!strstr(host_cli("elevenlabs show stats sales"), "tick"));
	CHECK_STR(host_cli("elevenlabs show stats sales buckets"),
		"uplink 0 \ndownlink 0 \ninterruption 0 \ngap 0 \nturn 815000  819199:3\n");
	CHECK_HAS(host_cli("elevenlabs show stats support"),
		"The engine in service has had no call with an agent support\n");
	script_end();
}

TEST(show_stats_of_an_engine_that_has_failed)
{
	script_begin(NULL);
	fake.builds[0].fails = 1;
	CHECK_HAS(host_cli("elevenlabs show stats"), "No engine is in service\n");
	CHECK_HAS(host_cli("elevenlabs show stats buckets"), "failed");
	script_end();
}

TEST(reload)
{
	script_begin(NULL);
	CHECK_HAS(host_cli("elevenlabs reload"), "reloaded successfully: 1 agent\n");
	host_write_config("elevenlabs.conf", "[a]\nagent_id=x\nauth=none\n[b]\nagent_id=y\nauth=no\n");
	CHECK_HAS(host_cli("elevenlabs reload"),
		"ERROR: elevenlabs.conf:6 [b]: auth = no: allowed is");
	CHECK_HAS(host_cli("elevenlabs reload"), "Command 'elevenlabs reload' failed.");
	/* What is wrong goes to who asked, not to the log. */
	CHECK_INT(host_logged("auth = no"), 0);
	CHECK_HAS(host_cli("elevenlabs show agents"), "sales ");
	host_write_config("elevenlabs.conf", "[a]\nagent_id=x\nauth=none\n[b]\nagent_id=y\n");
	CHECK_HAS(host_cli("elevenlabs reload"), "WARNING: elevenlabs.conf:5 [b]: calls will");
	CHECK_HAS(host_cli("elevenlabs reload"), "reloaded successfully: 2 agents\n");
	script_end();
}

TEST(debug)
{
	script_begin(NULL);
	CHECK_STR(host_cli("elevenlabs debug on"), "ElevenLabs debug enabled\n");
	CHECK_INT(fake.builds[0].debug, 1);
	CHECK_STR(host_cli("elevenlabs debug OFF"), "ElevenLabs debug disabled\n");
	CHECK_INT(fake.builds[0].debug, 0);
	CHECK_STR(host_cli("elevenlabs set debug on"), "ElevenLabs debug enabled\n");
	CHECK_INT(fake.builds[0].debug, 1);
	CHECK_STR(host_cli("elevenlabs set debug off"), "ElevenLabs debug disabled\n");
	CHECK_INT(fake.builds[0].debug, 0);
	script_end();
}

TEST(hangup_without_calls)
{
	script_begin(NULL);
	CHECK_STR(host_cli("elevenlabs hangup all"), "0 calls hung up\n");
	CHECK_HAS(host_cli("elevenlabs hangup PJSIP/x"),
		"There is no session on channel PJSIP/x\nCommand");
	script_end();
}

TEST(show_session_without_calls)
{
	script_begin(NULL);
	CHECK_HAS(host_cli("elevenlabs show session PJSIP/x"), "PJSIP/x");
	CHECK_HAS(host_cli("elevenlabs show session PJSIP/x"), "failed");
	script_end();
}

TEST(usage)
{
	static const char * const lines[][2] = {
		{ "elevenlabs show agents x", "Usage: elevenlabs show agents\n" },
		{ "elevenlabs show sessions x", "Usage: elevenlabs show sessions\n" },
		{ "elevenlabs show session", "Usage: elevenlabs show session <channel>\n" },
		{ "elevenlabs show session a b", "Usage: elevenlabs show session <channel>\n" },
		{ "elevenlabs show stats x y", "Usage: elevenlabs show stats [agent] [buckets]\n" },
		{ "elevenlabs show stats buckets x", "Usage: elevenlabs show stats [agent] [buckets]\n" },
		{ "elevenlabs show version x", "Usage: elevenlabs show version\n" },
		{ "elevenlabs reload x", "Usage: elevenlabs reload\n" },
		{ "elevenlabs debug", "Usage: elevenlabs debug on|off [channel]\n" },
		{ "elevenlabs debug maybe", "Usage: elevenlabs debug on|off [channel]\n" },
		{ "elevenlabs debug x on", "Usage: elevenlabs debug on|off [channel]\n" },
		{ "elevenlabs debug on a b", "Usage: elevenlabs debug on|off [channel]\n" },
		{ "elevenlabs set debug", "Usage: elevenlabs set debug on|off [channel]\n" },
		{ "elevenlabs set debug x", "Usage: elevenlabs set debug on|off [channel]\n" },
		{ "elevenlabs set debug on a b", "Usage: elevenlabs set debug on|off [channel]\n" },
		{ "elevenlabs hangup", "Usage: elevenlabs hangup <channel>|all\n" },
		{ "elevenlabs drain", "Usage: elevenlabs drain on|off\n" },
		{ "elevenlabs drain x", "Usage: elevenlabs drain on|off\n" },
		{ "elevenlabs drain on x", "Usage: elevenlabs drain on|off\n" },
		{ "elevenlabs test agent", "Usage: elevenlabs test agent <name>\n" },
		{ "elevenlabs test agent a b", "Usage: elevenlabs test agent <name>\n" },
		{ "elevenlabs hangup a b", "Usage: elevenlabs hangup <channel>|all\n" },
	};
	size_t i;

	script_begin(NULL);
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		CHECK_HAS(host_cli(lines[i][0]), lines[i][1]);
	}
	CHECK_INT(fake.builds[0].debug, 0);
	script_end();
}

TEST(completion_without_calls)
{
	script_begin(NULL);
	CHECK_STR(host_complete("elevenlabs debug "), "off on");
	CHECK_STR(host_complete("elevenlabs debug of"), "off");
	CHECK_STR(host_complete("elevenlabs debug on "), "");
	CHECK_STR(host_complete("elevenlabs set debug o"), "off on");
	CHECK_STR(host_complete("elevenlabs drain "), "off on");
	CHECK_STR(host_complete("elevenlabs test agent "), "sales");
	CHECK_STR(host_complete("elevenlabs test agent x"), "");
	CHECK_STR(host_complete("elevenlabs test agent sales "), "");
	CHECK_STR(host_complete("elevenlabs hangup "), "all");
	CHECK_STR(host_complete("elevenlabs hangup x"), "");
	CHECK_STR(host_complete("elevenlabs show session "), "");
	CHECK_STR(host_complete("elevenlabs show agents "), "");
	CHECK_STR(host_complete("elevenlabs show stats "), "buckets sales");
	CHECK_STR(host_complete("elevenlabs show stats sales "), "buckets");
	CHECK_STR(host_complete("elevenlabs show stats sales buckets "), "");
	CHECK_STR(host_complete("elevenlabs reload "), "");
	script_end();
}

/* ---- With a call ---- */

TEST(show_sessions_while_connecting_and_talking)
{
	struct typed connecting = { "elevenlabs show sessions" };
	struct typed talking = { "elevenlabs show sessions" };
	struct typed agents = { "elevenlabs show agents" };
	struct ast_channel *channel = script_begin(NULL);

	host_at(500 * MS, type, &connecting);
	script_metadata_at(1010 * MS);
	host_channel_talk(channel, 0, 70000 * MS, 20 * MS, 20 * MS);
	script_say_at(1100 * MS, 16000);
	host_at(65000 * MS, type, &talking);
	host_at(65000 * MS, type, &agents);
	script_hangup_at(66000 * MS);
	script_run("sales");
	CHECK_HAS(connecting.output, CHANNEL "            sales                -   ");
	CHECK_HAS(connecting.output, "connecting   0:00:00    0.0 s    0.0 s    0.0 s\n1 session\n");
	CHECK_HAS(talking.output, "conv_fake  ");
	CHECK_HAS(talking.output, "talking      0:01:05   65.0 s    2.0 s    0.0 s\n1 session\n");
	CHECK_HAS(agents.output, "     1       1\n1 agent, 1 session now, 1 in all\n");
	script_end();
}

#define LONG_CHANNEL "PJSIP/a-trunk-whose-name-is-long-0000abcd"
#define LONG_AGENT "agent-of-the-sales-department"

static void move(void *data)
{
	host_channel_masquerade(data, LONG_CHANNEL, ast_format_ulaw, "");
}

TEST(show_sessions_with_long_names)
{
	struct typed shown = { "elevenlabs show sessions" };
	struct ast_channel *channel =
		script_begin("[" LONG_AGENT "]\nauth=none\nagent_id=a\n");

	script_metadata_at(10 * MS);
	host_at(500 * MS, move, channel);
	host_at(1000 * MS, type, &shown);
	script_hangup_at(1500 * MS);
	script_run(LONG_AGENT);
	CHECK_HAS(shown.output, "\n" LONG_CHANNEL " " LONG_AGENT " conv_fake  ");
	script_end();
}

TEST(show_session_before_and_when_an_agent_is_there)
{
	struct typed connecting = { "elevenlabs show session " CHANNEL };
	struct typed talking = { "elevenlabs show session " CHANNEL };
	struct typed speaking = { "elevenlabs show session " CHANNEL };

	script_begin(NULL);
	host_at(500 * MS, type, &connecting);
	script_metadata_at(1000 * MS);
	host_at(1500 * MS, type, &talking);
	script_say_at(2000 * MS, 16000);
	host_at(2500 * MS, type, &speaking);
	script_hangup_at(3000 * MS);
	script_run("sales");
	CHECK_HAS(connecting.output, "Began:            conversation not yet, agent heard not yet\n");
	CHECK_HAS(talking.output, "Began:            conversation after 1000.0 ms, agent heard not yet\n");
	CHECK_HAS(speaking.output, "Began:            conversation after 1000.0 ms, agent heard after 20");
	script_end();
}

static void agent_has_answered(void *data)
{
	fake_answers(fake_session(0), 3, 812, 1430);
}

TEST(show_session_with_all_counters)
{
	struct typed shown = { "elevenlabs show session pjsip/CALLER-00000001" };
	struct ast_channel *channel = script_begin(NULL);

	script_formats_at(10 * MS, CONVAI_ENCODING_SLIN, 16000);
	host_channel_talk(channel, 5 * MS, 500 * MS, 20 * MS, 20 * MS);
	script_say_at(100 * MS, 32000);
	script_interrupt_at(605 * MS);
	host_at(1400 * MS, agent_has_answered, NULL);
	host_at(1500 * MS, type, &shown);
	script_hangup_at(2000 * MS);
	script_run("sales");
	CHECK_HAS(shown.output, "Channel:          " CHANNEL "\n");
	CHECK_HAS(shown.output, "Agent:            sales\n");
	CHECK_HAS(shown.output, "Conversation:     conv_fake\n");
	CHECK_HAS(shown.output, "State:            talking, for 0:00:01 in all\n");
	CHECK_HAS(shown.output, "agent hears pcm 16000 Hz, speaks pcm 16000 Hz\n");
	CHECK_HAS(shown.output, "Spoken:           0.5");
	CHECK_HAS(shown.output, " s of 1.00 s received\n");
	CHECK_HAS(shown.output, "Interruptions:    1\n");
	CHECK_HAS(shown.output, "Turns:            3 answered, after 812 ms (median) and at worst 1430 ms\n");
	CHECK_HAS(shown.output, "Frames read:      25 voice, 0 that could not be translated\n");
	script_end();
}

TEST(show_session_while_a_farewell_is_played)
{
	struct typed shown = { "elevenlabs show session " CHANNEL };

	script_begin(NULL);
	script_metadata_at(10 * MS);
	script_say_at(100 * MS, 16000);
	script_agent_ends_at(300 * MS, CONVAI_STATUS_AGENT_ENDED, "bye", 1);
	host_at(1000 * MS, type, &shown);
	script_run("sales");
	CHECK_HAS(shown.output, "State:            ending, for");
	script_end();
}

TEST(completion_with_a_call)
{
	struct typed hangup = { "elevenlabs hangup " };
	struct typed partly = { "elevenlabs hangup pj" };
	struct typed show = { "elevenlabs show session P" };
	struct typed other = { "elevenlabs show session Local" };

	script_begin(NULL);
	host_at(100 * MS, complete, &hangup);
	host_at(100 * MS, complete, &partly);
	host_at(100 * MS, complete, &show);
	host_at(100 * MS, complete, &other);
	script_hangup_at(200 * MS);
	script_run("sales");
	CHECK_STR(hangup.output, CHANNEL " all");
	CHECK_STR(partly.output, CHANNEL);
	CHECK_STR(show.output, CHANNEL);
	CHECK_STR(other.output, "");
	script_end();
}

static void check_hangup(const char *line)
{
	struct typed hangup = { line };
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(10 * MS);
	host_at(500 * MS, type, &hangup);
	CHECK_INT(script_run("sales"), -1);
	CHECK_STR(hangup.output, "1 call hung up\n");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "HANGUP");
	CHECK_STR(host_variable(channel, "ELEVENLABSREASON"), "hung up by a command or a program");
	script_end();
}

TEST(hangup_of_a_channel)
{
	check_hangup("elevenlabs hangup " CHANNEL);
}

TEST(hangup_of_all)
{
	check_hangup("elevenlabs hangup all");
}

TEST(hangup_of_another_channel)
{
	struct typed hangup = { "elevenlabs hangup PJSIP/other" };
	struct ast_channel *channel = script_begin(NULL);

	host_at(500 * MS, type, &hangup);
	script_agent_ends_at(600 * MS, CONVAI_STATUS_AGENT_ENDED, "done", 0);
	script_run("sales");
	CHECK_HAS(hangup.output, "There is no session on channel PJSIP/other\n");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "AGENT_ENDED");
	script_end();
}

TEST(show_sessions_while_answering)
{
	struct typed sessions = { "elevenlabs show sessions" };
	struct typed session = { "elevenlabs show session " CHANNEL };
	struct ast_channel *channel = script_begin(NULL);

	host_channel_answer_takes(channel, 1000 * MS);
	host_at(500 * MS, type, &sessions);
	host_at(500 * MS, type, &session);
	script_hangup_at(2000 * MS);
	script_run("sales");
	CHECK_HAS(sessions.output, "connecting");
	CHECK_HAS(session.output, "Conversation:     -\n");
	script_end();
}
