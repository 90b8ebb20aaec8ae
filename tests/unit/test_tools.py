"""Tools that the agent calls: each call answered once, whatever becomes of it."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pyconvai import limits
from pyconvai.conversation import tools
from pyconvai.conversation.tools import ToolContext, ToolFailed
from pyconvai.service.settings import Settings
from tests.timing import EVENT, NEVER, SECOND
from tests.unit.engine import ENDED, TALKING, Call, Engine
from tests.unit.service import Conversation, Service

Script = Callable[[Conversation], Awaitable[None]]


async def ask(agent: Conversation, name: str, call_id: str = "c1", **more: Any) -> None:
    """The agent calls a tool; a key that is None is left out."""
    call = {"tool_name": name, "tool_call_id": call_id, "parameters": {}, "event_id": 1} | more
    await agent.send(
        type="client_tool_call",
        client_tool_call={key: value for key, value in call.items() if value is not None},
    )


async def answer(agent: Conversation) -> dict[str, Any]:
    """The next message, which is to be a tool's result."""
    message = await agent.next()
    assert message.pop("type") == "client_tool_result"
    return message


async def nothing_more(agent: Conversation) -> None:
    """What was sent before a ping is answered before its pong."""
    await agent.send(type="ping", ping_event={"event_id": 9})
    assert await agent.next() == {"type": "pong", "event_id": 9}


counted: list[tuple[int, int]] = []
"""Tools that were done and that failed in each conversation, the newest last."""


def converse(engine: Engine, script: Script, **settings: str) -> tuple[str, str]:
    """A conversation with an agent that does this: status and reason."""

    async def whole(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await script(agent)
        await agent.connection.close(1000)

    with Service(whole) as service:
        call = engine.call(settings=service.settings(**settings))
        ending = call.ending()
        service.outcome()
        counted.append((call.counters().tools_done, call.counters().tools_failed))
        call.release()
    return ending


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Tools of this test's, instead of the real ones: put them in."""
    table: dict[str, Any] = {}
    monkeypatch.setattr(tools, "TOOLS", table)
    return table


def test_a_tool_is_told_its_parameters_and_the_agent_its_result(
    engine: Engine, bench: dict[str, Any]
) -> None:
    async def add(context: ToolContext, *, a: int, b: float = 0.5, c: bool = False) -> str:
        return f"{context.channel}: {a} {b} {c}"

    async def script(agent: Conversation) -> None:
        await ask(agent, "add", parameters={"a": 3, "b": None})
        assert await answer(agent) == {
            "tool_call_id": "c1",
            "result": "PJSIP/caller-00000001: 3 0.5 False",
            "is_error": False,
        }
        await ask(agent, "add", "c2", parameters={"a": 3, "b": 2, "c": True})
        assert (await answer(agent))["result"].endswith(": 3 2 True")

    bench["add"] = add
    converse(engine, script, tools="add")


def test_parameters_as_the_text_of_an_object(engine: Engine, bench: dict[str, Any]) -> None:
    """S17."""

    async def add(context: ToolContext, *, a: int, b: float = 0.0) -> str:
        return str(a + b)

    async def script(agent: Conversation) -> None:
        await ask(agent, "add", parameters='{"a": 1, "b": 2.5}')
        assert (await answer(agent))["result"] == "3.5"

    bench["add"] = add
    converse(engine, script, tools="add")


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({}, "The parameter a is missing; it is a whole number."),
        ({"a": "3"}, "The parameter a must be a whole number."),
        ({"a": True}, "The parameter a must be a whole number."),
        ({"a": 1, "b": "x"}, "The parameter b must be a number."),
        ({"a": 1, "z": 2}, "There is no parameter z; it has: a, b."),
        (["a"], "The parameters must be a JSON object."),
        ("a", "The parameters must be a JSON object."),
        ("[1]", "The parameters must be a JSON object."),
        ('{"a": "3"}', "The parameter a must be a whole number."),
        (None, "The parameter a is missing; it is a whole number."),
        ("", "The parameter a is missing; it is a whole number."),
    ],
)
def test_bad_parameters(engine: Engine, bench: dict[str, Any], parameters: Any, told: str) -> None:
    async def add(context: ToolContext, *, a: int, b: float = 0.0) -> str:
        return "done"

    async def script(agent: Conversation) -> None:
        await ask(agent, "add", parameters=parameters)
        assert await answer(agent) == {"tool_call_id": "c1", "result": told, "is_error": True}

    bench["add"] = add
    converse(engine, script, tools="add")


