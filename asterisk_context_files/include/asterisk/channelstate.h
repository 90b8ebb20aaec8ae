/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief States of a channel
 */

#ifndef CONTEXT_CHANNELSTATE_H
#define CONTEXT_CHANNELSTATE_H

enum ast_channel_state {
	AST_STATE_DOWN,
	AST_STATE_RESERVED,
	AST_STATE_OFFHOOK,
	AST_STATE_DIALING,
	AST_STATE_RING,
	AST_STATE_RINGING,
	AST_STATE_UP,
	AST_STATE_BUSY,
	AST_STATE_DIALING_OFFHOOK,
	AST_STATE_PRERING,
	AST_STATE_MUTE = 1 << 16,
};

#endif /* CONTEXT_CHANNELSTATE_H */
