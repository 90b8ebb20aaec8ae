"""A pytest plugin (``-p tests.jitter``): delays threads at random, so that races of tests show.

``--jitter=threads`` delays all threads but the test's own, where a function of this project begins,
ends, or calls into C, and where asyncio runs a callback: what a test takes for done may be done a
moment later. ``--jitter=lines`` delays the test instead, between lines of tests/: what it takes for
not done yet may be done. The more often a test comes by a place, the less often is a delay there.
"""

from __future__ import annotations

import _thread
import asyncio.events
import random
import re
import secrets
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

CHANCE = 0.3
"""Of a delay where a test comes by for the first time; the n-th time it is an n-th of that."""
LONGEST_SECONDS = {"threads": 0.015, "lines": 0.06}
BUDGET_SECONDS = 5.0
"""Of all delays of a test, far below its own limits."""

TESTS = Path(__file__).parent
OURS = {
    "threads": rf".*/(pyconvai|app_elevenlabs_convai)/|{TESTS}/|{asyncio.events.__file__}",
    "lines": f"{TESTS}/",
}
"""Files whose functions are delayed. Engines that tests install are copies, somewhere else."""
_start = _thread.start_new_thread


@cache
def is_ours(mode: str, path: str) -> bool:
    """Whether functions of this file are delayed."""
    return re.match(OURS[mode], path) is not None


class Jitter:
    """The delays of one run. On all threads: each look and step takes the GIL once."""

    def __init__(self, mode: str, seed: int) -> None:
        self._mode, self._seed, self._left = mode, seed, 0.0
        self._random, self._visits = random.Random(), Counter[object]()
        if mode == "threads":
            threading.setprofile(self.at)
            _thread.start_new_thread = self.start_profiled

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        """Delay what runs while the test does, and not its fixtures."""
        self._random.seed(f"{self._seed} {item.nodeid}")
        self._visits.clear()
        self._left = BUDGET_SECONDS
        if self._mode == "lines":
            sys.settrace(self.at)
        try:
            return (yield)
        finally:
            if self._mode == "lines":
                sys.settrace(None)
            self._left = 0.0

    def start_profiled(self, function: Callable[..., object], *arguments: Any) -> int:
        """In the place of ``_thread.start_new_thread``, which does not know of ``setprofile``."""

        def profiled(*given: Any, **named: Any) -> None:
            sys.setprofile(self.at)
            function(*given, **named)

        return _start(profiled, *arguments)

    def at(self, frame: FrameType, event: str, _argument: object) -> Any:
        """Delay this thread, or do not; None: go on without a look at the lines of this call."""
        if not is_ours(self._mode, frame.f_code.co_filename):
            return None
        place = frame.f_code, frame.f_lineno, event
        self._visits[place] += 1
        if self._left > 0 and self._random.random() * self._visits[place] < CHANCE:
            pause = self._random.random() * LONGEST_SECONDS[self._mode]
            self._left -= pause
            time.sleep(pause)
        return self.at


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options. Workers of pytest-xdist are given the seed that was drawn here."""
    parser.addoption("--jitter", choices=LONGEST_SECONDS, default="threads", help="what is delayed")
    parser.addoption("--jitter-seed", type=int, default=secrets.randbelow(1000))


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Begin, and tell how to have the same delays again."""
    mode, seed = config.getoption("--jitter"), config.getoption("--jitter-seed")
    config.pluginmanager.register(Jitter(mode, seed))
    if reporter := config.pluginmanager.get_plugin("terminalreporter"):
        reporter.write_line(f"jitter: --jitter={mode} --jitter-seed={seed}")
