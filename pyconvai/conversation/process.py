"""The process of a worker: started, spoken with, and ended. Loop thread, but for the start.

Asterisk reaps all children of its process by itself, so nobody here waits for one: that it has
ended is told by its socket, and by a descriptor of the process (pidfd). Whoever it has forked is
ended with it, but for what has made a session of its own.
"""

from __future__ import annotations

import _thread
import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .. import limits, log
from ..tools.frames import Frame, Frames, packed

PROGRAM = Path(__file__).parents[1] / "tools" / "main.py"


def interpreter() -> str:
    """The Python that the module was built for, as a program."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    places = (sys.executable, f"{sys.prefix}/bin/{version}", f"{sys.base_prefix}/bin/{version}")
    return next((place for place in places if place and os.access(place, os.X_OK)), version)


def environment() -> dict[str, str]:
    """All that a worker has of Asterisk's: there may be keys in the rest."""
    kept = {name: os.environ[name] for name in ("PATH", "TZ") if name in os.environ}
    # Threads of libraries would take the machine from calls, and glibc's arenas its memory.
    small = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", **kept, "LANG": "C.UTF-8", **small}


@dataclass(frozen=True, slots=True)
class Ends:
    """The engine's ends of a process that runs."""

    pid: int
    pidfd: int
    """-1 where the kernel has none, or it has died already."""
    connection: socket.socket
    lifeline: socket.socket
    """Never used: the kernel ends the process when it closes, Asterisk's own end included."""
    output: int

    def close(self) -> None:
        """End the process, and whoever it has forked, and let go of everything."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self.connection.close()
        self.lifeline.close()
        os.close(self.output)
        if self.pidfd >= 0:
            os.close(self.pidfd)


def spawn() -> Ends:
    """Start a worker. Any thread but the loop's: it waits for the disk.

    The GIL is held from vfork to exec, a millisecond or so, as always in Python.
    """
    connection, its_connection = socket.socketpair()
    lifeline, its_lifeline = socket.socketpair()
    output, its_output = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    os.set_blocking(its_output, True)
    try:
        child = subprocess.Popen(
            [interpreter(), "-I", "-B", "-u", "-X", "utf8", str(PROGRAM)]
            + [str(each.fileno()) for each in (its_connection, its_lifeline)],
            stdin=subprocess.DEVNULL,
            stdout=its_output,
            stderr=its_output,
            pass_fds=(its_connection.fileno(), its_lifeline.fileno()),
            env=environment(),
            cwd="/",
            start_new_session=True,
        )
    except BaseException:
        for each in (connection, lifeline):
            each.close()
        os.close(output)
        raise
    finally:
        its_connection.close()
        its_lifeline.close()
        os.close(its_output)
    child.returncode = 0  # so that nobody waits for it: by then another may have its number
    connection.setblocking(False)
    return Ends(child.pid, _pidfd(child.pid), connection, lifeline, output)


def _pidfd(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except OSError:
        return -1


class Process:
    """One of them, from the start of the start on."""

    def __init__(self, received: Callable[[Frame], None], ended: Callable[[str], None]) -> None:
        """``received``: a frame has come. ``ended``: it has, or was never there; why. Once."""
        self._received, self._ended = received, ended
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        """Of the next two, held for no more than a look: a thread starts the process."""
        self._ends: Ends | None = None
        self._is_over = False
        self._is_there = False
        self._frames = Frames()
        self._unsent = bytearray()
        self._output = Output()
        self._timer = self._loop.call_later(
            limits.WORKER_START_SECONDS, self.end, "it could not be started in time"
        )
        try:
            _thread.start_new_thread(self._start, ())
        except RuntimeError as fault:
            self._loop.call_soon(self.end, f"it could not be started: {fault}")

    @property
    def pid(self) -> int:
        """Its number, or 0 while there is none."""
        return self._ends.pid if self._ends else 0

    def _start(self) -> None:
        """A thread of its own, which starts the process and ends."""
        ends, fault = None, ""
        try:
            ends = spawn()
        except Exception as error:
            fault = f"{interpreter()} cannot be started: {type(error).__name__}: {error}"
        with self._lock:
            if not self._is_over:
                self._ends = ends
            elif ends is not None:  # nobody waits for it any more
                ends.close()
        with suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(self._started, fault)

    def _started(self, fault: str) -> None:
        if self._is_over:
            return
        self._timer.cancel()
        if (ends := self._ends) is None:
            self.end(fault)
        else:
            self._is_there = True
            self._loop.add_reader(ends.connection, self._readable)
            self._loop.add_reader(ends.output, self._printed)
            if ends.pidfd >= 0:
                self._loop.add_reader(ends.pidfd, self._died)
            self._flush()

    def end(self, why: str) -> None:
        """End it, at once."""
        with self._lock:
            if self._is_over:
                return
            self._is_over = True
        self._timer.cancel()
        self._is_there = False
        if (ends := self._ends) is not None:
            for each in (ends.connection.fileno(), ends.output, ends.pidfd):
                if each >= 0:
                    self._loop.remove_reader(each)
            self._loop.remove_writer(ends.connection)
            self._output.read(ends.output)
            ends.close()
        self._output.close()
        self._ended(why)

    # ---- Frames ----

    def send(self, frame: Frame) -> bool:
        """Say something, once it is there. False: it takes nothing, or this is too long."""
        try:
            data = packed(frame)
        except (ValueError, RecursionError):
            return False
        if len(self._unsent) + len(data) > limits.WORKER_BACKLOG_BYTES:
            return False
        self._unsent += data
        self._flush()
        return True

    def _flush(self) -> None:
        if not self._is_there or self._ends is None:
            return
        try:
            while self._unsent:
                del self._unsent[: self._ends.connection.send(self._unsent)]
        except BlockingIOError:
            self._loop.add_writer(self._ends.connection, self._flush)
            return
        except OSError:
            pass  # it has died: that is told where it is read
        self._loop.remove_writer(self._ends.connection)

    def _readable(self) -> None:
        assert self._ends is not None
        try:
            data = self._ends.connection.recv(limits.TOOL_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.end("it has ended")
            return
        self._frames.feed(data)
        try:
            for frame in self._frames.complete():
                self._received(frame)
                if self._is_over:
                    return
        except (ValueError, KeyError, TypeError) as fault:
            self.end(f"it does not speak as a worker does: {type(fault).__name__}: {fault}")

    def _died(self) -> None:
        """What it has said before that is still read."""
        assert self._ends is not None
        self._loop.remove_reader(self._ends.pidfd)
        for _ in range(limits.WORKER_BACKLOG_BYTES // limits.TOOL_READ_BYTES):
            if self._is_over:
                return
            try:
                waiting = self._ends.connection.recv(1, socket.MSG_PEEK)
            except OSError:  # somebody that it has forked keeps its end open
                break
            if not waiting:
                break
            self._readable()
        self.end("it has ended")

    def _printed(self) -> None:
        """A little at a time."""
        assert self._ends is not None
        self._loop.remove_reader(self._ends.output)
        if self._output.read(self._ends.output):
            self._loop.call_later(limits.WORKER_OUTPUT_SECONDS, self._look_again)

    def _look_again(self) -> None:
        if self._ends is not None and not self._is_over:
            self._loop.add_reader(self._ends.output, self._printed)


class Output:
    """What a worker prints, in the log; not without end."""

    def __init__(self) -> None:
        self._text = b""
        self._until = 0.0
        self._lines = 0

    def read(self, descriptor: int) -> bool:
        """Log what has come. False: nothing comes any more."""
        try:
            data = os.read(descriptor, limits.TOOL_READ_BYTES)
        except BlockingIOError:
            return True
        *lines, self._text = (self._text + data).split(b"\n")
        if len(self._text) > limits.WORKER_LINE_CHARACTERS:
            lines, self._text = [*lines, self._text], b""
        for line in lines:
            self._tell(line.decode(errors="replace"))
        return bool(data)

    def close(self) -> None:
        """Log what has no line's end."""
        if self._text:
            self._tell(self._text.decode(errors="replace"))
        self._count_anew()

    def _tell(self, line: str) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._until:
            self._count_anew()
            self._until = now + limits.WORKER_LINES_SECONDS
        self._lines += 1
        if line.strip() and self._lines <= limits.WORKER_LINES:
            log.host(log.NOTICE, f"a tool prints: {line[: limits.WORKER_LINE_CHARACTERS]}")

    def _count_anew(self) -> None:
        if self._lines > limits.WORKER_LINES:
            more = self._lines - limits.WORKER_LINES
            log.host(log.NOTICE, f"not logged: {more} more lines that tools have printed")
        self._lines = 0
