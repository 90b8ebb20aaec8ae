/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The letters in the application's second argument
 */

#ifndef OPTIONS_H
#define OPTIONS_H

struct call_options;

/*!
 * \brief Read options, such as "cm(jazz)"
 * \param text is changed; options keeps pointers into it
 * \return 0, or -1 if it is not understood or contradicts itself
 */
int options_parse(char *text, struct call_options *options);

#endif /* OPTIONS_H */
