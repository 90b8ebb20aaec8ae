"""A benchmark's results as one page that needs nothing else: tables and a few drawings in SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from testbed import bench_targets
from testbed.bench_figures import FLOORS, echoes, times_echo

BUSY_PERCENT = 85.0
"""A process with one thread that is busier than that makes others wait."""

NEVER_IDLE_PERCENT = 95.0
"""Of the time: so long such a process was busy, or would have been, had there been a processor."""

UNSTEADY = 1.15
"""Times what Echo() costs at its cheapest; above that the machine does other things as well."""

AUDIBLE = 0.35
"""Agents speak half of the time; a share below that says that something else was measured."""

LOADS = {
    "ours_10": "ours",
    "ours_40": "ours",
    "ours_100": "ours",
    "ours_200": "ours",
    "ours_40_chunk100": "ours, 100 ms chunks",
    "floor_40": "floor",
    "floor_200": "floor",
    "floor_40_chunk100": "floor, 100 ms chunks",
    "peer_40": "chan_websocket, bridge",
    "debug_40": "ours, debug on",
    "mixmonitor_40": "ours and a MixMonitor",
    "reloads_40": "ours, a reload a second",
}
PARTS = ("channel", "loop", "rest")

BAR, GAP, LEFT, WIDTH = 18, 8, 330, 420
Bars = Sequence[tuple[str, Sequence[tuple[str, float]]]]
"""Rows: a name, and parts as (class of CSS, value)."""

PAGE = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>What a call costs</title>
<meta name="viewport" content="width=device-width">
<style>
:root {{ color-scheme: light dark; --ground: #fff; --text: #1b1f24; --dim: #5b6570; --line: #d5dae0;
  --channel: #2f6fbf; --loop: #c4671b; --rest: #8a94a0; --good: #1d7f45; --bad: #bf2f2f; }}
@media (prefers-color-scheme: dark) {{ :root {{ --ground: #14171b; --text: #e4e8ed; --dim: #9aa5b1;
  --line: #333b44; --channel: #6ba6ef; --loop: #ef9c52; --rest: #77828e; --good: #5cc487;
  --bad: #f07a7a; }} }}
body {{ background: var(--ground); color: var(--text); font: 15px/1.5 system-ui, sans-serif;
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.5rem; }} h2 {{ font-size: 1.1rem; margin-top: 2rem; }}
p, figcaption {{ color: var(--dim); }} figure {{ margin: 0; overflow-x: auto; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; padding: .25rem .75rem .25rem 0;
  border-bottom: 1px solid var(--line); }}
td:nth-child(n+2) {{ font-variant-numeric: tabular-nums; white-space: nowrap; }}
.goal, .met {{ color: var(--good); }} .missed, .note {{ color: var(--bad); }}
svg text {{ fill: var(--text); font: 13px system-ui, sans-serif; }} svg .dim {{ fill: var(--dim); }}
svg .channel {{ fill: var(--channel); }} svg .loop {{ fill: var(--loop); }}
svg .rest {{ fill: var(--rest); }} svg .mark {{ stroke: var(--text); stroke-dasharray: 3 3; }}
i {{ display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 1em; }}
</style></head><body>
<h1>What a call costs</h1>
<p>{about}</p>
{notes}
<h2>Targets</h2>{targets}
<h2>CPU of a call as a multiple of Echo()</h2>
<figure>{multiples}<figcaption>The line is Echo() itself in the same run.</figcaption></figure>
<h2>Where it goes, in percent of one core</h2>
<figure>{parts}<figcaption><i style="background:var(--channel)"></i>channel thread
<i style="background:var(--loop)"></i>loop thread (bridge: its process; floor: a client in C)
<i style="background:var(--rest)"></i>all other threads of Asterisk</figcaption></figure>
<h2>How busy those are that make the calls</h2>
<figure>{busy}<figcaption>Percent of one core; near the line (100) the figures above are of no use.
</figcaption></figure>
<h2>Delays inside the module, in ms</h2>{stages}
<h2>First words and crowds</h2>{rest}
</body></html>
"""


def loads(results: Mapping[str, Any]) -> dict[str, str]:
    """What was held, by its key in the results, with the number of calls."""
    return {
        key: f"{text}, {results[key]['calls']} calls"
        for key, text in LOADS.items()
        if key in results
    }


def multiples(results: Mapping[str, Any]) -> list[tuple[str, float]]:
    """What was held, each as a multiple of Echo()."""
    found = ((text, times_echo(results, key)) for key, text in loads(results).items())
    return [(text, times) for text, times in found if times is not None]


