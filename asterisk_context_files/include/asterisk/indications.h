/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

#ifndef CONTEXT_INDICATIONS_H
#define CONTEXT_INDICATIONS_H

struct ast_channel;

int ast_playtones_start(struct ast_channel *chan, int vol, const char *tonelist, int interruptible);
void ast_playtones_stop(struct ast_channel *chan);

#endif /* CONTEXT_INDICATIONS_H */
