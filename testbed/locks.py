"""Locks between processes, on files: the kernel lets go of one when its process ends, however."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from testbed.errors import TestbedError

POLL_SECONDS = 0.05


@contextmanager
def locked(
    path: Path, seconds: float, waiting: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Hold a lock; `waiting` is called once if it has to be waited for. TestbedError on the limit.

    The file is its owner's alone: another user who could open it could hold it.
    """
    deadline = time.monotonic() + seconds
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)  # of an earlier version: for all to read
        told = False
        while not _try_lock(descriptor):
            if not told:
                told = True
                waiting()
            if time.monotonic() > deadline:
                raise TestbedError(
                    f"{path}: held by another process for {seconds:.0f} s ('fuser {path}' names it)"
                )
            time.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
