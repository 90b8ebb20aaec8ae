/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What the live page shows of a call beside its counters
 */

#include "asterisk.h"

#include <time.h>	/* clock_gettime(2) */

#include "asterisk/astobj2.h"	/* ao2 objects */
#include "asterisk/callerid.h"	/* AST_PRES_RESTRICTION */
#include "asterisk/channel.h"	/* whose it is */
#include "asterisk/json.h"	/* what an event says */
#include "asterisk/linkedlists.h"	/* events */
#include "asterisk/lock.h"	/* a mutex */
#include "asterisk/strings.h"	/* ast_str */
#include "asterisk/utf8.h"	/* ast_utf8_copy_string */
#include "asterisk/utils.h"	/* ast_copy_string */

#include "call/feed.h"
#include "config/config.h"

/*! One event: an object of JSON */
struct entry {
	AST_LIST_ENTRY(entry) next;
	size_t length;
	char text[];
};

struct feed_events {
	AST_LIST_HEAD_NOLOCK(, entry) list;
	uint64_t first;	/*!< number of the oldest that is kept */
	uint64_t next;	/*!< number of the next that comes */
	size_t bytes;
};

AST_MUTEX_DEFINE_STATIC(lock);
/*! Those that are over, in a ring; guarded by the lock, as the counts are */
static struct feed *endings[FEED_ENDINGS];
static uint64_t ended;
static uint64_t begun;
/*! Whether anything is kept: http_page. Written under the lock, atomic. */
static int kept;

/* ---- The beginning ---- */

static void feed_destructor(void *object)
{
	struct feed *feed = object;
	struct entry *entry;

	while (feed->events && (entry = AST_LIST_REMOVE_HEAD(&feed->events->list, next))) {
		ast_free(entry);
	}
	ast_free(feed->events);
	ast_json_free(feed->ending);
}

/*! \brief Who calls, as far as the agent is told: whose number is nobody's business is nobody's here */
static void read_parties(struct feed *feed, struct ast_channel *channel, const struct config_agent *settings)
{
	const struct ast_party_name *name;

	parties_read(&feed->parties, channel, 0);
	if (!settings->send_caller_number) {
		feed->parties.caller[0] = '\0';
		if (feed->parties.outbound) {
			feed->parties.called[0] = '\0';
		}
		return;
	}
	ast_channel_lock(channel);
	name = &ast_channel_caller(channel)->id.name;
	if (!feed->parties.outbound && name->valid
		&& (name->presentation & AST_PRES_RESTRICTION) == AST_PRES_ALLOWED) {
		ast_copy_string(feed->caller_name, S_OR(name->str, ""), sizeof(feed->caller_name));
	}
	ast_channel_unlock(channel);
}

struct feed *feed_begin(struct ast_channel *channel, const struct config *config,
	const struct config_agent *agent, const char *record)
{
	const struct config_agent *settings = agent ? agent : config ? config->defaults : NULL;
	struct feed *feed = ao2_alloc(sizeof(*feed), feed_destructor);
	struct timespec now;

	if (!feed) {
		return NULL;
	}
	feed->events = config && config->http_page ? ast_calloc(1, sizeof(*feed->events)) : NULL;
	clock_gettime(CLOCK_REALTIME, &now);
	feed->started_ms = now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
	ast_mutex_lock(&lock);
	feed->number = ++begun;
	ast_mutex_unlock(&lock);
	ast_channel_lock(channel);
	ast_copy_string(feed->unique_id, ast_channel_uniqueid(channel), sizeof(feed->unique_id));
	ast_channel_unlock(channel);
	ast_copy_string(feed->record, record, sizeof(feed->record));
	if (settings) {
		read_parties(feed, channel, settings);
	}
	return feed;
}

/* ---- Words ---- */

void feed_take_agent(struct feed *feed, const struct config_agent *agent)
{
	if (feed && !config_agent_tells_words(agent)) {
		__atomic_store_n(&feed->hides_words, 1, __ATOMIC_RELEASE);
	}
}

int feed_shows_words(const struct feed *feed)
{
	return !__atomic_load_n(&feed->hides_words, __ATOMIC_ACQUIRE);
}

/* ---- Events ---- */

/*! \brief An event as an object of JSON, or NULL */
static struct entry *make_entry(const char *event, struct ast_json *fields)
{
	static const char format[] = "{\"event\":\"%s\",\"fields\":%s}";
	char *text = ast_json_dump_string(fields);
	size_t size = text ? strlen(format) + strlen(event) + strlen(text) : 0;
	struct entry *entry = size ? ast_calloc(1, sizeof(*entry) + size) : NULL;

	if (entry) {
		entry->length = snprintf(entry->text, size, format, event, text);
	}
	ast_json_free(text);
	return entry;
}

/*! \brief Let the oldest go, until there are no more than so many bytes. The feed is locked. */
static void shorten(struct feed_events *events, size_t most)
{
	struct entry *entry;

	while (events->bytes > most && (entry = AST_LIST_REMOVE_HEAD(&events->list, next))) {
		events->first++;
		events->bytes -= entry->length;
		ast_free(entry);
	}
}

/*! \brief Put it behind the others. The feed is locked. */
static void keep(struct feed_events *events, struct entry *entry)
{
	AST_LIST_INSERT_TAIL(&events->list, entry, next);
	events->next++;
	events->bytes += entry->length;
	shorten(events, FEED_BYTES);
}

