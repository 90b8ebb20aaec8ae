/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Checks over the whole configuration, beyond each key by itself: what is allowed, but
 * rarely meant, and where fallback_agent leads
 */

#include "asterisk.h"

#include "asterisk/cli.h"	/* ESS */
#include "asterisk/config.h"	/* lines of the file */
#include "asterisk/strings.h"	/* strings */
#include "asterisk/utils.h"	/* ast_strdupa */

#include "config/destinations.h"
#include "config/snapshot.h"
#include "config/report.h"
#include "config/rows.h"
#include "config/warn.h"

static int is_loopback(const char *host)
{
	size_t length = strcspn(host, host[0] == '[' ? "]" : ":");

	return (length == strspn(host, "0123456789.") && !strncmp(host, "127.", 4))
		|| !strncmp(host, "[::1]", 5)
		|| (length == strlen("localhost") && !strncasecmp(host, "localhost", length));
}

/*! \brief Warn about an address to which the key, or a call, goes in the clear */
static void warn_if_clear(struct config_report *report, const struct config_agent *agent,
	const struct ast_variable *first, enum config_key_id id, const char *url)
{
	if (!strncmp(url, "http://", 7) && !is_loopback(url + 7)) {
		config_warning(report, agent->name, first,
			"%s is not encrypted: key and calls can be read on the way to %.*s",
			config_keys[id].name, (int) strcspn(url + 7, "/?"), url + 7);
	}
}

/*! \brief Warn about the addresses in base_url: each one, and that there are several */
static void warn_about_bases(struct config_report *report,
	const struct config_agent *agent, const struct ast_variable *first)
{
	char *rest = ast_strdupa(agent->values[KEY_BASE_URL]);
	int several = !!strchr(rest, ',');
	char *base;

	while ((base = strsep(&rest, ","))) {
		warn_if_clear(report, agent, first, KEY_BASE_URL, base);
	}
	if (!strcmp(agent->values[KEY_AUTH], "signed_url")) {
		warn_if_clear(report, agent, first, KEY_SIGNED_URL_ENDPOINT,
			agent->values[KEY_SIGNED_URL_ENDPOINT]);
	}
	if (several && !strcmp(agent->values[KEY_AUTH], "signed_url")
		&& strstr(agent->values[KEY_SIGNED_URL_ENDPOINT], "://")) {
		config_warning(report, agent->name, first,
			"base_url has several addresses, but signed_url_endpoint is a full URL: "
			"that one decides where calls go");
	}
}

/*! \brief Warn about what an agent could be talked into, and about where no transfer gets */
static void warn_about_transfers(struct config_report *report, const struct config_agent *agent,
	const struct ast_variable *first)
{
	char *rest = ast_strdupa(agent->values[KEY_TRANSFER_ALLOW]);
	const char *entry;
	size_t length;
	const char *widest = destination_widest(agent->values[KEY_TRANSFER_ALLOW], &length);

	while (!strcmp(agent->values[KEY_TRANSFER_METHOD], "blind") && (entry = strsep(&rest, ","))) {
		if (destination_is_nowhere(entry)) {
			/* No fault: a dialplan can be loaded at any time. */
			config_warning(report, agent->name, first,
				"transfer_allow has %s, and the dialplan has no such context: transfers there fail until it has",
				entry);
		}
	}
	if (widest) {
		config_warning(report, agent->name, first,
			"transfer_allow has %.*s, which admits numbers of any price: callers can talk the agent "
			"into dialling them; name the extensions, or a pattern of a fixed length", (int) length, widest);
	}
}

