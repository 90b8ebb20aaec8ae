/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What must not last: an engine that hangs, a caller or an agent who says nothing
 */

#include "asterisk.h"

#include "asterisk/channel.h"	/* frames */
#include "asterisk/format_cache.h"	/* ast_format_ulaw */

#include "call/watchdog.h"
#include "config/config.h"

/*!
 * The engine empties its queue, which holds seconds, every few ms; if it is full for so
 * long, the engine hangs
 */
#define ENGINE_STALL_US 5000000
/*!
 * Mean amplitude of a frame with speech in it, of 32767: -42 dB of full scale. Speech on
 * telephones has -20 to -30 dB, the noise of lines and rooms less than -50 dB.
 */
#define SPEECH_LEVEL 256
/*! So long without a pause, in ms: a click on the line is shorter */
#define SPEECH_MS 60
/*!
 * So long an agent may owe an answer: its model takes seconds, its tools 20 s. Then it is dead, or
 * has not taken for speech what we have, and the caller has been silent all the while.
 */
#define ANSWER_US 30000000
/*!
 * Who begins to speak so long before the agent falls silent has interrupted it, and is to be
 * answered; what was said earlier the agent has talked over
 */
#define OVERLAP_US 2000000
/*! The agent may take this long for its first word until a protected greeting is given up */
#define GREETING_BEGIN_US 5000000
/*! The pieces of a greeting come with gaps; this long a one, in microseconds, is its end */
#define GREETING_GAP_US 700000
/*! No greeting is protected for longer: the caller must be able to interrupt a flood */
#define GREETING_MAX_US 60000000

void watchdog_open(struct watchdog *watchdog, const struct config_agent *agent, int64_t now)
{
	watchdog->agent = agent;
	watchdog->opened_us = now;
}

void watchdog_begin(struct watchdog *watchdog, int64_t now)
{
	watchdog->talking_us = now;
	watchdog->quiet_us = now;
	watchdog->looked_us = now;
}

/*! \brief Amplitude of one mu-law sample, as G.711 defines it: segments of doubling steps */
static unsigned int ulaw_amplitude(uint8_t code)
{
	unsigned int inverse = ~code & 0x7f;

	return ((((inverse & 0x0f) << 3) + 0x84) << (inverse >> 4)) - 0x84;
}

static unsigned int mean_amplitude(const struct ast_frame *frame)
{
	int is_ulaw = ast_format_cmp(frame->subclass.format, ast_format_ulaw)
		== AST_FORMAT_CMP_EQUAL;
	int count = is_ulaw ? frame->datalen : frame->datalen / (int) sizeof(int16_t);
	uint64_t sum = 0;
	int i;

	if (count <= 0) {
		return 0;
	}
	if (is_ulaw) {
		const uint8_t *codes = frame->data.ptr;

		for (i = 0; i < count; i++) {
			sum += ulaw_amplitude(codes[i]);
		}
	} else {
		const int16_t *samples = frame->data.ptr;

		for (i = 0; i < count; i++) {
			sum += samples[i] < 0 ? -samples[i] : samples[i];
		}
	}
	return sum / count;
}

void watchdog_hear(struct watchdog *watchdog, const struct ast_frame *frame, int64_t now)
{
	unsigned int rate = ast_format_get_sample_rate(frame->subclass.format);
	unsigned int before = watchdog->loud_ms;

	if (!rate || mean_amplitude(frame) < SPEECH_LEVEL) {
		watchdog->loud_ms = 0;
		return;
	}
	watchdog->loud_ms += frame->samples * 1000 / rate;
	if (watchdog->loud_ms < SPEECH_MS) {
		return;
	}
	/* What has made it speech counts as well. */
	watchdog->speech_ms += watchdog->loud_ms - (before < SPEECH_MS ? 0 : before);
	if (watchdog->agent->silence_timeout) {
		watchdog->quiet_us = now;
		watchdog_asked(watchdog, now);
	}
}

void watchdog_asked(struct watchdog *watchdog, int64_t now)
{
	watchdog->asked_us = now;
}

void watchdog_notice(struct watchdog *watchdog, int64_t now)
{
	watchdog->quiet_us = now;
}

void watchdog_pushed(struct watchdog *watchdog, int taken, int64_t now)
{
	if (taken) {
		watchdog->refused_us = 0;
	} else if (!watchdog->refused_us) {
		watchdog->refused_us = now;
	}
}

/*!
 * \brief Whether the engine clearly hangs: leave without it
 *
 * Its own limits depend on its loop; this one holds when that loop does not run any more.
 */
static int engine_hangs(const struct watchdog *watchdog, const struct watchdog_facts *facts,
	struct ending *ending)
{
	int64_t patience = watchdog->agent->connect_timeout * INT64_C(1000000) + ENGINE_GRACE_US;

