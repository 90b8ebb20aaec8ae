/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The Python interpreter, and how engines come into it
 */

#include <Python.h>	/* before everything else, as Python's manual wants it */

#include "asterisk.h"

#include <dlfcn.h>	/* dladdr(3), dlopen(3) */
#include <inttypes.h>	/* PRId64 */
#include <poll.h>	/* poll(2) */
#include <signal.h>	/* pthread_sigmask(3) */
#include <sys/socket.h>	/* socketpair(2) */

#include "asterisk/logger.h"	/* DEBUG_ATLEAST */
#include "asterisk/strings.h"	/* ast_copy_string */
#include "asterisk/utils.h"	/* ast_strdupa */

#include "door.h"
#include "engine/embed.h"
#include "loader_source.h"	/* loader.py, made an array when the module is built */
#include "monotonic.h"

#ifdef Py_GIL_DISABLED
#error "A free-threaded Python cannot run the engine; name another: make PYTHON=..."
#endif

/*! How long a load waits for the GIL; engines let go of it every few ms */
#define GIL_LIMIT_S 5

/*! Longest answer of the loader's: a sentence and a traceback */
#define ANSWER_SIZE 16384

/*! Our end of the pair of sockets, or -1 while there is no loader */
static int loader_fd = -1;
/*! Number of the last import; late answers carry an older number */
static unsigned int request_number;

/* ---- The interpreter ---- */

/*!
 * \brief Make libpython's symbols visible to Python's own extension modules
 *
 * Asterisk opens modules RTLD_LOCAL, and what they are linked with along with them.
 * Extension modules are not linked with libpython; they find it only among the global
 * symbols.
 */
static int make_libpython_global(char *error, size_t size)
{
	Dl_info info;

	if (!dladdr((void *) Py_IsInitialized, &info) || !info.dli_fname) {
		snprintf(error, size, "cannot find out where libpython was loaded from");
		return -1;
	}
	if (!dlopen(info.dli_fname, RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD | RTLD_NODELETE)) {
		snprintf(error, size, "cannot make %s visible to its extension modules: %s",
			info.dli_fname, dlerror());
		return -1;
	}
	return 0;
}

static int check_version(char *error, size_t size)
{
	int major = 0;
	int minor = 0;

	if (sscanf(Py_GetVersion(), "%d.%d", &major, &minor) == 2 && major == PY_MAJOR_VERSION
		&& minor == PY_MINOR_VERSION) {
		return 0;
	}
	snprintf(error, size,
		"built for Python %d.%d, but %d.%d is loaded in this Asterisk; "
		"build the module again with that Python", PY_MAJOR_VERSION, PY_MINOR_VERSION,
		major, minor);
	return -1;
}

/*!
 * \brief Start the interpreter on this thread and let go of the GIL
 *
 * Isolated: no environment, no user's site directory, no signal handlers. The program
 * name lets a virtual environment that the module was built with be found. In UTF-8 mode,
 * for an older Asterisk runs in the C locale, where Python would take names of files to be
 * ASCII; newer ones choose C.UTF-8 where there is one.
 */
static int initialize(char *error, size_t size)
{
	PyPreConfig preconfig;
	PyConfig config;
	PyStatus status;

	PyPreConfig_InitIsolatedConfig(&preconfig);
	preconfig.utf8_mode = 1;
	status = Py_PreInitialize(&preconfig);
	PyConfig_InitIsolatedConfig(&config);
	config.write_bytecode = 0;
	if (!PyStatus_Exception(status)) {
		status = PyConfig_SetBytesString(&config, &config.program_name, CONVAI_PYTHON);
	}
	if (!PyStatus_Exception(status)) {
		status = Py_InitializeFromConfig(&config);
	}
	PyConfig_Clear(&config);
	if (PyStatus_Exception(status)) {
		snprintf(error, size, "cannot start Python: %s",
			S_OR(status.err_msg, "no reason given"));
		return -1;
	}
	PyEval_SaveThread();
	return 0;
}

/* ---- The loader ---- */

/*! \brief Say the Python error that is set, in one line. The GIL is held. */
static void take_python_error(char *error, size_t size)
{
	PyObject *type;
	PyObject *value;
	PyObject *traceback;
	PyObject *text;

	PyErr_Fetch(&type, &value, &traceback);
	text = value || type ? PyObject_Str(value ? value : type) : NULL;
	snprintf(error, size, "cannot start the loader of engines: %s",
		S_OR(text ? PyUnicode_AsUTF8(text) : NULL, "unknown Python error"));
	PyErr_Clear();
	Py_XDECREF(text);
	Py_XDECREF(type);
	Py_XDECREF(value);
	Py_XDECREF(traceback);
}

/*!
 * \brief Run loader.py in a scope of its own, and start its thread. The GIL is held.
 *
 * The thread's functions keep the scope alive for as long as they run. Until it is
 * collected it is a cycle, and so is left to the garbage collector.
 */
