"""The engine in conversation with the mock agent, which judges its client."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyconvai.mock import MockAgent
from pyconvai.mock.audio import FORMATS, noise
from tests.timing import SECOND
from tests.unit.engine import TALKING, Call, Engine

FRAME_SECONDS = 0.020
FRAME = 160

SCENARIO = """\
title = "unit"
[agents.default]
format = "ulaw_8000"
pace = 0
ping_interval_ms = 200
first_message = { text = "Hello.", sound = "noise:1:600" }
[[agents.default.turns]]
say = { text = "Bye.", sound = "noise:2:400" }
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
    assert ready.wait(20 * SECOND)
    try:
        yield found["url"], report
    finally:
        found["loop"].call_soon_threadsafe(stop.set)
        thread.join(10 * SECOND)


def talk(call: Call, seconds: float, frame: bytes) -> bytes:
    """Play the channel thread: a frame up and one down every 20 ms. What was heard."""
    heard = b""
    due = time.monotonic()
    for _ in range(round(seconds / FRAME_SECONDS)):
        call.push(frame)
        audio, taken = call.pop(FRAME)
        heard += audio[:taken]
        due += FRAME_SECONDS
        time.sleep(max(0.0, due - time.monotonic()))  # the clock of a telephone, not a wait
    return heard


def test_a_whole_conversation(engine: Engine, tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.toml"
    scenario.write_text(SCENARIO, encoding="utf-8")
    with mock_agent(scenario) as (url, report):
        call = engine.call(settings={"base_url": url, "chunk_ms": "40"})
        call.wait(TALKING)
        heard = talk(call, 1.0, b"\xff" * FRAME)  # silence: the greeting
        talk(call, 0.6, noise(9, 20, FORMATS["ulaw_8000"]))  # a turn
        heard += talk(call, 1.6, b"\xff" * FRAME)  # silence: the turn has ended, the farewell comes
        assert call.ending()[0] == "AGENT_ENDED"
        heard += call.hear(call.queued)
        assert call.counters().pings_answered > 3
        call.release()
    (session,) = report["sessions"]
    assert session["violations"] == []
    assert session["closed_by"] == "agent"
    assert session["heard_ms"] >= 1800
    for seed, ms in ((1, 600), (2, 400)):
        assert noise(seed, ms, FORMATS["ulaw_8000"]) in heard
