/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What the files of the host know of each other
 */

#ifndef HOST_INTERNAL_H
#define HOST_INTERNAL_H

#include <poll.h>

#include "host.h"

struct ast_json;

/*! \brief malloc that ends the test instead of failing: the host's own memory has no faults */
void *host_alloc(size_t size);

/*! \brief Hold up this thread, if HOST_JITTER says so and chance does: where another one may overtake it */
void host_jitter(void);
void host_jitter_begin(void);

/*! \brief Whether this allocation of the module's is to fail */
int host_allocation_fails(void);
/*! \brief Whether this call is to fail */
int host_call_fails(const char *function);

/*! \brief The kernel's monotonic time, whatever time the test has */
int64_t host_real_us(void);
/*! \brief Time to wait until the next event, at most until this time */
int64_t host_next_event(int64_t until_us);
/*! \brief Do what is due */
void host_run_due(void);
int host_time_is_virtual(void);
/*! \brief Jump to a time, virtual time only */
void host_jump(int64_t to_us);

void __attribute__((format(printf, 2, 0))) host_log_add(const char *level,
	const char *format, va_list ap);

/*! \brief Make or free what is there before and after every test */
void host_formats_begin(void);
void host_formats_end(void);
void host_config_begin(void);
void host_config_end(void);
/*! \brief Whether extconfig.conf names a database for this file */
int host_config_is_in_database(const char *name);

/*! \brief As ast_frdup, but without faults: what comes from the network, or from Asterisk */
struct ast_frame *host_frame_copy(const struct ast_frame *fr);
struct ast_format_cap *host_cap_make(void);
void host_cap_add(struct ast_format_cap *cap, struct ast_format *format);
unsigned int host_sample_bytes(const struct ast_format *format);
/*! \brief The frame in another format, in one or several pieces, or NULL */
struct ast_frame *host_translate(struct ast_frame *frame, struct ast_format *to);
/*! \brief What the dialplan sees as the application that the channel is in */
void host_channel_set_application(struct ast_channel *channel, const char *application);
/*! \brief What a function of another module's gives, as host_gives has it. \return 0 or -1 */
int host_given(const char *function, char *text, size_t size);
/*! \brief How long the channel stays in an application after it has returned */
int64_t host_channel_lateness(const struct ast_channel *channel);

/*! \brief A channel's audiohooks go to another one, or are taken from it for good */
void host_hooks_move(struct ast_channel *from, struct ast_channel *to);
void host_hooks_end(struct ast_channel *channel);

/*! \brief Whether a digit is being sent: what is written is lost */
int host_tone_sounds(void);
/*! \brief Another device has the channel: a digit that sounds will have no end there */
void host_lose_tone(void);

/*! \brief Say what is left, one line each. \return how much */
unsigned int host_memory_left(void);
unsigned int host_objects_left(void);
/*! \brief Have a test fail that locks this while it holds the lock of another kind of object */
void host_object_is_channel(void *data);
unsigned int host_frames_left(void);
unsigned int host_registrations_left(void);
/*! \brief Commands that are registered */
unsigned int host_commands_left(void);
/*! \brief Actions of AMI that are registered */
unsigned int host_actions_left(void);

/*! \brief Addresses of HTTP and metrics that are registered */
unsigned int host_addresses_left(void);

/*! \brief Functions of the dialplan that are registered */
unsigned int host_functions_left(void);
unsigned int host_device_states_left(void);

/*! \brief A pair of name and value, copied; to be given to ast_variables_destroy */
struct ast_variable *host_pair(const char *name, const char *value);

/*! \brief What an object of strings says, a line "Name: value" each */
const char *host_json_lines(const struct ast_json *object);

/*! \brief Soft-hangup of every channel that is in an application of the module */
unsigned int host_channels_hangup(int reason);

/*! \brief poll(2) itself; what is linked calls the host's, which knows of virtual time */
int __real_poll(struct pollfd *fds, nfds_t count, int timeout);

#endif /* HOST_INTERNAL_H */