static int run_loader(int fd, char *error, size_t size)
{
	PyObject *scope = Py_BuildValue("{s:s}", "__name__", "convai_loader");
	PyObject *done = NULL;
	PyObject *started = NULL;
	PyObject *code = NULL;

	if (scope && !PyDict_SetItemString(scope, "__builtins__", PyEval_GetBuiltins())) {
		code = Py_CompileString(loader_source, "<app_elevenlabs_convai/engine/loader.py>",
				Py_file_input);
	}
	if (code) {
		done = PyEval_EvalCode(code, scope, scope);
	}
	if (done) {
		started = PyObject_CallFunction(PyDict_GetItemString(scope, "start"), "i", fd);
	}
	if (!started) {
		take_python_error(error, size);
	}
	Py_XDECREF(started);
	Py_XDECREF(done);
	Py_XDECREF(code);
	Py_XDECREF(scope);
	return started ? 0 : -1;
}

/*! Shared with the thread that starts the loader. It is never freed if that thread hangs. */
struct starting {
	int fd;
	int failed;
	char error[256];
};

static void *start_with_gil(void *data)
{
	struct starting *starting = data;
	PyGILState_STATE gil;

	/* For top, gdb and perf. The loader's thread inherits it, and those that it starts. */
	pthread_setname_np(pthread_self(), "convai-load");
	gil = PyGILState_Ensure();
	starting->failed = run_loader(starting->fd, starting->error, sizeof(starting->error));
	PyGILState_Release(gil);
	if (starting->failed) {
		close(starting->fd);
	}
	return NULL;
}

/*!
 * \brief Wait for the thread that starts the loader
 *
 * It has ended before this returns 0 or the loader's own failure: no thread of ours is
 * left. Where it has not, it waits for the GIL in this very code, which is therefore
 * mapped for good, and so is what it writes to.
 */
static int join(pthread_t thread, struct starting *starting, char *error, size_t size)
{
	struct timespec until;
	int failed;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += GIL_LIMIT_S;
	if (pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until)) {
		pthread_detach(thread);
		embed_pin();
		snprintf(error, size,
			"something holds Python up for more than %d s; this build of the "
			"module stays in memory until Asterisk is restarted", GIL_LIMIT_S);
		return -1;
	}
	failed = starting->failed;
	ast_copy_string(error, starting->error, size);
	ast_free(starting);
	return failed;
}

/*! \brief Take the GIL, once, and start the loader. Its thread gets no signals. */
static int start_loader(int fd, char *error, size_t size)
{
	struct starting *starting = ast_calloc(1, sizeof(*starting));
	pthread_t thread;
	sigset_t all;
	sigset_t before;
	int res;

	if (!starting) {
		snprintf(error, size, "out of memory");
		close(fd);
		return -1;
	}
	starting->fd = fd;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	res = pthread_create(&thread, NULL, start_with_gil, starting);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (res) {
		snprintf(error, size, "no thread to start the loader of engines: %s", strerror(res));
		close(fd);
		ast_free(starting);
		return -1;
	}
	return join(thread, starting, error, size);
}

/*! \brief Read the loader's late answers away. \return whether its thread has ended by itself */
static int loader_has_gone(void)
{
	char packet[ANSWER_SIZE];
	ssize_t length;

	do {
		length = recv(loader_fd, packet, sizeof(packet), MSG_DONTWAIT);
	} while (length > 0);
	return !length;
}

static void forget_loader(void)
{
	if (loader_fd >= 0) {
		close(loader_fd);
	}
	loader_fd = -1;
}

int embed_open(char *error, size_t size)
{
	int pair[2];

	if (loader_fd >= 0 && !loader_has_gone()) {
		return 0;
	}
	forget_loader();
	if (make_libpython_global(error, size) || check_version(error, size)) {
		return -1;
	}
	if (!Py_IsInitialized() && initialize(error, size)) {
		return -1;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		snprintf(error, size, "no sockets for the loader of engines: %s", strerror(errno));
		return -1;
	}
	/* The loader's end is the loader's from now on, also if it comes late. */
	if (start_loader(pair[1], error, size)) {
		close(pair[0]);
		return -1;
	}
	loader_fd = pair[0];
	return 0;
}

/*!
 * \brief Wait for a packet
 * \return its length, 0 when the other end is closed, -1 at the deadline
 */
static ssize_t receive(char *packet, size_t size, int64_t deadline_us)
{
	struct pollfd ready = { .fd = loader_fd, .events = POLLIN };
	int64_t left_us;
	ssize_t length;

	while ((left_us = deadline_us - monotonic_us()) > 0) {
		int count = poll(&ready, 1, left_us / 1000 + 1);

		if (count < 0 && errno != EINTR) {
			break;
		}
		if (count <= 0) {
			continue;
		}
		length = recv(loader_fd, packet, size - 1, MSG_DONTWAIT);
		if (length >= 0) {
			packet[length] = '\0';
			return length;
		}
	}
	return -1;
}

