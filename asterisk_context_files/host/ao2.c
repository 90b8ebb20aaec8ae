/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Reference-counted objects: every one is known, and misuse ends the test
 */

#include "host_internal.h"

#include "asterisk/astobj2.h"

#define ALIVE 0x616f3261u
#define DEAD 0xdead2222u

struct object {
	uint32_t magic;
	int references;
	unsigned int options;
	ao2_destructor_fn destructor;
	pthread_mutex_t mutex;
	unsigned int locked;	/*!< so often, by the thread that has it */
	int is_channel;
	const char *file;
	int line;
	struct object *next;
	struct object *previous;
	_Alignas(max_align_t) char data[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct object *objects;
/*! Objects that this thread has locked and that are no channels */
static _Thread_local unsigned int others_locked;

static struct object *object_of(void *data, const char *file, int line)
{
	struct object *object;

	if (!data) {
		host_fail(file, line, "NULL is used as an ao2 object");
	}
	object = (struct object *) ((char *) data - offsetof(struct object, data));
	if (object->magic != ALIVE) {
		host_fail(file, line, "%p is not an ao2 object, or not any more", data);
	}
	return object;
}

static void mutex_init_recursive(pthread_mutex_t *mutex)
{
	pthread_mutexattr_t attributes;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(mutex, &attributes);
	pthread_mutexattr_destroy(&attributes);
}

void *__ao2_alloc(size_t data_size, ao2_destructor_fn destructor_fn, unsigned int options,
	const char *tag, const char *file, int line, const char *func)
{
	struct object *object;

	if (host_allocation_fails()) {
		return NULL;
	}
	object = host_alloc(sizeof(*object) + data_size);
	object->magic = ALIVE;
	object->references = 1;
	object->options = options;
	object->destructor = destructor_fn;
	object->file = file;
	object->line = line;
	mutex_init_recursive(&object->mutex);
	pthread_mutex_lock(&lock);
	object->next = objects;
	if (objects) {
		objects->previous = object;
	}
	objects = object;
	pthread_mutex_unlock(&lock);
	return object->data;
}

static void object_destroy(struct object *object)
{
	if (object->destructor) {
		object->destructor(object->data);
	}
	pthread_mutex_lock(&lock);
	if (object->next) {
		object->next->previous = object->previous;
	}
	if (object->previous) {
		object->previous->next = object->next;
	} else {
		objects = object->next;
	}
	pthread_mutex_unlock(&lock);
	object->magic = DEAD;
	pthread_mutex_destroy(&object->mutex);
	free(object);
}

int __ao2_ref(void *data, int delta, const char *tag, const char *file, int line,
	const char *func)
{
	struct object *object = object_of(data, file, line);
	int before = __atomic_fetch_add(&object->references, delta, __ATOMIC_ACQ_REL);

	if (before <= 0 || before + delta < 0) {
		host_fail(file, line, "%d references and %+d", before, delta);
	}
	if (before + delta == 0) {
		object_destroy(object);
	}
	return before;
}

void __ao2_cleanup_debug(void *object, const char *tag, const char *file, int line,
	const char *func)
{
	if (object) {
		__ao2_ref(object, -1, tag, file, line, func);
	}
}

static struct object *lockable(void *data, const char *file, int line)
{
	struct object *object = object_of(data, file, line);

	if ((object->options & AO2_ALLOC_OPT_LOCK_MASK) == AO2_ALLOC_OPT_LOCK_NOLOCK) {
		host_fail(file, line, "an object without a lock is locked");
	}
	return object;
}

void host_object_is_channel(void *data)
{
	object_of(data, __FILE__, __LINE__)->is_channel = 1;
}

static void note_lock(struct object *object)
{
	object->locked++;
	others_locked += !object->is_channel;
}

int __ao2_lock(void *object, enum ao2_lock_req how, const char *file, const char *func,
	int line, const char *var)
{
	struct object *locked = lockable(object, file, line);
	int res;

	host_jitter();
	res = pthread_mutex_lock(&locked->mutex);
	note_lock(locked);
	if (locked->is_channel && locked->locked == 1 && others_locked) {
		host_fail(file, line, "a channel's lock comes before all others: Asterisk calls us with it");
	}
	return res;
}

int __ao2_trylock(void *object, enum ao2_lock_req how, const char *file,
	const char *func, int line, const char *var)
{
	struct object *locked = lockable(object, file, line);
	int res = pthread_mutex_trylock(&locked->mutex);

	if (!res) {
		note_lock(locked);
	}
	return res;
}

int __ao2_unlock(void *object, const char *file, const char *func, int line,
	const char *var)
{
	struct object *locked = lockable(object, file, line);

	locked->locked--;
	others_locked -= !locked->is_channel;
	if (pthread_mutex_unlock(&locked->mutex)) {
		host_fail(file, line, "an object is unlocked that this thread has not locked");
	}
	host_jitter();
	return 0;
}

void *__ao2_global_obj_replace(struct ao2_global_obj *holder, void *object,
	const char *tag, const char *file, int line, const char *func, const char *name)
{
	void *before;

	if (object) {
		__ao2_ref(object, +1, tag, file, line, func);
	}
	host_jitter();
	pthread_rwlock_wrlock(&holder->lock.lock);
	before = holder->obj;
	holder->obj = object;
	pthread_rwlock_unlock(&holder->lock.lock);
	return before;
}

int __ao2_global_obj_replace_unref(struct ao2_global_obj *holder, void *object,
	const char *tag, const char *file, int line, const char *func, const char *name)
{
	void *before = __ao2_global_obj_replace(holder, object, tag, file, line, func, name);

	__ao2_cleanup_debug(before, tag, file, line, func);
	return before != NULL;
}

void *__ao2_global_obj_ref(struct ao2_global_obj *holder, const char *tag,
	const char *file, int line, const char *func, const char *name)
{
	void *object;

	host_jitter();
	pthread_rwlock_rdlock(&holder->lock.lock);
	object = holder->obj;
	if (object) {
		__ao2_ref(object, +1, tag, file, line, func);
	}
	pthread_rwlock_unlock(&holder->lock.lock);
	return object;
}

int __ast_pthread_mutex_lock(const char *filename, int lineno, const char *func,
	const char *mutex_name, ast_mutex_t *t)
{
	host_jitter();
	return pthread_mutex_lock(&t->mutex);
}

int __ast_pthread_mutex_unlock(const char *filename, int lineno, const char *func,
	const char *mutex_name, ast_mutex_t *t)
{
	int res = pthread_mutex_unlock(&t->mutex);

	if (res) {
		host_fail(filename, lineno, "%s is unlocked by a thread that has not locked it",
			mutex_name);
	}
	host_jitter();
	return 0;
}

int __ast_cond_wait(const char *filename, int lineno, const char *func, const char *cond_name,
	const char *mutex_name, ast_cond_t *cond, ast_mutex_t *t)
{
	return pthread_cond_wait(cond, &t->mutex);
}

int __ast_cond_broadcast(const char *filename, int lineno, const char *func, const char *cond_name,
	ast_cond_t *cond)
{
	return pthread_cond_broadcast(cond);
}

/*! What a thread is to run */
struct start {
	void *(*routine)(void *data);
	void *data;
};

static void *run_late(void *data)
{
	struct start start = *(struct start *) data;

	free(data);
	host_jitter();
	return start.routine(start.data);
}

int ast_pthread_create_stack(pthread_t *thread, pthread_attr_t *attr, void *(*start_routine)(void *),
	void *data, size_t stacksize, const char *file, const char *caller, int line, const char *start_fn)
{
	struct start *start;
	int res;

	if (host_call_fails(__func__)) {
		return EAGAIN;
	}
	start = host_alloc(sizeof(*start));
	*start = (struct start) { start_routine, data };
	res = pthread_create(thread, attr, run_late, start);
	if (res) {
		free(start);
	}
	host_jitter();
	return res;
}

unsigned int host_objects_left(void)
{
	const struct object *object;
	unsigned int count = 0;

	for (object = objects; object; object = object->next) {
		printf("# leak: object from %s:%d with %d reference(s)\n", object->file,
			object->line, object->references);
		count++;
	}
	return count;
}
