/*
 * app_forkstream: copy a call's audio to a listener
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What ForkStream() is asked for: where to, and how
 */

#include "asterisk.h"

#include <arpa/inet.h>	/* inet_pton(3) */
#include <ctype.h>	/* isalnum(3) */

#include "asterisk/app.h"	/* ast_app_parse_options */
#include "asterisk/strings.h"	/* ast_strlen_zero */
#include "asterisk/utils.h"	/* ARRAY_LEN */

#include "options.h"

/* ---- Where to ---- */

static const struct {
	const char *prefix;
	unsigned int port;	/*!< where none is named; 0: one must be */
} schemes[] = {
	[SCHEME_UDP] = { "udp://", 0 },
	[SCHEME_WS] = { "ws://", 80 },
	[SCHEME_WSS] = { "wss://", 443 },
};

/*! \brief Whether these are the characters of a host: a name, an IPv4 address, or, in brackets, an IPv6 one */
static int host_is_valid(const char *host, int is_bracketed, int is_entry)
{
	struct in6_addr address;
	size_t i;

	if (is_bracketed) {
		return inet_pton(AF_INET6, host, &address) == 1;
	}
	for (i = 0; host[i]; i++) {
		if (!isascii(host[i]) || !(isalnum(host[i]) || strchr(".-_", host[i])
			|| (host[i] == '*' && is_entry && !i && (!host[1] || host[1] == '.')))) {
			return 0;
		}
	}
	return i > 0;
}

/*! \brief Read the port. \return 0 if it is none */
static unsigned int read_port(const char *text)
{
	unsigned int port = 0;

	for (; *text; text++) {
		if (*text < '0' || *text > '9' || port > 65535) {
			return 0;
		}
		port = port * 10 + (unsigned int) (*text - '0');
	}
	return port > 65535 ? 0 : port;
}

/*! \brief Take host and port out of `host:port`, in place. \return the port's text, NULL if there is none */
static char *split_port(char **host, int *is_bracketed)
{
	char *end;

	*is_bracketed = **host == '[';
	if (*is_bracketed) {
		end = strchr(++*host, ']');
		if (!end || (end[1] && end[1] != ':')) {
			*host = "";
			return NULL;
		}
		*end++ = '\0';
	} else {
		end = strchr(*host, ':');
	}
	if (!end || !*end) {
		return NULL;
	}
	*end++ = '\0';
	return end;
}

/*!
 * What may not be behind the port: Asterisk's own parser takes all before an @ for a user, wherever it stands, and the one
 * that it may have been built with fails on the others, as on a % without two digits. Then it logs the whole URL.
 */
static const char not_in_path[] = "@#\"<>[\\]^`{|}";

/*! \brief The first character of a path that may not be there, "" if all may */
static const char *wrong_in(const char *path)
{
	const char *wrong = path + strcspn(path, not_in_path);

	for (; !*wrong && (path = strchr(path, '%')); path++) {
		wrong = isxdigit(path[1]) && isxdigit(path[2]) ? wrong : path;
	}
	return wrong;
}

/*!
 * \brief Write the URL anew, as every parser that Asterisk may have been built with reads it
 *
 * With the scheme in small letters, always with a port, and with a path before a query: where one of these is missing,
 * the parser in main/uri.c finds another host than the one that was admitted.
 * \return 0, or -1 if it is too long
 */
static int write_url(struct destination *to, const char *path)
{
	return snprintf(to->url, sizeof(to->url), "%s%s%s", to->shown, *path == '?' ? "/" : "", path)
		< (int) sizeof(to->url) ? 0 : -1;
}

static int scheme_of(const char *url)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(schemes); i++) {
		if (!strncasecmp(url, schemes[i].prefix, strlen(schemes[i].prefix))) {
			return (int) i;
		}
	}
	return -1;
}

static void set_port(struct destination *to, const char *port, int is_entry)
{
	if (!port) {
		to->port = is_entry ? 0 : schemes[to->scheme].port;
	} else if (!is_entry || strcmp(port, "*")) {
		to->port = read_port(port);
	}
}

