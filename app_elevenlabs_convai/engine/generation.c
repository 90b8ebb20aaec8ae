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

#include "engine/embed.h"
#include "engine/generation.h"
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
	unsigned int waiters;		/*!< threads that wait for its end without the lock */
	unsigned int told_to_stop:1;	/*!< by generation_stop_all: it takes no call any more */
	unsigned int struck_off:1;	/*!< not listed any more: whoever lets go last frees it */
	/*! its own: the link is followed once, before the import */
	char directory[PATH_MAX];
};

AST_MUTEX_DEFINE_STATIC(lock);
/*! From old to new */
static AST_VECTOR(, struct generation *) alive;
/*! The one for new calls; listed as well */
static struct generation *in_service;
static int debug_on;
/*! Asterisk is ending: nothing comes into service any more */
static int over;

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

static void free_if_let_go(struct generation *generation)
{
	if (generation->struck_off && !generation->users && !generation->waiters) {
		ast_free(generation);
	}
}

/*! \brief Take one off the list; it is freed when nobody holds it */
static void strike_off(struct generation *generation)
{
	if (!generation->struck_off) {
		AST_VECTOR_REMOVE_ELEM_ORDERED(&alive, generation, AST_VECTOR_ELEM_CLEANUP_NOOP);
		generation->struck_off = 1;
	}
	free_if_let_go(generation);
}

/*!
 * \brief Whether a generation has ended, nobody knows of it any more, and it has given the host
 * back. Does not wait.
 */
static int is_gone(const struct generation *generation)
{
	return generation != in_service && !generation->users && !generation->waiters
		&& !generation->ops->running() && !generation->ops->stop(0);
}

/*! \brief Strike off what has gone, and let Python forget it. Only threads that may enter embed.c. */
static void prune(void)
{
	size_t i = 0;

	while (i < AST_VECTOR_SIZE(&alive)) {
		struct generation *generation = AST_VECTOR_GET(&alive, i);

		if (is_gone(generation)) {
			embed_forget(generation->directory);
			strike_off(generation);
		} else {
			i++;
		}
	}
}

/* ---- What is installed ---- */

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
 * \brief Let an engine serve that is alive: it does already, or its loop still runs for its
 * last calls
 * \return 1 with the verdict if it is in service now, else 0
 */
static int serve_again(const char *directory, enum generation_verdict *verdict)
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
	if (!generation->users || generation->told_to_stop) {
		/* It has been asked to end. */
		return 0;
	}
	put_in_service(generation);
	*verdict = GENERATION_NEW;
	return 1;
}

/* ---- Waiting for an end ---- */

/*!
 * \brief Wait until a generation has ended, and strike it off
 *
 * It is counted in generation->waiters, which keeps it from being freed meanwhile; others
 * may strike it off. This lets go of it: the pointer is dead afterwards.
 *
 * \return 0, or -1 if it has not ended within the limit
 */
static int await_end(struct generation *generation, int limit_ms)
{
	int res = generation->ops->stop(limit_ms);
	SCOPED_MUTEX(locked, &lock);

	generation->waiters--;
	if (res) {
		free_if_let_go(generation);
	} else {
		strike_off(generation);
	}
	return res;
}

/*!
 * \brief The generation of this directory, to be waited for before it may start again
 *
 * Refuse while old calls use it: the restarted loop would share their table, and the last
 * old call would stop it.
 *
 * \return 0 with the generation, or with NULL if there is none; -1 if calls use it
 */
static int claim(const char *directory, struct generation **generation)
{
	SCOPED_MUTEX(locked, &lock);

	*generation = find(directory);
	if (!*generation) {
		return 0;
	}
	if (*generation == in_service) {
		/* Its loop has ended by a fault. */
		in_service = NULL;
	}
	if ((*generation)->users) {
		return -1;
	}
	(*generation)->waiters++;
	return 0;
}

/*! \brief Make sure that a generation of this directory is gone before it is started again */
static int see_off(const char *directory, char *error, size_t size)
{
	struct generation *generation;

	if (claim(directory, &generation)) {
		snprintf(error, size, "calls that began with it are still ending");
		return -1;
	}
	if (generation && await_end(generation, RETURN_LIMIT_MS)) {
		snprintf(error, size, "it has not ended since it was last in service");
		return -1;
	}
	return 0;
}

/* ---- Coming into service ---- */

/*! \brief List it, and let it serve. \return -1 when out of memory, or when Asterisk is ending */
static int enter(struct generation *generation, const struct convai_host *host)
{
	SCOPED_MUTEX(locked, &lock);

	if (over || AST_VECTOR_APPEND(&alive, generation)) {
		return -1;
	}
	generation->since_us = monotonic_us();
	generation->ops->attach(host);
	generation->ops->set_debug(debug_on);
	put_in_service(generation);
	return 0;
}