void config_check_agent(struct config_report *report,
	const struct config_agent *agent, const struct ast_variable *first)
{
	if (report->faults) {
		/* They would follow from the faults. */
		return;
	}
	if (!strcmp(agent->values[KEY_AUTH], "signed_url")
		&& !agent->values[KEY_API_KEY][0]) {
		config_warning(report, agent->name, first,
			"calls will end with AUTH: auth is signed_url and "
			"there is no api_key; give one, or set auth = none for a public agent");
	}
	if (strcmp(agent->values[KEY_AUTH], "signed_url") && agent->values[KEY_VERSION_ID][0]) {
		config_warning(report, agent->name, first,
			"version_id has no effect with auth = none: the request for a signed URL tells it");
	}
	if (!strcmp(agent->values[KEY_TLS_VERIFY], "no")) {
		config_warning(report, agent->name, first,
			"tls_verify is no: anybody on the way may listen "
			"to calls and take the key; ca_file trusts a private authority");
	}
	warn_about_bases(report, agent, first);
	warn_about_transfers(report, agent, first);
}

void config_check_limits(struct config_report *report, const struct config *config)
{
	const struct config_agent *first = NULL;
	unsigned int others = 0;
	char more[64];
	size_t i;

	for (i = 0; i < AST_VECTOR_SIZE(&config->agents); i++) {
		const struct config_agent *agent = AST_VECTOR_GET(&config->agents, i);

		if (config->max_sessions || agent->max_sessions || agent->silence_timeout
			|| strcmp(agent->values[KEY_MAX_DURATION], "0")) {
			continue;
		}
		others += first != NULL;
		first = first ? first : agent;
	}
	if (!first || report->faults) {
		return;
	}
	snprintf(more, sizeof(more), ", nor of %u other agent%s", others, ESS(others));
	config_warning(report, first->name, NULL,
		"nothing limits the number and the length of calls%s: max_sessions, max_duration "
		"and silence_timeout are all 0; set them in [general]", others ? more : "");
}

/* ---- Where fallback_agent leads ---- */

/*! \brief The line that sets an agent's fallback_agent; NULL if it is not known */
static const struct ast_variable *fallback_line(const struct ast_config *file,
	const struct config_agent *agent)
{
	const struct ast_variable *var = ast_variable_browse(file, agent->name);

	while (var && strcasecmp(var->name, config_keys[KEY_FALLBACK_AGENT].name)) {
		var = var->next;
	}
	return var;
}

/*! \brief The next agent on the way, borrowed from the configuration, or NULL */
static const struct config_agent *next_fallback(const struct config *config,
	const struct config_agent *agent)
{
	size_t i;

	for (i = 0; i < AST_VECTOR_SIZE(&config->agents); i++) {
		const struct config_agent *other = AST_VECTOR_GET(&config->agents, i);

		if (agent->values[KEY_FALLBACK_AGENT][0]
			&& !strcasecmp(other->name, agent->values[KEY_FALLBACK_AGENT])) {
			return other;
		}
	}
	return NULL;
}

static void check_fallback(struct config_report *report, const struct ast_config *file,
	const struct config *config, const struct config_agent *agent)
{
	const struct config_agent *next = next_fallback(config, agent);
	size_t steps = AST_VECTOR_SIZE(&config->agents);

	if (!next && agent->values[KEY_FALLBACK_AGENT][0] && !ast_check_realtime(ROWS_FAMILY)) {
		config_fault(report, agent->name, fallback_line(file, agent),
			"fallback_agent = %s: allowed is %s",
			config_shown(agent->values[KEY_FALLBACK_AGENT]),
			config_keys[KEY_FALLBACK_AGENT].allowed);
		return;
	}
	/* Name the agents in a circle, not one that only leads into it. */
	for (; next && steps; steps--, next = next_fallback(config, next)) {
		if (next == agent) {
			config_fault(report, agent->name, fallback_line(file, agent),
				"fallback_agent = %s leads back to %s: allowed is %s",
				agent->values[KEY_FALLBACK_AGENT], agent->name,
				config_keys[KEY_FALLBACK_AGENT].allowed);
			return;
		}
	}
}

void config_check_fallbacks(struct config_report *report, const struct ast_config *file,
	const struct config *config)
{
	size_t i;

	for (i = 0; i < AST_VECTOR_SIZE(&config->agents); i++) {
		check_fallback(report, file, config, AST_VECTOR_GET(&config->agents, i));
	}
}
