/*
 * app_forkstream: copy a call's audio to a listener
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief One stream, from the application to its end, and the list of all
 */

#include "asterisk.h"

#include <sys/eventfd.h>	/* eventfd(2) */
#include <sys/random.h>	/* getrandom(2) */

#include "asterisk/astobj2.h"	/* ao2_alloc */
#include "asterisk/format_cache.h"	/* ast_format_alaw */
#include "asterisk/frame.h"	/* struct ast_frame */
#include "asterisk/json.h"	/* ast_json_free */
#include "asterisk/lock.h"	/* ast_mutex_lock */
#include "asterisk/module.h"	/* ast_module_ref */
#include "asterisk/strings.h"	/* ast_strlen_zero */
#include "asterisk/utils.h"	/* ast_copy_string */

#include "monotonic.h"
#include "stream.h"

AST_MUTEX_DEFINE_STATIC(lock);
/*! All streams that are not over. With the lock. */
static AST_LIST_HEAD_NOLOCK_STATIC(streams, stream);
static unsigned int count;
static int closed;
/*! Streams that have memory; atomic */
static int alive;
static int wake_fd = -1;

/* ---- The list ---- */

int streams_add(struct stream *stream, unsigned int most)
{
	int res = -1;

	ast_mutex_lock(&lock);
	if (!closed && count < most) {
		count++;
		ao2_ref(stream, +1);
		AST_LIST_INSERT_TAIL(&streams, stream, list);
		res = 0;
	}
	ast_mutex_unlock(&lock);
	return res;
}

static void list_remove(struct stream *stream)
{
	struct stream *removed;

	ast_mutex_lock(&lock);
	removed = AST_LIST_REMOVE(&streams, stream, list);
	count -= removed != NULL;
	ast_mutex_unlock(&lock);
	ao2_cleanup(removed);
}

struct stream *streams_find(const char *id)
{
	struct stream *stream;

	ast_mutex_lock(&lock);
	AST_LIST_TRAVERSE(&streams, stream, list) {
		if (!strcasecmp(stream->id_text, id)) {
			break;
		}
	}
	ao2_bump(stream);
	ast_mutex_unlock(&lock);
	return stream;
}

size_t streams_list(struct stream ***list)
{
	struct stream *stream;
	size_t used = 0;

	ast_mutex_lock(&lock);
	*list = ast_calloc(count + 1, sizeof(**list));
	if (*list) {
		AST_LIST_TRAVERSE(&streams, stream, list) {
			(*list)[used++] = ao2_bump(stream);
		}
	}
	ast_mutex_unlock(&lock);
	return used;
}

void streams_free_list(struct stream **list, size_t size)
{
	while (size) {
		ao2_ref(list[--size], -1);
	}
	ast_free(list);
}

int streams_alive(void)
{
	return __atomic_load_n(&alive, __ATOMIC_ACQUIRE);
}

void streams_close(int is_closed)
{
	ast_mutex_lock(&lock);
	closed = is_closed;
	ast_mutex_unlock(&lock);
}

int streams_open(void)
{
	wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return wake_fd;
}

void streams_free(void)
{
	close(wake_fd);
	wake_fd = -1;
}

void streams_wake(void)
{
	eventfd_write(wake_fd, 1);
}

/* ---- The channel's thread ---- */

static struct ast_datastore *detach(struct ast_channel *channel, const char *id);

/*! \brief Mix the beep into what the channel's party hears. \return whether there was any */
static int mix_beep(struct stream *stream, int16_t *samples, unsigned int length, unsigned int rate)
{
	int64_t length_us = (int64_t) length * 1000000 / rate;
	unsigned int i;

	if (stream->options.beep_s < 0 || stream->beep_wait_us >= length_us) {
		stream->beep_wait_us -= stream->options.beep_s < 0 ? 0 : length_us;
		return 0;
	}
	for (i = 0; i < length; i++) {
		/* A triangle: its third harmonic is 19 dB below. */
		int phase = (int) ((uint64_t) stream->beep_phase++ * BEEP_HZ * 4 * BEEP_PEAK / rate % (4 * BEEP_PEAK));
		int value = samples[i] + (phase < 2 * BEEP_PEAK ? phase - BEEP_PEAK : 3 * BEEP_PEAK - phase);

		samples[i] = (int16_t) (value > INT16_MAX ? INT16_MAX : value < INT16_MIN ? INT16_MIN : value);
	}
	stream->beep_wait_us -= length_us;
	if (stream->beep_wait_us <= -BEEP_MS * 1000) {
		stream->beep_phase = 0;
		stream->beep_wait_us = stream->options.beep_s ? stream->options.beep_s * INT64_C(1000000) : INT64_MAX;
	}
	return 1;
}

