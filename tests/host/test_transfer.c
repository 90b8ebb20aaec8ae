/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */
/*!
 * \file
 * \brief Steps that are no dialplan: transfers, digits, variables
 */

#include "call_script.h"

#include "asterisk/module.h"
#include "asterisk/pbx.h"

#define AGENT "[sales]\nauth=none\nagent_id=a\n"
#define ALLOW AGENT "transfer_allow=100,_2XXX@internal,s@sales:3,_[13-5]!@wide,h@sales\n"
#define REFER AGENT "transfer_method=refer\n" \
	"transfer_allow=desk,_+49X.@trunk.example,_sip:1XX@pbx.example:5070\n"

static struct ast_channel *channel;
static int through;	/*!< the call has ended */

static struct convai_argument transfer[] = {
	{ "destination", "100" }, { "reason", "wants a person" }, { "summary", "has; $(paid)" },
};

static struct ast_channel *begin(const char *config)
{
	channel = script_begin(config);
	script_metadata_at(10 * MS);
	host_extension("callers", "100", NULL, NULL);
	host_extension("internal", "2001", NULL, NULL);
	return channel;
}

static const char *variable(const char *name)
{
	const char *value = host_variable(channel, name);

	return value ? value : "-";
}

static void want(void *destination)
{
	transfer[0].value = destination;
	fake_step_of(fake_session(0), CONVAI_STEP_TRANSFER, "transfer_call", transfer, 3);
}

/*! \brief Unless the call has ended */
static void hang_up(void *data)
{
	if (!through) {
		host_channel_hangup(channel);
	}
}

/*! \brief Run a call in which the agent wants a transfer at 1 s; it is hung up at 3 s unless it has ended */
static const char *try_transfer(const char *config, char *destination)
{
	begin(config);
	host_at(1000 * MS, want, destination);
	host_at(3000 * MS, hang_up, NULL);
	script_run("sales");
	through = 1;
	return fake_steps(fake_session(0));
}

#define IS_DONE "transfer_call@1000 done@1000:The caller has been transferred.\n"

/*! \brief Have the agent want one of these after the other, 100 ms apart from 1 s on, and hang up */
static void want_each(char *const others[], size_t count, void (*ask)(void *what))
{
	size_t i;

	for (i = 0; i < count; i++) {
		host_at((1000 + 100 * (int64_t) i) * MS, ask, others[i]);
	}
	script_hangup_at((1000 + 100 * (int64_t) count) * MS);
	script_run("sales");
}

/*! \brief How many steps have come to that */
static unsigned int steps_that_say(const char *part)
{
	const char *found = fake_steps(fake_session(0));
	unsigned int count = 0;

	while ((found = strstr(found, part))) {
		found++;
		count++;
	}
	return count;
}

/* ---- Where it may go ---- */

TEST(an_extension_beside_the_agent)
{
	host_keep_records(1);
	CHECK_STR(try_transfer(ALLOW, "100"), IS_DONE);
	CHECK_HAS(host_events(), "Event: CEL\nevent: ElevenLabsTransfer\nextra: Agent: sales\n"
		"ConversationId: conv_fake\nTime: 1970-01-01T00:16:41.000Z\n"
		"Destination: 100\nPlace: callers\nMethod: blind\n");
	host_keep_records(0);
	CHECK_STR(host_went(), "goto callers,100,1 ");
	CHECK_STR(variable("ELEVENLABSSTATUS"), "TRANSFER");
	CHECK_STR(variable("ELEVENLABSREASON"), "the agent has transferred the caller to 100 in callers");
	CHECK_STR(variable("ELEVENLABS_TRANSFER_REASON"), "wants a person");
	CHECK_STR(variable("ELEVENLABS_TRANSFER_SUMMARY"), "has paid");
	script_end();
}

TEST(a_pattern_says_in_which_context)
{
	CHECK_STR(try_transfer(ALLOW, "2001"), IS_DONE);
	CHECK_STR(host_went(), "goto internal,2001,1 ");
	script_end();
}

TEST(context_extension_and_priority)
{
	CHECK_STR(try_transfer(ALLOW, "internal,2001,1"), IS_DONE);
	CHECK_STR(host_went(), "goto internal,2001,1 ");
	script_end();
}

#define REFUSED(at, destination) \
	"refused@" at ":This phone system does not allow a transfer to " destination " (transfer_allow).\n"

