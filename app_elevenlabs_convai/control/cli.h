/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What an operator types: the `elevenlabs ...` commands
 */

#ifndef CONTROL_CLI_H
#define CONTROL_CLI_H

/*! \brief Register the commands */
int cli_register(void);

/*!
 * \brief Unregister the commands, and wait until none runs any more
 * \return 0, or -1 if one still runs when the limit is reached
 */
int cli_unregister(int limit_ms);

#endif /* CONTROL_CLI_H */
