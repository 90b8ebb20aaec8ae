/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief `elevenlabs show webhooks`
 */

#include "asterisk.h"

#include "asterisk/cli.h"	/* CLI_SUCCESS */
#include "asterisk/utils.h"	/* ast_free */

#include "call/variables.h"
#include "control/cli_commands.h"
#include "control/inquire.h"

/*! The loop answers from its memory */
#define ANSWER_LIMIT_MS 2000

char *cli_show_webhooks(struct ast_cli_args *a)
{
	const struct pair_list none = { .pairs = NULL };
	char *answer;
	int ok;

	if (a->argc != 3) {
		return CLI_SHOWUSAGE;
	}
	ok = inquire("webhooks", "", &none, ANSWER_LIMIT_MS, &answer);
	inquire_print(a->fd, answer);
	ast_free(answer);
	return ok ? CLI_SUCCESS : CLI_FAILURE;
}