TEST(whatever_is_not_allowed)
{
	static char * const others[] = {
		"200", "20011", "elsewhere,2001,1", "internal,2001,2", "callers,2001,1", "sales,s,1", "sales,h,1", "h",
		"none",
	};

	begin(ALLOW);
	want_each(others, ARRAY_LEN(others), want);
	CHECK_INT(steps_that_say("refused@"), ARRAY_LEN(others));
	CHECK_HAS(fake_steps(fake_session(0)), REFUSED("1000", "200"));
	CHECK_HAS(fake_steps(fake_session(0)), REFUSED("1800", "none"));
	CHECK_STR(host_went(), "");
	CHECK_STR(variable("ELEVENLABSSTATUS"), "HANGUP");
	CHECK_STR(variable("ELEVENLABS_TRANSFER_REASON"), "-");
	script_end();
}

TEST(what_is_no_destination)
{
	static char * const others[] = {
		"", "a b", "internal,2001", "internal,2001,1,x", "internal,2001,0", "internal,2001,n", "internal,,1",
		",2001,1", "2001@internal", "${EXTEN}", "100&200", "sip:100@pbx.example", "internal,2001,1\n", "\xc3\xa4",
		"1111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111",
	};

	begin(ALLOW);
	want_each(others, ARRAY_LEN(others), want);
	CHECK_INT(steps_that_say("That is no destination; give an extension or context,extension,priority."),
		ARRAY_LEN(others));
	CHECK_STR(host_went(), "");
	script_end();
}

/*! Asterisk passes over a dash, and takes a name with a _ in front for the pattern that it looks like */
TEST(what_is_no_extension_of_a_caller)
{
	static char * const others[] = { "h", "h-", "-t", "--i-", "_2XXX", "_.", "wide,_X.,1" };

	begin(AGENT "transfer_allow=_.@wide,_2XXX@internal\n");
	want_each(others, ARRAY_LEN(others), want);
	CHECK_INT(steps_that_say("refused@"), ARRAY_LEN(others));
	CHECK_STR(host_went(), "");
	script_end();
}

TEST(nothing_is_allowed_at_first)
{
	CHECK_STR(try_transfer(AGENT, "100"), REFUSED("1000", "100"));
	script_end();
}

TEST(what_the_dialplan_does_not_have)
{
	CHECK_STR(try_transfer(ALLOW, "2002"),
		"failed@1000:There is no extension 2002 in context internal.\n");
	CHECK_STR(host_went(), "");
	script_end();
}

TEST(a_priority_that_is_named)
{
	/* The scripted dialplan has none but 1. */
	CHECK_STR(try_transfer(ALLOW, "sales,s,3"), "failed@1000:There is no extension s in context sales.\n");
	script_end();
}

/* ---- How ---- */

static void say_and_want(void *destination)
{
	fake_say(fake_session(0), 8000);
	want(destination);
}

static void press(void *digit)
{
	host_channel_dtmf(channel, AST_FRAME_DTMF_BEGIN, *(char *) digit);
	host_channel_dtmf(channel, AST_FRAME_DTMF_END, *(char *) digit);
}

TEST(the_agent_is_heard_out)
{
	begin(ALLOW);
	host_at(1000 * MS, say_and_want, "100");
	script_run("sales");
	CHECK(host_now() >= 1980 * MS && host_now() <= 2040 * MS);
	CHECK_STR(host_went(), "goto callers,100,1 ");
	script_end();
}

/*! What is pressed meanwhile is for where the caller goes */
TEST(a_key_that_is_early)
{
	begin(ALLOW);
	host_at(1000 * MS, say_and_want, "100");
	host_at(1200 * MS, press, "5");
	script_run("sales");
	CHECK(host_now() <= 1240 * MS);
	CHECK_STR(fake_all_said(fake_session(0)), "");
	CHECK_STR(host_went(), "goto callers,100,1 ");
	script_end();
}

static void redirect(void *data)
{
	ast_softhangup(channel, AST_SOFTHANGUP_ASYNCGOTO);
}

TEST(a_redirect_wins)
{
	begin(ALLOW);
	host_at(1000 * MS, say_and_want, "100");
	host_at(1980 * MS, redirect, NULL);
	script_run("sales");
	CHECK_STR(host_went(), "");
	CHECK_STR(variable("ELEVENLABSSTATUS"), "HANGUP");
	CHECK_STR(fake_steps(fake_session(0)), "failed@1980:The conversation is over.\n");
	script_end();
}

