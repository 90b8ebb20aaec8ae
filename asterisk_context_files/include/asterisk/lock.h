/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Locks and atomic counting
 */

#ifndef CONTEXT_LOCK_H
#define CONTEXT_LOCK_H

#include <pthread.h>

/*! Only Asterisk's debugging of threads fills these in */
struct ast_lock_track;
struct ast_lock_track_flags {
	unsigned int tracking:1;
	volatile unsigned int setup:1;
};

struct ast_mutex_info {
	pthread_mutex_t mutex;
	struct ast_lock_track *_track;
	struct ast_lock_track_flags _flags;
};
typedef struct ast_mutex_info ast_mutex_t;

struct ast_rwlock_info {
	pthread_rwlock_t lock;
	struct ast_lock_track *_track;
	struct ast_lock_track_flags _flags;
};
typedef struct ast_rwlock_info ast_rwlock_t;

int __ast_pthread_mutex_lock(const char *filename, int lineno, const char *func,
	const char *mutex_name, ast_mutex_t *t);
int __ast_pthread_mutex_unlock(const char *filename, int lineno, const char *func,
	const char *mutex_name, ast_mutex_t *t);

typedef pthread_cond_t ast_cond_t;

int __ast_cond_wait(const char *filename, int lineno, const char *func, const char *cond_name,
	const char *mutex_name, ast_cond_t *cond, ast_mutex_t *t);
int __ast_cond_broadcast(const char *filename, int lineno, const char *func, const char *cond_name,
	ast_cond_t *cond);
#define ast_cond_wait(cond, mutex) \
	__ast_cond_wait(__FILE__, __LINE__, __PRETTY_FUNCTION__, #cond, #mutex, cond, mutex)
#define ast_cond_broadcast(cond) \
	__ast_cond_broadcast(__FILE__, __LINE__, __PRETTY_FUNCTION__, #cond, cond)

#define ast_mutex_lock(a) \
	__ast_pthread_mutex_lock(__FILE__, __LINE__, __PRETTY_FUNCTION__, #a, a)
#define ast_mutex_unlock(a) \
	__ast_pthread_mutex_unlock(__FILE__, __LINE__, __PRETTY_FUNCTION__, #a, a)

/*! Asterisk's mutexes are recursive */
#define AST_MUTEX_DEFINE_STATIC(mutex) \
	static ast_mutex_t mutex = { PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP, NULL, { 1, 0 } }

static inline void mock_scope_ends(ast_mutex_t **mutex)
{
	ast_mutex_unlock(*mutex);
}

/*! Holds the lock until the scope of varname ends */
#define SCOPED_MUTEX(varname, lock) \
	ast_mutex_t *varname __attribute__((cleanup(mock_scope_ends), unused)) = ({ \
		ast_mutex_lock(lock); \
		(lock); \
	})

/*! \return what was there before */
static inline int ast_atomic_fetchadd_int(volatile int *p, int v)
{
	return __atomic_fetch_add(p, v, __ATOMIC_RELAXED);
}

#endif /* CONTEXT_LOCK_H */
