/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Metrics that are read by res_prometheus
 */

#ifndef CONTEXT_RES_PROMETHEUS_H
#define CONTEXT_RES_PROMETHEUS_H

struct ast_str;

struct prometheus_callback {
	const char *name;
	void (*callback_fn)(struct ast_str **output);
};

int prometheus_callback_register(struct prometheus_callback *callback);
void prometheus_callback_unregister(struct prometheus_callback *callback);

#endif /* CONTEXT_RES_PROMETHEUS_H */
