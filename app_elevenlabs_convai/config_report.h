/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What is wrong with elevenlabs.conf, said to whoever asked for it to be read
 */

#ifndef CONFIG_REPORT_H
#define CONFIG_REPORT_H

#include <stddef.h>

/*!
 * Where a load says what it finds. There may be much of it: each is said as it is found.
 */
struct config_report {
	int fd;		/*!< a CLI descriptor, or -1 for the log */
	const char *file;	/*!< what is being read; set by config_read */
	unsigned int faults;	/*!< of these one is enough to refuse the file */
	unsigned int warnings;
};

/*!
 * \brief Report something about the file, a section of it, or one of its lines
 * \param level __LOG_ERROR for a fault, __LOG_WARNING for what only deserves a look
 * \param section NULL when it concerns no section
 * \param file NULL for the file that is being read itself
 * \param line 0 when it concerns no single line
 */
void __attribute__((format(printf, 6, 7))) config_say(struct config_report *report,
	int level, const char *section, const char *file, int line, const char *format, ...);

/*!
 * \brief Report the lines of a file that Asterisk's parser would skip
 *
 * It logs lines without an equal sign and directives that it does not know, and then
 * reports success; a key that was meant to be set would silently not be.
 *
 * \param file as Asterisk names it: a path, or a name in its configuration directory
 */
void config_check_lines(struct config_report *report, const char *file);

/*! \brief Full path of a file as Asterisk names it, written to path */
const char *config_path(const char *file, char *path, size_t size);

#endif /* CONFIG_REPORT_H */
