/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Scripted channels: frames come in at their times, and what is written is kept
 */

#include "host_internal.h"
#include "asterisk/indications.h"
#include "asterisk/module.h"
#include "asterisk/musiconhold.h"

#include <poll.h>
#include <sys/eventfd.h>

#include "asterisk/chanvars.h"
#include "asterisk/pbx.h"

/*! In real time a wait looks this often whether an event is due */
#define REAL_SLICE_MS 5
/*! More than there are agents that may have a channel */
#define MAX_STORES 8
/*! AST_CAUSE_REQUESTED_CHAN_UNAVAIL: what chan_pjsip gives as the cause when RTP has been missing for too long */
#define NO_RTP 44
/*! RTP's number of a channel's first frame */
#define RTP_FIRST 40000
/*! Descriptors that one wait may have */
#define MAX_FDS 8

struct ast_channel {
	char name[AST_CHANNEL_NAME];
	char unique_id[64];	/*!< "": one of the host's */
	char number[64];	/*!< of the caller */
	char dialed_number[64];
	char connected_number[64];
	char remote_uri[128];	/*!< CHANNEL(pjsip,remote_uri) */
	const char *application;
	enum ast_channel_state state;
	struct ast_party_caller caller;
	struct ast_party_connected_line connected;
	struct ast_party_dialed dialed;
	struct ast_flags flags;
	struct ast_datastore *stores[MAX_STORES];	/*!< one of the module's for each agent that has it */
	size_t store_count;
	struct varshead variables;
	struct ast_format *codec;
	struct ast_format_cap *codecs;	/*!< and the others that it has agreed on */
	struct ast_format *read_format;
	struct ast_format *write_format;
	AST_LIST_HEAD_NOLOCK(, ast_frame) incoming;
	int alert_fd;	/*!< readable while something is incoming */
	int softhangup;
	int hangupcause;
	int is_moved;	/*!< another device has brought an id of its own */
	unsigned int write_fails;
	void (*when_written)(struct ast_channel *channel);	/*!< once, before the next frame is */
	char told[256];	/*!< host_channel_told */
	int generates;	/*!< a tone or music, which keeps what is written out */
	int64_t hangup_us;	/*!< it is hung up by then; 0: never */
	int64_t answer_us;
	int64_t up_us;	/*!< when it was answered; 0: it has not been */
	int64_t write_us;
	int64_t lateness_us;
	struct host_written *written;
	size_t written_count;
	size_t written_room;
	struct ast_channel *next;
};

struct ast_channel_iterator {
	struct ast_channel **channels;
	size_t count;
	size_t next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct ast_channel *channels;
static int frames_made;

static void channel_destructor(void *object)
{
	struct ast_channel *channel = object;
	struct ast_channel **place = &channels;
	struct ast_frame *frame;
	struct ast_var_t *variable;

	pthread_mutex_lock(&lock);
	while (*place && *place != channel) {
		place = &(*place)->next;
	}
	if (*place) {
		*place = channel->next;
	}
	pthread_mutex_unlock(&lock);
	while ((frame = AST_LIST_REMOVE_HEAD(&channel->incoming, frame_list))) {
		ast_frfree(frame);
	}
	if (channel->store_count) {
		FAIL("a datastore is left on %s", channel->name);
	}
	while ((variable = AST_LIST_REMOVE_HEAD(&channel->variables, entries))) {
		free(variable->value);
		free(variable);
	}
	ao2_cleanup(channel->codec);
	ao2_cleanup(channel->codecs);
	ao2_cleanup(channel->read_format);
	ao2_cleanup(channel->write_format);
	close(channel->alert_fd);
	free(channel->written);
}

struct ast_channel *host_channel(const char *name, struct ast_format *codec)
{
	struct ast_channel *channel = ao2_alloc(sizeof(*channel), channel_destructor);

	if (!channel) {
		FAIL("no memory for a channel");
	}
	host_object_is_channel(channel);
	ast_copy_string(channel->name, name, sizeof(channel->name));
	channel->state = AST_STATE_RING;
	channel->codec = ao2_bump(codec);
	channel->codecs = host_cap_make();
	host_cap_add(channel->codecs, codec);
	channel->read_format = ao2_bump(codec);
	channel->write_format = ao2_bump(codec);
	channel->alert_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC | EFD_SEMAPHORE);
	pthread_mutex_lock(&lock);
	channel->next = channels;
	channels = channel;
	pthread_mutex_unlock(&lock);
	return channel;
}

