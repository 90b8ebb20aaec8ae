/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The generations of the engine that are alive: one in service, others on their way out
 */

#include "asterisk.h"

#include <stdlib.h>	/* realpath(3) */

#include "asterisk/lock.h"	/* AST_MUTEX_DEFINE_STATIC */
#include "asterisk/logger.h"	/* ast_log */
#include "asterisk/paths.h"	/* ast_config_AST_MODULE_DIR */
#include "asterisk/strings.h"	/* ast_copy_string */
#include "asterisk/utils.h"	/* ast_calloc */
#include "asterisk/vector.h"	/* AST_VECTOR */

#include "embed.h"
#include "generation.h"
#include "monotonic.h"

/*!
 * Below the directory of Asterisk's modules: engines by build id, and the link to the one
 * to use
 */
#define ENGINE_LINK "app_elevenlabs_convai.d/current"

/*!
 * For an engine to be imported, to start and to pass its self-test, which takes a fraction
 * of a second. `module reload` holds Asterisk's list of modules all the while.
 */
#define START_LIMIT_MS 5000

/*!
 * For the loop of a build to end before the same build may start again: it has no call any
 * more, only sockets to close
 */
#define RETURN_LIMIT_MS 3000

/*! One engine that was imported and whose loop may run. Listed until that has ended. */
struct generation {
	const struct convai_ops *ops;
	int64_t since_us;
	unsigned int users;
	unsigned int struck_off:1;	/*!< not listed any more: its last user frees it */
	/*! its own: the link is followed once, before the import */
	char directory[PATH_MAX];
};

AST_MUTEX_DEFINE_STATIC(lock);
/*! From old to new */
static AST_VECTOR(, struct generation *) alive;
/*! The one for new calls; listed as well */
static struct generation *in_service;
static int debug_on;

/* ---- What happens under the lock ---- */

static struct generation *find(const char *directory)
{
	size_t i;

	for (i = 0; i < AST_VECTOR_SIZE(&alive); i++) {
		if (!strcmp(AST_VECTOR_GET(&alive, i)->directory, directory)) {
			return AST_VECTOR_GET(&alive, i);
		}
	}
	return NULL;
}

/*! \brief Let new calls have this one; the one before ends with its last call */
static void put_in_service(struct generation *generation)
{
	struct generation *before = in_service;

	in_service = generation;
	if (before && before != generation && !before->users) {
		before->ops->finish();
	}
}

/*! \brief Take one off the list and free it */
static void discard(struct generation *generation)
{
	AST_VECTOR_REMOVE_ELEM_ORDERED(&alive, generation, AST_VECTOR_ELEM_CLEANUP_NOOP);
	ast_free(generation);
}

/*! \brief Whether a generation has ended, nobody knows of it any more, and it has given the host back */
static int is_gone(const struct generation *generation)
{
	return generation != in_service && !generation->users && !generation->ops->running()
		&& !generation->ops->stop(0);
}

static void prune(void)
{
	size_t i = 0;

	while (i < AST_VECTOR_SIZE(&alive)) {
		struct generation *generation = AST_VECTOR_GET(&alive, i);

		if (is_gone(generation)) {
			embed_forget(generation->directory);
			discard(generation);
		} else {
			i++;
		}
	}
}

/* ---- Coming into service ---- */

/*! \brief Follow the link, so that what is imported keeps its place when the link moves on */
static int find_installed(char *directory, char *error, size_t size)
{
	char link[PATH_MAX];

	snprintf(link, sizeof(link), "%s/%s", ast_config_AST_MODULE_DIR, ENGINE_LINK);
	if (!realpath(link, directory)) {
		snprintf(error, size, "no engine at %s (%s); make install puts it there", link,
			strerror(errno));
		return -1;
	}
	return 0;
}

/*!
 * \brief Whether this engine can simply serve: it does already, or its loop is still there
 * for its last calls. It is in service then.
 */
