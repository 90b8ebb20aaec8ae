/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Arguments and options of applications
 */

#ifndef CONTEXT_APP_H
#define CONTEXT_APP_H

#include <stddef.h>
#include <stdint.h>

struct ast_channel;
struct ast_flags;

struct ast_app_option {
	uint64_t flag;
	unsigned int arg_index;
};

unsigned int __ast_app_separate_args(char *buf, char delim, int remove_chars, char **array,
	int arraylen);
int ast_app_parse_options(const struct ast_app_option *options, struct ast_flags *flags,
	char **args, char *optstr);

/*! \brief Run a subroutine on a channel: "context,extension,1" */
int ast_app_exec_sub(struct ast_channel *autoservice_chan, struct ast_channel *sub_chan,
	const char *sub_args, int ignore_hangup);

#define AST_APP_OPTIONS(holder, options...) \
	static const struct ast_app_option holder[128] = options
#define AST_APP_OPTION(option, flagno) [option] = { .flag = flagno }
#define AST_APP_OPTION_ARG(option, flagno, argno) \
	[option] = { .flag = flagno, .arg_index = argno + 1 }

/*! The arguments by name, and the same ones by number */
#define AST_APP_ARG(name) char *name
#define AST_DECLARE_APP_ARGS(name, arglist) \
	struct mock_##name##_list { \
		arglist \
	}; \
	struct { \
		unsigned int argc; \
		union { \
			char *argv[sizeof(struct mock_##name##_list) / sizeof(char *)]; \
			struct { \
				arglist \
			}; \
		}; \
	} name = { 0 }
#define AST_STANDARD_APP_ARGS(args, parse) \
	args.argc = __ast_app_separate_args(parse, ',', 1, args.argv, \
		sizeof(args.argv) / sizeof(args.argv[0]))

#endif /* CONTEXT_APP_H */
