/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What the caller hears while a tool takes its time, and the agent says nothing
 */

#include "asterisk.h"

#include "asterisk/channel.h"
#include "asterisk/indications.h"	/* ast_playtones_start */
#include "asterisk/musiconhold.h"	/* ast_moh_start, ast_moh_stop */

#include "call/filler.h"

/*! Silence behind the agent's last word, before it begins: the pieces of what an agent says come with gaps */
#define QUIET_US 500000
/*! Of the tone: 30 dB below full scale, less than speech has */
#define TONE_VOLUME 1000
/*! A short note every two seconds, frequency in Hz and times in ms, for ever */
#define TONE "425/80,0/1920"

void filler_look(struct filler *filler, int wanted, int queued, int64_t now)
{
	if (!wanted || queued || filler->use == FILLER_NONE) {
		filler->quiet_us = 0;
		filler->failed = 0;
		filler_end(filler);
		return;
	}
	if (!filler->quiet_us) {
		filler->quiet_us = now;
	}
	if (filler->on || filler->failed || now - filler->quiet_us < QUIET_US) {
		return;
	}
	filler->failed = (filler->use == FILLER_MUSIC ? ast_moh_start(filler->channel, NULL, NULL)
		: ast_playtones_start(filler->channel, TONE_VOLUME, TONE, 0)) != 0;
	filler->on = !filler->failed;
}

void filler_end(struct filler *filler)
{
	if (!filler->on) {
		return;
	}
	filler->on = 0;
	if (filler->use == FILLER_MUSIC) {
		ast_moh_stop(filler->channel);
	} else {
		ast_playtones_stop(filler->channel);
	}
}