/* ---- Channels without a caller, as the module makes them ---- */

struct ast_channel *__ast_channel_alloc(int needqueue, int state, const char *cid_num,
	const char *cid_name, const char *acctcode, const char *exten, const char *context,
	const struct ast_assigned_ids *assignedids, const struct ast_channel *requestor,
	enum ama_flags amaflag, struct ast_endpoint *endpoint, const char *file, int line,
	const char *function, const char *name_fmt, ...)
{
	char name[AST_CHANNEL_NAME];
	struct ast_channel *channel;
	va_list ap;

	if (host_call_fails(__func__) || ast_shutting_down()) {
		return NULL;
	}
	va_start(ap, name_fmt);
	vsnprintf(name, sizeof(name), name_fmt, ap);
	va_end(ap);
	if (strncmp(name, "Surrogate/", strlen("Surrogate/"))) {
		host_fail(file, line, "everybody is told of a channel %s", name);
	}
	channel = host_channel(name, ast_format_none);
	channel->state = state;
	if (cid_num) {
		host_channel_caller(channel, cid_num, 0);
	}
	ao2_lock(channel);
	return channel;
}

void ast_channel_nativeformats_set(struct ast_channel *chan, struct ast_format_cap *value)
{
	ao2_replace(chan->codecs, value);
}

void ast_channel_set_rawreadformat(struct ast_channel *chan, struct ast_format *format)
{
	ao2_replace(chan->codec, format);
}

void ast_channel_set_rawwriteformat(struct ast_channel *chan, struct ast_format *format)
{
	ao2_replace(chan->codec, format);
}

void ast_channel_set_readformat(struct ast_channel *chan, struct ast_format *format)
{
	ao2_replace(chan->read_format, format);
}

void ast_channel_set_writeformat(struct ast_channel *chan, struct ast_format *format)
{
	ao2_replace(chan->write_format, format);
}

void ast_channel_setwhentohangup_tv(struct ast_channel *chan, struct timeval offset)
{
	chan->hangup_us = host_now() + offset.tv_sec * INT64_C(1000000) + offset.tv_usec;
}

void ast_hangup(struct ast_channel *chan)
{
	if (chan->codec == ast_format_none) {
		FAIL("what %s dials finds no format", chan->name);
	}
	ast_channel_unref(chan);
}

/* ---- What a test sets ---- */

static void set_party(struct ast_party_id *id, char *room, size_t size, const char *number,
	int presentation)
{
	ast_copy_string(room, number, size);
	id->number.str = room;
	id->number.valid = 1;
	id->number.presentation = presentation;
}

void host_channel_caller(struct ast_channel *channel, const char *number, int presentation)
{
	set_party(&channel->caller.id, channel->number, sizeof(channel->number), number,
		presentation);
}

void host_channel_dialed(struct ast_channel *channel, const char *number)
{
	ast_copy_string(channel->dialed_number, number, sizeof(channel->dialed_number));
	channel->dialed.number.str = channel->dialed_number;
}

void host_channel_outgoing(struct ast_channel *channel, const char *remote_uri)
{
	channel->flags.flags |= AST_FLAG_OUTGOING;
	ast_copy_string(channel->remote_uri, remote_uri, sizeof(channel->remote_uri));
}

void host_channel_connected(struct ast_channel *channel, const char *number, int presentation)
{
	set_party(&channel->connected.id, channel->connected_number,
		sizeof(channel->connected_number), number, presentation);
}

int ast_func_read(struct ast_channel *chan, const char *function, char *workspace, size_t len)
{
	if (!chan) {
		return host_given(function, workspace, len);
	}
	if (strcmp(function, "CHANNEL(pjsip,remote_uri)") || !chan->remote_uri[0]) {
		return -1;
	}
	ast_copy_string(workspace, chan->remote_uri, len);
	return 0;
}

/* ---- Masquerades ---- */

struct ast_datastore *__ast_datastore_alloc(const struct ast_datastore_info *info,
	const char *uid, struct ast_module *mod, const char *file, int line, const char *function)
{
	struct ast_datastore *store = ast_calloc(1, sizeof(*store));

	if (store) {
		store->info = info;
		store->mod = mod;
		store->uid = uid ? strdup(uid) : NULL;
	}
	return store;
}

int ast_datastore_free(struct ast_datastore *datastore)
{
	if (datastore->info->destroy && datastore->data) {
		datastore->info->destroy(datastore->data);
	}
	free((char *) datastore->uid);
	ast_free(datastore);
	return 0;
}

