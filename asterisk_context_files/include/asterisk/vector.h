/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Growing arrays
 */

#ifndef CONTEXT_VECTOR_H
#define CONTEXT_VECTOR_H

#include "asterisk/utils.h"

#define AST_VECTOR(name, type) \
	struct name { \
		type *elems; \
		size_t max; \
		size_t current; \
	}

#define AST_VECTOR_INIT(vec, size) ({ \
	size_t mock_max = (size); \
	(vec)->elems = mock_max ? ast_calloc(mock_max, sizeof(*(vec)->elems)) : NULL; \
	(vec)->current = 0; \
	(vec)->max = (vec)->elems ? mock_max : 0; \
	mock_max && !(vec)->elems ? -1 : 0; \
})

#define AST_VECTOR_FREE(vec) do { \
	ast_free((vec)->elems); \
	(vec)->elems = NULL; \
	(vec)->max = 0; \
	(vec)->current = 0; \
} while (0)

/*! Into new memory, so that a pointer kept to the old one is found out */
#define MOCK_VECTOR_GROW(vec) ({ \
	size_t mock_more = ((vec)->current + 1) * 2; \
	__typeof__((vec)->elems) mock_grown = ast_calloc(mock_more, sizeof(*mock_grown)); \
	if (mock_grown) { \
		if ((vec)->elems) { \
			memcpy(mock_grown, (vec)->elems, (vec)->current * sizeof(*mock_grown)); \
			ast_free((vec)->elems); \
		} \
		(vec)->elems = mock_grown; \
		(vec)->max = mock_more; \
	} \
	mock_grown ? 0 : -1; \
})

/*! \return 0, or -1 when out of memory */
#define AST_VECTOR_APPEND(vec, elem) ({ \
	int mock_res = (vec)->current < (vec)->max ? 0 : MOCK_VECTOR_GROW(vec); \
	if (!mock_res) { \
		(vec)->elems[(vec)->current++] = (elem); \
	} \
	mock_res; \
})

#define AST_VECTOR_SIZE(vec) (vec)->current

#define AST_VECTOR_GET(vec, idx) ({ \
	size_t mock_idx = (idx); \
	if (mock_idx >= (vec)->current) { \
		abort(); \
	} \
	(vec)->elems[mock_idx]; \
})

#define AST_VECTOR_GET_ADDR(vec, idx) ({ \
	size_t mock_idx = (idx); \
	if (mock_idx >= (vec)->current) { \
		abort(); \
	} \
	&(vec)->elems[mock_idx]; \
})

/*! \return pointer to the first element for which cmp(element, value), or NULL */
#define AST_VECTOR_GET_CMP(vec, value, cmp) ({ \
	void *mock_found = NULL; \
	size_t mock_i; \
	__typeof__(value) mock_value = (value); \
	for (mock_i = 0; mock_i < (vec)->current && !mock_found; mock_i++) { \
		if (cmp((vec)->elems[mock_i], mock_value)) { \
			mock_found = &(vec)->elems[mock_i]; \
		} \
	} \
	mock_found; \
})

#define AST_VECTOR_ELEM_CLEANUP_NOOP(elem)

/*! \return 0, or -1 if there is no such element */
#define AST_VECTOR_REMOVE_ELEM_ORDERED(vec, elem, cleanup) ({ \
	int mock_res = -1; \
	size_t mock_i; \
	__typeof__((vec)->elems[0]) mock_elem = (elem); \
	for (mock_i = 0; mock_i < (vec)->current && mock_res; mock_i++) { \
		if ((vec)->elems[mock_i] == mock_elem) { \
			cleanup((vec)->elems[mock_i]); \
			memmove(&(vec)->elems[mock_i], &(vec)->elems[mock_i + 1], \
				((vec)->current - mock_i - 1) * sizeof((vec)->elems[0])); \
			(vec)->current--; \
			mock_res = 0; \
		} \
	} \
	mock_res; \
})

#define AST_VECTOR_CALLBACK_VOID(vec, callback, ...) do { \
	size_t mock_i; \
	for (mock_i = 0; mock_i < (vec)->current; mock_i++) { \
		callback((vec)->elems[mock_i], ##__VA_ARGS__); \
	} \
} while (0)

#endif /* CONTEXT_VECTOR_H */
