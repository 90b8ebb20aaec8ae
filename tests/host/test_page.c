/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The live page: who may see it, what is in it, and what its buttons do
 */

#include "call_script.h"

#include "asterisk/http.h"
#include "asterisk/manager.h"

#define COOKIE "Cookie: mansession_id=\"00000001\""
#define OURS "X-ElevenLabs-Page: 1"
#define ON "http_page = yes\n"
#define CONFIG "[general]\nauth = none\n" ON "[sales]\nagent_id = agent_sales\n"

static const char *header;
static const char *text;

/*! \brief Ask as a browser does that has logged in */
static int get(const char *path)
{
	return host_http(&(struct host_request) { .path = path, .headers = { COOKIE } }, &header, &text);
}

static int get_with(const char *path, const char *line)
{
	return host_http(&(struct host_request) { .path = path, .headers = { COOKIE, "Host: pbx:8088", line } },
		&header, &text);
}

static void see_status(void *data)
{
	CHECK_INT(get("elevenlabs/status.json"), 200);
}

static void may_all(void)
{
	host_log_in(EVENT_FLAG_REPORTING, EVENT_FLAG_CALL);
}

/* ---- Who may ---- */

TEST(there_is_no_page_unless_it_is_wanted)
{
	static const char * const paths[] = { "elevenlabs", "elevenlabs/status.json", "elevenlabs/events" };
	size_t i;

	script_begin(NULL);
	may_all();
	for (i = 0; i < 3; i++) {
		CHECK_INT(get(paths[i]), 404);
		CHECK_HAS(text, "http_page in elevenlabs.conf is not on");
	}
	CHECK_INT(host_http(&(struct host_request) { .method = AST_HTTP_POST, .path = "elevenlabs/hangup" },
		&header, &text), 404);
	script_end();
}

TEST(who_may_see)
{
	script_begin(CONFIG);
	host_log_in(0, 0);
	CHECK_INT(get("elevenlabs/status.json"), 401);
	CHECK(!strstr(text, "sales"));
	CHECK_INT(get("elevenlabs/events"), 401);
	host_log_in(EVENT_FLAG_CALL | EVENT_FLAG_USER, EVENT_FLAG_REPORTING | EVENT_FLAG_CALL);
	CHECK_INT(get("elevenlabs/status.json"), 403);
	CHECK_HAS(text, "the class reporting for read");
	host_log_in(EVENT_FLAG_REPORTING, 0);
	CHECK_INT(get("elevenlabs/status.json"), 200);
	CHECK_HAS(text, "\"may_call\":0,");
	CHECK_HAS(text, "\"agents\":[{\"name\":\"sales\",\"state\":\"free\",");
	CHECK_INT(host_http(&(struct host_request) { .path = "elevenlabs/status.json",
		.headers = { "Cookie: mansession_id=\"0000000f\"" } }, &header, &text), 401);
	CHECK_INT(host_http(&(struct host_request) { .path = "elevenlabs/status.json" }, &header, &text), 401);
	CHECK_INT(get("elevenlabs/status.jsonx"), 404);
	CHECK_INT(get("elevenlabs/../manager.conf"), 404);
	script_end();
}

TEST(a_page_of_another_origin_may_not)
{
	static const char * const foreign[] = {
		"Origin: http://evil.example", "Origin: null", "Origin: http://pbx:8089", "Origin: http://pbx:80888",
		"Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site",
	};
	static const char * const own[] = {
		"Origin: http://pbx:8088", "Origin: https://PBX:8088", "Sec-Fetch-Site: same-origin",
		"Sec-Fetch-Site: none", "Accept: */*",
	};
	size_t i;

	script_begin(CONFIG);
	may_all();
	for (i = 0; i < 6; i++) {
		CHECK_INT(get_with("elevenlabs/status.json", foreign[i]), 403);
		CHECK_INT(get_with("elevenlabs/events", foreign[i]), 403);
	}
	for (i = 0; i < 5; i++) {
		CHECK_INT(get_with("elevenlabs/status.json", own[i]), 200);
	}
	CHECK_HAS(header, "X-Frame-Options: DENY\r\n");
	CHECK_HAS(header, "X-Content-Type-Options: nosniff\r\n");
	CHECK(!strstr(header, "Access-Control"));
	script_end();
}