int ast_channel_datastore_add(struct ast_channel *chan, struct ast_datastore *datastore)
{
	if (chan->store_count == MAX_STORES) {
		FAIL("more than %d datastores on %s", MAX_STORES, chan->name);
	}
	chan->stores[chan->store_count++] = datastore;
	return 0;
}

struct ast_datastore *ast_channel_datastore_find(struct ast_channel *chan,
	const struct ast_datastore_info *info, const char *uid)
{
	size_t i;

	for (i = 0; i < chan->store_count; i++) {
		struct ast_datastore *store = chan->stores[i];

		if (store->info == info && (!uid || (store->uid && !strcasecmp(store->uid, uid)))) {
			return store;
		}
	}
	return NULL;
}

int ast_channel_datastore_remove(struct ast_channel *chan, struct ast_datastore *datastore)
{
	size_t i;

	for (i = 0; i < chan->store_count; i++) {
		if (chan->stores[i] == datastore) {
			chan->stores[i] = chan->stores[--chan->store_count];
			return 0;
		}
	}
	return -1;
}

void host_channel_masquerade(struct ast_channel *channel, const char *name,
	struct ast_format *codec, const char *number)
{
	size_t i;

	ao2_lock(channel);
	/* First the names, as in Asterisk. */
	ast_copy_string(channel->name, name, sizeof(channel->name));
	channel->is_moved = 1;
	for (i = 0; i < channel->store_count; i++) {
		struct ast_datastore *store = channel->stores[i];

		if (store->info->chan_breakdown) {
			store->info->chan_breakdown(store->data, NULL, channel);
		}
	}
	host_lose_tone();
	ao2_replace(channel->codec, codec);
	set_party(&channel->caller.id, channel->number, sizeof(channel->number), number, 0);
	ao2_unlock(channel);
}

void host_channel_move(struct ast_channel *from, struct ast_channel *to)
{
	ao2_lock(to);
	ao2_lock(from);
	while (from->store_count) {
		struct ast_datastore *store = from->stores[--from->store_count];

		if (store->info->chan_fixup) {
			store->info->chan_fixup(store->data, from, to);
		}
		ast_channel_datastore_add(to, store);
	}
	host_hooks_move(from, to);
	ao2_unlock(from);
	ao2_unlock(to);
}

void host_channel_end(struct ast_channel *channel)
{
	struct ast_channel **place = &channels;

	pthread_mutex_lock(&lock);
	while (*place != channel) {
		place = &(*place)->next;
	}
	*place = channel->next;
	pthread_mutex_unlock(&lock);
	ao2_lock(channel);
	channel->flags.flags |= AST_FLAG_ZOMBIE;
	host_hooks_end(channel);
	ao2_unlock(channel);
	while (channel->store_count) {
		ast_datastore_free(channel->stores[--channel->store_count]);
	}
	ast_channel_unref(channel);
}

void host_channel_id(struct ast_channel *channel, const char *unique_id)
{
	ast_copy_string(channel->unique_id, unique_id, sizeof(channel->unique_id));
}

void host_channel_take_away(struct ast_channel *channel)
{
	size_t i;

	ao2_lock(channel);
	for (i = channel->store_count; i; i--) {
		struct ast_datastore *store = channel->stores[i - 1];

		if (store->info->chan_fixup) {
			store->info->chan_fixup(store->data, channel, NULL);
		}
	}
	if (channel->store_count) {
		FAIL("a datastore goes along with the device of %s", channel->name);
	}
	channel->flags.flags |= AST_FLAG_ZOMBIE;
	ao2_unlock(channel);
	ast_softhangup(channel, AST_SOFTHANGUP_DEV);
}

void host_channel_answer_takes(struct ast_channel *channel, int64_t us)
{
	channel->answer_us = us;
}

void host_channel_write_takes(struct ast_channel *channel, int64_t us)
{
	channel->write_us = us;
}

void host_channel_write_fails(struct ast_channel *channel, unsigned int count)
{
	channel->write_fails = count;
}

void host_channel_generator(struct ast_channel *channel)
{
	channel->generates = 1;
}

void ast_deactivate_generator(struct ast_channel *chan)
{
	ao2_lock(chan);
	chan->generates = 0;
	ao2_unlock(chan);
}

/* ---- What a caller hears of Asterisk's own ---- */

/*! \brief Add a word to what the channel was told */
static void tell(struct ast_channel *chan, const char *word)
{
	ao2_lock(chan);
	strncat(chan->told, word, sizeof(chan->told) - strlen(chan->told) - 1);
	ao2_unlock(chan);
}

