/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The Python interpreter, and how engines come into it
 *
 * embed.c is the only file of the module that includes Python.h. Only threads that load,
 * reload or unload the module enter it, one at a time: so nothing in it is locked. Any thread
 * may ask for embed_python_version.
 * It takes the GIL once, when the module is loaded, to start the loader (loader.py), and
 * holds no Python object afterwards. It does so on a thread that has ended before the load
 * has, because nothing bounds a wait for the GIL but leaving it. From then on it talks with
 * the loader's thread through a pair of sockets, and every wait has a limit: whatever hangs
 * in Python, Asterisk does not.
 */

#ifndef ENGINE_EMBED_H
#define ENGINE_EMBED_H

#include <stddef.h>

#include "convai_ops.h"

/*!
 * \brief Start the interpreter, if it does not run yet, and the loader in it
 * \param[out] error one line on what is wrong and what helps
 * \return 0, or -1 with error set
 */
int embed_open(char *error, size_t size);

/*!
 * \brief Import the engine in this directory, and start it
 *
 * One that was imported before and has ended is only started again. What is returned has
 * passed the engine's self-test and speaks this contract.
 *
 * \param limit_ms how long to wait at most
 * \param[out] error one line on what is wrong and what helps
 * \return its table, valid as long as the process; or NULL with error set, and then
 * nothing of it is used, and its loop, should it come up later, is ended
 */
const struct convai_ops *embed_import(const char *directory, int limit_ms, char *error,
	size_t size);

/*! \brief Let Python free what can be freed of an engine that has ended. Does not wait. */
void embed_forget(const char *directory);

/*!
 * \brief End the loader, and wait for that. The interpreter stays: it cannot be stopped
 * and started again.
 *
 * A loader that has not ended at the limit, because something holds Python up, is left
 * behind: it holds nothing of the module's.
 */
void embed_close(int limit_ms);

/*! \brief Keep this module's code mapped, whatever becomes of the module */
void embed_pin(void);

/*! \brief Version of Python that runs, such as "3.11.2 (main, ...)" */
const char *embed_python_version(void);

#endif /* ENGINE_EMBED_H */
