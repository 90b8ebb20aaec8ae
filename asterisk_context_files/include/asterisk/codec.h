/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Codecs
 */

#ifndef CONTEXT_CODEC_H
#define CONTEXT_CODEC_H

enum ast_media_type {
	AST_MEDIA_TYPE_UNKNOWN = 0,
	AST_MEDIA_TYPE_AUDIO,
	AST_MEDIA_TYPE_VIDEO,
	AST_MEDIA_TYPE_IMAGE,
	AST_MEDIA_TYPE_TEXT,
	AST_MEDIA_TYPE_END,
};

#endif /* CONTEXT_CODEC_H */
