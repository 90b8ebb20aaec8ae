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
	unsigned int rate;

	if (!watchdog->agent->silence_timeout || watchdog->agent_talks) {
		/* Nobody asks how long the caller has been silent. */
		watchdog->loud_ms = 0;
		return;
	}
	rate = ast_format_get_sample_rate(frame->subclass.format);
	if (!rate || mean_amplitude(frame) < SPEECH_LEVEL) {
		watchdog->loud_ms = 0;
		return;
	}
	watchdog->loud_ms += frame->samples * 1000 / rate;
	if (watchdog->loud_ms >= SPEECH_MS) {
		watchdog->quiet_us = now;
	}
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

/*! \brief Whether the caller, or the agent, has been silent for too long */
static int people_are_silent(struct watchdog *watchdog, const struct watchdog_facts *facts,
	struct ending *ending)
{
	unsigned int silence = watchdog->agent->silence_timeout;
	unsigned int patience = watchdog->agent->agent_timeout;

	watchdog->agent_talks = facts->agent_queued;
	if (facts->agent_queued) {
		watchdog->agent_heard = 1;
		/* Whoever listens need not speak. */
		watchdog->quiet_us = facts->now;
	} else if (facts->on_hold) {
		watchdog->quiet_us = facts->now;
	}
	if (silence && facts->now - watchdog->quiet_us >= silence * INT64_C(1000000)) {
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
	return engine_hangs(watchdog, facts, ending)
		|| (facts->state == CONVAI_STATE_TALKING
			&& people_are_silent(watchdog, facts, ending));
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
