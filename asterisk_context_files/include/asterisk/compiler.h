/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Attributes of functions, and the end of their arguments
 */

#ifndef CONTEXT_COMPILER_H
#define CONTEXT_COMPILER_H

#define attribute_warn_unused_result __attribute__((warn_unused_result))

/*! Behind the last of several arguments */
#define SENTINEL ((char *)NULL)

#endif /* CONTEXT_COMPILER_H */
