/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The scripted host: what a test says to the stand-in for Asterisk, and asks it
 *
 * A test is a function of its own process. It loads the module, makes a channel, says what
 * is to happen at which time, runs the application on the test's own thread, and then looks
 * at what was written, logged and set. Time is virtual: it stands still while code runs and
 * jumps to the next thing that happens when the module waits. When a test is through, nothing
 * may be left: no memory, object, frame, registration, descriptor or thread.
 */

#ifndef HOST_H
#define HOST_H

#include "asterisk.h"

#include "asterisk/channel.h"
#include "asterisk/format_cache.h"
#include "asterisk/frame.h"

#define MS 1000	/*!< microseconds */

/* ---- Tests ---- */

struct ast_str;

struct host_test {
	const char *suite;	/*!< name of its file */
	const char *name;
	void (*function)(void);
	int todo;	/*!< shows a fault that is known: may fail */
	struct host_test *next;
};
void host_test_add(struct host_test *test);

/*! \brief Define a test; it is run in a process of its own */
#define TEST(name) HOST_TEST(name, 0)
/*! \brief Define a test that shows a fault which is known; make it a TEST when it passes */
#define TEST_TODO(name) HOST_TEST(name, 1)
#define HOST_TEST(name, todo) \
	static void test_##name(void); \
	static void __attribute__((constructor)) add_##name(void) \
	{ \
		static struct host_test test = { \
			__FILE__, #name, test_##name, todo, NULL, \
		}; \
		host_test_add(&test); \
	} \
	static void test_##name(void)

/*! \brief Print where and why, and end the test's process */
void __attribute__((format(printf, 3, 4), noreturn)) host_fail(const char *file, int line,
	const char *format, ...);
#define FAIL(...) host_fail(__FILE__, __LINE__, __VA_ARGS__)

void host_check_int(const char *file, int line, const char *what, long long actual,
	long long expected);
void host_check_str(const char *file, int line, const char *what, const char *actual,
	const char *expected);
void host_check_has(const char *file, int line, const char *what, const char *actual,
	const char *part);
