/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Where documentation comes from
 */

#ifndef CONTEXT_XMLDOC_H
#define CONTEXT_XMLDOC_H

enum ast_doc_src {
	AST_XML_DOC,
	AST_STATIC_DOC
};

#endif /* CONTEXT_XMLDOC_H */
