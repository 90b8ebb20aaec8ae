/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Agents out of a database: what a row may say, what is kept of it, and who waits for how long
 *
 * Time is virtual, and stands still while a database that answers is asked; one that hangs does not answer in it.
 */

#include "call_script.h"

#include <pthread.h>
#include <sched.h>

#include "asterisk/astobj2.h"
#include "asterisk/config.h"
#include "asterisk/module.h"

#include "call/ending.h"
#include "call/lookup.h"
#include "call/pool.h"
#include "call/registry.h"
#include "config/config.h"
#include "config/row.h"
#include "config/rows.h"

#define GENERAL "[general]\nauth = none\nchunk_ms = 60\nvar_shop = Main Street\n"
#define ROW "id=7&name=shop&agent_id=agent_shop&connect_timeout=3&var_shop=Side Street"

static struct ast_channel *channel;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int holding;	/*!< nobody is answered */
static unsigned int inside;	/*!< threads that are in the database */
static unsigned int asked;	/*!< how often it was asked */
static const char *table;	/*!< what it gives for shop; NULL: nothing */
static const char *any;	/*!< what it gives to who asks for anything */

/*! The database */
static struct ast_variable *give(const char *column, const char *value)
{
	struct ast_variable *row = NULL;

	pthread_mutex_lock(&lock);
	asked++;
	inside++;
	pthread_cond_broadcast(&changed);
	while (holding) {
		pthread_cond_wait(&changed, &lock);
	}
	inside--;
	pthread_cond_broadcast(&changed);
	if (!strcmp(column, "name") && !strcmp(value, "shop") && table) {
		row = host_row(table);
	} else if (!strcmp(column, "name LIKE") && !strcmp(value, "%") && any) {
		row = host_row(any);
	}
	pthread_mutex_unlock(&lock);
	return row;
}

static void hold(int on)
{
	pthread_mutex_lock(&lock);
	holding = on;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

/*! Until so many threads are in the database */
static void await_inside(unsigned int count)
{
	pthread_mutex_lock(&lock);
	while (inside != count) {
		pthread_cond_wait(&changed, &lock);
	}
	pthread_mutex_unlock(&lock);
}

static int answering;

/*! \brief Time stands still until nobody is in the database any more */
static void until_answered(void *data)
{
	while (lookup_count().asked) {
		sched_yield();
	}
	if (__atomic_load_n(&answering, __ATOMIC_ACQUIRE)) {
		host_at(host_now() + 1 * MS, until_answered, NULL);
	}
}

/*! \brief From now on no time passes while the database is asked, however long its thread takes */
static void answer(void)
{
	answering = 1;
	until_answered(NULL);
}

static void end_at_once(struct convai_session *session)
{
	fake_end(session, CONVAI_STATUS_AGENT_ENDED, "bye", 0);
}

static void begin(const char *config)
{
	table = ROW;
	any = NULL;
	asked = 0;
	host_database(give);
	channel = script_begin(config ? config : GENERAL);
	fake.opened = end_at_once;
}

static void end(void)
{
	hold(0);
	__atomic_store_n(&answering, 0, __ATOMIC_RELEASE);
	/* A thread that ends takes real time. */
	host_stop_clock();
	script_end();
	host_database(NULL);
}

static const char *run(const char *name)
{
	script_run(name);
	return host_variable(channel, "ELEVENLABSSTATUS");
}

static const char *reason(void)
{
	return host_variable(channel, "ELEVENLABSREASON");
}

/* ---- What a row may say ---- */

/*! \brief Have the cache know of this row, as if the database had given it */
static struct config_agent *read_row(const char *name, const char *text)
{
	struct config *config = config_get();
	struct config_report report = { .fd = -1 };
	struct ast_variable *row = host_row(text);
	struct config_agent *agent = config_read_row(&report, config, name, row);

	rows_put(name, row, agent, report.first, rows_epoch());
	ao2_ref(config, -1);
	return agent;
}

static void know(const char *name, const char *text)
{
	struct config_agent *agent = read_row(name, text);

	CHECK(agent != NULL);
	ao2_ref(agent, -1);
}

TEST(a_row_has_the_same_checks_as_a_section)
{
	static const struct {
		const char *row;
		const char *says;
	} cases[] = {
		{ "agent_id=a&chunk_ms=5", "chunk_ms = 5: allowed is a whole number" },
		{ "agent_id=a&chunk=5", "there is no key chunk; allowed are agent_id, " },
		{ "name=shop&chunk_ms=20", "there is no agent_id; every row needs one" },
		{ "agent_id=a&records_days=5", "records_days belongs into [general]" },
		{ "name=other&agent_id=a", "this row's name is not the one that was asked for, shop" },
		{ "agent_id=a&fallback_agent=SHOP", "fallback_agent = SHOP leads back to shop" },
		{ "agent_id=a&tools_directory=/usr", "tools_directory: a row may only have what [general]" },
		{ "agent_id=a&webhook_url=https://x.example", "webhook_url: a row may only have what [general]" },
		{ "agent_id=a&override_colour=red", "there is no override colour" },
		{ "agent_id=a&json_cart={", "json_cart = (not shown): allowed is JSON" },
	};
	size_t i;

	begin(NULL);
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		CHECK(read_row("shop", cases[i].row) == NULL);
		CHECK_HAS(host_log(), "elevenlabs (database) [");
		CHECK_HAS(host_log(), cases[i].says);
		host_log_clear();
	}
	know("shop", "agent_id=a&api_key=sk_0123456789&webhook_url=none");
	CHECK_HAS(host_log(), "can read this key with REALTIME(); move it");
	end();
}

