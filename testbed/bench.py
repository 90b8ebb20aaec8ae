r"""`make bench`: what a call costs, as a multiple of what `Echo()` costs in the same run.

Real RTP both ways, agents over TLS that speak half of the time, default settings. A busy machine
changes absolute figures, so only multiples from one run mean something: Echo() is measured directly
before and after each load that is to be compared with it, in short windows. Beside these loads is
their floor. docs/performance.md explains each figure.

QUICK=1 takes three minutes and leaves out what takes long; FULL=1 adds the first words of
agents near and far, cold and warm, and what it costs that programs watch. PARTS=programs,viewers
takes these steps alone, by their keys in the results. Nothing here fails a build: the exit status
is 1 only when something did not work.

Leaves build/bench/results.json and build/bench/report.html.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from testbed import bench_floor, bench_loop, bench_report, bench_steps, bench_targets, bench_watch
from testbed.bench_bed import FOLDER, Started, started
from testbed.bench_figures import figures, floors
from testbed.bench_load import Held, echo, hold
from testbed.errors import TestbedError

RESULTS = FOLDER / "results.json"
REPORT = FOLDER / "report.html"

FAILURE_SHOWN = 200
"""Characters of a failure that go into the results; all of it is on the screen."""

WARM_UP_CALLS = 10
WARM_UP_SECONDS = 3.0
CALLS = 40
MANY_CALLS = 200
VIEWERS = 2


@dataclass(frozen=True)
class Options:
    """How much to measure."""

    quick: bool = False
    full: bool = False
    seconds: float = 15.0
    few: int = 10
    calls: int = CALLS
    more: int = 100
    many: int = MANY_CALLS
    first_words: int = 40
    viewers: int = VIEWERS
    parts: tuple[str, ...] = ()
    """Keys of the steps to take; none: those of the plan."""


QUICK = Options(quick=True, seconds=3.0, first_words=20)

Step = tuple[str, str, Callable[[Started], Any]]
"""Key in the results, words for the screen, what to do."""


@dataclass
class Run:
    """One run of the benchmark, as it goes on."""

    options: Options
    results: dict[str, Any] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """Show progress."""
        seconds = int(time.monotonic() - self.began)
        print(f"[{seconds // 60}:{seconds % 60:02}] {text}", flush=True)

    def carry_out(self, bed: Started, steps: list[Step]) -> None:
        """Take the steps in order; one that does not work is told of, and the others go on."""
        for number, (key, text, step) in enumerate(steps, 1):
            self.say(f"{number}/{len(steps)} {text}")
            try:
                found = step(bed)
            except TestbedError as error:
                self.failures.append(f"{text}: {str(error)[:FAILURE_SHOWN]}")
                self.say(f"FAILED: {error}")
                bed.asterisk.cli("channel request hangup all")
                bed.asterisk.wait_no_channels()
                continue
            self.results[key] = found.as_dict() if isinstance(found, Held) else found
            self.say(f"      {_short(self.results[key])}")


def plan(options: Options, beside: dict[str, Any]) -> list[Step]:
    """All steps in order. beside: where results of what runs beside the most calls are left."""
    few, calls, more, many = options.few, options.calls, options.more, options.many

    def held(key: str, text: str, extension: str, count: int) -> Step:
        return key, f"{text}, {count} calls", lambda bed: hold(bed, extension, count)

    def in_echo(number: int, count: int, name: int) -> Step:
        key = f"echo_{name}_{number}"
        return key, f"Echo(), {count} calls", lambda bed: echo(bed, count)

    def floor(key: str, count: int, chunk_ms: int = 20) -> Step:
        text = f"floor of a call, {count} calls, {chunk_ms} ms chunks"
        return key, text, lambda bed: bench_loop.held(bed, count, chunk_ms)

    def memory(count: int, key: str) -> Step:
        text = f"memory, {count} calls in Echo() and then with agents"
        return key, text, lambda bed: bench_steps.memory(bed, count)

    def most(bed: Started) -> Held:
        def afterwards() -> None:
            beside["first_words"] = bench_steps.first_words(bed, "warm", options.first_words)
            beside["floor_of_gaps"] = bench_steps.floor_of_gaps(bed)

        count = calls if options.quick else many
        return hold(bed, "chunk20", count, afterwards=afterwards)

    ours_many: Step = ("ours_200", f"ours, {many} calls, then first words beside them", most)
    ours_words: Step = ("ours_40", f"ours, {calls} calls, then first words beside them", most)
    quick: list[Step] = [
        (
            "warm_up",
            f"warming up, {WARM_UP_CALLS} calls",
            lambda bed: hold(bed, "chunk20", WARM_UP_CALLS, seconds=(WARM_UP_SECONDS,)),
        ),
        memory(calls, "memory_40"),
        *([] if options.quick else [memory(many, "memory_200")]),
        in_echo(1, calls, 40),
        ours_words if options.quick else held("ours_40", "ours", "chunk20", calls),
        floor("floor_40", calls),
        in_echo(2, calls, 40),
        held("ours_40_chunk100", "ours, 100 ms chunks", "chunk100", calls),
        floor("floor_40_chunk100", calls, 100),
        in_echo(3, calls, 40),
        (
            "peer_40",
            f"chan_websocket and a bridge in Python, {calls} calls",
            lambda bed: bench_steps.peer(bed, calls),
        ),
        (
            "debug_40",
            f"ours with debug on, {calls} calls",
            lambda bed: bench_steps.with_debug(bed, calls),
        ),
        held("mixmonitor_40", "ours beside a MixMonitor", "recchunk20", calls),
        (
            "reloads_40",
            f"ours with a reload a second, {calls} calls",
            lambda bed: bench_steps.with_reloads(bed, calls),
        ),
    ]
    long: list[Step] = [
        held("ours_10", "ours", "chunk20", few),
        held("ours_100", "ours", "chunk20", more),
        in_echo(1, many, 200),
        ours_many,
        in_echo(2, many, 200),
        floor("floor_200", many),
        in_echo(3, many, 200),
        (
            "side_by_side",
            f"{bench_floor.CALLS} calls each in Echo(), in the floor and with an agent, together",
            bench_floor.side_by_side,
        ),
    ]
    last: list[Step] = [
        ("interruptions", "callers who interrupt", bench_steps.interruptions),
        ("cold_burst", "many cold calls in a second", bench_steps.cold_burst),
        ("overload", "1.5 x max_sessions at once", bench_steps.overload),
    ]
    full: list[Step] = [
        (
            "near_and_far",
            "first words, near and far, cold and warm",
            lambda bed: bench_steps.near_and_far(bed, options.first_words),
        ),
        (
            "programs",
            f"ours without and with programs that watch, {many} calls",
            lambda bed: bench_watch.programs(bed, many),
        ),
    ]
    viewers: Step = (
        "viewers",
        f"ours without and with {options.viewers} browsers that show the page, {many} calls",
        lambda bed: bench_watch.viewers(bed, many, options.viewers),
    )
    if options.parts:
        return _chosen([*quick, *long, *last, *full, viewers], options.parts)
    return [
        *quick,
        *([] if options.quick else long),
        *last,
        *(full if options.full else []),
    ]


def _chosen(steps: list[Step], parts: Sequence[str]) -> list[Step]:
    """The first one, which warms up, and those that are asked for."""
    keys = [key for key, _, _ in steps]
    if unknown := sorted(set(parts) - set(keys)):
        raise TestbedError(f"PARTS={','.join(unknown)}: parts are {', '.join(keys)}")
    return [steps[0], *(step for step in steps[1:] if step[0] in parts)]


def run(options: Options) -> Run:
    """Measure everything."""
    this = Run(options)
    beside: dict[str, Any] = {}
    with started(options.seconds, options.first_words if options.full else 0, this.say) as bed:
        this.results["about"] = {
            "asterisk_version": bed.asterisk.root.versions()["asterisk"],
            "python_version": bed.asterisk.root.versions()["python"],
            "engine_build": bed.asterisk.engine_build(),
            "processors": os.cpu_count(),
            "window_seconds": options.seconds,
            "quick": options.quick,
            "date": time.strftime("%Y-%m-%d"),
            "load_before": round(os.getloadavg()[0], 1),
        }
        this.carry_out(bed, plan(options, beside))
    this.results |= beside
    this.results["failures"] = this.failures
    this.results["figures"] = figures(this.results)
    this.results["floors"] = floors(this.results)
    this.say("done")
    return this


def _short(found: dict[str, Any]) -> str:
    """The most telling of a step's results, in one line."""
    if "percent" not in found:
        told = {k: v for k, v in found.items() if isinstance(v, int | float) or k == "late_frames"}
        return ", ".join(f"{k} {v}" for k, v in told.items())
    busy = ", ".join(f"{name} {percent:.0f} %" for name, percent in found["callers"].items())
    cost = f"{found['percent']:.3f} % of a core for a call"
    if found["loop"]:
        cost += f" (channel {found['channel']:.3f}, loop {found['loop']:.3f})"
    return f"{cost}; beside it {busy}"


