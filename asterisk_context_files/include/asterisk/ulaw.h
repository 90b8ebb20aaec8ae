/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief From samples to mu-law
 */

#ifndef CONTEXT_ULAW_H
#define CONTEXT_ULAW_H

/*! By the upper 14 bits of a sample */
extern unsigned char __ast_lin2mu[16384];

#define AST_LIN2MU(a) (__ast_lin2mu[((unsigned short) (a)) >> 2])

#endif /* CONTEXT_ULAW_H */
