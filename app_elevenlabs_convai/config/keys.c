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

#include "asterisk.h"

#include <ctype.h>	/* isgraph(3) */
#include <fcntl.h>	/* open(2) */
#include <sys/stat.h>	/* stat(2) */
#include <unistd.h>	/* close(2) */

#include "asterisk/strings.h"	/* ast_strlen_zero, ast_true */
#include "asterisk/utf8.h"	/* ast_utf8_is_valid */
#include "asterisk/utils.h"	/* ARRAY_LEN */

#include "config/destinations.h"
#include "config/keys.h"
#include "config/pairs.h"

/*! Room for the name of a context in Asterisk, with its terminator (AST_MAX_CONTEXT) */
#define CONTEXT_SIZE 80

static int keep(const char *value, char *canonical, size_t size)
{
	if (strlen(value) >= size) {
		return -1;
	}
	ast_copy_string(canonical, value, size);
	return 0;
}

static int check_text(const struct config_key *key, const char *value, char *canonical,
	size_t size)
{
	return ast_utf8_is_valid(value) ? keep(value, canonical, size) : -1;
}

/*! \brief Printable ASCII without blanks: goes into a URL or an HTTP header as it is */
static int check_token(const struct config_key *key, const char *value, char *canonical,
	size_t size)
{
	const char *c;

	for (c = value; *c; c++) {
		if (!isascii(*c) || !isgraph(*c)) {
			return -1;
		}
	}
	return ast_strlen_zero(value) ? -1 : keep(value, canonical, size);
}

/*! \brief A name for HTTP's Basic authentication, where a colon ends it */
static int check_user(const struct config_key *key, const char *value, char *canonical,
	size_t size)
{
	return strchr(value, ':') ? -1 : check_token(key, value, canonical, size);
}

static int check_number(const struct config_key *key, const char *value, char *canonical,
	size_t size)
{
	char *end;
	long number;

	errno = 0;
	number = strtol(value, &end, 10);
	if (end == value || *end || errno || number < key->min || number > key->max) {
		return -1;
	}
	snprintf(canonical, size, "%ld", number);
	return 0;
}

static int check_flag(const struct config_key *key, const char *value, char *canonical,
	size_t size)
{
	if (ast_true(value)) {
		return keep("yes", canonical, size);
	}
	return ast_false(value) ? keep("no", canonical, size) : -1;
}

static int check_auth(const struct config_key *key, const char *value, char *canonical,
	size_t size)
{
	if (strcmp(value, "signed_url") && strcmp(value, "none")) {
		return -1;
	}
	return keep(value, canonical, size);
}

static int check_dtmf(const struct config_key *key, const char *value, char *canonical,
	size_t size)
{
	return dtmf_use_find(value) < 0 ? -1 : keep(value, canonical, size);
}

static int check_filler(const struct config_key *key, const char *value, char *canonical,
	size_t size)
{
	return filler_use_find(value) < 0 ? -1 : keep(value, canonical, size);
}

/*! \brief How long a caller may be in the service's queue */
static int check_queue(const struct config_key *key, const char *value, char *canonical,
	size_t size)
{
	if (!strcmp(value, "wait") || !strcmp(value, "refuse")) {
		return keep(value, canonical, size);
	}
	return check_number(key, value, canonical, size);
}

/*! \brief One key of a telephone, or none; the letters in capitals */
static int check_digit(const struct config_key *key, const char *value, char *canonical,
	size_t size)
{
	if (!strcasecmp(value, "none")) {
		return keep("none", canonical, size);
	}
	if (strlen(value) != 1 || !strchr("0123456789*#ABCDabcd", *value)) {
		return -1;
	}
	snprintf(canonical, size, "%c", toupper(*value));
	return 0;
}

