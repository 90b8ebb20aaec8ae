/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What this build is told apart by
 */

#ifndef CONTEXT_BUILDOPTS_H
#define CONTEXT_BUILDOPTS_H

/*!
 * A real Asterisk compares this with its own sum, which is an MD5 in hexadecimal, and
 * refuses to initialize a module of another. 32 characters and a terminator, as it expects.
 */
#define AST_BUILDOPT_SUM "mock-headers-not-a-real-asterisk"

#endif /* CONTEXT_BUILDOPTS_H */
