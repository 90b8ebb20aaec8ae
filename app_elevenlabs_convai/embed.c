/*
 * app_elevenlabs_convai: talk with an ElevenLabs voice agent from any Asterisk channel
 *
 * This program is free software, distributed under the terms of
 * the GNU General Public License Version 2. See the LICENSE file
 * at the top of the source tree.
 */

/*!
 * \file
 * \brief The Python interpreter and the engine in it
 */

#include <Python.h>	/* before everything else, as Python's manual wants it */

#include "asterisk.h"

#include <dlfcn.h>	/* dladdr(3), dlopen(3) */
#include <stdlib.h>	/* realpath(3) */

#include "asterisk/logger.h"	/* ast_debug, ast_log */
#include "asterisk/paths.h"	/* ast_config_AST_MODULE_DIR */
#include "asterisk/strings.h"	/* ast_copy_string */

#include "embed.h"

#ifdef Py_GIL_DISABLED
#error "A free-threaded Python cannot run the engine; name another: make PYTHON=..."
#endif

/*!
 * Below the directory of Asterisk's modules: engines by build id, and the link to the one
 * to use
 */
#define ENGINE_LINK "app_elevenlabs_convai.d/current"

/*!
 * An engine that was imported. There is one at a time; where there are several, each has
 * its own.
 */
struct embed_engine {
	/*! its own: the link is followed once, before the import */
	char directory[PATH_MAX];
	const struct convai_ops *ops;	/*!< NULL when none runs; atomic, calls look at it */
};

static struct embed_engine engine;

static void set_ops(const struct convai_ops *ops)
{
	__atomic_store_n(&engine.ops, ops, __ATOMIC_RELEASE);
}

/*
 * Imports the engine from its own directory under its own parent name, because the same
 * file is never loaded twice into one process: two engines that share neither are two
 * engines. Gives either the capsule, or what went wrong in one line and in full.
 */
static const char bootstrap[] =
	"import importlib, importlib.util, os, sys, traceback\n"
	"\n"
	"def load(directory):\n"
	"    name = 'pyconvai_' + os.path.basename(directory)\n"
	"    package = os.path.join(directory, 'pyconvai')\n"
	"    if name not in sys.modules:\n"
	"        spec = importlib.util.spec_from_file_location(\n"
	"            name, os.path.join(package, '__init__.py'),\n"
	"            submodule_search_locations=[package])\n"
	"        module = sys.modules[name] = importlib.util.module_from_spec(spec)\n"
	"        try:\n"
	"            spec.loader.exec_module(module)\n"
	"        except BaseException:\n"
	"            del sys.modules[name]\n"
	"            raise\n"
	"    return importlib.import_module(name + '.runtime')\n"
	"\n"
	"def start(directory, host):\n"
	"    try:\n"
	"        return load(directory).start(host), '', ''\n"
	"    except BaseException as error:\n"
	"        return None, f'{type(error).__name__}: {error}', traceback.format_exc()\n";

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
	snprintf(error, size, "built for Python %d.%d, but %d.%d is loaded in this Asterisk; "
		"build the module again with that Python", PY_MAJOR_VERSION, PY_MINOR_VERSION,
		major, minor);
	return -1;
}

/*!
 * \brief Start the interpreter on this thread and let go of the GIL
 *
 * Isolated: no environment, no user's site directory, no signal handlers. The program
 * name lets a virtual environment that the module was built with be found.
 */
