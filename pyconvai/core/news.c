/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What programs are to be told of a conversation: from the loop thread to the channel thread
 */

#include "news.h"

#include <stdlib.h>
#include <string.h>

/*! \brief Copy a text to where the next one goes. \return the copy */
static const char *put(char **end, const char *text)
{
	size_t size = strlen(text) + 1;
	char *begin = *end;

	memcpy(begin, text, size);
	*end += size;
	return begin;
}

static struct convai_news *make(uint32_t kind, int64_t at_ms, const char *const *fields,
	uint32_t field_count)
{
	size_t size = sizeof(struct convai_news) + field_count * sizeof(struct convai_argument);
	struct convai_argument *copies;
	struct convai_news *news;
	char *end;
	uint32_t i;

	for (i = 0; i < 2 * field_count; i++) {
		size += strlen(fields[i]) + 1;
	}
	news = malloc(size);
	if (!news) {
		return NULL;
	}
	copies = (struct convai_argument *) (news + 1);
	end = (char *) (copies + field_count);
	for (i = 0; i < field_count; i++) {
		copies[i].name = put(&end, fields[2 * i]);
		copies[i].value = put(&end, fields[2 * i + 1]);
	}
	news->event = (struct convai_event) {
		.kind = kind, .field_count = field_count, .at_ms = at_ms, .fields = copies,
	};
	return news;
}

int convai_news_add(struct convai_news_list *list, uint32_t kind, int64_t at_ms, const char *const *fields,
	uint32_t field_count)
{
	struct convai_news *news;

	if (atomic_load_explicit(&list->count, memory_order_relaxed) >= CONVAI_EVENTS_WAITING) {
		return -1;
	}
	news = make(kind, at_ms, fields, field_count);
	if (!news) {
		return -1;
	}
	atomic_fetch_add_explicit(&list->count, 1, memory_order_relaxed);
	news->next = atomic_load_explicit(&list->newest, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&list->newest, &news->next, news,
		memory_order_release, memory_order_relaxed)) {
		continue;
	}
	return 0;
}

/*! \brief Take over what has been added since the last time, oldest first */
static struct convai_news *take_over(struct convai_news_list *list)
{
	struct convai_news *newest = NULL;
	struct convai_news *oldest = NULL;

	if (atomic_load_explicit(&list->newest, memory_order_relaxed)) {
		newest = atomic_exchange_explicit(&list->newest, NULL, memory_order_acquire);
	}
	while (newest) {
		struct convai_news *next = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	return oldest;
}

const struct convai_event *convai_news_take(struct convai_news_list *list)
{
	free(list->taken);
	if (!list->oldest) {
		list->oldest = take_over(list);
	}
	list->taken = list->oldest;
	if (!list->taken) {
		return NULL;
	}
	list->oldest = list->taken->next;
	atomic_fetch_sub_explicit(&list->count, 1, memory_order_relaxed);
	return &list->taken->event;
}

void convai_news_free(struct convai_news_list *list)
{
	while (convai_news_take(list)) {
		continue;
	}
}