/*! \brief Write how it is shown: the port of an entry may be any */
static void set_shown(struct destination *to, int is_bracketed)
{
	char port[12] = "*";

	if (to->port) {
		snprintf(port, sizeof(port), "%u", to->port);
	}
	snprintf(to->shown, sizeof(to->shown), is_bracketed ? "%s[%s]:%s" : "%s%s:%s",
		schemes[to->scheme].prefix, to->host, port);
}

int destination_parse(struct destination *to, const char *url, int is_entry, char *error)
{
	int scheme = scheme_of(url);
	char rest[URL_SIZE];
	char *host = rest;
	const char *path;
	char *port;
	size_t length;
	int is_bracketed;

	*to = (struct destination) { .scheme = SCHEME_UDP };
	if (scheme < 0) {
		snprintf(error, ERROR_SIZE, "a destination begins with udp://, ws:// or wss://");
		return -1;
	}
	to->scheme = (enum destination_scheme) scheme;
	for (length = 0; url[length]; length++) {
		if (url[length] <= ' ' || url[length] > '~') {
			snprintf(error, ERROR_SIZE, "a destination has no blanks, and nothing beyond ASCII; write %%20 and the like");
			return -1;
		}
	}
	if (length >= sizeof(to->url)) {
		snprintf(error, ERROR_SIZE, "a destination has %d bytes at most", URL_SIZE - 1);
		return -1;
	}
	ast_copy_string(rest, url + strlen(schemes[scheme].prefix), sizeof(rest));
	length = strcspn(rest, "/?#");
	if (rest[length] && (is_entry || to->scheme == SCHEME_UDP)) {
		snprintf(error, ERROR_SIZE, "nothing may follow the port %s",
			is_entry ? "here: the host is what is admitted" : "of udp://host:port");
		return -1;
	}
	rest[length] = '\0';
	path = url + strlen(schemes[scheme].prefix) + length;
	if (strchr(rest, '@')) {
		snprintf(error, ERROR_SIZE, "a destination has no user and password before its host");
		return -1;
	}
	if (*wrong_in(path)) {
		snprintf(error, ERROR_SIZE, "its path has a %c; write %%%02X", *wrong_in(path),
			(unsigned int) *wrong_in(path));
		return -1;
	}
	port = split_port(&host, &is_bracketed);
	if (is_bracketed && to->scheme != SCHEME_UDP) {
		snprintf(error, ERROR_SIZE, "Asterisk's WebSocket client takes no address in brackets: write the host's name");
		return -1;
	}
	if (!host_is_valid(host, is_bracketed, is_entry) || strlen(host) >= sizeof(to->host)) {
		snprintf(error, ERROR_SIZE, "its host is a name, an IPv4 address, or an IPv6 address in brackets%s",
			is_entry ? "; or *, or *.example.com" : "");
		return -1;
	}
	ast_copy_string(to->host, host, sizeof(to->host));
	set_port(to, port, is_entry);
	if (!to->port && !(is_entry && (!port || !strcmp(port, "*")))) {
		snprintf(error, ERROR_SIZE, "its port is a number from 1 to 65535%s",
			is_entry ? ", or *" : port ? "" : ", and udp:// needs one: udp://host:port");
		return -1;
	}
	set_shown(to, is_bracketed);
	if (write_url(to, path)) {
		snprintf(error, ERROR_SIZE, "a destination has %d bytes at most, its port included", URL_SIZE - 1);
		return -1;
	}
	return 0;
}

int destination_is_admitted(const struct destination *entry, const struct destination *to)
{
	size_t host = strlen(to->host);
	size_t end = strlen(entry->host) - 1;

	if (entry->scheme != to->scheme || (entry->port && entry->port != to->port)) {
		return 0;
	}
	if (entry->host[0] != '*') {
		return !strcasecmp(entry->host, to->host);
	}
	return !end || (host > end && !strcasecmp(to->host + host - end, entry->host + 1));
}

int destination_is_loopback(const struct destination *to)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (inet_pton(AF_INET, to->host, &v4) == 1) {
		return ntohl(v4.s_addr) >> 24 == 127;
	}
	if (inet_pton(AF_INET6, to->host, &v6) == 1) {
		return IN6_IS_ADDR_LOOPBACK(&v6);
	}
	return !strcasecmp(to->host, "localhost");
}

/* ---- How ---- */