def test_a_tool_that_does_not_exist_or_is_not_allowed(engine: Engine, bench: Any) -> None:
    async def other(context: ToolContext) -> str:
        return "done"

    async def script(agent: Conversation) -> None:
        for name in ("fly", "other"):
            await ask(agent, name, name)
            got = await answer(agent)
            assert (got["tool_call_id"], got["is_error"]) == (name, True)
            assert got["result"].startswith(f"The phone system has no tool named {name}")
            assert got["result"].endswith("there are: end_call.")

    bench.update(other=other, end_call=other)
    converse(engine, script)
    assert "tool other is not among this agent's tools: refused" in engine.text()
    assert counted[-1] == (0, 2)


def test_a_tool_that_fails(engine: Engine, bench: dict[str, Any]) -> None:
    async def says_why(context: ToolContext) -> str:
        raise ToolFailed("The door is locked.")

    async def breaks(context: ToolContext) -> str:
        raise KeyError("oops")

    async def script(agent: Conversation) -> None:
        await ask(agent, "says_why", "c1")
        assert await answer(agent) == {
            "tool_call_id": "c1",
            "result": "The door is locked.",
            "is_error": True,
        }
        await ask(agent, "breaks", "c2")
        got = await answer(agent)
        assert (got["tool_call_id"], got["is_error"]) == ("c2", True)
        assert got["result"] == "breaks failed; the phone system's log tells why."

    bench.update(says_why=says_why, breaks=breaks)
    assert converse(engine, script, tools="says_why,breaks")[0] == "AGENT_ENDED"
    assert "KeyError: 'oops'" in engine.text()


@pytest.mark.parametrize("fault", [SystemExit("bye"), asyncio.CancelledError("oops")])
def test_a_tool_that_fails_beyond_exceptions(
    engine: Engine, bench: dict[str, Any], fault: BaseException
) -> None:
    """It is answered as well, and the loop, which is everybody's, goes on."""

    async def breaks(context: ToolContext) -> str:
        raise fault

    async def script(agent: Conversation) -> None:
        await ask(agent, "breaks", "c1")
        got = await answer(agent)
        assert got["result"] == "breaks failed; the phone system's log tells why."
        await nothing_more(agent)

    bench["breaks"] = breaks
    assert converse(engine, script, tools="breaks")[0] == "AGENT_ENDED"
    assert type(fault).__name__ in engine.text()


def test_a_result_that_is_no_unicode(engine: Engine, bench: dict[str, Any]) -> None:
    """As names of files are that Python cannot decode."""

    async def name(context: ToolContext) -> str:
        return os.fsdecode(b"J\xe4ger")

    async def script(agent: Conversation) -> None:
        await ask(agent, "name")
        got = await answer(agent)
        assert (got["result"], got["is_error"]) == ("J?ger", False)

    bench["name"] = name
    converse(engine, script, tools="name")


