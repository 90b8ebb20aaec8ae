/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

#ifndef CONTEXT_MUSICONHOLD_H
#define CONTEXT_MUSICONHOLD_H

struct ast_channel;

int ast_moh_start(struct ast_channel *chan, const char *mclass, const char *interpclass);
void ast_moh_stop(struct ast_channel *chan);

#endif /* CONTEXT_MUSICONHOLD_H */
