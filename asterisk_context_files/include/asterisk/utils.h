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

#undef MIN
#define MIN(a, b) ({ \
	__typeof__(a) mock_a = (a); \
	__typeof__(b) mock_b = (b); \
	mock_a > mock_b ? mock_b : mock_a; \
})

#endif /* CONTEXT_UTILS_H */