TEST(there_is_get_and_post)
{
	script_begin(CONFIG);
	may_all();
	CHECK_INT(host_http(&(struct host_request) { .method = AST_HTTP_PUT, .path = "elevenlabs" }, &header, &text), 405);
	CHECK_INT(host_http(&(struct host_request) { .method = AST_HTTP_OPTIONS, .path = "elevenlabs/hangup" },
		&header, &text), 405);
	CHECK_INT(host_http(&(struct host_request) { .method = AST_HTTP_POST, .path = "elevenlabs/status.json",
		.headers = { COOKIE } }, &header, &text), 404);
	CHECK_INT(get("elevenlabs/hangup"), 404);
	script_end();
}

/*! \brief Ask with a header that promises a body, which never comes. \return the status */
static int ask_without_body(const char *path, int method, const char *promise, uint64_t *took)
{
	uint64_t began = host_now();
	int res = host_http(&(struct host_request) { .method = method, .path = path, .lacks_body = 1,
		.headers = { COOKIE, OURS, promise } }, &header, &text);

	*took = host_now() - began;
	return res;
}

TEST(a_body_that_never_comes)
{
	static const char * const paths[] = {
		"elevenlabs", "elevenlabs/status.json", "elevenlabs/say", "elevenlabs/hangup", "elevenlabs/metrics",
	};
	static const char * const endless[] = {
		"Transfer-Encoding: chunked", "Content-Length: 40961", "Content-Length: 99999999999", "Content-Length: -9",
	};
	uint64_t took;
	size_t i;
	size_t k;

	script_begin(CONFIG);
	for (i = 0; i < ARRAY_LEN(paths); i++) {
		/* With a log-in and without: it is waited for no longer than an unload waits. */
		host_log_in(i & 1 ? EVENT_FLAG_REPORTING : 0, EVENT_FLAG_CALL);
		CHECK(ask_without_body(paths[i], i & 1 ? AST_HTTP_POST : AST_HTTP_GET, "Content-Length: 20", &took) > 0);
		CHECK_INT(took, 2000 * MS);
		for (k = 0; k < ARRAY_LEN(endless); k++) {
			/* One that may have no end is not waited for at all. */
			CHECK(ask_without_body(paths[i], AST_HTTP_POST, endless[k], &took) > 0);
			CHECK_INT(took, 0);
		}
	}
	may_all();
	CHECK_INT(ask_without_body("elevenlabs/hangup", AST_HTTP_POST, "Content-Length: 20", &took), 400);
	CHECK_INT(ask_without_body("elevenlabs/hangup", AST_HTTP_POST, "Transfer-Encoding: chunked", &took), 400);
	script_end();
}

TEST(without_the_files_of_an_engine)
{
	script_begin(CONFIG);
	CHECK_INT(get("elevenlabs"), 503);
	CHECK_HAS(text, "make install brings them anew");
	script_end();
}

/* ---- What is seen ---- */

static const struct convai_argument words[] = {
	{ "Speaker", "caller" }, { "ResponseId", "7" }, { "Text", "</script><b>\"\\ \xe2\x80\xae hi" },
};

static void say_words(void *data)
{
	fake_event(fake_session(0), CONVAI_EVENT_TRANSCRIPT, words, 3);
}

static void see_call(void *data)
{
	fake_answers(fake_session(0), 3, 812, 1430);
	fake_is_as_loud(fake_session(0), 3);
	see_status(NULL);
	CHECK_HAS(text, "\"calls\":[{\"id\":");
	CHECK_HAS(text, "\"agent\":\"sales\",\"channel\":\"PJSIP/caller-00000001\","
		"\"conversation_id\":\"conv_fake\",\"state\":\"talking\",");
	CHECK_HAS(text, "\"answers\":3,\"answer_ms\":812,\"answer_max_ms\":1430}");
	CHECK_HAS(text, "\"seconds\":1,");
	CHECK_HAS(text, "\"sessions\":1,");
	/* No HTML, no quotation's end, nothing that turns the line round. */
	CHECK_HAS(text, "\"speaker\":\"caller\",\"said\":\"\\u003c/script\\u003e\\u003cb\\u003e\\u0022\\u005c hi\"");
	CHECK_HAS(text, "\"levels_at\":0,\"levels\":[0,0,1,0,2,0],");
	CHECK_HAS(text, "\"endings\":[],");
	CHECK(!strstr(text, "\"call\":{"));
}

static const char *id_of(void);
static int look_at(const char *id, const char *from);