/*! \brief The page was switched off during the call: give back what there is of it */
static void forget(struct feed *feed)
{
	ao2_lock(feed);
	shorten(feed->events, 0);
	feed->speaker[0] = feed->said[0] = '\0';
	ao2_unlock(feed);
}

/*! \brief Note who has said what. The feed is locked. */
static void note_words(struct feed *feed, struct ast_json *fields)
{
	const char *speaker = ast_json_object_string_get(fields, "Speaker");
	const char *text = ast_json_object_string_get(fields, "Text");

	if (speaker && text) {
		ast_copy_string(feed->speaker, speaker, sizeof(feed->speaker));
		ast_utf8_copy_string(feed->said, text, sizeof(feed->said));
	}
}

int feed_keeps(const struct feed *feed)
{
	return feed && feed->events && __atomic_load_n(&kept, __ATOMIC_ACQUIRE);
}

/*!
 * \brief The fields of ElevenLabsEnd as they may be shown, with a reference; NULL when memory is short
 *
 * With what an agent gives for its reason to end the call it tells of the conversation.
 */
static struct ast_json *shown_end(const struct feed *feed, struct ast_json *fields)
{
	const char *status = ast_json_object_string_get(fields, "Status");
	struct ast_json *shown;

	if (feed_shows_words(feed) || !status || strcmp(status, "AGENT_ENDED")) {
		return ast_json_ref(fields);
	}
	shown = ast_json_object_create();
	if (shown) {
		ast_json_object_update(shown, fields);
		ast_json_object_del(shown, "Detail");
	}
	return shown;
}

void feed_add(struct feed *feed, const char *event, struct ast_json *fields)
{
	struct ast_json *shown;
	struct entry *entry;

	if (!feed_keeps(feed)) {
		if (feed && feed->events) {
			forget(feed);
		}
		return;
	}
	shown = strcmp(event, "ElevenLabsEnd") ? ast_json_ref(fields) : shown_end(feed, fields);
	if (!shown) {
		return;
	}
	if (!strcmp(event, "ElevenLabsEnd")) {
		/* Nobody else sees it yet. */
		ast_json_free(feed->ending);
		feed->ending = ast_json_dump_string(shown);
	}
	entry = make_entry(event, shown);
	ast_json_unref(shown);
	ao2_lock(feed);
	if (entry) {
		keep(feed->events, entry);
	}
	if (!strcmp(event, "ElevenLabsTranscript")) {
		note_words(feed, fields);
	}
	ao2_unlock(feed);
}

void feed_set_quality(struct feed *feed, const struct quality *quality)
{
	ao2_lock(feed);
	feed->quality = *quality;
	ao2_unlock(feed);
}

uint64_t feed_append(struct feed *feed, struct ast_str **out, uint64_t from)
{
	const struct entry *entry;
	const char *comma = "";
	uint64_t number;

	if (!feed_keeps(feed)) {
		return 0;
	}
	ao2_lock(feed);
	number = feed->events->first;
	AST_LIST_TRAVERSE(&feed->events->list, entry, next) {
		if (number++ >= from) {
			ast_str_append(out, 0, "%s%s", comma, entry->text);
			comma = ",";
		}
	}
	ao2_unlock(feed);
	return number;
}

/* ---- The end ---- */

void feed_end(struct feed *feed, struct ast_channel *channel)
{
	struct feed *oldest = NULL;

	if (!feed_keeps(feed)) {
		return;
	}
	ast_channel_lock(channel);
	ast_copy_string(feed->channel, ast_channel_name(channel), sizeof(feed->channel));
	ast_channel_unlock(channel);
	ast_mutex_lock(&lock);
	if (kept) {
		feed->ended = ++ended;
		oldest = endings[ended % FEED_ENDINGS];
		endings[ended % FEED_ENDINGS] = ao2_bump(feed);
	}
	ast_mutex_unlock(&lock);
	ao2_cleanup(oldest);
}

size_t feed_endings(struct feed **feeds)
{
	size_t count = 0;
	uint64_t number;

	ast_mutex_lock(&lock);
	for (number = ended; number && ended - number < FEED_ENDINGS; number--) {
		if (endings[number % FEED_ENDINGS]) {
			feeds[count++] = ao2_bump(endings[number % FEED_ENDINGS]);
		}
	}
	ast_mutex_unlock(&lock);
	return count;
}

struct feed *feed_find_ended(uint64_t number)
{
	size_t i;
	SCOPED_MUTEX(locked, &lock);

	for (i = 0; i < FEED_ENDINGS; i++) {
		if (endings[i] && endings[i]->number == number) {
			return ao2_bump(endings[i]);
		}
	}
	return NULL;
}

/*! \brief Let those that are over go. The lock is held. */
static void forget_endings(void)
{
	size_t i;

	for (i = 0; i < FEED_ENDINGS; i++) {
		ao2_cleanup(endings[i]);
		endings[i] = NULL;
	}
}

void feed_configure(void)
{
	/* Held until it is done: of two reloads at once the later one counts. */
	SCOPED_MUTEX(locked, &lock);
	struct config *config = config_get();

	__atomic_store_n(&kept, config && config->http_page, __ATOMIC_RELEASE);
	if (!kept) {
		/* Numbers go on: a viewer who comes back knows the last one. */
		forget_endings();
	}
	ao2_cleanup(config);
}

void feed_clear(void)
{
	SCOPED_MUTEX(locked, &lock);

	forget_endings();
	ended = 0;
}
