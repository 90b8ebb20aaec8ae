/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The module's metrics as Prometheus reads them
 */

#ifndef CONTROL_METRICS_H
#define CONTROL_METRICS_H

#include "convai_ops.h"

struct ast_str;

/*! Of each histogram of times (enum convai_timing_kind): its name for programs, and in words */
struct timing_name {
	const char *name;
	const char *words;
};
extern const struct timing_name timing_names[CONVAI_TIMING_COUNT];

/*!
 * \brief Append all metrics in Prometheus's text format
 *
 * Any thread. Waits for no more than a call's lock, takes no GIL. What there is no memory for is left out.
 */
void metrics_append(struct ast_str **out);

#endif /* CONTROL_METRICS_H */
