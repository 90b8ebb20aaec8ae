/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Where elevenlabs.conf sets the keys of an agent, for who tells of them
 */

#ifndef CONFIG_PLACES_H
#define CONFIG_PLACES_H

/*!
 * \brief Tell where each key is set that counts for a section, as the file is now
 *
 * Reads files; never call it from a channel thread. Says nothing of a file that cannot be read. Of two lines
 * that set one key the later one is told later, and a section's behind those of [general].
 *
 * \param tell called with the place of each line, such as "elevenlabs.conf:7 [sales] tools"; stops when it
 *             does not return 0
 * \return what it returned last, or 0
 */
int config_places(const char *section, int (*tell)(void *data, const char *place), void *data);

#endif /* CONFIG_PLACES_H */
