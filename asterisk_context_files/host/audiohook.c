/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Audiohooks: what a channel says and hears, given to whoever has hooked on
 */

#include "host_internal.h"

#include "asterisk/alaw.h"
#include "asterisk/audiohook.h"
#include "asterisk/ulaw.h"

#define MAX_HOOKS 64

unsigned char __ast_lin2mu[16384];
unsigned char __ast_lin2a[8192];

struct hooked {
	struct ast_channel *channel;
	struct ast_audiohook *hook;
};

/*! In the order in which they came; a channel's are touched with the channel locked */
static struct hooked hooks[MAX_HOOKS];
static size_t count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/*! By its definition: G.711's segments, from the top */
static unsigned char to_ulaw(int sample)
{
	int sign = sample < 0 ? 0x80 : 0;
	int magnitude = (sample < 0 ? -sample : sample) + 132;
	int segment = 7;

	magnitude = magnitude > 32767 ? 32767 : magnitude;
	while (segment && magnitude < 128 << segment) {
		segment--;
	}
	return (unsigned char) ~(sign | segment << 4 | (magnitude >> (segment + 3) & 15));
}

static unsigned char to_alaw(int sample)
{
	int sign = sample < 0 ? 0 : 0x80;
	int magnitude = sample < 0 ? -sample - 1 : sample;
	int segment = 7;

	while (segment && magnitude < 128 << segment) {
		segment--;
	}
	return (unsigned char) ((sign | segment << 4 | (magnitude >> (segment ? segment + 3 : 4) & 15)) ^ 0x55);
}

static void __attribute__((constructor)) fill_tables(void)
{
	int i;

	for (i = 0; i < 16384; i++) {
		__ast_lin2mu[i] = to_ulaw((int16_t) (i << 2));
	}
	for (i = 0; i < 8192; i++) {
		__ast_lin2a[i] = to_alaw((int16_t) (i << 3));
	}
}

/* ---- What the module calls ---- */

int ast_audiohook_init(struct ast_audiohook *audiohook, enum ast_audiohook_type type,
	const char *source, enum ast_audiohook_init_flags flags)
{
	pthread_mutexattr_t attributes;

	if (type != AST_AUDIOHOOK_TYPE_MANIPULATE) {
		FAIL("the host knows no other audiohooks than those that manipulate");
	}
	memset(audiohook, 0, sizeof(*audiohook));
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&audiohook->lock.mutex, &attributes);
	pthread_mutexattr_destroy(&attributes);
	pthread_cond_init(&audiohook->trigger, NULL);
	audiohook->type = type;
	audiohook->source = source;
	audiohook->init_flags = flags;
	return 0;
}

int ast_audiohook_destroy(struct ast_audiohook *audiohook)
{
	size_t i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < count; i++) {
		if (hooks[i].hook == audiohook) {
			FAIL("an audiohook is destroyed while a channel has it");
		}
	}
	pthread_mutex_unlock(&lock);
	pthread_cond_destroy(&audiohook->trigger);
	pthread_mutex_destroy(&audiohook->lock.mutex);
	return 0;
}

void ast_audiohook_update_status(struct ast_audiohook *audiohook, enum ast_audiohook_status status)
{
	ast_audiohook_lock(audiohook);
	if (audiohook->status != AST_AUDIOHOOK_STATUS_DONE) {
		audiohook->status = status;
	}
	ast_audiohook_unlock(audiohook);
}

static void add_hook(struct ast_channel *channel, struct ast_audiohook *hook)
{
	pthread_mutex_lock(&lock);
	if (count == MAX_HOOKS) {
		FAIL("more than %d audiohooks", MAX_HOOKS);
	}
	hooks[count++] = (struct hooked) { channel, hook };
	pthread_mutex_unlock(&lock);
}

/*! \return whether it was there */
static int take_hook(struct ast_channel *channel, struct ast_audiohook *hook)
{
	size_t i = 0;

	pthread_mutex_lock(&lock);
	while (i < count && (hooks[i].channel != channel || hooks[i].hook != hook)) {
		i++;
	}
	if (i == count) {
		pthread_mutex_unlock(&lock);
		return 0;
	}
	count--;
	memmove(hooks + i, hooks + i + 1, (count - i) * sizeof(*hooks));
	pthread_mutex_unlock(&lock);
	return 1;
}

int ast_audiohook_attach(struct ast_channel *chan, struct ast_audiohook *audiohook)
{
	if (host_call_fails(__func__) || ast_channel_flags(chan)->flags & AST_FLAG_ZOMBIE) {
		return -1;
	}
	add_hook(chan, audiohook);
	ast_audiohook_update_status(audiohook, AST_AUDIOHOOK_STATUS_RUNNING);
	return 0;
}

