"""What is to be reached: each figure with what it must be and what it should be.

    for row in judge(results["figures"]):
        print(row.text, row.measured, row.verdict)

`figures` is flat: a number by the target's key. What was not measured is missing there.
`floors` is the same of the least that there could be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """One figure. The smaller, the better; `exact`: `must` is the only right value."""

    key: str
    text: str
    unit: str
    must: float
    goal: float | None = None
    exact: bool = False


@dataclass(frozen=True)
class Row:
    """A target and what was measured; verdict: `goal`, `met`, `missed` or `-` (not measured)."""

    target: Target
    measured: float | None
    floor: float | None = None
    """The least that there could be, measured in the same run; None where there is none."""

    @property
    def verdict(self) -> str:
        """How it compares."""
        target, value = self.target, self.measured
        if value is None:
            return "-"
        if target.exact:
            return "met" if value == target.must else "missed"
        if target.goal is not None and value <= target.goal:
            return "goal"
        return "met" if value <= target.must else "missed"

    @property
    def cells(self) -> tuple[str, ...]:
        """What a table shows, as HEADINGS has it."""
        target = self.target
        unit = f" {target.unit}" if target.unit else ""
        goal = "" if target.goal is None else f"{target.goal:g}{unit}"
        floor = "" if self.floor is None else f"{round(self.floor, 3):g}{unit}"
        value = "not measured" if self.measured is None else f"{round(self.measured, 3):g}{unit}"
        return target.text, f"{target.must:g}{unit}", goal, floor, value, self.verdict


HEADINGS = ("figure", "must", "goal", "floor", "measured", "verdict")

TARGETS = (
    Target("times_echo_40", "CPU of a call, 40 calls, 20 ms chunks", "x Echo()", 1.9, 1.7),
    Target("times_echo_200", "CPU of a call, 200 calls, 20 ms chunks", "x Echo()", 1.7, 1.5),
    Target(
        "times_echo_40_chunk100", "CPU of a call, 40 calls, 100 ms chunks", "x Echo()", 1.5, 1.3
    ),
    Target("loop_us_40", "loop thread, 40 calls, for a second of a call", "µs", 1100, 900),
    Target("loop_us_200", "loop thread, 200 calls, for a second of a call", "µs", 850, 700),
    Target("channel_times_echo_40", "channel thread alone, 40 calls", "x Echo()", 1.15, 1.05),
    Target("channel_times_echo_200", "channel thread alone, 200 calls", "x Echo()", 1.10, 1.05),
    Target(
        "channel_beside_echo",
        "channel thread alone, beside as many calls in Echo(), 180 calls in all",
        "x Echo()",
        1.10,
        1.05,
    ),
    Target("memory_mb_40", "memory of a call above Echo(), 40 calls", "MB", 0.15, 0.1),
    Target("memory_mb_200", "memory of a call above Echo(), 200 calls", "MB", 0.15, 0.1),
    Target("threads_40", "threads of a call above Echo()", "", 0, 0),
    Target(
        "uplink_p99", "caller's frame read until on the socket, p99, 10 to 200 calls", "ms", 21, 11
    ),
    Target(
        "downlink_p99",
        "agent's audio on the socket until heard, p99, 10 to 200 calls",
        "ms",
        25,
        21,
    ),
    Target("interruption_p99", "interruption until the last stale frame, p99", "ms", 25, 20),
    Target("gap_p99", "between frames while audio waits, p99, 200 calls", "ms", 22, 21),
    Target("gap_max", "between frames while audio waits, longest, 200 calls", "ms", 40, 25),
    Target("first_word_p95", "first word of a warm agent, p95, 200 calls up", "ms", 25, 19),
    Target(
        "programs_times",
        "CPU of a call of which programs are told, 200 calls",
        "x the same without",
        1.1,
    ),
    Target(
        "viewers_times",
        "CPU of a call with the page open in two browsers, 200 calls",
        "x the same without",
        1.05,
    ),
    Target(
        "limit_wrong", "LIMIT too many or too few at 1.5 x max_sessions", "calls", 0, exact=True
    ),
    Target("limit_dropped", "calls dropped at 1.5 x max_sessions", "calls", 0, exact=True),
)


NO_FLOORS: Mapping[str, float] = {}


def judge(figures: Mapping[str, float], floors: Mapping[str, float] = NO_FLOORS) -> list[Row]:
    """Return every target with what was measured of it."""
    return [Row(each, figures.get(each.key), floors.get(each.key)) for each in TARGETS]


def markdown(figures: Mapping[str, float], floors: Mapping[str, float] = NO_FLOORS) -> str:
    """Return the table as docs/performance.md has it."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *(row.cells for row in judge(figures, floors))]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def plain(figures: Mapping[str, float], floors: Mapping[str, float] = NO_FLOORS) -> str:
    """Return the table as a terminal shows it."""
    lines = [HEADINGS, *(row.cells for row in judge(figures, floors))]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADINGS))]
    shown = ("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in lines)
    return "".join(f"{line.rstrip()}\n" for line in shown)