enum flags {
	FLAG_BEEP = 1 << 0,
	FLAG_CODEC = 1 << 1,
	FLAG_DIRECTION = 1 << 2,
	FLAG_INTERLEAVED = 1 << 3,
	FLAG_MUTED = 1 << 4,
	FLAG_PACKET = 1 << 5,
	FLAG_RATE = 1 << 6,
	FLAG_SKIP = 1 << 7,
	FLAG_TAG = 1 << 8,
	FLAG_VARIABLES = 1 << 9,
};

enum arguments {
	ARG_BEEP,
	ARG_CODEC,
	ARG_DIRECTION,
	ARG_MUTED,
	ARG_PACKET,
	ARG_RATE,
	ARG_TAG,
	ARG_VARIABLES,
	ARG_COUNT,
};

AST_APP_OPTIONS(letters, {
	AST_APP_OPTION_ARG('b', FLAG_BEEP, ARG_BEEP),
	AST_APP_OPTION_ARG('c', FLAG_CODEC, ARG_CODEC),
	AST_APP_OPTION_ARG('d', FLAG_DIRECTION, ARG_DIRECTION),
	AST_APP_OPTION('i', FLAG_INTERLEAVED),
	AST_APP_OPTION_ARG('m', FLAG_MUTED, ARG_MUTED),
	AST_APP_OPTION_ARG('p', FLAG_PACKET, ARG_PACKET),
	AST_APP_OPTION_ARG('r', FLAG_RATE, ARG_RATE),
	AST_APP_OPTION('s', FLAG_SKIP),
	AST_APP_OPTION_ARG('t', FLAG_TAG, ARG_TAG),
	AST_APP_OPTION_ARG('v', FLAG_VARIABLES, ARG_VARIABLES),
});

static const char * const directions[] = {
	[PACKET_RX] = "rx",
	[PACKET_TX] = "tx",
	[PACKET_BOTH] = "both",
};

static const char * const codecs[] = {
	[PACKET_ULAW] = "ulaw",
	[PACKET_ALAW] = "alaw",
	[PACKET_SLIN] = "slin",
};

/*! \brief Where a word stands in a list without its first place. \return 0 if it does not */
static unsigned int place_of(const char *word, const char * const *words, size_t count)
{
	size_t i;

	for (i = 1; i < count; i++) {
		if (!strcasecmp(word, words[i])) {
			return (unsigned int) i;
		}
	}
	return 0;
}

unsigned int options_direction(const char *text)
{
	return ast_strlen_zero(text) ? PACKET_BOTH : place_of(text, directions, ARRAY_LEN(directions));
}

const char *options_direction_name(unsigned int wanted)
{
	return wanted && wanted < ARRAY_LEN(directions) ? directions[wanted] : "none";
}

const char *options_codec_name(enum packet_codec codec)
{
	return codecs[codec];
}

/*! \brief Read a whole number between two bounds. \return 0 or -1 */
static int read_number(const char *text, unsigned int least, unsigned int most, unsigned int *number)
{
	char *end;
	unsigned long read = strtoul(S_OR(text, ""), &end, 10);

	if (ast_strlen_zero(text) || *end || !isdigit((unsigned char) *text) || read < least || read > most) {
		return -1;
	}
	*number = (unsigned int) read;
	return 0;
}

/*! \brief The first letter that is no option of ours, "" if there is none. ast_app_parse_options takes any. */
static const char *unknown_letter(const char *text)
{
	int depth = 0;

	for (; *text; text++) {
		depth += *text == '(';
		if (!depth && (*text & 0x80 || !letters[(unsigned char) *text].flag)) {
			break;
		}
		depth -= *text == ')' && depth;
	}
	return text;
}

/*! \brief What a value may be. \return -1 */
static int refuse(char *error, const char *what)
{
	snprintf(error, ERROR_SIZE, "%s", what);
	return -1;
}

