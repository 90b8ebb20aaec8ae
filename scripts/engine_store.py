"""The directory of installed engines, ``<astmoddir>/app_elevenlabs_convai.d``.

    <build id>/pyconvai/   one build: complete from the moment it has its name, never changed later
    <build id>/in-use      an engine that runs holds a read lock on this as long as it lives
    current, previous      links to the build for the next load or reload, and to the one before
    .lock                  locked by whoever changes something here; nobody else can open it
    .tmp-...               what is being made or removed; left behind only by a process that died

What counts happens by rename: whenever the process dies, ``current`` names a complete engine, and
whoever comes next clears up.  The build id is the beginning of the SHA-256 of all names and
contents of the engine, so that the same build is installed once; the engine reads its own out of
``_build_id.txt``.

Everybody may read ``in-use``, for Asterisk's user is not known here.  The locks on it are such that
a write lock takes a descriptor for writing: who can only read can make a build look used, and so be
kept, but can keep no engine from starting.

``locked`` and ``stage`` give out names that lead to open directories, whatever becomes of the path
to them; ``shown`` says what they are called.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import py_compile
import re
import shutil
import stat
import struct
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import trusted_files

BUILD_ID_DIGITS = 12  # 48 bits: no two builds of anybody's collide
BUILD_ID_FILE = "_build_id.txt"
IN_USE = "in-use"
CURRENT, PREVIOUS = "current", "previous"
LOCK = ".lock"
STAGING = ".tmp-"
# Folders that are no part of the engine: the mock agent is for tests, which run from the checkout.
SUFFIXES = {".py", ".html", ".css", ".js"}
LEFT_OUT = {"__pycache__", "mock"}

LOCK_SECONDS = 60.0  # an install takes one or two; longer means that one hangs
LOCK_POLL_SECONDS = 0.05


class StoreError(Exception):
    """It cannot be done; the text says what to do instead."""


# --- the engine's files ---


def core_name() -> str:
    """Return the path of the compiled core in the package, for the Python that runs this."""
    return "core/_core" + str(sysconfig.get_config_var("EXT_SUFFIX"))


def engine_files(package: Path) -> list[Path]:
    """Return the paths of what is installed, relative to the package, in a fixed order.

    Python's sources, the files of the live page, and the core for the Python that runs this;
    FileNotFoundError without it.
    """
    core = package / core_name()
    if not core.is_file():
        raise FileNotFoundError(
            f"{core} is missing; build it: {sys.executable} setup.py build_ext --inplace"
        )
    found = [
        path.relative_to(package)
        for path in package.rglob("*")
        if path.suffix in SUFFIXES
        # No module's name begins with a dot: an editor has left that beside one.
        and path.is_file()
        and path.name[0] != "."
        and LEFT_OUT.isdisjoint(path.relative_to(package).parts)
    ]
    return sorted([*found, core.relative_to(package)])


def build_id(package: Path, files: list[Path]) -> str:
    """Return the name of this build: the beginning of a hash over all names and contents."""
    digest = hashlib.sha256()
    for path in files:
        content = (package / path).read_bytes()
        digest.update(f"{path.as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:BUILD_ID_DIGITS]


def is_whole(build: Path) -> bool:
    """Tell whether a build's directory holds what its name says, and nothing besides."""
    package = build / "pyconvai"
    try:
        files = engine_files(package)
    except FileNotFoundError:
        return False
    return build_id(package, files) == build.name and not _has_strangers(package, files)


def _has_strangers(package: Path, files: list[Path]) -> bool:
    """Tell whether there is a file that no install puts there, or a link.

    Python would take `limits.so` before `limits.py`.  Byte code is made anew by whoever installs,
    and beside it Python looks for nothing else.
    """
    known = {*files, Path(BUILD_ID_FILE)}
    for path in package.rglob("*"):
        if path.is_symlink():
            return True
        name = path.relative_to(package)
        if not (path.is_dir() or name in known or name.parent.name == "__pycache__"):
            return True
    return False


def code_of(source: Path) -> Path:
    """Return where Python looks for a source's byte code."""
    return source.parent / "__pycache__" / f"{source.stem}.{sys.implementation.cache_tag}.pyc"


def compile_sources(package: Path) -> None:
    """Leave byte code beside the sources, for a reload compiles under the GIL, beside live calls.

    It is checked against the source's hash, not its date: a rename or a package manager may change
    dates.  Raises StoreError for a source that Python does not understand.
    """
    for source in package.rglob("*.py"):
        try:
            py_compile.compile(
                str(source),
                cfile=str(code_of(source)),
                dfile=f"pyconvai/{source.relative_to(package)}",
                doraise=True,
                optimize=0,  # as the embedded Python does, whatever runs this
                invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH,
            )
        except py_compile.PyCompileError as error:
            raise StoreError(f"the engine's source is broken: {error.msg.strip()}") from None


