"""The module goes and comes back, with and without calls, and Asterisk itself stops.

`make test` takes few rounds of each, `make test-full` as many as one wants to have seen.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from testbed.callers import Callers, place_call
from testbed.freeze import channel_thread, frozen
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.paths import BUILD
from testbed.root import Root
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.phone import DIALPLAN, results, section, settled, wait_result, wait_talking
from tests.asterisk.stage import loud_seconds, until
from tests.timing import EVENT, FULL, PROMPT

CYCLES = 100 if FULL else 10
FORCED = 50 if FULL else 3
CALLS = 20
MODULE = "app_elevenlabs_convai"
LEAVE_SECONDS = 5.0
"""app_elevenlabs_convai.c: LEAVE_LIMIT_MS."""

STOP_SECONDS = 2.0
"""app_elevenlabs_convai.c: EXIT_LIMIT_MS."""

CYCLE_KB_MAX = 100 if FULL else 1000
"""What a cycle of unload and load may leave, beyond what a call leaves in Asterisk. Nothing of ours
stays, but the allocator scatters at first; an engine that stayed would be 1.5 MB."""


@pytest.fixture(scope="module")
def mock(root: Root) -> Iterator[MockAgent]:
    with MockAgent(root, "default") as mock:
        yield mock


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk, mock: MockAgent) -> Instance:
    text = section("default", mock.url)
    return asterisk(dialplan=DIALPLAN, elevenlabs=text, verbose=3, debug=0)


def is_loaded(pbx: Instance) -> bool:
    return "1 modules loaded" in pbx.cli("module show like elevenlabs")


def load(pbx: Instance) -> None:
    assert f"Loaded {MODULE}" in pbx.cli(f"module load {MODULE}.so")


def unload(pbx: Instance, how: str = "") -> None:
    pbx.cli(f"module unload {how} {MODULE}.so".replace("  ", " "))
    assert not is_loaded(pbx)


def closes(mock: MockAgent, start: int) -> list[tuple[int, str]]:
    """Code and side of the close of each conversation that has ended since event number `start`."""
    return [
        (event["code"], event["by"])
        for event in mock.events()[start:]
        if event["event"] == "closed"
    ]


def wait_closes(
    mock: MockAgent, start: int, count: int, limit: float = EVENT
) -> list[tuple[int, str]]:
    """The same, once there are so many."""
    deadline = time.monotonic() + limit
    while len(found := closes(mock, start)) < count:
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return found


def unload_by_force(pbx: Instance, mock: MockAgent, rate: float) -> None:
    """With calls up, which must all end properly, at the caller's and at the agent's; and load."""
    start, seen = len(pbx.log()), len(mock.events())
    with Callers(pbx, CALLS, "default", rate=rate) as calls:
        calls.wait_up()
        wait_talking(pbx, CALLS)
        unload(pbx, "-f")
        calls.wait()
    went_on = [result for result in results(pbx, start) if result.went_on]
    assert [result.status for result in went_on] == ["UNLOADED"] * CALLS
    assert wait_closes(mock, seen, CALLS) == [(1000, "client")] * CALLS
    load(pbx)


# ---- Unload and load ----


@pytest.mark.limit(600)
def test_nothing_is_left_of_unload_and_load(pbx: Instance) -> None:
    """With a call between each. Calls alone are counted first: Asterisk grows with them."""
    for _ in range(CYCLES // 3):
        cycle(pbx)
    before_calls = pbx.counters()
    for _ in range(CYCLES):
        short_call(pbx)
    before = pbx.counters()
    for _ in range(CYCLES):
        cycle(pbx)
    assert settled(pbx, before) == {}
    per_call = (before.rss_kb - before_calls.rss_kb) / CYCLES
    per_cycle = (pbx.counters().rss_kb - before.rss_kb) / CYCLES - per_call
    figures = {
        "cycles": CYCLES,
        "kb_per_call": round(per_call, 1),
        "kb_per_cycle_above_a_call": round(per_cycle, 1),
    }
    (BUILD / "unload.json").write_text(json.dumps(figures) + "\n", encoding="utf-8")
    print(f"\nunload and load: {figures}")
    assert per_cycle < CYCLE_KB_MAX


def short_call(pbx: Instance) -> None:
    start = len(pbx.log())
    place_call(pbx, "default", hangup_after=0.2)
    assert wait_result(pbx, start).status == "HANGUP"
    pbx.wait_no_channels()


def cycle(pbx: Instance) -> None:
    short_call(pbx)
    unload(pbx)
    load(pbx)


def test_another_module_is_another_module(pbx: Instance) -> None:
    """The file is replaced as `make install` does it; the next load runs what is in it."""
    words = b"Lists the agents of elevenlabs.conf"
    file = pbx.module_folder / f"{MODULE}.so"
    old = file.read_bytes()
    assert words in old
    for content, usage in ((old.replace(words, words.upper()), words.upper()), (old, words)):
        staged = file.with_suffix(".new")
        staged.write_bytes(content)
        staged.replace(file)
        unload(pbx)
        load(pbx)
        assert usage.decode() in pbx.cli("core show help elevenlabs show agents")


def test_refresh(pbx: Instance) -> None:
    """Unload and load in one command."""
    pbx.cli("elevenlabs drain on")
    pbx.cli(f"module refresh {MODULE}")
    assert is_loaded(pbx)
    short_call(pbx)  # it is another load: it does not drain


# ---- With calls ----


def test_a_plain_unload_is_refused_and_the_commands_say_what_to_do(pbx: Instance) -> None:
    start = len(pbx.log())
    with Callers(pbx, 2, "default") as calls:
        calls.wait_up()
        assert "in use" in pbx.cli(f"module unload {MODULE}.so") or is_loaded(pbx)
        shown = pbx.cli("elevenlabs show sessions")
        assert "2 sessions\nTo end them: elevenlabs hangup" in shown
        assert "elevenlabs drain on" in shown
        assert "2 sessions left" in pbx.cli("elevenlabs drain on")
        refused = place_call(pbx, "default")
        assert refused.answered_at is not None  # by the dialplan, behind the application
        assert "LIMIT" in [result.status for result in results(pbx, start)]
        calls.hangup_all()
        calls.wait()
        pbx.wait_log("Drained: the last call with an ElevenLabs agent is over", start=start)
    assert "Not draining" in pbx.cli("elevenlabs drain off")
    unload(pbx)
    load(pbx)


@pytest.mark.limit(600)
def test_a_forced_unload_ends_every_call_properly(pbx: Instance, mock: MockAgent) -> None:
    for _ in range(FORCED):
        unload_by_force(pbx, mock, rate=100.0)


def test_what_will_not_leave_is_not_unmapped(pbx: Instance, mock: MockAgent) -> None:
    """Its thread is stopped, as it may be by a driver that hangs; Asterisk works on."""
    start, seen = len(pbx.log()), len(mock.events())
    with Callers(pbx, 1, "default") as calls:
        calls.wait_up()
        wait_talking(pbx, 1)
        with frozen(channel_thread(pbx)):
            began = time.monotonic()
            pbx.cli(f"module unload -f {MODULE}.so")
            assert time.monotonic() - began >= LEAVE_SECONDS
            pbx.wait_log("Not unloaded: a channel has not left ElevenLabsConvAI", start=start)
            assert is_loaded(pbx)
            maps = Path(f"/proc/{pbx.pid}/maps").read_text(encoding="utf-8")
            assert f"{MODULE}.so" in maps
            with Callers(pbx, 1, "default") as others:
                until(lambda: loud_seconds(others[0].so_far().heard) > 0, "no agent")
            assert wait_closes(mock, seen, 2) == [(1000, "client")] * 2
        calls.wait()
    assert "UNLOADED" in [result.status for result in results(pbx, start) if result.went_on]
    unload(pbx)
    load(pbx)


# ---- The end of Asterisk ----


def test_stop_gracefully_lets_calls_end(pbx: Instance) -> None:
    start = len(pbx.log())
    with Callers(pbx, 1, "default") as calls, ThreadPoolExecutor(1) as other:
        calls.wait_up()
        # Its command line stays until Asterisk has gone.
        other.submit(pbx.cli, "core stop gracefully")
        wait_refusing(pbx)
        assert calls[0].ended_at is None
        calls[0].hangup()
        calls.wait()
        wait_ended(pbx)
    assert pbx.exit_status == 0
    assert {result.status for result in results(pbx, start)} == {"HANGUP"}
    pbx.restart()


def wait_refusing(pbx: Instance) -> None:
    """Wait until Asterisk takes no new call; nothing tells that it has begun to stop."""
    deadline = time.monotonic() + EVENT
    while place_call(pbx, "default", hangup_after=0.1).answered_at is not None:
        assert time.monotonic() < deadline, "Asterisk still takes calls"


def wait_ended(pbx: Instance) -> None:
    until(lambda: not pbx.running, "Asterisk has not ended")


def test_restart_now_closes_every_conversation(pbx: Instance, mock: MockAgent) -> None:
    """Asterisk replaces its own program; nobody calls unload()."""
    seen = len(mock.events())
    with Callers(pbx, CALLS, "default", rate=100.0) as calls:
        calls.wait_up()
        wait_talking(pbx, CALLS)
        start = len(pbx.log())
        pbx.cli("core restart now")
        assert wait_closes(mock, seen, CALLS) == [(1000, "client")] * CALLS
    pbx.wait_log(r"Asterisk Ready", start=start)
    assert is_loaded(pbx)
    short_call(pbx)


def test_stop_now_closes_every_conversation(pbx: Instance, mock: MockAgent) -> None:
    """The last test: nothing runs behind it."""
    seen = len(mock.events())
    with Callers(pbx, CALLS, "default", rate=100.0) as calls:
        calls.wait_up()
        wait_talking(pbx, CALLS)
        began = time.monotonic()
        pbx.cli("core stop now")
        wait_ended(pbx)
        assert time.monotonic() - began < STOP_SECONDS + PROMPT
    assert wait_closes(mock, seen, CALLS) == [(1000, "client")] * CALLS
    assert pbx.exit_status == 0
