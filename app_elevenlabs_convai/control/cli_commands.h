/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The commands themselves, for the table in cli.c. Threads of Asterisk's.
 */

#ifndef CONTROL_CLI_COMMANDS_H
#define CONTROL_CLI_COMMANDS_H

struct ast_cli_args;
struct call;
struct config;
struct config_agent;

/* Each returns CLI_SUCCESS, CLI_FAILURE or CLI_SHOWUSAGE. */
char *cli_show_agents(struct ast_cli_args *a);
char *cli_show_sessions(struct ast_cli_args *a);
char *cli_show_session(struct ast_cli_args *a);
char *cli_show_stats(struct ast_cli_args *a);
char *cli_show_version(struct ast_cli_args *a);

/*! \brief Asks the engine's loop, and waits some seconds at most */
char *cli_show_webhooks(struct ast_cli_args *a);

/*! \brief Waits for the engine, and it for the disk, 15 s at most */
char *cli_report(struct ast_cli_args *a);

/*! \brief Tell the names of calls that a report can be had of, for completion. Waits a moment for the engine. */
void cli_report_names(void (*tell)(const char *word, const char *name), const char *word);

/*! \brief Has other commands run, and waits as cli_report */
char *cli_bundle(struct ast_cli_args *a);

/*! \brief Waits for the service, some seconds at most, and no longer than the module stays */
char *cli_test_agent(struct ast_cli_args *a);

/*! \brief Waits for the service twice, as cli_test_agent */
char *cli_check_agent(struct ast_cli_args *a);

/*!
 * \brief The agent of a name, as a call finds it, or say why there is none; may wait for a database
 * \return with a reference for the caller, or NULL
 */
struct config_agent *cli_find_agent(int fd, const struct config *config, const char *name);

char *cli_send(struct ast_cli_args *a);

/* Both wait for the engine, and for a tool: as long as tool_timeout says, and for files to be loaded. */
char *cli_show_tools(struct ast_cli_args *a);
char *cli_test_tool(struct ast_cli_args *a);

/*! \brief `elevenlabs debug ...` and `elevenlabs set debug ...` */
char *cli_debug(struct ast_cli_args *a);

/*! \brief Whether a call's messages are logged, and who wants it so. The call is locked. */
const char *cli_debug_state(const struct call *call);

#endif /* CONTROL_CLI_COMMANDS_H */
