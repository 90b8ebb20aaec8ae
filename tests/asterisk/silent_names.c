/* Of hosts below `silent.example` no name server tells anything, until there is the file $SILENT_UNTIL. */

#define _GNU_SOURCE

#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_silent(const char *name)
{
	const char *found = name ? strstr(name, ".silent.example") : NULL;

	return found && !found[strlen(".silent.example")];
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
	struct addrinfo **found)
{
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

	if (is_silent(name) && !(hints && hints->ai_flags & AI_NUMERICHOST)) {
		while (access(getenv("SILENT_UNTIL"), F_OK)) {
			usleep(20000);
		}
		return EAI_AGAIN;
	}
	*(void **) &real = dlsym(RTLD_NEXT, "getaddrinfo");
	return real(name, service, hints, found);
}
