/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief `elevenlabs report`: the page of one call
 *
 * The engine makes it, of what it has in memory or on the disk, and writes it (pyconvai/report).
 */

#include "asterisk.h"

#include "asterisk/cli.h"	/* CLI_SUCCESS */
#include "asterisk/utils.h"	/* ast_free */

#include "call/variables.h"
#include "control/cli_commands.h"
#include "control/inquire.h"
#include "door.h"

/*! To look among the records on the disk, and to make the page: pyconvai/limits.py has less for each */
#define REPORT_LIMIT_MS 15000

char *cli_report(struct ast_cli_args *a)
{
	struct pair_list list = { 0 };
	char *answer = NULL;
	int ok = 0;

	if (a->argc != 3) {
		return CLI_SHOWUSAGE;
	}
	if (!pair_list_add(&list, "call", a->argv[2])) {
		ok = inquire("report", "", &list, REPORT_LIMIT_MS, &answer);
	}
	inquire_print(a->fd, answer);
	ast_free(answer);
	pair_list_free(&list);
	return ok ? CLI_SUCCESS : CLI_FAILURE;
}

/*! The loop answers from its memory; who completes a word is not to wait for one that hangs */
#define NAMES_LIMIT_MS 300

void cli_report_names(void (*tell)(const char *word, const char *name), const char *word)
{
	const struct pair_list none = { .pairs = NULL };
	char *answer = NULL;

	if (inquire_briefly("call names", &none, NAMES_LIMIT_MS, &answer) && answer) {
		char *rest = answer;
		const char *name;

		while ((name = strsep(&rest, "\n"))) {
			tell(word, name);
		}
	}
	ast_free(answer);
}
