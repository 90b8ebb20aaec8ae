/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Waiting until no channel is in the application any more
 */

#include "asterisk.h"

#include <unistd.h>	/* usleep(3) */

#include "asterisk/channel.h"	/* all channels there are */

#include "call/registry.h"
#include "control/departure.h"
#include "door.h"
#include "engine/generation.h"
#include "monotonic.h"

/*! How often a wait looks again */
#define POLL_US 10000
/*!
 * How long a thread may take from looking the application up to naming it on its channel.
 * Asterisk holds no lock in between. It takes microseconds, or a slice of a busy processor.
 */
#define SETTLE_US 100000

/*!
 * \brief Whether a channel is in our application
 *
 * pbx_exec names the application on the channel until it has done with it, which is later
 * than our function's return. A channel that is locked right now is taken for one of
 * ours: look again.
 */
static int is_in_application(struct ast_channel *channel, const char *app)
{
	int found;

	if (ast_channel_trylock(channel)) {
		return 1;
	}
	found = ast_channel_appl(channel) && !strcmp(ast_channel_appl(channel), app);
	ast_channel_unlock(channel);
	return found;
}

static int any_in_application(const char *app)
{
	struct ast_channel_iterator *channels = ast_channel_iterator_all_new();
	struct ast_channel *channel;
	int found = 0;

	if (!channels) {
		return 1;
	}
	while (!found && (channel = ast_channel_iterator_next(channels))) {
		found = is_in_application(channel, app);
		ast_channel_unref(channel);
	}
	ast_channel_iterator_destroy(channels);
	return found;
}

int departure_wait(const char *app, int limit_ms)
{
	int64_t deadline = monotonic_us() + (int64_t) limit_ms * 1000;

	while (!registry_is_empty() || any_in_application(app)) {
		registry_end_all();
		generation_end_all(CONVAI_STATUS_UNLOADED, "the module was unloaded");
		if (monotonic_us() >= deadline) {
			door_log(LOG_ERROR, "Not unloaded: a channel has not left %s within %d ms\n",
				app, limit_ms);
			return -1;
		}
		usleep(POLL_US);
	}
	return 0;
}

int departure_settle(const char *app, int limit_ms)
{
	usleep(SETTLE_US);
	return departure_wait(app, limit_ms);
}