/*! \brief A viewer has what came until now, and wants what has come since; and all of the call that it looks at */
static void see_levels(void *data)
{
	fake_is_as_loud(fake_session(0), 1000);
	see_status(NULL);
	CHECK_HAS(text, "\"levels_at\":700,\"levels\":[60,0,61,0,");
	host_viewer_stays(5);
	CHECK_INT(get("elevenlabs/events"), 200);
	CHECK_HAS(text, "\"levels_at\":700,");
	CHECK_HAS(text, "\"levels_at\":980,\"levels\":[84,0,");
	CHECK_INT(look_at(id_of(), "from=0"), 200);
	CHECK_HAS(text, "\"levels_at\":400,");
	CHECK_HAS(text, "\"answers\":[1430],\"events\":[{");
}

/*! \brief The number of the call that is shown first, or of the ending */
static const char *id_of(void)
{
	static char id[32];
	const char *at = strstr(text, "\"id\":");

	snprintf(id, sizeof(id), "call=%llu", at ? strtoull(at + 5, NULL, 10) : 0);
	return id;
}

static int look_at(const char *id, const char *from)
{
	return host_http(&(struct host_request) { .path = "elevenlabs/status.json", .headers = { COOKIE },
		.params = { id, from } }, &header, &text);
}

TEST(a_call_from_its_beginning_to_behind_its_end)
{
	script_begin(CONFIG);
	may_all();
	script_metadata_at(10 * MS);
	host_at(500 * MS, say_words, NULL);
	host_at(1500 * MS, see_call, NULL);
	host_at(1600 * MS, see_levels, NULL);
	script_agent_ends_at(9000 * MS, CONVAI_STATUS_AGENT_ENDED, "the agent has ended the conversation",
		CONVAI_PLAY_OUT_NONE);
	script_run("sales");
	see_status(NULL);
	CHECK_HAS(text, "\"endings\":[{\"id\":");
	CHECK_HAS(text, "\"calls\":[]}");
	CHECK_HAS(text, "AGENT_ENDED");
	CHECK_HAS(text, "the agent has ended the conversation");
	CHECK_HAS(text, "\"max_sessions\":0,\"ends\":{\"AGENT_ENDED\":1},\"calls\":1}");
	/* Its words can still be read. */
	CHECK_INT(look_at(id_of(), "from=0"), 200);
	CHECK_HAS(text, "\"events\":[{\"event\":\"ElevenLabsStart\",");
	CHECK_HAS(text, "{\"event\":\"ElevenLabsTranscript\",");
	CHECK_HAS(text, "{\"event\":\"ElevenLabsEnd\",");
	CHECK_INT(look_at(id_of(), "from=3"), 200);
	CHECK(!strstr(text, "ElevenLabsStart") && !strstr(text, "ElevenLabsTranscript"));
	CHECK_INT(look_at("call=99999", "from=0"), 200);
	CHECK(!strstr(text, "\"call\":{"));
	script_end();
}

TEST(who_is_turned_away_is_among_the_endings)
{
	script_begin("[general]\nauth = signed_url\n" ON "[sales]\nagent_id = a\n");
	may_all();
	script_run("sales");
	see_status(NULL);
	CHECK_HAS(text, "AUTH");
	CHECK_HAS(text, "no api_key for agent sales in elevenlabs.conf");
	script_run("nobody");
	see_status(NULL);
	CHECK_HAS(text, "NOAGENT");
	/* Newest first; and who has seen the first is told of the second alone. */
	CHECK(strstr(text, "there is no such agent") < strstr(text, "no api_key"));
	CHECK_INT(host_http(&(struct host_request) { .path = "elevenlabs/status.json", .headers = { COOKIE },
		.params = { "ended=1" } }, &header, &text), 200);
	CHECK_HAS(text, "there is no such agent");
	CHECK(!strstr(text, "no api_key"));
	CHECK_INT(host_http(&(struct host_request) { .path = "elevenlabs/status.json", .headers = { COOKIE },
		.params = { "ended=2", "since=7" } }, &header, &text), 200);
	CHECK_HAS(text, "no api_key");
	script_end();
}

TEST(no_more_endings_are_kept_than_fifty)
{
	int i;

	script_begin(CONFIG);
	may_all();
	for (i = 0; i < 55; i++) {
		script_run("nobody");
	}
	see_status(NULL);
	CHECK_HAS(text, "\"number\":55}");
	CHECK_HAS(text, "\"number\":6}");
	CHECK(!strstr(text, "\"number\":5}"));
	script_end();
}

