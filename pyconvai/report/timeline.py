"""The time line of a report: both sides' levels, who spoke when, and what happened. No I/O.

Bars are two paths of SVG a side; all that has words stands in HTML above them, at its share of the
width, so that a line that is wider or narrower squeezes no letters.
"""

from __future__ import annotations

from typing import Any

from .levels import Levels, Side
from .text import clock, length, plain, shown

_PIXELS_A_SECOND = 3
"""At least: a longer call than fits is scrolled."""

_WIDEST = 12_000
"""In pixels; an hour, and then it is squeezed."""

_TICKS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
_TICKS = 12
"""So many at most."""

_TICK_ROOM = 0.4
"""Of a tick's width: the last label is not to run over the end."""


def drawn(record: dict[str, Any], levels: Levels | None, total_ms: int) -> str:
    """The time line of a record, whose conversation has taken so long."""
    if total_ms <= 0:
        return '<p class="empty">There was no conversation, so there is no time line.</p>'
    line = _Line(total_ms)
    width = min(_WIDEST, total_ms * _PIXELS_A_SECOND // 1000)
    parts = [
        _lane("caller", levels.caller if levels else None, line, levels),
        _lane("agent", levels.agent if levels else None, line, levels),
        *(_away(each, line) for each in record["away"]),
        *(_cut(each, line) for each in record["interrupted"]),
        *(_tool(number, each, line) for number, each in enumerate(record["tools"], 1)),
        _axis(line),
    ]
    none = "" if levels else '<p class="empty">Levels of this call were not kept.</p>'
    return (
        f'{none}<div class="scroll" tabindex="0" role="group" aria-label="Time line">'
        f'<div class="line" style="min-width:{width}px">{"".join(parts)}</div></div>'
        f"{_legend(record)}"
    )


class _Line:
    """Where a moment is on it."""

    def __init__(self, total_ms: int) -> None:
        self.total_ms = total_ms

    def share(self, ms: float) -> str:
        """Of the width."""
        return f"{100 * min(max(0, ms), self.total_ms) / self.total_ms:.3f}%"

    def place(self, begin_ms: int, end_ms: int) -> str:
        """As a style."""
        return f"left:{self.share(begin_ms)};width:{self.share(end_ms - begin_ms)}"


def _lane(name: str, side: Side | None, line: _Line, levels: Levels | None) -> str:
    if side is None or levels is None:
        return f'<div class="lane {name}"></div>'
    who = "The caller" if name == "caller" else "The agent"
    said = f"{who} spoke {length(side.spoke_ms)} in {len(side.spoke)} pieces"
    svg = (
        f'<svg role="img" aria-label="{said}" viewBox="0 0 {len(side.heights)} 100"'
        f' preserveAspectRatio="none" style="width:{line.share(levels.length_ms)}">'
        f'<path class="quiet" d="{_bars(side, name, speech=False)}"/>'
        f'<path class="loud" d="{_bars(side, name, speech=True)}"/></svg>'
    )
    spans = "".join(
        f'<i style="{line.place(*each)}" title="{who}: {clock(each.begin_ms)}, '
        f'{length(each.end_ms - each.begin_ms)}"></i>'
        for each in side.spoke
    )
    strip = f'<div class="spoke {name}">{spans}</div>'
    lane = f'<div class="lane {name}">{svg}</div>'
    return lane + strip if name == "caller" else strip + lane


def _bars(side: Side, name: str, *, speech: bool) -> str:
    """Those of the caller stand on the middle of the line, those of the agent hang from it."""
    bars = []
    for place, (height, is_speech) in enumerate(zip(side.heights, side.speech, strict=True)):
        if height and is_speech is speech:
            top = f"M{place}.2 100V{100 - height}h.6V100z"
            bars.append(top if name == "caller" else f"M{place}.2 0V{height}h.6V0z")
    return "".join(bars)


def _away(away: dict[str, Any], line: _Line) -> str:
    begin, ms = away["at_ms"], away["ms"]
    end = line.total_ms if ms is None else begin + ms
    what = "hold" if away["why"] == "hold" else f"step {away['step'] or ''}"
    title = f"{what}: {clock(begin)}, {length(end - begin)}"
    place = line.place(begin, end)
    return f'<div class="away" style="{place}" title="{plain(title)}"><b>{shown(what)}</b></div>'


def _cut(interruption: dict[str, Any], line: _Line) -> str:
    at = interruption["at_ms"]
    title = f"{clock(at)}: {interrupted(interruption)}"
    return f'<div class="cut" style="left:{line.share(at)}" title="{plain(title)}"><b></b></div>'


def interrupted(interruption: dict[str, Any]) -> str:
    """An interruption, in words."""
    if not interruption["length_ms"]:
        return "the caller spoke before the agent's answer was heard"
    heard, whole = length(interruption["heard_ms"]), length(interruption["length_ms"])
    return f"the caller interrupted the agent, and had heard {heard} of {whole}"


def _tool(number: int, tool: dict[str, Any], line: _Line) -> str:
    at = tool["at_ms"]
    title = f"{clock(at)}: {tool['name']}, {tool['outcome']}, {length(tool['ms'])}"
    outcome = tool["outcome"] if tool["outcome"] in ("done", "failed") else "open"
    return (
        f'<div class="tool {outcome}" style="left:{line.share(at)}" title="{plain(title)}">'
        f"<b>{number}</b></div>"
    )


def _axis(line: _Line) -> str:
    seconds = line.total_ms / 1000
    tick = next((each for each in _TICKS_S if seconds / each <= _TICKS), _TICKS_S[-1])
    at = range(0, max(1, int(seconds - tick * _TICK_ROOM)), tick)
    ticks = "".join(
        f'<span style="left:{line.share(each * 1000)}">{clock(each * 1000)}</span>' for each in at
    )
    return f'<div class="axis" aria-hidden="true">{ticks}</div>'


def _legend(record: dict[str, Any]) -> str:
    keys = ['<li class="caller">Caller, as heard</li>', '<li class="agent">Agent, as played</li>']
    if record["interrupted"]:
        keys.append('<li class="cut">Interruption</li>')
    if record["tools"]:
        keys.append('<li class="tool">Tool, by its number below</li>')
    if record["away"]:
        keys.append('<li class="away">Hold or step: the agent is not heard</li>')
    return f'<ul class="legend">{"".join(keys)}</ul>'
