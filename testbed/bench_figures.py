"""The figures that targets are about, from the results of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

US_PER_PERCENT = 10_000
"""A percent of a core is so many microseconds a second."""

KB_PER_MB = 1024
AGENTS = ("ours_10", "ours_40", "ours_100", "ours_200")

WATCHED = ("programs", "viewers")
"""The same calls with and without somebody who watches: see bench_watch."""

Results = Mapping[str, Any]


def yardstick(results: Results, calls: int) -> float | None:
    """What a call in Echo() costs, in percent of a core: before and after, the mean.

    Where so many calls were not measured, it is that of the other number.
    """
    for size in (200, 40) if calls > 40 else (40, 200):
        runs = (f"echo_{size}_before", f"echo_{size}_after")
        found = [results[run]["percent"] for run in runs if run in results]
        if found:
            return float(sum(found)) / len(found)
    return None


def times_echo(results: Results, key: str, part: str = "percent") -> float | None:
    """What a call of these costs, or a part of it, as a multiple of Echo()."""
    if key not in results:
        return None
    echo = yardstick(results, results[key]["calls"])
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
    return {key: round(value, 3) for key, value in found.items() if value is not None}


def _as_asked(results: Results, key: str) -> bool:
    """Whether so many calls were watched, and by so many, as the target asks."""
    watched = results.get(key, {})
    return bool(watched.get("calls") == 200 and watched.get("viewers", 2) == 2)


def _beside_echo(results: Results, calls: int) -> dict[str, float | None]:
    """The loop thread's time; threads of a call above Echo() with as many calls."""
    ours = results[f"ours_{calls}"]
    echo = results.get(f"echo_{calls}_before")
    found: dict[str, float | None] = {f"loop_us_{calls}": ours["loop"] * US_PER_PERCENT}
    if echo is not None and echo["calls"] == calls:
        found[f"threads_{calls}"] = max(0, round((ours["threads"] - echo["threads"]) / calls))
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
