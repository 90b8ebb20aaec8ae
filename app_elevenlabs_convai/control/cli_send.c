/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The `elevenlabs send` command. Threads of Asterisk's.
 */

#include "asterisk.h"

#include "asterisk/cli.h"	/* ast_cli */
#include "asterisk/utils.h"	/* ast_copy_string */

#include "control/cli_commands.h"
#include "convai_ops.h"
#include "control/say.h"

/*! elevenlabs send <type> <channel> <text...> */
#define TYPE_WORD 2
#define CHANNEL_WORD 3
#define TEXT_WORD 4

/*! \brief Put the words of the text together again. Too long a text stays too long. */
static void join(struct ast_cli_args *a, char *text, size_t size)
{
	size_t used = 0;
	int i;

	*text = '\0';
	for (i = TEXT_WORD; i < a->argc && used < size; i++) {
		used += snprintf(text + used, size - used, "%s%s", i > TEXT_WORD ? " " : "",
				a->argv[i]);
	}
}

char *cli_send(struct ast_cli_args *a)
{
	char text[CONVAI_SAY_BYTES + 1];
	char answer[256];
	int failed;

	if (a->argc <= CHANNEL_WORD) {
		return CLI_SHOWUSAGE;
	}
	join(a, text, sizeof(text));
	failed = say(a->argv[CHANNEL_WORD], a->argv[TYPE_WORD], text, answer, sizeof(answer));
	ast_cli(a->fd, "%s\n", answer);
	return failed ? CLI_FAILURE : CLI_SUCCESS;
}