/*!
 * \brief Have Asterisk make its way to the hooks anew, with the next frame. The channel is locked.
 *
 * The empty frame is of a codec that is not the channel's: a path that has had it would take its number, 0, for the last.
 */
static void refresh(struct ast_channel *channel, enum ast_audiohook_direction direction)
{
	struct ast_format *own = direction == AST_AUDIOHOOK_DIRECTION_READ ? ast_channel_rawreadformat(channel)
		: ast_channel_rawwriteformat(channel);
	struct ast_frame empty = {
		.frametype = AST_FRAME_VOICE,
		.subclass.format = ast_format_cmp(own, ast_format_alaw) == AST_FORMAT_CMP_EQUAL ? ast_format_ulaw
			: ast_format_alaw,
		.samples = 1,
		.src = "ForkStream",
	};

	if (ast_channel_audiohooks(channel)) {
		ast_audiohook_write_list(channel, ast_channel_audiohooks(channel), direction, &empty);
	}
}

/*!
 * \brief A frame of the channel's: copy it
 *
 * The channel and the hook are locked, but without a frame: then the hook has been taken from the channel. Where the
 * call goes on nothing else of the stream stays there either, which may free it.
 * \return 0 if the frame was changed
 */
static int hear(struct ast_audiohook *hook, struct ast_channel *channel, struct ast_frame *frame,
	enum ast_audiohook_direction direction)
{
	struct stream *stream = (struct stream *) ((char *) hook - offsetof(struct stream, hook));
	unsigned int rate;
	int changed;

	if (!frame) {
		struct ast_datastore *store;

		stream_end(stream, REASON_HANGUP);
		store = channel ? detach(channel, stream->id_text) : NULL;
		if (store) {
			ast_datastore_free(store);
		}
		return -1;
	}
	if (frame->frametype != AST_FRAME_VOICE || frame->samples <= 0 || !stream->media) {
		return -1;
	}
	rate = ast_format_get_sample_rate(frame->subclass.format);
	changed = direction == AST_AUDIOHOOK_DIRECTION_WRITE
		&& mix_beep(stream, frame->data.ptr, (unsigned int) frame->samples, rate);
	media_push(stream->media, direction == AST_AUDIOHOOK_DIRECTION_READ ? PACKET_RX : PACKET_TX, frame->data.ptr,
		(unsigned int) frame->samples, rate);
	/* At the end: the path by which this frame came goes. */
	if (frame->seqno == SEQUENCE_LAST) {
		refresh(channel, direction);
	}
	return changed ? 0 : -1;
}

/* ---- On the channel ---- */

void stream_name_channel(struct stream *stream, struct ast_channel *channel)
{
	ao2_lock(stream);
	ast_copy_string(stream->channel, ast_channel_name(channel), sizeof(stream->channel));
	ast_copy_string(stream->unique_id, ast_channel_uniqueid(channel), sizeof(stream->unique_id));
	ast_copy_string(stream->linked_id, ast_channel_linkedid(channel), sizeof(stream->linked_id));
	ao2_unlock(stream);
}

/*! \brief The channel has gone, or somebody has taken the datastore from it */
static void store_destroy(void *data)
{
	stream_end(data, REASON_HANGUP);
	ao2_ref(data, -1);
}

/*!
 * \brief A masquerade: datastore and audiohook go to the other channel, or stay and another device comes. Both are locked.
 *
 * The channel's names, its unique id among them, are others from now on in either case.
 */
static void store_moves(void *data, struct ast_channel *from, struct ast_channel *to)
{
	struct stream *stream = data;

	stream_name_channel(stream, to);
	__atomic_store_n(&stream->has_moved, 1, __ATOMIC_RELEASE);
}

