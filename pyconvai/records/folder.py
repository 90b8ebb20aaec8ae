"""All that touches files: records, the spool of the webhook, and the marks of calls that are up.

::

    records-2026-11-29.jsonl    one line a call that ended on that day, in UTC
    webhook/<ms>-<id>.json      a record that is to be sent; <ms>: since when
    calls/<engine>.<id>.json    the mark of a call that is up: its record, should it never end
    calls/<engine>.lock         locked for as long as that engine lives
    sender.lock                 locked by the engine that sends
    reports/                    pages and bundles that somebody has asked for

Each folder is opened relative to the one above it, and no link is followed. What is to outlive a
crash gets its name when it is whole, and on the disk. The disk's thread only: it may wait for as
long as a disk does. All of it raises OSError.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import re
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import orjson

from .. import limits
from . import record
from .record import Record

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_FOLDER_MODE, _FILE_MODE = 0o750, 0o640

_ID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_SPOOLED = re.compile(rf"([0-9]{{13}})-({_ID})\.json")
_MARK = re.compile(rf"([0-9a-z-]{{1,64}})\.({_ID})\.json")
_DAY = re.compile(r"records-([0-9]{4}-[0-9]{2}-[0-9]{2})\.jsonl")
_UNFINISHED = ".new-"


class Spooled(NamedTuple):
    """A record in the spool."""

    name: str
    id: str
    since: float
    """The time of day."""
    agent: str
    """That the call has asked for."""


@dataclass(slots=True)
class Entry:
    """Something that is to be written: the record of a call, or the mark that it has begun."""

    id: str
    line: bytes
    agent: str
    in_file: bool
    for_webhook: bool
    day: str = ""
    """Of the record; empty: it is the mark."""
    spooled: Spooled | None = None
    """What the spool has of it."""


class Folder:
    """The folder of the records, as one engine sees it."""

    def __init__(self, path: str, engine: str) -> None:
        """``engine``: a name that no other has, letters, digits and dashes."""
        self._path, self._engine = os.fsencode(path), engine
        self._open: dict[str, int] = {}
        """Descriptors of the folders: the one above is ""."""
        self._alive: int | None = None
        self._sender: int | None = None

    # ---- Folders ----

    def _folder(self, name: str) -> int:
        """The descriptor of a folder, which is made where there is none."""
        fd = self._open.get(name)
        if fd is None:
            above = self._folder("") if name else None
            place: str | bytes = name or self._path
            with suppress(FileExistsError):
                os.mkdir(place, _FOLDER_MODE, dir_fd=above)
            fd = self._open[name] = os.open(place, _DIRECTORY, dir_fd=above)
        return fd

    def close(self) -> None:
        """Let go of everything, locks included. Marks that are left are taken for a crash's."""
        if self._alive is not None:
            with suppress(OSError):
                self._discard(f"{self._engine}.lock", self._folder("calls"))
        for fd in (self._alive, self._sender, *self._open.values()):
            if fd is not None:
                os.close(fd)
        self._alive = self._sender = None
        self._open.clear()

    @staticmethod
    def _discard(name: str, folder: int) -> None:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)

    def _put(self, name: str, folder: int, data: bytes, *, safely: bool) -> None:
        """Write a file that is whole whenever it has its name. ``safely``: on the disk as well."""
        unfinished = f"{_UNFINISHED}{self._engine}-{name}"
        self._discard(unfinished, folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FILE
        fd = os.open(unfinished, flags, _FILE_MODE, dir_fd=folder)
        try:
            try:
                _write(fd, data)
                if safely:
                    os.fsync(fd)
            finally:
                os.close(fd)
            os.rename(unfinished, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                self._discard(unfinished, folder)
            raise

    @staticmethod
    def _read(name: str, folder: int) -> bytes:
        """The file; nothing if it is longer than one of ours."""
        fd = os.open(name, os.O_RDONLY | _FILE, dir_fd=folder)
        with os.fdopen(fd, "rb") as file:
            data = file.read(limits.SPOOLED_BYTES + 1)
        return data if len(data) <= limits.SPOOLED_BYTES else b""

    # ---- Writing ----

    def write(self, entries: list[Entry]) -> tuple[int, OSError | None]:
        """Write these, in order. Returns how many are done, and why the next one is not.

        May be called again with one that was not done: nothing is there twice.
        """
        done, fault = 0, None
        try:
            for entry in entries:
                if entry.day:
                    self._write(entry)
                else:
                    self._mark(entry)
                done += 1
        except OSError as error:
            fault = error
        return done, fault

    def _mark(self, entry: Entry) -> None:
        """Say that a call is up. Not waited for: a machine that loses power loses it."""
        folder = self._folder("calls")
        if self._alive is None:
            self._alive = self._lock_new(f"{self._engine}.lock", folder)
        mark = {
            "in_file": entry.in_file,
            "for_webhook": entry.for_webhook,
            "record": orjson.Fragment(entry.line),
        }
        self._put(f"{self._engine}.{entry.id}.json", folder, orjson.dumps(mark), safely=False)

    def _write(self, entry: Entry) -> None:
        """The spool first: what is in there is sent. The mark goes last; see ``recover``."""
        if entry.for_webhook and entry.spooled is None:
            entry.spooled = self._spool(entry)
        if entry.in_file:
            self._append(entry)
        self._discard(f"{self._engine}.{entry.id}.json", self._folder("calls"))

    def _spool(self, entry: Entry) -> Spooled:
        folder = self._folder("webhook")
        now = time.time()
        name = f"{round(now * 1000):013d}-{entry.id}.json"
        self._put(name, folder, entry.line, safely=True)
        os.fsync(folder)
        return Spooled(name, entry.id, now, entry.agent)

    def _append(self, entry: Entry) -> None:
        """Add the line to its day's file, whole or not at all; engines take turns."""
        folder = self._folder("")
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | _FILE
        fd = os.open(f"records-{entry.day}.jsonl", flags, _FILE_MODE, dir_fd=folder)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            end = os.fstat(fd).st_size
            # A crash, or a machine without power, may have left a part of a line.
            torn = end and os.pread(fd, 1, end - 1) != b"\n"
            try:
                _write(fd, (b"\n" if torn else b"") + entry.line + b"\n")
            except OSError:
                os.ftruncate(fd, end)
                raise
        finally:
            os.close(fd)

    # ---- What somebody asks for ----

    def find(self, name: str, seconds: float) -> Record | None:
        """The newest record of this name (``record.names``). TimeoutError: none in that time."""
        wanted = record.quoted(name)
        until = time.monotonic() + seconds
        folder = self._folder("")
        for _, file in sorted(self._days(), reverse=True):
            fd = os.open(file, os.O_RDONLY | _FILE, dir_fd=folder)
            with os.fdopen(fd, "rb") as lines:
                found = None
                while line := lines.readline(limits.SPOOLED_BYTES):
                    if time.monotonic() > until:
                        raise TimeoutError
                    if wanted in line and (each := _named(line, name)):
                        found = each
            if found is not None:
                return found
        return None

    def put_report(self, name: str, data: bytes, days: int) -> str:
        """Write a page or a bundle, and remove those that are too old. Returns its path."""
        folder = self._folder("reports")
        self._put(name, folder, data, safely=False)
        self._tidy_reports(time.time(), days)
        return str(Path(os.fsdecode(self._path), "reports", name))

    def _tidy_reports(self, now: float, days: int) -> None:
        folder = self._folder("reports")
        for name in _names(folder):
            with suppress(FileNotFoundError):
                changed = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime
                life = limits.TIDY_SECONDS if name.startswith(_UNFINISHED) else days * 86_400
                if now - changed > life:
                    self._discard(name, folder)

    # ---- The spool ----

    def spooled(self, known: frozenset[str] = frozenset()) -> list[Spooled]:
        """What is to be sent, oldest first, without those whose names are known."""
        folder = self._folder("webhook")
        found = []
        for name in sorted(set(self._spool_names()) - known):
            if match := _SPOOLED.fullmatch(name):
                with suppress(OSError, orjson.JSONDecodeError, KeyError, TypeError):
                    agent = str(orjson.loads(self._read(name, folder))["asked_agent"])
                    found.append(Spooled(name, match[2], int(match[1]) / 1000, agent))
        return found

    def load(self, name: str) -> bytes | None:
        """A record, to be sent now; None: another engine sends by now."""
        if not self._holds_sender():
            return None
        return self._read(name, self._folder("webhook"))

    def sent(self, name: str) -> None:
        """The record was taken, or is given up."""
        self._discard(name, self._folder("webhook"))

    # ---- Locks ----

    def claim(self, by_force: bool) -> bool:
        """Become the engine that sends, if none is. ``by_force``: in place of one that hangs."""
        folder = self._folder("")
        if by_force and self._is_of_this_process():
            self._discard("sender.lock", folder)
        flags = os.O_RDWR | os.O_CREAT | _FILE
        fd = os.open("sender.lock", flags, _FILE_MODE, dir_fd=folder)
        if not _locked(fd):
            os.close(fd)
            return False
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._sender = fd
        if self._holds_sender():  # not one that was just taken away
            return True
        self.release()
        return False

    def release(self) -> None:
        """Send no more: another engine may."""
        if self._sender is not None:
            os.close(self._sender)
        self._sender = None

    def _is_of_this_process(self) -> bool:
        with suppress(OSError, ValueError):
            return int(self._read("sender.lock", self._folder(""))) == os.getpid()
        return False

    def _holds_sender(self) -> bool:
        if self._sender is None:
            return False
        own = os.fstat(self._sender)
        with suppress(OSError):
            there = os.stat("sender.lock", dir_fd=self._folder(""), follow_symlinks=False)
            return (own.st_dev, own.st_ino) == (there.st_dev, there.st_ino)
        return False

    def _lock_new(self, name: str, folder: int) -> int:
        """A file that is locked whenever it has its name."""
        unfinished = f"{_UNFINISHED}{name}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FILE
        fd = os.open(unfinished, flags, _FILE_MODE, dir_fd=folder)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.rename(unfinished, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            os.close(fd)
            raise
        return fd

    # ---- After a crash ----

    def recover(self) -> int:
        """Record the calls of engines that live no more. Returns how many were cut off.

        A mark may be of a call whose record was written, for it goes last: then what is missing of
        that is done.
        """
        folder = self._folder("calls")
        marks = sorted(_names(folder))
        spooled = {each[2] for each in map(_SPOOLED.fullmatch, self._spool_names()) if each}
        cut_off = 0
        engines = {name.partition(".")[0] for name in marks if not name.startswith(".")}
        for engine in sorted(engines - {self._engine}):
            with self._dead(engine, folder) as dead:
                if not dead:
                    continue
                for name in marks:
                    match = _MARK.fullmatch(name)
                    if match and match[1] == engine:
                        cut_off += self._recover(name, match[2], folder, spooled)
        return cut_off

    def _spool_names(self) -> list[str]:
        return _names(self._folder("webhook"))

    def _dead(self, engine: str, folder: int) -> _Dead:
        return _Dead(f"{engine}.lock", folder)

    def _recover(self, name: str, call: str, folder: int, spooled: set[str]) -> bool:
        """Returns whether the call was cut off."""
        entry = self._mark_of(name, folder)
        was_recorded = call in spooled
        if entry is not None:
            if was_recorded:
                self._take_spooled(entry)
            has_line = entry.in_file and self._has_line(entry)
            was_recorded |= has_line
            if entry.for_webhook and not was_recorded:
                self._spool(entry)
            if entry.in_file and not has_line:
                self._append(entry)
        self._discard(name, folder)
        return entry is not None and not was_recorded

    def _mark_of(self, name: str, folder: int) -> Entry | None:
        """The record of a call that was cut off; None: the mark is not whole."""
        try:
            mark = orjson.loads(self._read(name, folder))
            found: Record = mark["record"]
            return Entry(
                str(found["id"]),
                record.written(found),
                str(found["asked_agent"]),
                bool(mark["in_file"]),
                bool(mark["for_webhook"]),
                record.day(found),
            )
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return None
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ELOOP):
                raise
            return None

    def _take_spooled(self, entry: Entry) -> None:
        """Take the record itself, which the spool has: only the file may not have it."""
        folder = self._folder("webhook")
        for name in self._spool_names():
            match = _SPOOLED.fullmatch(name)
            if match and match[2] == entry.id:
                with suppress(orjson.JSONDecodeError, KeyError, TypeError):
                    line = self._read(name, folder)
                    entry.day = record.day(orjson.loads(line))
                    entry.line = line

    def _has_line(self, entry: Entry) -> bool:
        """Whether a file has the record of this call: of its day, or of one since."""
        wanted = b'"id":"%s"' % entry.id.encode()
        folder = self._folder("")
        return any(
            self._finds(name, folder, wanted) for day, name in self._days() if day >= entry.day
        )

    @staticmethod
    def _finds(name: str, folder: int, wanted: bytes) -> bool:
        fd = os.open(name, os.O_RDONLY | _FILE, dir_fd=folder)
        try:
            if not os.fstat(fd).st_size:
                return False
            with closing(mmap.mmap(fd, 0, prot=mmap.PROT_READ)) as content:
                return content.rfind(wanted) >= 0
        finally:
            os.close(fd)

    # ---- What is too old ----

    def _days(self) -> Iterator[tuple[str, str]]:
        for name in sorted(_names(self._folder(""))):
            if match := _DAY.fullmatch(name):
                yield match[1], name

    def tidy(self, days: int) -> None:
        """Remove what is older than so many days, and what was never finished."""
        now = time.time()
        oldest = now - days * 86_400
        if "reports" in _names(self._folder("")):
            self._tidy_reports(now, days)
        for day, name in list(self._days()):
            if day < record.moment(round(oldest * 1000))[:10]:
                self._discard(name, self._folder(""))
        for folder in (self._folder("webhook"), self._folder("calls")):
            for name in _names(folder):
                is_unfinished = name.startswith(_UNFINISHED)
                with suppress(FileNotFoundError):
                    changed = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime
                    is_spool = folder == self._folder("webhook")
                    if (is_unfinished and now - changed > limits.TIDY_SECONDS) or (
                        is_spool and changed < oldest
                    ):
                        self._discard(name, folder)


class _Dead:
    """Holds the lock of an engine, which goes with it, if that engine lives no more."""

    def __init__(self, name: str, folder: int) -> None:
        self._name, self._folder = name, folder
        self._fd: int | None = None

    def __enter__(self) -> bool:
        try:
            self._fd = os.open(self._name, os.O_RDONLY | _FILE, dir_fd=self._folder)
        except FileNotFoundError:
            return True  # it has let go of everything, and has left marks
        return _locked(self._fd)

    def __exit__(self, fault: type[BaseException] | None, *_: object) -> None:
        if self._fd is not None:
            if fault is None and _locked(self._fd):
                Folder._discard(self._name, self._folder)
            os.close(self._fd)


def _named(line: bytes, name: str) -> Record | None:
    """The record on a line, if it has this name, and is whole."""
    with suppress(orjson.JSONDecodeError, KeyError, TypeError):
        found: Record = orjson.loads(line)
        if name in record.names(found):
            return found
    return None


def _names(folder: int) -> list[str]:
    return os.listdir(folder)


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        written = os.write(fd, rest)
        if not written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        rest = rest[written:]