TEST(a_row_inherits_from_general)
{
	struct config_agent *agent;

	begin("[general]\nauth = none\nchunk_ms = 60\nmax_sessions = 9\ndtmf = dialplan\noverride_prompt = Short.\n"
		"webhook_url = https://x.example\nwebhook_secret = s\n");
	agent = read_row("shop", "id=1&name=Shop&agent_id=a&webhook_url=https://x.example&chunk_ms=20&override_prompt=");
	CHECK(agent != NULL);
	CHECK_STR(agent->name, "Shop");
	CHECK_STR(agent->values[KEY_CHUNK_MS], "20");
	CHECK_INT(agent->dtmf, DTMF_FOR_DIALPLAN);
	CHECK_INT(agent->max_sessions, 0);
	CHECK_STR(agent->values[KEY_WEBHOOK_SECRET], "s");
	CHECK_STR(config_pairs_value(&agent->pairs, CONVAI_PAIR_OVERRIDE, "prompt"), "");
	ao2_ref(agent, -1);
	end();
}

/* ---- What is kept ---- */

static enum rows_state look(const char *name, int *fresh, int *has_agent)
{
	struct rows_view view;

	rows_look(name, &view);
	*fresh = view.fresh;
	*has_agent = view.agent != NULL;
	ao2_cleanup(view.agent);
	return view.state;
}

#define CHECK_KNOWN(name, state, is_fresh, has) do { \
	int fresh_now; \
	int agent_now; \
	CHECK_INT(look(name, &fresh_now, &agent_now), state); \
	CHECK_INT(fresh_now, is_fresh); \
	CHECK_INT(agent_now, has); \
} while (0)

