/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Where Prometheus reads the metrics: res_prometheus, and an address of our own
 */

#ifndef CONTROL_SCRAPE_H
#define CONTROL_SCRAPE_H

/*!
 * \brief Offer the metrics at <prefix>/elevenlabs/metrics, and by res_prometheus if it is loaded
 *
 * Threads that load, reload or unload the module, one at a time. May be called again: res_prometheus may
 * have come, or come anew, meanwhile.
 *
 * \return 0, or -1 if the address could not be had
 */
int scrape_register(void);

/*!
 * \brief Offer them no longer, and wait until nobody reads them
 * \return 0, or -1 if one still does when the limit is reached
 */
int scrape_unregister(int limit_ms);

#endif /* CONTROL_SCRAPE_H */
