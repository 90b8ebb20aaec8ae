/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Translation between formats
 */

#ifndef CONTEXT_TRANSLATE_H
#define CONTEXT_TRANSLATE_H

struct ast_format;
struct ast_frame;
struct ast_trans_pvt;

struct ast_trans_pvt *ast_translator_build_path(struct ast_format *dest,
	struct ast_format *source);
/*! \return how many translations that takes, or -1 if there is no way */
unsigned int ast_translate_path_steps(struct ast_format *dest, struct ast_format *src);
void ast_translator_free_path(struct ast_trans_pvt *tr);
/*! \param consume 1 frees the frame that is given */
struct ast_frame *ast_translate(struct ast_trans_pvt *tr, struct ast_frame *f,
	int consume);

#endif /* CONTEXT_TRANSLATE_H */
