/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Addresses of the network
 */

#ifndef CONTEXT_NETSOCK2_H
#define CONTEXT_NETSOCK2_H

#include <sys/socket.h>

struct ast_sockaddr {
	struct sockaddr_storage ss;
	socklen_t len;
};

#endif /* CONTEXT_NETSOCK2_H */
