/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What a reload has changed, said to whoever asked for it
 */

#ifndef CONFIG_DIFF_H
#define CONFIG_DIFF_H

struct config;
struct config_report;

/*!
 * \brief Say how one snapshot differs from another: a line for each agent and for [general]
 *
 * Names of keys are said, values never: some are secret. The order of sections is no
 * difference.
 *
 * \param fd a CLI descriptor, or -1 for the log
 */
void config_diff(const struct config *before, const struct config *after, int fd);

/*!
 * \brief Load the file, and say what that has changed where faults are said as well
 *
 * Reads files, and waits for other loads; for threads of the CLI and of reloads.
 *
 * \return as config_load
 */
int config_reload(struct config_report *report);

#endif /* CONFIG_DIFF_H */