TEST(answers_have_an_age)
{
	begin(NULL);
	CHECK_KNOWN("shop", ROWS_UNKNOWN, 0, 0);
	know("shop", ROW);
	host_sleep((ROWS_FRESH_MS - 1) * MS);
	CHECK_KNOWN("shop", ROWS_GIVEN, 1, 1);
	host_sleep(2 * MS);
	CHECK_KNOWN("shop", ROWS_GIVEN, 0, 1);
	rows_put_none("gone");
	host_sleep((ROWS_NONE_MS - 1) * MS);
	CHECK_KNOWN("gone", ROWS_NONE, 1, 0);
	host_sleep(2 * MS);
	CHECK_KNOWN("gone", ROWS_NONE, 0, 0);
	rows_put_silence("shop");
	host_sleep((ROWS_SILENT_MS - 1) * MS);
	CHECK_KNOWN("shop", ROWS_SILENT, 1, 1);
	host_sleep(2 * MS);
	CHECK_KNOWN("shop", ROWS_SILENT, 0, 1);
	CHECK(rows_put_failure("shop") >= 0);
	CHECK_KNOWN("shop", ROWS_FAILED, 1, 1);
	host_sleep(ROWS_KEPT_MS * MS);
	CHECK_INT(rows_put_failure("shop"), -1);
	CHECK_KNOWN("shop", ROWS_NONE, 1, 0);
	end();
}

TEST(a_row_that_is_not_valid_leaves_the_one_before)
{
	struct rows_view view;

	begin(NULL);
	know("shop", ROW);
	CHECK(read_row("shop", "agent_id=a&chunk_ms=5") == NULL);
	rows_look("shop", &view);
	CHECK_STR(view.agent->values[KEY_CHUNK_MS], "60");
	CHECK_HAS(view.fault, "chunk_ms = 5");
	ao2_ref(view.agent, -1);
	rows_put_none("shop");
	CHECK_KNOWN("shop", ROWS_NONE, 1, 0);
	end();
}

TEST(so_many_are_kept)
{
	char name[16];
	unsigned int i;

	begin(NULL);
	know("shop", "agent_id=a");
	for (i = 0; i < 2 * ROWS_MAX; i++) {
		snprintf(name, sizeof(name), "no%u", i);
		rows_put_none(name);
	}
	CHECK_INT(rows_count().others, ROWS_MAX);
	CHECK_KNOWN("shop", ROWS_GIVEN, 1, 1);
	for (i = 0; i < ROWS_MAX; i++) {
		snprintf(name, sizeof(name), "yes%u", i);
		know(name, "agent_id=a");
	}
	CHECK_INT(rows_count().agents, ROWS_MAX);
	CHECK_KNOWN("shop", ROWS_UNKNOWN, 0, 0);
	CHECK_KNOWN("no0", ROWS_UNKNOWN, 0, 0);
	end();
}

TEST(a_reload_forgets)
{
	struct ast_variable *row = host_row(ROW);
	unsigned int epoch;

	begin(NULL);
	know("shop", ROW);
	epoch = rows_epoch();
	CHECK_INT(rows_repeat("shop", row, epoch), 1);
	host_cli("elevenlabs reload");
	CHECK_KNOWN("shop", ROWS_UNKNOWN, 0, 0);
	/* What a thread has made of the file before is not kept. */
	CHECK_INT(rows_repeat("shop", row, epoch), 0);
	CHECK_INT(rows_put("shop", row, NULL, "", epoch), -1);
	rows_erase(row);
	end();
}

TEST(lists_have_both_kinds)
{
	char *out;

	begin(GENERAL "[counter]\nagent_id = agent_counter\n");
	know("shop", ROW);
	know("SHOP", "name=shop&agent_id=agent_shop");
	CHECK_HAS(host_cli("elevenlabs show agents"), "2 agents");
	CHECK_HAS(host_cli("elevenlabs show agents"), "      0       0\n");
	CHECK_HAS(host_cli("elevenlabs show agents"), "      0       0 database\n");
	CHECK_HAS(host_cli("elevenlabs show agents"), "it has told of 2, and of 0 names");
	CHECK_STR(host_complete("elevenlabs test agent "), "counter shop");
	out = (char *) host_ami("ElevenLabsAgents", SENTINEL);
	CHECK_HAS(out, "Agent: shop\r\n");
	CHECK_HAS(out, "Source: database\r\n");
	CHECK_HAS(out, "Source: file\r\n");
	CHECK_STR(host_device_state("ElevenLabs:shop"), "NOT_INUSE");
	CHECK_STR(host_device_state("ElevenLabs:other"), "UNKNOWN");
	rows_put_none("other");
	CHECK_STR(host_device_state("ElevenLabs:other"), "INVALID");
	end();
}

