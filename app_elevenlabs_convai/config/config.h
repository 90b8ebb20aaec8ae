/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief elevenlabs.conf as one immutable, reference-counted snapshot
 *
 * A call keeps the agent it started with; a reload puts a new snapshot in the place of
 * the old one, and an invalid file puts nothing there.
 */

#ifndef CONFIG_H
#define CONFIG_H

#include "asterisk/vector.h"	/* AST_VECTOR */

#include "config/keys.h"
#include "config/pairs.h"
#include "config/report.h"
#include "convai_ops.h"

#define CONFIG_FILE "elevenlabs.conf"

/*! One section of the file. An ao2 object without a lock: nothing in it ever changes. */
struct config_agent {
	char *name;
	char *values[KEY_COUNT];	/*!< canonical, never NULL; "" where there is no value */
	/*! those of the values that the engine is told */
	struct convai_pair settings[KEY_COUNT];
	unsigned int setting_count;
	struct config_pairs pairs;	/*!< what it is told in each call, its own before [general]'s */
	unsigned int max_sessions;	/*!< 0: no limit of its own */
	unsigned int connect_timeout;	/*!< seconds */
	unsigned int silence_timeout;	/*!< seconds, 0: none */
	unsigned int agent_timeout;	/*!< seconds, 0: none */
	enum dtmf_use dtmf;
	char dtmf_end;			/*!< the key that ends a group of digits, '\0': none */
	unsigned int dtmf_timeout_ms;	/*!< a longer pause between digits ends a group, too */
	unsigned int send_caller_number:1;
	unsigned int silence:1;		/*!< write silence while the agent is quiet */
};

/*! The whole file. An ao2 object without a lock. */
struct config {
	/*! in the order of the file; owns a reference each */
	AST_VECTOR(, struct config_agent *) agents;
	unsigned int max_sessions;	/*!< of all agents together, 0: no limit */
};

/*!
 * \brief Read a file, and put it to no use yet
 *
 * Reads files; never call it from a channel thread. A missing file is a valid one without
 * agents.
 *
 * \param name a path, or a name in Asterisk's configuration directory
 * \return what it says, with a reference for the caller; NULL after at least one fault was
 * reported
 */
struct config *config_read(const char *name, struct config_report *report);

/*! What a load has put in the place of what. Owns a reference to each. */
struct config_change {
	struct config *before;	/*!< NULL at the first load */
	struct config *after;
};

/*!
 * \brief Read the file and, if it is valid, put it in the place of the one before
 *
 * As config_read of CONFIG_FILE. Of several threads each gets what it has replaced itself.
 *
 * \param[out] change to be given to config_change_release after a success
 * \return 0, or -1 after at least one fault was reported, and then nothing has changed
 */
int config_load(struct config_report *report, struct config_change *change);

/*! \brief Let the snapshots of a load go */
void config_change_release(struct config_change *change);

/*! \brief Forget the snapshot. Calls keep the agents they have. */
void config_unload(void);

/*!
 * \brief The snapshot in use, with a reference for the caller; NULL before the first load
 */
struct config *config_get(void);

/*! \brief The agent of this name, with a reference for the caller, or NULL */
struct config_agent *config_find_agent(const struct config *config, const char *name);

/*! \brief Host, and port if there is one, of the first address in an agent's base_url */
const char *config_agent_host(const struct config_agent *agent, char *host, size_t size);

#endif /* CONFIG_H */
