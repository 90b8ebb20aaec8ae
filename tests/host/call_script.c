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

#include "call_script.h"

#include "asterisk/module.h"

static struct ast_channel *channel;

struct ast_channel *script_begin_codec(const char *config, struct ast_format *codec)
{
	host_write_config("elevenlabs.conf", config ? config : SCRIPT_CONFIG);
	CHECK_INT(host_load(), AST_MODULE_LOAD_SUCCESS);
	channel = host_channel("PJSIP/caller-00000001", codec);
	return channel;
}

struct ast_channel *script_begin(const char *config)
{
	return script_begin_codec(config, ast_format_ulaw);
}

void script_end(void)
{
	CHECK_INT(host_unload(0), 0);
	ast_channel_unref(channel);
	channel = NULL;
	fake_forget();
}

int script_run(const char *arguments)
{
	return host_exec(channel, "ElevenLabsConvAI", arguments);
}

/*! Something that happens to the session that was opened last */
struct step {
	uint32_t encoding;
	uint32_t rate;
	unsigned int bytes;
	uint32_t status;
	const char *reason;
	int flag;
};

static void at(int64_t at_us, void (*action)(void *data), struct step step)
{
	struct step *copy = malloc(sizeof(*copy));

	*copy = step;
	host_at(at_us, action, copy);
}

static struct convai_session *session(void)
{
	return fake_session(fake.opens - 1);
}

static void do_formats(void *data)
{
	struct step *step = data;

	fake_talk(session(), step->encoding, step->rate);
	free(step);
}

static void do_queue(void *data)
{
	fake_queue(session(), CONVAI_ENCODING_ULAW, 8000);
	free(data);
}

static void do_leave_queue(void *data)
{
	struct step *step = data;

	fake_leave_queue(session(), step->status);
	free(step);
}

static void do_say(void *data)
{
	struct step *step = data;

	fake_say(session(), step->bytes);
	free(step);
}

static void do_interrupt(void *data)
{
	fake_interrupt(session());
	free(data);
}

static void do_end(void *data)
{
	struct step *step = data;

	fake_end(session(), step->status, step->reason, step->flag);
	free(step);
}

static void do_softhangup(void *data)
{
	struct step *step = data;

	ast_softhangup(channel, step->flag);
	free(step);
}

void script_formats_at(int64_t at_us, uint32_t encoding, uint32_t rate)
{
	at(at_us, do_formats, (struct step) { .encoding = encoding, .rate = rate });
}

void script_metadata_at(int64_t at_us)
{
	script_formats_at(at_us, CONVAI_ENCODING_ULAW, 8000);
}

void script_queue_at(int64_t at_us)
{
	at(at_us, do_queue, (struct step) { 0 });
}

void script_leave_queue_at(int64_t at_us, uint32_t how)
{
	at(at_us, do_leave_queue, (struct step) { .status = how });
}

void script_say_at(int64_t at_us, unsigned int bytes)
{
	at(at_us, do_say, (struct step) { .bytes = bytes });
}

void script_interrupt_at(int64_t at_us)
{
	at(at_us, do_interrupt, (struct step) { 0 });
}

void script_agent_ends_at(int64_t at_us, uint32_t status, const char *reason,
	int play_out)
{
	at(at_us, do_end, (struct step) {
		.status = status, .reason = reason, .flag = play_out,
	});
}

void script_softhangup_at(int64_t at_us, int reason)
{
	at(at_us, do_softhangup, (struct step) { .flag = reason });
}

void script_hangup_at(int64_t at_us)
{
	script_softhangup_at(at_us, AST_SOFTHANGUP_DEV);
}
