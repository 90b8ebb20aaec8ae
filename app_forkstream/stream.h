/*
 * app_forkstream: copy a call's audio to a listener
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief One stream, from the application to its end, and the list of all
 *
 * Who has a part in it:
 * - the channel: a datastore, which goes where the channel goes, holds a reference and the audiohook;
 * - the channel's thread: the audiohook's callback pushes frames. It takes no lock but Asterisk's own, and
 *   does nothing that could wait;
 * - the network's thread (transport.c) takes them, and is the one that ends the stream: whoever wants
 *   it to end says so with stream_end, and is back at once.
 */

#ifndef FORKSTREAM_STREAM_H
#define FORKSTREAM_STREAM_H

#include "asterisk/audiohook.h"
#include "asterisk/channel.h"
#include "asterisk/linkedlists.h"

#include "media.h"
#include "options.h"

/*! An id in words: 16 hexadecimal digits */
#define STREAM_ID_SIZE 17

/*! Why a stream is over; the first one counts */
enum stream_reason {
	REASON_NONE,
	REASON_HANGUP,
	REASON_STOPPED,
	REASON_UNREACHABLE,	/*!< its listener was not found, or did not answer in time */
	REASON_REFUSED,	/*!< ... or answered something else */
	REASON_CLOSED,	/*!< the listener has gone */
	REASON_UNLOADED,
};

enum stream_state {
	STATE_CONNECTING,
	STATE_UP,
	STATE_OVER,
};

struct stream {
	uint64_t id;
	char id_text[STREAM_ID_SIZE];
	struct destination to;
	struct options options;
	struct ast_audiohook hook;
	struct media *media;	/*!< NULL once the stream is over. The callback's under the hook's lock. */
	int state;	/*!< enum stream_state; atomic */
	int reason;	/*!< enum stream_reason; atomic */
	int64_t began_us;
	int64_t deadline_us;	/*!< it is connected by then */
	char *start_text;	/*!< the JSON text `start` */
	char channel[AST_CHANNEL_NAME];	/*!< under the object's lock, as are the next two */
	char unique_id[160];
	char linked_id[160];
	/* The beep: the channel's thread's. */
	int64_t beep_wait_us;	/*!< until the next; below 0: it sounds */
	unsigned int beep_phase;
	int has_moved;	/*!< a masquerade, since the network's thread has listened; atomic */
	/* The network's thread's. */
	unsigned int looked_after;	/*!< directions that have brought nothing since stream_listen saw to them ... */
	int64_t listen_again_us;	/*!< ... which it does again then */
	struct udp_socket *socket;	/*!< udp.c's, once it is up; NULL */
	struct websocket *websocket;	/*!< websocket.c's, once it is up; NULL */
	int64_t start_again_us;
	uint64_t lost_packets;	/*!< that the kernel did not take; atomic */
	uint64_t refused;	/*!< times that nobody listened; atomic */
	pthread_t thread;	/*!< its own, where it has one */
	int thread_is_over;
	AST_LIST_ENTRY(stream) list;	/*!< in the list of all */
	AST_LIST_ENTRY(stream) served;	/*!< in a list of the network's thread, with a reference */
	AST_LIST_ENTRY(stream) threads;	/*!< in the list of threads, with a reference of its own */
};

/*! \brief Make a stream that is nowhere yet; it is connected by the deadline. NULL if memory is short. */
struct stream *stream_create(const struct destination *to, const struct options *options, int64_t deadline_us);

/*! \brief Put it on its channel, which is locked: frames come from now on. \return 0 or -1 */
int stream_attach(struct stream *stream, struct ast_channel *channel);

/*! \brief Note the channel's names, as they are now. The channel is locked. */
void stream_name_channel(struct stream *stream, struct ast_channel *channel);

/*! \brief From connecting to another state. \return 0 if somebody else was first */
int stream_goes_to(struct stream *stream, enum stream_state state);

/*! \brief Say that a stream is to end. Any thread; waits for nothing. */
void stream_end(struct stream *stream, enum stream_reason reason);

/*! \brief Take a stream from its channel, and end it. Waits for the channel's lock. */
void stream_stop(struct stream *stream, enum stream_reason reason);

/*! \brief The same with those of a channel, or the one with this id. \return how many there were */
unsigned int stream_stop_all(struct ast_channel *channel, const char *id);

/*!
 * \brief Have Asterisk hear a direction again that has brought nothing. The network's thread.
 *
 * Asterisk holds a channel's lock for a moment while it looks one up; nothing else is waited for.
 *
 * What an audiohook hears Asterisk decodes on a path that it keeps. Some builds (Debian's 22.10) leave out what
 * looks late by its number, and so all that comes from a new source whose numbers begin lower: after a transfer, after a
 * masquerade, after a re-INVITE, after what a jitter buffer has made up. An empty frame of another codec has it make the
 * path anew; nobody hears it.
 */
void stream_listen(struct stream *stream, int64_t now_us);

/*! \brief Mute these directions, or no longer; the others stay as they are */
void stream_mute(struct stream *stream, unsigned int directions, int is_muted);

/*! \brief The network's thread is through with it: no frame comes any more, and it is taken from the list */
void stream_is_over(struct stream *stream);

const char *stream_reason_name(int reason);
const char *stream_state_name(int state);

/*! \brief Make what wakes the network's thread. \return a descriptor that is readable then, or -1 */
int streams_open(void);
void streams_free(void);
/*! \brief There is something to do for the network's thread. Any thread; waits for nothing. */
void streams_wake(void);

/*! \brief Add one to the list of all, which has a reference. \return 0, or -1 if there are so many or none may start */
int streams_add(struct stream *stream, unsigned int most);
/*! \brief The stream with this id, with a reference, or NULL */
struct stream *streams_find(const char *id);
/*! \brief All of them, oldest first, with references. \return how many; streams_free_list frees them */
size_t streams_list(struct stream ***list);
void streams_free_list(struct stream **list, size_t count);
/*! \brief Streams that have not been freed, those that are over included */
int streams_alive(void);
/*! \brief From now on none is started, or again */
void streams_close(int closed);

#endif /* FORKSTREAM_STREAM_H */