static const struct convai_ops *check_ops(const struct convai_ops *ops, char *error,
	size_t size)
{
	if (!ops) {
		snprintf(error, size, "it has no table");
		return NULL;
	}
	if (ops->abi_version == CONVAI_ABI_VERSION && ops->size == sizeof(*ops)) {
		return ops;
	}
	/* The loader has looked already; this is for an engine that lies. */
	snprintf(error, size, "its table is of version %u of the contract, not %u",
		ops->abi_version, CONVAI_ABI_VERSION);
	return NULL;
}

/*! \brief Read "NUMBER ok ADDRESS", or "NUMBER error TEXT" with a traceback behind it */
static const struct convai_ops *read_answer(const char *answer, char *error, size_t size)
{
	const char *traceback = answer + strlen(answer) + 1;
	unsigned long address;
	int text = 0;

	if (sscanf(answer, "%*u ok %lu", &address) == 1) {
		return check_ops((const struct convai_ops *) address, error, size);
	}
	sscanf(answer, "%*u error %n", &text);
	ast_copy_string(error, text ? answer + text : "the loader's answer makes no sense", size);
	if (*traceback) {
		door_debug(1, "%s\n", traceback);
	}
	return NULL;
}

/*! \brief Send the loader a request. Does not wait. \return 0, or -1 with errno set */
static int __attribute__((format(printf, 1, 2))) ask(const char *format, ...)
{
	char request[PATH_MAX + 128];
	va_list ap;
	int length;

	va_start(ap, format);
	length = vsnprintf(request, sizeof(request), format, ap);
	va_end(ap);
	return send(loader_fd, request, length, MSG_DONTWAIT | MSG_NOSIGNAL) == length ? 0 : -1;
}

/*!
 * \brief Take the answer to this very import; what answers an older one was dropped long ago
 * \return 1; 0 when the loader has ended, -1 at the deadline
 */
static int await_answer(unsigned int number, char *answer, size_t size, int64_t deadline_us)
{
	ssize_t length;

	do {
		length = receive(answer, size, deadline_us);
	} while (length > 0 && strtoul(answer, NULL, 10) != number);
	return length > 0 ? 1 : length;
}

/*! \brief What the last import has brought: a table, or NULL with error set */
static const struct convai_ops *take_answer(int limit_ms, int64_t deadline_us, char *error,
	size_t size)
{
	/* One byte more than is received, so that a traceback always has an end. */
	char answer[ANSWER_SIZE + 1] = "";

	switch (await_answer(request_number, answer, sizeof(answer) - 1, deadline_us)) {
	case 1:
		return read_answer(answer, error, size);
	case 0:
		snprintf(error, size, "the loader of engines has ended; a reload starts another");
		return NULL;
	default:
		snprintf(error, size, "Python does not answer within %d ms: something holds it up",
			limit_ms);
		return NULL;
	}
}

const struct convai_ops *embed_import(const char *directory, int limit_ms, char *error,
	size_t size)
{
	int64_t deadline_us = monotonic_us() + (int64_t) limit_ms * 1000;
	const struct convai_ops *ops;

	if (ask("import %u %" PRId64 " %u %zu %s", ++request_number, deadline_us,
		CONVAI_ABI_VERSION, sizeof(struct convai_ops), directory)) {
		snprintf(error, size, "the loader of engines takes no request: %s",
			strerror(errno));
		return NULL;
	}
	ops = take_answer(limit_ms, deadline_us, error, size);
	if (!ops && ask("drop %u", request_number)) {
		/* The next import of this engine ends what may have come up. */
		door_debug(1, "The loader was not told to drop %s\n", directory);
	}
	return ops;
}

void embed_forget(const char *directory)
{
	if (ask("forget %s", directory)) {
		door_debug(1, "The loader was not told to forget %s\n", directory);
	}
}

void embed_close(int limit_ms)
{
	int64_t deadline_us = monotonic_us() + (int64_t) limit_ms * 1000;
	char answer[ANSWER_SIZE + 1] = "";
	ssize_t length;

	if (loader_fd < 0) {
		return;
	}
	shutdown(loader_fd, SHUT_WR);
	do {
		length = receive(answer, sizeof(answer) - 1, deadline_us);
	} while (length > 0);
	if (length < 0) {
		/* It holds nothing of ours, and ends when it comes to itself. */
		door_log(LOG_WARNING, "Python does not answer within %d ms: something holds it up\n",
			limit_ms);
	}
	forget_loader();
}

void embed_pin(void)
{
	Dl_info info;

	if (dladdr((void *) embed_pin, &info) && info.dli_fname) {
		dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
	}
}

const char *embed_python_version(void)
{
	return Py_GetVersion();
}
