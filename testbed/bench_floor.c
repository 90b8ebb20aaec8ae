/*
 * The floor that a call with an agent stands on: an application that waits as ElevenLabsConvAI() does, and
 * does nothing else.
 *
 * Its channel's thread waits for the channel, for one more descriptor, which nobody ever signals, and for a
 * time-out; it writes silence of 20 ms for each of the caller's frames. No agent, no buffer, no clock, no
 * second thread. What a call in it costs more than one in Echo() is what this way of waiting costs in
 * Asterisk and in the kernel; testbed.bench_steps measures both in the same seconds.
 */

#include "asterisk.h"

#include <sys/eventfd.h>	/* eventfd(2) */
#include <unistd.h>	/* close(2) */

#include "asterisk/channel.h"	/* ast_waitfor_nandfds, ast_read, ast_write */
#include "asterisk/format_cache.h"	/* ast_format_ulaw */
#include "asterisk/module.h"	/* AST_MODULE_INFO */
#include "asterisk/pbx.h"	/* ast_register_application2 */

/*! Samples of a frame of 20 ms */
#define SAMPLES 160
/*! Code of silence in mu-law */
#define SILENCE 0xff
/*! Milliseconds after which the thread would write without a frame of the caller's */
#define WAIT_MS 30

static const char app[] = "BenchFloor";

/*! \return 0, or -1 when the channel gives nothing any more */
static int wait_and_answer(struct ast_channel *channel, int descriptor, struct ast_frame *silence)
{
	int ms = WAIT_MS;
	int ready_fd = -1;
	struct ast_frame *frame;
	int is_voice;

	if (!ast_waitfor_nandfds(&channel, 1, &descriptor, 1, NULL, &ready_fd, &ms)) {
		return ms < 0 ? -1 : ast_write(channel, silence);
	}
	frame = ast_read(channel);
	if (!frame) {
		return -1;
	}
	is_voice = frame->frametype == AST_FRAME_VOICE;
	ast_frfree(frame);
	return is_voice ? ast_write(channel, silence) : 0;
}

static int floor_exec(struct ast_channel *channel, const char *data)
{
	unsigned char audio[AST_FRIENDLY_OFFSET + SAMPLES];
	struct ast_frame silence = {
		.frametype = AST_FRAME_VOICE,
		.subclass.format = ast_format_ulaw,
		.data.ptr = audio + AST_FRIENDLY_OFFSET,
		.datalen = SAMPLES,
		.samples = SAMPLES,
		.offset = AST_FRIENDLY_OFFSET,
		.src = app,
	};
	int descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	if (descriptor < 0 || ast_set_read_format(channel, ast_format_ulaw)
		|| ast_set_write_format(channel, ast_format_ulaw)) {
		ast_log(LOG_ERROR, "%s: no descriptor, or no mu-law\n", ast_channel_name(channel));
	} else {
		memset(audio, SILENCE, sizeof(audio));
		while (!wait_and_answer(channel, descriptor, &silence)) {
		}
	}
	if (descriptor >= 0) {
		close(descriptor);
	}
	return -1;
}

static int load_module(void)
{
	return ast_register_application2(app, floor_exec, "Wait as a call with an agent does", NULL,
			AST_MODULE_SELF) ? AST_MODULE_LOAD_DECLINE : AST_MODULE_LOAD_SUCCESS;
}

static int unload_module(void)
{
	return ast_unregister_application(app);
}

AST_MODULE_INFO_STANDARD(ASTERISK_GPL_KEY, "The floor of a call's cost, for the benchmark");
