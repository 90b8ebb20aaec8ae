/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief An engine that does what the test says, in the place of embed.c
 */

#include "fake_engine.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "asterisk/paths.h"

#include "engine/embed.h"
#include "host.h"

#define MAX_SESSIONS 64
#define MAX_PUSHES 4096

struct convai_session {
	pthread_mutex_t lock;
	int event_fd;
	int released;
	int hung_up;
	int jammed;
	int refuses;
	struct convai_progress progress;
	char reason[600];
	char agent[80];
	struct convai_pair *pairs;
	uint32_t pair_count;
	uint64_t said;	/*!< bytes since the start */
	uint64_t played;	/*!< up to here; skipped ones count */
	struct convai_counters counters;
	uint64_t queue_silence_ms;
	struct fake_push pushes[MAX_PUSHES];
	size_t push_count;
	unsigned int build;
	uint32_t saying_kind;
	char saying[CONVAI_SAY_BYTES];
	char all_sayings[4096];
	int say_errno;
	uint32_t debug;
	char holds[128];
	struct convai_step step;	/*!< what is offered */
	enum { NO_STEP, OFFERED, TAKEN, RUNNING } step_state;
	int step_refused;
	char steps[2048];
	struct convai_event events[FAKE_EVENTS];	/*!< what programs are to be told */
	unsigned int events_told, events_taken;
	char *words[CONVAI_WORDS_HEARD + 1];
	struct convai_turn_times turns;
	uint32_t level_count;
};

struct fake fake = { .builds = { { .debug = -1 }, { .debug = -1 }, { .debug = -1 }, { .debug = -1 } } };

