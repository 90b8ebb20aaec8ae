"""Tools in Python as a conversation has them: who gets a name, and what the agent is told.

What their processes do is in test_workers.py.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pyconvai import limits
from pyconvai.conversation.worker import Answer, Known
from pyconvai.conversation.workshop import Workshop
from tests.timing import EVENT, SECOND
from tests.unit.engine import Engine
from tests.unit.service import Conversation
from tests.unit.test_tools import answer, ask, converse, nothing_more

TOOLS = """
import asyncio
import os
import re
from pyconvai.tools import Call

def add(a: int, b: int = 1) -> int: return a + b
def end_call() -> str: return "not this one"
def throws() -> None: raise ValueError("no\\nsuch")
async def slow(seconds: float) -> str:
    await asyncio.sleep(seconds)
    with open(DONE, "w"): return "slow"
async def held() -> str:
    while not os.path.exists(GO):
        await asyncio.sleep(0.01)
    return "held"
async def who(call: Call) -> list[str]:
    return [call.channel, call.unique_id, call.agent, call.conversation_id]
"""


@pytest.fixture
def directory(tmp_path: Path) -> str:
    text = TOOLS.replace("DONE", repr(str(tmp_path / "done")))
    text = text.replace("GO", repr(str(tmp_path / "go")))
    (tmp_path / "shop.py").write_text(text, encoding="utf-8")
    return str(tmp_path)


def test_who_gets_a_name(engine: Engine, directory: str) -> None:
    """Built in, then Python, then the dialplan; ``tools`` says which the agent may call at all."""

    async def script(agent: Conversation) -> None:
        await ask(agent, "end_call", "c1", parameters={"a": 1})
        assert (await answer(agent))["result"] == "There is no parameter a; it has: reason."
        await ask(agent, "add", "c2", parameters={"a": 1})
        told = {"tool_call_id": "c2", "result": "2", "is_error": False}
        assert await answer(agent) == told
        await ask(agent, "add", "c2", parameters={"a": 1})
        await ask(agent, "throws", "c3")
        assert (await answer(agent))["result"].startswith(
            "The phone system has no tool named throw"
        )
        await ask(agent, "who", "c4")
        told = '["PJSIP/caller-00000001", "", "sales_agent", "conv_test"]'
        assert (await answer(agent))["result"] == told
        await ask(agent, "add", "c5", parameters=["a"])
        assert (await answer(agent))["result"] == "The parameters must be a JSON object."
        await nothing_more(agent)

    converse(engine, script, tools="end_call,add,who", tools_directory=directory)


def test_what_is_no_tool_in_python_is_a_step(engine: Engine, tmp_path: Path) -> None:
    """Before a worker has told, and afterwards: the channel is offered both."""

    async def script(agent: Conversation) -> None:
        for call_id in ("early", "late"):
            await ask(agent, "pay", call_id)
            told = await answer(agent)
            assert (told["tool_call_id"], told["is_error"]) == (call_id, True)
            assert told["result"] == "pay could not be begun and was given up."

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "STEP_BEGIN_SECONDS", 0.1 * SECOND)
        converse(engine, script, tools="*", tools_directory=str(tmp_path))
    assert f"tools in {tmp_path}: none" in engine.text()


def test_a_fault_is_in_the_log(engine: Engine, directory: str) -> None:
    async def script(agent: Conversation) -> None:
        await ask(agent, "throws")
        told = await answer(agent)
        assert (told["result"], told["is_error"]) == (
            "throws failed; the phone system's log tells why.",
            True,
        )

    converse(engine, script, tools="*", tools_directory=directory)
    (line,) = [text for _, channel, text in engine.lines if channel and "throws failed" in text]
    assert line.endswith("| ValueError: no | such |")


def test_a_tool_that_takes_long(
    engine: Engine, directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told once more as context, for a service that has not waited."""
    monkeypatch.setattr(limits, "RESULT_SECONDS", 0.1 * SECOND)

    async def script(agent: Conversation) -> None:
        await ask(agent, "slow", parameters={"seconds": 0.2 * SECOND})
        assert (await answer(agent))["result"] == "slow"
        context = await agent.next()
        assert context["type"] == "contextual_update"
        assert re.fullmatch(r"slow has ended after \d+ s: slow", context["text"])

    converse(engine, script, tools="*", tools_directory=directory)


def test_a_tool_that_takes_too_long(engine: Engine, directory: str) -> None:
    """It is given up by tool_timeout."""

    async def script(agent: Conversation) -> None:
        await ask(agent, "slow", parameters={"seconds": 100})
        told = await answer(agent)
        assert (told["result"], told["is_error"]) == ("slow took too long and was given up.", True)

    converse(engine, script, tools="*", tools_directory=directory, tool_timeout="1")
    assert "tool slow failed: slow takes longer than 1 s" in engine.text()


def test_a_caller_who_leaves_ends_no_tool(engine: Engine, directory: str) -> None:
    async def script(agent: Conversation) -> None:
        await ask(agent, "add", parameters={"a": 1})
        await answer(agent)
        await ask(agent, "slow", "c2", parameters={"seconds": 0.3 * SECOND})
        await nothing_more(agent)

    converse(engine, script, tools="*", tools_directory=directory)
    deadline = time.monotonic() + EVENT
    while not Path(directory, "done").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_not_more_than_so_many_at_once(engine: Engine, directory: str) -> None:
    async def script(agent: Conversation) -> None:
        for number in range(limits.TOOLS_AT_ONCE + 1):
            await ask(agent, "held", f"c{number}")
        refusal = await answer(agent)
        assert refusal["result"].startswith("Too many tools at once: 8 have not ended yet.")
        Path(directory, "go").touch()
        told = [await answer(agent) for _ in range(limits.TOOLS_AT_ONCE)]
        assert {each["result"] for each in told} == {"held"}

    converse(engine, script, tools="*", tools_directory=directory)


def test_a_fault_of_ours_is_an_answer(
    engine: Engine, directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise OSError("no such thing")

    monkeypatch.setattr(Workshop, "call", fails)

    async def script(agent: Conversation) -> None:
        await ask(agent, "add", parameters={"a": 1})
        told = await answer(agent)
        assert told["result"] == "add failed; the phone system's log tells why."

    converse(engine, script, tools="*", tools_directory=directory)
    assert "OSError: no such thing" in engine.text()


def test_the_wait_for_a_worker_is_part_of_the_time(
    engine: Engine, directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What becomes of it then: test_workers.py."""
    known, call, wait = Workshop.known, Workshop.call, 0.2 * SECOND
    told: list[tuple[float, float]] = []

    async def slowly(self: Workshop, seconds: float) -> Mapping[str, Known]:
        await asyncio.sleep(wait)
        return await known(self, seconds)

    def noted(self: Workshop, *what: Any) -> asyncio.Future[Answer]:
        *_, seconds, waited = what
        told.append((seconds, waited))
        return call(self, *what)

    monkeypatch.setattr(Workshop, "known", slowly)
    monkeypatch.setattr(Workshop, "call", noted)

    async def script(agent: Conversation) -> None:
        await ask(agent, "add", parameters={"a": 1})
        assert (await answer(agent))["result"] == "2"

    converse(engine, script, tools="*", tools_directory=directory, tool_timeout="30")
    ((seconds, waited),) = told
    assert seconds == 30
    assert waited >= wait - limits.EARLY_SECONDS