static const struct ast_datastore_info store_info = {
	.type = "ForkStream",
	.destroy = store_destroy,
	.chan_fixup = store_moves,
	.chan_breakdown = store_moves,
};

/*! \brief Take a stream from its channel, which is locked. \return the datastore, to be freed without the lock, or NULL */
static struct ast_datastore *detach(struct ast_channel *channel, const char *id)
{
	struct ast_datastore *store = ast_channel_datastore_find(channel, &store_info, id);

	if (store) {
		ast_audiohook_remove(channel, &((struct stream *) store->data)->hook);
		ast_channel_datastore_remove(channel, store);
	}
	return store;
}

/* ---- Life ---- */

static void stream_destroy(void *object)
{
	struct stream *stream = object;

	ast_audiohook_destroy(&stream->hook);
	media_free(stream->media);
	ast_json_free(stream->start_text);
	ast_module_unref(AST_MODULE_SELF);
	__atomic_sub_fetch(&alive, 1, __ATOMIC_RELEASE);
}

struct stream *stream_create(const struct destination *to, const struct options *options, int64_t deadline_us)
{
	struct stream *stream = ao2_alloc(sizeof(*stream), stream_destroy);

	if (!stream) {
		return NULL;
	}
	__atomic_add_fetch(&alive, 1, __ATOMIC_ACQUIRE);
	ast_module_ref(AST_MODULE_SELF);
	ast_audiohook_init(&stream->hook, AST_AUDIOHOOK_TYPE_MANIPULATE, "ForkStream",
		AST_AUDIOHOOK_MANIPULATE_ALL_RATES);
	stream->hook.manipulate_callback = hear;
	stream->to = *to;
	stream->options = *options;
	stream->began_us = monotonic_us();
	stream->deadline_us = deadline_us;
	if (getrandom(&stream->id, sizeof(stream->id), 0) != sizeof(stream->id)
		|| !(stream->media = media_create(options, stream->id, stream->began_us))) {
		ao2_ref(stream, -1);
		return NULL;
	}
	snprintf(stream->id_text, sizeof(stream->id_text), "%016" PRIx64, stream->id);
	return stream;
}

int stream_attach(struct stream *stream, struct ast_channel *channel)
{
	struct ast_datastore *store = ast_datastore_alloc(&store_info, stream->id_text);

	if (!store) {
		return -1;
	}
	if (ast_audiohook_attach(channel, &stream->hook)) {
		ast_datastore_free(store);
		return -1;
	}
	store->data = ao2_bump(stream);
	ast_channel_datastore_add(channel, store);
	return 0;
}

