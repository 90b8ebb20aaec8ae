/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */
/*!
 * \file
 * \brief Bridges: who is in one may be sent elsewhere
 */

#ifndef CONTEXT_BRIDGE_H
#define CONTEXT_BRIDGE_H

struct ast_channel;

enum ast_transfer_result {
	AST_BRIDGE_TRANSFER_SUCCESS,
	AST_BRIDGE_TRANSFER_NOT_PERMITTED,
	AST_BRIDGE_TRANSFER_INVALID,
	AST_BRIDGE_TRANSFER_FAIL,
};

enum ast_transfer_type {
	AST_BRIDGE_TRANSFER_SINGLE_PARTY,
	AST_BRIDGE_TRANSFER_MULTI_PARTY,
};

struct transfer_channel_data {
	void *data;
	int completed;
};

typedef void (*transfer_channel_cb)(struct ast_channel *chan, struct transfer_channel_data *user_data,
	enum ast_transfer_type transfer_type);

/*! \brief No channel is locked */
enum ast_transfer_result ast_bridge_transfer_blind(int is_external, struct ast_channel *transferer,
	const char *exten, const char *context, transfer_channel_cb new_channel_cb, void *user_data);

#endif /* CONTEXT_BRIDGE_H */