def test_a_tool_that_takes_too_long_holds_nothing_up(
    engine: Engine, bench: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even one that does not heed its end. Pings and other tools are served meanwhile."""
    monkeypatch.setattr(limits, "TOOL_SECONDS", 1 * SECOND)  # in which a ping is answered

    async def deaf(context: ToolContext) -> str:
        until = time.monotonic() + EVENT
        while time.monotonic() < until and not ended:
            try:
                await asyncio.sleep(0.05)
            except asyncio.CancelledError:
                cancelled.append(time.monotonic())
        return "late"

    async def quick(context: ToolContext) -> str:
        return "quick"

    async def script(agent: Conversation) -> None:
        await ask(agent, "deaf", "c1")
        await nothing_more(agent)
        got = await answer(agent)
        assert (got["tool_call_id"], got["is_error"]) == ("c1", True)
        assert got["result"] == "deaf took too long and was given up."
        monkeypatch.setattr(limits, "TOOL_SECONDS", EVENT)
        await ask(agent, "quick", "c2")
        assert (await answer(agent))["result"] == "quick"
        await nothing_more(agent)
        ended.append(True)

    ended: list[bool] = []
    cancelled: list[float] = []
    bench.update(deaf=deaf, quick=quick)
    converse(engine, script, tools="deaf,quick")
    assert cancelled


def test_not_more_than_so_many_at_once(
    engine: Engine, bench: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of the conversation is theirs."""
    monkeypatch.setattr(limits, "TOOL_SECONDS", NEVER)

    async def waits(context: ToolContext) -> str:
        running.append(context)
        if len(running) == limits.TOOLS_AT_ONCE:
            all_run.set()
        try:
            await asyncio.sleep(NEVER)
        finally:
            running.pop()
        return ""

    async def script(agent: Conversation) -> None:
        for number in range(limits.TOOLS_AT_ONCE + 1):
            await ask(agent, "waits", f"c{number}")
        got = await answer(agent)
        assert (got["tool_call_id"], got["is_error"]) == (f"c{limits.TOOLS_AT_ONCE}", True)
        assert got["result"].startswith("Too many tools at once")
        await nothing_more(agent)
        # The pong may be before the last begins.
        assert await asyncio.to_thread(all_run.wait, EVENT)

    running: list[ToolContext] = []
    all_run = threading.Event()
    bench["waits"] = waits
    converse(engine, script, tools="waits")
    until = time.monotonic() + EVENT
    while running:
        assert time.monotonic() < until
        time.sleep(0.005)


def test_each_call_is_answered_once(engine: Engine, bench: dict[str, Any]) -> None:
    """Not a call that is repeated, or one without an id; but one that expects no response."""

    async def count(context: ToolContext) -> str:
        calls.append(context)
        return str(len(calls))

    async def script(agent: Conversation) -> None:
        await ask(agent, "count", "c1")
        await ask(agent, "count", "c1")
        assert (await answer(agent))["tool_call_id"] == "c1"
        await ask(agent, "count", "c1")  # now that it is answered
        await ask(agent, "count", tool_call_id=None)
        await nothing_more(agent)
        await ask(agent, "count", "c2", expects_response=False)
        assert (await answer(agent))["result"] == "2"
        await ask(agent, "count", "c3", expects_response=True)
        assert (await answer(agent))["result"] == "3"
        for call_id in (7, 7.5, ["a"]):  # S7: as it came
            await ask(agent, "count", tool_call_id=call_id)
            await ask(agent, "count", tool_call_id=call_id)
            assert (await answer(agent))["tool_call_id"] == call_id
        await nothing_more(agent)

    calls: list[ToolContext] = []
    bench["count"] = count
    converse(engine, script, tools="count")
    assert len(calls) == 6
    assert "tool count called without an id: not carried out" in engine.text()


# ---- end_call ----


def ending_call(engine: Engine, service: Service, farewell: bytes) -> Call:
    """A call whose farewell is heard, as fast as it can be."""
    call = engine.call(settings=service.settings())
    call.wait(TALKING)
    assert call.hear(len(farewell)) == farewell
    return call


@pytest.fixture
def patient_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """An end that words are to come before waits for these, however late they are."""
    monkeypatch.setattr(limits, "REPLY_SECONDS", NEVER)
    monkeypatch.setattr(limits, "FAREWELL_SECONDS", NEVER)


@pytest.mark.usefixtures("patient_end")
def test_end_call_ends_it_after_the_last_word(engine: Engine) -> None:
    """Also one that comes behind the call: the tool may be quicker than the voice."""
    farewell = os.urandom(16_000)

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.speak(farewell[:8000])
        await ask(agent, "end_call", parameters={"reason": "all is\nsaid"})
        got = await answer(agent)
        assert (got["tool_call_id"], got["is_error"]) == ("c1", False)
        await agent.speak(farewell[8000:])
        assert await agent.closed() == 1000

    with Service(script) as service:
        call = ending_call(engine, service, farewell)
        progress = call.wait(ENDED)
        assert progress.play_out == 1
        status, reason = call.ending()
        assert status == "AGENT_ENDED"
        assert reason == "the agent ended the conversation with its tool end_call"
        assert call.detail() == "all is said"
        assert (call.counters().tools_done, call.counters().tools_failed) == (1, 0)
        call.release()
        service.outcome()


@pytest.mark.usefixtures("patient_end")
def test_end_call_leaves_time_for_a_reply_to_its_result(engine: Engine) -> None:
    """The agent's model thinks for a second before it says goodbye; then no more is waited for."""
    farewell = os.urandom(8000)

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await ask(agent, "end_call")
        await answer(agent)
        await asyncio.sleep(3 * limits.SETTLE_SECONDS)
        await agent.speak(farewell)
        assert await agent.closed() == 1000

    with Service(script) as service:
        call = ending_call(engine, service, farewell)
        assert call.wait(ENDED).play_out == 1
        call.release()
        service.outcome()


def test_end_call_does_not_wait_for_ever(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """For an agent that goes on speaking; what is queued then is played to its end."""
    monkeypatch.setattr(limits, "FAREWELL_SECONDS", 0.3 * SECOND)

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.speak(b"\x01" * 80_000)
        await ask(agent, "end_call")
        assert await agent.closed() == 1000

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        progress = call.wait(ENDED)
        assert progress.play_out == 1
        assert call.queued == 80_000
        call.release()
        service.outcome()


def test_end_call_of_an_attempt_that_failed_does_not_end_the_next(engine: Engine) -> None:
    """A tool belongs to its connection: the next one has said nothing of an end."""

    async def script(agent: Conversation) -> None:
        await agent.next()
        attempts.append(agent)
        if len(attempts) == 1:
            await ask(agent, "end_call")
            await answer(agent)
            agent.connection.transport.abort()
            return
        await agent.metadata()
        await agent.next()  # what is said below: the conversation is up until then
        await agent.connection.close(1000)

    attempts: list[Conversation] = []
    with Service(script) as service:
        call = engine.call(settings=service.settings(connect_attempts="2"))
        call.wait(TALKING)
        with pytest.raises(AssertionError, match="state"):
            call.wait(ENDED, limits.REPLY_SECONDS + 2 * limits.SETTLE_SECONDS)
        call.send(0, "Good bye.")
        assert call.ending()[0] == "AGENT_ENDED"
        assert "end_call" not in call.ending()[1]
        call.release()
        service.outcome()
    assert len(attempts) == 2


def test_end_call_with_a_service_that_closes_first(engine: Engine) -> None:
    async def script(agent: Conversation) -> None:
        await agent.speak(b"\x01" * 8000)
        await ask(agent, "end_call")
        await answer(agent)

    assert converse(engine, script)[0] == "AGENT_ENDED"


def test_the_default_is_end_call_and_none_is_none() -> None:
    assert list(tools.allowed(Settings("a", tools="end_call"))) == ["end_call"]
    assert tools.allowed(Settings("a", tools="none")) == {}


@pytest.mark.parametrize("name", tools.TOOLS)
def test_every_tool_has_a_sentence_and_parameters_that_can_be_checked(name: str) -> None:
    assert tools.TOOLS[name].__doc__
    with pytest.raises(ToolFailed, match="There is no parameter no_such"):
        tools.arguments(tools.TOOLS[name], {"no_such": 1})
