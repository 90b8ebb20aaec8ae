"""What is logged of one call, of all, or because an agent asks for it; and threads' names."""

from __future__ import annotations

import asyncio
import threading

import pytest

from pyconvai import limits
from tests.timing import EVENT
from tests.unit.engine import TALKING, Engine, thread_names
from tests.unit.peer import until
from tests.unit.service import Conversation, Service

AS_ALL, ON, OFF = range(3)


@pytest.mark.parametrize(
    ("everybody", "agent", "call", "logged"),
    [
        (0, "no", AS_ALL, False),
        (1, "no", AS_ALL, True),
        (0, "yes", AS_ALL, True),
        (0, "no", ON, True),
        (1, "yes", OFF, False),
        (1, "yes", ON, True),
        (0, "no", OFF, False),
    ],
)
def test_the_word_on_one_call_goes_first(
    engine: Engine, everybody: int, agent: str, call: int, *, logged: bool
) -> None:
    """What comes after the word on it, for so begins what the test looks at."""
    goes_on = threading.Event()

    async def script(conversation: Conversation) -> None:
        await conversation.next()
        await conversation.metadata()
        while not goes_on.is_set():
            await conversation.send(type="ping", ping_event={"event_id": 1})
            await conversation.next()
        await conversation.send(type="ping", ping_event={"event_id": 4711})
        await conversation.next()
        await conversation.connection.close(1000)

    with Service(script) as service:
        engine.ops.set_debug(everybody)
        session = engine.call(settings=service.settings(debug=agent))
        session.wait(TALKING)
        session.set_debug(call)
        goes_on.set()
        assert session.ending()[0] == "AGENT_ENDED"
        session.release()
        engine.ops.set_debug(0)
    assert ("4711" in engine.text()) == logged


def test_one_of_two_calls(engine: Engine) -> None:
    goes_on = threading.Event()

    async def script(conversation: Conversation) -> None:
        await conversation.next()
        assert await asyncio.to_thread(goes_on.wait, EVENT)
        await conversation.metadata()
        for number in range(1, 3):
            await conversation.send(type="ping", ping_event={"event_id": number})
            await conversation.next()
        await conversation.connection.close(1000)

    with Service(script) as service:
        for channel, debug in (("PJSIP/one-1", ON), ("PJSIP/two-2", AS_ALL)):
            goes_on.clear()
            session = engine.call(settings=service.settings(), channel=channel)
            session.set_debug(debug)
            goes_on.set()
            assert session.ending(EVENT)[0] == "AGENT_ENDED"
            session.release()
    assert {channel for _, channel, _ in engine.lines} == {"PJSIP/one-1"}


def test_threads_have_names(engine: Engine) -> None:
    """One loop and its pool. A checkout has no build id, and is called dev."""
    assert thread_names().count("convai-loop-dev") == 1
    # Each gives itself its name.
    until(lambda: thread_names().count("convai-net") == limits.POOL_THREADS)