const char *host_channel_told(const struct ast_channel *channel)
{
	return channel->told;
}

int ast_indicate(struct ast_channel *chan, int condition)
{
	char word[32];

	if (condition < 0) {
		ast_deactivate_generator(chan);
		tell(chan, "stop ");
		return 0;
	}
	snprintf(word, sizeof(word), "indicate-%d ", condition);
	if (condition == AST_CONTROL_RINGING && chan->state == AST_STATE_UP) {
		chan->generates = 1;
	}
	tell(chan, word);
	return 0;
}

int ast_moh_start(struct ast_channel *chan, const char *mclass, const char *interpclass)
{
	(void) interpclass;
	if (host_call_fails(__func__)) {
		tell(chan, "failed ");
		return -1;
	}
	chan->generates = 1;
	tell(chan, "music-");
	tell(chan, mclass ? mclass : "default");
	tell(chan, " ");
	return 0;
}

void ast_moh_stop(struct ast_channel *chan)
{
	ast_deactivate_generator(chan);
	tell(chan, "silence ");
}

int ast_playtones_start(struct ast_channel *chan, int vol, const char *tonelist, int interruptible)
{
	chan->generates = 1;
	tell(chan, "tone ");
	return host_call_fails(__func__) ? -1 : 0;
}

void ast_playtones_stop(struct ast_channel *chan)
{
	ast_deactivate_generator(chan);
	tell(chan, "silence ");
}

void host_channel_state(struct ast_channel *channel, enum ast_channel_state state)
{
	channel->state = state;
}

void host_channel_leaves_late(struct ast_channel *channel, int64_t us)
{
	channel->lateness_us = us;
}

int64_t host_channel_lateness(const struct ast_channel *channel)
{
	return channel->lateness_us;
}

void host_channel_set_application(struct ast_channel *channel, const char *application)
{
	ao2_lock(channel);
	channel->application = application;
	ao2_unlock(channel);
}

void host_channel_application(struct ast_channel *channel, const char *application)
{
	host_channel_set_application(channel, application);
}

/* ---- What comes in ---- */

static void wake(struct ast_channel *channel)
{
	if (eventfd_write(channel->alert_fd, 1)) {
		FAIL("cannot write to an eventfd");
	}
}

/*! Takes the frame. Frames and wake-ups are counted together, or a reader is early. */
static void queue_frame(struct ast_channel *channel, struct ast_frame *frame)
{
	ao2_lock(channel);
	AST_LIST_INSERT_TAIL(&channel->incoming, frame, frame_list);
	wake(channel);
	ao2_unlock(channel);
}

int ast_queue_frame(struct ast_channel *chan, struct ast_frame *frame)
{
	struct ast_frame *copy = ast_frdup(frame);

	if (!copy) {
		return -1;
	}
	queue_frame(chan, copy);
	return 0;
}

int ast_channel_hangupcause(const struct ast_channel *chan)
{
	return chan->hangupcause;
}

void ast_channel_hangupcause_set(struct ast_channel *chan, int value)
{
	chan->hangupcause = value;
}

struct ast_channel *ast_channel_get_by_name(const char *name)
{
	struct ast_channel *channel;

	pthread_mutex_lock(&lock);
	for (channel = channels; channel; channel = channel->next) {
		if (!strcasecmp(channel->name, name) || !strcmp(ast_channel_uniqueid(channel), name)) {
			ao2_ref(channel, +1);
			break;
		}
	}
	pthread_mutex_unlock(&lock);
	return channel;
}

/*! Voice has numbers as RTP has them: they count up, from where nobody knows */
static struct ast_frame *frame_make(enum ast_frame_type type, struct ast_format *format,
	unsigned int samples, uint8_t first)
{
	unsigned int bytes = format ? samples * host_sample_bytes(format) : 0;
	uint8_t *audio = host_alloc(bytes + 1);
	struct ast_frame head = {
		.frametype = type,
		.subclass.format = format,
		.samples = samples,
		.datalen = bytes,
		.src = "host",
		.data.ptr = audio,
	};
	struct ast_frame *frame;
	unsigned int i;

	for (i = 0; i < bytes; i++) {
		audio[i] = first + i / host_sample_bytes(format);
	}
	if (type == AST_FRAME_VOICE) {
		head.seqno = RTP_FIRST + __atomic_fetch_add(&frames_made, 1, __ATOMIC_RELAXED);
	}
	frame = host_frame_copy(&head);
	free(audio);
	return frame;
}

