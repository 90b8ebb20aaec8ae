"""Calls held for the benchmark, and what they cost while nothing but talk goes on.

    held = hold(bed, "chunk20", 40)
    print(held.percent, held.loop, held.callers)

Callers send line noise, too soft to be taken for speech; agents speak half of the time. CPU is
user plus system time (testbed.measure), in percent of one core for one call.
"""

from __future__ import annotations

import itertools
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from testbed import bench_histogram
from testbed.bench_histogram import Histogram
from testbed.call import Call
from testbed.callers import DEFAULT_RATE, Callers
from testbed.instance import Instance
from testbed.measure import CpuWindow, ThreadWindow
from testbed.rtp import CODECS, PACKET_MS

ULAW = CODECS["ulaw"]
UP_SECONDS = 40.0
UP_IN_SECONDS = 5.0
"""So long it takes at most to place all calls."""

ECHO_WINDOWS = 5
ECHO_SHARE = 0.1
"""Of a load's window: of Echo() there are many short ones, before and after each load."""

SETTLE_SECONDS = 2.0
"""Between the last answer and the window: set-up is not what is measured."""

LISTENED_TO = 20
"""Of so many calls the packets' intervals are looked at; to read them takes time."""

LOOP_THREAD = "convai-loop"
# Soft mu-law codes of both signs: below -60 dB, which no turn-taking mistakes for speech.
_LINE_NOISE = bytes(0x78 | (code & 0x87) for code in range(256))
_CHANNEL_THREAD = re.compile(r"^\S+ +(\d+) +pbx_thread", re.MULTILINE)


@dataclass
class Bed:
    """Where the benchmark runs: an Asterisk, its mock agent, how long each window is."""

    asterisk: Instance
    seconds: float
    beside: Mapping[str, int] = field(default_factory=dict)
    """Processes whose load is told as well, by name: the mock agent."""


@dataclass(frozen=True)
class Held:
    """What the calls cost. CPU in percent of one core."""

    calls: int
    percent: float
    """One call, in all of Asterisk's process."""
    channel: float
    """... in its channel's thread, and in threads that came or went meanwhile."""
    loop: float
    """... in the engine's loop thread."""
    rest: float
    """... in all other threads."""
    callers: dict[str, float]
    """All calls, in each of the processes that make them; 100 is one core, and too much."""
    ready: dict[str, float]
    """For how much of the time each of these was ready to run, and had no processor."""
    pss_kb: int
    """All of Asterisk's process; moves with other processes that map the same libraries."""
    anonymous_kb: int
    """Of that, what is its own."""
    threads: int
    intervals_ms: dict[str, float]
    """Between the packets that callers receive."""
    audible: float
    """Share of the time in which callers hear something."""
    stages: dict[str, Histogram] = field(default_factory=dict)
    """The module's own delays in the window."""
    windows: Sequence[float] = ()
    """`percent` of each window."""

    def as_dict(self) -> dict[str, Any]:
        """For a report."""
        stages = {name: histogram.as_dict() for name, histogram in self.stages.items()}
        return {**asdict(self), "stages": stages}


def line_noise(seconds: float, seed: int) -> bytes:
    """Soft noise, another one for each seed."""
    dice = random.Random(seed)  # noqa: S311 - noise
    return dice.randbytes(ULAW.bytes_in(seconds)).translate(_LINE_NOISE)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of the values does not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def spread(values: Sequence[float]) -> dict[str, float]:
    """How values are spread, rounded."""
    found = {"p50": percentile(values, 0.5), "p95": percentile(values, 0.95)}
    found |= {"p99": percentile(values, 0.99), "max": max(values, default=0.0)}
    return {name: round(value, 2) for name, value in found.items()}


def place(
    asterisk: Instance, extension: str, calls: int, seconds: float, send: bytes = b""
) -> Callers:
    """Describe calls that talk for so long once the last is up. send: else line noise."""
    length = seconds + UP_IN_SECONDS + SETTLE_SECONDS
    return Callers(
        asterisk,
        calls,
        extension,
        send=send or (lambda i: line_noise(length, i)),
        rate=max(DEFAULT_RATE, calls / UP_IN_SECONDS),
    )


