/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What modules attach to a channel
 */

#ifndef CONTEXT_DATASTORE_H
#define CONTEXT_DATASTORE_H

#include "asterisk/linkedlists.h"

struct ast_channel;
struct ast_module;

struct ast_datastore_info {
	const char *type;
	void *(*duplicate)(void *data);
	void (*destroy)(void *data);
	void (*chan_fixup)(void *data, struct ast_channel *old_chan,
		struct ast_channel *new_chan);
	void (*chan_breakdown)(void *data, struct ast_channel *old_chan,
		struct ast_channel *new_chan);
};

struct ast_datastore {
	const char *uid;
	void *data;
	const struct ast_datastore_info *info;
	struct ast_module *mod;
	unsigned int inheritance;
	AST_LIST_ENTRY(ast_datastore) entry;
};

struct ast_datastore *__ast_datastore_alloc(const struct ast_datastore_info *info,
	const char *uid, struct ast_module *mod, const char *file, int line,
	const char *function);
#define ast_datastore_alloc(info, uid) \
	__ast_datastore_alloc(info, uid, AST_MODULE_SELF, __FILE__, __LINE__, __PRETTY_FUNCTION__)
int ast_datastore_free(struct ast_datastore *datastore);

#endif /* CONTEXT_DATASTORE_H */