/* ---- A database that answers. Virtual time ---- */

TEST(a_row_takes_the_call)
{
	begin(NULL);
	table = ROW "&max_sessions=&json_cart=";
	answer();
	CHECK_STR(run("shop"), "AGENT_ENDED");
	CHECK_STR(fake_value(fake_session(0), CONVAI_PAIR_SETTING, "agent_id"), "agent_shop");
	CHECK_STR(fake_value(fake_session(0), CONVAI_PAIR_SETTING, "chunk_ms"), "60");
	CHECK_STR(fake_value(fake_session(0), CONVAI_PAIR_SETTING, "connect_timeout"), "3");
	CHECK_STR(fake_value(fake_session(0), CONVAI_PAIR_VARIABLE, "shop"), "Side Street");
	CHECK_STR(run("shop"), "AGENT_ENDED");
	CHECK_INT(asked, 1);
	end();
}

TEST(there_is_no_such_row)
{
	begin(NULL);
	table = NULL;
	answer();
	CHECK_STR(run("shop"), "NOAGENT");
	CHECK_STR(reason(), "elevenlabs.conf has no such agent, and the database has none either");
	CHECK_STR(run("shop"), "NOAGENT");
	CHECK_INT(asked, 1);
	table = ROW;
	host_sleep((ROWS_NONE_MS + 10) * MS);
	CHECK_STR(run("shop"), "AGENT_ENDED");
	end();
}

TEST(a_row_with_a_fault)
{
	begin(NULL);
	table = "agent_id=a&chunk_ms=5";
	answer();
	CHECK_STR(run("shop"), "NOAGENT");
	CHECK_HAS(reason(), "its row in the database is not valid: the log has said what is wrong");
	CHECK_HAS(host_variable(channel, "ELEVENLABSDETAIL"), "chunk_ms");
	CHECK_HAS(host_log(), "elevenlabs (database) [shop]: chunk_ms = 5: allowed is");
	end();
}

TEST(a_fallback_agent_in_the_database)
{
	begin(GENERAL "[first]\nagent_id = x\nauth = signed_url\nfallback_agent = shop\n"
		"[second]\nagent_id = x\nauth = signed_url\nfallback_agent = nobody\n");
	answer();
	CHECK_STR(run("first"), "AGENT_ENDED");
	CHECK_STR(fake_agent(fake_session(0)), "shop");
	CHECK_STR(run("second"), "AUTH");
	CHECK_HAS(host_log(), "fallback_agent nobody of agent second is not tried: ");
	end();
}

TEST(names_that_are_not_asked_for)
{
	static const char * const names[] = {
		"sho%", "shop'--", "shop\nx", "shop;", "sh*p", "sh\xc3", "(shop", "${shop}",
		"01234567890123456789012345678901234567890123456789012345678901234567890123456789",
	};
	char kilobyte[1025];
	size_t i;

	begin(NULL);
	memset(kilobyte, 'x', sizeof(kilobyte) - 1);
	kilobyte[sizeof(kilobyte) - 1] = '\0';
	for (i = 0; i < ARRAY_LEN(names); i++) {
		CHECK_STR(run(names[i]), "NOAGENT");
		CHECK_HAS(reason(), "the database is asked only for names of letters");
	}
	CHECK_STR(run(kilobyte), "NOAGENT");
	CHECK_INT(asked, 0);
	CHECK_INT(rows_count().others, 0);
	end();
}

