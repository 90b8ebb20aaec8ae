/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What stays of a call in Asterisk's own records: channel event logging and call detail records
 *
 * The channel thread, without a lock. Where nobody keeps such records nothing is done. Fields are strings
 * that may leave the module.
 */

#ifndef CALL_DETAIL_RECORDS_H
#define CALL_DETAIL_RECORDS_H

struct ast_channel;
struct ast_json;

/*! \brief Log a user-defined event of CEL with these fields */
void detail_records_event(struct ast_channel *channel, const char *name, struct ast_json *fields);

/*! \brief Leave the fields in CDR(elevenlabs), in place of those of a call before. Waits for Asterisk's thread of CDR. */
void detail_records_set(struct ast_channel *channel, struct ast_json *fields);

#endif /* CALL_DETAIL_RECORDS_H */
