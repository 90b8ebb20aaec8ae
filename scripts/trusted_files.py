#!/usr/bin/env python3
"""Read and write files as root where others may write too.

    trusted_files.py check PATH ...             say who else may change what is there; 1 if anybody
    trusted_files.py copy SOURCE DESTINATION    a file that is no link, for root alone
    trusted_files.py put SOURCE DESTINATION ... files for all to read, each replaced at once
    trusted_files.py remove FILE ...            files, if they are there
    trusted_files.py holders FILE               say which processes hold a lock on it

Directories are opened one name after the other, and everything is done relative to the open
descriptor.  A link that somebody else made is followed nowhere, and none is written through.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import secrets
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

STAGED = ".new-"
"""Between a file's name and random digits: what is being written, or was when its writer died."""

LINKS = 40
"""How many links one path may have, as the kernel has it: more go round in a circle."""

# Enough to pass through: a folder on the way may be open to who knows the names in it, no further.
_FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)
_NOT_MISLED = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class UntrustedError(Exception):
    """Somebody else decides where a path leads; the text says who, and what to do."""


# --- who may change something ---


def user_name(uid: int) -> str:
    """Return a user's name, or number where there is none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def is_ours(uid: int) -> bool:
    """Tell whether a user's word is good here: root's and our own."""
    return uid in (0, os.geteuid())


def _has_strangers(gid: int) -> bool:
    """Tell whether a group has members besides root and us; of an unknown one that is assumed."""
    try:
        members = set(grp.getgrgid(gid).gr_mem)
    except KeyError:
        return True
    members |= {user.pw_name for user in pwd.getpwall() if user.pw_gid == gid}
    return bool(members - {"root", user_name(os.geteuid())})


def doubt(name: str, status: os.stat_result) -> str:
    """Say who besides root and us may change a file or folder; "" if nobody may."""
    if not is_ours(status.st_uid):
        return f"{name} belongs to {user_name(status.st_uid)}"
    mode = status.st_mode
    # In a folder like /tmp others can add names, and change none of ours.
    if stat.S_ISLNK(mode) or (stat.S_ISDIR(mode) and mode & stat.S_ISVTX):
        return ""
    if mode & stat.S_IWOTH:
        return f"everybody may write to {name}"
    if mode & stat.S_IWGRP and _has_strangers(status.st_gid):
        return f"group {status.st_gid} may write to {name}"
    return ""


def doubts(path: Path) -> list[str]:
    """Say who else may change what is at a path: the file, and each folder and link on the way."""
    found = []

    def look(name: str, status: os.stat_result) -> None:
        if text := doubt(name, status):
            found.append(text)

    os.close(_descend(path, look))
    return found


# --- folders ---


def _refuse_links(name: str, status: os.stat_result) -> None:
    if stat.S_ISLNK(status.st_mode) and not is_ours(status.st_uid):
        raise UntrustedError(
            f"{name} is a link that {user_name(status.st_uid)} has made; remove it, or make it "
            "root's own (chown -h root) if it leads where it should"
        )


@contextmanager
def naming(path: Path | str) -> Iterator[None]:
    """Let an error name a whole path, where the system call was given a part of it."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def _descend(
    path: Path,
    look: Callable[[str, os.stat_result], None],
    *,
    make: bool = False,
    folders: bool = False,
) -> int:
    """Go to a path, one name after the other; each is looked at before it is entered.

    Return the descriptor of the folder at its end, or of the one that the file there is in, unless
    all are to be folders.
    """
    left = list(path.absolute().parts)
    folder, name, links = os.open("/", _FOLDER), "/", 0
    try:
        while left:
            part = left.pop(0)
            name = os.path.normpath(os.path.join(name, part))  # noqa: PTH118
            try:
                status = os.stat(part, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError as error:
                if not make:
                    raise FileNotFoundError(error.errno, error.strerror, name) from None
                with suppress(FileExistsError):
                    os.mkdir(part, 0o755, dir_fd=folder)
                status = os.stat(part, dir_fd=folder, follow_symlinks=False)
            look(name, status)
            if stat.S_ISLNK(status.st_mode):
                links += 1
                if links > LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
                left[:0] = Path(os.readlink(part, dir_fd=folder)).parts
                name = str(Path(name).parent)
            elif stat.S_ISDIR(status.st_mode) or left or folders:
                with naming(name):
                    folder, before = os.open(part, _FOLDER, dir_fd=folder), folder
                os.close(before)
    except BaseException:
        os.close(folder)
        raise
    return folder


@contextmanager
def open_folder(path: Path, *, make: bool = False) -> Iterator[int]:
    """Open a folder, making it where it is not there; UntrustedError where another's link leads."""
    descriptor = _descend(path, _refuse_links, make=make, folders=True)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def anchored(descriptor: int) -> Path:
    """Return a name that leads to an open folder, wherever that is moved meanwhile."""
    link = Path(f"/proc/self/fd/{descriptor}")
    if not link.exists():
        raise UntrustedError(f"{link} is not there: mount /proc")
    return link


# --- files ---


def open_file(name: str | Path, flags: int, mode: int = 0, folder: int | None = None) -> IO[bytes]:
    """Open a plain file; OSError for a link, and for a pipe or device, at which we might wait."""
    path = Path(name) if folder is None else anchored(folder) / name
    place = str(path.parent.resolve() / path.name)
    try:
        descriptor = os.open(name, flags | _NOT_MISLED, mode, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "a link, where a plain file should be", place) from None
        raise OSError(error.errno, error.strerror, place) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a plain file", place)
    return os.fdopen(descriptor, "rb" if flags & os.O_ACCMODE == os.O_RDONLY else "r+b")


def put(source: Path, destination: Path, mode: int = 0o644, gid: int = -1) -> None:
    """Replace a file at once, by rename; the folder is made if need be.

    What was there may be a link: it goes, and what it led to stays as it was.
    """
    with (
        open_folder(source.parent) as here,
        open_file(source.name, os.O_RDONLY, folder=here) as old,
    ):
        write(old, destination, mode, gid)


def write(content: IO[bytes], destination: Path, mode: int = 0o644, gid: int = -1) -> None:
    """Replace a file by what is read, as `put` does."""
    with open_folder(destination.parent, make=True) as folder:
        _remove_staged(folder, destination.name)
        name = f".{destination.name}{STAGED}{secrets.token_hex(8)}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        try:
            with open_file(name, flags, 0o600, folder) as new:
                shutil.copyfileobj(content, new)
                os.fchown(new.fileno(), -1, gid)
                os.fchmod(new.fileno(), mode)
            with naming(destination):
                os.rename(name, destination.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)
            raise


def remove(path: Path) -> bool:
    """Remove a file, and what dead writers of it have left; tell whether it was there."""
    try:
        with open_folder(path.parent) as folder:
            _remove_staged(folder, path.name)
            with naming(path):
                os.unlink(path.name, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True


def _remove_staged(folder: int, name: str) -> None:
    """Remove what writers that died have left; those that live are kept out by the lock."""
    for each in os.listdir(anchored(folder)):  # noqa: PTH208
        if each.startswith(f".{name}{STAGED}") or each == f"{name}.new":  # of an earlier version
            os.unlink(each, dir_fd=folder)


# --- locks ---


def holders(file: Path) -> str:
    """Say which processes hold a lock on a file, as far as they can be seen."""
    wanted, found = file.stat(), []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if process.name != str(os.getpid()) and _holds(process, wanted):
                command = (process / "comm").read_text(errors="replace").strip()
                owner = user_name(process.stat().st_uid)
                found.append(f"process {process.name} ({command}, of {owner})")
    return " and ".join(found) or "a process that cannot be seen from here"


def _holds(process: Path, wanted: os.stat_result) -> bool:
    for link in (process / "fd").iterdir():
        with suppress(OSError):
            if os.path.samestat(link.stat(), wanted):
                text = (process / "fdinfo" / link.name).read_text()
                if any(line.startswith("lock:") for line in text.splitlines()):
                    return True
    return False


def main() -> int:
    """Run the command line; return the exit status."""
    os.umask(0o022)
    command, *words = sys.argv[1:] or [""]
    paths = [Path(word) for word in words]
    try:
        if command == "check" and paths:
            found = [text for path in paths for text in doubts(path)]
            print("".join(f"{text}\n" for text in found), end="")
            return 1 if found else 0
        if command == "copy" and len(paths) == 2:
            put(paths[0], paths[1], mode=0o600)
        elif command == "put" and paths and len(paths) % 2 == 0:
            for source, destination in zip(paths[::2], paths[1::2], strict=True):
                put(source, destination)
                print(f"  FILE     {destination}", flush=True)
        elif command == "remove" and paths:
            for path in filter(remove, paths):
                print(f"  REMOVED  {path}", flush=True)
        elif command == "holders" and len(paths) == 1:
            print(holders(paths[0]))
        else:
            print(str(__doc__), file=sys.stderr)
            return 2
    except (OSError, UntrustedError) as error:
        print(f"{Path(__file__).name} {command}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
