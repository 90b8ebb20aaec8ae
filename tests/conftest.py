"""What every test gets: a limit on its time."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest

from tests.timing import SECOND, TEST_LIMIT


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers, since unknown ones are errors."""
    config.addinivalue_line("markers", "limit(seconds): how long each phase of this test may take")
    config.addinivalue_line("markers", "slow: takes ten seconds and more; not in make test-unit")
    config.addinivalue_line("markers", "alone: nothing else runs meanwhile, for it takes times")


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
