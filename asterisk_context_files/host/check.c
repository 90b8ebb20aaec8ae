/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The runner: each test in a process of its own, and nothing left behind
 *
 *     host-tests [--list] [suite | suite/test]...
 *
 * Prints a line for each test and what failed tests have to say; exits 0 if all passed.
 */

#include "host_internal.h"

#include <dirent.h>
#include <poll.h>
#include <sys/wait.h>

/*! One test in seconds of real time, if HOST_TEST_LIMIT does not say otherwise */
#define TEST_LIMIT_S 30
/*! What a test waits for has come by this part of its limit, percent: what is left is to say what has not */
#define WAIT_PERCENT 90
/*! How often a wait looks, ms */
#define WAIT_MS 1
/*! What is left behind may go so long, ms of looking: a thread that was joined is listed until the kernel runs it again */
#define LEAVE_MS 5000

static struct host_test *tests;
static unsigned int kept_descriptors;
/*! Real time at which a test waits no more */
static int64_t wait_end_us;

void host_keeps_descriptors(unsigned int count)
{
	kept_descriptors = count;
}

void host_test_add(struct host_test *test)
{
	struct host_test **place = &tests;

	while (*place) {
		place = &(*place)->next;
	}
	*place = test;
}

/* ---- Checking ---- */

void host_fail(const char *file, int line, const char *format, ...)
{
	va_list ap;

	printf("# %s:%d: ", file, line);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	printf("\n# at %.3f ms; the log:\n%s", host_now() / 1000.0, host_log());
	fflush(stdout);
	host_config_end();
	/* Not exit: what the test has not freed is no leak now. */
	_exit(1);
}

void host_check_int(const char *file, int line, const char *what, long long actual,
	long long expected)
{
	if (actual != expected) {
		host_fail(file, line, "%s is %lld, not %lld", what, actual, expected);
	}
}

void host_check_str(const char *file, int line, const char *what, const char *actual,
	const char *expected)
{
	if (!actual || strcmp(actual, expected)) {
		host_fail(file, line, "%s is \"%s\", not \"%s\"", what, actual ? actual : "(null)",
			expected);
	}
}

void host_check_has(const char *file, int line, const char *what, const char *actual,
	const char *part)
{
	if (!actual || !strstr(actual, part)) {
		host_fail(file, line, "%s does not contain \"%s\":\n%s", what, part,
			actual ? actual : "(null)");
	}
}

/* ---- Waiting ---- */

static unsigned int limit_s(void)
{
	const char *text = getenv("HOST_TEST_LIMIT");

	return text ? (unsigned int) atoi(text) : TEST_LIMIT_S;
}

void host_wait(const char *file, int line, const char *what)
{
	if (host_real_us() >= wait_end_us) {
		host_fail(file, line, "%s does not come", what);
	}
	__real_poll(NULL, 0, WAIT_MS);
	if (!host_time_is_virtual()) {
		host_run_due();
	}
}

/* ---- Leaks ---- */

static unsigned int entries(const char *path)
{
	DIR *stream = opendir(path);
	unsigned int count = 0;

	while (stream && readdir(stream)) {
		count++;
	}
	if (stream) {
		closedir(stream);
	}
	return count;
}

static void print_descriptors(void)
{
	int fd;

	for (fd = 3; fd < 64; fd++) {
		char path[64];
		char target[256];
		ssize_t length;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		length = readlink(path, target, sizeof(target) - 1);	/* Flawfinder: ignore */
		if (length > 0) {
			printf("# descriptor %d: %.*s\n", fd, (int) length, target);
		}
	}
}

/*!
 * \brief How many entries more than before there are, and say so
 *
 * A thread that was joined is still listed for a moment, and sanitizers open pipes in theirs.
 */
static unsigned int more_entries(const char *what, const char *path, unsigned int before)
{
	unsigned int patience_ms = LEAVE_MS;
	unsigned int after = entries(path);

	while (after > before && patience_ms--) {
		__real_poll(NULL, 0, WAIT_MS);
		after = entries(path);
	}
	if (after <= before) {
		return 0;
	}
	printf("# leak: %u %s\n", after - before, what);
	return after - before;
}

/*! What is still scheduled holds channels; let it come and go */
static void drain_events(void)
{
	while (host_time_is_virtual() && host_next_event(INT64_MAX) != INT64_MAX) {
		host_sleep(host_next_event(INT64_MAX) - host_now());
	}
}

/* ---- Running ---- */

static void run_here(const struct host_test *test)
{
	unsigned int descriptors = entries("/proc/self/fd");
	unsigned int threads = entries("/proc/self/task");
	unsigned int left = 0;

	host_jitter_begin();
	host_formats_begin();
	host_config_begin();
	test->function();
	host_fail_allocation(0);
	drain_events();
	host_config_end();
	host_formats_end();
	left += host_registrations_left();
	left += host_frames_left();
	left += host_objects_left();
	left += host_memory_left();
	/* Under a sanitizer with threads, and pipes to its symbolizer, of its own. */
	if (!getenv("HOST_IS_WATCHED")) {
		left += more_entries("thread(s)", "/proc/self/task", threads);
		if (more_entries("descriptor(s)", "/proc/self/fd", descriptors + kept_descriptors)) {
			print_descriptors();
			left++;
		}
	}
	if (left) {
		FAIL("something is left behind");
	}
}

/*! \return 0 if it passed */
static int run(const struct host_test *test, const char *suite)
{
	int status = 0;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child < 0) {
		perror("fork");
		return -1;
	}
	if (!child) {
		alarm(limit_s());
		wait_end_us = host_real_us() + limit_s() * INT64_C(10000) * WAIT_PERCENT;
		run_here(test);
		exit(0);
	}
	waitpid(child, &status, 0);
	printf("%s%s %s/%s\n", test->todo ? "todo " : "", status ? "FAILED" : "ok", suite,
		test->name);
	if (WIFSIGNALED(status)) {
		printf("# ended by signal %d (%s)\n", WTERMSIG(status),
			strsignal(WTERMSIG(status)));
	}
	return test->todo ? 0 : status;
}

/*! tests/host/test_call.c holds the suite call */
static void suite_of(const struct host_test *test, char *suite, size_t size)
{
	const char *name = strrchr(test->suite, '/');

	name = name ? name + 1 : test->suite;
	if (!strncmp(name, "test_", 5)) {
		name += 5;
	}
	snprintf(suite, size, "%.*s", (int) strcspn(name, "."), name);
}

static int is_selected(const char *suite, const char *name, int argc, char **argv)
{
	char whole[256];
	int i;

	snprintf(whole, sizeof(whole), "%s/%s", suite, name);
	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], suite) || !strcmp(argv[i], whole)) {
			return 1;
		}
	}
	return argc == 1;
}

int main(int argc, char **argv)
{
	const struct host_test *test;
	int list = argc > 1 && !strcmp(argv[1], "--list");
	unsigned int passed = 0;
	unsigned int failed = 0;

	for (test = tests; test; test = test->next) {
		char suite[64];

		suite_of(test, suite, sizeof(suite));
		if (list) {
			printf("%s/%s\n", suite, test->name);
		} else if (is_selected(suite, test->name, argc, argv)) {
			if (run(test, suite)) {
				failed++;
			} else {
				passed++;
			}
		}
	}
	if (list) {
		return 0;
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed || !passed;
}