static struct convai_session *sessions[MAX_SESSIONS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void add(uint64_t *counter, uint64_t value)
{
	__atomic_fetch_add(counter, value, __ATOMIC_RELAXED);
}

/* Looked at by calls and commands, on threads of their own. */

static int is_running(unsigned int build)
{
	return __atomic_load_n(&fake.builds[build].running, __ATOMIC_ACQUIRE);
}

static void set_running(unsigned int build, int running)
{
	__atomic_store_n(&fake.builds[build].running, running, __ATOMIC_RELEASE);
}

/* ---- The table ---- */

static void copy_request(struct convai_session *session,
	const struct convai_request *request)
{
	uint32_t i;

	snprintf(session->agent, sizeof(session->agent), "%s", request->agent);
	session->pair_count = request->pair_count;
	session->pairs = calloc(request->pair_count + 1, sizeof(*session->pairs));
	for (i = 0; i < request->pair_count; i++) {
		session->pairs[i].kind = request->pairs[i].kind;
		session->pairs[i].name = strdup(request->pairs[i].name);
		session->pairs[i].value = strdup(request->pairs[i].value);
	}
}

static struct convai_session *open_with(unsigned int build, const struct convai_request *request)
{
	struct convai_session *session;
	unsigned int number;

	if (fake.open_errno || !is_running(build)) {
		errno = fake.open_errno ? fake.open_errno : ESHUTDOWN;
		return NULL;
	}
	session = calloc(1, sizeof(*session));
	session->build = build;
	pthread_mutex_init(&session->lock, NULL);
	session->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	session->progress.conversation_id = "";
	session->progress.reason = "";
	session->progress.detail = "";
	copy_request(session, request);
	pthread_mutex_lock(&lock);
	number = fake.opens;
	if (number >= MAX_SESSIONS) {
		FAIL("more than %d sessions", MAX_SESSIONS);
	}
	sessions[number] = session;
	__atomic_store_n(&fake.opens, number + 1, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&lock);
	if (fake.opened) {
		fake.opened(session);
	}
	return session;
}

static int fake_event_fd(const struct convai_session *session)
{
	return session->event_fd;
}

static void fake_poll(struct convai_session *session, struct convai_progress *progress)
{
	eventfd_t value;

	pthread_mutex_lock(&session->lock);
	eventfd_read(session->event_fd, &value);
	*progress = session->progress;
	pthread_mutex_unlock(&session->lock);
}

/*! \brief Whether the agent is deaf and mute: beside other steps the conversation goes on */
static int dialplan_runs(const struct convai_session *session)
{
	return session->step_state == RUNNING && session->step.kind == CONVAI_STEP_DIALPLAN;
}

static void note_push(struct convai_session *session, struct fake_push push)
{
	if (dialplan_runs(session)) {
		FAIL("audio is pushed while a step runs");
	}
	if (session->released) {
		FAIL("audio is pushed into a session that was released");
	}
	if (session->push_count == MAX_PUSHES) {
		FAIL("more than %d pushes", MAX_PUSHES);
	}
	push.at_us = host_now();
	session->pushes[session->push_count++] = push;
}

static uint32_t bytes_of(const struct convai_format *format, uint32_t ms)
{
	uint32_t sample_bytes = format->encoding == CONVAI_ENCODING_SLIN ? 2 : 1;

	return (uint64_t) format->rate * ms / 1000 * sample_bytes;
}

static uint32_t fake_push_audio(struct convai_session *session, const uint8_t *audio,
	uint32_t bytes, int64_t now_us)
{
	pthread_mutex_lock(&session->lock);
	if (session->progress.state != CONVAI_STATE_TALKING || session->refuses) {
		add(&session->counters.push_dropped_bytes, bytes);
		bytes = 0;
	} else {
		add(&session->counters.pushed_bytes, bytes);
		note_push(session, (struct fake_push) { .bytes = bytes, .first = audio[0] });
	}
	pthread_mutex_unlock(&session->lock);
	return bytes;
}

static uint32_t fake_push_silence(struct convai_session *session, uint32_t ms)
{
	uint32_t bytes = 0;

	pthread_mutex_lock(&session->lock);
	if (session->progress.state == CONVAI_STATE_QUEUED && !session->refuses) {
		bytes = bytes_of(&session->progress.caller, ms);
		session->queue_silence_ms += ms;
	} else if (session->progress.state == CONVAI_STATE_TALKING && !session->refuses) {
		bytes = bytes_of(&session->progress.caller, ms);
		add(&session->counters.pushed_bytes, bytes);
		add(&session->counters.silence_ms, ms);
		note_push(session, (struct fake_push) { .silence_ms = ms });
	}
	pthread_mutex_unlock(&session->lock);
	return bytes;
}

static uint32_t fake_pop(struct convai_session *session, uint8_t *audio, uint32_t bytes,
	int64_t now_us)
{
	int silence = session->progress.agent.encoding == CONVAI_ENCODING_ULAW ? 0xff : 0;
	uint32_t taken = 0;

	if (session->released) {
		FAIL("audio is popped from a session that was released");
	}
	if (dialplan_runs(session)) {
		FAIL("audio is popped while a step runs");
	}
	pthread_mutex_lock(&session->lock);
	while (taken < bytes && session->played < session->said && !session->jammed) {
		audio[taken++] = FAKE_AUDIO_FIRST + session->played++ % 250;
	}
	memset(audio + taken, silence, bytes - taken);
	add(&session->counters.played_bytes, taken);
	pthread_mutex_unlock(&session->lock);
	return taken;
}

static uint64_t fake_queued(const struct convai_session *session)
{
	struct convai_session *own = (struct convai_session *) session;
	uint64_t queued;

	pthread_mutex_lock(&own->lock);
	queued = session->said - session->played;
	pthread_mutex_unlock(&own->lock);
	return queued;
}

static void fake_hangup(struct convai_session *session)
{
	session->hung_up = 1;
}

static void fake_release(struct convai_session *session)
{
	if (session->released) {
		FAIL("a session is released twice");
	}
	session->hung_up = 1;
	session->released = 1;
	__atomic_fetch_add(&fake.releases, 1, __ATOMIC_RELAXED);
}

static void fake_counters(const struct convai_session *session,
	struct convai_counters *counters)
{
	struct convai_session *own = (struct convai_session *) session;

	if (session->released) {
		FAIL("the counters of a session that was released are asked for");
	}
	pthread_mutex_lock(&own->lock);
	*counters = session->counters;
	pthread_mutex_unlock(&own->lock);
}

static void fake_timings(struct convai_timings *timings)
{
	*timings = fake.timings;
}

static void fake_hold(struct convai_session *session, int on)
{
	size_t length = strlen(session->holds);

	if (session->released) {
		FAIL("a session that was released is held");
	}
	snprintf(session->holds + length, sizeof(session->holds) - length, "%s%s@%lld",
		length ? " " : "", on ? "hold" : "back", (long long) (host_now() / 1000));
}

const char *fake_holds(const struct convai_session *session)
{
	return session->holds;
}

/* ---- Steps ---- */

static void __attribute__((format(printf, 2, 3))) note_step(struct convai_session *session,
	const char *format, ...)
{
	size_t length = strlen(session->steps);
	va_list ap;

	if (session->released) {
		FAIL("a step of a session that was released");
	}
	va_start(ap, format);
	vsnprintf(session->steps + length, sizeof(session->steps) - length, format, ap);
	va_end(ap);
}

static const struct convai_step *fake_take_step(struct convai_session *session)
{
	if (session->step_state != OFFERED) {
		return NULL;
	}
	session->step_state = TAKEN;
	return &session->step;
}

static int fake_begin_step(struct convai_session *session)
{
	if (session->step_state != TAKEN) {
		FAIL("a step begins that was not taken");
	}
	if (session->step_refused) {
		return -1;
	}
	session->step_state = RUNNING;
	note_step(session, "%s@%lld ", session->step.tool, (long long) (host_now() / 1000));
	return 0;
}

static void fake_end_step(struct convai_session *session, uint32_t outcome, const char *result)
{
	static const char * const names[] = { "unknown", "done", "failed", "refused" };

	if (session->step_state < TAKEN) {
		FAIL("a step ends that was not taken");
	}
	session->step_state = NO_STEP;
	note_step(session, "%s@%lld:%s\n", names[outcome], (long long) (host_now() / 1000), result);
}

void fake_step(struct convai_session *session, const char *tool,
	const struct convai_argument *arguments, unsigned int count)
{
	fake_step_of(session, CONVAI_STEP_DIALPLAN, tool, arguments, count);
}

void fake_step_of(struct convai_session *session, enum convai_step_kind kind, const char *tool,
	const struct convai_argument *arguments, unsigned int count)
{
	session->step = (struct convai_step) { tool, arguments, count, kind };
	session->step_state = OFFERED;
	eventfd_write(session->event_fd, 1);
}

void fake_refuse_step(struct convai_session *session)
{
	session->step_refused = 1;
}

const char *fake_steps(const struct convai_session *session)
{
	return session->steps;
}

static const struct convai_event *fake_take_event(struct convai_session *session)
{
	if (session->released) {
		FAIL("an event is taken of a session that was released");
	}
	return session->events_taken < session->events_told ? &session->events[session->events_taken++]
		: NULL;
}

void fake_event(struct convai_session *session, uint32_t kind, const struct convai_argument *fields,
	unsigned int count)
{
	if (session->events_told == FAKE_EVENTS) {
		FAIL("the fake engine has no more than %d events for a session", FAKE_EVENTS);
	}
	session->events[session->events_told++] = (struct convai_event) {
		.kind = kind, .field_count = count, .at_ms = 1700000000123, .fields = fields,
	};
	eventfd_write(session->event_fd, 1);
}

/* ---- Jobs ---- */

static char jobs[4096];
static unsigned int jobs_over;

static void fake_end_job(const struct convai_job *job, uint32_t outcome, const char *result)
{
	static const char * const names[] = { "unknown", "done", "failed" };
	size_t length;

	pthread_mutex_lock(&lock);
	length = strlen(jobs);
	snprintf(jobs + length, sizeof(jobs) - length, "%s %s:%s\n", job->what.tool, names[outcome], result);
	__atomic_store_n(&jobs_over, jobs_over + 1, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&lock);
	free((void *) job);
}

uint32_t fake_job(struct convai_session *session, uint32_t kind, const char *tool, uint32_t limit_ms)
{
	static const struct convai_argument arguments[] = { { "order", "17" }, { "who", "Anna" } };
	struct convai_job *job = calloc(1, sizeof(*job));
	uint32_t verdict;

	*job = (struct convai_job) {
		.kind = kind, .limit_ms = limit_ms, .what = { tool, arguments, 2 },
	};
	verdict = fake.host->begin_job(session, job);
	if (verdict != CONVAI_JOB_TAKEN) {
		free(job);
	}
	return verdict;
}

const char *fake_jobs(unsigned int count)
{
	WAIT_FOR(__atomic_load_n(&jobs_over, __ATOMIC_ACQUIRE) >= count);
	return jobs;
}

void fake_work(struct convai_session *session, uint32_t working)
{
	pthread_mutex_lock(&session->lock);
	session->progress.working = working;
	eventfd_write(session->event_fd, 1);
	pthread_mutex_unlock(&session->lock);
}

static int fake_agent_timings(const char *agent, struct convai_timings *timings)
{
	if (!fake.timed_agent || strcasecmp(agent, fake.timed_agent)) {
		return -1;
	}
	*timings = fake.timings;
	return 0;
}

static void fake_turn_times(const struct convai_session *session, struct convai_turn_times *times)
{
	struct convai_session *own = (struct convai_session *) session;

	if (session->released) {
		FAIL("a session that was released is asked how soon its agent answers");
	}
	pthread_mutex_lock(&own->lock);
	*times = own->turns;
	pthread_mutex_unlock(&own->lock);
}

void fake_answers(struct convai_session *session, unsigned int count, unsigned int median_ms,
	unsigned int worst_ms)
{
	pthread_mutex_lock(&session->lock);
	session->turns = (struct convai_turn_times) { count, median_ms * 1000, worst_ms * 1000 };
	pthread_mutex_unlock(&session->lock);
}

/*! The caller is as loud as the place of a level says, the agent silent */
static uint32_t fake_levels(const struct convai_session *session, struct convai_level *levels, uint32_t most)
{
	uint32_t count = __atomic_load_n(&session->level_count, __ATOMIC_ACQUIRE);
	uint32_t from = count > most ? count - most : 0;
	uint32_t i;

	if (session->released) {
		FAIL("a session that was released is asked for its levels");
	}
	for (i = from; i < count; i++) {
		levels[i - from] = (struct convai_level) { i & 0x7f, 0 };
	}
	return count;
}

void fake_is_as_loud(struct convai_session *session, uint32_t count)
{
	__atomic_store_n(&session->level_count, count, __ATOMIC_RELEASE);
}

/*! One turn, of what fake_answers has said last */
static uint32_t fake_turn_list(const struct convai_session *session, struct convai_turn *turns, uint32_t most)
{
	struct convai_turn_times times;

	fake_turn_times(session, &times);
	if (times.count && most) {
		turns[0] = (struct convai_turn) { 1000, times.worst_us };
	}
	return times.count ? 1 : 0;
}

static void fake_give_words(struct convai_session *session, uint32_t which, char *text, uint32_t size)
{
	if (session->released) {
		FAIL("a session that was released is asked for its words");
	}
	pthread_mutex_lock(&session->lock);
	snprintf(text, size, "%s", session->words[which] ? session->words[which] : "");
	pthread_mutex_unlock(&session->lock);
}

void fake_words(struct convai_session *session, uint32_t which, const char *text)
{
	pthread_mutex_lock(&session->lock);
	free(session->words[which]);
	session->words[which] = strdup(text);
	pthread_mutex_unlock(&session->lock);
}

void fake_away(const char *agent, uint32_t ms)
{
	fake.host->away(agent, ms);
}

static int fake_send(struct convai_session *session, uint32_t kind, const char *text)
{
	if (session->released) {
		FAIL("something is said in a session that was released");
	}
	if (session->say_errno) {
		errno = session->say_errno;
		return -1;
	}
	pthread_mutex_lock(&session->lock);
	session->saying_kind = kind;
	snprintf(session->saying, sizeof(session->saying), "%s", text);
	snprintf(session->all_sayings + strlen(session->all_sayings),
		sizeof(session->all_sayings) - strlen(session->all_sayings), "%u:%s\n", kind, text);
	pthread_mutex_unlock(&session->lock);
	return 0;
}

const char *fake_said(const struct convai_session *session, uint32_t *kind)
{
	*kind = session->saying_kind;
	return session->saying;
}

const char *fake_all_said(const struct convai_session *session)
{
	return session->all_sayings;
}

void fake_say_fails(struct convai_session *session, int failure)
{
	session->say_errno = failure;
}

static void fake_set_session_debug(struct convai_session *session, uint32_t debug)
{
	if (session->released) {
		FAIL("a session that was released is to be logged, or not");
	}
	session->debug = debug;
}

uint32_t fake_session_debug(const struct convai_session *session)
{
	return session->debug;
}

static void fake_end_all(uint32_t status, const char *reason)
{
	unsigned int opens = __atomic_load_n(&fake.opens, __ATOMIC_ACQUIRE);
	unsigned int i;

	fake.ends++;
	fake.end_status = status;
	for (i = 0; i < opens; i++) {
		/* Also to one that was released: it is only looked at here. */
		fake_end(sessions[i], status, reason, 0);
	}
}

/* ---- Inquiries ---- */

struct convai_inquiry {
	int event_fd;
};

static struct convai_inquiry *fake_inquire(const struct convai_question *question)
{
	struct convai_inquiry *inquiry;
	size_t used;
	uint32_t i;

	__atomic_fetch_add(&fake.inquiries, 1, __ATOMIC_SEQ_CST);
	if (fake.inquire_errno) {
		errno = fake.inquire_errno;
		return NULL;
	}
	used = snprintf(fake.asked, sizeof(fake.asked), "%s %s\n", question->kind, question->agent);
	for (i = 0; i < question->pair_count; i++) {
		if (question->pairs[i].kind == CONVAI_PAIR_ARGUMENT && used < sizeof(fake.asked)) {
			used += snprintf(fake.asked + used, sizeof(fake.asked) - used, "%s=%s\n",
					question->pairs[i].name, question->pairs[i].value);
		}
	}
	fake.asked_limit_ms = question->limit_ms;
	if (fake.inquired) {
		fake.inquired(question->kind);
	}
	inquiry = calloc(1, sizeof(*inquiry));
	inquiry->event_fd = eventfd(fake.outcome != CONVAI_OUTCOME_NONE, EFD_NONBLOCK | EFD_CLOEXEC);
	__atomic_fetch_add(&fake.inquiries_open, 1, __ATOMIC_SEQ_CST);
	return inquiry;
}

static int fake_inquiry_fd(const struct convai_inquiry *inquiry)
{
	return inquiry->event_fd;
}

static uint32_t fake_inquiry_poll(const struct convai_inquiry *inquiry, const char **answer)
{
	(void) inquiry;
	*answer = fake.answer ? fake.answer : "";
	return fake.outcome;
}

static void fake_inquiry_release(struct convai_inquiry *inquiry)
{
	close(inquiry->event_fd);
	free(inquiry);
	__atomic_fetch_sub(&fake.inquiries_open, 1, __ATOMIC_SEQ_CST);
}

/* ---- Information ---- */

static int fake_inform(uint32_t what, const struct convai_pair *pairs, uint32_t pair_count)
{
	char *told = what == CONVAI_INFORM_SETTINGS ? fake.settings : fake.informed;
	size_t size = what == CONVAI_INFORM_SETTINGS ? sizeof(fake.settings) : sizeof(fake.informed);
	size_t used;
	uint32_t i;

	pthread_mutex_lock(&lock);
	used = what == CONVAI_INFORM_SETTINGS ? 0 : strlen(told);
	if (fake.inform_errno) {
		errno = fake.inform_errno;
		pthread_mutex_unlock(&lock);
		return -1;
	}
	for (i = 0; i < pair_count && used < size; i++) {
		used += snprintf(told + used, size - used, "%s=%s\n", pairs[i].name, pairs[i].value);
	}
	fake.informs += what == CONVAI_INFORM_CALL_OVER;
	pthread_mutex_unlock(&lock);
	return 0;
}

static uint64_t fake_webhooks_waiting(void)
{
	return fake.webhooks_waiting;
}

static int stop_build(unsigned int build, uint32_t limit_ms)
{
	if (!is_running(build)) {
		return 0;
	}
	if (!limit_ms) {
		return -1;
	}
	fake.stops++;
	fake.stop_limit_ms = limit_ms;
	if (fake.stopping) {
		void (*meanwhile)(void) = fake.stopping;

		fake.stopping = NULL;
		meanwhile();
	}
	if (fake.builds[build].hangs) {
		return -1;
	}
	if (fake.stop_failures) {
		fake.stop_failures--;
		return -1;
	}
	set_running(build, 0);
	return 0;
}

static int attach(const struct convai_host *host)
{
	fake.host = host;
	return 0;
}

/* Functions of a table do not know whose they are, so each build has its own. */
#define BUILD(n) \
	static struct convai_session *open_##n(const struct convai_request *request) \
	{ \
		return open_with(n, request); \
	} \
	static void set_debug_##n(int on) \
	{ \
		fake.builds[n].debug = on; \
	} \
	static void finish_##n(void) \
	{ \
		fake.builds[n].finishes++; \
		set_running(n, fake.builds[n].hangs && is_running(n)); \
	} \
	static int running_##n(void) \
	{ \
		if (fake.builds[n].fails) { \
			set_running(n, 0); \
		} \
		return is_running(n); \
	} \
	static int stop_##n(uint32_t limit_ms) \
	{ \
		return stop_build(n, limit_ms); \
	}

#define TABLE(n) { \
	.abi_version = CONVAI_ABI_VERSION, \
	.size = sizeof(struct convai_ops), \
	.build_id = "build-" #n, \
	.version = "0." #n, \
	.attach = attach, \
	.open = open_##n, \
	.event_fd = fake_event_fd, \
	.poll = fake_poll, \
	.push = fake_push_audio, \
	.push_silence = fake_push_silence, \
	.pop = fake_pop, \
	.queued = fake_queued, \
	.hangup = fake_hangup, \
	.release = fake_release, \
	.counters = fake_counters, \
	.timings = fake_timings, \
	.send = fake_send, \
	.set_session_debug = fake_set_session_debug, \
	.set_debug = set_debug_##n, \
	.end_all = fake_end_all, \
	.finish = finish_##n, \
	.running = running_##n, \
	.stop = stop_##n, \
	.hold = fake_hold, \
	.take_step = fake_take_step, \
	.begin_step = fake_begin_step, \
	.end_step = fake_end_step, \
	.inquire = fake_inquire, \
	.inquiry_fd = fake_inquiry_fd, \
	.inquiry_poll = fake_inquiry_poll, \
	.inquiry_release = fake_inquiry_release, \
	.take_event = fake_take_event, \
	.end_job = fake_end_job, \
	.agent_timings = fake_agent_timings, \
	.turns = fake_turn_times, \
	.words = fake_give_words, \
	.levels = fake_levels, \
	.turn_list = fake_turn_list, \
	.inform = fake_inform, \
	.webhooks_waiting = fake_webhooks_waiting, \
}

