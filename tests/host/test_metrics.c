/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Metrics: what is counted, how it is written, and who may read it
 */

#include "call_script.h"

#include "asterisk/strings.h"

static const char *metrics;

static void read_metrics(void *data)
{
	CHECK_INT(host_http_get("127.0.0.1", NULL, &metrics), 200);
}

static void read_while_up(void *data)
{
	read_metrics(NULL);
	CHECK_HAS(metrics, "elevenlabs_sessions{agent=\"sales\",state=\"talking\"} 1\n");
	CHECK_HAS(metrics, "elevenlabs_sessions{agent=\"sales\",state=\"queued\"} 0\n");
	CHECK_HAS(metrics, "elevenlabs_calls_total{agent=\"sales\"} 1\n");
	CHECK_HAS(metrics, "elevenlabs_queue_wait_seconds_count{agent=\"sales\"} 1\n");
	CHECK_HAS(metrics, "elevenlabs_queue_wait_seconds_sum{agent=\"sales\"} 1\n");
}

TEST(a_call_is_counted_once_whether_it_is_up_or_over)
{
	struct ast_str *scraped = ast_str_create(16);

	script_begin(NULL);
	script_queue_at(1000 * MS);
	script_metadata_at(2000 * MS);
	host_at(3500 * MS, read_while_up, NULL);
	script_hangup_at(4000 * MS);
	script_run("sales");
	fake.webhooks_waiting = 7;
	read_metrics(NULL);
	CHECK_HAS(metrics, "# TYPE elevenlabs_webhooks_waiting gauge\nelevenlabs_webhooks_waiting 7\n");
	CHECK_HAS(metrics, "# TYPE elevenlabs_calls_total counter\nelevenlabs_calls_total{agent=\"sales\"} 1\n");
	CHECK_HAS(metrics, "elevenlabs_sessions{agent=\"sales\",state=\"talking\"} 0\n");
	CHECK_HAS(metrics, "elevenlabs_ends_total{agent=\"sales\",status=\"HANGUP\"} 1\n");
	CHECK_HAS(metrics, "elevenlabs_ends_total{agent=\"sales\",status=\"LIMIT\"} 0\n");
	CHECK_HAS(metrics, "elevenlabs_queue_wait_seconds_count{agent=\"sales\"} 1\n");
	CHECK_HAS(metrics, "elevenlabs_engine_up 1\n");
	host_scrape(&scraped);
	CHECK_STR(ast_str_buffer(scraped), metrics);
	ast_free(scraped);
	script_end();
}

#define TURNS "elevenlabs_turn_seconds"

TEST(how_soon_an_agent_answers)
{
	struct convai_timing *turn = &fake.timings.timings[CONVAI_TIMING_TURN];
	unsigned int i;

	script_begin(NULL);
	fake.timed_agent = "sales";
	for (i = 0; i < CONVAI_TIMING_BUCKETS; i++) {
		fake.timings.upper_us[i] = 100000 * (i + 1) - 1;
	}
	turn->counts[7] = 3;
	turn->counts[14] = 1;
	turn->max_us = 1430000;
	read_metrics(NULL);
	CHECK_HAS(metrics, "# TYPE " TURNS " histogram\n"
		TURNS "_bucket{agent=\"sales\",le=\"0.25\"} 0\n" TURNS "_bucket{agent=\"sales\",le=\"0.5\"} 0\n"
		TURNS "_bucket{agent=\"sales\",le=\"0.75\"} 0\n" TURNS "_bucket{agent=\"sales\",le=\"1\"} 3\n"
		TURNS "_bucket{agent=\"sales\",le=\"1.5\"} 4\n");
	CHECK_HAS(metrics, TURNS "_sum{agent=\"sales\"} 3.829997\n" TURNS "_count{agent=\"sales\"} 4\n");
	CHECK(!strstr(metrics, TURNS "_count{agent=\"support\"}"));
	CHECK(!strstr(metrics, "stage=\"turn\"") && !strstr(metrics, "(null)"));
	script_end();
}

TEST(an_agent_that_is_not_there_is_counted_without_its_name)
{
	script_begin(NULL);
	script_run("no\"body");
	read_metrics(NULL);
	CHECK_HAS(metrics, "elevenlabs_ends_total{agent=\"\",status=\"NOAGENT\"} 1\n");
	CHECK(!strstr(metrics, "no\"body"));
	script_end();
}

/*! Prometheus refuses all metrics where one byte is no UTF-8 */
TEST(names_that_are_no_text)
{
	script_begin("[general]\nauth = none\n[m\xfcller \"\\]\nagent_id = a\n[m\xc3\xbcller]\nagent_id = b\n");
	read_metrics(NULL);
	CHECK_HAS(metrics, "elevenlabs_sessions{agent=\"m?ller \\\"\\\\\",state=\"talking\"} 0\n");
	CHECK_HAS(metrics, "elevenlabs_sessions{agent=\"m\xc3\xbcller\",state=\"talking\"} 0\n");
	script_end();
}

TEST(from_elsewhere_metrics_need_a_password)
{
	script_begin(NULL);
	CHECK_INT(host_http_get("127.9.9.9", NULL, &metrics), 200);
	CHECK_INT(host_http_get("::1", NULL, &metrics), 200);
	CHECK_INT(host_http_get("::ffff:127.0.0.1", NULL, &metrics), 200);
	CHECK_INT(host_http_get("192.0.2.1", NULL, &metrics), 403);
	CHECK_INT(host_http_get("::ffff:192.0.2.1", NULL, &metrics), 403);
	CHECK_INT(host_http_get("192.0.2.1", "prometheus:secret", &metrics), 403);
	CHECK_HAS(metrics, "metrics_user and metrics_password");
	script_end();
}

TEST(with_a_password_everybody_needs_it)
{
	script_begin("[general]\nmetrics_user = prometheus\nmetrics_password = secret\n");
	CHECK_INT(host_http_get("127.0.0.1", NULL, &metrics), 401);
	CHECK_INT(host_http_get("192.0.2.1", "prometheus:secret", &metrics), 200);
	CHECK_INT(host_http_get("192.0.2.1", "prometheus:Secret", &metrics), 401);
	CHECK_INT(host_http_get("192.0.2.1", "prometheus:secret2", &metrics), 401);
	CHECK_INT(host_http_get("192.0.2.1", "prometheus:", &metrics), 401);
	CHECK_INT(host_http_get("192.0.2.1", "prometheu:secret", &metrics), 401);
	script_end();
}
