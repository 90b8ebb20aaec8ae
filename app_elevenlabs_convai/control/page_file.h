/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The live page itself: one document, put together from the files of the engine in service
 */

#ifndef CONTROL_PAGE_FILE_H
#define CONTROL_PAGE_FILE_H

struct ast_str;

/*! Room for a nonce: 32 digits and the terminator */
#define PAGE_NONCE_SIZE 33

/*!
 * \brief Append the page. Threads of Asterisk's HTTP server: reads files.
 * \param[out] nonce what style and scripts in it are marked with: nobody can guess it
 * \return 0, or -1: no engine is in service, or its files are not whole
 */
int page_file_append(struct ast_str **out, char nonce[PAGE_NONCE_SIZE]);

#endif /* CONTROL_PAGE_FILE_H */
