"""Both sides' levels, as a report draws them: columns of one time line, and who spoke when. No I/O.

A level is a byte (``struct convai_level`` in ``convai_ops.h``): half decibels, 127 is full scale,
and 0x80 where it is taken for speech. There are ten a second.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from .. import limits

SPEAKS = 0x80
_QUIETEST = 27
"""-50 dB of full scale: what is softer has no height."""


class Span(NamedTuple):
    """A time of speech, in ms since the conversation began."""

    begin_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Side:
    """One side's."""

    heights: list[int]
    """Of each column, in percent."""
    speech: list[bool]
    """Of each column: whether some of it is taken for speech."""
    spoke: list[Span]

    @property
    def spoke_ms(self) -> int:
        """How long in all."""
        return sum(span.end_ms - span.begin_ms for span in self.spoke)


@dataclass(frozen=True, slots=True)
class Levels:
    """Those of a call."""

    caller: Side
    agent: Side
    length_ms: int
    """So much of the conversation they cover."""


def of(found: dict[str, Any] | None) -> Levels | None:
    """Those of a record's field ``levels``; None: it has none that can be drawn."""
    if not found:
        return None
    every_ms = int(found["every_ms"])
    caller, agent = (_bytes(found[side]) for side in ("caller", "agent"))
    count = min(len(caller), len(agent))
    if not count or every_ms < 1:
        return None
    sides = [_side(each[:count], every_ms) for each in (caller, agent)]
    return Levels(sides[0], sides[1], count * every_ms)


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""


def _side(levels: bytes, every_ms: int) -> Side:
    """Columns hold the loudest of what falls into them."""
    columns = min(len(levels), limits.REPORT_COLUMNS)
    loud, said = levels.translate(_HEIGHTS), levels.translate(_IS_SPEECH)
    edges = [place * len(levels) // columns for place in range(columns + 1)]
    pieces = list(pairwise(edges))
    heights = [max(loud[a:b]) for a, b in pieces]
    return Side(heights, [b"s" in said[a:b] for a, b in pieces], _spans(said, every_ms))


_HEIGHTS = bytes(
    max(0, round(100 * ((byte & ~SPEAKS) - _QUIETEST) / (127 - _QUIETEST))) for byte in range(256)
)

_IS_SPEECH = bytes(ord("s" if byte & SPEAKS else " ") for byte in range(256))


def _spans(said: bytes, every_ms: int) -> list[Span]:
    """Speech, with the pauses between words left out."""
    spans: list[Span] = []
    end = 0
    while (begin := said.find(b"s", end)) >= 0:
        end = said.find(b" ", begin)
        end = len(said) if end < 0 else end
        span = Span(begin * every_ms, end * every_ms)
        if spans and span.begin_ms - spans[-1].end_ms <= limits.REPORT_PAUSE_MS:
            span = Span(spans.pop().begin_ms, span.end_ms)
        spans.append(span)
    return spans
