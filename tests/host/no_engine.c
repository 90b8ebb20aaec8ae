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

#include "engine/embed.h"

int embed_open(char *error, size_t size)
{
	return -1;
}

const struct convai_ops *embed_import(const char *directory, int limit_ms, char *error,
	size_t size)
{
	return NULL;
}

void embed_forget(const char *directory)
{
}

void embed_close(int limit_ms)
{
}

void embed_pin(void)
{
}

const char *embed_python_version(void)
{
	return "";
}
