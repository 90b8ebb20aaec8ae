/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Virtual time, and what happens when
 *
 * clock_gettime and usleep of everything that is linked into the test's program come here
 * (the linker's --wrap), so that the module need not know. Libraries keep their own.
 */

#include "host_internal.h"

#include <time.h>


/*! Virtual time begins here: 0 would hide what was never set */
#define EPOCH_US (INT64_C(1000) * 1000 * 1000)
/*! A test that lasts longer than this waits for something that does not come */
#define END_US (INT64_C(4) * 3600 * 1000 * 1000)

struct event {
	int64_t at_us;
	void (*action)(void *data);
	void *data;
	struct event *next;
};

int __real_clock_gettime(clockid_t clock, struct timespec *time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *time);
int __real_usleep(useconds_t us);
int __wrap_usleep(useconds_t us);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct event *events;	/*!< the next one first */
static int64_t now_us = EPOCH_US;	/*!< virtual time */
static int64_t real_start_us;	/*!< 0 while time is virtual */
static int64_t stopped_us;	/*!< what the clock shows for good; 0 while it goes */

int64_t host_real_us(void)
{
	struct timespec time;

	__real_clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t) time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

int host_time_is_virtual(void)
{
	return !__atomic_load_n(&real_start_us, __ATOMIC_ACQUIRE);
}

/*! Real time is the kernel's: waits until a time, and Python, know no other */
static int64_t clock_us(void)
{
	int64_t us = __atomic_load_n(&stopped_us, __ATOMIC_ACQUIRE);

	if (us) {
		return us;
	}
	return host_time_is_virtual() ? __atomic_load_n(&now_us, __ATOMIC_ACQUIRE) : host_real_us();
}

int64_t host_now(void)
{
	int64_t start_us = __atomic_load_n(&real_start_us, __ATOMIC_ACQUIRE);

	return clock_us() - (start_us ? start_us : EPOCH_US);
}

void host_use_real_time(void)
{
	__atomic_store_n(&real_start_us, host_real_us(), __ATOMIC_RELEASE);
	__atomic_store_n(&stopped_us, 0, __ATOMIC_RELEASE);
}

void host_stop_clock(void)
{
	host_use_real_time();
	__atomic_store_n(&stopped_us, host_real_us(), __ATOMIC_RELEASE);
}

void host_jump(int64_t to_us)
{
	if (to_us >= END_US) {
		FAIL("the module waits for something that never comes");
	}
	if (to_us > host_now()) {
		__atomic_store_n(&now_us, EPOCH_US + to_us, __ATOMIC_RELEASE);
	}
}

void host_stall(int64_t us)
{
	host_jump(host_now() + us);
}

void host_at(int64_t at_us, void (*action)(void *data), void *data)
{
	struct event *event = host_alloc(sizeof(*event));
	struct event **place = &events;

	*event = (struct event) { at_us, action, data, NULL };
	pthread_mutex_lock(&lock);
	while (*place && (*place)->at_us <= at_us) {
		place = &(*place)->next;
	}
	event->next = *place;
	*place = event;
	pthread_mutex_unlock(&lock);
}

int64_t host_next_event(int64_t until_us)
{
	pthread_mutex_lock(&lock);
	if (events && events->at_us < until_us) {
		until_us = events->at_us;
	}
	pthread_mutex_unlock(&lock);
	return until_us;
}

static struct event *take_due(void)
{
	struct event *event = NULL;

	pthread_mutex_lock(&lock);
	if (events && events->at_us <= host_now()) {
		event = events;
		events = event->next;
	}
	pthread_mutex_unlock(&lock);
	return event;
}

void host_run_due(void)
{
	struct event *event;

	while ((event = take_due())) {
		struct event copy = *event;

		free(event);
		copy.action(copy.data);
	}
}

void host_sleep(int64_t us)
{
	int64_t until_us = host_now() + us;

	if (!host_time_is_virtual()) {
		__real_usleep(us);
		host_run_due();
		return;
	}
	host_run_due();
	while (host_now() < until_us) {
		host_jump(host_next_event(until_us));
		host_run_due();
	}
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *time)
{
	int64_t us;

	/* The day is that of the epoch, and as far into it as the test's own time. */
	if (clock != CLOCK_MONOTONIC && (clock != CLOCK_REALTIME || !host_time_is_virtual())) {
		return __real_clock_gettime(clock, time);
	}
	us = clock_us();
	time->tv_sec = us / 1000000;
	time->tv_nsec = us % 1000000 * 1000;
	return 0;
}

int __wrap_usleep(useconds_t us)
{
	host_sleep(us);
	return 0;
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout)
{
	int64_t until_us = host_now() + (int64_t) timeout * 1000;
	int ready;

	if (!host_time_is_virtual()) {
		ready = __real_poll(fds, count, timeout);
		host_jitter();
		return ready;
	}
	if (timeout < 0) {
		FAIL("a wait without a limit");
	}
	for (;;) {
		host_run_due();
		ready = __real_poll(fds, count, 0);
		if (ready || host_now() >= until_us) {
			return ready;
		}
		host_jump(host_next_event(until_us));
	}
}
