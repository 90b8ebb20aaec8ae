/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What the caller hears while the agent is not there yet
 */

#include "asterisk.h"

#include "asterisk/channel.h"	/* ast_indicate */
#include "asterisk/musiconhold.h"	/* ast_moh_start, ast_moh_stop */
#include "asterisk/strings.h"	/* S_OR */

#include "call/options.h"
#include "call/waiting.h"

int waiting_begin(struct ast_channel *channel, const struct call_options *options)
{
	int is_up = ast_channel_state(channel) == AST_STATE_UP;

	if (options->music) {
		if (!is_up) {
			/* Without it most callers hear nothing before the answer. */
			ast_indicate(channel, AST_CONTROL_PROGRESS);
		}
		return !ast_moh_start(channel, S_OR(options->music_class, NULL), NULL);
	}
	if (options->ring || (options->connect_first && !is_up)) {
		/* On a channel that is up, Asterisk plays the tone of the channel's zone. */
		ast_indicate(channel, AST_CONTROL_RINGING);
		return 1;
	}
	return 0;
}

void waiting_yield(struct ast_channel *channel)
{
	ast_deactivate_generator(channel);
	if (ast_channel_state(channel) != AST_STATE_UP) {
		ast_indicate(channel, AST_CONTROL_PROGRESS);
	}
}

void waiting_end(struct ast_channel *channel, const struct call_options *options)
{
	if (options->music) {
		ast_moh_stop(channel);
	} else if (options->ring) {
		ast_indicate(channel, -1);
	}
	/* A tone or music that the dialplan has started would keep every frame of ours out. */
	ast_deactivate_generator(channel);
}
