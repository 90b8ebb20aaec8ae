"""How soon the agent is heard, by the module's own clock, and by the callers'."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

import pytest

from testbed import bench_histogram
from testbed.ami import Ami
from testbed.call import Call
from testbed.callers import Callers
from testbed.instance import Instance
from testbed.latency import measure
from testbed.mock import MockAgent
from testbed.root import Root
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.phone import DIALPLAN, configure, section
from tests.asterisk.turns import BY_LINE, INTERRUPTING, Caller, Script, Turn
from tests.timing import MS, SECOND, only_in_full

CALLS = 12
WARM_MS = 25
"""What is ours of the time until the first frame of an agent whose URL was fetched ahead."""

FIRST_WORD_MS = 10
"""Half a frame: the first word, which comes with the metadata here, is not to wait for the next."""

SERVICE = """\
title = "latency"
[agents.default]
format = "ulaw_8000"
first_message = { text = "Hello.", sound = "noise:1:1000", interruptible = false }
"""


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    codecs = ["ulaw", "alaw", "slin16"]
    return asterisk(dialplan=DIALPLAN, elevenlabs="[general]\n", verbose=0, debug=0, codecs=codecs)


@pytest.mark.alone
def test_first_words_of_a_warm_agent(pbx: Instance, root: Root) -> None:
    """Half of all calls at least: a busy machine may hold up the others."""
    with MockAgent(root, SERVICE) as mock:
        configure(pbx, section("warm", mock.url))
        measure(pbx, mock.url, ["warm"])
        latency = measure(pbx, mock.url, ["warm"] * CALLS)
    print(latency)
    assert latency.median <= WARM_MS * 1000 * MS, latency
    assert latency.first_word_median <= FIRST_WORD_MS * 1000 * MS, latency
    # The caller's own clock, which starts with the answer: nothing but the way there is between.
    assert latency.in_rtp_median <= latency.median + WARM_MS * 1000 * MS, latency


# ---- Turns ----

MEDIAN_MS, EACH_MS = 20, 60
"""So much the module's figures may differ from those of a caller, of many turns and of each."""

SILENT_MS = 100
"""From an interruption until the caller hears nothing any more: two frames, and the way there."""

HELD_UP = 0.25
"""The part of all turns of which that need not be so: what holds the machine up comes between the
two clocks of a turn."""


@dataclass
class Answered:
    """One call, as its caller and as the module has measured it."""

    turns: list[Turn | None]
    told: list[int]
    """LatencyMs of each turn of the agent's that has one."""
    end: dict[str, str]
    """ElevenLabsEnd."""
    variable: str
    """ELEVENLABSLATENCY."""
    interruptions: list[float]
    """When the service has sent each, in seconds of time.monotonic()."""


def answered(
    pbx: Instance, root: Root, callers: Sequence[Caller], turns: int
) -> dict[str, Answered]:
    """Have each caller talk for so many turns, all at once."""
    scripts = {caller.name: Script.of(pbx, caller, turns) for caller in callers}
    service = 'title = "turns"\n[agents.default]\n' + "".join(c.agent(turns) for c in callers)
    calls: dict[str, Call] = {}
    with MockAgent(root, service) as mock, Ami(pbx, "call,dialplan") as ami:
        configure(pbx, "".join(section(name, mock.url) for name in scripts))
        with ExitStack() as stack:
            for codec, some in groupby(callers, key=lambda caller: caller.codec):
                names = [caller.name for caller in some]
                phones = [scripts[name].phone for name in names]
                up = stack.enter_context(
                    Callers(
                        pbx,
                        len(names),
                        names.__getitem__,
                        codec=codec,
                        play=phones,
                        hangup_after=[phone.seconds for phone in phones],
                    )
                )
                calls |= dict(zip(names, up, strict=True))
            for name, call in calls.items():
                call.wait((scripts[name].phone.seconds + 30) * SECOND)
        pbx.wait_no_channels()
        events = ami.events("Hangup", len(calls))
        mock.stop()
    sessions = {session["agent_id"]: session for session in mock.report["sessions"]}
    found: dict[str, Answered] = {}
    for name, call in calls.items():
        own = [event for event in events if event.get("Agent") == name]
        (end,) = [event for event in own if event["Event"] == "ElevenLabsEnd"]
        told = [int(ms) for event in own if (ms := event.get("LatencyMs")) and event is not end]
        (variable,) = [
            event["Value"]
            for event in events
            if event.get("Variable") == "ELEVENLABSLATENCY"
            and event["Uniqueid"] == end["Uniqueid"]
            and event["Value"]
        ]
        began = datetime.fromisoformat(sessions[name]["started"]).timestamp()
        began += time.monotonic() - time.time()
        interruptions = [
            began + event["at_ms"] / 1000
            for event in sessions[name]["timeline"]
            if event["event"] == "interruption"
        ]
        measured = scripts[name].measure(call)
        found[name] = Answered(measured, told, end, variable, interruptions)
    return found


