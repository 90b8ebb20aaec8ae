"""One build at a time in a checkout: instances side by side share the objects of one `make`."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager

from testbed.errors import TestbedError
from testbed.paths import BUILD

LOCK = BUILD / ".one-build-at-a-time"
WAIT_SECONDS = 600.0
"""Limit on the builds of others; one takes half a minute."""

POLL_SECONDS = 0.05

LESS_URGENT = ("nice", "-n", "15")
"""In front of a compiler: calls that are up at the same time have frames to send every 20 ms."""


@contextmanager
def one_build_at_a_time() -> Iterator[None]:
    """Wait until nobody else builds in this checkout, and keep others from it."""
    LOCK.parent.mkdir(exist_ok=True)
    deadline = time.monotonic() + WAIT_SECONDS
    with LOCK.open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TestbedError(f"another build holds {LOCK} for too long") from None
                time.sleep(POLL_SECONDS)
        yield
