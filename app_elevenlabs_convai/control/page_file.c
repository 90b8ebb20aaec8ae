/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The live page itself: one document, put together from the files of the engine in service
 *
 * So a reload that brings another engine in brings its page along.
 */

#include "asterisk.h"

#include <fcntl.h>	/* open(2) */
#include <sys/random.h>	/* getrandom(2) */
#include <sys/stat.h>	/* fstat(2) */
#include <unistd.h>	/* read(2) */

#include "asterisk/strings.h"	/* ast_str */
#include "asterisk/utils.h"	/* ast_copy_string */

#include "control/page_file.h"
#include "engine/generation.h"

/*! Of one file, in bytes: what is longer is none */
#define FILE_MAX 262144
/*! Room for the frame of the page, which grows */
#define FRAME_SIZE 16384
/*! Room for the name of a file of the page */
#define FILE_NAME_SIZE 64
/*! Of a nonce, in bytes */
#define NONCE_BYTES ((PAGE_NONCE_SIZE - 1) / 2)

/*! \brief Append a file of the engine's. \return 0, or -1 */
static int append_file(struct ast_str **out, const char *folder, const char *name)
{
	char path[PATH_MAX];
	struct stat info;
	char *text = NULL;
	int fd;
	int res = -1;

	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int) sizeof(path)) {
		return -1;
	}
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0 && !fstat(fd, &info) && S_ISREG(info.st_mode) && info.st_size < FILE_MAX
		&& (text = ast_calloc(1, info.st_size + 1)) && read(fd, text, info.st_size) == info.st_size) {
		ast_str_append(out, 0, "%s", text);
		res = 0;
	}
	if (fd >= 0) {
		close(fd);
	}
	ast_free(text);
	return res;
}

/*!
 * \brief Put the page together: `{{nonce}}` stands for the nonce, `{{name}}` for the file of that name
 * \return 0, or -1
 */
static int append_page(struct ast_str **out, const char *folder, const char *nonce)
{
	struct ast_str *frame = ast_str_create(FRAME_SIZE);
	const char *from = frame && !append_file(&frame, folder, "index.html") ? ast_str_buffer(frame) : NULL;
	const char *mark;
	int res = from ? 0 : -1;

	while (!res && (mark = strstr(from, "{{"))) {
		char name[FILE_NAME_SIZE];
		size_t length = strcspn(mark + 2, "}");

		ast_str_append(out, 0, "%.*s", (int) (mark - from), from);
		snprintf(name, sizeof(name), "%.*s", (int) length, mark + 2);
		if (!strcmp(name, "nonce")) {
			ast_str_append(out, 0, "%s", nonce);
		} else {
			res = append_file(out, folder, name);
		}
		from = mark + 2 + length;
		from += strncmp(from, "}}", 2) ? 0 : 2;
	}
	if (!res) {
		ast_str_append(out, 0, "%s", from);
	}
	ast_free(frame);
	return res;
}

/*! \brief A text that nobody can guess */
static int make_nonce(char text[PAGE_NONCE_SIZE])
{
	unsigned char bytes[NONCE_BYTES];
	size_t i;

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes)) {
		return -1;
	}
	for (i = 0; i < sizeof(bytes); i++) {
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	}
	return 0;
}

int page_file_append(struct ast_str **out, char nonce[PAGE_NONCE_SIZE])
{
	char folder[PATH_MAX];
	size_t length;

	generation_directory(folder, sizeof(folder));
	length = strlen(folder);
	if (!length || make_nonce(nonce)) {
		return -1;
	}
	ast_copy_string(folder + length, "/pyconvai/page", sizeof(folder) - length);
	return append_page(out, folder, nonce);
}
