/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The letters in the application's second argument
 */

#include "asterisk.h"

#include "asterisk/app.h"	/* ast_app_parse_options */
#include "asterisk/strings.h"	/* S_OR */
#include "asterisk/utils.h"	/* ast_test_flag */

#include "call/options.h"

enum option_flag {
	OPTION_NO_ANSWER = 1 << 0,
	OPTION_CONNECT_FIRST = 1 << 1,
	OPTION_RING = 1 << 2,
	OPTION_MUSIC = 1 << 3,
	OPTION_GREETING = 1 << 4,
};

enum option_argument {
	OPTION_ARG_MUSIC,
	OPTION_ARG_COUNT,
};

AST_APP_OPTIONS(option_table, {
	AST_APP_OPTION('n', OPTION_NO_ANSWER),
	AST_APP_OPTION('c', OPTION_CONNECT_FIRST),
	AST_APP_OPTION('r', OPTION_RING),
	AST_APP_OPTION_ARG('m', OPTION_MUSIC, OPTION_ARG_MUSIC),
	AST_APP_OPTION('g', OPTION_GREETING),
});

/*! \brief Whether all letters are options; Asterisk's own parser passes over others */
static int options_are_known(const char *text)
{
	const char *c = text;

	while (*c) {
		if ((unsigned char) *c >= ARRAY_LEN(option_table)
			|| !option_table[(int) *c].flag) {
			return 0;
		}
		if (c[1] == '(' && option_table[(int) *c].arg_index) {
			c += strcspn(c, ")");
		}
		c += !!*c;
	}
	return 1;
}

int options_parse(char *text, struct call_options *options)
{
	char *arguments[OPTION_ARG_COUNT] = { NULL };
	struct ast_flags flags = { 0 };

	if (!options_are_known(text)
		|| ast_app_parse_options(option_table, &flags, arguments, text)
		|| (ast_test_flag(&flags, OPTION_NO_ANSWER)
		&& ast_test_flag(&flags, OPTION_CONNECT_FIRST))
		|| (ast_test_flag(&flags, OPTION_RING) && ast_test_flag(&flags, OPTION_MUSIC))) {
		return -1;
	}
	options->answer = !ast_test_flag(&flags, OPTION_NO_ANSWER);
	options->connect_first = !!ast_test_flag(&flags, OPTION_CONNECT_FIRST);
	options->ring = !!ast_test_flag(&flags, OPTION_RING);
	options->music = !!ast_test_flag(&flags, OPTION_MUSIC);
	options->protect_greeting = !!ast_test_flag(&flags, OPTION_GREETING);
	options->music_class = S_OR(arguments[OPTION_ARG_MUSIC], "");
	return 0;
}