int ast_audiohook_remove(struct ast_channel *chan, struct ast_audiohook *audiohook)
{
	if (take_hook(chan, audiohook)) {
		ast_audiohook_update_status(audiohook, AST_AUDIOHOOK_STATUS_DONE);
	}
	return 0;
}

/* ---- What a test does ---- */

/*! \brief The hooks of a channel, in their order. \return how many */
static size_t hooks_of(struct ast_channel *channel, struct ast_audiohook **found)
{
	size_t used = 0;
	size_t i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < count; i++) {
		if (hooks[i].channel == channel) {
			found[used++] = hooks[i].hook;
		}
	}
	pthread_mutex_unlock(&lock);
	return used;
}

/*! \brief Give a frame to one hook, or take the hook away if it has been shut down. \return whether it was changed */
static int give(struct ast_channel *channel, struct ast_audiohook *hook, struct ast_frame *frame,
	enum ast_audiohook_direction direction)
{
	int changed = 0;

	ast_audiohook_lock(hook);
	if (hook->status != AST_AUDIOHOOK_STATUS_RUNNING) {
		take_hook(channel, hook);
		ast_audiohook_update_status(hook, AST_AUDIOHOOK_STATUS_DONE);
		ast_audiohook_unlock(hook);
		hook->manipulate_callback(hook, channel, NULL, direction);
		return 0;
	}
	changed = !hook->manipulate_callback(hook, channel, frame, direction);
	ast_audiohook_unlock(hook);
	return changed;
}

/*! Which channel's it is, is all that is known of it */
struct ast_audiohook_list *ast_channel_audiohooks(const struct ast_channel *chan)
{
	return host_channel_hooks((struct ast_channel *) chan) ? (struct ast_audiohook_list *) chan : NULL;
}

static unsigned int refreshed[2];

unsigned int host_refreshed(int is_written)
{
	return __atomic_load_n(&refreshed[is_written], __ATOMIC_ACQUIRE);
}

struct ast_frame *ast_audiohook_write_list(struct ast_channel *chan,
	struct ast_audiohook_list *audiohook_list, enum ast_audiohook_direction direction,
	struct ast_frame *frame)
{
	if (frame->datalen || frame->data.ptr) {
		FAIL("a frame with audio is given to a channel's audiohooks behind its back");
	}
	if (frame->subclass.format == ast_channel_rawreadformat(chan)) {
		FAIL("an empty frame of the channel's own codec does not have Asterisk make its path anew");
	}
	__atomic_fetch_add(&refreshed[direction == AST_AUDIOHOOK_DIRECTION_WRITE], 1, __ATOMIC_RELEASE);
	return frame;
}

static int frame_number;

void host_channel_hears_number(int number)
{
	frame_number = number;
}

int host_channel_hears(struct ast_channel *channel, int is_written, int16_t *samples,
	unsigned int length, unsigned int rate)
{
	struct ast_audiohook *found[MAX_HOOKS];
	struct ast_frame frame = {
		.frametype = AST_FRAME_VOICE,
		.subclass.format = host_slin(rate),
		.samples = (int) length,
		.datalen = (int) length * 2,
		.data.ptr = samples,
		.seqno = frame_number,
		.src = "host",
	};
	int changed = 0;
	size_t size;
	size_t i;

	ao2_lock(channel);
	size = hooks_of(channel, found);
	for (i = 0; i < size; i++) {
		changed |= give(channel, found[i], &frame, is_written ? AST_AUDIOHOOK_DIRECTION_WRITE
				: AST_AUDIOHOOK_DIRECTION_READ);
	}
	ao2_unlock(channel);
	return changed;
}

size_t host_channel_hooks(struct ast_channel *channel)
{
	struct ast_audiohook *found[MAX_HOOKS];

	return hooks_of(channel, found);
}

void host_hooks_move(struct ast_channel *from, struct ast_channel *to)
{
	size_t i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < count; i++) {
		if (hooks[i].channel == from) {
			hooks[i].channel = to;
		}
	}
	pthread_mutex_unlock(&lock);
}

void host_hooks_end(struct ast_channel *channel)
{
	struct ast_audiohook *found[MAX_HOOKS];
	size_t size = hooks_of(channel, found);
	size_t i;

	for (i = 0; i < size; i++) {
		take_hook(channel, found[i]);
		ast_audiohook_update_status(found[i], AST_AUDIOHOOK_STATUS_DONE);
		found[i]->manipulate_callback(found[i], NULL, NULL, AST_AUDIOHOOK_DIRECTION_READ);
	}
}
