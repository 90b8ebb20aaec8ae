/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Where words leave the module: log, terminals, channel variables, AMI and HTTP
 *
 * Nothing else writes there (scripts/check_words.py), so that no text from outside gets by: each of
 * these makes it harmless first (words.h). Any thread. They allocate nothing, and cut what is longer
 * than DOOR_LINE_MAX. Texts may end in a newline; they have no other.
 */

#ifndef DOOR_H
#define DOOR_H

#include "words.h"

struct ast_channel;
struct ast_str;
struct mansession;
struct message;

/*! Of one line, in bytes: a traceback of the engine's fits, and so much older loggers take as well */
#define DOOR_LINE_MAX 8000

/*! \brief A line in the log; the first four as `LOG_WARNING` and the like give them */
void __attribute__((format(printf, 5, 6))) door_log(int level, const char *file, int line,
	const char *function, const char *format, ...);

/*! \brief A line in the log of who looks for a fault of ours; needs asterisk/logger.h */
#define door_debug(level, ...) do { \
	if (DEBUG_ATLEAST(level)) { \
		door_log(AST_LOG_DEBUG, __VA_ARGS__); \
	} \
} while (0)

/*! Lines of the log that are kept, for `elevenlabs bundle`: 84 kB */
#define DOOR_KEPT 200
/*! Of one of them, in bytes; what is longer is cut */
#define DOOR_KEPT_SIZE 400

/*!
 * \brief Tell the last lines that went to the log, from old to new, those of who looks for a fault left out
 *
 * Each with its time of day (UTC) and level, without a newline. Takes a mutex for a copy of each.
 */
void door_kept(void (*tell)(void *data, const char *line), void *data);

/*! \brief A line on consoles of this verbosity; 0: whatever they have */
void __attribute__((format(printf, 2, 3))) door_verbose(int level, const char *format, ...);

/*! \brief A line of a command's output, or a piece of one; columns stay where they are */
void __attribute__((format(printf, 2, 3))) door_cli(int fd, const char *format, ...);

/*! \brief Offer a word to whoever completes a command */
void door_completion(const char *word);

/*! \brief Set a channel variable; NULL takes it away. A value is data, or a sentence of ours. */
void door_variable(struct ast_channel *channel, const char *name, const char *value,
	enum words_use use);

/*! \brief Make what a function gives to the dialplan data, in place */
void door_value(char *text);

/*! \brief Append a string of JSON to a text: a line, quoted; neither a terminal nor HTML acts upon it */
void door_json(struct ast_str **out, const char *text);

/*! \brief Answer an AMI action: with success, or with failure */
void door_answer(struct mansession *session, const struct message *message, int succeeded,
	const char *text);

/*! \brief The same with fields: names, which are ours, and values; SENTINEL behind them */
void __attribute__((sentinel)) door_answer_fields(struct mansession *session,
	const struct message *message, int succeeded, const char *text, ...);

/*! \brief Answer an AMI action with a list: items follow, then its end */
void door_list_begin(struct mansession *session, const struct message *message, const char *text);

/*! \brief One item of a list: an event for this program alone; fields as for door_answer_fields */
void __attribute__((sentinel)) door_list_item(struct mansession *session,
	const struct message *message, const char *event, ...);

/*! \brief All items of a list have been sent */
void door_list_end(struct mansession *session, const struct message *message, const char *event,
	size_t count);

#endif /* DOOR_H */
