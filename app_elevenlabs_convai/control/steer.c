/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What operators and programs can do to calls and to the module
 */

#include "asterisk.h"

#include "asterisk/astobj2.h"	/* ao2_lock */
#include "asterisk/channel.h"	/* ast_softhangup */
#include "asterisk/cli.h"	/* ESS */

#include "call/agent_state.h"
#include "call/call.h"
#include "call/registry.h"
#include "config/config.h"
#include "config/diff.h"
#include "control/steer.h"
#include "control/tools.h"

int steer_reload(struct config_report *report, char *answer, size_t size)
{
	if (!config_reload(report)) {
		tools_renew();
		agent_state_changed();
		snprintf(answer, size, "%s reloaded", CONFIG_FILE);
		return 0;
	}
	snprintf(answer, size, "ElevenLabs configuration not reloaded: %u fault%s; the old one stays in use%s%s",
		report->faults, ESS(report->faults), report->fd < 0 && report->first[0] ? ". " : "",
		report->fd < 0 ? report->first : "");
	return -1;
}

void steer_drain(int on, char *answer, size_t size)
{
	unsigned int left = registry_count(NULL);

	registry_drain(on);
	agent_state_changed();
	if (!on) {
		snprintf(answer, size, "Not draining: new calls are admitted");
	} else if (left) {
		snprintf(answer, size,
			"Draining: no new calls; %u session%s left. The log tells when the last is over",
			left, ESS(left));
	} else {
		snprintf(answer, size, "Drained: no new calls, and no session is left");
	}
}

void steer_hangup_call(struct call *call)
{
	ao2_lock(call);
	call->operator_hangup = 1;
	ao2_unlock(call);
	ast_softhangup(call->channel, AST_SOFTHANGUP_EXPLICIT);
}

int steer_hangup(const char *channel, char *answer, size_t size)
{
	struct call **calls;
	size_t count = registry_list(&calls);
	size_t i;
	int all = !strcasecmp(channel, "all");
	unsigned int hung_up = 0;

	for (i = 0; i < count; i++) {
		char name[AST_CHANNEL_NAME];

		registry_channel_name(calls[i], name, sizeof(name));
		if (all || !strcasecmp(channel, name)) {
			steer_hangup_call(calls[i]);
			hung_up++;
		}
	}
	registry_free_list(calls, count);
	if (!hung_up && !all) {
		snprintf(answer, size, "There is no session on channel %s", channel);
		return -1;
	}
	snprintf(answer, size, "%u call%s hung up", hung_up, ESS(hung_up));
	return 0;
}
