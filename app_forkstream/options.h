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

#ifndef FORKSTREAM_OPTIONS_H
#define FORKSTREAM_OPTIONS_H

#include "bounds.h"
#include "packet.h"

enum destination_scheme {
	SCHEME_UDP,
	SCHEME_WS,
	SCHEME_WSS,
};

/*! Where a stream goes, or, with `*` in the host and port 0, where streams may go */
struct destination {
	enum destination_scheme scheme;
	char host[HOST_SIZE];	/*!< without the brackets of an IPv6 address */
	unsigned int port;	/*!< 0 in an entry: any */
	char url[URL_SIZE];	/*!< all of it, written anew for Asterisk's client. May have a secret behind the port: it is never shown. */
	char shown[HOST_SIZE + 32];	/*!< scheme, host and port */
};

struct options {
	unsigned int directions;	/*!< PACKET_RX, PACKET_TX or both */
	int interleaved;
	enum packet_codec codec;
	unsigned int rate;	/*!< Hz */
	unsigned int packet_ms;
	int skips_silence;
	unsigned int muted;	/*!< directions, at the start */
	int beep_s;	/*!< -1: no beep, 0: one at the start, else one every so many seconds */
	char tag[TAG_SIZE];
	char variables[VALUE_SIZE];	/*!< names, with & between them */
};

/*!
 * \brief Take an URL apart
 * \param is_entry it is one of forkstream.conf: the host may be or begin with `*`, and the port may be missing
 * \param[out] error what is wrong, ERROR_SIZE bytes
 * \return 0 or -1
 */
int destination_parse(struct destination *to, const char *url, int is_entry, char *error);

/*! \brief Whether an entry of forkstream.conf admits a destination */
int destination_is_admitted(const struct destination *entry, const struct destination *to);

/*! \brief Whether it is this machine: 127.0.0.0/8, ::1 or localhost */
int destination_is_loopback(const struct destination *to);

/*!
 * \brief Read the application's options
 * \param text is written into; NULL or "" is none
 * \return 0, or -1 and what is wrong in error
 */
int options_parse(struct options *options, char *text, char *error);

/*! \brief Read `rx`, `tx` or `both`; "" is both. \return 0 if it is none of them */
unsigned int options_direction(const char *text);

/*! \brief The word for a direction, for a codec and for a scheme */
const char *options_direction_name(unsigned int directions);
const char *options_codec_name(enum packet_codec codec);

#endif /* FORKSTREAM_OPTIONS_H */
