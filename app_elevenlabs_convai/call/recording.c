/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What is recorded of a call: the module's half, which writes nothing
 */

#include "asterisk.h"

#include <errno.h>	/* why the engine was not told */

#include "asterisk/astobj2.h"	/* ao2 objects */
#include "asterisk/callerid.h"	/* AST_PRES_RESTRICTION */
#include "asterisk/channel.h"	/* what is told of one */
#include "asterisk/lock.h"	/* a mutex */
#include "asterisk/paths.h"	/* where records go, and whose they are */
#include "asterisk/strings.h"	/* S_OR */
#include "asterisk/utils.h"	/* ast_copy_string */
#include "asterisk/uuid.h"	/* an id that nobody can guess */
#include "asterisk/vector.h"	/* AST_VECTOR */

#include "call/ending.h"
#include "call/parties.h"
#include "call/recording.h"
#include "call/variables.h"
#include "config/config.h"
#include "door.h"
#include "engine/generation.h"
#include "monotonic.h"

/*! Where all of it is, below Asterisk's spool directory */
#define FOLDER "elevenlabs"
/*! Room for the name of a caller, or of an agent; what is longer is cut */
#define NAME_SIZE 256
/*! Room for the unique id of a channel, of which Asterisk makes no longer ones */
#define UNIQUE_ID_SIZE 160
/*! Room for a number as text */
#define NUMBER_SIZE 24
/*! Facts of a call that is over: those of its beginning (facts), of its end (tell), and its figures */
#define FACTS_MAX (24 + RECORDING_FIGURES_MAX)

struct recording {
	char id[AST_UUID_STR_LEN];
	char channel[AST_CHANNEL_NAME];
	char unique_id[UNIQUE_ID_SIZE];
	char linked_id[UNIQUE_ID_SIZE];
	char asked[NAME_SIZE];
	struct parties parties;
	char caller_name[NAME_SIZE];
	char started_ms[NUMBER_SIZE];	/*!< the time of day: since 1970, in ms */
	int64_t started_us;
	struct ast_channel *owner;	/*!< with a reference */
	unsigned int in_file:1;
	unsigned int for_webhook:1;
	unsigned int over:1;		/*!< guarded by the object's lock: the engine has been told */
};

static void now_ms(char *text)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(text, NUMBER_SIZE, "%lld", now.tv_sec * 1000LL + now.tv_nsec / 1000000);
}

/*! \brief The caller's name, unless it is withheld or not known. The channel is locked. */
static void read_name(struct recording *recording, struct ast_channel *channel)
{
	const struct ast_party_name *name = &ast_channel_caller(channel)->id.name;

	if (name->valid && (name->presentation & AST_PRES_RESTRICTION) == AST_PRES_ALLOWED) {
		ast_copy_string(recording->caller_name, S_OR(name->str, ""), NAME_SIZE);
	}
}

static void read_channel(struct recording *recording, struct ast_channel *channel,
	const struct config_agent *settings)
{
	parties_read(&recording->parties, channel, 1);
	ast_channel_lock(channel);
	ast_copy_string(recording->channel, ast_channel_name(channel), sizeof(recording->channel));
	ast_copy_string(recording->unique_id, ast_channel_uniqueid(channel), sizeof(recording->unique_id));
	ast_copy_string(recording->linked_id, ast_channel_linkedid(channel), sizeof(recording->linked_id));
	if (!recording->parties.outbound) {
		read_name(recording, channel);
	}
	ast_channel_unlock(channel);
	if (!settings->send_caller_number) {
		/* As for the agent: of a call that we have made, the other end is who was called. */
		recording->parties.caller[0] = recording->caller_name[0] = '\0';
		if (recording->parties.outbound) {
			recording->parties.called[0] = '\0';
		}
	}
}

static void recording_destructor(void *object)
{
	struct recording *recording = object;

	ast_channel_cleanup(recording->owner);
}