void host_channel_voice_as(struct ast_channel *channel, struct ast_format *format,
	unsigned int samples)
{
	struct ast_frame *frame = frame_make(AST_FRAME_VOICE, format, samples, 0);

	frame->flags |= 1u << 31;
	queue_frame(channel, frame);
}

void host_channel_empty(struct ast_channel *channel, unsigned int samples)
{
	struct ast_frame *frame = frame_make(AST_FRAME_VOICE, channel->codec, samples, 0);

	frame->datalen = 0;
	frame->data.ptr = NULL;
	frame->seqno = 0;
	queue_frame(channel, frame);
}

void host_channel_codec(struct ast_channel *channel, struct ast_format *codec)
{
	struct ast_format_cap *codecs = host_cap_make();

	host_cap_add(codecs, codec);
	ao2_lock(channel);
	ao2_replace(channel->codec, codec);
	ao2_replace(channel->codecs, codecs);
	ao2_unlock(channel);
	ao2_ref(codecs, -1);
}

void host_channel_codec_too(struct ast_channel *channel, struct ast_format *codec)
{
	host_cap_add(channel->codecs, codec);
}

void host_channel_control(struct ast_channel *channel, int control)
{
	struct ast_frame *frame = frame_make(AST_FRAME_CONTROL, NULL, 0, 0);

	frame->subclass.integer = control;
	queue_frame(channel, frame);
}

void host_channel_answers(struct ast_channel *channel, int answer)
{
	const struct ast_frame frame = {
		.frametype = AST_FRAME_CONTROL,
		.subclass.integer = AST_CONTROL_TRANSFER,
		.datalen = sizeof(answer),
		.data.ptr = &answer,
	};

	queue_frame(channel, host_frame_copy(&frame));
}

void host_channel_voice(struct ast_channel *channel, unsigned int samples, uint8_t first)
{
	host_channel_voice_of(channel, samples, first, -1);
}

void host_channel_voice_of(struct ast_channel *channel, unsigned int samples, uint8_t first,
	long stamp_ms)
{
	struct ast_frame *frame = frame_make(AST_FRAME_VOICE, channel->codec, samples, first);

	if (stamp_ms >= 0) {
		frame->flags |= AST_FRFLAG_HAS_TIMING_INFO;
		frame->ts = stamp_ms;
	}
	queue_frame(channel, frame);
}

void host_channel_frame(struct ast_channel *channel, enum ast_frame_type type)
{
	queue_frame(channel, frame_make(type, NULL, 0, 0));
}

void host_channel_dtmf(struct ast_channel *channel, enum ast_frame_type type, char digit)
{
	struct ast_frame *frame = frame_make(type, NULL, 0, 0);

	frame->subclass.integer = digit;
	queue_frame(channel, frame);
}

static void add_softhangup(struct ast_channel *channel, int flag)
{
	ao2_lock(channel);
	channel->softhangup |= flag;
	ao2_unlock(channel);
}

/*! As chan_pjsip: a flag, and a frame as well */
void host_channel_hangup(struct ast_channel *channel)
{
	add_softhangup(channel, AST_SOFTHANGUP_DEV);
	host_channel_control(channel, AST_CONTROL_HANGUP);
}

void host_channel_falls_silent(struct ast_channel *channel)
{
	ao2_lock(channel);
	ast_channel_hangupcause_set(channel, NO_RTP);
	ao2_unlock(channel);
	ast_softhangup(channel, AST_SOFTHANGUP_DEV);
}

void host_channel_when_written(struct ast_channel *channel, void (*happens)(struct ast_channel *channel))
{
	channel->when_written = happens;
}

/*! Somebody who talks */
struct talker {
	struct ast_channel *channel;
	int64_t next_us;
	int64_t end_us;
	int64_t interval_us;
	int64_t frame_us;
	unsigned int spoken;
};

static void talk(void *data)
{
	struct talker *talker = data;
	unsigned int samples = ast_format_get_sample_rate(talker->channel->codec)
		* talker->frame_us / 1000000;

	host_channel_voice_of(talker->channel, samples, talker->spoken, talker->next_us / 1000);
	talker->spoken += samples;
	talker->next_us += talker->interval_us;
	if (talker->next_us < talker->end_us && !talker->channel->softhangup) {
		host_at(talker->next_us, talk, talker);
	} else {
		ast_channel_unref(talker->channel);
		free(talker);
	}
}

