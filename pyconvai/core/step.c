/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief A step of one session on its way: from the loop thread to the channel thread, and back
 */

#include "step.h"

#include <stdlib.h>
#include <string.h>

#include "monotonic.h"

/*! \brief Go from one state to the next. \return whether it was in that state */
static int advance(struct convai_step_slot *slot, uint32_t from, uint32_t to)
{
	return atomic_compare_exchange_strong_explicit(&slot->state, &from, to, memory_order_acq_rel,
			memory_order_acquire);
}

/*! \brief Copy a text to where the next one goes. \return the copy */
static const char *put(char **end, const char *text)
{
	size_t size = strlen(text) + 1;
	char *begin = *end;

	memcpy(begin, text, size);
	*end += size;
	return begin;
}

struct convai_step *convai_step_copy(uint32_t kind, const char *tool, const char *const *texts,
	uint32_t argument_count)
{
	size_t size = sizeof(struct convai_step) + argument_count * sizeof(struct convai_argument)
		+ strlen(tool) + 1;
	struct convai_argument *arguments;
	struct convai_step *step;
	char *end;
	uint32_t i;

	for (i = 0; i < 2 * argument_count; i++) {
		size += strlen(texts[i]) + 1;
	}
	step = malloc(size);
	if (!step) {
		return NULL;
	}
	arguments = (struct convai_argument *) (step + 1);
	end = (char *) (arguments + argument_count);
	step->tool = put(&end, tool);
	for (i = 0; i < argument_count; i++) {
		arguments[i].name = put(&end, texts[2 * i]);
		arguments[i].value = put(&end, texts[2 * i + 1]);
	}
	step->arguments = arguments;
	step->argument_count = argument_count;
	step->kind = kind;
	return step;
}

void convai_step_free(struct convai_step_slot *slot)
{
	free(slot->step);
	free(slot->result);
	slot->step = NULL;
	slot->result = NULL;
	slot->began_us = slot->ended_us = 0;
}

/* ---- Loop thread ---- */

int convai_step_offer(struct convai_step_slot *slot, uint32_t kind, const char *tool,
	const char *const *arguments, uint32_t argument_count)
{
	struct convai_step *step;

	if (convai_step_state(slot) != CONVAI_STEP_FREE) {
		return -1;
	}
	step = convai_step_copy(kind, tool, arguments, argument_count);
	if (!step) {
		return -1;
	}
	slot->step = step;
	atomic_store_explicit(&slot->state, CONVAI_STEP_OFFERED, memory_order_release);
	return 0;
}

int convai_step_withdraw(struct convai_step_slot *slot)
{
	if (advance(slot, CONVAI_STEP_OFFERED, CONVAI_STEP_FREE)) {
		convai_step_free(slot);
		return 1;
	}
	return advance(slot, CONVAI_STEP_TAKEN, CONVAI_STEP_GIVEN_UP);
}

void convai_step_collect(struct convai_step_slot *slot)
{
	convai_step_free(slot);
	atomic_store_explicit(&slot->state, CONVAI_STEP_FREE, memory_order_release);
}

/* ---- Channel thread ---- */

const struct convai_step *convai_step_take(struct convai_step_slot *slot)
{
	return advance(slot, CONVAI_STEP_OFFERED, CONVAI_STEP_TAKEN) ? slot->step : NULL;
}

int convai_step_begin(struct convai_step_slot *slot)
{
	if (convai_step_state(slot) != CONVAI_STEP_TAKEN) {
		return -1;
	}
	slot->began_us = monotonic_us();
	if (advance(slot, CONVAI_STEP_TAKEN, CONVAI_STEP_RUNNING)) {
		return 0;
	}
	slot->began_us = 0;
	return -1;
}

void convai_step_end(struct convai_step_slot *slot, uint32_t outcome, const char *result)
{
	slot->ended_us = monotonic_us();
	slot->outcome = outcome;
	slot->result = strndup(result, CONVAI_STEP_RESULT_BYTES - 1);
	atomic_store_explicit(&slot->state, CONVAI_STEP_OVER, memory_order_release);
}
