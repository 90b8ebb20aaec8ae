/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Calls from beginning to end
 */

#include "call_script.h"

TEST(a_call_that_the_caller_hangs_up)
{
	struct ast_channel *channel = script_begin(NULL);

	script_metadata_at(100 * MS);
	host_channel_talk(channel, 0, 1000 * MS, 20 * MS, 20 * MS);
	script_hangup_at(1000 * MS);
	script_run("sales");
	CHECK_STR(host_variable(channel, "ELEVENLABSSTATUS"), "HANGUP");
	CHECK_STR(host_variable(channel, "ELEVENLABSREASON"), "the caller hung up");
	CHECK_STR(host_variable(channel, "ELEVENLABSCONVERSATIONID"), "conv_fake");
	script_end();
}
