/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Actions and events of AMI
 */

#ifndef CONTEXT_MANAGER_H
#define CONTEXT_MANAGER_H

#include <stdint.h>

#define EVENT_FLAG_SYSTEM (1 << 0)
#define EVENT_FLAG_CALL (1 << 1)
#define EVENT_FLAG_USER (1 << 6)
#define EVENT_FLAG_REPORTING (1 << 9)

struct ast_channel_snapshot;
struct ast_json;
struct ast_module;
struct ast_str;
struct mansession;
struct message;

int ast_manager_register2(const char *action, int authority,
	int (*func)(struct mansession *s, const struct message *m), struct ast_module *module,
	const char *synopsis, const char *description);
#define ast_manager_register_xml(action, authority, func) \
	ast_manager_register2(action, authority, func, AST_MODULE_SELF, NULL, NULL)
int ast_manager_unregister(const char *action);

int ast_manager_check_enabled(void);

/*! \brief Whether somebody has logged in by this session of AMI over HTTP, and with one of these classes */
int astman_is_authed(uint32_t ident);
int astman_verify_session_readpermissions(uint32_t ident, int perm);
int astman_verify_session_writepermissions(uint32_t ident, int perm);

const char *astman_get_header(const struct message *m, char *var);
void astman_send_error(struct mansession *s, const struct message *m, char *error);
void astman_send_ack(struct mansession *s, const struct message *m, char *msg);
void astman_append(struct mansession *s, const char *fmt, ...)
__attribute__((format(printf, 2, 3)));
void astman_send_listack(struct mansession *s, const struct message *m, char *msg, char *listflag);
void astman_send_list_complete_start(struct mansession *s, const struct message *m,
	const char *event_name, int count);
void astman_send_list_complete_end(struct mansession *s);

struct ast_str *ast_manager_build_channel_state_string(
	const struct ast_channel_snapshot *snapshot);
void ast_manager_publish_event(const char *type, int class_type, struct ast_json *obj);

#endif /* CONTEXT_MANAGER_H */
