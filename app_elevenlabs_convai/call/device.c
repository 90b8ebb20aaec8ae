/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The device behind a channel, and when another one takes its place
 */

#include "asterisk.h"

#include <stdatomic.h>

#include "asterisk/channel.h"	/* datastores and frames of a channel */
#include "asterisk/strings.h"	/* S_OR */
#include "asterisk/utils.h"	/* ast_calloc */

#include "call/device.h"

struct device {
	struct ast_channel *channel;	/*!< borrowed from whoever watches */
	struct ast_datastore *store;	/*!< by this pointer it is known: another may bring one of its own */
	atomic_int moves;	/*!< marks that were queued, and have not been asked for */
};

/*! By this the mark is known when it is read; nobody else reads anything in it */
static const char mark_source[] = "ElevenLabsConvAI device";

/*!
 * \brief Another device is put into our channel. The thread of whoever does that, with both
 * channels locked: no more than this.
 *
 * What the device before had to say may wait to be read, its hold for one. So the mark goes behind
 * that. (What the new one had to say before comes even sooner.)
 */
static void broken_down(void *data, struct ast_channel *old_channel,
	struct ast_channel *new_channel)
{
	struct device *device = data;
	struct ast_frame mark = {
		.frametype = AST_FRAME_CONTROL,
		.subclass.integer = AST_CONTROL_SRCCHANGE,
		.src = mark_source,
	};

	atomic_fetch_add(&device->moves, 1);
	ast_queue_frame(device->channel, &mark);
}

int device_is_mark(const struct ast_frame *frame)
{
	return frame->subclass.integer == AST_CONTROL_SRCCHANGE
		&& !strcmp(S_OR(frame->src, ""), mark_source);
}

/*!
 * \brief Our device is put into another channel, and ours is left without one. The same thread.
 *
 * The datastore would go along, to a channel that may outlive the module.
 */
static void moved_away(void *data, struct ast_channel *old_channel,
	struct ast_channel *new_channel)
{
	struct device *device = data;

	ast_channel_datastore_remove(old_channel, device->store);
}

static const struct ast_datastore_info info = {
	.type = "ElevenLabsConvAI",
	.chan_fixup = moved_away,
	.chan_breakdown = broken_down,
};

struct device *device_watch(struct ast_channel *channel)
{
	struct device *device = ast_calloc(1, sizeof(*device));

	if (!device) {
		return NULL;
	}
	device->channel = channel;
	device->store = ast_datastore_alloc(&info, NULL);
	if (!device->store) {
		ast_free(device);
		return NULL;
	}
	device->store->data = device;
	ast_channel_lock(channel);
	ast_channel_datastore_add(channel, device->store);
	ast_channel_unlock(channel);
	return device;
}

int device_take_move(struct device *device)
{
	int moves = device ? atomic_load(&device->moves) : 0;

	/* Only more of them come from elsewhere. */
	return moves && atomic_fetch_sub(&device->moves, 1) > 0;
}

int device_take_moves(struct device *device)
{
	return device && atomic_exchange(&device->moves, 0) != 0;
}

void device_unwatch(struct device *device)
{
	if (!device) {
		return;
	}
	ast_channel_lock(device->channel);
	ast_channel_datastore_remove(device->channel, device->store);
	ast_channel_unlock(device->channel);
	ast_datastore_free(device->store);
	ast_free(device);
}