static int check_readable(const struct config_key *key, const char *value,
	char *canonical, size_t size)
{
	struct stat info;
	FILE *file;

	/* Check the type first: opening a named pipe would wait for its other end. */
	if (value[0] != '/' || stat(value, &info) || !S_ISREG(info.st_mode)) {
		return -1;
	}
	file = fopen(value, "re");
	if (!file) {
		return -1;
	}
	fclose(file);
	/* Names of files are bytes, not UTF-8. */
	return keep(value, canonical, size);
}

static int check_directory(const struct config_key *key, const char *value,
	char *canonical, size_t size)
{
	size_t length;
	int fd;

	if (value[0] != '/' || !ast_utf8_is_valid(value) || keep(value, canonical, size)) {
		return -1;
	}
	fd = open(value, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		return -1;
	}
	close(fd);
	length = strlen(canonical);
	if (length > 1 && canonical[length - 1] == '/') {
		canonical[length - 1] = '\0';
	}
	return 0;
}

/*! \brief An absolute http or https URL with a host; one trailing slash is dropped */
static int check_http_url(const struct config_key *key, const char *value,
	char *canonical, size_t size)
{
	const char *host;
	size_t length;

	if (!strncmp(value, "https://", strlen("https://"))) {
		host = value + strlen("https://");
	} else if (!strncmp(value, "http://", strlen("http://"))) {
		host = value + strlen("http://");
	} else {
		return -1;
	}
	if (!*host || strchr("/:?#@", *host) || strpbrk(host, "@#\\\"<>")
		|| check_token(key, value, canonical, size)) {
		return -1;
	}
	length = strlen(canonical);
	if (canonical[length - 1] == '/') {
		canonical[length - 1] = '\0';
	}
	return 0;
}

/*! What base_url may name in a word */
static const struct {
	const char *name;
	const char *url;
} regions[] = {
	{ "us", "https://api.us.elevenlabs.io" },
	{ "eu", "https://api.eu.residency.elevenlabs.io" },
	{ "in", "https://api.in.residency.elevenlabs.io" },
	{ "sg", "https://api.sg.residency.elevenlabs.io" },
};

/*! \brief One address of base_url: a region's name or a URL */
static int check_base(const struct config_key *key, const char *value, char *canonical,
	size_t size)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(regions); i++) {
		if (!strcasecmp(value, regions[i].name)) {
			return keep(regions[i].url, canonical, size);
		}
	}
	return strpbrk(value, "?") ? -1 : check_http_url(key, value, canonical, size);
}

/*! \brief Values separated by commas, each checked; the canonical form is without blanks */
static int check_each(const struct config_key *key, const char *value, char *canonical,
	size_t size, int (*check)(const struct config_key *key, const char *value,
	char *canonical, size_t size))
{
	char *rest = ast_strdupa(value);
	char *one;
	size_t used = 0;

	while ((one = strsep(&rest, ","))) {
		if (used) {
			/* The terminator of the one before becomes the comma. */
			canonical[used - 1] = ',';
		}
		if (used >= size || check(key, ast_strip(one), canonical + used, size - used)) {
			return -1;
		}
		used += strlen(canonical + used) + 1;
	}
	return 0;
}

static int check_base_url(const struct config_key *key, const char *value,
	char *canonical, size_t size)
{
	return check_each(key, value, canonical, size, check_base);
}

/*! \brief A word of letters, digits and others */
static int check_word(const char *value, const char *others, char *canonical, size_t size)
{
	const char *c;

	for (c = value; *c; c++) {
		if (!isascii(*c) || (!isalnum(*c) && !strchr(others, *c))) {
			return -1;
		}
	}
	return ast_strlen_zero(value) ? -1 : keep(value, canonical, size);
}

static int check_tool(const struct config_key *key, const char *value, char *canonical,
	size_t size)
{
	return check_word(value, "_-*", canonical, size);
}

/*! \brief Names of tools, with *; which ones there are is known only when they are called */
static int check_tools(const struct config_key *key, const char *value, char *canonical,
	size_t size)
{
	return check_each(key, value, canonical, size, check_tool);
}