	if (facts->state == CONVAI_STATE_CONNECTING
		&& facts->now - watchdog->opened_us >= patience) {
		ending_set(ending, CONVAI_STATUS_ERROR, "the engine does not answer");
		return 1;
	}
	if ((facts->state == CONVAI_STATE_TALKING || facts->state == CONVAI_STATE_QUEUED)
		&& watchdog->refused_us
		&& facts->now - watchdog->refused_us >= ENGINE_STALL_US) {
		ending_set(ending, CONVAI_STATUS_ERROR, "the engine is not taking audio");
		return 1;
	}
	return 0;
}

/*! \brief Whether the agent owes the caller an answer */
static int is_owed(struct watchdog *watchdog, const struct watchdog_facts *facts)
{
	int64_t patience = watchdog->agent->agent_timeout * INT64_C(1000000);
	int64_t limit = patience > ANSWER_US ? patience : ANSWER_US;

	if (facts->agent_queued && !watchdog->agent_talks) {
		/* It answers. */
		watchdog->asked_us = 0;
	} else if (!facts->agent_queued && watchdog->agent_talks
		&& facts->now - watchdog->asked_us > OVERLAP_US) {
		watchdog->asked_us = 0;
	}
	watchdog->agent_talks = facts->agent_queued;
	return watchdog->asked_us && facts->now - watchdog->asked_us < limit;
}

/*! \brief No time passes while the caller holds: nobody is there to speak, or to be spoken to */
static void stand_still(struct watchdog *watchdog, const struct watchdog_facts *facts)
{
	watchdog->talking_us += facts->now - watchdog->looked_us;
	watchdog->quiet_us = facts->now;
	watchdog->asked_us = 0;
}

void watchdog_resume(struct watchdog *watchdog, int64_t since_us, int64_t now)
{
	watchdog->talking_us += now - since_us;
	watchdog->quiet_us = now;
	watchdog->looked_us = now;
	watchdog->asked_us = 0;
	watchdog->refused_us = 0;
	watchdog->loud_ms = 0;
}

/*! \brief Whether the caller, or the agent, has been silent for too long */
static int people_are_silent(struct watchdog *watchdog, const struct watchdog_facts *facts,
	struct ending *ending)
{
	unsigned int silence = watchdog->agent->silence_timeout;
	unsigned int patience = watchdog->agent->agent_timeout;
	int owed = is_owed(watchdog, facts);

	if (facts->agent_queued) {
		watchdog->agent_heard = 1;
	}
	if (facts->on_hold) {
		stand_still(watchdog, facts);
	} else if (facts->agent_queued || facts->agent_works) {
		/* Whoever listens, or waits for a tool as the agent does, need not speak. */
		watchdog->quiet_us = facts->now;
	}
	if (silence && !owed && facts->now - watchdog->quiet_us >= silence * INT64_C(1000000)) {
		ending_set(ending, CONVAI_STATUS_TIMEOUT,
			"silence_timeout (%u s) reached: the caller has said nothing for so long",
			silence);
		return 1;
	}
	if (patience && !watchdog->agent_heard
		&& facts->now - watchdog->talking_us >= patience * INT64_C(1000000)) {
		ending_set(ending, CONVAI_STATUS_TIMEOUT,
			"agent_timeout (%u s) reached: the agent has not said anything", patience);
		return 1;
	}
	return 0;
}

int watchdog_wants_queue(const struct watchdog *watchdog, uint32_t state)
{
	return state == CONVAI_STATE_TALKING && (watchdog->agent->silence_timeout
			|| (watchdog->agent->agent_timeout && !watchdog->agent_heard));
}

int watchdog_look(struct watchdog *watchdog, const struct watchdog_facts *facts,
	struct ending *ending)
{
	int reached = engine_hangs(watchdog, facts, ending)
		|| (facts->state == CONVAI_STATE_TALKING
			&& people_are_silent(watchdog, facts, ending));

	watchdog->looked_us = facts->now;
	return reached;
}

int watchdog_greeting(struct watchdog *watchdog, int agent_queued, int64_t now)
{
	int64_t begun = now - watchdog->talking_us;

	if (watchdog->greeting_over) {
		return 0;
	}
	if (agent_queued) {
		watchdog->agent_heard = 1;
		watchdog->greeting_quiet_us = 0;
	} else if (!watchdog->greeting_quiet_us) {
		watchdog->greeting_quiet_us = now;
	}
	if (begun >= GREETING_MAX_US
		|| (!watchdog->agent_heard && begun >= GREETING_BEGIN_US)
		|| (watchdog->agent_heard && watchdog->greeting_quiet_us
			&& now - watchdog->greeting_quiet_us >= GREETING_GAP_US)) {
		watchdog->greeting_over = 1;
	}
	return !watchdog->greeting_over;
}