struct recording *recording_begin(struct ast_channel *channel, const struct config *config,
	const struct config_agent *agent, const char *asked)
{
	const struct config_agent *settings = agent ? agent : config ? config->defaults : NULL;
	struct recording *recording;

	if (!settings) {
		return NULL;
	}
	recording = ao2_alloc(sizeof(*recording), recording_destructor);
	if (!recording) {
		return NULL;
	}
	ast_uuid_generate_str(recording->id, sizeof(recording->id));
	recording->owner = ast_channel_ref(channel);
	recording->in_file = settings->records;
	recording->for_webhook = settings->values[KEY_WEBHOOK_URL][0] != '\0';
	ast_copy_string(recording->asked, asked, sizeof(recording->asked));
	now_ms(recording->started_ms);
	recording->started_us = monotonic_us();
	read_channel(recording, channel, settings);
	return recording;
}

/*! \brief What is known from the beginning. \return how many */
static uint32_t facts(const struct recording *recording, const char *agent, struct convai_pair *pairs)
{
	const struct convai_pair all[] = {
		{ CONVAI_PAIR_FACT, "id", recording->id },
		{ CONVAI_PAIR_FACT, "in_file", recording->in_file ? "yes" : "no" },
		{ CONVAI_PAIR_FACT, "for_webhook", recording->for_webhook ? "yes" : "no" },
		{ CONVAI_PAIR_FACT, "system", S_OR(ast_config_AST_SYSTEM_NAME, "") },
		{ CONVAI_PAIR_FACT, "channel", recording->channel },
		{ CONVAI_PAIR_FACT, "unique_id", recording->unique_id },
		{ CONVAI_PAIR_FACT, "linked_id", recording->linked_id },
		{ CONVAI_PAIR_FACT, "direction", recording->parties.outbound ? "outbound" : "inbound" },
		{ CONVAI_PAIR_FACT, "caller_number", recording->parties.caller },
		{ CONVAI_PAIR_FACT, "caller_name", recording->caller_name },
		{ CONVAI_PAIR_FACT, "called_number", recording->parties.called },
		{ CONVAI_PAIR_FACT, "asked_agent", recording->asked },
		{ CONVAI_PAIR_FACT, "agent", agent },
		{ CONVAI_PAIR_FACT, "started_ms", recording->started_ms },
	};

	memcpy(pairs, all, sizeof(all));
	return ARRAY_LEN(all);
}

int recording_describe(const struct recording *recording, const char *agent, struct pair_list *list)
{
	struct convai_pair pairs[FACTS_MAX];
	uint32_t count = recording ? facts(recording, agent, pairs) : 0;
	int res = 0;
	uint32_t i;

	for (i = 0; i < count; i++) {
		res |= pair_list_add_fact(list, pairs[i].name, pairs[i].value);
	}
	return res;
}

/*! \brief Tell the engine the facts of the beginning and of the end. \return 0, or -1 with errno set */
static int tell(const struct recording *recording, struct generation *generation, const char *agent,
	const struct ending *ending, const struct convai_argument *figures, uint32_t figure_count)
{
	struct convai_pair pairs[FACTS_MAX];
	uint32_t count = facts(recording, agent, pairs);
	char ended_ms[NUMBER_SIZE];
	char duration_ms[NUMBER_SIZE];
	char answered_ms[NUMBER_SIZE];
	const struct convai_pair end[] = {
		{ CONVAI_PAIR_FACT, "status", status_name(ending->status) },
		{ CONVAI_PAIR_FACT, "reason", ending->reason },
		{ CONVAI_PAIR_FACT, "detail", ending->detail },
		{ CONVAI_PAIR_FACT, "ended_ms", ended_ms },
		{ CONVAI_PAIR_FACT, "duration_ms", duration_ms },
		{ CONVAI_PAIR_FACT, "answered_ms", answered_ms },
	};
	uint32_t i;

	now_ms(ended_ms);
	snprintf(duration_ms, sizeof(duration_ms), "%lld",
		(long long) (monotonic_us() - recording->started_us) / 1000);
	ast_channel_lock(recording->owner);
	snprintf(answered_ms, sizeof(answered_ms), "%lld",
		(long long) ast_channel_get_up_time_ms(recording->owner));
	ast_channel_unlock(recording->owner);
	memcpy(pairs + count, end, sizeof(end));
	count += ARRAY_LEN(end);
	for (i = 0; i < figure_count && i < RECORDING_FIGURES_MAX; i++) {
		pairs[count++] = (struct convai_pair) { CONVAI_PAIR_FACT, figures[i].name, figures[i].value };
	}
	return generation_ops(generation)->inform(CONVAI_INFORM_CALL_OVER, pairs, count);
}