BUILD(0)
BUILD(1)
BUILD(2)
BUILD(3)

static const struct convai_ops tables[FAKE_BUILDS] = { TABLE(0), TABLE(1), TABLE(2), TABLE(3) };

/* ---- In the place of embed.c ---- */

static void folder_of(unsigned int n, char *path, size_t size)
{
	snprintf(path, size, "%.2000s/app_elevenlabs_convai.d/build-%u", ast_config_AST_MODULE_DIR, n);
}

static void link_path(char *path, size_t size)
{
	snprintf(path, size, "%.2000s/app_elevenlabs_convai.d/current", ast_config_AST_MODULE_DIR);
}

void fake_install(unsigned int n)
{
	char folder[PATH_MAX];
	char path[PATH_MAX];

	snprintf(folder, sizeof(folder), "%.2000s/app_elevenlabs_convai.d", ast_config_AST_MODULE_DIR);
	mkdir(folder, 0755);
	folder_of(n, folder, sizeof(folder));
	mkdir(folder, 0755);
	link_path(path, sizeof(path));
	unlink(path);
	if (symlink(strrchr(folder, '/') + 1, path)) {
		FAIL("cannot install build %u", n);
	}
}

/*! \brief The number of the build in a directory */
static unsigned int build_in(const char *directory)
{
	const char *number = strrchr(directory, '-');

	return number ? strtoul(number + 1, NULL, 10) % FAKE_BUILDS : 0;
}

