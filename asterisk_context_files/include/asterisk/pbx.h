/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The dialplan
 */

#ifndef CONTEXT_PBX_H
#define CONTEXT_PBX_H

#include <stddef.h>
#include <sys/types.h>

#include "asterisk/linkedlists.h"
#include "asterisk/stringfields.h"
#include "asterisk/xmldoc.h"

struct ast_channel;
struct ast_module;
struct ast_str;

typedef int (*ast_acf_read_fn_t)(struct ast_channel *chan, const char *cmd, char *data, char *buf,
	size_t len);
typedef int (*ast_acf_write_fn_t)(struct ast_channel *chan, const char *cmd, char *data,
	const char *value);

typedef int (*ast_acf_read2_fn_t)(struct ast_channel *chan, const char *cmd, char *data,
	struct ast_str **str, ssize_t len);

struct ast_custom_function {
	const char *name;
	AST_DECLARE_STRING_FIELDS(
		AST_STRING_FIELD(synopsis);
		AST_STRING_FIELD(desc);
		AST_STRING_FIELD(syntax);
		AST_STRING_FIELD(arguments);
		AST_STRING_FIELD(seealso);
	);
	enum ast_doc_src docsrc;
	ast_acf_read_fn_t read;
	ast_acf_read2_fn_t read2;
	size_t read_max;
	ast_acf_write_fn_t write;
	struct ast_module *mod;
	unsigned int read_escalates:1;
	unsigned int write_escalates:1;
	AST_LIST_ENTRY(ast_custom_function) acflist;
	AST_STRING_FIELD(since);
	AST_STRING_FIELD(provided_by);
};

enum ast_custom_function_escalation {
	AST_CFE_NONE,
	AST_CFE_READ,
	AST_CFE_WRITE,
	AST_CFE_BOTH,
};

int __ast_custom_function_register_escalating(struct ast_custom_function *acf,
	enum ast_custom_function_escalation escalation, struct ast_module *mod);
#define ast_custom_function_register_escalating(acf, escalation) \
	__ast_custom_function_register_escalating(acf, escalation, AST_MODULE_SELF)
int ast_custom_function_unregister(struct ast_custom_function *acf);

struct ast_context;
struct ast_exten;

int ast_rdlock_contexts(void);
int ast_unlock_contexts(void);
int ast_rdlock_context(struct ast_context *con);
int ast_unlock_context(struct ast_context *con);
/*! \brief All contexts are locked */
struct ast_context *ast_context_find(const char *name);

/* NULL begins, and ends. */
struct ast_context *ast_walk_contexts(struct ast_context *con);
struct ast_exten *ast_walk_context_extensions(struct ast_context *con, struct ast_exten *priority);
struct ast_exten *ast_walk_extension_priorities(struct ast_exten *exten, struct ast_exten *priority);

const char *ast_get_context_name(struct ast_context *con);
const char *ast_get_extension_name(struct ast_exten *exten);
int ast_get_extension_priority(struct ast_exten *exten);
const char *ast_get_extension_app(struct ast_exten *e);
void *ast_get_extension_app_data(struct ast_exten *e);

int ast_exists_extension(struct ast_channel *c, const char *context, const char *exten, int priority,
	const char *callerid);

int ast_extension_match(const char *pattern, const char *extension);
/*! \brief -1 while somebody else sends the channel elsewhere */
int ast_explicit_goto(struct ast_channel *chan, const char *context, const char *exten, int priority);

/*! \brief The channel is locked */
const char *pbx_builtin_getvar_helper(struct ast_channel *chan, const char *name);

/*! \brief Set a channel variable; NULL deletes it */
int pbx_builtin_setvar_helper(struct ast_channel *chan, const char *name,
	const char *value);

struct ast_custom_function *ast_custom_function_find(const char *name);

int ast_func_write(struct ast_channel *chan, const char *function, const char *value);
int ast_func_read(struct ast_channel *chan, const char *function, char *workspace, size_t len);

#endif /* CONTEXT_PBX_H */
