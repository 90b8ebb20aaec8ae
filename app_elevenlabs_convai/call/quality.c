/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The line between Asterisk and the caller, by Asterisk's RTCP figures
 */

#include "asterisk.h"

#include "asterisk/astobj2.h"	/* ao2_cleanup */
#include "asterisk/channel.h"	/* ast_channel_tech */
#include "asterisk/rtp_engine.h"	/* statistics of RTP */

#include "call/quality.h"

/*** DOCUMENTATION
	<managerEvent name="ElevenLabsQuality" language="en_US" module="app_elevenlabs_convai">
		<managerEventInstance class="EVENT_FLAG_CALL">
			<synopsis>
				Raised every 30 s of a conversation, and behind it, to tell of the line to the caller.
			</synopsis>
			<syntax>
				<xi:include xpointer="xpointer(/docs/managerEvent[@name='ElevenLabsStart']/managerEventInstance/syntax/parameter)" />
				<parameter name="JitterMs">
					<para>Of what comes from the caller.</para>
				</parameter>
				<parameter name="LossPercent">
					<para>Of the packets from the caller.</para>
				</parameter>
				<parameter name="RemoteJitterMs">
					<para>Of what the caller's device gets, as it reports; Asterisk knows it
					from 18.17, 20.2 and 21 on.</para>
				</parameter>
				<parameter name="RemoteLossPercent">
					<para>Of the packets to it, as it reports.</para>
				</parameter>
				<parameter name="RoundTripMs">
					<para>There and back.</para>
				</parameter>
				<parameter name="Mos">
					<para>Mean opinion score of what comes from the caller, 1.00 to 4.41, by delay, jitter and loss (ITU-T G.107, simplified).</para>
				</parameter>
			</syntax>
			<description>
				<para>By Asterisk's RTCP figures since the channel began: empty where the channel has no RTP, or nobody has sent a report yet.</para>
			</description>
			<see-also>
				<ref type="managerEvent">ElevenLabsStart</ref>
				<ref type="managerEvent">ElevenLabsEnd</ref>
			</see-also>
		</managerEventInstance>
	</managerEvent>
 ***/

/*!
 * From here on a jitter that the caller's device reports is no number of seconds: before 18.17 and 20.2
 * Asterisk has it in samples, whose rate it does not tell
 */
#define SAMPLES_LEAST 1

/*!
 * From here on a round trip is none, in seconds: where a device says that it has had a report for longer than that was
 * under way, Asterisk subtracts below zero, and 65536 s come out
 */
#define ROUND_TRIP_LONGEST 60

/*! \return 0, or -1 if the channel has no such figures */
static int read_statistics(struct ast_channel *channel, struct ast_rtp_instance_stats *statistics)
{
	struct ast_rtp_instance *rtp = NULL;
	struct ast_rtp_glue *glue;
	int res = -1;

	memset(statistics, 0, sizeof(*statistics));
	ast_channel_lock(channel);
	glue = ast_rtp_instance_get_glue(ast_channel_tech(channel)->type);
	if (glue && glue->get_rtp_info) {
		glue->get_rtp_info(channel, &rtp);
	}
	ast_channel_unlock(channel);
	if (rtp) {
		res = ast_rtp_instance_get_stats(rtp, statistics, AST_RTP_INSTANCE_STAT_ALL);
		ao2_cleanup(rtp);
	}
	return res;
}

/*! \brief How many percent of all are lost; packets that came twice count as less than none */
static double percent(unsigned int lost, unsigned int all)
{
	int missing = (int) lost;

	return missing > 0 && all ? 100.0 * missing / all : 0;
}

/*!
 * \brief Mean opinion score by the E-model of ITU-T G.107, as Asterisk's own score simplifies it
 *
 * Delay counts by the round trip and twice the jitter, which a jitter buffer adds; a codec's own loss
 * of quality is left out.
 */
static double mean_opinion(double round_trip_ms, double jitter_ms, double loss_percent)
{
	double delay_ms = round_trip_ms + 2 * jitter_ms + 10;
	double r = 93.2 - (delay_ms < 160 ? delay_ms / 40 : (delay_ms - 120) / 10) - 2.5 * loss_percent;

	double score = 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6;

	/* Between 0 and 6.5 the formula falls below the worst that there is. */
	return r <= 0 || score < 1 ? 1 : score;
}

static void set(char *text, int decimals, double value)
{
	snprintf(text, QUALITY_TEXT_SIZE, "%.*f", decimals, value);
}

void quality_read(struct quality *quality, struct ast_channel *channel)
{
	struct ast_rtp_instance_stats s;
	double jitter_ms;
	double loss;
	double round_trip_ms;
	int is_round_trip;

	memset(quality, 0, sizeof(*quality));
	if (read_statistics(channel, &s)) {
		return;
	}
	/* Asterisk's names are those of the other side: txjitter is what is measured here. */
	jitter_ms = s.txjitter * 1000;
	is_round_trip = s.rtt > 0 && s.rtt < ROUND_TRIP_LONGEST;
	round_trip_ms = is_round_trip ? s.rtt * 1000 : 0;
	loss = percent(s.rxploss, s.rxcount + s.rxploss);
	if (s.rxcount) {
		set(quality->jitter, 1, jitter_ms);
		set(quality->loss, 2, loss);
		set(quality->mos, 2, mean_opinion(round_trip_ms, jitter_ms, loss));
	}
	if (s.rtt > 0) {
		/* Only who has sent a report has one of these. */
		if (is_round_trip) {
			set(quality->round_trip, 1, round_trip_ms);
		}
		if (s.rxjitter < SAMPLES_LEAST) {
			set(quality->remote_jitter, 1, s.rxjitter * 1000);
		}
		set(quality->remote_loss, 2, percent(s.txploss, s.txcount));
	}
}
