/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief What a database has said of single agents: rows by name, bounded in number and age
 *
 * Any thread; one mutex, held for a walk through the list and no longer. A reload forgets all of it.
 */

#ifndef CONFIG_ROWS_H
#define CONFIG_ROWS_H

#include "config/report.h"

struct ast_variable;
struct config;
struct config_agent;

/*! What extconfig.conf calls it, and the column in which the names of agents are */
#define ROWS_FAMILY "elevenlabs"
#define ROWS_NAME_COLUMN "name"

/*! So long a row counts without being asked for again: what is changed in the table is used that much later */
#define ROWS_FRESH_MS 5000
/*! ... and that there is none: an agent that is added takes a call at the latest so much later */
#define ROWS_NONE_MS 1000
/*! A database that has not answered is asked again for this name so much later; till then nobody waits for it */
#define ROWS_SILENT_MS 10000
/*!
 * A database that is down gives nothing, as one does that has no such row. Where it gives nothing else
 * either, a row that it gave before counts for so long: to start it again takes minutes at most.
 */
#define ROWS_KEPT_MS 300000
/*! So many agents are kept, some 5 kB each, and of names that there are not; those asked for last */
#define ROWS_MAX 500

enum rows_state {
	ROWS_UNKNOWN,	/*!< nothing is known of the name */
	ROWS_GIVEN,	/*!< there is a row */
	ROWS_NONE,	/*!< there is none */
	ROWS_FAILED,	/*!< the database gave nothing at all; a row from before counts */
	ROWS_SILENT,	/*!< the database has not answered; a row from before counts, if there is one */
};

/*! What is known of a name */
struct rows_view {
	enum rows_state state;
	struct config_agent *agent;	/*!< the last one that was valid, with a reference for the caller, or NULL */
	unsigned int fresh:1;		/*!< not to be asked for again yet */
	int age_s;			/*!< since the database gave the row */
	char fault[CONFIG_FIRST_SIZE];	/*!< what is wrong with the row it gives now; "": nothing */
};

void rows_look(const char *name, struct rows_view *view);

/*! \brief Which time between two reloads it is; for rows_repeat and rows_put */
unsigned int rows_epoch(void);

/*! \brief Take note that the database has given the row that it gave before. \return whether it is that one */
int rows_repeat(const char *name, const struct ast_variable *row, unsigned int epoch);

/*!
 * \brief Keep what the database has given
 *
 * \param row becomes the cache's, unless this fails
 * \param agent what has been made of it; NULL: it is not valid, and the one before counts
 * \param fault what is wrong with it
 * \param epoch as it was before the agent was made
 * \return 0, or -1: there was a reload meanwhile
 */
int rows_put(const char *name, struct ast_variable *row, struct config_agent *agent, const char *fault,
	unsigned int epoch);

/*! \brief Take note that there is no such row */
void rows_put_none(const char *name);

/*! \brief Take note that the database gave nothing, neither this row nor any other. \return age in s of the row that counts, or -1 */
int rows_put_failure(const char *name);

/*! \brief Take note that the database has not answered */
void rows_put_silence(const char *name);

/*! \brief Overwrite a row, which may have secrets in it, and free it; NULL is none */
void rows_erase(struct ast_variable *row);

/*! \brief Forget everything: a reload, or the end */
void rows_forget(void);

/*! How many are kept */
struct rows_numbers {
	unsigned int agents;
	unsigned int others;	/*!< names that there are not, or that are not valid */
};

struct rows_numbers rows_count(void);

/*!
 * \brief The agents of a snapshot, and behind them those that the database has told of
 *
 * For lists: where there are such, it has neither defaults nor what [general] alone may have.
 *
 * \param config given back in any case; NULL is none
 * \return with a reference for the caller; NULL where there is no snapshot, or when out of memory
 */
struct config *rows_config(struct config *config);

#endif /* CONFIG_ROWS_H */