/*! \brief Import, start, and put into service, all within the limit */
static int bring_in(const char *directory, const struct convai_host *host, int limit_ms,
	char *error, size_t size)
{
	struct generation *generation = ast_calloc(1, sizeof(*generation));

	if (!generation) {
		snprintf(error, size, "out of memory");
		return -1;
	}
	ast_copy_string(generation->directory, directory, sizeof(generation->directory));
	generation->ops = embed_import(directory, limit_ms, error, size);
	if (!generation->ops) {
		ast_free(generation);
		return -1;
	}
	if (enter(generation, host)) {
		snprintf(error, size, "out of memory, or Asterisk is stopping");
		generation->ops->stop(RETURN_LIMIT_MS);
		embed_forget(directory);
		ast_free(generation);
		return -1;
	}
	return 0;
}

/*! \brief What is left of START_LIMIT_MS */
static int left_ms(int64_t began_us)
{
	return START_LIMIT_MS - (int) ((monotonic_us() - began_us) / 1000);
}

enum generation_verdict generation_renew(const struct convai_host *host, char *error,
	size_t size)
{
	char directory[PATH_MAX];
	char reason[512];
	int64_t began_us = monotonic_us();
	enum generation_verdict verdict;

	ast_mutex_lock(&lock);
	prune();
	ast_mutex_unlock(&lock);
	if (find_installed(directory, error, size)) {
		return GENERATION_REFUSED;
	}
	if (serve_again(directory, &verdict)) {
		return verdict;
	}
	if (see_off(directory, reason, sizeof(reason))
		|| bring_in(directory, host, left_ms(began_us), reason, sizeof(reason))) {
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
		free_if_let_go(generation);
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

	if (in_service && count) {
		describe(in_service, &views[listed++]);
	}
	for (i = AST_VECTOR_SIZE(&alive); i-- > 0 && listed < count;) {
		const struct generation *generation = AST_VECTOR_GET(&alive, i);

		/* What has gone is struck off by the next reload. */
		if (generation != in_service && !is_gone(generation)) {
			describe(generation, &views[listed++]);
		}
	}
	return listed;
}

void generation_directory(char *directory, size_t size)
{
	SCOPED_MUTEX(locked, &lock);

	ast_copy_string(directory, in_service ? in_service->directory : "", size);
}

int generation_inform(struct convai_pair *settings, uint32_t count)
{
	int res = 0;
	size_t i;
	SCOPED_MUTEX(locked, &lock);

	for (i = 0; i < AST_VECTOR_SIZE(&alive); i++) {
		struct generation *generation = AST_VECTOR_GET(&alive, i);

		settings->value = generation == in_service ? "yes" : "no";
		if (generation->ops->inform(CONVAI_INFORM_SETTINGS, settings, count) && errno == ENOMEM) {
			res = -1;
		}
	}
	return res;
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

int generation_debug(void)
{
	SCOPED_MUTEX(locked, &lock);

	return debug_on;
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

/*! \brief Tell all to stop, at once, so that they do it side by side */
static void tell_all_to_stop(int for_good)
{
	size_t i;
	SCOPED_MUTEX(locked, &lock);

	over |= for_good;
	in_service = NULL;
	for (i = 0; i < AST_VECTOR_SIZE(&alive); i++) {
		AST_VECTOR_GET(&alive, i)->told_to_stop = 1;
		AST_VECTOR_GET(&alive, i)->ops->stop(0);
	}
}

/*! \brief The generation at a place of the list, to be waited for, or NULL behind its end */
static struct generation *claim_at(size_t place)
{
	struct generation *generation;
	SCOPED_MUTEX(locked, &lock);

	if (place >= AST_VECTOR_SIZE(&alive)) {
		return NULL;
	}
	generation = AST_VECTOR_GET(&alive, place);
	generation->waiters++;
	return generation;
}

int generation_stop_all(int limit_ms, int for_good)
{
	int64_t deadline_us = monotonic_us() + (int64_t) limit_ms * 1000;
	struct generation *generation;
	size_t hanging = 0;

	tell_all_to_stop(for_good);
	while ((generation = claim_at(hanging))) {
		int64_t left_us = deadline_us - monotonic_us();

		hanging += await_end(generation, left_us > 1000 ? left_us / 1000 : 1) != 0;
	}
	if (hanging) {
		return -1;
	}
	ast_mutex_lock(&lock);
	AST_VECTOR_FREE(&alive);
	ast_mutex_unlock(&lock);
	return 0;
}