TEST(commands_look_it_up_as_well)
{
	begin(NULL);
	answer();
	CHECK_HAS(host_cli("elevenlabs check agent nobody"),
		"There is no agent nobody: elevenlabs.conf has no such agent, and the database has none either");
	CHECK_HAS(host_cli("elevenlabs show tools nobody"), "There is no agent nobody: ");
	CHECK_HAS(host_cli("elevenlabs test agent nobody"), "Agent nobody: FAILED, NOAGENT");
	fake.opened = NULL;
	fake.outcome = CONVAI_OUTCOME_FAILED;
	fake.answer = "no";
	CHECK_HAS(host_cli("elevenlabs check agent shop"), "Agent shop could not be checked: no");
	fake.outcome = CONVAI_OUTCOME_OK;
	fake.answer = "";
	host_cli("elevenlabs check agent shop");
	CHECK_HAS(fake.asked, "check agent shop\n");
	CHECK_HAS(fake.asked, "place=elevenlabs.conf:3 [general] chunk_ms\n");
	CHECK_HAS(fake.asked, "place=elevenlabs (database) [shop] connect_timeout\n");
	end();
}

/* ---- A database that fails at once. Virtual time ---- */

static const char *run_answered(const char *name)
{
	host_at(host_now() + 1 * MS, until_answered, NULL);
	return run(name);
}

TEST(nothing_at_all_is_a_failure)
{
	begin(NULL);
	know("shop", ROW);
	table = NULL;
	host_sleep((ROWS_FRESH_MS + 1) * MS);
	CHECK_STR(run_answered("shop"), "AGENT_ENDED");
	CHECK_INT(asked, 2);
	CHECK_HAS(host_log(), "Agent shop: the database gives neither its row nor any other, which is taken for a failure: "
		"the row of 5 s ago counts");
	/* It gives another one: this one has been removed. */
	any = "name=other&agent_id=b";
	host_sleep((ROWS_FRESH_MS + 1) * MS);
	CHECK_STR(run_answered("shop"), "NOAGENT");
	end();
}

TEST(a_failure_that_lasts)
{
	begin(NULL);
	know("shop", ROW);
	table = NULL;
	host_sleep((ROWS_KEPT_MS + 1000) * MS);
	CHECK_STR(run_answered("shop"), "NOAGENT");
	CHECK_HAS(host_log(), "has given nothing for more than 300 s");
	end();
}

TEST(a_row_that_changes)
{
	begin(NULL);
	CHECK_STR(run_answered("shop"), "AGENT_ENDED");
	table = "name=shop&agent_id=agent_new";
	host_sleep((ROWS_FRESH_MS + 1) * MS);
	CHECK_STR(run_answered("shop"), "AGENT_ENDED");
	CHECK_STR(fake_value(fake_session(1), CONVAI_PAIR_SETTING, "agent_id"), "agent_new");
	table = "name=shop&agent_id=agent_new&chunk_ms=5";
	host_sleep((ROWS_FRESH_MS + 1) * MS);
	CHECK_STR(run_answered("shop"), "AGENT_ENDED");
	/* What is wrong with it is said once, as long as it stays. */
	host_log_clear();
	host_sleep((ROWS_FRESH_MS + 1) * MS);
	CHECK_STR(run_answered("shop"), "AGENT_ENDED");
	CHECK_INT(host_logged("chunk_ms"), 0);
	CHECK_INT(asked, 4);
	end();
}

/* ---- A database that hangs. Virtual time ---- */

static void check_hanging(void *data)
{
	await_inside(1);
	CHECK_HAS(host_cli("elevenlabs show stats"), "Agents in the database: 1 of 4 threads ask for them, 0 beyond");
}

