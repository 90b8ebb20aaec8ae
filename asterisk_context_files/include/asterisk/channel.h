/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Channels
 */

#ifndef CONTEXT_CHANNEL_H
#define CONTEXT_CHANNEL_H

#include <sys/time.h>

#include "asterisk/astobj2.h"
#include "asterisk/channelstate.h"
#include "asterisk/datastore.h"
#include "asterisk/frame.h"
#include "asterisk/linkedlists.h"
#include "asterisk/utils.h"

#define AST_CHANNEL_NAME 80

struct ast_channel;
struct ast_channel_iterator;
struct ast_format;
struct ast_format_cap;
struct ast_trans_pvt;
struct varshead;

struct ast_party_name {
	char *str;
	int char_set;
	int presentation;
	unsigned char valid;
};

struct ast_party_number {
	char *str;
	int plan;
	int presentation;
	unsigned char valid;
};

struct ast_party_subaddress {
	char *str;
	int type;
	unsigned char odd_even_indicator;
	unsigned char valid;
};

struct ast_party_id {
	struct ast_party_name name;
	struct ast_party_number number;
	struct ast_party_subaddress subaddress;
	char *tag;
};

struct ast_party_caller {
	struct ast_party_id id;
	struct ast_party_id ani;
	struct ast_party_id priv;
	int ani2;
};

struct ast_party_connected_line {
	struct ast_party_id id;
	struct ast_party_id ani;
	struct ast_party_id priv;
	int ani2;
	int source;
};

struct ast_party_dialed {
	struct {
		char *str;
		int plan;
	} number;
	struct ast_party_subaddress subaddress;
	int transit_network_select;
};

enum {
	AST_SOFTHANGUP_DEV = 1 << 0,
	AST_SOFTHANGUP_ASYNCGOTO = 1 << 1,
	AST_SOFTHANGUP_SHUTDOWN = 1 << 2,
	AST_SOFTHANGUP_TIMEOUT = 1 << 3,
	AST_SOFTHANGUP_APPUNLOAD = 1 << 4,
	AST_SOFTHANGUP_EXPLICIT = 1 << 5,
	AST_SOFTHANGUP_HANGUP_EXEC = 1 << 7,
	AST_SOFTHANGUP_ALL = 0xFFFFFFFF,
};

enum {
	AST_FLAG_ZOMBIE = 1 << 4,
	AST_FLAG_OUTGOING = 1 << 10,
};

struct ast_assigned_ids;
struct ast_cc_config_params;
struct ast_msg_data;
struct ast_pbx;
struct ast_stream_topology;

enum ast_bridge_result {
	AST_BRIDGE_COMPLETE = 0,
	AST_BRIDGE_FAILED = -1,
	AST_BRIDGE_FAILED_NOWARN = -2,
	AST_BRIDGE_RETRY = -3,
};

typedef void (*ast_cc_callback_fn)(struct ast_channel *chan, struct ast_cc_config_params *cc_params,
	const char *monitor_type, const char *const device_name, const char *const dialstring,
	void *private_data);

