/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Several calls, commands and an unload at once, in real time: for the thread sanitizer
 */

#include "fake_engine.h"
#include "host.h"

#include "asterisk/module.h"

#define CALLS 3
/*! Real time that the calls are up */
#define CALL_US (200 * MS)

static void talk(void *data)
{
	fake_talk(data, CONVAI_ENCODING_ULAW, 8000);
	fake_say(data, 800);
}

static void opened(struct convai_session *session)
{
	host_at(host_now() + 20 * MS, talk, session);
}

static void *channel_thread(void *data)
{
	struct ast_channel *channel = data;

	host_exec(channel, "ElevenLabsConvAI", "sales");
	return NULL;
}

struct calls {
	struct ast_channel *channels[CALLS];
	pthread_t threads[CALLS];
	int64_t until_us;	/*!< everything else goes on until then */
};

/*! \brief Calls that an agent talks with. Valgrind runs one thread at a time, and a new one late. */
static unsigned int count_talking(void)
{
	const char *at = host_cli("elevenlabs show sessions");
	unsigned int count = 0;

	while ((at = strstr(at, " talking "))) {
		count++;
		at++;
	}
	return count;
}

static void begin(struct calls *calls)
{
	int i;

	host_write_config("elevenlabs.conf", "[sales]\nauth=none\nagent_id=a\n");
	CHECK_INT(host_load(), AST_MODULE_LOAD_SUCCESS);
	host_use_real_time();
	fake.opened = opened;
	for (i = 0; i < CALLS; i++) {
		char name[32];

		snprintf(name, sizeof(name), "PJSIP/%d", i);
		calls->channels[i] = host_channel(name, ast_format_ulaw);
		host_channel_talk(calls->channels[i], host_now(), host_now() + CALL_US, 20 * MS, 20 * MS);
		CHECK_INT(pthread_create(&calls->threads[i], NULL, channel_thread,
			calls->channels[i]), 0);
	}
	WAIT_FOR(count_talking() == CALLS);
	calls->until_us = host_now() + CALL_US;
}

static void join(struct calls *calls, const char *status)
{
	int i;

	for (i = 0; i < CALLS; i++) {
		pthread_join(calls->threads[i], NULL);
	}
	/* All that was to be said by now is, which the channels wait for. */
	host_sleep(0);
	for (i = 0; i < CALLS; i++) {
		CHECK_STR(host_variable(calls->channels[i], "ELEVENLABSSTATUS"), status);
		ast_channel_unref(calls->channels[i]);
	}
}

static void type_everything(void)
{
	const char *metrics;

	host_cli("elevenlabs show sessions");
	host_cli("elevenlabs show session PJSIP/1");
	host_cli("elevenlabs show agents");
	host_cli("elevenlabs show version");
	host_http_get("127.0.0.1", NULL, &metrics);
	host_cli("elevenlabs debug off");
	host_complete("elevenlabs hangup ");
	host_cli("elevenlabs reload");
}

TEST(commands_during_calls)
{
	struct calls calls;

	begin(&calls);
	while (host_now() < calls.until_us) {
		type_everything();
		usleep(3 * MS);
	}
	CHECK_STR(host_cli("elevenlabs hangup all"), "3 calls hung up\n");
	WAIT_FOR(strstr(host_cli("elevenlabs show sessions"), "\n0 sessions"));
	join(&calls, "HANGUP");
	CHECK_INT(host_unload(0), 0);
	fake_forget();
}

TEST(generations_during_calls)
{
	struct calls calls;
	unsigned int n = 0;

	begin(&calls);
	/* Under valgrind few rounds fit into that time. */
	while (host_now() < calls.until_us || n <= FAKE_BUILDS) {
		fake_install(++n % FAKE_BUILDS);
		CHECK_INT(host_reload(), 0);
		type_everything();
		usleep(3 * MS);
	}
	CHECK_STR(host_cli("elevenlabs hangup all"), "3 calls hung up\n");
	join(&calls, "HANGUP");
	CHECK_HAS(host_cli("elevenlabs show version"), "1 generation alive:\n");
	CHECK_INT(host_unload(0), 0);
	fake_forget();
}

TEST(a_forced_unload_during_calls)
{
	struct calls calls;

	begin(&calls);
	while (host_now() < calls.until_us) {
		type_everything();
		usleep(3 * MS);
	}
	CHECK_INT(host_unload(1), 0);
	CHECK_INT(host_registrations(), 0);
	CHECK_INT(fake.releases, CALLS);
	join(&calls, "UNLOADED");
	fake_forget();
}

TEST(stop_now_during_calls)
{
	struct calls calls;

	begin(&calls);
	usleep(CALL_US);
	host_stop_now();
	join(&calls, "UNLOADED");
	CHECK_INT(host_unload(0), 0);
	fake_forget();
}

static char checked[256];

static void *checking_thread(void *data)
{
	snprintf(checked, sizeof(checked), "%s", host_cli("elevenlabs check agent sales"));
	return NULL;
}

TEST(an_unload_while_an_agent_is_checked)
{
	pthread_t thread;

	host_write_config("elevenlabs.conf", "[sales]\nauth=none\nagent_id=a\n");
	CHECK_INT(host_load(), AST_MODULE_LOAD_SUCCESS);
	host_use_real_time();
	CHECK_INT(pthread_create(&thread, NULL, checking_thread, NULL), 0);
	WAIT_FOR(__atomic_load_n(&fake.inquiries_open, __ATOMIC_ACQUIRE));
	CHECK_INT(host_unload(0), 0);
	pthread_join(thread, NULL);
	CHECK_HAS(checked, "Agent sales could not be checked: the module is being unloaded\n");
	CHECK_INT(fake.inquiries_open, 0);
}
