/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Context for the module: channel event logging
 */

#ifndef CONTEXT_CEL_H
#define CONTEXT_CEL_H

struct ast_channel;
struct ast_json;

enum ast_cel_event_type {
	AST_CEL_USER_DEFINED = 13,
};

unsigned int ast_cel_check_enabled(void);

/*! \brief The details are an object; of an event of the user's, with its name as event and any JSON as extra */
void ast_cel_publish_event(struct ast_channel *chan, enum ast_cel_event_type event_type,
	struct ast_json *blob);

#endif /* CONTEXT_CEL_H */