TEST(a_call_without_dialplan)
{
	host_channel_without_pbx();
	CHECK_STR(try_transfer(ALLOW, "100"), "transfer_call@1000 failed@1000:This call is not in the "
		"dialplan, and cannot go on there.\n");
	CHECK_STR(host_went(), "");
	script_end();
}

/* ---- Behind a Local channel ---- */

TEST(the_caller_behind_a_local_channel)
{
	struct ast_channel *half = host_channel("Local/100@callers-00000001;1", ast_format_alaw);

	host_channel_half(half);
	CHECK_STR(try_transfer(ALLOW, "2001"), IS_DONE);
	CHECK_STR(host_went(), "bridge internal,2001 ");
	CHECK_STR(variable("ELEVENLABSSTATUS"), "TRANSFER");
	CHECK_STR(host_variable(half, "ELEVENLABS_TRANSFER_REASON"), "wants a person");
	CHECK_STR(variable("ELEVENLABS_TRANSFER_REASON"), "-");
	script_end();
	ao2_cleanup(half);
}

TEST(a_bridge_that_forbids_it)
{
	struct ast_channel *half = host_channel("Local/100@callers-00000001;1", ast_format_alaw);

	host_channel_half(half);
	host_fail_call("ast_bridge_transfer_blind", 1);
	CHECK_STR(try_transfer(ALLOW, "2001"), "transfer_call@1000 failed@1000:The phone system could not "
		"transfer the caller.\n");
	CHECK_STR(variable("ELEVENLABSSTATUS"), "HANGUP");
	script_end();
	ao2_cleanup(half);
}

/* ---- By REFER ---- */

static void answer(void *status)
{
	host_channel_answers(channel, *(int *) status);
}

static int ok;
static int failed = 1;
static int trying = 2;
static int declined = 603;

/*! \brief A call in which the agent wants a transfer at 1 s, and the far end says something of it then */
static void refer(char *destination, int64_t at_us, int *status)
{
	begin(REFER);
	host_channel_refers(1);
	host_at(1000 * MS, want, destination);
	host_at(at_us, answer, status);
	if (*status) {
		script_hangup_at(50000 * MS);
	}
	script_run("sales");
}

TEST(a_refer_that_is_taken)
{
	refer("+49123", 2000 * MS, &ok);
	CHECK_STR(host_went(), "refer sip:+49123@trunk.example ");
	CHECK_STR(fake_steps(fake_session(0)),
		"transfer_call@1000 done@2000:The caller has been transferred.\n");
	CHECK(host_now() < 2100 * MS);
	CHECK_STR(variable("ELEVENLABSSTATUS"), "TRANSFER");
	CHECK_STR(variable("ELEVENLABSREASON"),
		"the agent has transferred the caller to +49123@trunk.example, by REFER");
	CHECK_STR(variable("ELEVENLABS_TRANSFER_REASON"), "wants a person");
	/* Audio has gone on both ways. */
	CHECK(fake_silence_ms(fake_session(0)) >= 1900);
	CHECK(host_written_count(channel) >= 97);
	script_end();
}

TEST(an_address)
{
	refer("sip:101@pbx.example:5070", 2000 * MS, &ok);
	CHECK_STR(host_went(), "refer sip:101@pbx.example:5070 ");
	script_end();
}

TEST(a_name)
{
	refer("desk", 2000 * MS, &ok);
	CHECK_STR(host_went(), "refer desk ");
	script_end();
}

TEST(an_address_that_is_not_allowed)
{
	static char * const others[] = {
		"sip:101@pbx.example", "sip:201@pbx.example:5070", "sip:101@evil.example:5070", "+49@trunk", "101",
		"sip:101@pbx.example:5070?Replaces=x", "sip:101@pbx.example:5070;x", "<sip:101@pbx.example:5070>",
		"sips:101@pbx.example:5070", "+49123@trunk.example", "sip:evil.example/@pbx.example:5070", "desk,1,1",
	};

	begin(REFER);
	host_channel_refers(1);
	want_each(others, ARRAY_LEN(others), want);
	CHECK_INT(steps_that_say("That is no destination; give a number or sip:name@host.")
		+ steps_that_say("refused@"), ARRAY_LEN(others));
	CHECK_STR(host_went(), "");
	script_end();
}

