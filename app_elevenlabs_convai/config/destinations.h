/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */
/*!
 * \file
 * \brief Where an agent may transfer a caller: the entries of transfer_allow
 *
 * An entry is an extension, or a pattern of the dialplan, and perhaps a place: `_2XXX@internal`. The place
 * is a context, with a priority behind a colon unless that is 1, or the host of a SIP address. Any thread.
 */

#ifndef CONFIG_DESTINATIONS_H
#define CONFIG_DESTINATIONS_H

#include <stddef.h>

/*! Room for an extension, with its terminator; Asterisk has as much */
#define DESTINATION_NAME_SIZE 80
/*! Room for a context with a priority, or for a host */
#define DESTINATION_PLACE_SIZE 96

/*! \brief Whether all characters are letters or digits of ASCII, or one of others; not for "" */
int destination_has_only(const char *text, const char *others);

/*! \brief Whether an entry can be taken as it is meant */
int destination_entry_is_valid(const char *entry);

/*!
 * \brief Whether an entry names a context that the dialplan does not have, now
 *
 * Asterisk's lock of the dialplan is taken for a look-up. Not for entries with a host (transfer_method = refer).
 */
int destination_is_nowhere(const char *entry);

/*! \brief The entry that admits nearly any number, dear ones among them, and its length; NULL if none does */
const char *destination_widest(const char *list, size_t *length);

/*!
 * \brief Look for the entry that admits a destination; the first one counts
 * \param list canonical value of transfer_allow
 * \param own the place of an entry that names none; "" if there is none
 * \param[in,out] place where it is to be; "": wherever the entry says. DESTINATION_PLACE_SIZE bytes
 * \return whether there is one
 */
int destination_is_admitted(const char *list, const char *name, const char *own, char *place);

#endif /* CONFIG_DESTINATIONS_H */