def notes(results: Mapping[str, Any]) -> list[str]:
    """What has to be known before the figures are believed."""
    found = [f"did not work: {failure}" for failure in results.get("failures", [])]
    if results.get("about", {}).get("quick"):
        found.append("a quick run: its short windows show only whether something is badly wrong")
    for key, text in loads(results).items():
        if results[key]["audible"] < AUDIBLE:
            found.append(f"{text}: callers heard their agents for too little of the time")
        found += _never_idle(results[key], text)
    measured = [results[key]["stages"] for key in loads(results)]
    if measured and not any(measured):
        found.append(
            "NO DELAYS: this module does not know `elevenlabs show stats buckets`, so the rows of"
            " uplink, downlink, interruption and gap are empty"
        )
    if "floor_of_gaps" in results:
        floor = results["floor_of_gaps"]
        found.append(
            f"of the same seconds, with the most calls up, p99: {floor['gap']['p99']:.1f} ms"
            f" between the module's frames, {floor['echo_intervals_ms']['p99']:.1f} ms between"
            " those of calls in Echo() beside them, which is as even as this machine runs then"
        )
    found += _floors(results)
    found += _side_by_side(results)
    found += _watched(results)
    for size in (40, 200):
        runs = [results[key]["percent"] for key in echoes(results, size)]
        if runs and max(runs) > UNSTEADY * min(runs):
            told = ", then ".join(f"{run:.3f} %" for run in runs)
            found.append(
                f"Echo() with {size} calls cost {told}: the machine does other things as well"
            )
    return found


def _never_idle(load: Mapping[str, Any], text: str) -> list[str]:
    """Which of the processes that make a load may be the limit themselves."""
    found = []
    for name, percent in load["callers"].items():
        ready = load.get("ready", {}).get(name, 0.0)  # of an older run there is none
        if percent > BUSY_PERCENT:
            found.append(f"{text}: '{name}' used {percent:.0f} % of a core; it may be the limit")
        elif percent + ready > NEVER_IDLE_PERCENT:
            found.append(
                f"{text}: '{name}' used {percent:.0f} % of a core and was ready but without a"
                f" processor for {ready:.0f} % of the time: it never was idle, so what waits for"
                " it, as the first word does, tells of this machine"
            )
    return found


def _floors(results: Mapping[str, Any]) -> list[str]:
    """What a call costs at least, and where what it costs above that goes."""
    found = []
    for key in FLOORS:
        ours, times = key.replace("floor", "ours"), times_echo(results, key)
        if ours in results and times is not None:
            least, most = ([results[load][part] for part in PARTS] for load in (key, ours))
            pairs = ", ".join(
                f"{part} {low:.3f} ({high:.3f})"
                for part, low, high in zip(PARTS, least, most, strict=True)
            )
            found.append(
                f"floor of a call, {loads(results)[key].partition(', ')[2]}: {times:.2f} x Echo()"
                f" ({times_echo(results, ours):.2f} with an agent). In percent of a core: {pairs}"
            )
    return found


def _side_by_side(results: Mapping[str, Any]) -> list[str]:
    """What is above the floor of a call's cost."""
    if "side_by_side" not in results:
        return []
    beside = results["side_by_side"]
    return [
        f"of the same seconds, with {beside['calls']} calls of each kind: the channel's thread"
        f" takes {beside['echo_us']:.0f} µs for a second of a call in Echo(),"
        f" {beside['floor_us']:.0f} µs in an application that only waits as ours does, and"
        f" {beside['chunk20_us']:.0f} µs with an agent; it wakes {beside['chunk20_waits']:.1f}"
        f" times, in Echo() {beside['echo_waits']:.1f}"
    ]


def _watched(results: Mapping[str, Any]) -> list[str]:
    """What watching costs, and whether anything was late or lost for it."""
    found = []
    for key, who in (("programs", "programs that watch"), ("viewers", "browsers with the page")):
        if key not in results:
            continue
        watched = results[key]
        plain, late = watched["late_frames"]
        found.append(
            f"{who}, {watched['calls']} calls: {watched['times']:.3f} x the CPU of the same calls"
            f" without, from the first to the end of the last; {watched['times_talking']:.3f} x"
            f" while they talk; {late} frames late, without {plain}"
        )
    if "programs" in results:
        told = results["programs"]
        found.append(
            f"told: {told['events']} events of {told['calls_told']} calls,"
            f" {told['events_left_out']} left out, {told['records']} records, {told['webhooks']}"
            f" webhooks, {told['scrapes']} scrapes, the longest {told['scrape_max_ms']:.0f} ms"
        )
    return found


