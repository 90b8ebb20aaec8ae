"""Words of others in a page: text, whatever it is. No I/O.

Everything that a page is made of and that we have not written passes here: ``shown`` between tags,
``plain`` in an attribute. What nobody sees is shown by its number; so a mark of direction can turn
nothing around, and ``<bdi>`` keeps the letters of one text from moving those beside it.
"""

from __future__ import annotations

import html
import re

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u115f\u1160\u180e"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\uf8ff\ufeff\uffa0\ufff0-\uffff"
    "\U0001d173-\U0001d17a\U000e0000-\U0010ffff]"
)
"""Control characters, marks of direction, fillers, and what no font has. A line feed and a tab are
shown as they are."""


NONE = "\N{EN DASH}"
"""In the place of what there is none of."""


def shown(text: str) -> str:
    """A text between tags."""
    escaped = html.escape(text.replace("\r\n", "\n"))
    return _UNSEEN.sub(lambda found: f'<span class="unseen">{_name(found)}</span>', escaped)


def plain(text: str) -> str:
    """A text in an attribute, between double quotes."""
    return _UNSEEN.sub(lambda found: f"[{_name(found)}]", html.escape(text))


def apart(text: str) -> str:
    """A text between tags whose direction is its own."""
    return f"<bdi>{shown(text)}</bdi>"


def _name(found: re.Match[str]) -> str:
    return f"U+{ord(found[0]):04X}"


def clock(ms: float) -> str:
    """A time since the conversation began: 1:05, or 1:02:03."""
    minutes, seconds = divmod(max(0, round(ms / 1000)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def length(ms: float | None) -> str:
    """How long something took, for people: 840 ms, 1.4 s, 2 min 5 s."""
    if ms is None:
        return NONE
    if ms < 1000:
        return f"{round(ms)} ms"
    if ms < 60_000:
        return f"{ms / 1000:.1f} s"
    minutes, seconds = divmod(round(ms / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"