TEST(nothing_is_kept_where_there_is_no_page)
{
	script_begin(NULL);
	may_all();
	script_run("nobody");
	host_write_config("elevenlabs.conf", CONFIG);
	host_cli("elevenlabs reload");
	see_status(NULL);
	CHECK_HAS(text, "\"endings\":[]");
	script_end();
}

static void switch_to(const char *config)
{
	host_write_config("elevenlabs.conf", config);
	host_cli("elevenlabs reload");
}

/*! \brief A call has words; the page goes, and comes back later */
static void switch_off_and_on(void *data)
{
	see_status(NULL);
	CHECK_HAS(text, "\"said\":\"\\u003c/script");
	CHECK_HAS(text, "there is no such agent");
	switch_to(SCRIPT_CONFIG);
	CHECK_INT(get("elevenlabs/status.json"), 404);
	say_words(NULL);
}

static void switch_on(void *data)
{
	switch_to(CONFIG);
	see_status(NULL);
	CHECK_HAS(text, "\"said\":\"\"");
	CHECK_HAS(text, "\"endings\":[],");
	CHECK_INT(look_at(id_of(), "from=0"), 200);
	CHECK_HAS(text, "\"events\":[],");
}

TEST(what_is_kept_is_given_back)
{
	script_begin(CONFIG);
	may_all();
	script_run("nobody");
	script_metadata_at(10 * MS);
	host_at(500 * MS, say_words, NULL);
	host_at(1500 * MS, switch_off_and_on, NULL);
	host_at(2500 * MS, switch_on, NULL);
	host_at(3500 * MS, say_words, NULL);
	script_agent_ends_at(4500 * MS, CONVAI_STATUS_AGENT_ENDED, "the agent has ended the conversation",
		CONVAI_PLAY_OUT_NONE);
	script_run("sales");
	see_status(NULL);
	/* The first has gone, and a viewer who knows it is told of the next. */
	CHECK_HAS(text, "\"number\":2}]");
	CHECK(!strstr(text, "no such agent"));
	CHECK_INT(look_at(id_of(), "from=0"), 200);
	CHECK_HAS(text, "\"events\":[{\"event\":\"ElevenLabsTranscript\",");
	/* Ended while it was off: never seen. */
	switch_to(SCRIPT_CONFIG);
	script_run("nobody");
	switch_to(CONFIG);
	see_status(NULL);
	CHECK_HAS(text, "\"endings\":[],");
	script_end();
}

TEST(numbers_that_are_nobodys_business)
{
	script_begin("[general]\nauth = none\n" ON "send_caller_number = no\n[sales]\nagent_id = a\n");
	may_all();
	script_run("nobody");
	see_status(NULL);
	CHECK_HAS(text, "\"caller\":\"\",\"name\":\"\",");
	script_end();
}

/* ---- Reports ---- */

static int report_of(const char *id)
{
	return host_http(&(struct host_request) { .path = "elevenlabs/report", .headers = { COOKIE },
		.params = { id } }, &header, &text);
}

/*! \brief Which call the engine was asked for, 64 bytes */
static void copy_asked(char *call)
{
	snprintf(call, 64, "%.*s", (int) strcspn(fake.asked + strlen("report page \n"), "\n"),
		fake.asked + strlen("report page \n"));
}

static void see_report(void *data)
{
	see_status(NULL);
	CHECK_INT(report_of(id_of()), 200);
	CHECK_STR(text, "<p>It</p>");
	CHECK_HAS(header, "Content-Type: text/html; charset=utf-8\r\n");
	CHECK_HAS(header, "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; sandbox\r\n");
	copy_asked(data);
}

TEST(the_report_is_of_the_very_call)
{
	char first[64] = "";
	char again[64];
	char id[32];

	script_begin(CONFIG);
	may_all();
	fake.outcome = CONVAI_OUTCOME_OK;
	fake.answer = "<p>It</p>";
	script_metadata_at(10 * MS);
	host_at(500 * MS, see_report, first);
	script_agent_ends_at(900 * MS, CONVAI_STATUS_AGENT_ENDED, "the agent has ended the conversation",
		CONVAI_PLAY_OUT_NONE);
	script_run("sales");
	CHECK_HAS(first, "call=");
	see_status(NULL);
	snprintf(id, sizeof(id), "%s", id_of());
	/* Once more by the same channel; the one before still has its own. */
	script_run("nobody");
	CHECK_INT(report_of(id), 200);
	copy_asked(again);
	CHECK_STR(again, first);
	see_status(NULL);
	CHECK_INT(report_of(id_of()), 200);
	copy_asked(again);
	CHECK(strcmp(again, first));
	CHECK_INT(report_of("call=99999"), 404);
	fake.outcome = CONVAI_OUTCOME_FAILED;
	fake.answer = "no call is like that";
	CHECK_INT(report_of(id), 404);
	CHECK_HAS(text, "no call is like that");
	host_log_in(0, 0);
	CHECK_INT(report_of(id), 401);
	script_end();
}