/*! \return whether this is the first time */
static int is_first(struct recording *recording)
{
	int first;

	ao2_lock(recording);
	first = !recording->over;
	recording->over = 1;
	ao2_unlock(recording);
	return first;
}

/*! \brief Whether its record goes further than to the engine's memory */
static int is_wanted(const struct recording *recording)
{
	return recording->in_file || recording->for_webhook;
}

/*! \brief Warn, where somebody wants the record: what is only kept in memory may be missing there */
static void not_recorded(const struct recording *recording, const char *why)
{
	if (is_wanted(recording)) {
		door_log(LOG_WARNING, "%s: the end of the call is not recorded: %s\n", recording->channel, why);
	}
}

const char *recording_id(const struct recording *recording)
{
	return recording && is_wanted(recording) ? recording->id : "";
}

const char *recording_key(const struct recording *recording)
{
	return recording ? recording->id : "";
}

void recording_end(struct recording *recording, struct generation *generation, const char *agent,
	const struct ending *ending, const struct convai_argument *figures, uint32_t figure_count)
{
	struct generation *any = NULL;

	if (!recording || !is_first(recording)) {
		return;
	}
	if (!generation) {
		generation = any = generation_take();
	}
	if (!generation) {
		not_recorded(recording, "the engine is not running");
	} else if (tell(recording, generation, agent, ending, figures, figure_count)
		&& errno != ESHUTDOWN) {
		/* An engine that has stopped has recorded by itself how it ended its calls. */
		not_recorded(recording, strerror(errno));
	}
	if (any) {
		generation_leave(any);
	}
}

/* ---- What the engine is told once ---- */

AST_VECTOR(settings, struct convai_pair);

static int add(struct settings *settings, const char *name, const char *value)
{
	struct convai_pair pair = { CONVAI_PAIR_SETTING, name, value };

	return AST_VECTOR_APPEND(settings, pair);
}

/*! \brief The keys that say how calls with an agent are recorded, and where the records go */
static int add_section(struct settings *settings, const char *name,
	const struct config_agent *agent)
{
	static const enum config_key_id keys[] = {
		KEY_RECORDS, KEY_WEBHOOK_URL, KEY_WEBHOOK_SECRET, KEY_CA_FILE,
	};
	int res = add(settings, "section", name);
	size_t i;

	for (i = 0; i < ARRAY_LEN(keys); i++) {
		res |= add(settings, config_keys[keys[i]].name, agent->values[keys[i]]);
	}
	return res;
}

AST_MUTEX_DEFINE_STATIC(lock);

void recording_configure(void)
{
	struct settings settings;
	char folder[PATH_MAX];
	/* Held until the engine knows: of two reloads at once the later one counts. */
	SCOPED_MUTEX(locked, &lock);
	struct config *config = config_get();
	size_t i;
	int res;

	if (!config || !config->defaults) {
		ao2_cleanup(config);
		return;
	}
	AST_VECTOR_INIT(&settings, 0);
	snprintf(folder, sizeof(folder), "%s/%s", ast_config_AST_SPOOL_DIR, FOLDER);
	res = add(&settings, "in_service", "") | add(&settings, "folder", folder)
		| add(&settings, "records_days", S_OR(config->general[KEY_RECORDS_DAYS],
		config_keys[KEY_RECORDS_DAYS].preset))
		| add_section(&settings, "general", config->defaults);
	for (i = 0; i < AST_VECTOR_SIZE(&config->agents); i++) {
		const struct config_agent *agent = AST_VECTOR_GET(&config->agents, i);

		res |= add_section(&settings, agent->name, agent);
	}
	if (res || generation_inform(AST_VECTOR_GET_ADDR(&settings, 0), AST_VECTOR_SIZE(&settings))) {
		door_log(LOG_ERROR, "An engine does not know how calls are to be recorded: out of memory\n");
	}
	AST_VECTOR_FREE(&settings);
	ao2_cleanup(config);
}
