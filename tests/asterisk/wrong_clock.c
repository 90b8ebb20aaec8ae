/*
 * The time of day, for whoever asks for it by clock_gettime(2), is an hour behind what the kernel has:
 * as if it had been set forward between the look at it and the wait.
 */

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int res = syscall(SYS_clock_gettime, clock, now);

	if (clock == CLOCK_REALTIME) {
		now->tv_sec -= 3600;
	}
	return res;
}
