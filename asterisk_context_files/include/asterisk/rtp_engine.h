/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What RTP knows of a channel's line
 */

#ifndef CONTEXT_RTP_ENGINE_H
#define CONTEXT_RTP_ENGINE_H

#include "asterisk/linkedlists.h"

struct ast_channel;
struct ast_format_cap;
struct ast_module;
/*! An ao2 object */
struct ast_rtp_instance;

enum ast_rtp_instance_stat {
	AST_RTP_INSTANCE_STAT_ALL = 0,
};

#define MAX_CHANNEL_ID 152

/*! Times are in seconds. */
struct ast_rtp_instance_stats {
	unsigned int txcount;
	unsigned int rxcount;
	double txjitter;
	double rxjitter;
	double remote_maxjitter;
	double remote_minjitter;
	double remote_normdevjitter;
	double remote_stdevjitter;
	double local_maxjitter;
	double local_minjitter;
	double local_normdevjitter;
	double local_stdevjitter;
	unsigned int txploss;
	unsigned int rxploss;
	double remote_maxrxploss;
	double remote_minrxploss;
	double remote_normdevrxploss;
	double remote_stdevrxploss;
	double local_maxrxploss;
	double local_minrxploss;
	double local_normdevrxploss;
	double local_stdevrxploss;
	double rtt;
	double maxrtt;
	double minrtt;
	double normdevrtt;
	double stdevrtt;
	unsigned int local_ssrc;
	unsigned int remote_ssrc;
	char channel_uniqueid[MAX_CHANNEL_ID];
	unsigned int txoctetcount;
	unsigned int rxoctetcount;
	double txmes;
	double rxmes;
	double remote_maxmes;
	double remote_minmes;
	double remote_normdevmes;
	double remote_stdevmes;
	double local_maxmes;
	double local_minmes;
	double local_normdevmes;
	double local_stdevmes;
};

enum ast_rtp_glue_result {
	AST_RTP_GLUE_RESULT_FORBID = 0,
	AST_RTP_GLUE_RESULT_REMOTE,
	AST_RTP_GLUE_RESULT_LOCAL,
};

struct ast_rtp_glue {
	const char *type;
	struct ast_module *mod;
	/*! The channel is locked; gives a reference. */
	enum ast_rtp_glue_result (*get_rtp_info)(struct ast_channel *chan,
		struct ast_rtp_instance **instance);
	int (*allow_rtp_remote)(struct ast_channel *chan1, struct ast_rtp_instance *instance);
	enum ast_rtp_glue_result (*get_vrtp_info)(struct ast_channel *chan,
		struct ast_rtp_instance **instance);
	int (*allow_vrtp_remote)(struct ast_channel *chan1, struct ast_rtp_instance *instance);
	enum ast_rtp_glue_result (*get_trtp_info)(struct ast_channel *chan,
		struct ast_rtp_instance **instance);
	int (*update_peer)(struct ast_channel *chan, struct ast_rtp_instance *instance,
		struct ast_rtp_instance *vinstance, struct ast_rtp_instance *tinstance,
		const struct ast_format_cap *cap, int nat_active);
	void (*get_codec)(struct ast_channel *chan, struct ast_format_cap *result_cap);
	AST_LIST_ENTRY(ast_rtp_glue) entry;
};

struct ast_rtp_glue *ast_rtp_instance_get_glue(const char *type);
int ast_rtp_instance_get_stats(struct ast_rtp_instance *instance,
	struct ast_rtp_instance_stats *stats, enum ast_rtp_instance_stat stat);

#endif /* CONTEXT_RTP_ENGINE_H */
