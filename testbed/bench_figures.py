"""The figures that targets are about, from the results of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

US_PER_PERCENT = 10_000
"""A percent of a core is so many microseconds a second."""

KB_PER_MB = 1024
AGENTS = ("ours_10", "ours_40", "ours_100", "ours_200")

FLOORS = {
    "floor_40": (40, "40"),
    "floor_200": (200, "200"),
    "floor_40_chunk100": (40, "40_chunk100"),
}
"""Loads that are the floor of ours: how many calls the target asks for, and how its key ends."""

WATCHED = ("programs", "viewers")
"""The same calls with and without somebody who watches: see bench_watch."""

Results = Mapping[str, Any]


def echoes(results: Results, calls: int) -> list[str]:
    """The keys of all loads of so many calls in Echo(), in their order."""
    return [key for key in results if key.startswith(f"echo_{calls}_")]


def yardstick(results: Results, key: str) -> float | None:
    """What a call in Echo() costs, in percent of a core: last before this load and first after it.

    The mean of both; results are in the order in which they were measured. Where so many calls in
    Echo() were not measured, it is those of the other number.
    """
    order = list(results)
    for size in (200, 40) if results[key]["calls"] > 40 else (40, 200):
        found = echoes(results, size)
        before = [echo for echo in found if order.index(echo) < order.index(key)][-1:]
        after = [echo for echo in found if order.index(echo) > order.index(key)][:1]
        if around := [float(results[echo]["percent"]) for echo in before + after]:
            return fmean(around)
    return None


def times_echo(results: Results, key: str, part: str = "percent") -> float | None:
    """What a call of these costs, or a part of it, as a multiple of Echo()."""
    if key not in results:
        return None
    echo = yardstick(results, key)
    return float(results[key][part]) / echo if echo else None


def figures(results: Results) -> dict[str, float]:
    """Every figure that was measured as its target asks, by the target's key.

    A target of 200 calls says nothing of 40, nor one of 40 of 4: then there is no figure.
    """
    ours = {key: results[key] for key in AGENTS if key in results}
    as_asked = {key: load for key, load in ours.items() if key == f"ours_{load['calls']}"}
    found: dict[str, float | None] = {}
    for calls in (40, 200):
        if results.get(f"memory_{calls}", {}).get("calls") == calls:
            found[f"memory_mb_{calls}"] = results[f"memory_{calls}"]["kb_for_a_call"] / KB_PER_MB
        if f"ours_{calls}" in as_asked:
            found[f"times_echo_{calls}"] = times_echo(results, f"ours_{calls}")
            found[f"channel_times_echo_{calls}"] = times_echo(results, f"ours_{calls}", "channel")
            found |= _beside_echo(results, calls)
    if results.get("ours_40_chunk100", {}).get("calls") == 40:
        found["times_echo_40_chunk100"] = times_echo(results, "ours_40_chunk100")
    if "ours_200" in as_asked:
        found |= _with_many_calls(results, [load["stages"] for load in as_asked.values()])
    talked_over = results.get("interruptions", {}).get("stages", {})
    if "interruption" in talked_over:
        found["interruption_p99"] = talked_over["interruption"]["p99"]
    if "side_by_side" in results:
        beside = results["side_by_side"]
        found["channel_beside_echo"] = beside["chunk20_us"] / beside["echo_us"]
    found |= {f"{key}_times": results[key]["times"] for key in WATCHED if _as_asked(results, key)}
    if "overload" in results:
        found["limit_wrong"] = results["overload"]["limit_wrong"]
        found["limit_dropped"] = results["overload"]["dropped"]
    return _rounded(found)


def floors(results: Results) -> dict[str, float]:
    """What a figure would be if nothing were done that has not to be, by its target's key.

    Measured in the same run: see bench_floor, bench_loop, latency.floor.
    """
    found: dict[str, float | None] = {}
    for key, (calls, suffix) in FLOORS.items():
        if results.get(key, {}).get("calls") == calls:
            found[f"times_echo_{suffix}"] = times_echo(results, key)
            found[f"channel_times_echo_{suffix}"] = times_echo(results, key, "channel")
            found[f"loop_us_{suffix}"] = results[key]["loop"] * US_PER_PERCENT
    if "side_by_side" in results:
        beside = results["side_by_side"]
        found["channel_beside_echo"] = beside["floor_us"] / beside["echo_us"]
    if results.get("ours_200", {}).get("calls") == 200:
        found["first_word_p95"] = results.get("first_words", {}).get("floor", {}).get("p95")
    if results.get("floor_200", {}).get("calls") == 200:
        found["uplink_p99"] = results["floor_200"]["client"]["uplink_p99_ms"]
    return _rounded(found)


def _rounded(found: Mapping[str, float | None]) -> dict[str, float]:
    return {key: round(value, 3) for key, value in found.items() if value is not None}


def _as_asked(results: Results, key: str) -> bool:
    """Whether so many calls were watched, and by so many, as the target asks."""
    watched = results.get(key, {})
    return bool(watched.get("calls") == 200 and watched.get("viewers", 2) == 2)


def _beside_echo(results: Results, calls: int) -> dict[str, float | None]:
    """The loop thread's time; threads of a call above Echo() with as many calls."""
    ours = results[f"ours_{calls}"]
    found: dict[str, float | None] = {f"loop_us_{calls}": ours["loop"] * US_PER_PERCENT}
    for key in echoes(results, calls)[:1]:
        more = ours["threads"] - results[key]["threads"]
        found[f"threads_{calls}"] = max(0, round(more / calls))
    return found


def _with_many_calls(
    results: Results, stages: Sequence[Mapping[str, Any]]
) -> dict[str, float | None]:
    """The module's own delays, the worst of all numbers of calls; gaps and first words with most.

    stages: of each number of calls, the largest last.
    """
    found: dict[str, float | None] = {}
    for name in ("uplink", "downlink"):
        found[f"{name}_p99"] = max((x[name]["p99"] for x in stages if name in x), default=None)
    for part in ("p99", "max"):
        found[f"gap_{part}"] = stages[-1].get("gap", {}).get(part)
    if "first_words" in results:
        found["first_word_p95"] = results["first_words"]["p95"]
    return found
