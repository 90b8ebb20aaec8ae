"""Inquiries: a thread asks the loop something without a call, and waits with a limit."""

from __future__ import annotations

import asyncio
import os
import select
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pyconvai import inquiries, limits, runtime
from pyconvai.inquiries import Function, Pair
from pyconvai.service.endings import Ending, SetupFailed, Status
from pyconvai.service.settings import PairKind, arguments
from tests.timing import EVENT, MS
from tests.unit.engine import Engine, ffi, string

NONE, OK, FAILED = range(3)
EVENTS: list[str] = []


async def echo(agent: str, pairs: list[Pair]) -> tuple[bool, list[str]]:
    return True, [agent, *arguments(pairs, "word"), f"{len(pairs)} pairs"]


async def find(_agent: str, _pairs: list[Pair]) -> tuple[bool, list[str]]:
    return False, ["two\nlines \x1b[31mred", "x" * 5000]


async def flood(_agent: str, _pairs: list[Pair]) -> tuple[bool, list[str]]:
    return True, [str(number) for number in range(100_000)]


async def fail(_agent: str, _pairs: list[Pair]) -> tuple[bool, list[str]]:
    raise SetupFailed(Ending(Status.AUTH, "no key", detail="said the service"))


async def break_down(_agent: str, _pairs: list[Pair]) -> tuple[bool, list[str]]:
    raise ZeroDivisionError("of ours")


async def hang(_agent: str, _pairs: list[Pair]) -> tuple[bool, list[str]]:
    EVENTS.append("hangs")
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        EVENTS.append("is over")
        raise
    return True, []


FUNCTIONS: dict[str, Function] = {
    each.__name__: each for each in (echo, find, flood, fail, break_down, hang)
}


class Inquiry:
    """One inquiry, from the side of who asks."""

    def __init__(
        self,
        engine: Engine,
        kind: str,
        *arguments_given: str,
        agent: str = "sales",
        seconds: float = EVENT,
    ) -> None:
        self.ops = engine.ops
        keep: list[Any] = [ffi.new("char[]", t.encode()) for t in ("word", *arguments_given)]
        pairs: Any = ffi.new("struct convai_pair[]", len(arguments_given) + 1)
        for i, text in enumerate(keep[1:]):
            pairs[i].kind, pairs[i].name, pairs[i].value = PairKind.ARGUMENT, keep[0], text
        question: Any = ffi.new("struct convai_question *")
        names = [ffi.new("char[]", text.encode()) for text in (kind, agent)]
        question.kind, question.agent = names
        question.pairs, question.pair_count = pairs, len(arguments_given)
        question.limit_ms = int(seconds * 1000)
        self.inquiry = self.ops.inquire(question)
        if self.inquiry == ffi.NULL:
            raise OSError(ffi.errno, os.strerror(ffi.errno))

    def poll(self) -> tuple[int, str]:
        answer: Any = ffi.new("const char **")
        outcome = self.ops.inquiry_poll(self.inquiry, answer)
        return int(outcome), string(answer[0])

    def wait(self, seconds: float = EVENT) -> tuple[int, str]:
        """The answer: (outcome, text). Lets go of the inquiry."""
        ready, _, _ = select.select([self.ops.inquiry_fd(self.inquiry)], [], [], seconds)
        assert ready, "no answer"
        outcome, text = self.poll()
        self.release()
        return outcome, text

    def release(self) -> None:
        self.ops.inquiry_release(self.inquiry)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An engine that knows the inquiries of this file."""
    EVENTS.clear()
    monkeypatch.setattr(runtime, "Inquiries", lambda _: inquiries.Inquiries(FUNCTIONS))
    engine = Engine()
    yield engine
    engine.stop()


def await_event(event: str, times: int = 1) -> None:
    until = time.monotonic() + EVENT
    while EVENTS.count(event) < times:
        assert time.monotonic() < until, EVENTS
        time.sleep(0.001)


def test_an_answer(asked: Engine) -> None:
    """Names repeat, texts are any UTF-8, and several ask at once."""
    answers = [Inquiry(asked, "echo", "Grüße", str(number)) for number in range(5)]
    for number, each in enumerate(answers):
        assert each.wait() == (OK, f"sales\nGrüße\n{number}\n2 pairs")
    assert Inquiry(asked, "echo", agent="").wait() == (OK, "\n0 pairs")


def test_what_is_found_passes_the_door(asked: Engine) -> None:
    """A line stays a line, and has a limit; so has their number."""
    outcome, text = Inquiry(asked, "find").wait()
    first, second = text.split("\n")
    assert outcome == FAILED
    assert first.isprintable()
    assert "two" in first
    assert "red" in first
    assert 0 < len(second) <= limits.INQUIRY_LINE_BYTES
    outcome, text = Inquiry(asked, "flood").wait()
    lines = text.split("\n")
    assert len(lines) == limits.INQUIRY_LINES
    assert lines[-2:] == [
        str(limits.INQUIRY_LINES - 2),
        f"... and {100_000 - limits.INQUIRY_LINES + 1} lines more",
    ]


def test_failures_are_answers(asked: Engine) -> None:
    assert Inquiry(asked, "fail").wait() == (FAILED, "no key [said the service]")
    assert Inquiry(asked, "what").wait() == (FAILED, "this engine knows no inquiry what")
    outcome, text = Inquiry(asked, "break_down").wait()
    assert (outcome, text) == (FAILED, "the engine failed; the log tells why")
    assert "ZeroDivisionError: of ours" in asked.text()


def test_the_engine_gives_up_at_the_limit(asked: Engine) -> None:
    assert Inquiry(asked, "hang", seconds=100 * MS).wait() == (FAILED, "no answer within 0.1 s")
    assert EVENTS == ["hangs", "is over"]


def test_who_asks_gives_up(asked: Engine) -> None:
    """The loop does not go on with what nobody waits for."""
    inquiry = Inquiry(asked, "hang")
    await_event("hangs")
    assert inquiry.poll() == (NONE, "")
    inquiry.release()
    await_event("is over")
    assert Inquiry(asked, "echo").wait()[0] == OK


def test_a_number_at_once(asked: Engine) -> None:
    hanging = [Inquiry(asked, "hang") for _ in range(16)]
    await_event("hangs", 16)
    with pytest.raises(OSError, match="busy"):
        Inquiry(asked, "echo")
    hanging.pop().release()
    await_event("is over")
    until = time.monotonic() + EVENT
    while True:  # the loop lets go of it a round later
        try:
            assert Inquiry(asked, "echo").wait()[0] == OK
            break
        except OSError:
            assert time.monotonic() < until
    for each in hanging:
        each.release()


def test_the_end_of_the_engine_is_an_answer(asked: Engine) -> None:
    inquiry = Inquiry(asked, "hang")
    await_event("hangs")
    assert asked.stop() == 0
    assert inquiry.wait(0) == (FAILED, "the engine is being stopped")
    with pytest.raises(OSError, match=r"shutdown|transport"):
        Inquiry(asked, "echo")