int stream_goes_to(struct stream *stream, enum stream_state state)
{
	int connecting = STATE_CONNECTING;

	return __atomic_compare_exchange_n(&stream->state, &connecting, state, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/*!
 * \brief The stream's channel, with a reference, or NULL
 *
 * By its name: Asterisk finds that by its hash. By its unique id it asks every channel there is, each under its lock;
 * that is for a channel that has got another name without a masquerade.
 */
static struct ast_channel *find_channel(struct stream *stream)
{
	struct ast_channel *channel;
	char name[sizeof(stream->channel)];
	char unique_id[sizeof(stream->unique_id)];

	ao2_lock(stream);
	ast_copy_string(name, stream->channel, sizeof(name));
	ast_copy_string(unique_id, stream->unique_id, sizeof(unique_id));
	ao2_unlock(stream);
	channel = ast_channel_get_by_name(name);
	return channel ? channel : ast_channel_get_by_name(unique_id);
}

static void copy_unique_id(struct stream *stream, char *unique_id)
{
	ao2_lock(stream);
	ast_copy_string(unique_id, stream->unique_id, sizeof(stream->unique_id));
	ao2_unlock(stream);
}

static void listened(struct stream *stream, unsigned int directions, int64_t now_us)
{
	stream->looked_after = directions;
	stream->listen_again_us = now_us + LISTEN_AGAIN_MS * INT64_C(1000);
}

void stream_listen(struct stream *stream, int64_t now_us)
{
	unsigned int directions = media_quiet(stream->media, now_us, DEAF_MS);
	struct ast_channel *channel;

	/* What has been heard since is not looked after yet. */
	stream->looked_after &= directions;
	if (__atomic_load_n(&stream->has_moved, __ATOMIC_ACQUIRE)) {
		directions = PACKET_BOTH;
	} else if (!directions || (directions == stream->looked_after && now_us < stream->listen_again_us)) {
		return;
	}
	channel = find_channel(stream);
	/* One that is locked is tried at the next tick, one that is not there is looked for later: that costs more. */
	if (!channel) {
		listened(stream, directions, now_us);
	} else if (!ast_channel_trylock(channel)) {
		__atomic_store_n(&stream->has_moved, 0, __ATOMIC_RELEASE);
		listened(stream, directions, now_us);
		if (directions & PACKET_RX) {
			refresh(channel, AST_AUDIOHOOK_DIRECTION_READ);
		}
		if (directions & PACKET_TX) {
			refresh(channel, AST_AUDIOHOOK_DIRECTION_WRITE);
		}
		ast_channel_unlock(channel);
	}
	ast_channel_cleanup(channel);
}

void stream_end(struct stream *stream, enum stream_reason reason)
{
	int none = REASON_NONE;

	if (__atomic_compare_exchange_n(&stream->reason, &none, reason, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
		streams_wake();
	}
}

void stream_stop(struct stream *stream, enum stream_reason reason)
{
	struct ast_datastore *store = NULL;
	struct ast_channel *channel;
	char unique_id[sizeof(stream->unique_id)];

	stream_end(stream, reason);
	copy_unique_id(stream, unique_id);
	channel = ast_channel_get_by_name(unique_id);
	if (!channel) {
		return;
	}
	ast_channel_lock(channel);
	store = detach(channel, stream->id_text);
	ast_channel_unlock(channel);
	if (store) {
		ast_datastore_free(store);
	}
	ast_channel_unref(channel);
}

unsigned int stream_stop_all(struct ast_channel *channel, const char *id)
{
	struct ast_datastore *store;
	unsigned int stopped = 0;

	do {
		ast_channel_lock(channel);
		store = detach(channel, id);
		ast_channel_unlock(channel);
		if (store) {
			struct stream *stream = store->data;

			stopped += __atomic_load_n(&stream->reason, __ATOMIC_RELAXED) == REASON_NONE;
			stream_end(stream, REASON_STOPPED);
			ast_datastore_free(store);
		}
	} while (store);
	return stopped;
}

void stream_mute(struct stream *stream, unsigned int directions, int is_muted)
{
	ast_audiohook_lock(&stream->hook);
	if (stream->media) {
		unsigned int others = media_muted(stream->media) & ~directions;

		media_mute(stream->media, others | (is_muted ? directions : 0));
	}
	ast_audiohook_unlock(&stream->hook);
}

void stream_is_over(struct stream *stream)
{
	struct media *media;

	__atomic_store_n(&stream->state, STATE_OVER, __ATOMIC_RELEASE);
	/* The channel's thread takes the hook from the channel with the next frame; nobody waits for that. */
	ast_audiohook_update_status(&stream->hook, AST_AUDIOHOOK_STATUS_SHUTDOWN);
	ast_audiohook_lock(&stream->hook);
	media = stream->media;
	stream->media = NULL;
	ast_audiohook_unlock(&stream->hook);
	media_free(media);
	list_remove(stream);
}

/* ---- Words ---- */

const char *stream_reason_name(int reason)
{
	static const char * const names[] = {
		[REASON_NONE] = "",
		[REASON_HANGUP] = "hangup",
		[REASON_STOPPED] = "stopped",
		[REASON_UNREACHABLE] = "unreachable",
		[REASON_REFUSED] = "refused",
		[REASON_CLOSED] = "closed",
		[REASON_UNLOADED] = "unloaded",
	};

	return names[reason];
}

const char *stream_state_name(int state)
{
	static const char * const names[] = {
		[STATE_CONNECTING] = "connecting",
		[STATE_UP] = "up",
		[STATE_OVER] = "over",
	};

	return names[state];
}
