/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The `elevenlabs show ...` commands
 *
 * They run on threads of Asterisk's; nothing here takes the GIL, or waits longer than for the lock of
 * a call.
 */

#include "asterisk.h"

#include "asterisk/ast_version.h"	/* ast_get_version */
#include "asterisk/astobj2.h"	/* ao2_ref */
#include "asterisk/channel.h"	/* AST_CHANNEL_NAME */
#include "asterisk/cli.h"	/* CLI_SUCCESS */
#include "asterisk/config.h"	/* ast_check_realtime */
#include "asterisk/strings.h"	/* S_OR */
#include "asterisk/utils.h"	/* ARRAY_LEN */

#include "call/call.h"
#include "call/lookup.h"
#include "call/quality.h"
#include "call/registry.h"
#include "call/totals.h"
#include "config/config.h"
#include "config/rows.h"
#include "control/cli_commands.h"
#include "control/view.h"
#include "door.h"
#include "engine/embed.h"
#include "engine/generation.h"
#include "monotonic.h"

static void duration_text(int seconds, char *text, size_t size)
{
	snprintf(text, size, "%d:%02d:%02d", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

/* Names are never cut short: one types them elsewhere, and scripts take them from here. */
#define AGENTS_FORMAT "%-20s %-32.32s %-32.32s %-10s %-6s %5s %7s%s\n"

static void show_agent(int fd, const struct config_agent *agent)
{
	char host[CONFIG_VALUE_SIZE];
	char now[12];
	char in_all[12];

	snprintf(now, sizeof(now), "%u", registry_count(agent->name));
	snprintf(in_all, sizeof(in_all), "%u", totals_calls(agent->name));
	door_cli(fd, AGENTS_FORMAT, agent->name, agent->values[KEY_AGENT_ID],
		config_agent_host(agent, host, sizeof(host)), agent->values[KEY_AUTH],
		agent->send_caller_number ? "sent" : "kept", now, in_all, agent->in_database ? " database" : "");
}

/*! \brief That there may be more of them, which nobody knows before they are called */
static void tell_of_database(int fd)
{
	struct rows_numbers rows = rows_count();
	struct lookup_numbers lookups = lookup_count();

	if (!ast_check_realtime(ROWS_FAMILY)) {
		return;
	}
	door_cli(fd,
		"Others are looked up in the database when they are called (%s in extconfig.conf): it has told of %u, "
		"and of %u names without a valid row\n", ROWS_FAMILY, rows.agents, rows.others);
	if (lookups.late) {
		door_cli(fd, "The database does not answer: %u of %d threads wait for it, beyond %d ms\n", lookups.late,
			LOOKUP_THREADS, LOOKUP_LIMIT_MS);
	}
}

char *cli_show_agents(struct ast_cli_args *a)
{
	struct config *config;
	unsigned int up = registry_count(NULL);
	size_t count = 0;
	size_t i;

	if (a->argc != 3) {
		return CLI_SHOWUSAGE;
	}
	door_cli(a->fd, AGENTS_FORMAT, "Name", "Agent ID", "Host", "Auth", "Caller", "Now",
		"In all", "");
	config = rows_config(config_get());
	if (config) {
		count = AST_VECTOR_SIZE(&config->agents);
		for (i = 0; i < count; i++) {
			show_agent(a->fd, AST_VECTOR_GET(&config->agents, i));
		}
		ao2_ref(config, -1);
	}
	door_cli(a->fd, "%zu agent%s, %u session%s now, %u in all\n", count, ESS(count),
		up, ESS(up), totals_calls(NULL));
	tell_of_database(a->fd);
	return CLI_SUCCESS;
}

#define SESSIONS_FORMAT "%-32s %-20s %-36.36s %-10s %9s %8s %8s %8s\n"

static void tell_how_to_end(int fd, size_t count)
{
	if (registry_is_draining()) {
		door_cli(fd, "%s (elevenlabs drain off admits calls again)\n", count
			? "Draining: no new calls; these may end by themselves"
			: "Drained: no new calls, and the last one is over");
	} else if (count) {
		door_cli(fd,
			"To end them: elevenlabs hangup <channel>|all. To let them end and admit "
			"no new ones: elevenlabs drain on\n");
	}
}

char *cli_show_sessions(struct ast_cli_args *a)
{
	struct call **calls;
	size_t count;
	size_t i;

	if (a->argc != 3) {
		return CLI_SHOWUSAGE;
	}
	door_cli(a->fd, SESSIONS_FORMAT, "Channel", "Agent", "Conversation", "State",
		"Duration", "Heard", "Spoken", "Queued");
	count = registry_list(&calls);
	for (i = 0; i < count; i++) {
		struct call_view view;
		char duration[16];
		char heard[16];
		char spoken[16];
		char queued[16];

		call_view_take(calls[i], &view);
		duration_text(view.seconds, duration, sizeof(duration));
		snprintf(heard, sizeof(heard), "%.1f s",
			call_view_seconds(&view.caller, view.counters.pushed_bytes));
		snprintf(spoken, sizeof(spoken), "%.1f s",
			call_view_seconds(&view.agent, view.counters.played_bytes));
		snprintf(queued, sizeof(queued), "%.1f s", view.queued);
		door_cli(a->fd, SESSIONS_FORMAT, view.channel, calls[i]->agent->name,
			S_OR(view.conversation_id, "-"), view.state, duration, heard, spoken, queued);
	}
	registry_free_list(calls, count);
	door_cli(a->fd, "%zu session%s\n", count, ESS(count));
	tell_how_to_end(a->fd, count);
	return CLI_SUCCESS;
}

/*! \brief How the line to the caller is, as far as Asterisk knows */
static void show_line(int fd, struct ast_channel *channel)
{
	struct quality line;

	quality_read(&line, channel);
	if (!line.jitter[0]) {
		door_cli(fd, "Line:             not known: no RTP, or nothing has come\n");
		return;
	}
	door_cli(fd, "Line:             %s %% lost, %s ms jitter, MOS %s\n", line.loss, line.jitter, line.mos);
	if (line.round_trip[0]) {
		door_cli(fd, "  as reported:    %s %% lost on the way to the caller, %s ms round trip\n", line.remote_loss,
			line.round_trip);
	}
}

/*! \brief How long the caller has waited for something, if it has come */
static const char *waited_text(uint64_t waited_us, char *text, size_t size)
{
	if (!waited_us) {
		return "not yet";
	}
	snprintf(text, size, "after %.1f ms", waited_us / 1000.0);
	return text;
}

static void show_view(int fd, const char *agent, const struct call_view *view)
{
	const struct convai_counters *c = &view->counters;
	const struct call_statistics *s = &view->statistics;
	char duration[16];
	char talking[32];
	char speaking[32];
	char caller[32];
	char spoken[32];

	duration_text(view->seconds, duration, sizeof(duration));
	door_cli(fd, "Channel:          %s\n", view->channel);
	door_cli(fd, "Agent:            %s\n", agent);
	door_cli(fd, "Conversation:     %s\n", S_OR(view->conversation_id, "-"));
	door_cli(fd, "State:            %s, for %s in all\n", view->state, duration);
	door_cli(fd, "Queued:           %.1f s by the service\n", view->queued);
	door_cli(fd, "Debug:            %s\n", view->debug);
	door_cli(fd, "Began:            conversation %s, agent heard %s\n",
		waited_text(s->talking_us, talking, sizeof(talking)),
		waited_text(s->speaking_us, speaking, sizeof(speaking)));
	door_cli(fd, "Formats:          agent hears %s, speaks %s\n",
		media_format_name(&view->caller, caller, sizeof(caller)),
		media_format_name(&view->agent, spoken, sizeof(spoken)));
	door_cli(fd,
		"Heard:            %.2f s, of which %.2f s silence in place of missing audio\n",
		call_view_seconds(&view->caller, c->pushed_bytes), c->silence_ms / 1000.0);
	door_cli(fd, "  not taken:      %.2f s by the queue, %.2f s by the socket, %.2f s of the first "
				 "words\n", call_view_seconds(&view->caller, c->push_dropped_bytes),
		call_view_seconds(&view->caller, c->send_dropped_bytes), s->preroll_dropped_ms / 1000.0);
	door_cli(fd, "  real time:      at worst %.0f ms behind and %.0f ms ahead; %" PRIu64 " ms of silence "
				 "inserted, %.0f ms dropped as late\n", s->behind_us / 1000.0, s->ahead_us / 1000.0,
		s->inserted_ms, s->caller_late_us / 1000.0);
	door_cli(fd, "Spoken:           %.2f s of %.2f s received\n",
		call_view_seconds(&view->agent, c->played_bytes),
		call_view_seconds(&view->agent, c->received_bytes));
	door_cli(fd, "  not spoken:     %.2f s interrupted, %.2f s stale, %.2f s overflow\n",
		call_view_seconds(&view->agent, c->flushed_bytes),
		call_view_seconds(&view->agent, c->stale_dropped_bytes),
		call_view_seconds(&view->agent, c->overflow_dropped_bytes));
	door_cli(fd, "Interruptions:    %" PRIu64 "\n", c->interruptions);
	door_cli(fd, "Turns:            %" PRIu64 " answered, after %.0f ms (median) and at worst %.0f ms\n",
		view->turns.count, view->turns.median_us / 1000.0, view->turns.worst_us / 1000.0);
	door_cli(fd, "Messages:         %" PRIu64 " received (%" PRIu64 " unknown), %" PRIu64
		" audio chunks sent, %" PRIu64 " pings answered\n", c->messages_received,
		c->unknown_messages, c->chunks_sent, c->pings_answered);
	door_cli(fd, "Digits:           %" PRIu64 " pressed by the caller\n", s->digits);
	door_cli(fd, "Hold:             %" PRIu64 " times%s\n", s->holds,
		s->on_hold ? ", the caller holds now" : "");
	door_cli(fd, "Steps:            %" PRIu64 " run by the dialplan\n", s->steps);
	door_cli(fd, "Frames read:      %" PRIu64 " voice, %" PRIu64 " that could not be translated\n",
		s->voice_frames_read, s->untranslated_frames);
	door_cli(fd, "Frames written:   %" PRIu64 ", of which %" PRIu64 " silence; %" PRIu64
		" failed, %" PRIu64 " resynchronisations\n", s->frames_written, s->silent_frames,
		s->write_failures, s->resyncs);
	door_cli(fd, "  late:           %" PRIu64 " by more than a frame, the latest by %.1f ms\n",
		s->late_frames, s->latest_us / 1000.0);
}

char *cli_show_session(struct ast_cli_args *a)
{
	struct call **calls;
	size_t count;
	size_t i;
	int found = 0;

	if (a->argc != 4) {
		return CLI_SHOWUSAGE;
	}
	count = registry_list(&calls);
	for (i = 0; i < count && !found; i++) {
		struct call_view view;

		call_view_take(calls[i], &view);
		if (!strcasecmp(view.channel, a->argv[3])) {
			show_view(a->fd, calls[i]->agent->name, &view);
			show_line(a->fd, calls[i]->channel);
			found = 1;
		}
	}
	registry_free_list(calls, count);
	if (!found) {
		door_cli(a->fd, "There is no session on channel %s\n", a->argv[3]);
		return CLI_FAILURE;
	}
	return CLI_SUCCESS;
}

#define GENERATIONS_FORMAT "  %-14s %-20.20s %4s %6s %10s  %s\n"

static const char *generation_state(const struct generation_view *view)
{
	if (view->in_service) {
		return view->running ? "in service" : "has failed: module reload starts it again";
	}
	if (!view->running) {
		return "ended";
	}
	return view->calls ? "for its last calls" : "ending";
}

static void show_generation(int fd, const struct generation_view *view)
{
	char calls[12];
	char abi[12];
	char age[16];

	snprintf(abi, sizeof(abi), "%u", view->abi_version);
	snprintf(calls, sizeof(calls), "%u", view->calls);
	duration_text(view->seconds, age, sizeof(age));
	door_cli(fd, GENERATIONS_FORMAT, view->build_id, view->version, abi, calls, age,
		generation_state(view));
}

static void show_generations(int fd)
{
	struct generation_view views[GENERATIONS_SHOWN];
	char directory[PATH_MAX];
	size_t count = generation_list(views, ARRAY_LEN(views));
	size_t i;

	generation_directory(directory, sizeof(directory));
	if (count && views[0].in_service) {
		door_cli(fd, "Engine:    %s, build %s, from %s\n", views[0].version,
			views[0].build_id, directory);
	} else {
		door_cli(fd, "Engine:    not running\n");
	}
	door_cli(fd, "%zu generation%s alive:\n", count, ESS(count));
	door_cli(fd, GENERATIONS_FORMAT, "Build", "Version", "ABI", "Calls", "Age", "State");
	for (i = 0; i < count; i++) {
		show_generation(fd, &views[i]);
	}
}

char *cli_show_version(struct ast_cli_args *a)
{
	if (a->argc != 3) {
		return CLI_SHOWUSAGE;
	}
	door_cli(a->fd, "Module:    %s, ABI %u\n", CONVAI_VERSION, CONVAI_ABI_VERSION);
	door_cli(a->fd, "Python:    %s\n", embed_python_version());
	door_cli(a->fd, "Asterisk:  %s\n", ast_get_version());
	show_generations(a->fd);
	return CLI_SUCCESS;
}
