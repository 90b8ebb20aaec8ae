"""The engine's loop: what happens in its wait, and what asyncio is told of it."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pyconvai.core import _core
from pyconvai.loop import Loop, Selector
from tests.timing import EVENT, MS

TICK_SECONDS = 0.001


class Owner:
    """Of ticks: does something on each, with the number of the tick."""

    unsent: object = True
    first_at = 0.0

    def __init__(self, do: Callable[[int], object]) -> None:
        self._do, self._numbers = do, itertools.count()

    def woken(self) -> None:
        """Nobody holds here."""

    def tick_failed(self) -> None:
        """Nothing may raise in a tick."""
        raise AssertionError

    def ticked(self, _began: float) -> None:
        self._do(next(self._numbers))


class Ticked:
    """A loop with ticks."""

    def __init__(self, do: Callable[[Ticked, int], object]) -> None:
        self.ticker = _core.Ticker()
        self.loop = Loop(Selector(self.ticker))
        self.late = False
        owner = Owner(lambda number: do(self, number))
        self.ticker.serve_calls([_core.SessionHandle()], owner, owner)
        self.ticker.seconds = TICK_SECONDS

    def run(self) -> None:
        """Until somebody stops it."""
        self.ticker.begin()
        guard = self.loop.call_later(EVENT, self._too_late)
        self.loop.run_forever()
        guard.cancel()
        assert not self.late, "asyncio was not told"

    def _too_late(self) -> None:
        self.late = True
        self.loop.stop()


Made = Callable[[Callable[[Ticked, int], object]], Ticked]


@pytest.fixture
def ticked() -> Iterator[Made]:
    """Makes a loop that does something on each tick."""
    made: list[Ticked] = []

    def make(do: Callable[[Ticked, int], object]) -> Ticked:
        made.append(Ticked(do))
        return made[-1]

    yield make
    for each in made:
        each.ticker.close()
        each.loop.close()


def _by_a_future(loop: Loop) -> None:
    future = loop.create_future()
    future.add_done_callback(lambda _: loop.stop())
    future.set_result(None)


def _by_a_task(loop: Loop, kept: list[Any]) -> None:
    async def stop() -> None:
        loop.stop()

    kept.append(loop.create_task(stop()))


def _by_a_thread(loop: Loop) -> None:
    loop.run_in_executor(None, loop.call_soon_threadsafe, loop.stop)


@pytest.mark.parametrize("how", ["soon", "later", "future", "task", "stop", "thread", "reader"])
def test_what_a_tick_schedules_is_done(ticked: Made, how: str) -> None:
    """asyncio waits without limit, or for long: it has to be told that there is something new."""
    near, far = socket.socketpair()
    kept: list[Any] = []

    def do(self: Ticked, number: int) -> None:
        loop = self.loop
        ways: dict[str, Callable[[], object]] = {
            "soon": lambda: loop.call_soon(loop.stop),
            "later": lambda: loop.call_later(MS, loop.stop),
            "future": lambda: _by_a_future(loop),
            "task": lambda: _by_a_task(loop, kept),
            "stop": loop.stop,
            "thread": lambda: _by_a_thread(loop),
            "reader": lambda: loop.add_reader(near, loop.stop),
        }
        if number == 3:
            ways[how]()
            far.send(b"x")

    made = ticked(do)
    made.run()
    made.loop.remove_reader(near)
    near.close()
    far.close()


def test_ticks_do_not_keep_a_timer_waiting(ticked: Made) -> None:
    """A tick is always due: time is up all the same, and descriptors are looked at."""
    near, far = socket.socketpair()
    seen = []
    made = ticked(lambda self, _: setattr(self.ticker, "seconds", 1e-9))
    made.loop.add_reader(near, lambda: seen.append(near.recv(1)))
    far.send(b"x")
    made.loop.call_later(20 * MS, made.loop.stop)
    made.run()
    assert seen == [b"x"]
    made.loop.remove_reader(near)
    near.close()
    far.close()


def test_ticks_that_take_all_of_the_time_take_turns(ticked: Made) -> None:
    """What sets a call up has many steps, each behind the last: none waits for more than a tick."""
    ticks, steps = [0], [0]

    def tick(self: Ticked, number: int) -> None:
        self.ticker.seconds = 1e-9
        ticks[0] = number
        if number == 0:
            step()

    def step() -> None:
        steps[0] += 1
        made.loop.call_soon(step if steps[0] < 20 else made.loop.stop)

    made = ticked(tick)
    made.run()
    assert 8 <= ticks[0] <= 12, "one in two rounds"


class Counted:
    """In the place of a ticker: counts how often asyncio waits."""

    def __init__(self, ticker: _core.Ticker) -> None:
        self._ticker, self.waits = ticker, 0

    def wait(self, seconds: float) -> bool:
        self.waits += 1
        return self._ticker.wait(seconds)


def test_ticks_are_no_rounds(ticked: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    made = ticked(lambda self, number: number == 50 and self.loop.stop())
    counted = Counted(made.ticker)
    monkeypatch.setattr(made.loop._waits, "ticker", counted)
    made.run()
    assert counted.waits == 1, "asyncio waits once for fifty ticks"


def test_a_fault_outside_of_sessions_is_told(ticked: Made) -> None:
    """Without it nobody would know: the loop goes on."""
    told: list[dict[str, Any]] = []

    def fail(self: Ticked, number: int) -> None:
        if number == 2:
            raise ZeroDivisionError
        if number == 5:
            self.loop.stop()

    made = ticked(fail)
    made.loop.set_exception_handler(lambda _, what: told.append(what))
    made.run()
    assert isinstance(told[0]["exception"], AssertionError), "of tick_failed itself"


def test_a_loop_without_ticks_is_asyncios(ticked: Made) -> None:
    seen: list[int] = []
    made = ticked(lambda _, number: seen.append(number))
    made.loop.end_ticks()
    made.ticker.begin()
    made.loop.run_until_complete(asyncio.sleep(20 * MS))
    assert seen == []
