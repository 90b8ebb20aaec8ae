/*
 * app_forkstream: copy a call's audio to a listener
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief forkstream.conf: where streams may go, and how many there may be
 */

#ifndef FORKSTREAM_CONFIG_H
#define FORKSTREAM_CONFIG_H

#include "options.h"

#define CONFIG_FILE "forkstream.conf"
/*! Most lines `allow` */
#define CONFIG_ALLOW_MAX 64

/*! What the file says. It is never changed: a reload makes another one. */
struct config {
	unsigned int max_streams;
	unsigned int connect_seconds;
	char ca_file[256];	/*!< "": where the distributions have it */
	unsigned int allow_count;	/*!< 0: this machine alone */
	struct destination allow[CONFIG_ALLOW_MAX];
};

/*!
 * \brief Read the file, and use it from now on. A missing file is the defaults.
 * \return how many faults there are, each of which is in the log; then nothing is changed
 */
int config_read(void);

/*! \brief What is in use, with a reference; NULL if nothing was read */
struct config *config_get(void);

/*! \brief Whether a stream may go there. \param error why not, and what to do, ERROR_SIZE bytes */
int config_admits(const struct config *config, const struct destination *to, char *error);

/*! \brief Before the module goes */
void config_release(void);

#endif /* FORKSTREAM_CONFIG_H */
