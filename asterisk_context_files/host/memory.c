/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Memory of the module's: every block is known, and any may be refused
 */

#include "host_internal.h"

#include "asterisk/strings.h"

struct block {
	struct block *next;
	struct block *previous;
	const char *file;
	int line;
	size_t size;
	_Alignas(max_align_t) char data[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct block *blocks;
static unsigned int countdown;
static int failed;

void *host_alloc(size_t size)
{
	void *memory = calloc(1, size);

	if (!memory) {
		FAIL("the host itself is out of memory");
	}
	return memory;
}

void host_fail_allocation(unsigned int n)
{
	pthread_mutex_lock(&lock);
	countdown = n;
	failed = 0;
	pthread_mutex_unlock(&lock);
}

int host_allocation_failed(void)
{
	int res;

	pthread_mutex_lock(&lock);
	res = failed;
	pthread_mutex_unlock(&lock);
	return res;
}

int host_allocation_fails(void)
{
	int fails;

	pthread_mutex_lock(&lock);
	fails = countdown && !--countdown;
	failed |= fails;
	pthread_mutex_unlock(&lock);
	return fails;
}

static void *block_make(size_t size, const char *file, int line)
{
	struct block *block;

	if (host_allocation_fails()) {
		return NULL;
	}
	block = host_alloc(sizeof(*block) + size);
	block->file = file;
	block->line = line;
	block->size = size;
	pthread_mutex_lock(&lock);
	block->next = blocks;
	if (blocks) {
		blocks->previous = block;
	}
	blocks = block;
	pthread_mutex_unlock(&lock);
	return block->data;
}

static struct block *block_of(void *data)
{
	return (struct block *) ((char *) data - offsetof(struct block, data));
}

void *__ast_calloc(size_t nmemb, size_t size, const char *file, int lineno,
	const char *func)
{
	return block_make(nmemb * size, file, lineno);
}

/*! Always moves, so that a pointer kept to the old place is found out */
void *__ast_realloc(void *ptr, size_t size, const char *file, int lineno,
	const char *func)
{
	void *grown = block_make(size, file, lineno);

	if (grown && ptr) {
		memcpy(grown, ptr, MIN(size, block_of(ptr)->size));
		__ast_free(ptr, file, lineno, func);
	}
	return grown;
}

char *__ast_strdup(const char *s, const char *file, int lineno, const char *func)
{
	size_t size = s ? strlen(s) + 1 : 0;
	char *copy = s ? block_make(size, file, lineno) : NULL;

	return copy ? memcpy(copy, s, size) : NULL;
}

void __ast_free(void *ptr, const char *file, int lineno, const char *func)
{
	struct block *block;

	if (!ptr) {
		return;
	}
	block = block_of(ptr);
	pthread_mutex_lock(&lock);
	if (block->next) {
		block->next->previous = block->previous;
	}
	if (block->previous) {
		block->previous->next = block->next;
	} else {
		blocks = block->next;
	}
	pthread_mutex_unlock(&lock);
	free(block);
}

unsigned int host_memory_left(void)
{
	const struct block *block;
	unsigned int count = 0;

	for (block = blocks; block; block = block->next) {
		printf("# leak: %zu bytes from %s:%d\n", block->size, block->file, block->line);
		count++;
	}
	return count;
}

int __ast_str_helper(struct ast_str **buf, ssize_t max_len, int append, const char *fmt,
	va_list ap, const char *file, int lineno, const char *func)
{
	size_t used = append ? (*buf)->used : 0;
	struct ast_str *grown;
	va_list again;
	int length;
	size_t needed;

	va_copy(again, ap);
	length = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	needed = used + length + 1;
	if (needed > (*buf)->len && !max_len) {
		grown = __ast_realloc(*buf, sizeof(**buf) + needed, file, lineno, func);
		if (grown) {
			grown->len = needed;
			*buf = grown;
		}
	}
	/* Without memory what fits is kept, as Asterisk does. */
	vsnprintf((*buf)->str + used, (*buf)->len - used, fmt, ap);
	(*buf)->used = strlen((*buf)->str);
	return length;
}
