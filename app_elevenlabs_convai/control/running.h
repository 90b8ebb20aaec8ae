/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Waiting for what Asterisk calls in us and does not wait for itself
 */

#ifndef CONTROL_RUNNING_H
#define CONTROL_RUNNING_H

#include <unistd.h>	/* usleep(3) */

#include "monotonic.h"

/*! How often a wait for those that run looks again, in microseconds */
#define RUNNING_POLL_US 10000

/*!
 * Asterisk's HTTP server may have looked an address up just before it goes, and looks at it again when its
 * callback has returned: so long both is left in place, in microseconds
 */
#define RUNNING_HTTP_SETTLE_US 100000

/*!
 * \brief Wait until nobody runs any more. The thread that unloads; nobody new comes, for it is unregistered.
 * \param running each who runs has counted itself in, and will count itself out
 * \return 0, or -1 if one still runs when the limit is reached
 */
static inline int running_wait(const int *running, int limit_ms)
{
	int64_t deadline = monotonic_us() + (int64_t) limit_ms * 1000;

	while (__atomic_load_n(running, __ATOMIC_ACQUIRE)) {
		if (monotonic_us() >= deadline) {
			return -1;
		}
		usleep(RUNNING_POLL_US);
	}
	return 0;
}

/*! \brief The same for those whom Asterisk's HTTP server has called at an address that has just been unlinked */
static inline int running_wait_http(const int *running, int limit_ms)
{
	usleep(RUNNING_HTTP_SETTLE_US);
	if (!__atomic_load_n(running, __ATOMIC_ACQUIRE)) {
		return 0;
	}
	if (running_wait(running, limit_ms)) {
		return -1;
	}
	usleep(RUNNING_HTTP_SETTLE_US);
	return 0;
}

#endif /* CONTROL_RUNNING_H */