static int initialize(char *error, size_t size)
{
	PyConfig config;
	PyStatus status;

	PyConfig_InitIsolatedConfig(&config);
	config.write_bytecode = 0;
	status = PyConfig_SetBytesString(&config, &config.program_name, CONVAI_PYTHON);
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

/* ---- The engine ---- */

/*!
 * \brief Follow the link, so that what is imported keeps its place when the link moves on
 */
static int find_engine(char *directory, char *error, size_t size)
{
	char link[PATH_MAX];

	snprintf(link, sizeof(link), "%s/%s", ast_config_AST_MODULE_DIR, ENGINE_LINK);
	if (!realpath(link, directory)) {
		snprintf(error, size, "no engine at %s (%s); make install puts it there", link,
			strerror(errno));
		return -1;
	}
	return 0;
}

/*! \brief Say the Python error that is set, in one line. The GIL is held. */
static void take_python_error(char *error, size_t size)
{
	PyObject *type;
	PyObject *value;
	PyObject *traceback;
	PyObject *text;

	PyErr_Fetch(&type, &value, &traceback);
	text = PyObject_Str(value ? value : type);
	ast_copy_string(error,
		S_OR(text ? PyUnicode_AsUTF8(text) : NULL, "unknown Python error"), size);
	PyErr_Clear();
	Py_XDECREF(text);
	Py_XDECREF(type);
	Py_XDECREF(value);
	Py_XDECREF(traceback);
}

/*!
 * \brief Run the bootstrap. The GIL is held. \return what its start returned, or NULL
 * with an error
 */
static PyObject *run_bootstrap(const char *directory, const struct convai_host *host)
{
	PyObject *scope = PyDict_New();
	PyObject *done = NULL;
	PyObject *capsule = NULL;
	PyObject *result = NULL;

	if (!scope || PyDict_SetItemString(scope, "__builtins__", PyEval_GetBuiltins())) {
		goto out;
	}
	done = PyRun_String(bootstrap, Py_file_input, scope, scope);
	capsule = PyCapsule_New((void *) host, CONVAI_HOST_CAPSULE, NULL);
	if (done && capsule) {
		result = PyObject_CallFunction(PyDict_GetItemString(scope, "start"), "sO",
			directory, capsule);
	}

out:
	Py_XDECREF(capsule);
	Py_XDECREF(done);
	if (scope) {
		/*
		 * Its functions refer back to it: without this it would only go with a
		 * collection.
		 */
		PyDict_Clear(scope);
	}
	Py_XDECREF(scope);
	return result;
}

static const struct convai_ops *check_ops(PyObject *capsule, char *error, size_t size)
{
	const struct convai_ops *ops;

	if (!PyCapsule_IsValid(capsule, CONVAI_OPS_CAPSULE)) {
		snprintf(error, size,
			"the engine in %s has no table of functions; install it again",
			engine.directory);
		return NULL;
	}
	ops = PyCapsule_GetPointer(capsule, CONVAI_OPS_CAPSULE);
	if (ops->abi_version != CONVAI_ABI_VERSION || ops->size != sizeof(*ops)) {
		snprintf(error, size,
			"the engine in %s speaks version %u of the contract (%u bytes), "
			"the module version %u (%zu bytes); install both from the same source",
			engine.directory, ops->abi_version, ops->size, CONVAI_ABI_VERSION,
			sizeof(*ops));
		return NULL;
	}
	return ops;
}

/*!
 * \brief Import and start the engine. The GIL is held.
 *
 * The table outlives its capsule: it is part of an extension module, and those are never
 * unloaded.
 */
static const struct convai_ops *import_engine(const struct convai_host *host, char *error,
	size_t size)
{
	const struct convai_ops *ops = NULL;
	PyObject *result = run_bootstrap(engine.directory, host);
	PyObject *capsule;
	const char *message;
	const char *traceback;

	if (!result || !PyArg_ParseTuple(result, "Oss", &capsule, &message, &traceback)) {
		take_python_error(error, size);
	} else if (capsule == Py_None) {
		snprintf(error, size, "the engine in %s does not start: %s", engine.directory,
			message);
		ast_debug(1, "%s\n", traceback);
	} else {
		ops = check_ops(capsule, error, size);
	}
	Py_XDECREF(result);
	return ops;
}

int embed_start(const struct convai_host *host, char *error, size_t size)
{
	const struct convai_ops *ops;
	PyGILState_STATE gil;

	if (find_engine(engine.directory, error, size) || make_libpython_global(error, size)
		|| check_version(error, size)) {
		return -1;
	}
	if (!Py_IsInitialized() && initialize(error, size)) {
		return -1;
	}
	gil = PyGILState_Ensure();
	ops = import_engine(host, error, size);
	PyGILState_Release(gil);
	set_ops(ops);
	return ops ? 0 : -1;
}

const struct convai_ops *embed_ops(void)
{
	return __atomic_load_n(&engine.ops, __ATOMIC_ACQUIRE);
}

int embed_stop(uint32_t limit_ms)
{
	const struct convai_ops *ops = embed_ops();

	if (ops && ops->stop(limit_ms)) {
		return -1;
	}
	set_ops(NULL);
	return 0;
}

const char *embed_python_version(void)
{
	return Py_GetVersion();
}

const char *embed_directory(void)
{
	return embed_ops() ? engine.directory : "";
}
