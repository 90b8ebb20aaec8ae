/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Singly linked lists
 */

#ifndef CONTEXT_LINKEDLISTS_H
#define CONTEXT_LINKEDLISTS_H

#define AST_LIST_HEAD_NOLOCK(name, type) \
	struct name { \
		struct type *first; \
		struct type *last; \
	}
#define AST_LIST_HEAD_NOLOCK_STATIC(name, type) \
	AST_LIST_HEAD_NOLOCK(name, type) name = { NULL, NULL }
#define AST_LIST_ENTRY(type) \
	struct { \
		struct type *next; \
	}

#define AST_LIST_FIRST(head) ((head)->first)
#define AST_LIST_NEXT(elm, field) ((elm)->field.next)
#define AST_LIST_EMPTY(head) (AST_LIST_FIRST(head) == NULL)
#define AST_LIST_TRAVERSE(head, var, field) \
	for ((var) = AST_LIST_FIRST(head); (var); (var) = AST_LIST_NEXT(var, field))

#define AST_LIST_HEAD_INIT_NOLOCK(head) do { \
	(head)->first = NULL; \
	(head)->last = NULL; \
} while (0)

/*! Does not touch the new entry's link: it is to be NULL */
#define AST_LIST_INSERT_TAIL(head, elm, field) do { \
	if ((head)->first) { \
		(head)->last->field.next = (elm); \
	} else { \
		(head)->first = (elm); \
	} \
	(head)->last = (elm); \
} while (0)

#define AST_LIST_INSERT_AFTER(head, listelm, elm, field) do { \
	(elm)->field.next = (listelm)->field.next; \
	(listelm)->field.next = (elm); \
	if ((head)->last == (listelm)) { \
		(head)->last = (elm); \
	} \
} while (0)

/*! \return the entry, with its link set to NULL, or NULL */
#define AST_LIST_REMOVE_HEAD(head, field) ({ \
	__typeof__((head)->first) mock_head = (head)->first; \
	if (mock_head) { \
		(head)->first = mock_head->field.next; \
		mock_head->field.next = NULL; \
		if (!(head)->first) { \
			(head)->last = NULL; \
		} \
	} \
	mock_head; \
})

/*! \return the element, or NULL if it was not there */
#define AST_LIST_REMOVE(head, elm, field) ({ \
	__typeof__((head)->first) mock_before = NULL, mock_found = (head)->first; \
	while (mock_found && mock_found != (elm)) { \
		mock_before = mock_found; \
		mock_found = mock_found->field.next; \
	} \
	if (mock_found) { \
		if (mock_before) { \
			mock_before->field.next = mock_found->field.next; \
		} else { \
			(head)->first = mock_found->field.next; \
		} \
		if ((head)->last == mock_found) { \
			(head)->last = mock_before; \
		} \
		mock_found->field.next = NULL; \
	} \
	mock_found; \
})

#endif /* CONTEXT_LINKEDLISTS_H */
