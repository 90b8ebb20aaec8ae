"""Stopping one thread of a process for a while: how a thread looks that will not go on.

    with frozen(channel_thread(asterisk)):
        asterisk.cli("module unload -f app_elevenlabs_convai")     # is refused

The thread is stopped as a debugger stops it; the others go on. Needs the right to trace, as root
has it. Enter and leave the context on the same thread: the kernel knows the tracer by its thread.
"""

from __future__ import annotations

import ctypes
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testbed.errors import TestbedError
from testbed.instance import Instance

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
STOP_SECONDS = 5.0
"""Limit on a thread's stop; it takes microseconds."""

IDLE_WORDS = ("poll", "futex", "epoll")
"""In /proc/.../wchan of a thread that waits, and holds no lock that others want."""


def channel_thread(instance: Instance) -> int:
    """The thread of the only channel there is, at a moment at which it waits for its channel."""
    found = re.findall(r"^\S+ +(\d+) +pbx_thread ", instance.cli("core show threads"), re.MULTILINE)
    if len(found) != 1:
        raise TestbedError(f"{len(found)} channel threads; frozen() needs one to choose")
    return int(found[0])


@contextmanager
def frozen(thread: int) -> Iterator[None]:
    """Stop this thread where it waits; let it go on at the end."""
    deadline = time.monotonic() + STOP_SECONDS
    while not _stop_where_it_waits(thread):
        if time.monotonic() > deadline:
            raise TestbedError(f"thread {thread} is never seen waiting")
    try:
        yield
    finally:
        _trace(PTRACE_DETACH, thread)


def _stop_where_it_waits(thread: int) -> bool:
    """Stop it; let it go on again, and return False, if it was doing something."""
    waits = _waits(thread)
    _trace(PTRACE_SEIZE, thread)
    _trace(PTRACE_INTERRUPT, thread)
    os.waitpid(thread, 0x40000000)  # __WALL: a thread, not a child
    if not waits:
        _trace(PTRACE_DETACH, thread)
    return waits


def _waits(thread: int) -> bool:
    where = Path(f"/proc/{thread}/wchan").read_text(encoding="ascii")
    return any(word in where for word in IDLE_WORDS)


def _trace(request: int, thread: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    if libc.ptrace(request, thread, None, None) != 0:
        error = os.strerror(ctypes.get_errno())
        raise TestbedError(f"thread {thread} cannot be traced ({request:#x}): {error}")
