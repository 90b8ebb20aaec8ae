/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief From samples to A-law
 */

#ifndef CONTEXT_ALAW_H
#define CONTEXT_ALAW_H

/*! By the upper 13 bits of a sample */
extern unsigned char __ast_lin2a[8192];

#define AST_LIN2A(a) (__ast_lin2a[((unsigned short) (a)) >> 3])

#endif /* CONTEXT_ALAW_H */
