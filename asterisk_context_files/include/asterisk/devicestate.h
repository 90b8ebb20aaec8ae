/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Whether devices can be had
 */

#ifndef CONTEXT_DEVICESTATE_H
#define CONTEXT_DEVICESTATE_H

enum ast_device_state {
	AST_DEVICE_UNKNOWN,
	AST_DEVICE_NOT_INUSE,
	AST_DEVICE_INUSE,
	AST_DEVICE_BUSY,
	AST_DEVICE_INVALID,
	AST_DEVICE_UNAVAILABLE,
	AST_DEVICE_RINGING,
	AST_DEVICE_RINGINUSE,
	AST_DEVICE_ONHOLD,
	AST_DEVICE_TOTAL,
};

enum ast_devstate_cache {
	AST_DEVSTATE_NOT_CACHABLE,
	AST_DEVSTATE_CACHABLE,
};

typedef enum ast_device_state (*ast_devstate_prov_cb_type)(const char *data);

int __attribute__((format(printf, 3, 4))) ast_devstate_changed(enum ast_device_state state,
	enum ast_devstate_cache cachable, const char *fmt, ...);

int ast_devstate_prov_add(const char *label, ast_devstate_prov_cb_type callback);
int ast_devstate_prov_del(const char *label);

int ast_device_state_clear_cache(const char *device);

#endif /* CONTEXT_DEVICESTATE_H */
