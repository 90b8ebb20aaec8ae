/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief No engine in the place of embed.c: for a module that is never to be run
 */

#include "embed.h"

int embed_start(const struct convai_host *host, char *error, size_t size)
{
	(void) host;
	(void) error;
	(void) size;
	return -1;
}

const struct convai_ops *embed_ops(void)
{
	return NULL;
}

int embed_stop(uint32_t limit_ms)
{
	(void) limit_ms;
	return 0;
}

const char *embed_python_version(void)
{
	return "";
}

const char *embed_directory(void)
{
	return "";
}
