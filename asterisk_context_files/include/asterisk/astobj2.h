/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Reference-counted objects
 */

#ifndef CONTEXT_ASTOBJ2_H
#define CONTEXT_ASTOBJ2_H

#include <stddef.h>

#include "asterisk/compiler.h"
#include "asterisk/lock.h"	/* ast_rwlock_t */

typedef void (*ao2_destructor_fn)(void *object);

enum ao2_alloc_opts {
	AO2_ALLOC_OPT_LOCK_MUTEX = 0 << 0,
	AO2_ALLOC_OPT_LOCK_RWLOCK = 1 << 0,
	AO2_ALLOC_OPT_LOCK_NOLOCK = 2 << 0,
	AO2_ALLOC_OPT_LOCK_MASK = 3 << 0,
	AO2_ALLOC_OPT_LOCK_OBJ = AO2_ALLOC_OPT_LOCK_MASK,
	AO2_ALLOC_OPT_NO_REF_DEBUG = 1 << 2,
};

enum ao2_lock_req {
	AO2_LOCK_REQ_MUTEX,
	AO2_LOCK_REQ_RDLOCK,
	AO2_LOCK_REQ_WRLOCK,
};

struct ao2_global_obj {
	ast_rwlock_t lock;
	void *obj;
};

void *__ao2_alloc(size_t data_size, ao2_destructor_fn destructor_fn, unsigned int options,
	const char *tag, const char *file, int line, const char *func)
	attribute_warn_unused_result;
int __ao2_ref(void *object, int delta, const char *tag, const char *file, int line,
	const char *func);
void __ao2_cleanup_debug(void *object, const char *tag, const char *file, int line,
	const char *func);
int __ao2_lock(void *object, enum ao2_lock_req how, const char *file, const char *func,
	int line, const char *var);
int __ao2_trylock(void *object, enum ao2_lock_req how, const char *file, const char *func,
	int line, const char *var);
int __ao2_unlock(void *object, const char *file, const char *func, int line,
	const char *var);
int __ao2_global_obj_replace_unref(struct ao2_global_obj *holder, void *object,
	const char *tag, const char *file, int line, const char *func, const char *name);
void *__ao2_global_obj_replace(struct ao2_global_obj *holder, void *obj, const char *tag,
	const char *file, int line, const char *func, const char *name)
	attribute_warn_unused_result;
void *__ao2_global_obj_ref(struct ao2_global_obj *holder, const char *tag,
	const char *file, int line, const char *func, const char *name)
	attribute_warn_unused_result;

#define MOCK_HERE __FILE__, __LINE__, __PRETTY_FUNCTION__
#define MOCK_LOCK_HERE(o) __FILE__, __PRETTY_FUNCTION__, __LINE__, #o

#define ao2_alloc_options(data_size, destructor_fn, options) \
	__ao2_alloc((data_size), (destructor_fn), (options), NULL, MOCK_HERE)
#define ao2_alloc(data_size, destructor_fn) \
	ao2_alloc_options(data_size, destructor_fn, AO2_ALLOC_OPT_LOCK_MUTEX)
#define ao2_ref(o, delta) __ao2_ref((o), (delta), NULL, MOCK_HERE)
#define ao2_lock(a) __ao2_lock(a, AO2_LOCK_REQ_MUTEX, MOCK_LOCK_HERE(a))
#define ao2_trylock(a) __ao2_trylock(a, AO2_LOCK_REQ_MUTEX, MOCK_LOCK_HERE(a))
#define ao2_unlock(a) __ao2_unlock(a, MOCK_LOCK_HERE(a))

/*! A function as well, because it is handed to AST_VECTOR_CALLBACK_VOID by its name */
#define ao2_cleanup(obj) __ao2_cleanup_debug((obj), NULL, MOCK_HERE)

#define ao2_bump(obj) ({ \
	__typeof__(obj) mock_bumped = (obj); \
	if (mock_bumped) { \
		ao2_ref(mock_bumped, +1); \
	} \
	mock_bumped; \
})

/*! The new one is referred to before the old one is let go */
#define ao2_replace(dst, src) do { \
	__typeof__(dst) *mock_place = &(dst); \
	__typeof__(src) mock_new = (src); \
	if (mock_new != *mock_place) { \
		if (mock_new) { \
			ao2_ref(mock_new, +1); \
		} \
		if (*mock_place) { \
			ao2_ref(*mock_place, -1); \
		} \
		*mock_place = mock_new; \
	} \
} while (0)

/*! Its lock is initialized before main, as all of Asterisk's static locks are */
#define AO2_GLOBAL_OBJ_STATIC(name) \
	struct ao2_global_obj name; \
	static void __attribute__((constructor)) mock_init_##name(void) \
	{ \
		pthread_rwlock_init(&name.lock.lock, NULL); \
	} \
	static void __attribute__((destructor)) mock_fini_##name(void) \
	{ \
		pthread_rwlock_destroy(&name.lock.lock); \
	} \
	struct mock_eats_semicolon

#define ao2_global_obj_replace_unref(holder, obj) \
	__ao2_global_obj_replace_unref(&holder, (obj), NULL, MOCK_HERE, #holder)
/*! \return what was there before, with its reference */
#define ao2_global_obj_replace(holder, obj) \
	__ao2_global_obj_replace(&holder, (obj), NULL, MOCK_HERE, #holder)
#define ao2_global_obj_release(holder) ao2_global_obj_replace_unref(holder, NULL)
#define ao2_global_obj_ref(holder) \
	__ao2_global_obj_ref(&holder, NULL, MOCK_HERE, #holder)

#endif /* CONTEXT_ASTOBJ2_H */
