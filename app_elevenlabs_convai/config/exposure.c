/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief Who else may read the keys of elevenlabs.conf, or write what it says
 *
 * Asterisk's own functions read its configuration and its environment for whoever may evaluate
 * an expression: a line of the dialplan, and every AMI user that may ask for a variable. They do
 * not read other files unless live_dangerously is set; but CURL() does.
 */

#include "asterisk.h"

#include <limits.h>	/* PATH_MAX */
#include <sys/stat.h>	/* stat(2) */

#include "asterisk/config.h"	/* lines of the file */
#include "asterisk/manager.h"	/* whether there is AMI */
#include "asterisk/pbx.h"	/* the dialplan's functions */
#include "asterisk/strings.h"	/* strings */
#include "asterisk/utils.h"	/* ast_strdup */
#include "asterisk/vector.h"	/* AST_VECTOR */

#include "config/exposure.h"
#include "config/keys.h"
#include "config/report.h"

/*! So many groups of Asterisk's user are looked at; a user of more is told of one that is its own */
#define GROUPS_MAX 256

/*! "path:line" of a line, or a path with a letter before it that says what was looked for */
AST_VECTOR(places, char *);

/*! \brief Whether this was not there yet; it is then. Out of memory it counts as new. */
static int is_new(struct places *places, char kind, const char *path, int line)
{
	char text[PATH_MAX + 32];
	char *copy;
	size_t i;

	snprintf(text, sizeof(text), "%c%s:%d", kind, path, line);
	for (i = 0; i < AST_VECTOR_SIZE(places); i++) {
		if (!strcmp(AST_VECTOR_GET(places, i), text)) {
			return 0;
		}
	}
	copy = ast_strdup(text);
	if (copy && AST_VECTOR_APPEND(places, copy)) {
		ast_free(copy);
	}
	return 1;
}

/*! \brief Whether a line that is no key of the table may hold a secret */
static int may_hold_secret(const char *name)
{
	/* The service's own mark of a dynamic variable that nobody is to see. */
	return !strncasecmp(name, "var_secret__", strlen("var_secret__"))
		|| !strncasecmp(name, "json_secret__", strlen("json_secret__"))
		|| !strcasecmp(name, "override_custom_llm_extra_body");
}

/* ---- Files ---- */

/*!
 * \brief Whether a group has others in it than root and Asterisk
 *
 * Root itself belongs to none, and cannot tell which one was made for Asterisk.
 */
static int is_of_others(gid_t group)
{
	gid_t own[GROUPS_MAX];
	int count = getgroups(ARRAY_LEN(own), own);

	if (!geteuid() || !group || group == getegid()) {
		return 0;
	}
	while (count > 0) {
		if (own[--count] == group) {
			return 0;
		}
	}
	return 1;
}

/*! \brief Warn where others than root and Asterisk may put another file in the place of one */
static void check_directory(struct config_report *report, const struct ast_variable *line,
	const char *directory, const char *what)
{
	struct stat info;

	if (stat(directory, &info)) {
		return;
	}
	if (info.st_uid && info.st_uid != geteuid()) {
		config_warning(report, NULL, line,
			"the user %u may replace %s, for the directory %s is theirs; chown it to root",
			(unsigned int) info.st_uid, what, directory);
	}
	/* With the sticky bit set, as /tmp has it, others can add files, but not replace this one. */
	if (info.st_mode & S_ISVTX) {
		return;
	}
	if (info.st_mode & S_IWOTH) {
		config_warning(report, NULL, line,
			"every user may replace %s, for all may write the directory %s; chmod o-w it",
			what, directory);
	} else if ((info.st_mode & S_IWGRP) && is_of_others(info.st_gid)) {
		config_warning(report, NULL, line,
			"the group %u may replace %s, for it may write the directory %s; chmod g-w it",
			(unsigned int) info.st_gid, what, directory);
	}
}

/*! \brief Look at all directories above a file but the root of all; at each once for this kind of file */
static void check_directories(struct config_report *report, const struct ast_variable *line,
	const char *path, const char *what, char kind, struct places *seen)
{
	char *directory = ast_strdupa(path);
	char *slash;

	while ((slash = strrchr(directory, '/')) && slash != directory) {
		*slash = '\0';
		if (is_new(seen, kind, directory, 0)) {
			check_directory(report, line, directory, what);
		}
	}
}

