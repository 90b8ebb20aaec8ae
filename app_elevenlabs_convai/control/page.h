/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The live page: calls, agents and endings in a browser, by Asterisk's own HTTP server
 *
 * Below <prefix>/elevenlabs, where http_page is on: the page itself, `status.json`, `events` (the same again and
 * again, as server-sent events), and `say` and `hangup`, which take a POST. Who asks has logged in by AMI over
 * HTTP: the class `reporting` to see, `call` to act. Threads of Asterisk's HTTP server; none takes the GIL.
 */

#ifndef CONTROL_PAGE_H
#define CONTROL_PAGE_H

/*!
 * So many may have `events` open: each holds a thread, and one of the 100 connections of all of Asterisk's HTTP
 * server, ARI and AMI included. Others are told to poll `status.json`.
 */
#define PAGE_VIEWERS_MAX 4

/*! So often a viewer is sent what there is, in ms: levels have 100 ms each, and nobody reads faster */
#define PAGE_TICK_MS 1000

/*! So often a thread that waits for the next tick looks whether the module is to go, in ms */
#define PAGE_LOOK_MS 200

/*! So long may the engine take to make a report, in ms: it looks on the disk */
#define PAGE_REPORT_MS 15000

/*! \brief Offer the page. Load, reload, unload only. \return 0, or -1 if the address could not be had */
int page_register(void);

/*!
 * \brief Offer it no longer, end what is under way, and wait for that. Load, reload, unload only.
 * \return 0, or -1 if somebody is still in there when the limit is reached
 */
int page_unregister(int limit_ms);

#endif /* CONTROL_PAGE_H */
