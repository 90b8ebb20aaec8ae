/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Odds and ends
 */

#ifndef CONTEXT_UTILS_H
#define CONTEXT_UTILS_H

#include <stdint.h>

#include "asterisk/astmm.h"
#include "asterisk/lock.h"
#include "asterisk/logger.h"
#include "asterisk/strings.h"

struct ast_flags {
	unsigned int flags;
};

struct ast_flags64 {
	uint64_t flags;
};

#define ast_test_flag(p, flag) ((p)->flags & (flag))
#define ast_test_flag64(p, flag) ((p)->flags & (flag))

#define ARRAY_LEN(a) ((size_t) (sizeof(a) / sizeof(0[a])))

/*! \brief Wait so many ms until something can be read. \return whether it can, or the end has come */
int ast_wait_for_input(int fd, int ms);

int ast_pthread_create_stack(pthread_t *thread, pthread_attr_t *attr, void *(*start_routine)(void *),
	void *data, size_t stacksize, const char *file, const char *caller, int line, const char *start_fn);
#define ast_pthread_create(a, b, c, d) \
	ast_pthread_create_stack(a, b, c, d, 0, __FILE__, __FUNCTION__, __LINE__, #c)

#undef MIN
#define MIN(a, b) ({ \
	__typeof__(a) mock_a = (a); \
	__typeof__(b) mock_b = (b); \
	mock_a > mock_b ? mock_b : mock_a; \
})

#undef MAX
#define MAX(a, b) ({ \
	__typeof__(a) mock_a = (a); \
	__typeof__(b) mock_b = (b); \
	mock_a < mock_b ? mock_b : mock_a; \
})

#endif /* CONTEXT_UTILS_H */