int embed_open(char *error, size_t size)
{
	static int installed;

	if (fake.open_error) {
		snprintf(error, size, "%s", fake.open_error);
		return -1;
	}
	if (!installed) {
		installed = 1;
		fake_install(0);
	}
	return 0;
}

const struct convai_ops *embed_import(const char *directory, int limit_ms, char *error,
	size_t size)
{
	unsigned int n = build_in(directory);

	fake.starts++;
	fake.builds[n].starts++;
	if (fake.start_failures) {
		fake.start_failures--;
		snprintf(error, size, "%s", fake.start_error);
		return NULL;
	}
	if (is_running(n)) {
		FAIL("build %u is started while it runs", n);
	}
	set_running(n, 1);
	fake.builds[n].fails = 0;
	return &tables[n];
}

void embed_forget(const char *directory)
{
	fake.builds[build_in(directory)].forgets++;
}

void embed_close(int limit_ms)
{
	fake.closes++;
}

void embed_pin(void)
{
	fake.pins++;
}

const char *embed_python_version(void)
{
	return "0 (fake)";
}

/* ---- What the test says ---- */

struct convai_session *fake_session(unsigned int n)
{
	if (n >= fake.opens) {
		FAIL("session %u of %u", n, fake.opens);
	}
	return sessions[n];
}

