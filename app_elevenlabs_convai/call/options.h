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

#ifndef CALL_OPTIONS_H
#define CALL_OPTIONS_H

/*! What the dialplan wants for one call; lives as long as the application runs */
struct call_options {
	unsigned int answer:1;		/*!< answer, now or when the agent is there */
	unsigned int connect_first:1;	/*!< answer when the agent is there */
	unsigned int ring:1;		/*!< ring until then */
	unsigned int music:1;		/*!< play music until then */
	unsigned int protect_greeting:1;	/*!< the caller cannot interrupt the greeting */
	const char *music_class;	/*!< "" for the channel's own */
};

/*!
 * \brief Read options, such as "cm(jazz)"
 * \param text is changed; options keeps pointers into it
 * \return 0, or -1 if it is not understood or contradicts itself
 */
int options_parse(char *text, struct call_options *options);

#endif /* CALL_OPTIONS_H */