static int take_back(const char *directory, enum generation_verdict *verdict)
{
	struct generation *generation;
	SCOPED_MUTEX(locked, &lock);

	generation = find(directory);
	if (!generation || !generation->ops->running()) {
		return 0;
	}
	if (generation == in_service) {
		*verdict = GENERATION_SAME;
		return 1;
	}
	if (!generation->users) {
		/* It has been asked to end. */
		return 0;
	}
	put_in_service(generation);
	*verdict = GENERATION_NEW;
	return 1;
}

/*!
 * \brief Free a generation whose loop has ended
 *
 * Not while calls hold it: their table is that of the build, which is to start again, and
 * the last of them would end that.
 */
static int remove_ended(struct generation *generation)
{
	SCOPED_MUTEX(locked, &lock);

	if (generation->users) {
		return -1;
	}
	discard(generation);
	return 0;
}

/*!
 * \brief Make sure that a generation of this directory is gone before it is started again
 *
 * Only the thread that renews takes generations out of service, so this one stays alone.
 */
static int see_off(const char *directory, char *error, size_t size)
{
	struct generation *generation;

	ast_mutex_lock(&lock);
	generation = find(directory);
	if (generation && generation == in_service) {
		/* Its loop has ended by a fault. Calls that still hold it are ending. */
		in_service = NULL;
	}
	ast_mutex_unlock(&lock);
	if (!generation) {
		return 0;
	}
	if (generation->ops->stop(RETURN_LIMIT_MS)) {
		snprintf(error, size, "it has not ended since it was last in service");
		return -1;
	}
	if (remove_ended(generation)) {
		snprintf(error, size, "calls that began with it are still ending");
		return -1;
	}
	return 0;
}

/*! \brief List it, and let it serve. \return -1 when out of memory */
static int enter(struct generation *generation, const struct convai_host *host)
{
	SCOPED_MUTEX(locked, &lock);

	if (AST_VECTOR_APPEND(&alive, generation)) {
		return -1;
	}
	generation->since_us = monotonic_us();
	generation->ops->attach(host);
	generation->ops->set_debug(debug_on);
	put_in_service(generation);
	return 0;
}

/*! \brief Import, start, and put into service */
static int bring_in(const char *directory, const struct convai_host *host, char *error,
	size_t size)
{
	struct generation *generation = ast_calloc(1, sizeof(*generation));

	if (!generation) {
		snprintf(error, size, "out of memory");
		return -1;
	}
	ast_copy_string(generation->directory, directory, sizeof(generation->directory));
	generation->ops = embed_import(directory, START_LIMIT_MS, error, size);
	if (!generation->ops) {
		ast_free(generation);
		return -1;
	}
	if (enter(generation, host)) {
		snprintf(error, size, "out of memory");
		generation->ops->stop(RETURN_LIMIT_MS);
		ast_free(generation);
		return -1;
	}
	return 0;
}

enum generation_verdict generation_renew(const struct convai_host *host, char *error,
	size_t size)
{
	char directory[PATH_MAX];
	char reason[512];
	enum generation_verdict verdict;

	ast_mutex_lock(&lock);
	prune();
	ast_mutex_unlock(&lock);
	if (find_installed(directory, error, size)) {
		return GENERATION_REFUSED;
	}
	if (take_back(directory, &verdict)) {
		return verdict;
	}
	if (see_off(directory, reason, sizeof(reason))
		|| bring_in(directory, host, reason, sizeof(reason))) {
		snprintf(error, size, "the engine in %s is refused: %s", directory, reason);
		return GENERATION_REFUSED;
	}
	return GENERATION_NEW;
}

/* ---- Users ---- */

struct generation *generation_take(void)
{
	SCOPED_MUTEX(locked, &lock);

	if (!in_service || !in_service->ops->running()) {
		return NULL;
	}
	in_service->users++;
	return in_service;
}

