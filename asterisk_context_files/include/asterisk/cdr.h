/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Context for the module: call detail records
 */

#ifndef CONTEXT_CDR_H
#define CONTEXT_CDR_H

int ast_cdr_is_enabled(void);

#endif /* CONTEXT_CDR_H */