static void ask_for_report(void *data)
{
	see_status(NULL);
	report_of(id_of());
	snprintf(data, 256, "%.200s", fake.asked);
}

/*! \brief Run a call with these settings. \param[out] up what is asked for a report while it is up */
static void run_with(const char *settings, char *up)
{
	char config[512];

	*up = '\0';
	snprintf(config, sizeof(config), "[general]\nauth = none\n" ON "%s", settings);
	script_begin(config);
	may_all();
	fake.outcome = CONVAI_OUTCOME_OK;
	fake.answer = "<p>It</p>";
	fake.detail = "the caller wants his money back";
	script_metadata_at(10 * MS);
	host_at(500 * MS, ask_for_report, up);
	script_agent_ends_at(900 * MS, CONVAI_STATUS_AGENT_ENDED, "by its tool", CONVAI_PLAY_OUT_NONE);
	script_run("sales");
	see_status(NULL);
}

/*! \brief Words that are for the records alone are for who reads files, and not for who may look at calls */
TEST(who_looks_at_calls_sees_no_words_of_the_records)
{
	static const char * const kept[] = { "", "transcripts=none\n", "transcripts=records\n" };
	static const char * const told[] = { "transcripts=events\n", "transcripts=all\n" };
	char settings[128];
	char up[256];
	size_t i;

	for (i = 0; i < ARRAY_LEN(kept); i++) {
		snprintf(settings, sizeof(settings), "[sales]\nagent_id=a\n%s", kept[i]);
		run_with(settings, up);
		CHECK_HAS(up, "\nwords=no\n");
		CHECK_HAS(text, "by its tool");
		CHECK(!strstr(text, "money"));
		CHECK_INT(report_of(id_of()), 200);
		CHECK_HAS(fake.asked, "\nwords=no\n");
		script_end();
	}
	for (i = 0; i < ARRAY_LEN(told); i++) {
		snprintf(settings, sizeof(settings), "[sales]\nagent_id=a\n%s", told[i]);
		run_with(settings, up);
		CHECK_HAS(up, "\nwords=yes\n");
		CHECK_HAS(text, "money");
		CHECK_INT(report_of(id_of()), 200);
		CHECK_HAS(fake.asked, "\nwords=yes\n");
		script_end();
	}
}

/*! \brief One of two agents is enough */
TEST(an_agent_in_the_place_of_another_may_hide_words)
{
	char id[32];

	script_begin("[general]\nauth = none\n" ON
		"[sales]\nagent_id=a\ntranscripts=all\nfallback_agent=other\n[other]\nagent_id=b\ntranscripts=records\n");
	may_all();
	fake.outcome = CONVAI_OUTCOME_OK;
	fake.answer = "<p>It</p>";
	script_agent_ends_at(500 * MS, CONVAI_STATUS_UNREACHABLE, "away", 0);
	script_hangup_at(2000 * MS);
	script_run("sales");
	see_status(NULL);
	CHECK_HAS(text, "in place of sales");
	snprintf(id, sizeof(id), "%s", id_of());
	CHECK_INT(report_of(id), 200);
	CHECK_HAS(fake.asked, "\nwords=no\n");
	script_end();
}

/* ---- The stream ---- */

static unsigned int messages(void)
{
	const char *at;
	unsigned int count = 0;

	for (at = text; (at = strstr(at, "data: {")); at++) {
		count++;
	}
	return count;
}

static void log_off(void *data)
{
	host_log_in(0, 0);
}

static void switch_off(void *data)
{
	switch_to(SCRIPT_CONFIG);
}

TEST(a_stream_lasts_as_long_as_its_viewer)
{
	script_begin(CONFIG);
	may_all();
	host_viewer_stays(12);
	CHECK_INT(get("elevenlabs/events"), 200);
	CHECK_HAS(text, "Content-Type: text/event-stream\r\n");
	CHECK_INT(messages(), 3);
	/* Who logs off, or for whom the page goes, sees no more of it. */
	host_viewer_stays(100);
	host_when_viewer_looks(7, log_off, NULL);
	CHECK_INT(get("elevenlabs/events"), 200);
	CHECK_INT(messages(), 2);
	CHECK_HAS(text, "event: refused\ndata: 401\n\n");
	may_all();
	host_viewer_stays(100);
	host_when_viewer_looks(2, switch_off, NULL);
	CHECK_INT(get("elevenlabs/events"), 200);
	CHECK_INT(messages(), 1);
	CHECK_HAS(text, "event: refused\ndata: 404\n\n");
	script_end();
}

