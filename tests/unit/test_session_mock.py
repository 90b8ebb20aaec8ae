"""The engine in conversation with the mock agent, which judges its client."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyconvai.mock import MockAgent
from pyconvai.mock.audio import FORMATS, noise
from tests.timing import EVENT
from tests.unit.engine import ENDED, TALKING, Call, Engine
from tests.unit.mock_client import LENIENT

ULAW = FORMATS["ulaw_8000"]
FRAME_SECONDS = 0.020
FRAME = 160
GREETING_BYTES = 8 * 600

LIMITS = "".join(f"{name} = {ms}\n" for name, ms in LENIENT.items())
SCENARIO = f"""\
title = "unit"
[limits]
{LIMITS}
[agents.default]
format = "ulaw_8000"
pace = 0
ping_interval_ms = 200
first_message = {{ text = "Hello.", sound = "noise:1:600" }}
[[agents.default.turns]]
say = {{ text = "Bye.", sound = "noise:2:400" }}
end = true
"""


@contextmanager
def mock_agent(scenario: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(URL, report) of a mock agent on a loop of its own; the report is filled in at the end."""
    ready, stop = threading.Event(), asyncio.Event()
    found: dict[str, Any] = {}
    report: dict[str, Any] = {}

    async def serve() -> None:
        async with MockAgent(scenario) as mock:
            found.update(url=mock.url, loop=asyncio.get_running_loop())
            ready.set()
            await stop.wait()
        report.update(mock.report())

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(EVENT)
    try:
        yield found["url"], report
    finally:
        found["loop"].call_soon_threadsafe(stop.set)
        thread.join(EVENT)
        assert not thread.is_alive()


class Caller:
    """Plays the channel thread: a frame up and one down every 20 ms."""

    def __init__(self, call: Call) -> None:
        self.call, self.heard = call, b""

    def talk(self, frame: bytes, is_over: Callable[[], bool]) -> None:
        """Say this until something has come of it."""
        due, until = time.monotonic(), time.monotonic() + EVENT
        while not is_over():
            assert time.monotonic() < until, f"heard {len(self.heard)} bytes"
            self.call.push(frame)
            audio, taken = self.call.pop(FRAME)
            self.heard += audio[:taken]
            due += FRAME_SECONDS
            time.sleep(max(0.0, due - time.monotonic()))  # the clock of a telephone, not a wait


def test_a_whole_conversation(engine: Engine, tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.toml"
    scenario.write_text(SCENARIO, encoding="utf-8")
    with mock_agent(scenario) as (url, report):
        call = engine.call(settings={"base_url": url, "chunk_ms": "40"})
        call.wait(TALKING)
        caller, silence = Caller(call), b"\xff" * FRAME
        caller.talk(silence, lambda: len(caller.heard) == GREETING_BYTES)
        spoken = itertools.count()
        caller.talk(noise(9, 20, ULAW), lambda: next(spoken) == 30)  # a turn
        # It ends in silence, and the farewell comes.
        caller.talk(silence, lambda: call.poll().state == ENDED)
        assert call.ending()[0] == "AGENT_ENDED"
        heard = caller.heard + call.hear(call.queued)
        assert call.counters().pings_answered > 3
        call.release()
    (session,) = report["sessions"]
    assert session["violations"] == []
    assert session["closed_by"] == "agent"
    assert session["heard_speech_ms"] >= 500
    assert heard == noise(1, 600, ULAW) + noise(2, 400, ULAW)
