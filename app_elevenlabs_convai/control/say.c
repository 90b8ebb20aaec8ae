/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Saying something to an agent during a call, for commands and for programs
 *
 * Threads of Asterisk's. The session is reached under the lock of its call, so that the channel
 * thread cannot release it meanwhile; the engine only takes a copy and sends it by itself.
 */

#include "asterisk.h"

#include "asterisk/astobj2.h"	/* ao2_lock */
#include "asterisk/cli.h"	/* CLI_SUCCESS */
#include "asterisk/strings.h"	/* ast_strlen_zero */
#include "asterisk/utf8.h"	/* ast_utf8_is_valid */
#include "asterisk/utils.h"	/* ast_copy_string */

#include "call/call.h"
#include "call/registry.h"
#include "control/cli_commands.h"
#include "control/say.h"
#include "door.h"

const char * const say_types[] = {
	[CONVAI_SAY_MESSAGE] = "message",
	[CONVAI_SAY_CONTEXT] = "context",
	[CONVAI_SAY_ACTIVITY] = "activity",
	[CONVAI_SAY_FEEDBACK] = "feedback",
	NULL,
};

/*! \return the number of a type, or -1 */
static int find_type(const char *type)
{
	int i;

	for (i = 0; say_types[i]; i++) {
		if (!strcasecmp(type, say_types[i])) {
			return i;
		}
	}
	return -1;
}

/*!
 * \param[out] waits 1 if no agent is there yet to be told
 * \return 0, or the errno of the engine's
 */
static int send_to(struct call *call, uint32_t kind, const char *text, int *waits)
{
	int failure = ENOTCONN;

	ao2_lock(call);
	if (call->session) {
		failure = call->ops->send(call->session, kind, text) ? errno : 0;
	}
	*waits = call->progress.state == CONVAI_STATE_QUEUED;
	ao2_unlock(call);
	return failure;
}

static const char *explain(int failure, uint32_t kind)
{
	static const char * const texts[] = {
		[CONVAI_SAY_MESSAGE] = "A message must have a text, of 8191 bytes at most",
		[CONVAI_SAY_CONTEXT] = "A context must have a text, of 8191 bytes at most",
		[CONVAI_SAY_ACTIVITY] = "An activity has no text",
		[CONVAI_SAY_FEEDBACK] = "Feedback must be like, dislike or none",
	};

	switch (failure) {
	case EINVAL:
		return texts[kind];
	case ENOTCONN:
		return "The conversation is not up";
	default:
		return "Too much waits to be sent already";
	}
}

int say_to(struct call *call, const char *type, const char *text, char *answer, size_t size)
{
	int kind = find_type(type);
	int failure;
	int waits;

	if (kind < 0) {
		snprintf(answer, size, "Type must be message, context, activity or feedback");
		return -1;
	}
	if (!ast_utf8_is_valid(text)) {
		snprintf(answer, size, "The text is not UTF-8");
		return -1;
	}
	failure = send_to(call, kind, text, &waits);
	if (failure) {
		ast_copy_string(answer, explain(failure, kind), size);
		return -1;
	}
	snprintf(answer, size, waits ? "Queued: the agent gets it once it is there: %s"
		: "Sent to the agent: %s", say_types[kind]);
	return 0;
}

int say(const char *channel, const char *type, const char *text, char *answer, size_t size)
{
	struct call *call;
	int res;

	call = registry_find(channel);
	if (!call) {
		snprintf(answer, size, "There is no session on channel %s", channel);
		return -1;
	}
	res = say_to(call, type, text, answer, size);
	ao2_ref(call, -1);
	return res;
}

/* ---- The command ---- */

/*! elevenlabs send <type> <channel> <text...> */
#define TYPE_WORD 2
#define CHANNEL_WORD 3
#define TEXT_WORD 4

/*! So many words of a line does Asterisk hand on; more it drops, with a line in its log alone */
#define MOST_WORDS (AST_MAX_ARGS - 1)

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
	if (a->argc >= MOST_WORDS) {
		/* Whether this was the last word is not to be seen. */
		door_cli(a->fd,
			"Not sent: Asterisk's command line drops what is behind %d words. "
			"Put the text into quotes, or use the AMI action ElevenLabsSend\n", MOST_WORDS);
		return CLI_FAILURE;
	}
	join(a, text, sizeof(text));
	failed = say(a->argv[CHANNEL_WORD], a->argv[TYPE_WORD], text, answer, sizeof(answer));
	door_cli(a->fd, "%s\n", answer);
	return failed ? CLI_FAILURE : CLI_SUCCESS;
}
