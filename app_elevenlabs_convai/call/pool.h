/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Threads for what may take its time and is to hold up neither a call nor the engine
 *
 * They are made when they are needed, up to POOL_THREADS, and stay until pool_close. Nobody can take one
 * away from what it runs: it is missing until that returns.
 */

#ifndef CALL_POOL_H
#define CALL_POOL_H

/*!
 * Of all calls together. Each may be a process that the dialplan starts, or a connection to a database;
 * a look-up of half a second at a time, they serve some 30 of them a second.
 */
#define POOL_THREADS 16

/*!
 * \brief Have a thread do some work, now. Any thread; takes a lock for a moment, and may make a thread.
 * \return 0, or -1: all are busy, none can be made, or they are about to end
 */
int pool_run(void (*work)(void *data), void *data);

/*!
 * \brief End all threads, each when it has done its work. One thread at a time.
 *
 * Afterwards pool_run makes new ones.
 * \return 0: none of them runs any of our code any more; -1: one did at the limit
 */
int pool_close(int limit_ms);

#endif /* CALL_POOL_H */
