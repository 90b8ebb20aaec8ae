/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The Python interpreter and the engine in it
 *
 * embed.c is the only file of the module that includes Python.h. It is entered from the
 * threads that load, reload and unload the module, never from a channel's. Between two
 * calls it holds neither the GIL nor a Python object.
 */

#ifndef EMBED_H
#define EMBED_H

#include <stddef.h>
#include <stdint.h>

#include "convai_ops.h"

/*!
 * \brief Start the interpreter, if it does not run yet, import the engine that is
 * installed, start it
 * \param host what the engine may call; must stay valid until embed_stop has succeeded
 * \param[out] error one line on what is wrong and what helps
 * \return 0, or -1 with error set
 */
int embed_start(const struct convai_host *host, char *error, size_t size);

/*!
 * \brief The table of the engine that runs, or NULL. It stays valid for ever, if not
 * useful.
 */
const struct convai_ops *embed_ops(void);

/*!
 * \brief Stop the engine. The interpreter stays: it cannot be stopped and started again.
 * \return 0, also if none runs; -1 if it has not stopped within the limit
 */
int embed_stop(uint32_t limit_ms);

/*! \brief Version of Python that runs, such as "3.11.2 (main, ...)" */
const char *embed_python_version(void);

/*! \brief Directory that the engine was imported from, "" if none runs */
const char *embed_directory(void);

#endif /* EMBED_H */
