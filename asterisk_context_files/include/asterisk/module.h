/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What makes a shared object a module
 */

#ifndef CONTEXT_MODULE_H
#define CONTEXT_MODULE_H

#include "asterisk/buildopts.h"
#include "asterisk/utils.h"

/*
 * Every module hands this to Asterisk, which compares it letter by letter: the licence of
 * Asterisk is part of its interface.
 */
#define ASTERISK_GPL_KEY \
	"This paragraph is copyright (c) 2006 by Digium, Inc. " \
	"In order for your module to load, it must return this " \
	"key via a function called \"key\".  Any code which " \
	"includes this paragraph must be licensed under the GNU " \
	"General Public License version 2 or later (at your " \
	"option).  In addition to Digium's general reservations " \
	"of rights, Digium expressly reserves the right to " \
	"allow other parties to license this paragraph under " \
	"different terms. Any use of Digium, Inc. trademarks or " \
	"logos (including \"Asterisk\" or \"Digium\") without " \
	"express written permission of Digium, Inc. is prohibited.\n"

enum ast_module_load_result {
	AST_MODULE_LOAD_SUCCESS = 0,
	AST_MODULE_LOAD_DECLINE = 1,
	AST_MODULE_LOAD_SKIP = 2,
	AST_MODULE_LOAD_PRIORITY = 3,
	AST_MODULE_LOAD_FAILURE = -1,
};

enum ast_module_reload_result {
	AST_MODULE_RELOAD_SUCCESS = 0,
	AST_MODULE_RELOAD_QUEUED,
	AST_MODULE_RELOAD_NOT_FOUND,
	AST_MODULE_RELOAD_ERROR,
	AST_MODULE_RELOAD_IN_PROGRESS,
	AST_MODULE_RELOAD_UNINITIALIZED,
	AST_MODULE_RELOAD_NOT_IMPLEMENTED,
};

enum ast_module_support_level {
	AST_MODULE_SUPPORT_UNKNOWN,
	AST_MODULE_SUPPORT_CORE,
	AST_MODULE_SUPPORT_EXTENDED,
	AST_MODULE_SUPPORT_DEPRECATED,
};

enum ast_module_flags {
	AST_MODFLAG_DEFAULT = 0,
	AST_MODFLAG_GLOBAL_SYMBOLS = 1 << 0,
	AST_MODFLAG_LOAD_ORDER = 1 << 1,
};

enum ast_module_load_priority {
	AST_MODPRI_APP_DEPEND = 80,
	AST_MODPRI_DEFAULT = 128,
};

struct ast_module;

struct ast_module_info {
	struct ast_module *self;
	enum ast_module_load_result (*load)(void);
	int (*reload)(void);
	int (*unload)(void);
	const char *name;
	const char *description;
	const char *key;
	unsigned int flags;
	const char buildopt_sum[33];
	unsigned char load_pri;
	const char *requires;
	const char *optional_modules;
	const char *enhances;
	void *reserved1;
	void *reserved2;
	void *reserved3;
	void *reserved4;
	enum ast_module_support_level support_level;
};

/*! \brief Whether a module of this file name runs */
int ast_module_check(const char *name);

struct ast_module *__ast_module_ref(struct ast_module *mod, const char *file, int line,
	const char *func);
void __ast_module_unref(struct ast_module *mod, const char *file, int line, const char *func);
#define ast_module_ref(mod) __ast_module_ref(mod, __FILE__, __LINE__, __PRETTY_FUNCTION__)
#define ast_module_unref(mod) __ast_module_unref(mod, __FILE__, __LINE__, __PRETTY_FUNCTION__)

void ast_module_register(const struct ast_module_info *info);
void ast_module_unregister(const struct ast_module_info *info);

/*! Registers itself when it is loaded: the constructor runs inside dlopen, or before main */
#define AST_MODULE_INFO(keystr, flags_to_set, desc, fields...) \
	static struct ast_module_info __mod_info = { \
		.name = AST_MODULE, \
		.flags = flags_to_set, \
		.description = desc, \
		.key = keystr, \
		.buildopt_sum = AST_BUILDOPT_SUM, \
		fields \
	}; \
	static void __attribute__((constructor)) __reg_module(void) \
	{ \
		ast_module_register(&__mod_info); \
	} \
	static void __attribute__((destructor)) __unreg_module(void) \
	{ \
		ast_module_unregister(&__mod_info); \
	} \
	struct ast_module *AST_MODULE_SELF_SYM(void) \
	{ \
		return __mod_info.self; \
	} \
	struct mock_eats_semicolon

int ast_register_application2(const char *app,
	int (*execute)(struct ast_channel *, const char *), const char *synopsis,
	const char *description, void *mod);
int ast_unregister_application(const char *app);
#define ast_register_application(app, execute, synopsis, description) \
	ast_register_application2(app, execute, synopsis, description, AST_MODULE_SELF)
/*! Its documentation is in XML, elsewhere */
#define ast_register_application_xml(app, execute) \
	ast_register_application(app, execute, NULL, NULL)

#endif /* CONTEXT_MODULE_H */