def check(found: dict[str, Answered], turns: int) -> None:
    """The module has timed each turn, and as its caller has."""
    ours: list[int] = []
    theirs: list[float] = []
    for name, each in found.items():
        assert None not in each.turns, f"{name}: answers came too late to be told apart"
        measured = [turn.ms for turn in each.turns if turn]
        pairs = [f"{ms} {outside:.1f}" for ms, outside in zip(each.told, measured, strict=False)]
        print(name, ", ".join(pairs))
        assert int(each.end["Answers"]) == turns, (name, each.told, measured)
        # An answer in which the caller hangs up has no event.
        cut_off = len(each.interruptions) == turns - 1
        assert len(each.told) == turns - cut_off, (name, each.told, measured)
        median, worst = (int(each.end[key]) for key in ("LatencyMs", "LatencyMaxMs"))
        assert each.variable == f"{median},{worst}"
        assert worst >= max(each.told)
        if not cut_off:
            assert worst == max(each.told)
            assert abs(median - statistics.median(each.told)) <= 1
        ours += each.told
        theirs += measured[: len(each.told)]
    differences = sorted(abs(ms - outside) for ms, outside in zip(ours, theirs, strict=True))
    usual, most = statistics.median(differences), differences[-1]
    print(f"{len(ours)} turns: measured with {usual:.1f} ms between us, {most:.1f} at most")
    assert usual <= MEDIAN_MS * 1000 * MS, differences
    punctual = sum(each <= EACH_MS * 1000 * MS for each in differences)
    assert punctual >= (1 - HELD_UP) * len(differences), differences


def silences(found: dict[str, Answered]) -> list[float]:
    """From each interruption until the caller heard nothing any more, in ms."""
    return [
        1000 * (turn.silent - sent) + 20
        for each in found.values()
        if each.interruptions
        for turn, sent in zip(each.turns[1:], each.interruptions, strict=True)
        if turn
    ]


@pytest.mark.alone
def test_a_caller_measures_the_same(pbx: Instance, root: Root) -> None:
    """Two calls of four turns: what the module says of each is what its caller has measured."""
    turns = 4
    found = answered(pbx, root, [BY_LINE[0], INTERRUPTING[1]], turns)
    check(found, turns)
    by_caller = silences(found)
    print("until silence:", ", ".join(f"{ms:.0f} ms" for ms in by_caller))
    assert statistics.median(by_caller) <= SILENT_MS * 1000 * MS


@pytest.mark.alone
@pytest.mark.limit(240)
@only_in_full("a hundred turns")
def test_a_hundred_turns(pbx: Instance, root: Root) -> None:
    """Ten kinds of lines and two of interruptions, ten turns each."""
    turns = 10
    before = bench_histogram.read(pbx)
    found = answered(pbx, root, [*BY_LINE, *INTERRUPTING], turns)
    check(found, turns)
    by_caller = silences(found)
    inside = bench_histogram.since(bench_histogram.read(pbx), before)["interruption"]
    median, most = statistics.median(by_caller), max(by_caller)
    print(f"{len(by_caller)} interruptions until silence: {median:.1f} ms, {most:.1f} most;")
    print(f"the module {inside.percentile(0.5):.1f} ms, {inside.max_us / 1000:.1f} most")
    assert len(by_caller) == inside.count == len(INTERRUPTING) * (turns - 1)
    assert abs(median - inside.percentile(0.5)) <= MEDIAN_MS * 1000 * MS
    assert abs(most - inside.max_us / 1000) <= EACH_MS * 1000 * MS