void host_channel_talk(struct ast_channel *channel, int64_t start_us, int64_t end_us,
	int64_t frame_us, int64_t interval_us)
{
	struct talker *talker = host_alloc(sizeof(*talker));

	*talker = (struct talker) {
		.channel = ast_channel_ref(channel),
		.next_us = start_us,
		.end_us = end_us,
		.interval_us = interval_us,
		.frame_us = frame_us,
	};
	host_at(start_us, talk, talker);
}

/* ---- What the module reads and writes ---- */

static int is_incoming(struct ast_channel *channel)
{
	int res;

	ao2_lock(channel);
	if (channel->hangup_us && host_now() >= channel->hangup_us) {
		channel->softhangup |= AST_SOFTHANGUP_TIMEOUT;
	}
	res = channel->softhangup || !AST_LIST_EMPTY(&channel->incoming);
	ao2_unlock(channel);
	return res;
}

/*! A descriptor that is ready goes before the channel, as in Asterisk */
static int ready_fd(const int *fds, int nfds)
{
	struct pollfd polled[MAX_FDS];
	int i;

	if (nfds > MAX_FDS) {
		FAIL("a wait for %d descriptors", nfds);
	}
	for (i = 0; i < nfds; i++) {
		polled[i] = (struct pollfd) { .fd = fds[i], .events = POLLIN | POLLPRI };
	}
	if (nfds && __real_poll(polled, nfds, 0) > 0) {
		for (i = 0; i < nfds; i++) {
			if (polled[i].revents & POLLNVAL) {
				FAIL("a wait for descriptor %d, which is not open", fds[i]);
			}
			if (polled[i].revents) {
				return fds[i];
			}
		}
	}
	return -1;
}

/*! Really wait, but not long: an event of the script may be due */
static void poll_slice(struct ast_channel *channel, const int *fds, int nfds,
	int64_t until_us)
{
	struct pollfd polled[MAX_FDS + 1];
	int64_t left_ms = (host_next_event(until_us) - host_now() + 999) / 1000;
	int i;

	for (i = 0; i < nfds; i++) {
		polled[i] = (struct pollfd) { .fd = fds[i], .events = POLLIN };
	}
	polled[nfds] = (struct pollfd) { .fd = channel->alert_fd, .events = POLLIN };
	if (left_ms > 0) {
		__real_poll(polled, nfds + 1, left_ms > REAL_SLICE_MS ? REAL_SLICE_MS : (int) left_ms);
	}
}

struct ast_channel *ast_waitfor_nandfds(struct ast_channel **chan, int n, int *fds,
	int nfds, int *exception, int *outfd, int *ms)
{
	int64_t deadline_us = *ms < 0 ? INT64_MAX : host_now() + (int64_t) *ms * 1000;
	struct ast_channel *ready = NULL;
	int fd = -1;

	if (n != 1) {
		FAIL("a wait for %d channels", n);
	}
	if (host_call_fails(__func__)) {
		*ms = -1;
		return NULL;
	}
	for (;;) {
		host_run_due();
		fd = ready_fd(fds, nfds);
		ready = fd < 0 && is_incoming(*chan) ? *chan : NULL;
		if (fd >= 0 || ready || host_now() >= deadline_us) {
			break;
		}
		if (host_time_is_virtual()) {
			host_jump(host_next_event(deadline_us));
		} else {
			poll_slice(*chan, fds, nfds, deadline_us);
		}
	}
	if (outfd) {
		*outfd = fd >= 0 ? fd : -99999;
	}
	if (deadline_us != INT64_MAX) {
		*ms = host_now() >= deadline_us ? 0 : (int) ((deadline_us - host_now()) / 1000);
	}
	return ready;
}

static struct ast_frame *take_incoming(struct ast_channel *channel)
{
	struct ast_frame *frame = NULL;
	eventfd_t value;

	ao2_lock(channel);
	if (!channel->softhangup) {
		frame = AST_LIST_REMOVE_HEAD(&channel->incoming, frame_list);
	}
	if (frame && eventfd_read(channel->alert_fd, &value)) {
		FAIL("an eventfd has lost count");
	}
	ao2_unlock(channel);
	return frame;
}

struct ast_frame *ast_read(struct ast_channel *chan)
{
	struct ast_frame *frame = take_incoming(chan);
	struct ast_frame *translated;

