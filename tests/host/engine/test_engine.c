/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The module with its real engine in a real Python, in the host, in real time
 *
 * HOST_MODULE_DIR is where the engine is installed, HOST_AGENT_URL a mock agent.
 */

#include "host.h"

#include "asterisk/module.h"

/*! Longest that a call here may take to end */
#define LIMIT_US (20000 * MS)

static struct ast_channel *load(const char *url)
{
	char text[512];

	snprintf(text, sizeof(text), "[sales]\nagent_id=agent_1\nauth=none\nbase_url=%s\n"
		"connect_attempts=1\n", url);
	host_write_config("elevenlabs.conf", text);
	CHECK_INT(host_load(), AST_MODULE_LOAD_SUCCESS);
	return host_channel("PJSIP/caller-00000001", ast_format_ulaw);
}

static void unload(struct ast_channel *channel)
{
	CHECK_INT(host_unload(0), 0);
	ast_channel_unref(channel);
}

TEST(three_cycles_with_a_port_that_refuses)
{
	int i;

	host_use_real_time();
	for (i = 0; i < 3; i++) {
		/* Nobody listens on the discard port. */
		struct ast_channel *channel = load("http://127.0.0.1:9");

		CHECK_HAS(host_cli("elevenlabs show version"), "Python");
		CHECK_INT(host_exec(channel, "ElevenLabsConvAI", "sales"), 0);
		CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "UNREACHABLE");
		CHECK(host_now() < LIMIT_US);
		unload(channel);
	}
}

/*! Frames that are written until the caller hangs up, and those of them that are speech */
#define FRAMES 140
#define VOICED 25
/*! How often the caller looks */
#define LOOK_US (20 * MS)

/*! \brief Hang up as soon as so much has been heard */
static void look(void *data)
{
	struct ast_channel *channel = data;
	size_t voiced = 0;
	size_t i;

	for (i = 0; i < host_written_count(channel); i++) {
		const struct host_written *frame = host_written(channel, i);

		voiced += frame->audio[0] != frame->audio[80];
	}
	if (i >= FRAMES && voiced >= VOICED) {
		host_channel_hangup(channel);
	} else {
		host_at(host_now() + LOOK_US, look, channel);
	}
}

TEST(a_conversation)
{
	struct ast_channel *channel;

	CHECK(getenv("HOST_AGENT_URL") != NULL);
	host_use_real_time();
	channel = load(getenv("HOST_AGENT_URL"));
	host_channel_talk(channel, host_now(), INT64_MAX, 20 * MS, 20 * MS);
	host_at(host_now(), look, channel);
	CHECK_INT(host_exec(channel, "ElevenLabsConvAI", "sales"), -1);
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "HANGUP");
	CHECK_HAS(host_variable(channel, "ELEVENLABSCONVERSATIONID"), "conv_");
	/* By the next frame the caller is known to be silent. */
	host_sleep(20 * MS);
	unload(channel);
}
