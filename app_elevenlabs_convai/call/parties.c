/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Who calls whom, as the agent is told
 *
 * A channel that we have called is seen from its other end in Asterisk: its caller id is the
 * identity of whom we reach, or what Originate was given as CallerID; its connected line is ours.
 */

#include "asterisk.h"

#include "asterisk/callerid.h"	/* AST_PRES_RESTRICTION */
#include "asterisk/channel.h"	/* caller id, connected line, the flag of outgoing calls */
#include "asterisk/pbx.h"	/* ast_func_read */
#include "asterisk/strings.h"	/* S_OR */
#include "asterisk/utils.h"	/* ast_copy_string */

#include "call/parties.h"

/*! How the names of channels begin whose drivers tell what they have dialled */
#define LOCAL "Local/"
#define PJSIP "PJSIP/"
/*! What numbers consist of */
#define DIGITS "0123456789+*#"

/*! \brief Whether this is what stands in the place of a number that is withheld */
static int is_withheld(const char *number)
{
	static const char * const names[] = {
		"anonymous", "restricted", "private", "withheld", "blocked", "unavailable", "unknown",
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(names); i++) {
		if (!strcasecmp(number, names[i])) {
			return 1;
		}
	}
	return 0;
}

/*! \brief A party's number, or "" where it is withheld or not known */
static const char *number_of(const struct ast_party_id *id)
{
	const struct ast_party_number *number = &id->number;

	if (!number->valid || ast_strlen_zero(number->str) || is_withheld(number->str)
		|| (number->presentation & AST_PRES_RESTRICTION) != AST_PRES_ALLOWED) {
		return "";
	}
	return number->str;
}

static void copy_part(char *to, const char *from, size_t length)
{
	ast_copy_string(to, from, MIN(length + 1, (size_t) PARTIES_NUMBER_SIZE));
}

/*! \brief The user of a SIP address, or the number of a tel address; "" without one */
static void user_of(const char *address, char *number)
{
	const char *uri = strchr(address, '<') ? strchr(address, '<') + 1 : address;
	const char *user = strchr(uri, ':') ? strchr(uri, ':') + 1 : "";

	number[0] = '\0';
	if (user[strcspn(user, "@>")] == '@' || !strncmp(uri, "tel:", strlen("tel:"))) {
		copy_part(number, user, strcspn(user, "@:;>"));
	}
}

/*! \brief Whom the driver of an outgoing channel has dialled; "" where it does not tell */
static void read_dialled(struct ast_channel *channel, char *number)
{
	char name[AST_CHANNEL_NAME];
	char address[2 * PARTIES_NUMBER_SIZE];

	ast_channel_lock(channel);
	ast_copy_string(name, ast_channel_name(channel), sizeof(name));
	ast_channel_unlock(channel);
	number[0] = '\0';
	if (!strncmp(name, LOCAL, strlen(LOCAL))) {
		copy_part(number, name + strlen(LOCAL), strcspn(name + strlen(LOCAL), "@"));
	} else if (!strncmp(name, PJSIP, strlen(PJSIP))
		&& !ast_func_read(channel, "CHANNEL(pjsip,remote_uri)", address, sizeof(address))) {
		user_of(address, number);
	}
}

static int is_outgoing(struct ast_channel *channel)
{
	int outgoing;

	ast_channel_lock(channel);
	outgoing = ast_test_flag(ast_channel_flags(channel), AST_FLAG_OUTGOING) != 0;
	ast_channel_unlock(channel);
	return outgoing;
}

/*! \brief A call that has come to us. The channel is locked. */
static void read_inbound(struct parties *parties, struct ast_channel *channel)
{
	ast_copy_string(parties->caller, number_of(&ast_channel_caller(channel)->id),
		sizeof(parties->caller));
	ast_copy_string(parties->called,
		S_OR(ast_channel_dialed(channel)->number.str, ast_channel_exten(channel)),
		sizeof(parties->called));
}

/*!
 * \brief A call that we have made. The channel is locked.
 * \param dialled as its driver tells; of a telephone that may be no number but its account
 */
static void read_outbound(struct parties *parties, struct ast_channel *channel,
	const char *dialled)
{
	const char *reached = number_of(&ast_channel_caller(channel)->id);
	const char *ours = S_OR(number_of(&ast_channel_connected(channel)->id), reached);
	const char *called = S_OR(ast_channel_dialed(channel)->number.str, dialled);

	if (!called[0] || called[strspn(called, DIGITS)]) {
		called = strcmp(reached, ours) ? S_OR(reached, called) : called;
	}
	ast_copy_string(parties->caller, ours, sizeof(parties->caller));
	ast_copy_string(parties->called, is_withheld(called) ? "" : called,
		sizeof(parties->called));
}

void parties_read(struct parties *parties, struct ast_channel *channel, int ask_driver)
{
	char dialled[PARTIES_NUMBER_SIZE] = "";

	parties->outbound = is_outgoing(channel);
	if (parties->outbound && ask_driver) {
		read_dialled(channel, dialled);
	}
	ast_channel_lock(channel);
	if (parties->outbound) {
		read_outbound(parties, channel, dialled);
	} else {
		read_inbound(parties, channel);
	}
	ast_channel_unlock(channel);
}

const char *parties_other(const struct parties *parties)
{
	return parties->outbound ? parties->called : parties->caller;
}