	if (frame && frame->frametype == AST_FRAME_CONTROL && frame->subclass.integer == AST_CONTROL_HANGUP) {
		add_softhangup(chan, AST_SOFTHANGUP_DEV);
		ast_frfree(frame);
		return NULL;
	}
	if (!frame || frame->frametype != AST_FRAME_VOICE
		|| frame->subclass.format == chan->read_format || frame->flags & 1u << 31) {
		return frame;
	}
	translated = host_translate(frame, chan->read_format);
	ast_frfree(frame);
	return translated;
}

static void check_frame(const struct ast_channel *channel, const struct ast_frame *frame)
{
	const struct ast_format *format = frame->subclass.format;

	if (frame->frametype != AST_FRAME_VOICE || !frame->src || !frame->data.ptr) {
		FAIL("a frame without type, source or data is written");
	}
	if (format != channel->write_format) {
		FAIL("a frame is written in a format that is not the channel's write format");
	}
	if (frame->offset < AST_FRIENDLY_OFFSET) {
		FAIL("a frame with %d bytes of room is written", frame->offset);
	}
	if (frame->datalen != frame->samples * (int) host_sample_bytes(format)) {
		FAIL("a frame of %d bytes has %d samples", frame->datalen, frame->samples);
	}
	if (frame->datalen > (int) sizeof(channel->written->audio)) {
		FAIL("a frame of %d bytes is written", frame->datalen);
	}
	if (AST_LIST_NEXT(frame, frame_list)) {
		FAIL("a frame is written that is in a list");
	}
}

/*! Also writes where Asterisk would: before the audio, in the room that the frame offers */
int ast_write(struct ast_channel *chan, struct ast_frame *frame)
{
	void (*happens)(struct ast_channel *channel) = chan->when_written;
	struct host_written *written;

	check_frame(chan, frame);
	memset((char *) frame->data.ptr - AST_FRIENDLY_OFFSET, 0xaa, AST_FRIENDLY_OFFSET);
	if (host_tone_sounds()) {
		FAIL("audio is written while a digit is sent");
	}
	if (happens) {
		chan->when_written = NULL;
		happens(chan);
	}
	if (ast_check_hangup(chan)) {
		return -1;
	}
	if (chan->write_fails) {
		chan->write_fails--;
		add_softhangup(chan, AST_SOFTHANGUP_DEV);
		return -1;
	}
	if (chan->generates) {
		return 0;
	}
	if (chan->written_count == chan->written_room) {
		chan->written_room = chan->written_room * 2 + 64;
		chan->written = realloc(chan->written, chan->written_room * sizeof(*written));
	}
	written = &chan->written[chan->written_count++];
	written->at_us = host_now();
	written->format = frame->subclass.format;
	written->samples = frame->samples;
	written->bytes = frame->datalen;
	memcpy(written->audio, frame->data.ptr, frame->datalen);
	if (chan->write_us) {
		host_sleep(chan->write_us);
	}
	return 0;
}

size_t host_written_count(const struct ast_channel *channel)
{
	return channel->written_count;
}

const struct host_written *host_written(const struct ast_channel *channel, size_t i)
{
	if (i >= channel->written_count) {
		FAIL("frame %zu of %zu", i, channel->written_count);
	}
	return &channel->written[i];
}

int ast_set_read_format(struct ast_channel *chan, struct ast_format *format)
{
	if (host_call_fails(__func__)) {
		return -1;
	}
	ao2_lock(chan);
	ao2_replace(chan->read_format, format);
	ao2_unlock(chan);
	return 0;
}

int ast_set_write_format(struct ast_channel *chan, struct ast_format *format)
{
	if (host_call_fails(__func__)) {
		return -1;
	}
	ao2_lock(chan);
	ao2_replace(chan->write_format, format);
	ao2_unlock(chan);
	return 0;
}

int ast_raw_answer(struct ast_channel *chan)
{
	host_sleep(chan->answer_us);
	if (host_call_fails(__func__) || ast_check_hangup(chan)) {
		return -1;
	}
	chan->state = AST_STATE_UP;
	chan->up_us = host_now();
	return 0;
}

/* ---- Hanging up ---- */

int ast_check_hangup(struct ast_channel *chan)
{
	return ast_channel_softhangup_internal_flag(chan) != 0;
}

/*! A reader is woken by a frame that says nothing, which stays where the flag is taken back */
int ast_softhangup(struct ast_channel *chan, int reason)
{
	add_softhangup(chan, reason);
	queue_frame(chan, frame_make(AST_FRAME_NULL, NULL, 0, 0));
	return 0;
}

