"""The transcript of a report: what was not heard is struck through. No I/O."""

from __future__ import annotations

from typing import Any

from .text import apart, clock, length, shown

Turn = dict[str, Any]


def talk(record: dict[str, Any], *, hides: bool = False) -> str:
    """Turns, tools, holds and steps, in the order of their times.

    ``hides``: whoever looks at it may not see what was said.
    """
    transcript = record["transcript"]
    if hides:
        return (
            '<p class="empty">What was said is not shown to whoever looks at calls: elevenlabs.conf'
            " does not allow it. <code>transcripts = all</code> does, for the calls that follow;"
            " <code>elevenlabs report</code> has what is kept.</p>"
        )
    if transcript is None:
        return (
            '<p class="empty">What was said is not kept: elevenlabs.conf does not allow it.'
            " <code>transcripts = records</code> or <code>transcripts = all</code> does, for the"
            " calls that follow.</p>"
        )
    items = [(turn["at_ms"], _turn(turn)) for turn in transcript]
    items += [
        (tool["at_ms"], _event(tool["at_ms"], _tool(number, tool)))
        for number, tool in enumerate(record["tools"], 1)
    ]
    items += [(each["at_ms"], _event(each["at_ms"], _away(each))) for each in record["away"]]
    if not items:
        return '<p class="empty">Nothing was said.</p>'
    items.sort(key=lambda item: item[0])
    return f'<ol class="talk">{"".join(item for _, item in items)}</ol>'


def _turn(turn: Turn) -> str:
    is_agent = turn["speaker"] == "agent"
    whole, heard = _heard(turn)
    words, note = shown(whole[:heard]), "interrupted" if turn["cut_short"] else ""
    if heard < len(whole):
        words += f"<del>{shown(whole[heard:])}</del>"
        note = f"{note or 'not heard to the end'}; struck through: not heard"
    note = f'<p class="note">{note}</p>' if note else ""
    side, name = ("agent", "Agent") if is_agent else ("caller", "Caller")
    return (
        f'<li class="{side}"><p class="who">{name}, {clock(turn["at_ms"])}</p>'
        f'<p class="said"><bdi>{words}</bdi></p>{note}</li>'
    )


def _heard(turn: Turn) -> tuple[str, int]:
    """All that was to be said, and how many characters of it were heard, to the end of a word."""
    whole = turn.get("said") or turn["text"]
    characters = turn.get("heard_characters")
    if characters is None:
        # By the service's reckoning, where it has one: what it has taken back was not said.
        text = turn["text"].rstrip(". ")
        return whole, len(text) if whole.startswith(text) and turn["cut_short"] else len(whole)
    if 0 < characters < len(whole) and not whole[characters].isspace():
        characters = whole.rfind(" ", 0, characters) + 1
    return whole, len(whole[:characters].rstrip()) if characters < len(whole) else len(whole)


def _event(at_ms: int, what: str) -> str:
    return f'<li class="event">{clock(at_ms)} {what}</li>'


def _tool(number: int, tool: dict[str, Any]) -> str:
    took = f", {length(tool['ms'])}" if tool["ms"] is not None else ""
    outcome = shown(str(tool["outcome"]))
    return f'<span class="number">{number}</span> {apart(tool["name"])}: {outcome}{took}'


def _away(away: dict[str, Any]) -> str:
    what = "The caller holds" if away["why"] == "hold" else f"Step {apart(away['step'] or '')}"
    return f"{what}, {length(away['ms'])}" if away["ms"] is not None else what