/*! \brief A context of the dialplan, as Gosub takes it; Asterisk would cut a longer name, and find none */
static int check_context(const struct config_key *key, const char *value, char *canonical,
	size_t size)
{
	return check_word(value, "_-.", canonical, MIN(size, CONTEXT_SIZE));
}

/*! \brief What get_state may be asked for, with *: no blank, comma or bracket gets into a function's argument */
static int check_state(const struct config_key *key, const char *value, char *canonical,
	size_t size)
{
	return check_word(value, "_-.@/:+*#", canonical, size);
}

static int check_states(const struct config_key *key, const char *value, char *canonical,
	size_t size)
{
	return check_each(key, value, canonical, size, check_state);
}

static int check_override(const struct config_key *key, const char *value, char *canonical,
	size_t size)
{
	return config_override_exists(value) ? keep(value, canonical, size) : -1;
}

/*! \brief The overrides that a channel variable may set */
static int check_overrides(const struct config_key *key, const char *value, char *canonical,
	size_t size)
{
	if (!strcmp(value, "all") || !strcmp(value, "none")) {
		return keep(value, canonical, size);
	}
	return check_each(key, value, canonical, size, check_override);
}

/*! \brief Where the words of a conversation go */
static int check_transcripts(const struct config_key *key, const char *value, char *canonical,
	size_t size)
{
	static const char * const names[] = { "none", "events", "records", "all" };
	size_t i;

	for (i = 0; i < ARRAY_LEN(names); i++) {
		if (!strcmp(value, names[i])) {
			return keep(value, canonical, size);
		}
	}
	return -1;
}

/*! \brief Whether an address in the clear leads to this machine, so that nobody is on the way */
static int is_loopback(const char *url)
{
	static const char * const hosts[] = { "127.0.0.1", "localhost", "[::1]" };
	const char *host = url + strlen("http://");
	size_t i;

	for (i = 0; i < ARRAY_LEN(hosts); i++) {
		size_t length = strlen(hosts[i]);

		if (!strncmp(host, hosts[i], length) && strchr(":/", host[length])) {
			return 1;
		}
	}
	return 0;
}

/*! \brief Where records go: never in the clear over a network; "none" takes back what [general] says */
static int check_webhook_url(const struct config_key *key, const char *value,
	char *canonical, size_t size)
{
	if (!strcmp(value, "none")) {
		return keep("", canonical, size);
	}
	if (!strncmp(value, "http://[", strlen("http://["))) {
		/* The one address in brackets that may be here. */
		if (!is_loopback(value) || check_token(key, value, canonical, size)) {
			return -1;
		}
	} else if (check_http_url(key, value, canonical, size)) {
		return -1;
	}
	/* A path may end in a slash, which is part of it. */
	return !strncmp(value, "https://", strlen("https://")) || is_loopback(value)
		? keep(value, canonical, size) : -1;
}

static int check_endpoint(const struct config_key *key, const char *value,
	char *canonical, size_t size)
{
	if (value[0] == '/') {
		return check_token(key, value, canonical, size);
	}
	return check_http_url(key, value, canonical, size);
}

static int check_destination(const struct config_key *key, const char *value, char *canonical,
	size_t size)
{
	return destination_entry_is_valid(value) ? keep(value, canonical, size) : -1;
}

static int check_destinations(const struct config_key *key, const char *value, char *canonical,
	size_t size)
{
	return check_each(key, value, canonical, size, check_destination);
}

static int check_transfer_method(const struct config_key *key, const char *value, char *canonical,
	size_t size)
{
	if (strcmp(value, "blind") && strcmp(value, "refer")) {
		return -1;
	}
	return keep(value, canonical, size);
}

/*! \brief A variable that Set() takes by its name alone: none that others inherit, and no function */
static int check_variable(const struct config_key *key, const char *value, char *canonical,
	size_t size)
{
	return isascii(*value) && isalpha(*value) ? check_word(value, "_", canonical, size) : -1;
}

