/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The keys of elevenlabs.conf: names, defaults, and what is allowed
 */

#ifndef CONFIG_KEYS_H
#define CONFIG_KEYS_H

#include <stddef.h>

/*!
 * Index of a key in config_keys and in every array of values. Where several keys are named,
 * as by a fault or a reload, they come in this order; nothing depends on it.
 */
enum config_key_id {
	KEY_AGENT_ID,
	KEY_API_KEY,
	KEY_API_KEY_FILE,
	KEY_API_KEY_ENV,
	KEY_BASE_URL,
	KEY_BRANCH_ID,
	KEY_VERSION_ID,
	KEY_ENVIRONMENT,
	KEY_AUTH,
	KEY_SIGNED_URL_ENDPOINT,
	KEY_CHUNK_MS,
	KEY_MAX_SESSIONS,
	KEY_CONNECT_TIMEOUT,
	KEY_CONNECT_ATTEMPTS,
	KEY_SEND_CALLER_NUMBER,
	KEY_MAX_DURATION,
	KEY_SILENCE,
	KEY_CA_FILE,
	KEY_TLS_VERIFY,
	KEY_DEBUG,
	KEY_SILENCE_TIMEOUT,
	KEY_AGENT_TIMEOUT,
	KEY_QUEUE,
	KEY_DTMF,
	KEY_DTMF_END,
	KEY_DTMF_TIMEOUT_MS,
	KEY_TOOLS,
	KEY_STEPS_CONTEXT,
	KEY_STEPS_MAX,
	KEY_TOOLS_DIRECTORY,
	KEY_TOOLS_CONTEXT,
	KEY_TOOL_TIMEOUT,
	KEY_FILLER,
	KEY_FILLER_AFTER_MS,
	KEY_GET_STATE_ALLOW,
	KEY_TRANSFER_ALLOW,
	KEY_TRANSFER_METHOD,
	KEY_SET_VARIABLE_ALLOW,
	KEY_FALLBACK_AGENT,
	KEY_OVERRIDES,
	KEY_METRICS_USER,
	KEY_METRICS_PASSWORD,
	KEY_HTTP_PAGE,
	KEY_TRANSCRIPTS,
	KEY_ARI_EVENTS,
	KEY_RECORDS,
	KEY_RECORDS_DAYS,
	KEY_WEBHOOK_URL,
	KEY_WEBHOOK_SECRET,
	KEY_COUNT,
};

enum config_key_flag {
	KEY_TO_ENGINE = 1 << 0,		/*!< the engine is told its value */
	/*! the value is never shown, not even in a fault: it is a secret, or one that was put there by mistake */
	KEY_HIDDEN = 1 << 1,
	KEY_SECTION_ONLY = 1 << 2,	/*!< makes no sense in [general] */
	KEY_GENERAL_ONLY = 1 << 3,	/*!< makes no sense in the section of an agent */
};

/*! What becomes of digits: the key dtmf */
enum dtmf_use {
	DTMF_AS_MESSAGE,	/*!< the agent answers, as if they had been spoken */
	DTMF_AS_CONTEXT,	/*!< the agent knows, and says nothing because of it */
	DTMF_FOR_DIALPLAN,	/*!< the agent is not told */
};

/*! What the caller hears while a tool takes its time: the key filler */
enum filler_use {
	FILLER_NONE,
	FILLER_MUSIC,	/*!< music on hold, of the channel's own class */
	FILLER_TONE,	/*!< a short note now and then */
};

/*! Room for the name of a section, of which Asterisk has no longer ones, with its terminator */
#define CONFIG_SECTION_SIZE 80

/*! Longest canonical value, with its terminator */
#define CONFIG_VALUE_SIZE 1024

struct config_key {
	const char *name;
	const char *alias;	/*!< what an earlier module of this name called it, or NULL */
	/*!
	 * \brief Check a value and write its canonical form
	 * \return 0, or -1 if it is not allowed
	 */
	int (*check)(const struct config_key *key, const char *value, char *canonical,
		size_t size);
	long min;
	long max;
	const char *preset;	/*!< canonical default, "" for none */
	const char *allowed;	/*!< completes the sentence "allowed is ..." */
	unsigned int flags;	/*!< enum config_key_flag */
};

extern const struct config_key config_keys[KEY_COUNT];

/*! \brief The key of this name or alias, or NULL */
const struct config_key *config_key_find(const char *name);

/*!
 * \brief Whether a value may be shown to anybody: a number, a word out of a list, the name of a tool or of its
 * context, an address of the service's own. What else there is may be a credential, put there by mistake or not.
 */
int config_key_shows(const struct config_key *key, const char *value);

/*! \brief Whether the name is of an earlier module's and has no counterpart here */
int config_key_is_legacy(const char *name);

/*! \brief The use that is called so in elevenlabs.conf, or -1 */
int dtmf_use_find(const char *name);

/*! \brief The same of enum filler_use */
int filler_use_find(const char *name);

#endif /* CONFIG_KEYS_H */
