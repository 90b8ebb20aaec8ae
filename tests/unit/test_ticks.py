"""When ticks are, and what is looked at on one."""

from __future__ import annotations

import math
import time

from pyconvai.core._core import tick_after as after
from pyconvai.ticks import Looks


def test_ticks_are_at_multiples_of_their_length() -> None:
    assert math.isclose(after(10.0, 0.02), 10.02)
    assert math.isclose(after(10.019, 0.02), 10.02)
    assert math.isclose(after(10.0199999, 0.02), 10.04), "it is this tick, as far as numbers go"


def test_each_is_looked_at_once_and_when_it_is_due() -> None:
    looks, seen = Looks(), list[str]()
    one, two = (lambda: seen.append("one")), (lambda: seen.append("two"))
    began = time.monotonic()
    looks.later(two, 200)
    looks.later(one, 100)
    looks.later(one, 300)  # it is wanted already
    assert began + 100 <= looks.first_at <= time.monotonic() + 100
    assert looks.due(began + 99) == []
    assert looks.due(began + 199) == [one]
    assert looks.first_at > began + 199
    for look in looks.due(began + 1000):
        look()
    assert seen == ["two"]
    assert looks.first_at == math.inf, "a tick without any costs nothing"


def test_what_is_cancelled_is_not_looked_at() -> None:
    looks = Looks()
    one, two = (lambda: None), (lambda: None)
    looks.later(one, 1)
    looks.later(two, 1)
    looks.cancel(two)
    looks.cancel(two)
    assert looks.due(math.inf) == [one]


def test_a_look_may_want_another() -> None:
    looks = Looks()

    def again() -> None:
        looks.later(again, 5)

    looks.later(again, 1)
    for look in looks.due(time.monotonic() + 2):
        look()
    assert time.monotonic() + 2 < looks.first_at < math.inf