void ast_channel_clear_softhangup(struct ast_channel *chan, int flag)
{
	ao2_lock(chan);
	chan->softhangup &= ~flag;
	ao2_unlock(chan);
}

int ast_channel_softhangup_internal_flag(struct ast_channel *chan)
{
	int flags;

	ao2_lock(chan);
	flags = chan->softhangup;
	ao2_unlock(chan);
	return flags;
}

unsigned int host_channels_hangup(int reason)
{
	struct ast_channel *channel;
	unsigned int count = 0;

	pthread_mutex_lock(&lock);
	for (channel = channels; channel; channel = channel->next) {
		if (channel->application) {
			ast_softhangup(channel, reason);
			count++;
		}
	}
	pthread_mutex_unlock(&lock);
	return count;
}

/* ---- Looking at it ---- */

const char *ast_channel_name(const struct ast_channel *chan)
{
	return chan->name;
}

const char *ast_channel_uniqueid(const struct ast_channel *chan)
{
	return chan->unique_id[0] ? chan->unique_id : chan->is_moved ? "1700000000.2" : "1700000000.1";
}

const char *ast_channel_linkedid(const struct ast_channel *chan)
{
	return "1700000000.0";
}

int64_t ast_channel_get_up_time_ms(struct ast_channel *chan)
{
	return chan->up_us ? (host_now() - chan->up_us) / 1000 : 0;
}

const char *ast_channel_exten(const struct ast_channel *chan)
{
	return "100";
}

const char *ast_channel_appl(const struct ast_channel *chan)
{
	return chan->application;
}

enum ast_channel_state ast_channel_state(const struct ast_channel *chan)
{
	return chan->state;
}

struct ast_party_caller *ast_channel_caller(struct ast_channel *chan)
{
	return &chan->caller;
}

struct ast_party_connected_line *ast_channel_connected(struct ast_channel *chan)
{
	return &chan->connected;
}

struct ast_flags *ast_channel_flags(struct ast_channel *chan)
{
	return &chan->flags;
}

struct ast_party_dialed *ast_channel_dialed(struct ast_channel *chan)
{
	return &chan->dialed;
}

struct varshead *ast_channel_varshead(struct ast_channel *chan)
{
	return &chan->variables;
}

struct ast_format *ast_channel_readformat(struct ast_channel *chan)
{
	return chan->read_format;
}

struct ast_format *ast_channel_writeformat(struct ast_channel *chan)
{
	return chan->write_format;
}

struct ast_format *ast_channel_rawreadformat(struct ast_channel *chan)
{
	return chan->codec;
}

struct ast_format *ast_channel_rawwriteformat(struct ast_channel *chan)
{
	return chan->codec;
}

struct ast_format_cap *ast_channel_nativeformats(const struct ast_channel *chan)
{
	return chan->codecs;
}

/*! Whether there is one is all that is known of it */
static struct ast_trans_pvt *path_between(struct ast_format *one, struct ast_format *other)
{
	return one == other ? NULL : (struct ast_trans_pvt *) one;
}

struct ast_trans_pvt *ast_channel_readtrans(const struct ast_channel *chan)
{
	return path_between(chan->codec, chan->read_format);
}

struct ast_trans_pvt *ast_channel_writetrans(const struct ast_channel *chan)
{
	return path_between(chan->codec, chan->write_format);
}

/* ---- All of them ---- */

struct ast_channel_iterator *ast_channel_iterator_all_new(void)
{
	struct ast_channel_iterator *iterator;
	struct ast_channel *channel;

	if (host_call_fails(__func__)) {
		return NULL;
	}
	iterator = host_alloc(sizeof(*iterator));
	pthread_mutex_lock(&lock);
	for (channel = channels; channel; channel = channel->next) {
		iterator->count++;
	}
	iterator->channels = host_alloc((iterator->count + 1) * sizeof(channel));
	iterator->count = 0;
	for (channel = channels; channel; channel = channel->next) {
		iterator->channels[iterator->count++] = ast_channel_ref(channel);
	}
	pthread_mutex_unlock(&lock);
	return iterator;
}

struct ast_channel *ast_channel_iterator_next(struct ast_channel_iterator *i)
{
	return i->next < i->count ? i->channels[i->next++] : NULL;
}

struct ast_channel_iterator *ast_channel_iterator_destroy(struct ast_channel_iterator *i)
{
	while (i->next < i->count) {
		ast_channel_unref(i->channels[i->next++]);
	}
	free(i->channels);
	free(i);
	return NULL;
}