TEST(nobody_waits_longer_than_the_limit)
{
	int64_t began;

	begin(NULL);
	hold(1);
	host_at(host_now() + 1000 * MS, check_hanging, NULL);
	began = host_now();
	CHECK_STR(run("shop"), "NOAGENT");
	CHECK(host_now() - began >= LOOKUP_LIMIT_MS * MS && host_now() - began < (LOOKUP_LIMIT_MS + 50) * MS);
	CHECK_STR(reason(), "elevenlabs.conf has no such agent, and the database has not answered within 2000 ms");
	CHECK_HAS(host_log(), "Agent shop: the database has not answered within 2000 ms; 1 of 4 threads wait for it");
	CHECK_INT(host_serviced(), 1);
	/* The next one does not wait at all. */
	began = host_now();
	CHECK_STR(run("shop"), "NOAGENT");
	CHECK_INT(host_now() - began, 0);
	CHECK_HAS(host_cli("elevenlabs show stats"), "1 of 4 threads ask for them, 1 beyond 2000 ms");
	CHECK_HAS(host_cli("elevenlabs show agents"), "The database does not answer: 1 of 4 threads wait for it");
	end();
}

TEST(the_row_before_counts)
{
	begin(NULL);
	know("shop", ROW);
	host_sleep(60 * 1000 * MS);
	hold(1);
	CHECK_STR(run("shop"), "AGENT_ENDED");
	CHECK_HAS(host_log(), "Agent shop is as the database said 62 s ago");
	CHECK_STR(fake_value(fake_session(0), CONVAI_PAIR_SETTING, "agent_id"), "agent_shop");
	await_inside(1);
	end();
}

static int busy;

/*! As a tool that takes its time */
static void be_busy(void *data)
{
	while (__atomic_load_n(&busy, __ATOMIC_ACQUIRE)) {
		sched_yield();
	}
}

TEST(the_pool_is_full)
{
	unsigned int i;

	begin(NULL);
	__atomic_store_n(&busy, 1, __ATOMIC_RELEASE);
	for (i = 0; i < POOL_THREADS; i++) {
		CHECK_INT(pool_run(be_busy, NULL), 0);
	}
	CHECK_STR(run("shop"), "NOAGENT");
	CHECK_STR(reason(), "elevenlabs.conf has no such agent, and the database was not asked: no thread was free for it "
		"within 2000 ms, of 4 for look-ups and 16 for these and tools");
	CHECK_INT(lookup_count().waiting, 0);
	__atomic_store_n(&busy, 0, __ATOMIC_RELEASE);
	CHECK_INT(asked, 0);
	end();
}

TEST(so_many_threads_may_hang)
{
	static const char * const names[] = { "a", "b", "c", "d" };
	int64_t began;
	size_t i;

	begin(NULL);
	hold(1);
	for (i = 0; i < LOOKUP_THREADS; i++) {
		CHECK_STR(run(names[i]), "NOAGENT");
		await_inside(i + 1);
	}
	began = host_now();
	CHECK_STR(run("e"), "NOAGENT");
	CHECK_INT(host_now() - began, 0);
	CHECK_STR(reason(), "elevenlabs.conf has no such agent, and the database was not asked: 4 look-ups wait for it "
		"already, beyond their limit");
	CHECK_INT(asked, LOOKUP_THREADS);
	end();
}

static void hang_up(void *data)
{
	host_channel_hangup(channel);
}

TEST(a_caller_who_hangs_up_waits_no_more)
{
	int64_t began;

	begin(NULL);
	hold(1);
	began = host_now();
	host_at(began + 500 * MS, hang_up, NULL);
	CHECK_STR(run("shop"), "HANGUP");
	CHECK(host_now() - began < 520 * MS);
	CHECK_STR(reason(), "the caller hung up");
	CHECK_INT(host_serviced(), 1);
	end();
}

static void unload(void *data)
{
	await_inside(1);
	CHECK_INT(host_unload(0), -1);
}

/*! As in another thread, which an unload is: it waits for the call meanwhile */
static void close_door(void *data)
{
	await_inside(1);
	registry_close(1);
}

