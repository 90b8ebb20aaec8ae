/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What the dialplan asks of a conversation, and says to it: the function ELEVENLABS
 */

#ifndef CONTROL_FUNCTION_H
#define CONTROL_FUNCTION_H

/*! \brief Register the function, unless it is. \return 0, or -1 */
int function_register(void);

/*!
 * \brief Unregister the function, and wait until none is in it any more
 * \return 0, or -1 if somebody still is when the limit is reached
 */
int function_unregister(int limit_ms);

#endif /* CONTROL_FUNCTION_H */
