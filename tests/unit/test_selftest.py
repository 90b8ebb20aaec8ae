"""The self-test passes a sound engine in no time, and refuses one in which any part is broken."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from pyconvai import limits, runtime, selftest
from pyconvai.conversation import protocol, sent, session
from pyconvai.core import _core
from pyconvai.service.endings import Status
from tests.timing import EVENT, NEVER, SECOND
from tests.unit.engine import Engine

Breaking = Callable[[pytest.MonkeyPatch], None]


def test_a_sound_engine_passes() -> None:
    engine = Engine()
    assert engine.stop() == 0
    assert engine.lines == []


def test_nothing_of_it_is_left(engine: Engine) -> None:
    """The next session is served by the true network."""
    call = engine.call(settings={"base_url": "http://127.0.0.1:9", "auth": "none"})
    assert call.ending()[0] == "UNREACHABLE"
    call.release()


def no_pong(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(protocol, "pong", lambda event_id: sent._encode({"type": "pong"}))


def stale_audio(patch: pytest.MonkeyPatch) -> None:
    kind, _ = protocol.MESSAGES["interruption"]
    patch.setitem(protocol.MESSAGES, "interruption", (kind, protocol.Conversation._nothing))


def no_tick(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_core, "send_waiting_audio", lambda handles: None)


def wrong_opening(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sent, "opening", lambda call: '{"type":"hello"}')


def raises(patch: pytest.MonkeyPatch) -> None:
    def fault(self: Any, message: bytes) -> None:
        raise ZeroDivisionError("a slip")

    patch.setattr(protocol.Conversation, "receive", fault)


def hangs_politely(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(session.Session, "closed", lambda self, closed: None)


def cut_farewell(patch: pytest.MonkeyPatch) -> None:
    end = session.Ending

    def without(status: Any, reason: str, **kind: Any) -> Any:
        return end(status, reason, **(kind | {"play_out": False}))

    patch.setattr(session, "from_close", lambda *_, **__: without(Status.AGENT_ENDED, "over"))


NOT_DONE = "not done within"


@pytest.mark.parametrize(
    ("breaking", "words"),
    [
        (no_pong, "the agent was sent .* not .*pong"),
        (stale_audio, "agent audio is not what was sent"),
        (no_tick, NOT_DONE),
        (wrong_opening, "the first message is hello"),
        (raises, "did not come up: fault in the engine: ZeroDivisionError"),
        (hangs_politely, NOT_DONE),
        (cut_farewell, "it ended with"),
    ],
)
def test_a_broken_engine_is_refused(
    monkeypatch: pytest.MonkeyPatch, breaking: Breaking, words: str
) -> None:
    breaking(monkeypatch)
    if words == NOT_DONE:
        monkeypatch.setattr(limits, "SELFTEST_SECONDS", 0.3 * SECOND)
    with pytest.raises(selftest.SelfTestFailed, match=words):
        runtime.start(NEVER)
    until = time.monotonic() + EVENT
    while _core.engine_running():
        assert time.monotonic() < until, "its loop has not ended"
        time.sleep(0.001)