TEST(an_unload_waits_for_nobody_who_waits)
{
	int64_t began;

	begin(NULL);
	hold(1);
	began = host_now();
	host_at(began + 500 * MS, close_door, NULL);
	CHECK_STR(run("shop"), "UNLOADED");
	CHECK(host_now() - began < 520 * MS);
	registry_close(0);
	unload(NULL);
	CHECK_HAS(host_log(), "Not unloaded: the database has not answered 1 look-ups of agents within 5000 ms");
	end();
}

/* ---- Several at once. Real time ---- */

static void *ask_once(void *name)
{
	struct config *config = config_get();
	struct ending ending;
	struct config_agent *agent = lookup_agent(config, name, NULL, &ending);

	ao2_cleanup(agent);
	ao2_cleanup(config);
	return agent;
}

TEST(so_many_are_asked_for_at_once)
{
	static char *names[] = { "a", "b", "c", "d", "shop", "shop" };
	pthread_t threads[ARRAY_LEN(names)];
	void *found;
	size_t i;

	begin(NULL);
	host_stop_clock();
	hold(1);
	for (i = 0; i < ARRAY_LEN(names); i++) {
		CHECK_INT(pthread_create(&threads[i], NULL, ask_once, names[i]), 0);
	}
	await_inside(LOOKUP_THREADS);
	WAIT_FOR(lookup_count().asked + lookup_count().waiting == 5);
	usleep(20 * MS);
	CHECK_INT(lookup_count().asked, LOOKUP_THREADS);
	CHECK_INT(lookup_count().waiting, 1);
	hold(0);
	for (i = 0; i < ARRAY_LEN(names); i++) {
		pthread_join(threads[i], &found);
		CHECK_INT(found != NULL, !strcmp(names[i], "shop"));
	}
	/* Who waits for the same name shares one look-up. */
	CHECK_INT(asked, 5);
	end();
}

/* ---- The whole file ---- */

TEST(the_whole_file_out_of_a_database)
{
	host_file_in_database(1);
	begin("[general]\nauth = none\n[shop]\nagent_id = a\n");
	host_write_config("elevenlabs.conf", "[shop]\nagent_id = a\nchunk_ms = 5\n");
	CHECK_HAS(host_cli("elevenlabs reload"), "elevenlabs.conf (database) [shop]: chunk_ms = 5: allowed is");
	/* A driver that fails gives no sections. */
	host_write_config("elevenlabs.conf", "");
	CHECK_HAS(host_cli("elevenlabs reload"), "elevenlabs.conf (database): the database that extconfig.conf names for "
		"this file has given nothing");
	CHECK_STR(run("shop"), "AGENT_ENDED");
	end();
	host_file_in_database(0);
}

/* ---- For the thread sanitizer ---- */

static int going;

static void *ask_again(void *data)
{
	while (__atomic_load_n(&going, __ATOMIC_ACQUIRE)) {
		ask_once(data);
	}
	return NULL;
}

TEST(look_ups_while_everything_else_goes_on)
{
	static char *names[] = { "shop", "a", "shop", "b", "c", "d" };
	pthread_t threads[ARRAY_LEN(names)];
	int64_t until;
	size_t i;

	begin(NULL);
	host_use_real_time();
	going = 1;
	for (i = 0; i < ARRAY_LEN(names); i++) {
		CHECK_INT(pthread_create(&threads[i], NULL, ask_again, names[i]), 0);
	}
	until = host_now() + 300 * MS;
	while (host_now() < until) {
		host_cli("elevenlabs reload");
		host_cli("elevenlabs show agents");
		host_cli("elevenlabs show stats");
		usleep(1 * MS);
	}
	__atomic_store_n(&going, 0, __ATOMIC_RELEASE);
	for (i = 0; i < ARRAY_LEN(names); i++) {
		pthread_join(threads[i], NULL);
	}
	/* One that nobody has waited for goes on without them. */
	WAIT_FOR(!lookup_count().asked);
	end();
}
