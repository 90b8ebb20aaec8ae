/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Waiting until no channel is in the application any more
 *
 * Code that a thread may still be in, or return to, must not be unmapped. Asterisk does
 * not tell: it names the application on the channel for as long as it needs our code.
 */

#ifndef CONTROL_DEPARTURE_H
#define CONTROL_DEPARTURE_H

/*!
 * \brief End all calls, and wait until none is left and no channel is in the application
 *
 * They are ended again at every look: a call that was being admitted when the registry
 * closed comes to the engine after the first time.
 *
 * \return 0, or -1 after the limit, which is logged
 */
int departure_wait(const char *app, int limit_ms);

/*!
 * \brief As departure_wait, after a pause for threads that have just looked the application up
 *
 * Such a thread stores a pointer to the application's name, which unregistering has freed.
 * The pause lets us see it before that memory is reused.
 */
int departure_settle(const char *app, int limit_ms);

#endif /* CONTROL_DEPARTURE_H */