TEST(a_refer_that_is_refused)
{
	refer("desk", 2000 * MS, &declined);
	CHECK_STR(fake_steps(fake_session(0)), "transfer_call@1000 failed@2000:The transfer was refused (603).\n");
	CHECK_STR(variable("ELEVENLABSSTATUS"), "HANGUP");
	CHECK_STR(variable("ELEVENLABS_TRANSFER_REASON"), "-");
	script_end();
}

TEST(a_refer_that_fails)
{
	refer("desk", 2000 * MS, &failed);
	CHECK_STR(fake_steps(fake_session(0)), "transfer_call@1000 failed@2000:The transfer has failed.\n");
	script_end();
}

TEST(a_refer_that_is_never_answered)
{
	refer("desk", 2000 * MS, &trying);
	CHECK_HAS(fake_steps(fake_session(0)), "transfer_call@1000 failed@310");
	CHECK_STR(variable("ELEVENLABSSTATUS"), "HANGUP");
	script_end();
}

/*! It is the telephone that has the caller: whatever the agent was told, they are gone */
TEST(a_refer_that_is_answered_late)
{
	refer("desk", 40000 * MS, &ok);
	CHECK(host_now() < 40100 * MS);
	CHECK_STR(variable("ELEVENLABSSTATUS"), "TRANSFER");
	script_end();
}

TEST(one_refer_at_a_time)
{
	begin(REFER);
	host_channel_refers(1);
	host_at(1000 * MS, want, "desk");
	host_at(33000 * MS, want, "desk");
	host_at(34000 * MS, answer, &declined);
	host_at(35000 * MS, want, "desk");
	script_hangup_at(36000 * MS);
	script_run("sales");
	CHECK_STR(host_went(), "refer desk refer desk ");
	CHECK_HAS(fake_steps(fake_session(0)),
		"failed@33000:The caller's line has not answered the transfer before.\ntransfer_call@35000 ");
	script_end();
}

TEST(the_caller_hangs_up_meanwhile)
{
	begin(REFER);
	host_channel_refers(1);
	host_at(1000 * MS, want, "desk");
	script_hangup_at(2000 * MS);
	script_run("sales");
	CHECK_STR(fake_steps(fake_session(0)), "transfer_call@1000 failed@2000:The conversation is over.\n");
	CHECK_STR(variable("ELEVENLABSSTATUS"), "HANGUP");
	script_end();
}

static void move(void *data)
{
	host_channel_masquerade(channel, "PJSIP/other-00000002", ast_format_ulaw, "+431234");
}

/*! Whoever was asked has gone; the device that is there now has not been */
TEST(another_device_during_a_refer)
{
	begin(REFER);
	host_channel_refers(1);
	host_at(1000 * MS, want, "desk");
	host_at(2000 * MS, move, NULL);
	host_at(3000 * MS, want, "desk");
	host_at(4000 * MS, answer, &ok);
	script_run("sales");
	CHECK_STR(host_went(), "refer desk refer desk ");
	CHECK_HAS(fake_steps(fake_session(0)), "transfer_call@1000 failed@20");
	CHECK_HAS(fake_steps(fake_session(0)), ":The caller is on another device now.\ntransfer_call@3000 done@4");
	CHECK_STR(variable("ELEVENLABSSTATUS"), "TRANSFER");
	script_end();
}

TEST(a_line_that_cannot_refer)
{
	begin(REFER);
	host_at(1000 * MS, want, "desk");
	script_hangup_at(2000 * MS);
	script_run("sales");
	CHECK_STR(fake_steps(fake_session(0)), "transfer_call@1000 failed@1000:The caller's line cannot be "
		"asked to call elsewhere.\n");
	script_end();
}

/* ---- Digits ---- */

static struct convai_argument digits[] = { { "digits", "" } };

static void say_much_and_dial(void *text)
{
	fake_say(fake_session(0), 8000 * 20);
	digits[0].value = text;
	fake_step_of(fake_session(0), CONVAI_STEP_DIGITS, "send_dtmf", digits, 1);
}

static void dial(void *text)
{
	digits[0].value = text;
	fake_step_of(fake_session(0), CONVAI_STEP_DIGITS, "send_dtmf", digits, 1);
}