const char *fake_value(const struct convai_session *session, uint32_t kind,
	const char *name)
{
	uint32_t i;

	for (i = 0; i < session->pair_count; i++) {
		if (session->pairs[i].kind == kind && !strcmp(session->pairs[i].name, name)) {
			return session->pairs[i].value;
		}
	}
	return NULL;
}

unsigned int fake_build_of(const struct convai_session *session)
{
	return session->build;
}

const char *fake_agent(const struct convai_session *session)
{
	return session->agent;
}

uint32_t fake_pair_count(const struct convai_session *session)
{
	return session->pair_count;
}

static void announce(struct convai_session *session)
{
	eventfd_write(session->event_fd, 1);
}

void fake_talk_formats(struct convai_session *session, struct convai_format caller,
	struct convai_format agent)
{
	pthread_mutex_lock(&session->lock);
	if (session->progress.state == CONVAI_STATE_QUEUED) {
		session->progress.queue = CONVAI_QUEUE_ADMITTED;
		session->played = session->said;
	}
	session->progress.state = CONVAI_STATE_TALKING;
	session->progress.caller = caller;
	session->progress.agent = agent;
	session->progress.conversation_id = "conv_fake";
	announce(session);
	pthread_mutex_unlock(&session->lock);
}

void fake_talk(struct convai_session *session, uint32_t encoding, uint32_t rate)
{
	struct convai_format format = { encoding, rate };

	fake_talk_formats(session, format, format);
}

