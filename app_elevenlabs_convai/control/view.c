/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief One call, as operators and programs see it: copied while it could not change
 */

#include "asterisk.h"

#include "asterisk/astobj2.h"	/* ao2_lock */
#include "asterisk/channel.h"	/* ast_channel_uniqueid */
#include "asterisk/utils.h"	/* ast_copy_string */

#include "call/registry.h"
#include "control/cli_commands.h"
#include "control/view.h"
#include "monotonic.h"

static void name_channel(const struct call *call, struct call_view *view)
{
	registry_channel_name(call, view->channel, sizeof(view->channel));
	ast_channel_lock(call->channel);
	ast_copy_string(view->unique_id, ast_channel_uniqueid(call->channel), sizeof(view->unique_id));
	ast_copy_string(view->linked_id, ast_channel_linkedid(call->channel), sizeof(view->linked_id));
	ast_channel_unlock(call->channel);
}

void call_view_take(struct call *call, struct call_view *view)
{
	int64_t now = monotonic_us();

	memset(view, 0, sizeof(*view));
	name_channel(call, view);
	view->seconds = (now - call->started_us) / 1000000;
	statistics_copy(&call->statistics, &view->statistics);
	view->queued = statistics_queued_us(&view->statistics, now) / 1000000.0;
	ao2_lock(call);
	view->state = registry_state_name(call);
	view->debug = cli_debug_state(call);
	view->caller = call->progress.caller;
	view->agent = call->progress.agent;
	ast_copy_string(view->conversation_id, call->progress.conversation_id,
		sizeof(view->conversation_id));
	if (call->session) {
		call->ops->counters(call->session, &view->counters);
		call->ops->turns(call->session, &view->turns);
	}
	ao2_unlock(call);
}

double call_view_seconds(const struct convai_format *format, uint64_t bytes)
{
	unsigned int sample_bytes = format->encoding == CONVAI_ENCODING_SLIN ? 2 : 1;

	return format->rate ? (double) bytes / sample_bytes / format->rate : 0;
}
