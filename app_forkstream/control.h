/*
 * app_forkstream: copy a call's audio to a listener
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What operators type, and programs ask for by AMI
 */

#ifndef FORKSTREAM_CONTROL_H
#define FORKSTREAM_CONTROL_H

/*! \brief Offer commands and actions. \return 0 or -1 */
int control_register(void);

/*! \brief Take them back, and wait until none runs any more. \return 0, or -1 if one still does */
int control_unregister(void);

#endif /* FORKSTREAM_CONTROL_H */
