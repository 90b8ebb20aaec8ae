/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What RTP knows of a channel's line: what a test says, or nothing
 */

#include "host_internal.h"

#include "asterisk/astobj2.h"
#include "asterisk/rtp_engine.h"

struct ast_rtp_instance {
	char none;
};

static const struct ast_rtp_instance_stats *line;

void host_line(const struct ast_rtp_instance_stats *stats)
{
	line = stats;
}

static enum ast_rtp_glue_result get_rtp_info(struct ast_channel *chan,
	struct ast_rtp_instance **instance)
{
	*instance = ao2_alloc(sizeof(**instance), NULL);
	return AST_RTP_GLUE_RESULT_LOCAL;
}

struct ast_rtp_glue *ast_rtp_instance_get_glue(const char *type)
{
	static struct ast_rtp_glue glue = { .get_rtp_info = get_rtp_info };

	return line ? &glue : NULL;
}

int ast_rtp_instance_get_stats(struct ast_rtp_instance *instance,
	struct ast_rtp_instance_stats *stats, enum ast_rtp_instance_stat stat)
{
	*stats = *line;
	return line->rxcount ? 0 : -1;
}