#define CHECK(condition) do { \
	if (!(condition)) { \
		FAIL("%s is false", #condition); \
	} \
} while (0)
#define CHECK_INT(actual, expected) \
	host_check_int(__FILE__, __LINE__, #actual, (actual), (expected))
#define CHECK_STR(actual, expected) \
	host_check_str(__FILE__, __LINE__, #actual, (actual), (expected))
/*! The actual text contains this part */
#define CHECK_HAS(actual, part) \
	host_check_has(__FILE__, __LINE__, #actual, (actual), (part))

/*! \brief Sleep a moment of real time, or end the test: what it waits for has not come in nearly all of its limit */
void host_wait(const char *file, int line, const char *what);
/*!
 * \brief Wait until something is so that another thread brings about
 *
 * It looks every ms of real time; virtual time stands still meanwhile. One effect of a thread's says nothing of its
 * next: each is waited for, or follows in the code from one that was. The limit is the test's own.
 */
#define WAIT_FOR(condition) do { \
	while (!(condition)) { \
		host_wait(__FILE__, __LINE__, #condition); \
	} \
} while (0)

/*! \brief So many descriptors stay with the process by design, however often it loads */
void host_keeps_descriptors(unsigned int count);

/* ---- Time ---- */

/*! \brief Microseconds since the test began */
int64_t host_now(void);
/*! \brief From now on real time passes, for tests with several threads */
void host_use_real_time(void);
/*! \brief The same by a clock that stands still: no limit of the module's is ever over, however slow the machine is */
void host_stop_clock(void);
/*! \brief Have something done at a time; earlier than now means as soon as somebody waits */
void host_at(int64_t at_us, void (*action)(void *data), void *data);
/*! \brief Let time pass with nothing happening, as if the thread had not been scheduled */
void host_stall(int64_t us);
/*! \brief Let time pass, and everything happen that is to happen in it */
void host_sleep(int64_t us);

/* ---- Faults ---- */

/*! \brief The nth allocation of the module's from now on fails (1 is the next); 0: none */
void host_fail_allocation(unsigned int n);
/*! \brief Whether that one has come */
int host_allocation_failed(void);
/*!
 * \brief The nth call from now on of this function of the host's fails
 *
 * Those that can: ast_register_application2, __ast_cli_register_multiple, ast_register_atexit,
 * __ast_custom_function_register_escalating, ast_app_exec_sub, ast_moh_start, ast_playtones_start,
 * __ast_channel_alloc, __ast_format_cap_alloc, ast_pthread_create_stack,
 * __ast_custom_function_register_escalating, ast_app_exec_sub, ast_devstate_prov_add,
 * ast_sched_context_create, ast_sched_start_thread,
 * ast_manager_register2,
 * ast_set_read_format, ast_set_write_format, ast_raw_answer, ast_waitfor_nandfds,
 * ast_translate_path_steps, ast_translator_build_path, ast_translate,
 * ast_channel_iterator_all_new.
 */
void host_fail_call(const char *function, unsigned int n);

/* ---- Channels ---- */

/*! One frame that was written to a channel */
struct host_written {
	int64_t at_us;
	const struct ast_format *format;
	int samples;
	int bytes;
	uint8_t audio[2 * 960 * 2];
};

/*! \brief A channel that is ringing, with this codec; the caller owns a reference */
struct ast_channel *host_channel(const char *name, struct ast_format *codec);
void host_channel_caller(struct ast_channel *channel, const char *number, int presentation);
void host_channel_dialed(struct ast_channel *channel, const char *number);
/*! \brief We have called it; PJSIP says that it has dialled this, "" where it says nothing */
void host_channel_outgoing(struct ast_channel *channel, const char *remote_uri);
/*! \brief Our number, on a channel that we have called */
void host_channel_connected(struct ast_channel *channel, const char *number, int presentation);
/*! \brief Another device is put into the channel now: an attended transfer */
void host_channel_masquerade(struct ast_channel *channel, const char *name,
	struct ast_format *codec, const char *number);
/*! \brief The channel's device is put into another one now: a redirect without a PBX */
void host_channel_take_away(struct ast_channel *channel);
/*! \brief How long the channel takes to answer */
void host_channel_answer_takes(struct ast_channel *channel, int64_t us);
/*! \brief The next so many writes fail, and soft-hang up the channel as Asterisk's do */
void host_channel_write_fails(struct ast_channel *channel, unsigned int count);
/*! \brief What happens once, when the next frame is about to be written */
void host_channel_when_written(struct ast_channel *channel, void (*happens)(struct ast_channel *channel));
/*! \brief RTP has been missing for rtp_timeout: the channel is soft-hung up for that, once, and has a cause */
void host_channel_falls_silent(struct ast_channel *channel);
/*! \brief ast_write takes so long */
void host_channel_write_takes(struct ast_channel *channel, int64_t us);
/*! \brief The dialplan has started a tone or music: writes succeed, and nobody hears them */
void host_channel_generator(struct ast_channel *channel);
/*! \brief Tones and music that the channel was told to begin and to end, a word each */
const char *host_channel_told(const struct ast_channel *channel);
void host_channel_state(struct ast_channel *channel, enum ast_channel_state state);

/*! \brief A voice frame of the codec arrives now; its samples count up from first */
void host_channel_voice(struct ast_channel *channel, unsigned int samples, uint8_t first);
/*! \brief The caller's telephone signals something: AST_CONTROL_HOLD and others */
void host_channel_control(struct ast_channel *channel, int control);
/*! \brief A voice frame arrives in a format that is not the channel's, and is not translated */
void host_channel_voice_as(struct ast_channel *channel, struct ast_format *format,
	unsigned int samples);
/*! \brief A voice frame arrives with the time stamp of its line; below 0: it has none */
void host_channel_voice_of(struct ast_channel *channel, unsigned int samples, uint8_t first,
	long stamp_ms);
/*! \brief A voice frame without data arrives: a jitter buffer's interpolation */
void host_channel_empty(struct ast_channel *channel, unsigned int samples);
/*! \brief The channel's codec is another one from now on, as after a re-INVITE */
void host_channel_codec(struct ast_channel *channel, struct ast_format *codec);
/*! \brief The channel has agreed on this codec as well */
void host_channel_codec_too(struct ast_channel *channel, struct ast_format *codec);
/*! \brief A frame that is not voice arrives now */
void host_channel_frame(struct ast_channel *channel, enum ast_frame_type type);
/*! \brief The caller presses a key (AST_FRAME_DTMF_BEGIN) or lets it go (AST_FRAME_DTMF_END) */
void host_channel_dtmf(struct ast_channel *channel, enum ast_frame_type type, char digit);
/*! \brief The far end hangs up now */
void host_channel_hangup(struct ast_channel *channel);
/*!
 * \brief A voice frame of frame_us arrives at start_us and every interval_us up to end_us, with
 * the time as its stamp
 */
void host_channel_talk(struct ast_channel *channel, int64_t start_us, int64_t end_us,
	int64_t frame_us, int64_t interval_us);

/*! \brief The channel has this unique id, so that a test can have several */
void host_channel_id(struct ast_channel *channel, const char *unique_id);
/*! \brief A channel is masqueraded into another one: what is attached to it goes there */
void host_channel_move(struct ast_channel *from, struct ast_channel *to);
/*! \brief A channel is hung up: nobody finds it any more, and what is attached to it goes */
void host_channel_end(struct ast_channel *channel);

/* ---- Audiohooks; host/audiohook.c ---- */

/*! \brief The channel's audiohooks get samples that were read from it, or written to it. \return whether one has changed them */
int host_channel_hears(struct ast_channel *channel, int is_written, int16_t *samples,
	unsigned int length, unsigned int rate);
/*! \brief All that is given to audiohooks from now on has come by RTP with this number; 0: none has */
void host_channel_hears_number(int number);
/*! \brief Empty frames that were given to audiohooks as read or written, so that Asterisk makes its path anew */
unsigned int host_refreshed(int is_written);
size_t host_channel_hooks(struct ast_channel *channel);

/* ---- Names; host/names.c ---- */

/*! \brief Name servers do not answer, and look-ups give up after so long. Addresses are no matter of theirs. */
void host_names_take(int64_t us);

/* ---- WebSockets; host/websocket.c ---- */

/*!
 * \brief How the next connections end: enum ast_websocket_result, and how long that takes
 * \param after_us HOST_NOT_YET: until this is called again, also for those that are waited for by then
 */
void host_websocket_answers(int result, int64_t after_us);
#define HOST_NOT_YET INT64_C(-1)
/*! \brief The module with the client does not run */
void host_websocket_missing(void);
/*! \brief The listener's end of the nth connection, which the test closes; -1 if there is none */
int host_websocket_listener(size_t i);
/*! \brief Where the last connection was to go, and " with TLS" */
const char *host_websocket_asked(void);
/*! \brief From now on the kernel takes so many bytes at once, 0: what it will. Not of the client's own messages. */
void host_send_takes(size_t bytes);

size_t host_written_count(const struct ast_channel *channel);
const struct host_written *host_written(const struct ast_channel *channel, size_t i);
/*! \brief A channel variable, "" if it is not set, NULL if it was deleted or never was */
const char *host_variable(struct ast_channel *channel, const char *name);
/*! \brief Run an application on this thread, as the dialplan does. \return what it returned */
/*! \brief The one function that a module brings to the dialplan; NULL for none, as at first */
void host_bring_function(const char *name);
int host_exec(struct ast_channel *channel, const char *application, const char *data);
/*!
 * \brief The dialplan has this extension: what a subroutine that begins there does, on the channel's thread
 *
 * It sets variables, and lets time pass with host_dialplan_waits or host_sleep. For as long as the test.
 */
void host_extension(const char *context, const char *extension,
	void (*subroutine)(struct ast_channel *channel, void *data), void *data);
/*! \brief The dialplan has this extension with one application, whose arguments are these */
void host_extension_line(const char *context, const char *extension, const char *arguments);
/*!
 * \brief An application of the dialplan's reads the channel for so long
 * \param digits HOST_DIGITS_SIZE of what was pressed meanwhile, or NULL
 * \return 0, or -1 as soon as the channel is hung up
 */
int host_dialplan_waits(struct ast_channel *channel, int64_t us, char *digits);
#define HOST_DIGITS_SIZE 32
/*! \brief A function of another module's gives this value for NAME(arguments), whoever asks; for as long as the test */
void host_gives(const char *function, const char *value);
/*! \brief The dialplan reads NAME(arguments). \return what it gives, until the next one; NULL if it fails */
const char *host_function(struct ast_channel *channel, const char *function);
/*! \brief The dialplan, or (escalated 0) somebody without that right, sets NAME(arguments). \return 0 or -1 */
int host_function_set(struct ast_channel *channel, const char *function, const char *value,
	int escalated);
/*! \brief The same with as much room as it takes (read2) */
const char *host_function_long(struct ast_channel *channel, const char *function);
/*! \brief What Asterisk says when it asks for the state of a device: NOT_INUSE and the like */
const char *host_device_state(const char *device);
/*! \brief What was told of devices since the last time, in order: "x=BUSY y=cleared" */
const char *host_device_states(void);
/*! \brief The application stays on the channel for so long after it has returned */
void host_channel_leaves_late(struct ast_channel *channel, int64_t us);
/*! \brief Pretend that the channel is in this application; NULL: in none */
void host_channel_application(struct ast_channel *channel, const char *application);

/*! \brief The slin format of a rate; any rate is made, unlike Asterisk's cache */
struct ast_format *host_slin(unsigned int rate);
/*! \brief A codec that nothing translates, and one of video's */
struct ast_format *host_g729(void);
struct ast_format *host_vp8(void);
/*! \brief How often a translation path was asked for, with or without success */
unsigned int host_paths_asked(void);
/*! \brief A translation gives several frames of at most this many samples; 0: one */
void host_translate_in_pieces(unsigned int samples);

/* ---- Transfers and digits; host/transfer.c ---- */

/*! \brief The channel runs no dialplan: somebody has called this application by AMI */
void host_channel_without_pbx(void);
/*! \brief The channel is half of a Local one, and a caller is bridged to this other half */
void host_channel_half(struct ast_channel *half);
/*! \brief The far end can be asked to call elsewhere; takes 0: that fails */
void host_channel_refers(int takes);
/*! \brief The far end says what came of that: 0, 1 or a status of SIP */
void host_channel_answers(struct ast_channel *channel, int answer);
/*! \brief Where the channel went, and how: "goto context,exten,1 ", "bridge context,exten ", "refer address " */
const char *host_went(void);
/*! \brief Digits that were sent: "1@1000+100 ", in ms */
const char *host_tones(void);

/* ---- The module ---- */

/*! \return what load returned: enum ast_module_load_result */
int host_load(void);
/*! \brief Unload as `module unload` does, or as `module unload -f`. \return 0 or -1 */
int host_unload(int force);
/*! \return what reload returned: enum ast_module_reload_result */
int host_reload(void);
/*! \brief Somebody has asked Asterisk to stop, gracefully or not */
void host_shutting_down(void);
/*! \brief `core stop now`: run what was registered for the end, unload nothing */
void host_stop_now(void);
int host_application_registered(const char *application);
/*! \brief Everything registered with the host */
unsigned int host_registrations(void);

/* ---- Configuration ---- */

/*! \brief Write a file of the configuration directory */
void host_write_config(const char *name, const char *text);
/*! \brief The same at once, so that whoever reads it meanwhile has the old or the new text */
void host_replace_config(const char *name, const char *text);
void host_remove_config(const char *name);
/*! \brief What happens once, when the next file has just been read; NULL: nothing */
void host_when_config_is_read(void (*action)(void *data), void *data);
/*! \brief The configuration directory, made for this test */
const char *host_config_directory(void);

/* ---- Log and commands ---- */

/*! \brief All lines so far: "WARNING text\n" ... */
const char *host_log(void);
void host_log_clear(void);
/*! \brief Lines that contain this */
unsigned int host_logged(const char *part);

/*! \brief Type a command. \return what it prints, until the next command of this thread */
const char *host_cli(const char *line);
/*! \brief Complete the last word. \return all candidates, sorted, with a blank between them */
const char *host_complete(const char *line);

/*!
 * \brief A program asks for an action, with headers such as "Channel: x", and NULL behind them
 * \return "Success: ..." or "Error: ...", or all lines where it has fields; until the next action of this thread
 */
const char *host_ami(const char *action, ...) __attribute__((sentinel));
/*! \brief What RTP tells of each channel's line from now on; NULL: channels have none. It is not copied. */
struct ast_rtp_instance_stats;
void host_line(const struct ast_rtp_instance_stats *stats);
/*! \brief The classes of which one is needed for an action, or -1 */
int host_action_authority(const char *action);
/*! \brief The events of AMI that were published: "Event: x", a line each field, an empty line */
const char *host_events(void);
/*! \brief How often channels were shown anew to whoever looks */
unsigned int host_snapshots(void);
/*! \brief Whether CEL and CDR are enabled. Then events of CEL are among the others, as "Event: CEL" */
void host_keep_records(int keep);
/*! \brief What a function of the dialplan was given to keep last: "CDR(name)=value", a line each field */
const char *host_detail_record(void);

/*! \brief What Asterisk writes into events as the caller's number; "": no field. It is not copied. */
void host_event_caller(const char *number);
/*! \brief What happens once, while an action that is asked for gives its answer */
/* ---- A database: realtime.c ---- */

/*!
 * \brief Have extconfig.conf name a database for the family `elevenlabs`, or not any more (NULL)
 *
 * \param source what it gives to who asks for rows in which a column has a value; any thread
 */
void host_database(struct ast_variable *(*source)(const char *column, const char *value));
/*! \brief A row with these values, "name=sales&agent_id=a"; a value may have no & and no = */
struct ast_variable *host_row(const char *text);
/*! \brief Have extconfig.conf name a database for elevenlabs.conf: the file is read as if it came from there */
void host_file_in_database(int in_database);
/*! \brief How often a channel was given to Asterisk to be read meanwhile; all have been taken back */
unsigned int host_serviced(void);

/*!
 * \brief Ask Asterisk's HTTP server for the metrics
 * \param from an address of IPv4 or IPv6
 * \param login "user:password", or NULL
 * \param[out] text what it answers, until the next request
 * \return the status
 */
int host_http_get(const char *from, const char *login, const char **text);

/*! Most headers, parameters and fields of a request */
#define HOST_HTTP_MAX 8

/*! A request; what is not given is not there */
struct host_request {
	int method;	/*!< enum ast_http_method */
	const char *path;	/*!< behind the prefix, as "elevenlabs/status.json" */
	const char *headers[HOST_HTTP_MAX];	/*!< "Name: value" */
	const char *params[HOST_HTTP_MAX];	/*!< "name=value" */
	const char *form[HOST_HTTP_MAX];	/*!< "name=value" */
	int lacks_body;	/*!< the body that its headers promise never comes */
};

/*!
 * \brief Ask Asterisk's HTTP server for something
 * \param[out] header of the answer, with \param[out] text; until the next request
 * \return the status
 */
int host_http(const struct host_request *request, const char **header, const char **text);
/*! \brief Somebody has logged in by AMI over HTTP, with these classes: the cookie names session 1. 0: logged off. */
void host_log_in(int read, int write);
/*! \brief Whoever is sent a stream leaves when this many looks at it have found nothing new */
void host_viewer_stays(int looks);
/*! \brief What happens at the look of this number, from 0 */
void host_when_viewer_looks(int look, void (*happens)(void *data), void *data);

/*! \brief Have res_prometheus read the metrics of those who have registered with it */
void host_scrape(struct ast_str **output);

/*! \brief Whether manager.conf enables AMI; at first it does not */
void host_enable_ami(int enable);
void host_when_ami_answers(void (*happens)(void *data), void *data);

/*!
 * \brief A command is in use, by nobody who ends, from now on (1), or not any more (0)
 *
 * As when somebody reads a page of its output: Asterisk refuses to unregister it.
 */
void host_command_hold(const char *command, int hold);

#endif /* HOST_H */
