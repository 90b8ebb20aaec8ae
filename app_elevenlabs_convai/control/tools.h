/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Where tools are, and those in Python after a reload
 */

#ifndef CONTROL_TOOLS_H
#define CONTROL_TOOLS_H

#include "config/config.h"	/* config_key_id */

/*! \brief One of the contexts of the dialplan that may have tools */
struct tool_room {
	/*! What an extension of it is called as an argument of an inquiry */
	const char *argument;
	/*! The key that names it */
	enum config_key_id context;
};

/*! Steps, and tools beside the call */
#define TOOL_ROOMS 2
/*! In the order in which a name is looked for */
extern const struct tool_room tool_rooms[TOOL_ROOMS];

/*!
 * \brief Have the engine in service load the files of each tools_directory anew
 *
 * Threads that reload. It only tells the engine; that takes some seconds at most, also where the
 * engine hangs, and nothing where no agent has, or had, a tools_directory.
 */
void tools_renew(void);

#endif /* CONTROL_TOOLS_H */