def show(results: dict[str, Any]) -> None:
    """Print the table, and what it has to be read with."""
    print(f"\n{bench_targets.plain(results['figures'], results['floors'])}")
    for name, times in bench_report.multiples(results):
        print(f"{times:6.2f} x Echo()  {name}")
    for note in bench_report.notes(results):
        print(f"NOTE: {note}")


def main(argv: list[str] | None = None) -> int:
    """Exit status: 0, or 1 when something did not work."""
    parser = argparse.ArgumentParser(prog="python3 -m testbed.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", default=os.environ.get("QUICK") == "1")
    parser.add_argument("--full", action="store_true", default=os.environ.get("FULL") == "1")
    parser.add_argument("--seconds", type=float, help="of each window")
    parser.add_argument("--calls", type=int, help="instead of 40")
    parser.add_argument("--many", type=int, help="instead of 200")
    parser.add_argument("--viewers", type=int, help="browsers instead of 2")
    parser.add_argument("--parts", type=_parts, default=_parts(os.environ.get("PARTS", "")))
    parser.add_argument("--table", action="store_true", help="show the last run's as Markdown")
    parser.add_argument("--report", action="store_true", help="write the last run's page again")
    arguments = parser.parse_args(argv)
    if arguments.table or arguments.report:
        return _again(arguments.table)
    options = QUICK if arguments.quick else Options()
    names = ("seconds", "calls", "many", "full", "viewers", "parts")
    given = {name: getattr(arguments, name) for name in names}
    changed = {name: value for name, value in given.items() if value is not None}
    try:
        this = run(Options(**{**vars(options), **changed}))
    except TestbedError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(this.results, indent=2) + "\n", encoding="utf-8")
    REPORT.write_text(bench_report.page(this.results), encoding="utf-8")
    show(this.results)
    print(f"\n{RESULTS}\n{REPORT}")
    return 1 if this.failures else 0


def _parts(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))


def _again(table: bool) -> int:
    """Show what the last run has left."""
    if not RESULTS.exists():
        print(f"FAILED: no {RESULTS}: run make bench first", file=sys.stderr)
        return 1
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    if table:
        if results["about"]["quick"]:
            print("NOTE: the last run was a quick one, too short to document", file=sys.stderr)
        print(bench_targets.markdown(results["figures"], results.get("floors", {})), end="")
    else:
        REPORT.write_text(bench_report.page(results), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
