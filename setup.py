"""Build the engine's compiled core and describe the package.

The core is one extension, ``pyconvai.core._core``, made from the Cython and the C in
``pyconvai/core/``. Everything generated goes below ``build/<SOABI>/``, so that several Pythons can
share one checkout; ``build_ext --inplace`` puts the extension itself into ``pyconvai/core/``, where
its file name carries the SOABI as well.

Switches, all by environment:

``CONVAI_CFLAGS``, ``CONVAI_LDFLAGS``
    added last to the compiler's and the linker's arguments (sanitizers, ``-O0``).
``CONVAI_WERROR``
    ``1`` turns compiler warnings into errors; the Makefile sets it for the tests.
``CONVAI_BUILD_TEMP``
    directory for objects, instead of ``build/<SOABI>/core``.
``CONVAI_ANNOTATE``
    ``1`` writes Cython's annotated HTML beside the generated C.
"""

from __future__ import annotations

import fcntl
import filecmp
import hashlib
import os
import platform
import re
import shlex
import shutil
import sys
import sysconfig
import time
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
SOABI: str = sysconfig.get_config_var("SOABI") or "unknown-abi"
BUILD = Path("build") / SOABI
CORE_SOURCE = Path("pyconvai/core/_core.pyx")
C_SOURCES = [
    f"pyconvai/core/{name}.c"
    for name in (
        "audio_event",
        "engine",
        "excerpt",
        "frame_reader",
        "information",
        "inquiry",
        "job",
        "news",
        "said",
        "session",
        "step",
        "timed",
    )
]
# Where the core finds its own headers and the contract with the C module.
INCLUDE_DIRS = ["pyconvai/core", "app_elevenlabs_convai"]
STRICT = "-Werror"
# Packages within pyconvai.
PARTS = ["core", "service", "tools", "conversation", "records", "report", "checking", "mock"]
# Limit on another build of the core: half a minute on an idle machine, minutes under a sanitizer.
LOCK_SECONDS = 600
LOCK_POLL_SECONDS = 0.05
# Commands that need the core's source; the others (--version, egg_info) work without it.
BUILDING = {"build", "build_ext", "bdist_wheel", "develop", "install", "editable_wheel"}


def version() -> str:
    """Return the product's version, written once, in ``pyconvai/__init__.py``."""
    text = (ROOT / "pyconvai" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__(?:\s*:\s*[\w.\[\]]+)?\s*=\s*"([^"]+)"', text, re.MULTILINE)
    if found is None:
        raise SystemExit('pyconvai/__init__.py: no line __version__ = "X.Y.Z"; add it')
    return found.group(1)


def switch(name: str) -> bool:
    """Tell whether an on/off switch of the environment is on."""
    return os.environ.get(name, "0") not in ("", "0", "no", "off")


def words(name: str) -> list[str]:
    """Split an environment variable into words as a shell would."""
    return shlex.split(os.environ.get(name, ""))


def compile_args() -> list[str]:
    """Return the core's compiler arguments, to be put after Python's own."""
    warnings = ["-Wall", "-Wextra"]
    if switch("CONVAI_WERROR"):
        warnings.append(STRICT)
    # Hidden: a name of one core's must not stand for that of another build's in the same process.
    return ["-O2", "-g", "-fvisibility=hidden", *warnings, *words("CONVAI_CFLAGS")]


def headers() -> list[str]:
    """Return every file that the core is built from besides its sources; a change rebuilds it."""
    found: set[Path] = {Path("setup.py")}
    for folder in INCLUDE_DIRS:
        for pattern in ("*.h", "*.pxd", "*.pxi"):
            found.update(path.relative_to(ROOT) for path in (ROOT / folder).glob(pattern))
    return sorted(str(path) for path in found)


def cython_version() -> str:
    """Return Cython's version, or end with what to do about it."""
    try:
        from Cython import __version__ as found
    except ImportError:
        found = "none"
    if not re.match(r"[3-9]\.|\d\d", found):
        raise SystemExit(
            f"Cython 3.0 or newer must build pyconvai.core._core; {sys.executable} has {found}.\n"
            "Remedy: 'make install-deps', or name a Python that has it: 'make PYTHON=...'."
        )
    return str(found)


def lock_build() -> None:
    """Wait for other builds of this Python in this checkout; the lock ends with this process."""
    BUILD.mkdir(parents=True, exist_ok=True)
    # Its owner's alone: another user who could open it could hold it.
    lock = os.open(BUILD / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    os.fchmod(lock, 0o600)  # of an earlier version: for all to read
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            # Never closed. No child inherits it: a compiler that is left behind holds nobody up.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise SystemExit(
                    f"{ROOT / BUILD}/lock: held by another build for {LOCK_SECONDS} s; wait for "
                    f"it, or end it ('fuser {ROOT / BUILD}/lock' names it)"
                ) from None
            time.sleep(LOCK_POLL_SECONDS)


