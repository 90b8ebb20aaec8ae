"""What others say to the agent during a call: in order, bounded, and only while it talks."""

from __future__ import annotations

import asyncio
import errno
import threading

import pytest

from pyconvai.conversation.sent import Say
from tests.timing import EVENT
from tests.unit.engine import TALKING, Engine
from tests.unit.service import Conversation, Service

LONGEST = 8191
WAITING = 16


def test_everything_is_said_in_order(engine: Engine) -> None:
    """Feedback is on the agent's last response."""
    ready = threading.Event()

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.send(
            type="agent_response", agent_response_event={"agent_response": "Hi.", "event_id": "7"}
        )
        await agent.send(type="ping", ping_event={"event_id": 1})
        assert (await agent.next())["type"] == "pong"
        ready.set()
        assert await agent.next() == {"type": "user_message", "text": "Grüß Gott."}
        assert await agent.next() == {"type": "contextual_update", "text": "x" * LONGEST}
        assert await agent.next() == {"type": "user_activity"}
        assert await agent.next() == {"type": "feedback", "event_id": 7, "score": "like"}
        for number in range(100):
            assert await agent.next() == {"type": "user_message", "text": str(number)}
        await agent.connection.close(1000)

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        call.wait(TALKING)
        assert ready.wait(EVENT)
        assert call.send(Say.MESSAGE, "Grüß Gott.") == 0
        assert call.send(Say.CONTEXT, "x" * LONGEST) == 0
        assert call.send(Say.ACTIVITY, "") == 0
        assert call.send(Say.FEEDBACK, "like") == 0
        for number in range(100):
            while failure := call.send(Say.MESSAGE, str(number)):
                assert failure == errno.ENOBUFS
        assert call.ending()[0] == "AGENT_ENDED"
        service.outcome()
        assert call.send(Say.MESSAGE, "too late") == errno.ENOTCONN
        call.release()


def test_not_before_the_conversation(engine: Engine) -> None:
    async def script(agent: Conversation) -> None:
        await agent.closed()

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        assert call.send(Say.MESSAGE, "too early") == errno.ENOTCONN
        call.release()


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Say.MESSAGE, ""),
        (Say.CONTEXT, ""),
        (Say.ACTIVITY, "text"),
        (Say.FEEDBACK, "great"),
        (4, "of tomorrow"),
        (Say.MESSAGE, "x" * (LONGEST + 1)),
    ],
)
def test_what_cannot_be_said(engine: Engine, kind: int, text: str) -> None:
    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        await agent.closed()

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        call.wait(TALKING)
        assert call.send(kind, text) == errno.EINVAL
        call.release()


def test_so_many_wait_for_a_network_that_takes_nothing(engine: Engine) -> None:
    """Those that the network did not take are dropped with the call, without a trace."""
    stop = threading.Event()

    async def script(agent: Conversation) -> None:
        await agent.next()
        await agent.metadata()
        agent.connection.transport.pause_reading()
        await asyncio.to_thread(stop.wait, EVENT)
        agent.connection.transport.abort()

    with Service(script) as service:
        call = engine.call(settings=service.settings())
        call.wait(TALKING)
        text = "x" * LONGEST
        sent = 0
        while call.send(Say.MESSAGE, text) == 0:
            sent += 1
            assert sent < 10_000
        assert sent >= WAITING
        call.hangup()
        assert call.ending()[0] == "HANGUP"
        call.release()
        stop.set()
