/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What most tests of calls have in common: one channel, one agent, one session
 */

#ifndef CALL_SCRIPT_H
#define CALL_SCRIPT_H

#include "fake_engine.h"
#include "host.h"

/*! A file with one agent that needs no key */
#define SCRIPT_CONFIG \
	"[general]\nauth = none\n" \
	"[sales]\nagent_id = agent_sales\n"

/*! \brief Load the module with this configuration, or with SCRIPT_CONFIG, and ring in mu-law */
struct ast_channel *script_begin(const char *config);
/*! \brief The same with another codec */
struct ast_channel *script_begin_codec(const char *config, struct ast_format *codec);
/*! \brief Unload, hang up and forget */
void script_end(void);

/*! \brief Run ElevenLabsConvAI(arguments). \return what it returned */
int script_run(const char *arguments);

/*! \brief mu-law of 8000 Hz in both directions from this time on */
void script_metadata_at(int64_t at_us);
void script_formats_at(int64_t at_us, uint32_t encoding, uint32_t rate);
/*! \brief The service lets the caller wait from this time on; script_metadata_at admits them */
void script_queue_at(int64_t at_us);
/*! \brief No agent was free: enum convai_queue */
void script_leave_queue_at(int64_t at_us, uint32_t how);
void script_say_at(int64_t at_us, unsigned int bytes);
void script_interrupt_at(int64_t at_us);
void script_agent_ends_at(int64_t at_us, uint32_t status, const char *reason,
	int play_out);
void script_hangup_at(int64_t at_us);
void script_softhangup_at(int64_t at_us, int reason);

#endif /* CALL_SCRIPT_H */
