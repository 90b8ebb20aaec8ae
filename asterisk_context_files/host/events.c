/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Events of AMI and CEL: what they are made of, and all that were published; what CDR is left
 */

#include "host_internal.h"

#include "asterisk/astobj2.h"
#include "asterisk/cdr.h"
#include "asterisk/cel.h"
#include "asterisk/manager.h"
#include "asterisk/pbx.h"
#include "asterisk/stasis.h"
#include "asterisk/stasis_channels.h"
#include "asterisk/strings.h"
#include "asterisk/utils.h"

#define EVENTS_SIZE (64 * 1024)

struct ast_channel_snapshot {
	char uniqueid[64];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char events[EVENTS_SIZE];
static size_t used;
static const char *caller_number = "";

struct ast_channel_snapshot *ast_channel_snapshot_get_latest(const char *uniqueid)
{
	struct ast_channel_snapshot *snapshot = ao2_alloc(sizeof(*snapshot), NULL);

	if (snapshot) {
		ast_copy_string(snapshot->uniqueid, uniqueid, sizeof(snapshot->uniqueid));
	}
	return snapshot;
}

void host_event_caller(const char *number)
{
	caller_number = number;
}

/*!
 * Some of the fields that there are: the caller's name comes as it is from the network, and
 * manager.conf has two channelvars
 */
struct ast_str *ast_manager_build_channel_state_string(
	const struct ast_channel_snapshot *snapshot)
{
	struct ast_str *lines = ast_str_create(256);

	if (lines) {
		if (*caller_number) {
			ast_str_append(&lines, 0, "CallerIDNum: %s\r\n", caller_number);
		}
		ast_str_append(&lines, 0, "CallerIDName: J\xe4ger\r\nUniqueid: %s\r\n"
								  "ChanVariable: a=1\r\nChanVariable: b=C\xf6\r\n",
			snapshot->uniqueid);
	}
	return lines;
}

void ast_manager_publish_event(const char *type, int class_type, struct ast_json *obj)
{
	host_jitter();
	pthread_mutex_lock(&lock);
	used += snprintf(events + used, sizeof(events) - used, "Event: %s\n%s\n", type,
		host_json_lines(obj));
	if (used >= sizeof(events)) {
		used = 0;	/* Tests of many calls look at no event. */
	}
	pthread_mutex_unlock(&lock);
	host_jitter();
}

struct stasis_message_type *ast_multi_user_event_type(void)
{
	return NULL;
}

void ast_multi_object_blob_single_channel_publish(struct ast_channel *chan,
	struct stasis_message_type *type, struct ast_json *blob)
{
	ast_manager_publish_event("UserEvent", EVENT_FLAG_USER, blob);
}

static unsigned int snapshots;

void ast_channel_publish_snapshot(struct ast_channel *chan)
{
	__atomic_fetch_add(&snapshots, 1, __ATOMIC_SEQ_CST);
}

unsigned int host_snapshots(void)
{
	return __atomic_load_n(&snapshots, __ATOMIC_SEQ_CST);
}

const char *host_events(void)
{
	static char copy[EVENTS_SIZE];

	pthread_mutex_lock(&lock);
	memcpy(copy, events, sizeof(copy));
	pthread_mutex_unlock(&lock);
	return copy;
}

/* ---- Records ---- */

static int keeps_records;
static char detail_record[1024];

void host_keep_records(int keep)
{
	keeps_records = keep;
	detail_record[0] = '\0';
	host_bring_function(keep ? "CDR" : NULL);
}

unsigned int ast_cel_check_enabled(void)
{
	return keeps_records;
}

void ast_cel_publish_event(struct ast_channel *chan, enum ast_cel_event_type event_type,
	struct ast_json *blob)
{
	ast_manager_publish_event("CEL", EVENT_FLAG_CALL, blob);
}

int ast_cdr_is_enabled(void)
{
	return keeps_records;
}

int ast_func_write(struct ast_channel *chan, const char *function, const char *value)
{
	snprintf(detail_record, sizeof(detail_record), "%s=%s", function, value);
	return 0;
}

const char *host_detail_record(void)
{
	return detail_record;
}