def page(results: Mapping[str, Any]) -> str:
    """Return the page, as HTML."""
    about = ", ".join(f"{k.replace('_', ' ')}: {v}" for k, v in results.get("about", {}).items())
    return PAGE.format(
        about=escape(about),
        notes="".join(f'<p class="note">{escape(note)}</p>' for note in notes(results)),
        targets=_targets(results),
        multiples=bars([(n, [("channel", t)]) for n, t in multiples(results)], mark=1.0, digits=2),
        parts=bars(_parts(results), digits=3),
        busy=bars(_busy(results), mark=100.0, digits=0),
        stages=_stages(results),
        rest=_rest(results),
    )


def bars(rows: Bars, *, mark: float | None = None, digits: int) -> str:
    """Horizontal bars of parts, each row with its sum; mark: where a dashed line is drawn."""
    if not rows:
        return "<p>not measured</p>"
    sums = [sum(value for _, value in parts) for _, parts in rows]
    scale = WIDTH / max([*sums, mark or 0.0, 1e-9])
    height = len(rows) * (BAR + GAP)
    lines = [f'<svg role="img" width="{LEFT + WIDTH + 70}" height="{height}">']
    for number, ((name, parts), total) in enumerate(zip(rows, sums, strict=True)):
        y, x = number * (BAR + GAP), float(LEFT)
        lines.append(f'<text x="0" y="{y + 14}">{escape(name)}</text>')
        for kind, value in parts:
            width = max(0.0, value * scale)
            lines.append(
                f'<rect class="{kind}" x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR}"/>'
            )
            x += width
        lines.append(f'<text class="dim" x="{x + 6:.1f}" y="{y + 14}">{total:.{digits}f}</text>')
    if mark is not None:
        at = LEFT + mark * scale
        lines.append(f'<line class="mark" x1="{at:.1f}" y1="0" x2="{at:.1f}" y2="{height}"/>')
    return "".join([*lines, "</svg>"])


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table; a cell that is a verdict has its colour."""
    if not rows:
        return "<p>not measured</p>"
    head = "".join(f"<th>{escape(text)}</th>" for text in headings)
    body = "".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(cell: object) -> str:
    text = f"{cell:g}" if isinstance(cell, float) else str(cell)
    kind = f' class="{text}"' if text in {"goal", "met", "missed"} else ""
    return f"<td{kind}>{escape(text)}</td>"


def _targets(results: Mapping[str, Any]) -> str:
    judged = bench_targets.judge(results.get("figures", {}), results.get("floors", {}))
    rows = [row.cells for row in judged]
    return table(bench_targets.HEADINGS, rows)


def _parts(results: Mapping[str, Any]) -> Bars:
    first = [results[key] for size in (40, 200) for key in echoes(results, size)[:1]]
    rows: list[tuple[str, list[tuple[str, float]]]] = [
        (f"Echo(), {each['calls']} calls", [(part, each[part]) for part in PARTS]) for each in first
    ]
    for key, text in loads(results).items():
        found = results[key]
        parts = [(part, found[part]) for part in PARTS]
        if "bridge_percent" in found:
            parts.insert(1, ("loop", found["bridge_percent"]))
        rows.append((text, parts))
    return rows


def _busy(results: Mapping[str, Any]) -> Bars:
    return [
        (f"{name}: {text}", [("rest", percent)])
        for key, text in loads(results).items()
        for name, percent in results[key]["callers"].items()
        if name != "sipp"
    ]


def _stages(results: Mapping[str, Any]) -> str:
    talked_over = {"interruptions": "callers who interrupt"}
    rows = [
        (text, name, each["count"], each["p50"], each["p99"], each["max"])
        for key, text in (loads(results) | talked_over).items()
        for name, each in results.get(key, {}).get("stages", {}).items()
    ]
    return table(("load", "delay", "count", "p50", "p99", "max"), rows)


def _rest(results: Mapping[str, Any]) -> str:
    kinds = {"first_words": results.get("first_words", {}), **results.get("near_and_far", {})}
    floors = {
        f"{kind}: a mere client": each["floor"] for kind, each in kinds.items() if "floor" in each
    }
    words = [
        (kind.replace("_", " "), each["calls"], each["median"], each["p95"], each["worst"])
        for kind, each in (kinds | floors).items()
        if each
    ]
    crowds = [
        (f"{crowd.replace('_', ' ')}: {name.replace('_', ' ')}", value)
        for crowd in ("cold_burst", "overload")
        for name, value in results.get(crowd, {}).items()
    ]
    headings = ("first word of an agent, ms", "calls", "median", "p95", "worst")
    return table(headings, words) + table(("crowd", "value"), crowds)