static int check_variables(const struct config_key *key, const char *value, char *canonical,
	size_t size)
{
	return check_each(key, value, canonical, size, check_variable);
}

#define YES_OR_NO "yes or no"

const struct config_key config_keys[KEY_COUNT] = {
	[KEY_AGENT_ID] = {
		.name = "agent_id",
		.alias = "elevenlabs_agent_id",
		.check = check_token,
		.preset = "",
		.allowed = "the agent's id as the service shows it, without blanks",
		.flags = KEY_TO_ENGINE | KEY_SECTION_ONLY,
	},
	[KEY_API_KEY] = {
		.name = "api_key",
		.alias = "elevenlabs_api_key",
		.check = check_token,
		.preset = "",
		.allowed = "the key as the service shows it, without blanks",
		.flags = KEY_TO_ENGINE | KEY_HIDDEN,
	},
	[KEY_API_KEY_FILE] = {
		.name = "api_key_file",
		.check = check_readable,
		.preset = "",
		.allowed = "the full path of a readable file with the key in its first line",
		.flags = KEY_HIDDEN,
	},
	[KEY_API_KEY_ENV] = {
		.name = "api_key_env",
		.check = check_token,
		.preset = "",
		.allowed = "the name of an environment variable of Asterisk's that holds the key",
		.flags = KEY_HIDDEN,
	},
	[KEY_BASE_URL] = {
		.name = "base_url",
		.check = check_base_url,
		.preset = "https://api.elevenlabs.io",
		.allowed =
		"us, eu, in, sg, or a URL such as https://api.elevenlabs.io; several, "
		"separated by commas, are tried in turn",
		.flags = KEY_TO_ENGINE,
	},
	[KEY_BRANCH_ID] = {
		.name = "branch_id",
		.check = check_token,
		.preset = "",
		.allowed = "the id of a branch of the agent, without blanks",
		.flags = KEY_TO_ENGINE,
	},
	[KEY_VERSION_ID] = {
		.name = "version_id",
		.check = check_token,
		.preset = "",
		.allowed = "the id of a version of the agent, without blanks",
		.flags = KEY_TO_ENGINE,
	},
	[KEY_ENVIRONMENT] = {
		.name = "environment",
		.check = check_token,
		.preset = "",
		.allowed = "the name of an environment at the service, without blanks",
		.flags = KEY_TO_ENGINE,
	},
	[KEY_AUTH] = {
		.name = "auth",
		.check = check_auth,
		.preset = "signed_url",
		.allowed = "signed_url (needs a key) or none (public agents)",
		.flags = KEY_TO_ENGINE,
	},
	[KEY_SIGNED_URL_ENDPOINT] = {
		.name = "signed_url_endpoint",
		.alias = "elevenlabs_get_signed_url_endpoint",
		.check = check_endpoint,
		.preset = "",
		.allowed = "a path beginning with / on base_url, or a full http or https URL",
		.flags = KEY_TO_ENGINE | KEY_HIDDEN,
	},
	[KEY_CHUNK_MS] = {
		.name = "chunk_ms",
		.alias = "elevenlabs_audio_frames_buffer_ms",
		.check = check_number,
		.min = 20,
		.max = 1000,
		.preset = "20",
		.allowed = "a whole number of milliseconds from 20 to 1000",
		.flags = KEY_TO_ENGINE,
	},
	[KEY_MAX_SESSIONS] = {
		.name = "max_sessions",
		.check = check_number,
		.min = 0,
		.max = 100000,
		.preset = "0",
		.allowed = "a whole number from 0 (no limit) to 100000",
	},
	[KEY_CONNECT_TIMEOUT] = {
		.name = "connect_timeout",
		.alias = "connection_timeout_seconds",
		.check = check_number,
		.min = 1,
		.max = 60,
		.preset = "10",
		.allowed = "a whole number of seconds from 1 to 60",
		.flags = KEY_TO_ENGINE,
	},
	[KEY_CONNECT_ATTEMPTS] = {
		.name = "connect_attempts",
		.alias = "max_connection_attempts",
		.check = check_number,
		.min = 1,
		.max = 10,
		.preset = "3",
		.allowed = "a whole number from 1 to 10",
		.flags = KEY_TO_ENGINE,
	},
	[KEY_SEND_CALLER_NUMBER] = {
		.name = "send_caller_number",
		.alias = "elevenlabs_send_caller_number",
		.check = check_flag,
		.preset = "yes",
		.allowed = YES_OR_NO,
	},
	[KEY_MAX_DURATION] = {
		.name = "max_duration",
		.check = check_number,
		.min = 0,
		.max = 86400,
		.preset = "0",
		.allowed = "a whole number of seconds from 0 (no limit) to 86400",
		.flags = KEY_TO_ENGINE,
	},
	[KEY_SILENCE] = {
		.name = "silence",
		.check = check_flag,
		.preset = "yes",
		.allowed = YES_OR_NO,
	},
	[KEY_CA_FILE] = {
		.name = "ca_file",
		.check = check_readable,
		.preset = "",
		.allowed = "the full path of a readable PEM file",
		.flags = KEY_TO_ENGINE,
	},
	[KEY_TLS_VERIFY] = {
		.name = "tls_verify",
		.check = check_flag,
		.preset = "yes",
		.allowed = YES_OR_NO,
		.flags = KEY_TO_ENGINE,
	},
	[KEY_DEBUG] = {
		.name = "debug",
		.check = check_flag,
		.preset = "no",
		.allowed = YES_OR_NO,
		.flags = KEY_TO_ENGINE,
	},
	[KEY_SILENCE_TIMEOUT] = {
		.name = "silence_timeout",
		.check = check_number,
		.min = 0,
		.max = 86400,
		.preset = "0",
		.allowed = "a whole number of seconds from 0 (off) to 86400",
	},
	[KEY_AGENT_TIMEOUT] = {
		.name = "agent_timeout",
		.check = check_number,
		.min = 0,
		.max = 86400,
		.preset = "0",
		.allowed = "a whole number of seconds from 0 (off) to 86400",
	},
	[KEY_QUEUE] = {
		.name = "queue",
		.check = check_queue,
		.min = 1,
		.max = 86400,
		.preset = "wait",
		.allowed = "wait, refuse, or a whole number of seconds from 1 to 86400",
		.flags = KEY_TO_ENGINE,
	},
	[KEY_DTMF] = {
		.name = "dtmf",
		.check = check_dtmf,
		.preset = "user_message",
		.allowed = "user_message, contextual_update or dialplan",
	},
	[KEY_DTMF_END] = {
		.name = "dtmf_end",
		.check = check_digit,
		.preset = "#",
		.allowed = "one of 0 to 9, *, #, A to D, or none",
	},
	[KEY_DTMF_TIMEOUT_MS] = {
		.name = "dtmf_timeout_ms",
		.check = check_number,
		.min = 100,
		.max = 60000,
		.preset = "2000",
		.allowed = "a whole number of milliseconds from 100 to 60000",
	},
	[KEY_TOOLS] = {
		.name = "tools",
		.check = check_tools,
		.preset = "end_call",
		.allowed = "names of tools, separated by commas, in which * stands for any letters; or none",
		.flags = KEY_TO_ENGINE,
	},
	[KEY_STEPS_CONTEXT] = {
		.name = "steps_context",
		.check = check_context,
		.preset = "elevenlabs-steps",
		.allowed = "a context of the dialplan: letters, digits, - _ and ., 79 of them at most",
	},
	[KEY_STEPS_MAX] = {
		.name = "steps_max",
		.check = check_number,
		.min = 0,
		.max = 1000,
		.preset = "20",
		.allowed = "a whole number from 0 (none) to 1000",
		.flags = KEY_TO_ENGINE,
	},
	[KEY_TOOLS_DIRECTORY] = {
		.name = "tools_directory",
		.check = check_directory,
		.preset = "",
		.allowed = "the full path of a directory that Asterisk can read",
		.flags = KEY_TO_ENGINE,
	},
	[KEY_TOOLS_CONTEXT] = {
		.name = "tools_context",
		.check = check_context,
		.preset = "elevenlabs-tools",
		.allowed = "a context of the dialplan: letters, digits, - _ and ., 79 of them at most",
	},
	[KEY_TOOL_TIMEOUT] = {
		.name = "tool_timeout",
		.check = check_number,
		.min = 1,
		.max = 120,
		.preset = "15",
		.allowed = "a whole number of seconds from 1 to 120",
		.flags = KEY_TO_ENGINE,
	},
	[KEY_FILLER] = {
		.name = "filler",
		.check = check_filler,
		.preset = "none",
		.allowed = "music, tone or none",
	},
	[KEY_FILLER_AFTER_MS] = {
		.name = "filler_after_ms",
		.check = check_number,
		.min = 0,
		.max = 60000,
		.preset = "1500",
		.allowed = "a whole number of milliseconds from 0 to 60000",
		.flags = KEY_TO_ENGINE,
	},
	[KEY_GET_STATE_ALLOW] = {
		.name = "get_state_allow",
		.check = check_states,
		.preset = "none",
		.allowed =
		"extensions as 100@hints, devices as PJSIP/100 and queues, separated by commas, in which * "
		"stands for any letters; or none",
		.flags = KEY_TO_ENGINE,
	},
	[KEY_TRANSFER_ALLOW] = {
		.name = "transfer_allow",
		.check = check_destinations,
		.preset = "none",
		.allowed =
		"extensions or patterns such as 100 or _2XXX, each perhaps with @ and a context (or a host), "
		"separated by commas; . and ! only at a pattern's end; or none",
		.flags = KEY_TO_ENGINE,
	},
	[KEY_TRANSFER_METHOD] = {
		.name = "transfer_method",
		.check = check_transfer_method,
		.preset = "blind",
		.allowed = "blind (the dialplan goes on there) or refer (the caller's line is asked to call there)",
	},
	[KEY_SET_VARIABLE_ALLOW] = {
		.name = "set_variable_allow",
		.check = check_variables,
		.preset = "none",
		.allowed =
		"names of channel variables, separated by commas: a letter, then letters, digits and _; or none",
		.flags = KEY_TO_ENGINE,
	},
	[KEY_FALLBACK_AGENT] = {
		.name = "fallback_agent",
		.check = check_text,
		.preset = "",
		.allowed = "the name of another section, from which no fallback_agent leads back",
		.flags = KEY_SECTION_ONLY,
	},
	[KEY_OVERRIDES] = {
		.name = "overrides",
		.check = check_overrides,
		.preset = "all",
		.allowed = "all, none, or names of overrides such as language, separated by commas",
	},
	[KEY_METRICS_USER] = {
		.name = "metrics_user",
		.check = check_user,
		.preset = "",
		.allowed = "a name without blanks and colons",
		.flags = KEY_GENERAL_ONLY,
	},
	[KEY_METRICS_PASSWORD] = {
		.name = "metrics_password",
		.check = check_token,
		.preset = "",
		.allowed = "a password without blanks; metrics_user, a colon and it have 255 characters at most",
		.flags = KEY_GENERAL_ONLY | KEY_HIDDEN,
	},
	[KEY_HTTP_PAGE] = {
		.name = "http_page",
		.check = check_flag,
		.preset = "no",
		.allowed = YES_OR_NO,
		.flags = KEY_GENERAL_ONLY,
	},
	[KEY_TRANSCRIPTS] = {
		.name = "transcripts",
		.check = check_transcripts,
		.preset = "none",
		.allowed = "none, events, records or all",
		.flags = KEY_TO_ENGINE,
	},
	[KEY_ARI_EVENTS] = {
		.name = "ari_events",
		.check = check_flag,
		.preset = "no",
		.allowed = YES_OR_NO,
	},
	[KEY_RECORDS] = {
		.name = "records",
		.check = check_flag,
		.preset = "no",
		.allowed = YES_OR_NO,
	},
	[KEY_RECORDS_DAYS] = {
		.name = "records_days",
		.check = check_number,
		.min = 1,
		.max = 3650,
		.preset = "30",
		.allowed = "a whole number of days from 1 to 3650",
		.flags = KEY_GENERAL_ONLY,
	},
	[KEY_WEBHOOK_URL] = {
		.name = "webhook_url",
		.check = check_webhook_url,
		.preset = "",
		.allowed = "an https URL (http only to 127.0.0.1, [::1] or localhost), or none",
		.flags = KEY_HIDDEN,
	},
	[KEY_WEBHOOK_SECRET] = {
		.name = "webhook_secret",
		.check = check_token,
		.preset = "",
		.allowed = "the secret that the receiver knows too, without blanks",
		.flags = KEY_HIDDEN,
	},
};

