/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Functions of a module that may be missing
 */

#ifndef CONTEXT_OPTIONAL_API_H
#define CONTEXT_OPTIONAL_API_H

/*
 * Who calls such a function calls through a pointer of its own, which leads to a stub until the module
 * is there.
 */
typedef void (*ast_optional_fn)(void) __attribute__((may_alias));

void ast_optional_api_use(const char *symname, ast_optional_fn *optional_ref, ast_optional_fn stub,
	const char *module);
void ast_optional_api_unuse(const char *symname, ast_optional_fn *optional_ref,
	const char *module);

#define AST_OPTIONAL_API(result, name, proto, stub) \
	static result __stub__##name proto stub; \
	static __attribute__((unused)) __typeof__(__stub__##name) *name; \
	static void __attribute__((constructor)) __init__##name(void) \
	{ \
		ast_optional_api_use(#name, (ast_optional_fn *) &name, (ast_optional_fn) __stub__##name, \
			AST_MODULE); \
	} \
	static void __attribute__((destructor)) __dtor__##name(void) \
	{ \
		ast_optional_api_unuse(#name, (ast_optional_fn *) &name, AST_MODULE); \
	} \
	struct mock_eats_semicolon

#endif /* CONTEXT_OPTIONAL_API_H */
