"""What several files of tests use."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from pyconvai import limits
from tests.timing import EVENT, SECOND
from tests.unit.engine import Engine
from tests.unit.peer import Certificates

HURRIED = (
    "SELFTEST_SECONDS",
    "WORKER_START_SECONDS",
    "WORKER_LOAD_SECONDS",
    "WORKER_DEAF_SECONDS",
)
"""Limits of the engine's within which something begins or answers, which each may miss on a machine
that stands still. Tests of what comes of that set their own."""


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is given up for being late that is only late."""
    for name in HURRIED:
        monkeypatch.setattr(limits, name, EVENT)


@pytest.fixture
def engine() -> Iterator[Engine]:
    """A running engine; stopping it is part of every test."""
    running = Engine()
    yield running
    assert running.stop() == 0, "the loop did not end"


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority for the services of all tests."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> float:
    """The limit on closing handshakes, made short; in seconds."""
    monkeypatch.setattr(limits, "CLOSE_SECONDS", 0.2 * SECOND)
    return 0.2 * SECOND


@pytest.fixture
def stay() -> Iterator[threading.Event]:
    """What a service waits for that does nothing any more; set when the test is over."""
    event = threading.Event()
    yield event
    event.set()
