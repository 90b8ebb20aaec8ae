"""What every test gets: its turn, a limit on its time, and the marker of what concerns security."""

from __future__ import annotations

import signal
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from tests import security
from tests.timing import SECOND, TEST_LIMIT


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers, since unknown ones are errors."""
    config.addinivalue_line("markers", "limit(seconds): how long each phase of this test may take")
    config.addinivalue_line(
        "markers",
        "slow: takes ten seconds and more, by itself or with its file; not in make test-unit",
    )
    config.addinivalue_line("markers", "alone: nothing else runs meanwhile, for it takes times")
    config.addinivalue_line("markers", "security: of make test-security; see tests/security.py")


@pytest.hookimpl(tryfirst=True)  # before they are chosen by their markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what docs/security.md names, and what names one of its rows."""
    for item in items:
        if isinstance(item, pytest.Function):
            parameter = item.callspec.id if hasattr(item, "callspec") else ""
            name, text = item.function.__name__, item.function.__doc__
            if security.concerns(item.path, name, text, parameter):
                item.add_marker("security")
    items.sort(key=in_turn(items))


LONGEST = (
    "asterisk/test_install_interrupted.py",
    "asterisk/test_deploy.py",
    "asterisk/test_testbed_echo.py",
    "asterisk/test_unload.py",
)
"""Files that take a minute and more. They begin, for what ends last is waited for alone."""


def in_turn(items: list[pytest.Item]) -> Callable[[pytest.Item], tuple[int, float]]:
    """When the file of a test has its turn: after the longest, the folders' files take turns.

    Several files run at once (JOBS of the Makefile). Most of those in tests/asterisk wait for
    calls, most of the others keep a processor busy, and side by side they take the time of one.
    """
    folders = defaultdict[Path, list[Path]](list)
    for path in dict.fromkeys(item.path for item in items):
        folders[path.parent].append(path)
    place = {path: n / len(files) for files in folders.values() for n, path in enumerate(files)}

    def turn(item: pytest.Item) -> tuple[int, float]:
        name = f"{item.path.parent.name}/{item.path.name}"
        return LONGEST.index(name) if name in LONGEST else len(LONGEST), place[item.path]

    return turn


@contextmanager
def time_limit(item: pytest.Item) -> Iterator[None]:
    """Fail the running phase when it takes too long.

    The alarm interrupts whatever the main thread waits for in Python, asyncio's selector included.
    The failure is a BaseException, so that an ``except Exception`` on its way cannot swallow it.
    """
    marker = item.get_closest_marker("limit")
    seconds = marker.args[0] * SECOND if marker else TEST_LIMIT

    def expire(_signal: int, _frame: FrameType | None) -> None:
        pytest.fail(f"took longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Limit the time of the fixtures' setup."""
    with time_limit(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Limit the time of the test itself."""
    with time_limit(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Limit the time of the fixtures' teardown."""
    with time_limit(item):
        return (yield)