/*! \brief Read what has a value. \return 0 or -1 */
static int read_values(struct options *options, const struct ast_flags *flags, char **args, char *error)
{
	unsigned int number;

	if (ast_test_flag(flags, FLAG_DIRECTION)
		&& (ast_strlen_zero(args[ARG_DIRECTION])
		|| !(options->directions = options_direction(args[ARG_DIRECTION])))) {
		return refuse(error, "the option d is d(rx), d(tx) or d(both)");
	}
	if (ast_test_flag(flags, FLAG_MUTED) && !(options->muted = options_direction(args[ARG_MUTED]))) {
		return refuse(error, "the option m is m, m(rx), m(tx) or m(both)");
	}
	if (ast_test_flag(flags, FLAG_CODEC)
		&& !(options->codec = place_of(S_OR(args[ARG_CODEC], ""), codecs, ARRAY_LEN(codecs)))) {
		return refuse(error, "the option c is c(slin), c(ulaw) or c(alaw)");
	}
	if (ast_test_flag(flags, FLAG_RATE)) {
		if (read_number(args[ARG_RATE], RATE_NARROW, RATE_WIDE, &options->rate)
			|| (options->rate != RATE_NARROW && options->rate != RATE_WIDE)) {
			return refuse(error, "the option r is r(8000) or r(16000)");
		}
	}
	if (ast_test_flag(flags, FLAG_PACKET)
		&& read_number(args[ARG_PACKET], PACKET_MS_LEAST, PACKET_MS_MOST, &options->packet_ms)) {
		return refuse(error, "the option p is a packet's length in ms, p(10) to p(60)");
	}
	if (ast_test_flag(flags, FLAG_BEEP)) {
		number = 0;
		if (!ast_strlen_zero(args[ARG_BEEP]) && read_number(args[ARG_BEEP], 1, BEEP_SECONDS_MAX, &number)) {
			return refuse(error, "the option b is b, or b(1) to b(3600): seconds from beep to beep");
		}
		options->beep_s = (int) number;
	}
	return 0;
}

/*! \brief Bytes of one packet of audio */
static unsigned int packet_bytes(const struct options *options)
{
	return PACKET_HEADER + options->rate / 1000 * options->packet_ms * (options->codec == PACKET_SLIN ? 2 : 1)
		* (options->interleaved ? 2 : 1);
}

int options_parse(struct options *options, char *text, char *error)
{
	struct ast_flags flags = { 0 };
	char *args[ARG_COUNT] = { NULL };

	*options = (struct options) {
		.directions = PACKET_BOTH,
		.codec = PACKET_SLIN,
		.rate = RATE_NARROW,
		.packet_ms = PACKET_MS,
		.beep_s = -1,
	};
	if (ast_strlen_zero(text)) {
		return 0;
	}
	if (*unknown_letter(text)) {
		snprintf(error, ERROR_SIZE, "there is no option %c; there are b, c, d, i, m, p, r, s, t and v",
			*unknown_letter(text));
		return -1;
	}
	if (ast_app_parse_options(letters, &flags, args, text)) {
		return refuse(error, "an option has no closing bracket");
	}
	if (read_values(options, &flags, args, error)) {
		return -1;
	}
	options->interleaved = ast_test_flag(&flags, FLAG_INTERLEAVED) != 0;
	options->skips_silence = ast_test_flag(&flags, FLAG_SKIP) != 0;
	if (options->interleaved && options->directions != PACKET_BOTH) {
		return refuse(error, "the option i is for both directions, not for d(rx) or d(tx)");
	}
	if (packet_bytes(options) > PACKET_BYTES_MAX) {
		snprintf(error, ERROR_SIZE, "a packet of these options has %u bytes, and %d fit: "
									"a shorter p(), c(ulaw), r(8000), or without i", packet_bytes(options), PACKET_BYTES_MAX);
		return -1;
	}
	if (strlen(S_OR(args[ARG_TAG], "")) >= sizeof(options->tag)) {
		snprintf(error, ERROR_SIZE, "the tag has %d bytes at most", TAG_SIZE - 1);
		return -1;
	}
	if (strlen(S_OR(args[ARG_VARIABLES], "")) >= sizeof(options->variables)) {
		snprintf(error, ERROR_SIZE, "the names of the variables have %d bytes at most", VALUE_SIZE - 1);
		return -1;
	}
	ast_copy_string(options->tag, S_OR(args[ARG_TAG], ""), sizeof(options->tag));
	ast_copy_string(options->variables, S_OR(args[ARG_VARIABLES], ""), sizeof(options->variables));
	return 0;
}