TEST(digits_are_sent)
{
	begin(AGENT);
	host_channel_talk(channel, 0, 5000 * MS, 20 * MS, 20 * MS);
	host_at(1000 * MS, dial, "1wd#");
	script_hangup_at(5000 * MS);
	script_run("sales");
	CHECK_STR(host_tones(), "1@1000+100 D@1700+100 #@1900+100 ");
	CHECK_STR(fake_steps(fake_session(0)), "send_dtmf@1000 done@2100:The digits have been sent.\n");
	/* The caller is heard all the time. */
	CHECK(fake_pushed_bytes(fake_session(0)) >= 248 * 160);
	script_end();
}

/*! Nothing of what the agent says is lost: it waits. The host fails where a frame is written meanwhile. */
TEST(the_agents_voice_waits)
{
	begin(AGENT "silence=no\n");
	host_at(1000 * MS, say_much_and_dial, "12");
	script_hangup_at(25000 * MS);
	script_run("sales");
	CHECK_STR(host_tones(), "1@11000+100 2@11200+100 ");
	CHECK_INT(host_written_count(channel), 50 * 20);
	script_end();
}

TEST(what_are_no_digits)
{
	static char * const others[] = {
		"", "1x", "1,2", "0123456789012345678901234567890123456789012345678901234567890123456789", "W",
	};

	begin(AGENT);
	want_each(others, ARRAY_LEN(others), dial);
	CHECK_INT(steps_that_say(":There may be 1 to 64 digits in one go"), ARRAY_LEN(others));
	CHECK_STR(host_tones(), "");
	script_end();
}

TEST(a_call_that_ends_while_a_digit_sounds)
{
	begin(AGENT);
	host_at(1000 * MS, dial, "12");
	script_hangup_at(1050 * MS);
	script_run("sales");
	CHECK_STR(host_tones(), "1@1000+50 ");
	CHECK_STR(fake_steps(fake_session(0)), "send_dtmf@1000 failed@1050:The conversation is over.\n");
	script_end();
}

/*! The host fails where its line is told of the end of a digit that has begun on the one before */
TEST(another_device_while_a_digit_sounds)
{
	begin(AGENT);
	host_at(1000 * MS, dial, "12");
	host_at(1050 * MS, move, NULL);
	host_at(2000 * MS, dial, "3");
	script_hangup_at(3000 * MS);
	script_run("sales");
	CHECK_STR(host_tones(), "3@2000+100 ");
	CHECK_HAS(fake_steps(fake_session(0)), ":The caller is on another device now.\nsend_dtmf@2000 done@2");
	script_end();
}

/* ---- Variables ---- */

static struct convai_argument setting[] = { { "name", "" }, { "value", "a\"b\nc" } };

static void set(void *name)
{
	setting[0].value = name;
	fake_step_of(fake_session(0), CONVAI_STEP_VARIABLE, "set_variable", setting, 2);
}

static void say_and_set(void *name)
{
	fake_say(fake_session(0), 16000);
	set(name);
}

/*! At once, whatever the agent says: nobody hears it */
TEST(a_variable)
{
	begin(AGENT "set_variable_allow=ticket,caller_name\n");
	host_at(1000 * MS, say_and_set, "caller_name");
	script_hangup_at(3000 * MS);
	script_run("sales");
	CHECK_STR(fake_steps(fake_session(0)), "set_variable@1000 done@1000:It is set.\n");
	CHECK_STR(variable("caller_name"), "a b c");
	script_end();
}

static char * const no_variables[] = {
	"", "name", "caller", "Ticket", "ticket,caller_name", "_ticket", "DB(a/b)", "none", "caller_name2",
};

TEST(a_variable_that_is_not_allowed)
{
	begin(AGENT "set_variable_allow=ticket,caller_name\n");
	want_each(no_variables, ARRAY_LEN(no_variables), set);
	CHECK_INT(steps_that_say(":This phone system does not let you set "), ARRAY_LEN(no_variables));
	CHECK_STR(variable("ticket"), "-");
	script_end();
}

TEST(no_variable_is_allowed_at_first)
{
	begin(AGENT);
	want_each(no_variables, ARRAY_LEN(no_variables), set);
	CHECK_INT(steps_that_say(":This phone system does not let you set "), ARRAY_LEN(no_variables));
	script_end();
}