def hold(
    bed: Bed,
    extension: str,
    calls: int,
    *,
    seconds: Sequence[float] = (),
    meanwhile: Callable[[float], None] = time.sleep,
    afterwards: Callable[[], None] = lambda: None,
    send: bytes = b"",
) -> Held:
    """Hold the calls, and measure in a window in their middle.

    seconds: of each window; of several that with the middle cost counts, so that a moment in which
    the machine did something else does not. meanwhile: what fills a window, given its seconds.
    afterwards: what is done while the calls are still up.
    """
    asterisk = bed.asterisk
    seconds = seconds or (bed.seconds,)
    with place(asterisk, extension, calls, sum(seconds), send) as callers:
        callers.wait_up(UP_SECONDS)
        time.sleep(SETTLE_SECONDS)
        before = bench_histogram.read(asterisk)
        channels = channel_threads(asterisk)
        costs = []
        for each in seconds:
            window = _Window(asterisk.pid, {**callers.pids, **bed.beside})
            meanwhile(each)
            costs.append(window.close(calls, channels))
        stages = bench_histogram.since(bench_histogram.read(asterisk), before)
        counters = asterisk.counters()
        afterwards()
    asterisk.wait_no_channels()
    listened_to = callers[:LISTENED_TO]
    intervals = [ms for call in listened_to for ms in call.recording.intervals_ms]
    audible = sum(map(_audible, listened_to)) / len(listened_to)
    callers.delete_files()
    return Held(
        calls,
        **middle(costs),
        pss_kb=counters.pss_kb,
        anonymous_kb=counters.anonymous_kb,
        threads=counters.threads,
        intervals_ms=spread(intervals),
        audible=round(audible, 2),
        stages=stages,
        windows=[cost["percent"] for cost in costs],
    )


def middle(costs: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """That of some windows which has the median of what a call costs."""
    return sorted(costs, key=lambda cost: cost["percent"])[len(costs) // 2]


def echo(bed: Bed, calls: int) -> Held:
    """Calls in Echo(), the yardstick."""
    return hold(bed, "echo", calls, seconds=(bed.seconds * ECHO_SHARE,) * ECHO_WINDOWS)


class _Window:
    """The CPU of Asterisk, of its threads, and of those beside it, from one moment on.

    Channel threads are what is left of the process when all others are taken off, so that what
    comes and goes meanwhile is theirs.
    """

    def __init__(self, pid: int, beside: Mapping[str, int]) -> None:
        self._all, self._threads = CpuWindow(pid), ThreadWindow(pid)
        self._beside = {name: CpuWindow(each) for name, each in beside.items()}

    def close(self, calls: int, channels: set[int]) -> dict[str, Any]:
        """What Held says of it."""
        percent = self._all.percent()
        threads = self._threads.percent(lambda tid, name: _group(tid, name, channels))
        callers = {name: round(each.percent(), 1) for name, each in self._beside.items()}
        ready = {name: round(each.ready_percent(), 1) for name, each in self._beside.items()}
        loop, rest = threads.get("loop", 0.0), threads.get("rest", 0.0)
        shares = {"percent": percent, "channel": percent - loop - rest, "loop": loop, "rest": rest}
        found: dict[str, Any] = {name: round(each / calls, 4) for name, each in shares.items()}
        return found | {"callers": callers, "ready": ready}


def _group(tid: int, name: str, channels: set[int]) -> str:
    if tid in channels:
        return "channel"
    return "loop" if name.startswith(LOOP_THREAD) else "rest"


def channel_threads(asterisk: Instance) -> set[int]:
    """The ids of the threads that run a dialplan."""
    return {int(tid) for tid in _CHANNEL_THREAD.findall(asterisk.cli("core show threads"))}


def _audible(call: Call) -> float:
    """The share of a call's time for which packets came that are not silence."""
    silence = bytes([call.codec.silence]) * call.codec.packet_bytes
    heard = sum(packet.payload != silence for packet in call.recording.audio)
    return heard * PACKET_MS / 1000 / call.seconds if call.seconds else 0.0


def longest_gap(calls: Sequence[Call], start: float, end: float) -> float:
    """Longest wait for a packet of any of the calls in a span of time.monotonic(), in ms."""
    worst = 0.0
    for call in calls:
        at = [packet.at for packet in call.recording.audio if start <= packet.at <= end]
        worst = max([worst, *(b - a for a, b in itertools.pairwise(at))])
    return 1000 * worst
