/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief elevenlabs.conf as one immutable, reference-counted snapshot
 *
 * A call keeps the agent it started with; a reload puts a new snapshot in the place of
 * the old one, and an invalid file puts nothing there.
 */

#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "config/report.h"
#include "config/snapshot.h"

#define CONFIG_FILE "elevenlabs.conf"

/*!
 * \brief Read a file, and put it to no use yet
 *
 * Reads files; never call it from a channel thread. A missing file is a valid one without
 * agents.
 *
 * \param name a path, or a name in Asterisk's configuration directory
 * \return what it says, with a reference for the caller; NULL after at least one fault was
 * reported
 */
struct config *config_read(const char *name, struct config_report *report);

/*! The snapshots before and after a load. Owns a reference to each. */
struct config_change {
	struct config *before;	/*!< NULL at the first load */
	struct config *after;
};

/*!
 * \brief Read the file and, if it is valid, put it in the place of the one before
 *
 * As config_read of CONFIG_FILE. Of several threads each gets what it has replaced itself.
 *
 * \param[out] change to be given to config_change_release after a success
 * \return 0, or -1 after at least one fault was reported, and then nothing has changed
 */
int config_load(struct config_report *report, struct config_change *change);

/*!
 * \brief Have a function called after each load that has put something into use, whoever asked for it
 *
 * Called on the thread that loads, without a lock; before the first load.
 */
void config_watch(void (*changed)(void));

/*! \brief Let the snapshots of a load go */
void config_change_release(struct config_change *change);

/*! \brief Forget the snapshot. Calls keep the agents they have. */
void config_unload(void);

/*!
 * \brief The snapshot in use, with a reference for the caller; NULL before the first load
 */
struct config *config_get(void);

#endif /* CONFIG_CONFIG_H */
