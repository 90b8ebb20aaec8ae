/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Jobs beside a call: tools on channels of their own, and states; in real time, with real threads
 */

#include "call_script.h"

#include "asterisk/module.h"
#include "asterisk/pbx.h"

#include "call/pool.h"

#define TOOLS "elevenlabs-tools"
#define LONG_MS 60000

static struct ast_channel *channel;
static pthread_t thread;
static int held;	/*!< tools of this name do not end */
static char seen[512];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;	/*!< of what is seen, by several threads at once */

static void talk(void *data)
{
	fake_talk(data, CONVAI_ENCODING_ULAW, 8000);
}

static void opened(struct convai_session *session)
{
	host_at(host_now() + 5 * MS, talk, session);
}

static void *run_call(void *data)
{
	host_exec(channel, "ElevenLabsConvAI", "sales");
	return NULL;
}

static const char *variable(struct ast_channel *chan, const char *name)
{
	const char *value = host_variable(chan, name);

	return value ? value : "-";
}

static void look_up(struct ast_channel *chan, void *data)
{
	pthread_mutex_lock(&lock);
	snprintf(seen, sizeof(seen), "%s %s %s %s %s", variable(chan, "ELEVENLABS_CHANNEL"),
		variable(chan, "ELEVENLABS_TOOL"), variable(chan, "ELEVENLABS_ARG_order"),
		variable(chan, "ELEVENLABS_ARG_who"), ast_channel_caller(chan)->id.number.str);
	pthread_mutex_unlock(&lock);
	pbx_builtin_setvar_helper(chan, "GOSUB_RETVAL", data);
}

/*! As SHELL, CURL and ODBC do: nothing ends it */
static void hang(struct ast_channel *chan, void *data)
{
	while (__atomic_load_n(&held, __ATOMIC_ACQUIRE)) {
		usleep(1 * MS);
	}
	pbx_builtin_setvar_helper(chan, "GOSUB_RETVAL", "at last");
}

static void wait_long(struct ast_channel *chan, void *data)
{
	if (!host_dialplan_waits(chan, LONG_MS * MS, NULL)) {
		pbx_builtin_setvar_helper(chan, "GOSUB_RETVAL", "never");
	}
}

static void begin(void)
{
	host_write_config("elevenlabs.conf", "[sales]\nauth=none\nagent_id=a\n");
	CHECK_INT(host_load(), AST_MODULE_LOAD_SUCCESS);
	host_extension(TOOLS, "look_up", look_up, "17 is on its way");
	host_extension(TOOLS, "hang", hang, NULL);
	host_extension(TOOLS, "wait", wait_long, NULL);
	held = 1;
	channel = host_channel("PJSIP/caller-00000001", ast_format_ulaw);
	host_channel_caller(channel, "5550123", 0);
	host_use_real_time();
	fake.opened = opened;
	CHECK_INT(pthread_create(&thread, NULL, run_call, NULL), 0);
	WAIT_FOR(strstr(host_cli("elevenlabs show sessions"), " talking "));
}

static uint32_t job(const char *tool, uint32_t limit_ms)
{
	return fake_job(fake_session(0), CONVAI_JOB_TOOL, tool, limit_ms);
}

static void hang_up(void)
{
	host_channel_hangup(channel);
	pthread_join(thread, NULL);
}

static void end(void)
{
	__atomic_store_n(&held, 0, __ATOMIC_RELEASE);
	CHECK_INT(host_unload(0), 0);
	ast_channel_unref(channel);
	fake_forget();
}

TEST(a_tool_and_its_result)
{
	begin();
	CHECK_INT(job("look_up", LONG_MS), CONVAI_JOB_TAKEN);
	CHECK_STR(fake_jobs(1), "look_up done:17 is on its way\n");
	CHECK_STR(seen, "1700000000.1 look_up 17 Anna 5550123");
	CHECK_INT(job("fly", LONG_MS), CONVAI_JOB_TAKEN);
	CHECK_HAS(fake_jobs(2), "fly unknown:\n");
	hang_up();
	CHECK_STR(variable(channel, "ELEVENLABS_TOOL"), "-");
	end();
}

TEST(a_limit_ends_what_looks_at_its_channel)
{
	begin();
	CHECK_INT(job("wait", 50), CONVAI_JOB_TAKEN);
	CHECK_STR(fake_jobs(1), "wait failed:wait was broken off.\n");
	hang_up();
	end();
}

TEST(what_does_not_look_is_counted)
{
	begin();
	CHECK_INT(job("hang", 10), CONVAI_JOB_TAKEN);
	WAIT_FOR(strstr(host_cli("elevenlabs show stats"), "1 of 16 threads busy, 1 beyond"));
	__atomic_store_n(&held, 0, __ATOMIC_RELEASE);
	CHECK_STR(fake_jobs(1), "hang done:at last\n");
	CHECK_HAS(host_log(), "hang of agent sales has ended after");
	hang_up();
	end();
}

TEST(so_many_threads)
{
	unsigned int i;

	begin();
	for (i = 0; i < POOL_THREADS; i++) {
		CHECK_INT(job("hang", LONG_MS), CONVAI_JOB_TAKEN);
	}
	CHECK_INT(job("look_up", LONG_MS), CONVAI_JOB_NO_ROOM);
	__atomic_store_n(&held, 0, __ATOMIC_RELEASE);
	fake_jobs(POOL_THREADS);
	WAIT_FOR(strstr(host_cli("elevenlabs show stats"), " 0 of 16 threads busy"));
	/* The thread is free a moment after its job has ended. */
	WAIT_FOR(job("look_up", LONG_MS) == CONVAI_JOB_TAKEN);
	CHECK_HAS(fake_jobs(POOL_THREADS + 1), "look_up done:");
	hang_up();
	end();
}

