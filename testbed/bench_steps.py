"""The measurements of the benchmark that are more than calls held (order: testbed.bench)."""

from __future__ import annotations

import re
import time
from typing import Any

from testbed import bench_histogram, latency
from testbed.bench_bed import COLD_CALLS, ECHO_FIRST_SECONDS, LIMIT, Started
from testbed.bench_load import ULAW, Held, hold, longest_gap, place, spread
from testbed.callers import Callers
from testbed.errors import TestbedError
from testbed.instance import Instance
from testbed.measure import CpuWindow

RINGS_FULL_SECONDS = 6.0
"""By then all memory of the queues has been used once."""

RELOAD_SECONDS = 1.0
"""Between two reloads."""

OTHERS = 20
"""Calls that are up while others begin."""

COLD_SECONDS = 15.0
"""Limit on all cold agents being heard."""

INTERRUPTING = 20
BURST = 0.7, 2.3
"""Seconds of speech and of silence of callers who interrupt."""

FAR_CALLS_A_SECOND = 1.0
"""There it takes some round trips until the next call's URL has come."""


def memory(bed: Started, calls: int) -> dict[str, Any]:
    """What the same calls hold in Echo(), and a little later with their agents.

    Two loads, one after the other, cannot be compared: SIP keeps what it had for a call for half a
    minute after that has ended. What is free in the allocator is given back before, so that it
    hides nothing.
    """
    asterisk = bed.asterisk
    with place(asterisk, "later", calls, ECHO_FIRST_SECONDS + RINGS_FULL_SECONDS) as callers:
        callers.wait_up()
        asterisk.cli("malloc trim")
        echo = asterisk.counters()
        _wait_talking(asterisk, calls, ECHO_FIRST_SECONDS + COLD_SECONDS)
        time.sleep(RINGS_FULL_SECONDS)
        agents = asterisk.counters()
        callers.hangup_all()
        callers.wait()
    asterisk.wait_no_channels()
    callers.delete_files()
    return {
        "calls": calls,
        "echo_anonymous_kb": echo.anonymous_kb,
        "anonymous_kb": agents.anonymous_kb,
        "kb_for_a_call": round((agents.anonymous_kb - echo.anonymous_kb) / calls, 1),
    }


def with_debug(bed: Started, calls: int) -> Held:
    """Every message of every call is logged."""
    bed.asterisk.cli("elevenlabs debug on")
    try:
        return hold(bed, "chunk20", calls)
    finally:
        bed.asterisk.cli("elevenlabs debug off")


def with_reloads(bed: Started, calls: int) -> Held:
    """Once a second elevenlabs.conf has changed and is read, and the engine is loaded again."""
    asterisk = bed.asterisk
    original = asterisk.elevenlabs or ""

    def reload_on_and_on(seconds: float) -> None:
        end, number = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            next_at = time.monotonic() + RELOAD_SECONDS
            number += 1
            asterisk.elevenlabs = f"{original}; {number}\n"
            asterisk.write_config()
            asterisk.cli("elevenlabs reload")
            asterisk.cli("module reload app_elevenlabs_convai")
            time.sleep(max(0.0, min(next_at, end) - time.monotonic()))

    return hold(bed, "chunk20", calls, meanwhile=reload_on_and_on)


def peer(bed: Started, calls: int) -> dict[str, Any]:
    """The same conversation by chan_websocket and a bridge in Python, whose CPU is theirs too."""
    asterisk = bed.asterisk
    asterisk.cli("module load chan_websocket.so")
    if "WebSocket" not in asterisk.cli("core show channeltypes"):
        raise TestbedError("this Asterisk has no chan_websocket")
    bridge: list[float] = []

    def window(seconds: float) -> None:
        cpu = CpuWindow(bed.bridge)
        time.sleep(seconds)
        bridge.append(cpu.percent() / calls)

    held = hold(bed, "peer", calls, meanwhile=window)
    asterisk_percent = held.percent
    return {
        **held.as_dict(),
        "percent": round(asterisk_percent + bridge[0], 4),
        "asterisk_percent": asterisk_percent,
        "bridge_percent": round(bridge[0], 4),
    }


def first_words(bed: Started, agent: str, count: int) -> dict[str, Any]:
    """How soon a warm agent is heard, and how soon a mere client has its audio; calls may be up."""
    latency.measure(bed.asterisk, bed.service, [agent])  # its next URL is fetched now
    found = latency.measure(bed.asterisk, bed.service, [agent] * count).as_dict()
    return found | {"floor": latency.floor(bed.service, agent, count)}


