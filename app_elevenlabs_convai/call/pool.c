/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Threads for what may take its time and is to hold up neither a call nor the engine
 */

#include "asterisk.h"

#include <pthread.h>
#include <signal.h>	/* pthread_sigmask(3) */
#include <unistd.h>	/* usleep(3) */

#include "asterisk/lock.h"	/* AST_MUTEX_DEFINE_STATIC, ast_cond_wait */
#include "asterisk/utils.h"	/* ast_pthread_create */

#include "call/pool.h"
#include "monotonic.h"

/*! How often a wait for the end looks again */
#define POLL_US 5000

/*! One place for a thread */
static struct worker {
	pthread_t thread;
	void (*work)(void *data);	/*!< what it does, or is to do next; NULL: it is free */
	void *data;
	unsigned int made:1;	/*!< there is a thread, which is to be joined */
	unsigned int ended:1;	/*!< it runs nothing any more */
} workers[POOL_THREADS];

AST_MUTEX_DEFINE_STATIC(lock);
static ast_cond_t changed = PTHREAD_COND_INITIALIZER;
static int closing;

static void *worker_main(void *data)
{
	struct worker *worker = data;
	sigset_t none;

	pthread_setname_np(pthread_self(), "convai-tool");
	/* Whoever made us has all blocked, and what the dialplan starts would inherit that. */
	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
	ast_mutex_lock(&lock);
	while (worker->work || !closing) {
		if (!worker->work) {
			ast_cond_wait(&changed, &lock);
			continue;
		}
		ast_mutex_unlock(&lock);
		worker->work(worker->data);
		ast_mutex_lock(&lock);
		worker->work = NULL;
	}
	worker->ended = 1;
	ast_mutex_unlock(&lock);
	return NULL;
}

/*! \brief A thread that is free, else a place where one may be made; NULL if there is neither. The lock is held. */
static struct worker *find_free(void)
{
	struct worker *place = NULL;
	size_t i;

	for (i = POOL_THREADS; i-- > 0;) {
		if (!workers[i].made) {
			place = &workers[i];
		} else if (!workers[i].work) {
			return &workers[i];
		}
	}
	return place;
}

int pool_run(void (*work)(void *data), void *data)
{
	struct worker *worker;
	SCOPED_MUTEX(locked, &lock);

	worker = closing ? NULL : find_free();
	if (!worker) {
		return -1;
	}
	worker->work = work;
	worker->data = data;
	if (worker->made) {
		ast_cond_broadcast(&changed);
	} else if (ast_pthread_create(&worker->thread, NULL, worker_main, worker)) {
		worker->work = NULL;
		return -1;
	} else {
		worker->made = 1;
	}
	return 0;
}

/*! \brief Join what has ended. \return whether one has not. The lock is held. */
static int any_left(void)
{
	int left = 0;
	size_t i;

	for (i = 0; i < POOL_THREADS; i++) {
		if (workers[i].ended) {
			/* It returns just now. */
			pthread_join(workers[i].thread, NULL);
			workers[i].made = workers[i].ended = 0;
		}
		left |= workers[i].made;
	}
	return left;
}

int pool_close(int limit_ms)
{
	int64_t deadline = monotonic_us() + (int64_t) limit_ms * 1000;
	int left;

	ast_mutex_lock(&lock);
	closing = 1;
	ast_cond_broadcast(&changed);
	while ((left = any_left()) && monotonic_us() < deadline) {
		ast_mutex_unlock(&lock);
		usleep(POLL_US);
		ast_mutex_lock(&lock);
	}
	closing = 0;
	ast_mutex_unlock(&lock);
	return left ? -1 : 0;
}