TEST(without_a_thread_or_a_channel)
{
	begin();
	host_fail_call("ast_pthread_create_stack", 1);
	CHECK_INT(job("look_up", LONG_MS), CONVAI_JOB_NO_ROOM);
	host_fail_call("__ast_channel_alloc", 1);
	CHECK_INT(job("look_up", LONG_MS), CONVAI_JOB_TAKEN);
	CHECK_STR(fake_jobs(1), "look_up failed:look_up could not be run: the phone system has no channel for it.\n");
	hang_up();
	end();
}

TEST(a_call_that_is_over)
{
	begin();
	CHECK_INT(job("hang", LONG_MS), CONVAI_JOB_TAKEN);
	hang_up();
	CHECK_INT(job("look_up", LONG_MS), CONVAI_JOB_REFUSED);
	__atomic_store_n(&held, 0, __ATOMIC_RELEASE);
	CHECK_STR(fake_jobs(1), "hang done:at last\n");
	end();
}

TEST(an_unload_hangs_up_what_waits)
{
	begin();
	CHECK_INT(job("wait", LONG_MS), CONVAI_JOB_TAKEN);
	hang_up();
	CHECK_INT(host_unload(0), 0);
	CHECK_STR(fake_jobs(1), "wait failed:wait was broken off.\n");
	ast_channel_unref(channel);
	fake_forget();
}

TEST(an_unload_is_refused_while_a_tool_hangs)
{
	begin();
	CHECK_INT(job("hang", LONG_MS), CONVAI_JOB_TAKEN);
	hang_up();
	CHECK_INT(host_unload(0), -1);
	CHECK_HAS(host_log(), "Not unloaded: a tool of 1 in the dialplan has not ended within 5000 ms");
	__atomic_store_n(&held, 0, __ATOMIC_RELEASE);
	fake_jobs(1);
	/* It serves as before. */
	channel = (ast_channel_unref(channel), host_channel("PJSIP/caller-00000002", ast_format_ulaw));
	CHECK_INT(pthread_create(&thread, NULL, run_call, NULL), 0);
	WAIT_FOR(strstr(host_cli("elevenlabs show sessions"), " talking "));
	CHECK_INT(fake_job(fake_session(1), CONVAI_JOB_TOOL, "wait", 20), CONVAI_JOB_TAKEN);
	fake_jobs(2);
	hang_up();
	end();
}

TEST(states)
{
	static const char * const names[] = { "100@hints", "Custom:desk", "PJSIP/100", "sales", "support", "200@hints" };
	size_t i;

	begin();
	host_gives("EXTENSION_STATE(100@hints)", "INUSE");
	host_gives("DEVICE_STATE(Custom:desk)", "NOT_INUSE");
	host_gives("QUEUE_EXISTS(sales)", "1");
	host_gives("QUEUE_EXISTS(support)", "0");
	host_gives("QUEUE_MEMBER(sales,logged)", "3");
	host_gives("QUEUE_MEMBER(sales,free)", "1");
	for (i = 0; i < ARRAY_LEN(names); i++) {
		CHECK_INT(fake_job(fake_session(0), CONVAI_JOB_STATE, names[i], LONG_MS), CONVAI_JOB_TAKEN);
		fake_jobs(i + 1);
	}
	CHECK_STR(fake_jobs(0), "100@hints done:INUSE\n"
		"Custom:desk done:NOT_INUSE\n"
		"PJSIP/100 failed:The phone system cannot tell the state of PJSIP/100; its log tells why.\n"
		"sales failed:The phone system cannot tell the state of sales: its function QUEUE_WAITING_COUNT is not "
		"loaded.\n"
		"support failed:The phone system has no queue support.\n"
		"200@hints failed:The phone system cannot tell the state of 200@hints; its log tells why.\n");
	host_gives("QUEUE_WAITING_COUNT(sales)", "0");
	fake_job(fake_session(0), CONVAI_JOB_STATE, "sales", LONG_MS);
	CHECK_HAS(fake_jobs(ARRAY_LEN(names) + 1), "sales done:members=3, free=1, callers=0\n");
	hang_up();
	end();
}

/* ---- For the thread sanitizer ---- */

TEST(jobs_while_everything_else_goes_on)
{
	unsigned int taken = 0;
	unsigned int i;

	begin();
	host_channel_talk(channel, host_now(), host_now() + 500 * MS, 20 * MS, 20 * MS);
	/* Where threads are slow it takes more rounds until one of them has a second job. */
	for (i = 0; i < 100 || taken <= POOL_THREADS; i++) {
		taken += job(i % 3 ? "look_up" : "fly", LONG_MS) == CONVAI_JOB_TAKEN;
		taken += job("wait", 1) == CONVAI_JOB_TAKEN;
		taken += fake_job(fake_session(0), CONVAI_JOB_STATE, "100@hints", LONG_MS) == CONVAI_JOB_TAKEN;
		fake_work(fake_session(0), i % 3);
		host_cli("elevenlabs show stats");
		host_cli("elevenlabs show sessions");
		fake_install(i % FAKE_BUILDS);
		CHECK_INT(host_reload(), 0);
		usleep(1 * MS);
	}
	hang_up();
	/* By its next frame the caller is known to be silent. */
	host_sleep(20 * MS);
	end();
	fake_jobs(taken);
}
