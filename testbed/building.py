"""One build at a time in a checkout: instances side by side share the objects of one `make`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from testbed.locks import locked
from testbed.paths import BUILD

LOCK = BUILD / ".one-build-at-a-time"
WAIT_SECONDS = 600.0
"""Limit on the builds of others; one takes half a minute."""

LESS_URGENT = ("nice", "-n", "15")
"""In front of a compiler: calls that are up at the same time have frames to send every 20 ms."""

AT_ONCE = f"-j{os.cpu_count() or 1}"
"""For make: others wait until a build is over."""


@contextmanager
def one_build_at_a_time() -> Iterator[None]:
    """Wait until nobody else builds in this checkout, and keep others from it."""
    LOCK.parent.mkdir(exist_ok=True)
    with locked(LOCK, WAIT_SECONDS):
        yield
