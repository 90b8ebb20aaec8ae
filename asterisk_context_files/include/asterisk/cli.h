/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Commands
 */

#ifndef CONTEXT_CLI_H
#define CONTEXT_CLI_H

#include "asterisk/linkedlists.h"

#define AST_MAX_CMD_LEN 16
#define AST_MAX_ARGS 64

#define RESULT_SUCCESS 0
#define RESULT_SHOWUSAGE 1
#define RESULT_FAILURE 2
#define CLI_SUCCESS ((char *) RESULT_SUCCESS)
#define CLI_SHOWUSAGE ((char *) RESULT_SHOWUSAGE)
#define CLI_FAILURE ((char *) RESULT_FAILURE)

#define ESS(x) ((x) == 1 ? "" : "s")

struct ast_module;

enum ast_cli_command {
	CLI_INIT = -2,
	CLI_GENERATE = -3,
	CLI_HANDLER = -4,
};

struct ast_cli_args {
	const int fd;
	const int argc;
	const char * const *argv;
	const char *line;
	const char *word;
	const int pos;
	const int n;
};

struct ast_cli_entry {
	const char * const cmda[AST_MAX_CMD_LEN];
	const char * const summary;
	const char *usage;
	int inuse;
	struct ast_module *module;
	char *_full_cmd;
	int cmdlen;
	int args;
	char *command;
	char *(*handler)(struct ast_cli_entry *e, int cmd, struct ast_cli_args *a);
	AST_LIST_ENTRY(ast_cli_entry) list;
};

#define AST_CLI_DEFINE(fn, txt, ...) { .handler = fn, .summary = txt, ##__VA_ARGS__ }

int __ast_cli_register_multiple(struct ast_cli_entry *e, int len, struct ast_module *mod);
#define ast_cli_register_multiple(e, len) \
	__ast_cli_register_multiple(e, len, AST_MODULE_SELF)
int ast_cli_unregister(struct ast_cli_entry *e);

void __attribute__((format(printf, 2, 3))) ast_cli(int fd, const char *fmt, ...);

/*! \brief Run a command; -1 for uid and gid: nobody's rights are looked at */
int ast_cli_command_full(int uid, int gid, int fd, const char *s);
#define ast_cli_command(fd, s) ast_cli_command_full(-1, -1, fd, s)

char *ast_cli_complete(const char *word, const char * const choices[], int pos);
int ast_cli_completion_add(char *value);

#endif /* CONTEXT_CLI_H */