def floor_of_gaps(bed: Started) -> dict[str, Any]:
    """What calls in Echo() hear beside those that are up: so even does this machine run now.

    And, of the same seconds, what the module says of its own frames.
    """
    asterisk = bed.asterisk
    with place(asterisk, "echo", OTHERS, bed.seconds) as echo:
        echo.wait_up()
        before = bench_histogram.read(asterisk)
        time.sleep(bed.seconds)
        gap = bench_histogram.since(bench_histogram.read(asterisk), before)["gap"]
        echo.hangup_all()
        echo.wait()
    found = {
        "echo_intervals_ms": spread([ms for call in echo for ms in call.recording.intervals_ms]),
        "gap": gap.as_dict(),
    }
    echo.delete_files()
    return found


def near_and_far(bed: Started, count: int) -> dict[str, Any]:
    """The same with nothing else going on, near and over a slow link, cold and warm."""
    results = {"near_warm": first_words(bed, "warm", count)}
    for place_name in ("near", "far"):
        cold = [f"{place_name}-cold-{i}" for i in range(count)]
        rate = FAR_CALLS_A_SECOND if place_name == "far" else latency.CALLS_A_SECOND
        results[f"{place_name}_cold"] = latency.measure(
            bed.asterisk, bed.service, cold, rate
        ).as_dict()
    latency.measure(bed.asterisk, bed.service, ["far-warm"], FAR_CALLS_A_SECOND)
    far = latency.measure(bed.asterisk, bed.service, ["far-warm"] * count, FAR_CALLS_A_SECOND)
    return results | {"far_warm": far.as_dict()}


def cold_burst(bed: Started) -> dict[str, Any]:
    """So many cold calls begin in one second: when they are up, and how long others are held."""
    asterisk = bed.asterisk
    with place(asterisk, "chunk20", OTHERS, COLD_SECONDS + 5) as others:
        others.wait_up()
        time.sleep(2)
        quiet = time.monotonic()
        time.sleep(2)
        began = time.monotonic()
        rate = float(COLD_CALLS)
        with Callers(asterisk, COLD_CALLS, lambda i: f"cold-{i}", rate=rate) as cold:
            cold.wait_up()
            _wait_talking(asterisk, OTHERS + COLD_CALLS, COLD_SECONDS)
            up = time.monotonic()
            first = min(call.placed_at or up for call in cold)
            time.sleep(1)
            end = time.monotonic()
            cold.hangup_all()
            cold.wait()
    asterisk.wait_no_channels()
    result = {
        "calls": COLD_CALLS,
        "seconds_until_all_talk": round(up - first, 2),
        "others": OTHERS,
        "others_longest_gap_ms": round(longest_gap(list(others), began, end), 1),
        "others_longest_gap_before_ms": round(longest_gap(list(others), quiet, began), 1),
    }
    cold.delete_files()
    others.delete_files()
    return result


def _wait_talking(asterisk: Instance, count: int, limit: float) -> None:
    deadline = time.monotonic() + limit
    while (shown := asterisk.cli("elevenlabs show sessions")).count(" talking ") < count:
        if time.monotonic() > deadline:
            up = shown.count(" talking ")
            raise TestbedError(f"{up} of {count} conversations are up after {limit:g} s")
        time.sleep(0.05)


def overload(bed: Started) -> dict[str, Any]:
    """1.5 times max_sessions at once: who is refused, and that nobody else is."""
    asterisk = bed.asterisk
    offered = LIMIT * 3 // 2
    start = len(asterisk.log())
    with Callers(asterisk, offered, "limited", rate=200.0, hangup_after=6.0) as calls:
        calls.wait()
    asterisk.wait_no_channels()
    statuses = re.findall(r"bench\|limited\|(\w*)\|", asterisk.log()[start:])
    refused = statuses.count("LIMIT")
    held = sum(call.ended_by == "caller" for call in calls)
    return {
        "offered": offered,
        "max_sessions": LIMIT,
        "refused_with_limit": refused,
        "held_to_the_end": held,
        "limit_wrong": abs(refused - (offered - LIMIT)),
        "dropped": offered - refused - held,
    }


def interruptions(bed: Started) -> dict[str, Any]:
    """Callers who talk over their agents; only the module's own histograms are of interest."""
    speech, silence = BURST
    rounds = int((bed.seconds + 20) / (speech + silence))
    said = b"".join(
        ULAW.noise(speech, i) + bytes([ULAW.silence]) * ULAW.bytes_in(silence)
        for i in range(rounds)
    )
    before = bench_histogram.read(bed.asterisk)
    held = hold(bed, "talkative", INTERRUPTING, send=said)
    stages = bench_histogram.since(bench_histogram.read(bed.asterisk), before)
    return {**held.as_dict(), "stages": {name: each.as_dict() for name, each in stages.items()}}