/*! \brief Warn where others than root and Asterisk decide what a file says, by its kind for `seen` */
static void check_writers(struct config_report *report, const struct ast_variable *line,
	const char *path, const char *what, char kind, const struct stat *info, struct places *seen)
{
	char real[PATH_MAX];

	if (info->st_mode & S_IWOTH) {
		config_warning(report, NULL, line, "every user may write %s; chmod 640 it", what);
	} else if ((info->st_mode & S_IWGRP) && is_of_others(info->st_gid)) {
		config_warning(report, NULL, line, "the group %u may write %s; chmod 640 it",
			(unsigned int) info->st_gid, what);
	}
	if (info->st_uid && info->st_uid != geteuid()) {
		config_warning(report, NULL, line,
			"%s belongs to the user %u, who may read and write it; chown it to root or "
			"to the user that Asterisk runs as", what, (unsigned int) info->st_uid);
	}
	check_directories(report, line, path, what, kind, seen);
	/* A link's own directory decides, and that of what it leads to. */
	if (realpath(path, real)) {
		check_directories(report, line, real, what, kind, seen);
	}
}

/*! \brief Warn where others than root and Asterisk may read a file with a secret in it */
static void check_readers(struct config_report *report, const struct ast_variable *line,
	const char *what, const char *remedy, const struct stat *info)
{
	if (info->st_mode & S_IROTH) {
		config_warning(report, NULL, line, "every user may read %s; chmod 640 it%s", what, remedy);
	} else if ((info->st_mode & S_IRGRP) && is_of_others(info->st_gid)) {
		config_warning(report, NULL, line,
			"the group %u may read %s; chgrp it to the group of the user that Asterisk runs as%s",
			(unsigned int) info->st_gid, what, remedy);
	}
}

/*! \brief Look at the file that a line is of: who may write it, and who may read a secret in it */
static void check_file(struct config_report *report, const struct ast_variable *line,
	const char *path, int has_secret, struct places *seen)
{
	struct stat info;

	/* A database has no file; one of this name that lies there all the same is read by nobody. */
	if (report->in_database || stat(path, &info)) {
		return;
	}
	if (is_new(seen, 'w', path, 0)) {
		check_writers(report, line, path, "this file", 'd', &info, seen);
	}
	if (has_secret && is_new(seen, 'r', path, 0)) {
		check_readers(report, line, "this file and the keys in it",
			", or keep the key in an api_key_file", &info);
	}
}

/*!
 * \brief Warn once where libcurl would read any file for whoever may evaluate an expression
 *
 * CURL() is not among the functions that live_dangerously restricts. Without AMI there is the
 * dialplan, whose author is Asterisk anyway.
 */
static void check_curl(struct config_report *report, const struct ast_variable *line,
	struct places *seen)
{
	if (ast_manager_check_enabled() && ast_custom_function_find("CURL") && is_new(seen, 'c', "", 0)) {
		config_warning(report, NULL, line,
			"every AMI user of class call or reporting can read the key file with "
			"CURL(file://...), which live_dangerously = no does not stop; unload it for good with "
			"noload = func_curl.so in modules.conf, or have no such users");
	}
}

static void check_key_file(struct config_report *report, const struct ast_variable *line,
	struct places *seen)
{
	const char *path = line->value;
	char what[PATH_MAX + 32];
	struct stat info;

	if (*path != '/' || stat(path, &info) || !S_ISREG(info.st_mode)
		|| !is_new(seen, 'k', path, 0)) {
		return;
	}
	snprintf(what, sizeof(what), "the key file %s", path);
	check_writers(report, line, path, what, 'e', &info, seen);
	check_readers(report, line, what, "", &info);
	check_curl(report, line, seen);
}

/* ---- Programs ---- */

/*! \brief Whether a group may have others in it; who runs programs believes none but its own */
static int is_strange(gid_t group)
{
	return group && group != getegid() && (!geteuid() || is_of_others(group));
}

