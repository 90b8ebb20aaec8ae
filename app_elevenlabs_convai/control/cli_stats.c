/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief `elevenlabs show stats`: how long things take
 *
 * Runs on a thread of Asterisk's, which copies counters and waits for nothing.
 */

#include "asterisk.h"

#include "asterisk/cli.h"	/* CLI_SUCCESS */
#include "asterisk/config.h"	/* ast_check_realtime */
#include "asterisk/utils.h"	/* MIN */

#include "call/beside.h"
#include "call/lookup.h"
#include "call/pool.h"
#include "config/rows.h"
#include "control/cli_commands.h"
#include "control/metrics.h"
#include "convai_ops.h"
#include "door.h"
#include "engine/generation.h"

#define STATS_FORMAT "%-48s %10s %10s %10s %10s\n"

static uint64_t count_of(const struct convai_timing *timing)
{
	uint64_t count = 0;
	size_t i;

	for (i = 0; i < CONVAI_TIMING_BUCKETS; i++) {
		count += timing->counts[i];
	}
	return count;
}

/*! \brief The time that so many percent of those counted do not exceed; there is one at least */
static uint64_t percentile_us(const struct convai_timings *timings,
	const struct convai_timing *timing, unsigned int percent)
{
	uint64_t wanted = (count_of(timing) * percent + 99) / 100;
	uint64_t seen = timing->counts[0];
	size_t i = 0;

	while (seen < wanted) {
		seen += timing->counts[++i];
	}
	return MIN(timings->upper_us[i], timing->max_us);
}

static void show_timing(int fd, const struct convai_timings *timings, size_t kind)
{
	const struct convai_timing *timing = &timings->timings[kind];
	uint64_t count = count_of(timing);
	char counted[24];
	char times[3][24] = { "-", "-", "-" };

	snprintf(counted, sizeof(counted), "%" PRIu64, count);
	if (count) {
		snprintf(times[0], sizeof(times[0]), "%.2f", percentile_us(timings, timing, 50) / 1000.0);
		snprintf(times[1], sizeof(times[1]), "%.2f", percentile_us(timings, timing, 99) / 1000.0);
		snprintf(times[2], sizeof(times[2]), "%.2f", timing->max_us / 1000.0);
	}
	door_cli(fd, STATS_FORMAT, timing_names[kind].words, counted, times[0], times[1], times[2]);
}

static void show_buckets(int fd, const struct convai_timings *timings, size_t kind)
{
	const struct convai_timing *timing = &timings->timings[kind];
	size_t i;

	door_cli(fd, "%s %" PRIu64 " ", timing_names[kind].name, timing->max_us);
	for (i = 0; i < CONVAI_TIMING_BUCKETS; i++) {
		if (timing->counts[i]) {
			door_cli(fd, " %" PRIu64 ":%" PRIu64, timings->upper_us[i], timing->counts[i]);
		}
	}
	door_cli(fd, "\n");
}

/*! \brief Ask the engine in service. \param agent NULL for all. \return 0, or -1 and the command has said why not */
static int ask(int fd, const char *agent, struct convai_timings *timings)
{
	struct generation *generation = generation_take();
	int res = 0;

	if (!generation) {
		door_cli(fd, "No engine is in service\n");
		return -1;
	}
	if (!agent) {
		generation_ops(generation)->timings(timings);
	} else if (generation_ops(generation)->agent_timings(agent, timings)) {
		door_cli(fd, "The engine in service has had no call with an agent %s\n", agent);
		res = -1;
	}
	generation_leave(generation);
	return res;
}

static void show_jobs(int fd)
{
	struct beside_numbers numbers = beside_count();
	struct lookup_numbers lookups = lookup_count();
	struct rows_numbers rows = rows_count();

	door_cli(fd, "Tools beside calls: %u of %d threads busy, %u beyond tool_timeout\n", numbers.all, POOL_THREADS,
		numbers.late);
	if (ast_check_realtime(ROWS_FAMILY) || lookups.asked) {
		door_cli(fd,
			"Agents in the database: %u of %d threads ask for them, %u beyond %d ms; %u look-ups wait for a "
			"thread; %u agents and %u other names are kept\n", lookups.asked, LOOKUP_THREADS, lookups.late,
			LOOKUP_LIMIT_MS, lookups.waiting, rows.agents, rows.others);
	}
}

char *cli_show_stats(struct ast_cli_args *a)
{
	int buckets = a->argc > 3 && !strcasecmp(a->argv[a->argc - 1], "buckets");
	const char *agent = a->argc - buckets > 3 ? a->argv[3] : NULL;
	struct convai_timings timings;
	size_t kind;

	if (a->argc - buckets > 4) {
		return CLI_SHOWUSAGE;
	}
	if (ask(a->fd, agent, &timings)) {
		return CLI_FAILURE;
	}
	if (!buckets) {
		door_cli(a->fd, STATS_FORMAT, "Times in ms", "Count", "p50", "p99", "Max");
	}
	for (kind = 0; kind < CONVAI_TIMING_COUNT; kind++) {
		if (!agent || kind != CONVAI_TIMING_TICK) {
			(buckets ? show_buckets : show_timing)(a->fd, &timings, kind);
		}
	}
	if (!buckets && !agent) {
		show_jobs(a->fd);
	}
	return CLI_SUCCESS;
}