/*! \brief While one stream is open, open another one in it; the fifth finds no room */
static void open_another(void *data)
{
	int *depth = data;

	if (++*depth == 4) {
		CHECK_INT(get("elevenlabs/events"), 503);
		CHECK_HAS(text, "poll status.json");
		CHECK_HAS(header, "Retry-After: ");
		CHECK_INT(get("elevenlabs/status.json"), 200);
		host_viewer_stays(0);
		return;
	}
	host_viewer_stays(0);
	host_when_viewer_looks(0, open_another, depth);
	get("elevenlabs/events");
	host_viewer_stays(0);
}

TEST(a_fifth_viewer_polls)
{
	int depth = 0;

	script_begin(CONFIG);
	may_all();
	host_viewer_stays(0);
	host_when_viewer_looks(0, open_another, &depth);
	get("elevenlabs/events");
	CHECK_INT(depth, 4);
	host_viewer_stays(0);
	CHECK_INT(get("elevenlabs/events"), 200);
	script_end();
}

/* ---- What can be done ---- */

/*! \brief Press a button for the call that is up */
static int press(const char *path, const char *line, const char *type, const char *what)
{
	char id[32];

	see_status(NULL);
	snprintf(id, sizeof(id), "%s", id_of());
	return host_http(&(struct host_request) { .method = AST_HTTP_POST, .path = path,
		.headers = { COOKIE, "Host: pbx:8088", line }, .form = { id, type, what } }, &header, &text);
}

static void press_all(void *data)
{
	uint32_t kind;

	CHECK_INT(press("elevenlabs/say", OURS, "type=message", "text=Good morning"), 200);
	CHECK_STR(text, "{\"answer\":\"Sent to the agent: message\"}");
	CHECK_STR(fake_said(fake_session(0), &kind), "Good morning");
	CHECK_INT(press("elevenlabs/say", OURS, "type=context", "text=A VIP"), 200);
	CHECK_STR(fake_said(fake_session(0), &kind), "A VIP");
	CHECK_INT(kind, CONVAI_SAY_CONTEXT);
	CHECK_INT(press("elevenlabs/say", OURS, "type=shout", "text=A VIP"), 409);
	/* A form of any other page can send neither the header nor this origin. */
	CHECK_INT(press("elevenlabs/hangup", "Accept: */*", NULL, NULL), 403);
	CHECK_INT(press("elevenlabs/hangup", "Origin: http://evil.example", NULL, NULL), 403);
	host_log_in(EVENT_FLAG_REPORTING | EVENT_FLAG_CALL, EVENT_FLAG_REPORTING);
	CHECK_INT(press("elevenlabs/hangup", OURS, NULL, NULL), 403);
	CHECK_INT(press("elevenlabs/say", OURS, "type=message", "text=no"), 403);
	may_all();
	CHECK_INT(host_http(&(struct host_request) { .method = AST_HTTP_POST, .path = "elevenlabs/hangup",
		.headers = { COOKIE, OURS }, .form = { "call=99999" } }, &header, &text), 409);
	CHECK_HAS(text, "The call is over");
	/* A call of another load of the module had the same number. */
	CHECK_INT(press("elevenlabs/hangup", OURS, "since=1", NULL), 409);
	CHECK_HAS(text, "The call is over");
	CHECK_INT(host_http(&(struct host_request) { .method = AST_HTTP_POST, .path = "elevenlabs/hangup",
		.headers = { COOKIE, OURS } }, &header, &text), 400);
	CHECK_INT(press("elevenlabs/hangup", OURS, NULL, NULL), 200);
	CHECK_STR(text, "{\"answer\":\"Hung up\"}");
}

TEST(buttons)
{
	script_begin(CONFIG);
	may_all();
	script_metadata_at(10 * MS);
	host_at(500 * MS, press_all, NULL);
	script_run("sales");
	CHECK(host_now() < 3000 * MS);
	see_status(NULL);
	CHECK_HAS(text, "\"endings\":[{");
	CHECK_HAS(text, "\"calls\":[]}");
	CHECK_HAS(text, "HANGUP");
	script_end();
}
