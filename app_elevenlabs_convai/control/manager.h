/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What programs ask for over AMI
 */

#ifndef CONTROL_MANAGER_H
#define CONTROL_MANAGER_H

/*! \brief Register the actions, unless they are. \return 0, or -1 */
int manager_register(void);

/*!
 * \brief Unregister the actions, and wait until none runs any more
 * \return 0, or -1 if one still runs when the limit is reached
 */
int manager_unregister(int limit_ms);

#endif /* CONTROL_MANAGER_H */