def contract_of(file: Path) -> str:
    """Return which contract a compiled module or core is for; "" where it does not say so."""
    found = re.search(rb"convai contract (\d+)\0", file.read_bytes()) if file.is_file() else None
    return found[1].decode() if found else ""


# --- who may change something ---


# A struct flock of the kernel's over the whole file: type, whence, start, length, no process.
WRITE_LOCK = struct.pack("@hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)


def _try_lock(file: IO[bytes]) -> bool:
    """Lock against other installers, and modules of earlier versions."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _nobody_reads(file: IO[bytes]) -> bool:
    """Tell whether no module holds its read lock, and keep it from taking one."""
    try:
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, WRITE_LOCK)
    except BlockingIOError:
        return False
    return True


def _still_named(file: IO[bytes], path: Path) -> bool:
    """Tell whether the path still leads to this file: uninstall removes the lock's file."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.lstat())
    except FileNotFoundError:
        return False


def _open_lock(folder: int) -> IO[bytes]:
    """Open the lock's file, which nobody else may open: whoever can could hold it."""
    file = trusted_files.open_file(LOCK, os.O_RDWR | os.O_CREAT, 0o600, folder)
    if os.fstat(file.fileno()).st_uid == os.geteuid():
        os.fchmod(file.fileno(), 0o600)  # of an earlier version: for all to read
    return file


@contextmanager
def locked(folder: Path, limit: float = LOCK_SECONDS) -> Iterator[Path]:
    """Be the only one to change the directory, which is made if needed; yield a name for it.

    StoreError on the limit, UntrustedError where somebody else's link leads there.
    """
    deadline = time.monotonic() + limit
    while True:
        with trusted_files.open_folder(folder, make=True) as descriptor:
            here = trusted_files.anchored(descriptor)
            with _open_lock(descriptor) as file:
                if _try_lock(file) and _still_named(file, folder / LOCK):
                    with _known_as(here, folder):
                        yield here
                    return
            if time.monotonic() > deadline:
                raise StoreError(
                    f"{trusted_files.holders(here / LOCK)} holds {folder / LOCK}, for more than "
                    f"{limit:g} s now; if that is another installation, wait for it, else end it, "
                    "and try again"
                )
        time.sleep(LOCK_POLL_SECONDS)


@contextmanager
def _known_as(here: Path, folder: Path) -> Iterator[None]:
    """Let errors say what the directory is called, in place of a descriptor's number."""
    try:
        yield
    except OSError as error:
        place = str(error.filename2 or error.filename or here).replace(str(here), str(folder), 1)
        raise OSError(error.errno, error.strerror or str(error), place) from None


def shown(path: Path) -> Path:
    """Return what a path is really called, for people to read."""
    return path.resolve()


@contextmanager
def unused(build: Path) -> Iterator[bool]:
    """Yield whether no engine runs from a build, and let none start from it meanwhile."""
    try:
        file = trusted_files.open_file(build / IN_USE, os.O_RDWR)
    except FileNotFoundError:  # of an installation that did not know such files yet
        yield True
        return
    with file:
        yield _nobody_reads(file) and _try_lock(file)


# --- builds and links. All of this is done with the lock held ---


def target_of(folder: Path, link: str) -> str:
    """Return the build that a link names, "" if there is no link or no such build."""
    try:
        name = str((folder / link).readlink())
    except OSError:
        return ""
    return name if (folder / name).is_dir() else ""


def move_link(folder: Path, link: str, name: str) -> None:
    """Let a link name this build, at once or not at all."""
    staging = folder / f"{STAGING}{link}"
    staging.unlink(missing_ok=True)
    staging.symlink_to(name)
    staging.replace(folder / link)


def builds(folder: Path) -> list[Path]:
    """Return the directories of all builds."""
    name = re.compile(rf"[0-9a-f]{{{BUILD_ID_DIGITS}}}")
    return sorted(
        path
        for path in folder.iterdir()
        if name.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
    )


def remove(build: Path) -> None:
    """Remove a build: first its name, for what has one is complete."""
    doomed = build.with_name(f"{STAGING}{build.name}-{os.getpid()}")
    build.rename(doomed)
    shutil.rmtree(doomed)


def remove_leftovers(folder: Path) -> None:
    """Remove what processes left behind that died."""
    for path in folder.glob(f"{STAGING}*"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def remove_unused(folder: Path, *, keep: set[str]) -> list[str]:
    """Remove all builds but these and those in use; return the names of the latter."""
    in_use = []
    for build in builds(folder):
        if build.name in keep:
            continue
        with unused(build) as free:
            if free:
                remove(build)
            else:
                in_use.append(build.name)
    return in_use


def clear_up(folder: Path) -> list[str]:
    """Remove what neither link names and nobody uses; return the names of what is in use."""
    remove_leftovers(folder)
    return remove_unused(folder, keep={target_of(folder, CURRENT), target_of(folder, PREVIOUS)})


def stage(package: Path, folder: Path) -> tuple[Path, str]:
    """Copy a package to where nobody looks yet and return the directory, and its build id.

    Until it is complete nobody else can look into it, and so nothing in it is anybody else's.
    """
    staging = Path(tempfile.mkdtemp(prefix=STAGING, dir=folder))
    try:
        with _own_folder(staging) as descriptor:
            name = _fill(package, trusted_files.anchored(descriptor))
            os.fchmod(descriptor, 0o755)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return staging, name


@contextmanager
def _own_folder(staging: Path) -> Iterator[int]:
    """Open the directory that was just made, not another that has taken its name."""
    descriptor = os.open(staging, os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) != 0o700:
            raise StoreError(f"somebody else has put another directory at {shown(staging)}")
        yield descriptor
    finally:
        os.close(descriptor)


def _fill(package: Path, staging: Path) -> str:
    """Put a package into its directory, for all to read; return its build id."""
    copy = staging / "pyconvai"
    for path in engine_files(package):
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(package / path, copy / path)
    compile_sources(copy)
    name = build_id(copy, engine_files(copy))  # of the copy: the original may be changing
    (copy / BUILD_ID_FILE).write_text(name + "\n", encoding="ascii")
    (staging / IN_USE).touch()
    for each in staging.rglob("*"):
        each.chmod(0o755 if each.is_dir() else 0o644)
    return name


def place(package: Path, folder: Path) -> str:
    """Put a package's build into the directory, unless it is there, and return its build id."""
    name = build_id(package, engine_files(package))
    if is_whole(folder / name):
        # Its name says nothing of byte code, which Python takes for what the source says.
        compile_sources(folder / name / "pyconvai")
        _mark(folder / name)
        return name
    staging, name = stage(package, folder)
    if (folder / name).exists():
        _remove_damaged(folder / name)
    staging.rename(folder / name)
    return name


def _mark(build: Path) -> None:
    """Make the file that says whether a build is in use, where an earlier installer did not."""
    with trusted_files.open_folder(build) as folder, suppress(FileExistsError):
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        with trusted_files.open_file(IN_USE, flags, 0o644, folder) as file:
            os.fchmod(file.fileno(), 0o644)


def _remove_damaged(build: Path) -> None:
    """Make room for a build whose files somebody has changed since."""
    with unused(build) as free:
        if not free:
            raise StoreError(
                f"files in {shown(build)} were changed after it was installed, and "
                f"{trusted_files.holders(build / IN_USE)} uses it; where that is Asterisk, 'module "
                "unload app_elevenlabs_convai' there, else end it; then install again"
            )
        remove(build)


def switch(folder: Path, name: str) -> None:
    """Make a build the current one, and what was current the previous one."""
    before = target_of(folder, CURRENT)
    if before == name:
        return
    if before:
        move_link(folder, PREVIOUS, before)
    move_link(folder, CURRENT, name)


def swap(folder: Path, module: Path) -> str:
    """Exchange current and previous build and return the current one's name.

    StoreError where the module's file is for another contract: Asterisk would load neither when it
    is started next.
    """
    before, name = target_of(folder, CURRENT), target_of(folder, PREVIOUS)
    if not name or name == before:
        raise StoreError(
            f"there is no build in {shown(folder)} to go back to: "
            f"{_what_is_wrong(folder, before, name)}; install the one that you want"
        )
    theirs, own = contract_of(folder / name / "pyconvai" / core_name()), contract_of(module)
    if theirs and own and theirs != own:
        raise StoreError(
            f"the build {name} is for version {theirs} of the contract between module and engine, "
            f"{module} for version {own}: Asterisk would not load them together when it is started "
            "next. Run 'make install' in the sources of the version that you want"
        )
    # In this order: a process that dies in between has still brought back what was asked for.
    move_link(folder, CURRENT, name)
    if before:
        move_link(folder, PREVIOUS, before)
    return name


def _what_is_wrong(folder: Path, current: str, previous: str) -> str:
    """Say why the previous build cannot be had."""
    if current and current == previous:
        return f"'{PREVIOUS}' names the current one, {current}"
    if (folder / PREVIOUS).is_symlink():
        return f"'{PREVIOUS}' names {(folder / PREVIOUS).readlink()}, which is gone"
    return "only one was ever installed"


def set_links(folder: Path, current: str, previous: str) -> None:
    """Let the links name these builds, as they once did; a previous one that is gone is dropped."""
    if not (folder / current).is_dir():
        raise StoreError(f"the build {current} is gone from {shown(folder)}; install it again")
    move_link(folder, CURRENT, current)
    if previous and (folder / previous).is_dir():
        move_link(folder, PREVIOUS, previous)
    else:
        (folder / PREVIOUS).unlink(missing_ok=True)


def empty(folder: Path) -> list[str]:
    """Remove links and builds; return the names of those in use, which stay."""
    for link in (CURRENT, PREVIOUS):
        (folder / link).unlink(missing_ok=True)
    remove_leftovers(folder)
    return remove_unused(folder, keep=set())