/*! \brief What a kind of channel can do; NULL: it cannot */
struct ast_channel_tech {
	const char * const type;
	const char * const description;
	struct ast_format_cap *capabilities;
	int properties;
	struct ast_channel *(*const requester)(const char *type, struct ast_format_cap *cap,
		const struct ast_assigned_ids *assignedids, const struct ast_channel *requestor,
		const char *addr, int *cause);
	struct ast_channel *(*const requester_with_stream_topology)(const char *type,
		struct ast_stream_topology *topology, const struct ast_assigned_ids *assignedids,
		const struct ast_channel *requestor, const char *addr, int *cause);
	int (*const devicestate)(const char *device_number);
	int (*const presencestate)(const char *presence_provider, char **subtype, char **message);
	int (*const send_digit_begin)(struct ast_channel *chan, char digit);
	int (*const send_digit_end)(struct ast_channel *chan, char digit, unsigned int duration);
	int (*const call)(struct ast_channel *chan, const char *addr, int timeout);
	int (*const hangup)(struct ast_channel *chan);
	int (*const answer)(struct ast_channel *chan);
	int (*const answer_with_stream_topology)(struct ast_channel *chan,
		struct ast_stream_topology *topology);
	struct ast_frame *(*const read)(struct ast_channel *chan);
	struct ast_frame *(*const read_stream)(struct ast_channel *chan);
	int (*const write)(struct ast_channel *chan, struct ast_frame *frame);
	int (*const write_stream)(struct ast_channel *chan, int stream_num, struct ast_frame *frame);
	int (*const send_text)(struct ast_channel *chan, const char *text);
	int (*const send_image)(struct ast_channel *chan, struct ast_frame *frame);
	int (*const send_html)(struct ast_channel *chan, int subclass, const char *data, int len);
	struct ast_frame *(*const exception)(struct ast_channel *chan);
	enum ast_bridge_result (*const early_bridge)(struct ast_channel *c0, struct ast_channel *c1);
	int (*const indicate)(struct ast_channel *c, int condition, const void *data, size_t datalen);
	int (*const fixup)(struct ast_channel *oldchan, struct ast_channel *newchan);
	int (*const setoption)(struct ast_channel *chan, int option, void *data, int datalen);
	int (*const queryoption)(struct ast_channel *chan, int option, void *data, int *datalen);
	int (*const transfer)(struct ast_channel *chan, const char *newdest);
	int (*const write_video)(struct ast_channel *chan, struct ast_frame *frame);
	int (*const write_text)(struct ast_channel *chan, struct ast_frame *frame);
	int (*func_channel_read)(struct ast_channel *chan, const char *function, char *data, char *buf,
		size_t len);
	int (*func_channel_write)(struct ast_channel *chan, const char *function, char *data,
		const char *value);
	const char *(*get_pvt_uniqueid)(struct ast_channel *chan);
	int (*cc_callback)(struct ast_channel *inbound, const char *dest, ast_cc_callback_fn callback);
	int (*pre_call)(struct ast_channel *chan, const char *sub_args);
	int (*const send_text_data)(struct ast_channel *chan, struct ast_msg_data *data);
};

enum ama_flags {
	AST_AMA_NONE = 0,
};

struct ast_endpoint;

/*! \brief A new channel, locked, with a reference for the caller, or NULL */
struct ast_channel * __attribute__((format(printf, 15, 16))) __ast_channel_alloc(int needqueue, int state,
	const char *cid_num, const char *cid_name, const char *acctcode, const char *exten,
	const char *context, const struct ast_assigned_ids *assignedids,
	const struct ast_channel *requestor, enum ama_flags amaflag, struct ast_endpoint *endpoint,
	const char *file, int line, const char *function, const char *name_fmt, ...);
#define ast_channel_alloc(needqueue, state, cid_num, cid_name, acctcode, exten, context, assignedids, requestor, amaflag, ...) \
	__ast_channel_alloc(needqueue, state, cid_num, cid_name, acctcode, exten, context, assignedids, \
		requestor, amaflag, NULL, __FILE__, __LINE__, __FUNCTION__, __VA_ARGS__)
void ast_channel_nativeformats_set(struct ast_channel *chan, struct ast_format_cap *value);
void ast_channel_set_rawreadformat(struct ast_channel *chan, struct ast_format *format);
void ast_channel_set_rawwriteformat(struct ast_channel *chan, struct ast_format *format);
void ast_channel_set_readformat(struct ast_channel *chan, struct ast_format *format);
void ast_channel_set_writeformat(struct ast_channel *chan, struct ast_format *format);
void ast_channel_setwhentohangup_tv(struct ast_channel *chan, struct timeval offset);
/*! \brief The caller's reference goes with it */
void ast_hangup(struct ast_channel *chan);