const struct config_key *config_key_find(const char *name)
{
	size_t i;

	for (i = 0; i < KEY_COUNT; i++) {
		const struct config_key *key = &config_keys[i];

		if (!strcasecmp(name, key->name)
			|| (key->alias && !strcasecmp(name, key->alias))) {
			return key;
		}
	}
	return NULL;
}

/*! \brief Whether all addresses are the service's own */
static int is_of_regions(const char *urls)
{
	char *rest = ast_strdupa(urls);
	const char *url;

	while ((url = strsep(&rest, ","))) {
		size_t i = 0;

		while (i < ARRAY_LEN(regions) && strcmp(url, regions[i].url)) {
			i++;
		}
		if (i == ARRAY_LEN(regions) && strcmp(url, config_keys[KEY_BASE_URL].preset)) {
			return 0;
		}
	}
	return 1;
}

int config_key_shows(const struct config_key *key, const char *value)
{
	/* Whatever passes one of these is harmless. A check that is not among them lets words of anybody's pass. */
	static int (* const checks[])(const struct config_key *, const char *, char *, size_t) = {
		check_number, check_flag, check_auth, check_dtmf, check_filler, check_queue, check_digit,
		check_overrides, check_transcripts, check_transfer_method,
		/* Names, which the service is told, or which lead to what it is told. */
		check_tools, check_context,
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(checks); i++) {
		if (key->check == checks[i]) {
			return !(key->flags & KEY_HIDDEN);
		}
	}
	return key->check == check_base_url && is_of_regions(value);
}

int config_key_is_legacy(const char *name)
{
	static const char * const legacy[] = {
		"loglevel", "enable_stt", "stt_websocket_url",
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(legacy); i++) {
		if (!strcasecmp(name, legacy[i])) {
			return 1;
		}
	}
	return !strncasecmp(name, "redis_", strlen("redis_"));
}

/*! \brief The place of a name among others, or -1 */
static int find_name(const char *name, const char * const *names, int count)
{
	int i;

	for (i = 0; i < count; i++) {
		if (!strcmp(name, names[i])) {
			return i;
		}
	}
	return -1;
}

int dtmf_use_find(const char *name)
{
	static const char * const names[] = {
		[DTMF_AS_MESSAGE] = "user_message",
		[DTMF_AS_CONTEXT] = "contextual_update",
		[DTMF_FOR_DIALPLAN] = "dialplan",
	};

	return find_name(name, names, ARRAY_LEN(names));
}

int filler_use_find(const char *name)
{
	static const char * const names[] = {
		[FILLER_NONE] = "none",
		[FILLER_MUSIC] = "music",
		[FILLER_TONE] = "tone",
	};

	return find_name(name, names, ARRAY_LEN(names));
}
