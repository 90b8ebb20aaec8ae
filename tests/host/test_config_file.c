/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief A file that is there: the shipped example, or what CONVAI_CONFIG_FILE names
 *
 * app_elevenlabs_convai/tests/test_config FILE prints what is found here.
 */

#include "host.h"

#include <dirent.h>
#include <libgen.h>
#include <sys/stat.h>
#include <unistd.h>

#include "asterisk/module.h"

#define CONF "elevenlabs.conf"
#define EXAMPLE "app_elevenlabs_convai/elevenlabs.conf.example"
#define FILE_SIZE_MAX (1024 * 1024)

/*! \brief Copy a file into the configuration directory, under a name, with its mode */
static void copy(const char *path, const char *name)
{
	static char text[FILE_SIZE_MAX];
	char target[PATH_MAX];
	struct stat status;
	FILE *file = fopen(path, "re");
	size_t length;

	if (!file || fstat(fileno(file), &status)) {
		FAIL("cannot read %s", path);
	}
	length = fread(text, 1, sizeof(text) - 1, file);
	text[length] = '\0';
	fclose(file);
	host_write_config(name, text);
	snprintf(target, sizeof(target), "%.2000s/%.1000s", host_config_directory(), name);
	CHECK_INT(chmod(target, status.st_mode & 0777), 0);
}

/*! \brief Copy what the file may include: the other files of its directory that end in .conf */
static void copy_neighbours(const char *path)
{
	char folder[PATH_MAX];
	char neighbour[PATH_MAX];
	const char *place;
	struct dirent *entry;
	DIR *stream;

	ast_copy_string(folder, path, sizeof(folder));
	place = dirname(folder);
	stream = opendir(place);
	while (stream && (entry = readdir(stream))) {
		const char *suffix = strrchr(entry->d_name, '.');
		struct stat status;

		snprintf(neighbour, sizeof(neighbour), "%.2000s/%.1000s", place, entry->d_name);
		if (suffix && !strcmp(suffix, ".conf") && !stat(neighbour, &status)
			&& S_ISREG(status.st_mode)) {
			copy(neighbour, entry->d_name);
		}
	}
	if (stream) {
		closedir(stream);
	}
}

TEST(the_file_is_valid)
{
	const char *named = getenv("CONVAI_CONFIG_FILE");
	/* It is run from the checkout, or from the makefile's directory in it. */
	const char *example = access(EXAMPLE, R_OK) ? "../" EXAMPLE : EXAMPLE;
	int result;

	if (named) {
		copy_neighbours(named);
	}
	copy(named ? named : example, CONF);
	result = host_load();
	if (named) {
		printf("%s", host_log());
	}
	CHECK_INT(result, AST_MODULE_LOAD_SUCCESS);
	CHECK_INT(host_logged("ERROR"), 0);
	CHECK_INT(host_unload(0), 0);
}
