/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Look-ups of names, which may wait for a name server that does not answer
 *
 * getaddrinfo of everything that is linked into the test's program comes here (the linker's --wrap).
 */

#include "host_internal.h"

#include <netdb.h>

int __real_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
	struct addrinfo **found);
int __wrap_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
	struct addrinfo **found);

static int64_t takes_us;

void host_names_take(int64_t us)
{
	__atomic_store_n(&takes_us, us, __ATOMIC_RELEASE);
}

int __wrap_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
	struct addrinfo **found)
{
	int64_t us = __atomic_load_n(&takes_us, __ATOMIC_ACQUIRE);

	if (!us || (hints && hints->ai_flags & AI_NUMERICHOST)) {
		return __real_getaddrinfo(name, service, hints, found);
	}
	host_sleep(us);
	return EAI_AGAIN;
}