/*! \brief Say, as a fault, who else may write a directory. \return whether there is anybody */
static int check_program_directory(struct config_report *report, const char *section,
	const struct ast_variable *line, const char *directory, int above)
{
	struct stat info;

	if (stat(directory, &info)) {
		return 0;
	}
	if (info.st_uid && info.st_uid != geteuid()) {
		config_fault(report, section, line,
			"what is in this directory runs as Asterisk's user, and %s belongs to the user %u; "
			"chown it to root", directory, (unsigned int) info.st_uid);
		return 1;
	}
	/* With the sticky bit set, as /tmp has it, others can add names, but not replace one. */
	if (!(above && (info.st_mode & S_ISVTX)) && ((info.st_mode & S_IWOTH)
		|| ((info.st_mode & S_IWGRP) && is_strange(info.st_gid)))) {
		config_fault(report, section, line,
			"what is in this directory runs as Asterisk's user, and others may write %s; "
			"chmod go-w it", directory);
		return 1;
	}
	return 0;
}

/*! \brief Look at a directory of programs, and at those above it */
static int check_programs(struct config_report *report, const char *section,
	const struct ast_variable *line, const char *path)
{
	char *directory = ast_strdupa(path);
	char *slash;
	int above = 0;

	do {
		if (check_program_directory(report, section, line, directory, above)) {
			return 1;
		}
		slash = strrchr(directory, '/');
		if (slash) {
			*slash = '\0';
		}
		above = 1;
	} while (*directory);
	return 0;
}

/*!
 * \brief Refuse a tools_directory whose files others than root and Asterisk may write, or replace
 *
 * The files are looked at by whoever runs them (pyconvai/tools/files.py).
 */
static void check_tools_directory(struct config_report *report, const char *section,
	const struct ast_variable *line)
{
	char real[PATH_MAX];

	/* A link's own directory decides, and that of what it leads to. */
	if (*line->value == '/' && realpath(line->value, real)
		&& !check_programs(report, section, line, line->value)) {
		check_programs(report, section, line, real);
	}
}

/* ---- Lines ---- */

/*! \param reader the function of the dialplan that reads such lines */
static void check_line(struct config_report *report, const char *section,
	const struct ast_variable *line, const char *reader, struct places *seen)
{
	const struct config_key *key = config_key_find(line->name);
	enum config_key_id id = key ? key - config_keys : KEY_COUNT;
	char path[PATH_MAX];

	config_line_path(report, line, path, sizeof(path));
	check_file(report, line, path, id == KEY_API_KEY || may_hold_secret(line->name), seen);
	if (id == KEY_API_KEY_FILE) {
		check_key_file(report, line, seen);
	}
	/* Lines of a database have no place: there it is the directory that is looked at once. */
	if (id == KEY_TOOLS_DIRECTORY
		&& is_new(seen, 'p', report->in_database ? line->value : path, line->lineno)) {
		check_tools_directory(report, section, line);
	}
	if ((id != KEY_API_KEY && id != KEY_API_KEY_ENV) || !is_new(seen, 'l', path, line->lineno)) {
		return;
	}
	if (id == KEY_API_KEY) {
		config_warning(report, section, line,
			"every AMI user of class call, and every line of the dialplan, can read this key "
			"with %s(); move it into a file of its own that only Asterisk can read, "
			"and name that with api_key_file", reader);
	} else {
		config_warning(report, section, line,
			"every AMI user of class call, and every line of the dialplan, can read this key "
			"with ENV(); move it into a file that only Asterisk can read, and name that with "
			"api_key_file");
	}
}

static void forget_places(struct places *seen)
{
	AST_VECTOR_CALLBACK_VOID(seen, ast_free);
	AST_VECTOR_FREE(seen);
}

void config_check_exposure(struct config_report *report, struct ast_config *file)
{
	struct ast_category *section = NULL;
	const struct ast_variable *line;
	struct places seen;

	AST_VECTOR_INIT(&seen, 0);
	while ((section = ast_category_browse_filtered(file, NULL, section, NULL))) {
		for (line = ast_category_first(section); line; line = line->next) {
			check_line(report, ast_category_get_name(section), line, "AST_CONFIG", &seen);
		}
	}
	forget_places(&seen);
}

void config_check_row_exposure(struct config_report *report, const char *name,
	const struct ast_variable *row)
{
	struct places seen;

	AST_VECTOR_INIT(&seen, 0);
	for (; row; row = row->next) {
		check_line(report, name, row, "REALTIME", &seen);
	}
	forget_places(&seen);
}
