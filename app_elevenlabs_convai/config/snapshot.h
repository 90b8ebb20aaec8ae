/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What elevenlabs.conf says: an immutable, reference-counted snapshot
 *
 * Nothing in it ever changes, so any thread may read it without a lock.
 */

#ifndef CONFIG_SNAPSHOT_H
#define CONFIG_SNAPSHOT_H

#include "asterisk/vector.h"	/* AST_VECTOR */

#include "config/keys.h"
#include "config/pairs.h"
#include "convai_ops.h"

/*! One section of the file, or one row of a database. An ao2 object without a lock: nothing in it ever changes. */
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
	enum filler_use filler;
	char dtmf_end;			/*!< the key that ends a group of digits, '\0': none */
	unsigned int dtmf_timeout_ms;	/*!< a longer pause between digits ends a group, too */
	unsigned int send_caller_number:1;
	unsigned int ari_events:1;	/*!< applications of ARI are told what programs on AMI are */
	unsigned int silence:1;		/*!< write silence while the agent is quiet */
	unsigned int records:1;		/*!< each call has a line in the records */
	unsigned int in_database:1;	/*!< a row of a database, and no section of the file */
};

/*! The whole file. An ao2 object without a lock. */
struct config {
	/*! in the order of the file; owns a reference each */
	AST_VECTOR(, struct config_agent *) agents;
	/*!
	 * [general] as if it were an agent: for what is not about one, and for rows of a database. NULL in a
	 * list of agents (rows_config). Owns a reference.
	 */
	struct config_agent *defaults;
	unsigned int max_sessions;	/*!< of all agents together, 0: no limit */
	unsigned int http_page:1;	/*!< the live page is served */
	/*! canonical, of the keys that [general] alone may have; NULL for others and where there is no value */
	char *general[KEY_COUNT];
};

/*! \brief A snapshot without agents, with a reference for the caller, or NULL */
struct config *config_make_empty(void);

/*! \brief An agent without a name or values, with a reference for the caller, or NULL */
struct config_agent *config_make_agent(void);

/*! \brief The agent of this name, with a reference for the caller, or NULL */
struct config_agent *config_find_agent(const struct config *config, const char *name);

/*! \brief Whether events, the dialplan and the live page are told what is said: the key transcripts */
int config_agent_tells_words(const struct config_agent *agent);

/*! \brief Whether a channel variable may set the override of this name: the key overrides */
int config_agent_allows(const struct config_agent *agent, const char *override);

/*! \brief Host, and port if there is one, of the first address in an agent's base_url */
const char *config_agent_host(const struct config_agent *agent, char *host, size_t size);

#endif /* CONFIG_SNAPSHOT_H */