void generation_leave(struct generation *generation)
{
	SCOPED_MUTEX(locked, &lock);

	if (--generation->users || generation == in_service) {
		return;
	}
	if (generation->struck_off) {
		ast_free(generation);
	} else {
		generation->ops->finish();
	}
}

const struct convai_ops *generation_ops(const struct generation *generation)
{
	return generation->ops;
}

int generation_serves(void)
{
	SCOPED_MUTEX(locked, &lock);

	return in_service && in_service->ops->running();
}

/* ---- What operators want ---- */

static void describe(const struct generation *generation, struct generation_view *view)
{
	const struct convai_ops *ops = generation->ops;

	memset(view, 0, sizeof(*view));
	ast_copy_string(view->build_id, ops->build_id, sizeof(view->build_id));
	ast_copy_string(view->version, ops->version, sizeof(view->version));
	view->abi_version = ops->abi_version;
	view->calls = generation->users;
	view->seconds = (monotonic_us() - generation->since_us) / 1000000;
	view->in_service = generation == in_service;
	view->running = ops->running() != 0;
}

size_t generation_list(struct generation_view *views, size_t count)
{
	size_t listed = 0;
	size_t i;
	SCOPED_MUTEX(locked, &lock);

	prune();
	if (in_service && count) {
		describe(in_service, &views[listed++]);
	}
	for (i = AST_VECTOR_SIZE(&alive); i-- > 0 && listed < count;) {
		if (AST_VECTOR_GET(&alive, i) != in_service) {
			describe(AST_VECTOR_GET(&alive, i), &views[listed++]);
		}
	}
	return listed;
}

void generation_directory(char *directory, size_t size)
{
	SCOPED_MUTEX(locked, &lock);

	ast_copy_string(directory, in_service ? in_service->directory : "", size);
}

void generation_set_debug(int on)
{
	size_t i;
	SCOPED_MUTEX(locked, &lock);

	debug_on = on;
	for (i = 0; i < AST_VECTOR_SIZE(&alive); i++) {
		AST_VECTOR_GET(&alive, i)->ops->set_debug(on);
	}
}

void generation_end_all(enum convai_status status, const char *reason)
{
	size_t i;
	SCOPED_MUTEX(locked, &lock);

	for (i = 0; i < AST_VECTOR_SIZE(&alive); i++) {
		AST_VECTOR_GET(&alive, i)->ops->end_all(status, reason);
	}
}

/* ---- The end ---- */

/*! \brief One of those that are left, so that it can be waited for without the lock, or NULL */
static struct generation *ask_all_to_stop(void)
{
	size_t i;
	SCOPED_MUTEX(locked, &lock);

	in_service = NULL;
	for (i = 0; i < AST_VECTOR_SIZE(&alive); i++) {
		AST_VECTOR_GET(&alive, i)->ops->stop(0);
	}
	return AST_VECTOR_SIZE(&alive) ? AST_VECTOR_GET(&alive, 0) : NULL;
}

/*! \brief Take one off the list whose loop has ended */
static void strike_off(struct generation *generation)
{
	SCOPED_MUTEX(locked, &lock);

	AST_VECTOR_REMOVE_ELEM_ORDERED(&alive, generation, AST_VECTOR_ELEM_CLEANUP_NOOP);
	if (generation->users) {
		/* Asterisk stops at once, and a call has not left yet. */
		generation->struck_off = 1;
	} else {
		ast_free(generation);
	}
}

int generation_stop_all(int limit_ms)
{
	int64_t deadline_us = monotonic_us() + (int64_t) limit_ms * 1000;
	struct generation *generation;

	while ((generation = ask_all_to_stop())) {
		int64_t left_us = deadline_us - monotonic_us();

		if (generation->ops->stop(left_us > 1000 ? left_us / 1000 : 1)) {
			return -1;
		}
		strike_off(generation);
	}
	ast_mutex_lock(&lock);
	AST_VECTOR_FREE(&alive);
	ast_mutex_unlock(&lock);
	return 0;
}