void fake_queue(struct convai_session *session, uint32_t encoding, uint32_t rate)
{
	struct convai_format format = { encoding, rate };

	pthread_mutex_lock(&session->lock);
	session->progress.state = CONVAI_STATE_QUEUED;
	session->progress.queue = CONVAI_QUEUE_WAITING;
	session->progress.caller = format;
	session->progress.agent = format;
	session->progress.conversation_id = "conv_fake";
	announce(session);
	pthread_mutex_unlock(&session->lock);
}

void fake_leave_queue(struct convai_session *session, uint32_t how)
{
	pthread_mutex_lock(&session->lock);
	session->progress.queue = how;
	pthread_mutex_unlock(&session->lock);
	fake_end(session, CONVAI_STATUS_LIMIT, "no agent is free", 0);
}

uint64_t fake_queue_silence_ms(const struct convai_session *session)
{
	return session->queue_silence_ms;
}

void fake_say(struct convai_session *session, unsigned int bytes)
{
	pthread_mutex_lock(&session->lock);
	session->said += bytes;
	add(&session->counters.received_bytes, bytes);
	pthread_mutex_unlock(&session->lock);
}

void fake_interrupt(struct convai_session *session)
{
	pthread_mutex_lock(&session->lock);
	add(&session->counters.flushed_bytes, session->said - session->played);
	add(&session->counters.interruptions, 1);
	session->played = session->said;
	pthread_mutex_unlock(&session->lock);
}