def extensions() -> list[Extension]:
    """Return the core, translated to C if its source is newer than the C."""
    if not BUILDING.intersection(sys.argv):
        return []
    if not (ROOT / CORE_SOURCE).exists():
        raise SystemExit(f"{CORE_SOURCE} is missing: this checkout is not complete")
    # In the folder's name: cythonize looks at dates alone and would keep another Cython's C.
    generated = BUILD / f"cython-{cython_version()}"
    from Cython.Build import cythonize

    core = Extension(
        "pyconvai.core._core",
        [str(CORE_SOURCE), *C_SOURCES],
        include_dirs=INCLUDE_DIRS,
        define_macros=[("_GNU_SOURCE", None)],
        depends=headers(),
        libraries=["m"],
        extra_compile_args=compile_args(),
        extra_link_args=words("CONVAI_LDFLAGS"),
    )
    annotate = switch("CONVAI_ANNOTATE")
    # Left behind by a translation that was killed: half a file in C would pass for a new one.
    unfinished = BUILD / "cython-unfinished"
    lock_build()
    force = annotate or unfinished.exists()
    unfinished.touch()
    made: list[Extension] = cythonize(
        [core],
        build_dir=str(generated),
        compiler_directives={"language_level": "3"},
        annotate=annotate,
        force=force,
        quiet=True,
    )
    # Cython's copies of headers, beside its C and renewed by date: all C is to see the same ones.
    for copy in generated.rglob("*.h"):
        copy.unlink()
    unfinished.unlink()
    return made


class BuildCore(build_ext):
    """``build_ext`` that rebuilds when files, compiler, Python, Cython or flags have changed.

    And when the last build was killed.
    """

    def initialize_options(self) -> None:
        super().initialize_options()
        self.build_temp = os.environ.get("CONVAI_BUILD_TEMP", str(BUILD / "core"))

    def build_extension(self, ext: Extension) -> None:
        record = self._record(ext)
        wanted = self._how(ext)
        known = record.read_text(encoding="utf-8") if record.exists() else ""
        # What was built with warnings as errors is good without that, too.
        if known in (wanted, f"{wanted}{STRICT}\n"):
            wanted = known
        else:
            self.force = True
        # There is none while it is built: half an object of a build that was killed is not kept.
        record.unlink(missing_ok=True)
        super().build_extension(ext)
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(wanted, encoding="utf-8")

    def copy_extensions_to_source(self) -> None:
        """Put the built extensions beside their sources, by rename and only if they differ.

        A process that runs has the old file mapped, and another may be about to import it.
        """
        for ext in self.extensions:
            name = ext.name.replace(".", os.sep) + sysconfig.get_config_var("EXT_SUFFIX")
            built, wanted = Path(self.build_lib) / name, ROOT / name
            if wanted.exists() and filecmp.cmp(built, wanted, shallow=False):
                continue
            staged = wanted.with_suffix(".new")
            shutil.copyfile(built, staged)
            staged.replace(wanted)
            print(f"  {'CORE':<8} {name}", flush=True)

    def _record(self, ext: Extension) -> Path:
        """Return the file that remembers how this output, at this place, was built."""
        output = os.path.relpath(self.get_ext_fullpath(ext.name), ROOT)
        return BUILD / "records" / output.replace(os.sep, "+")

    def _how(self, ext: Extension) -> str:
        """Return, as text, everything that decides what is built.

        Files by their content: dates miss what is saved while it is compiled, or within a second.
        """
        parts = [sys.version, platform.machine(), cython_version()]
        parts += [os.environ.get(name, "") for name in ("CC", "CFLAGS", "CPPFLAGS", "LDFLAGS")]
        flags = [each for each in ext.extra_compile_args if each != STRICT]
        parts += [shlex.join(flags), shlex.join(ext.extra_link_args)]
        files = (Path(name) for name in (*ext.sources, *ext.depends))
        parts += [f"{hashlib.sha256(file.read_bytes()).hexdigest()} {file}" for file in files]
        if STRICT in ext.extra_compile_args:
            parts.append(STRICT)
        return "\n".join(parts) + "\n"


os.chdir(ROOT)

setup(
    name="app-elevenlabs-convai",
    version=version(),
    description="The engine of app_elevenlabs_convai: Asterisk calls with ElevenLabs agents",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="GPL-2.0-only",  # with the exception for OpenSSL that LICENSE begins with
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=["pyconvai", *(f"pyconvai.{name}" for name in PARTS)],
    package_data={
        "pyconvai": ["page/*"],
        "pyconvai.core": ["*.pyi"],
        "pyconvai.mock": ["scenarios/*.toml"],
    },
    ext_modules=extensions(),
    cmdclass={"build_ext": BuildCore},
    options={"build": {"build_base": str(BUILD)}},
    install_requires=["websockets>=15", "orjson>=3.9"],
    extras_require={"test": ["cffi>=1.15", "pytest>=8"]},
    zip_safe=False,
)
