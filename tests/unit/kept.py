"""What tests compile of the core's C, kept in build/kept for as long as nothing of it changes.

A key over sources, headers, compiler, Python and command names each result, so that another source
is another result; workers of one run wait for each other.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterable
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import cffi

from tests.timing import PROGRAM

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "build" / "kept"
INCLUDE = ("pyconvai/core", "app_elevenlabs_convai")
SOURCES = (*INCLUDE, "tests/native", "tests/fuzz")
"""Folders, without those below them, of all C and headers that anything here may be made of."""

BUILD_LIMIT = PROGRAM
STRICT = ("-Wall", "-Wextra", "-Werror")


@cache
def _surroundings() -> bytes:
    """Everything besides its command that decides what comes of it."""
    digest = hashlib.sha256()
    gcc = subprocess.run(["gcc", "-v"], capture_output=True, check=True).stderr
    for text in (gcc, sys.version.encode(), str(sysconfig.get_config_var("SOABI")).encode()):
        digest.update(text)
    paths = (path for folder in SOURCES for path in (ROOT / folder).glob("*.[ch]"))
    for path in sorted(paths):
        digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return digest.digest()


def keep(name: str, command: Iterable[str], make: Callable[[Path], object]) -> Path:
    """The folder in which `make` has left what it makes, now or in an earlier run."""
    words = "\0".join(command).encode()
    key = hashlib.sha256(_surroundings() + words).hexdigest()[:16]
    folder = KEPT / name / key
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            shutil.rmtree(KEPT / name, ignore_errors=True)  # of other sources
            unfinished = folder.with_suffix(".new")
            unfinished.mkdir(parents=True)
            make(unfinished)
            unfinished.rename(folder)
    return folder


def program(name: str, *command: str) -> Path:
    """A program, by a command of the compiler's that lacks only the name of the output."""

    def make(folder: Path) -> None:
        words = [*command, "-o", str(folder / name)]
        subprocess.run(words, cwd=ROOT, check=True, timeout=BUILD_LIMIT)

    return keep(name, command, make) / name


@cache
def module(name: str, calls: str, source: str, *more: str, unused: bool = False) -> Any:
    """C as a module for Python: ffi and lib. `more`: files of the checkout's.

    unused: of the headers' functions not all are called.
    """
    flags = [*STRICT, *(["-Wno-unused-function"] if unused else [])]

    def make(folder: Path) -> None:
        builder = cffi.FFI()
        builder.cdef(calls)
        builder.set_source(
            name,
            source,
            sources=[str(ROOT / path) for path in more],
            include_dirs=[str(ROOT / path) for path in INCLUDE],
            extra_compile_args=flags,
            libraries=["m"],
        )
        builder.compile(str(folder))

    folder = keep(name, [cffi.__version__, calls, source, *more, *flags], make)
    (path,) = folder.glob(f"{name}.*.so")
    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    made = module_from_spec(spec)
    spec.loader.exec_module(made)
    return made
