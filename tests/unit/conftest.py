"""One engine for all unit tests: it is started once a process, as in Asterisk."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.engine import Engine


@pytest.fixture
def engine() -> Iterator[Engine]:
    """A running engine; stopping it is part of every test."""
    running = Engine()
    yield running
    assert running.stop() == 0, "the loop did not end"