void fake_end(struct convai_session *session, uint32_t status, const char *reason,
	int play_out)
{
	pthread_mutex_lock(&session->lock);
	if (session->progress.state != CONVAI_STATE_ENDED) {
		session->progress.talked = session->progress.state == CONVAI_STATE_TALKING;
		session->progress.state = CONVAI_STATE_ENDED;
		session->progress.status = status;
		snprintf(session->reason, sizeof(session->reason), "%s", reason);
		session->progress.reason = session->reason;
		session->progress.detail = fake.detail ? fake.detail : "";
		session->progress.play_out = play_out;
		announce(session);
	}
	pthread_mutex_unlock(&session->lock);
}

void fake_jam(struct convai_session *session)
{
	session->jammed = 1;
}

void fake_refuse(struct convai_session *session, int refuse)
{
	session->refuses = refuse;
}

size_t fake_push_count(const struct convai_session *session)
{
	return session->push_count;
}

const struct fake_push *fake_push(const struct convai_session *session, size_t i)
{
	if (i >= session->push_count) {
		FAIL("push %zu of %zu", i, session->push_count);
	}
	return &session->pushes[i];
}

uint64_t fake_pushed_bytes(const struct convai_session *session)
{
	uint64_t bytes = 0;
	size_t i;

	for (i = 0; i < session->push_count; i++) {
		bytes += session->pushes[i].bytes;
	}
	return bytes;
}

uint64_t fake_silence_ms(const struct convai_session *session)
{
	return session->counters.silence_ms;
}

int fake_hung_up(const struct convai_session *session)
{
	return session->hung_up;
}

void fake_forget(void)
{
	unsigned int i;
	uint32_t j;

	for (i = 0; i < fake.opens; i++) {
		struct convai_session *session = sessions[i];

		if (!session->released) {
			FAIL("session %u is not released", i);
		}
		for (j = 0; j < session->pair_count; j++) {
			free((char *) session->pairs[j].name);
			free((char *) session->pairs[j].value);
		}
		free(session->pairs);
		for (j = 0; j <= CONVAI_WORDS_HEARD; j++) {
			free(session->words[j]);
		}
		close(session->event_fd);
		pthread_mutex_destroy(&session->lock);
		free(session);
	}
	fake.opens = 0;
	fake.releases = 0;
}