const char *ast_channel_name(const struct ast_channel *chan);
const char *ast_channel_uniqueid(const struct ast_channel *chan);
const char *ast_channel_linkedid(const struct ast_channel *chan);
int64_t ast_channel_get_up_time_ms(struct ast_channel *chan);
const char *ast_channel_exten(const struct ast_channel *chan);
const char *ast_channel_context(const struct ast_channel *chan);
const struct ast_channel_tech *ast_channel_tech(const struct ast_channel *chan);
/*! \brief NULL: the channel runs no dialplan */
struct ast_pbx *ast_channel_pbx(const struct ast_channel *chan);
/*! \brief The channel is locked */
int ast_channel_is_bridged(const struct ast_channel *chan);
const char *ast_channel_appl(const struct ast_channel *chan);
enum ast_channel_state ast_channel_state(const struct ast_channel *chan);
struct ast_party_caller *ast_channel_caller(struct ast_channel *chan);
struct ast_party_connected_line *ast_channel_connected(struct ast_channel *chan);
struct ast_party_dialed *ast_channel_dialed(struct ast_channel *chan);
struct ast_flags *ast_channel_flags(struct ast_channel *chan);
struct varshead *ast_channel_varshead(struct ast_channel *chan);
struct ast_format *ast_channel_readformat(struct ast_channel *chan);
struct ast_format *ast_channel_writeformat(struct ast_channel *chan);
struct ast_format *ast_channel_rawreadformat(struct ast_channel *chan);
struct ast_format *ast_channel_rawwriteformat(struct ast_channel *chan);
struct ast_format_cap *ast_channel_nativeformats(const struct ast_channel *chan);
/*! \brief The channel's own translation of what is read, or written; NULL if there is none */
struct ast_trans_pvt *ast_channel_readtrans(const struct ast_channel *chan);
struct ast_trans_pvt *ast_channel_writetrans(const struct ast_channel *chan);

int ast_channel_datastore_add(struct ast_channel *chan, struct ast_datastore *datastore);
/*! \brief The channel is locked; uid NULL: any of this type */
struct ast_datastore *ast_channel_datastore_find(struct ast_channel *chan,
	const struct ast_datastore_info *info, const char *uid);
int ast_channel_datastore_remove(struct ast_channel *chan, struct ast_datastore *datastore);

struct ast_audiohook_list;
struct ast_audiohook_list *ast_channel_audiohooks(const struct ast_channel *chan);

int ast_raw_answer(struct ast_channel *chan);
struct ast_channel *ast_waitfor_nandfds(struct ast_channel **chan, int n, int *fds,
	int nfds, int *exception, int *outfd, int *ms);
struct ast_frame *ast_read(struct ast_channel *chan);
int ast_write(struct ast_channel *chan, struct ast_frame *frame);
int ast_queue_frame(struct ast_channel *chan, struct ast_frame *frame);
int ast_set_read_format(struct ast_channel *chan, struct ast_format *format);
int ast_set_write_format(struct ast_channel *chan, struct ast_format *format);

int ast_senddigit_begin(struct ast_channel *chan, char digit);
int ast_senddigit_end(struct ast_channel *chan, char digit, unsigned int duration);
void ast_channel_sending_dtmf_digit_set(struct ast_channel *chan, char value);

void ast_deactivate_generator(struct ast_channel *chan);
int ast_indicate(struct ast_channel *chan, int condition);

int ast_check_hangup(struct ast_channel *chan);
int ast_autoservice_start(struct ast_channel *chan);
int ast_autoservice_stop(struct ast_channel *chan);
int ast_softhangup(struct ast_channel *chan, int reason);
void ast_channel_clear_softhangup(struct ast_channel *chan, int flag);
int ast_channel_softhangup_internal_flag(struct ast_channel *chan);

int ast_channel_hangupcause(const struct ast_channel *chan);
void ast_channel_hangupcause_set(struct ast_channel *chan, int value);
/*! \brief By name or unique id, with a reference */
struct ast_channel *ast_channel_get_by_name(const char *name);

struct ast_channel_iterator *ast_channel_iterator_all_new(void);
struct ast_channel *ast_channel_iterator_next(struct ast_channel_iterator *i);
struct ast_channel_iterator *ast_channel_iterator_destroy(struct ast_channel_iterator *i);

#define ast_channel_lock(chan) ao2_lock(chan)
#define ast_channel_trylock(chan) ao2_trylock(chan)
#define ast_channel_unlock(chan) ao2_unlock(chan)
#define ast_channel_ref(c) ({ \
	ao2_ref(c, +1); \
	(c); \
})
#define ast_channel_unref(c) ({ \
	ao2_ref(c, -1); \
	(struct ast_channel *) NULL; \
})
#define ast_channel_cleanup(c) ({ \
	ao2_cleanup(c); \
	(struct ast_channel *) NULL; \
})

#endif /* CONTEXT_CHANNEL_H */
