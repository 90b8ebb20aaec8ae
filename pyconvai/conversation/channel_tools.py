"""Tools of ours that the channel carries out: a transfer, tones, a variable. No I/O.

Here their parameters are looked at; whether ``elevenlabs.conf`` allows what they ask for is the
channel's to say (``call/step.c``), which does it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from .. import limits, words


class Kind(IntEnum):
    """``enum convai_step_kind``."""

    DIALPLAN = 0
    TRANSFER = 1
    DIGITS = 2
    VARIABLE = 3


class Refused(Exception):
    """A tool cannot be called like that; the text is a sentence for the agent."""


@dataclass(frozen=True, slots=True)
class ChannelTool:
    """One of them, and its parameters: all are text, and those in ``optional`` may be left out."""

    kind: Kind
    exact: str
    """The parameter that goes to the channel as it is."""
    texts: tuple[str, ...] = ()
    """Those that are made harmless first."""
    optional: tuple[str, ...] = ()
    switch: str = ""
    """What the operator has to set before an agent has this tool."""


CHANNEL_TOOLS: dict[str, ChannelTool] = {
    "transfer_call": ChannelTool(
        Kind.TRANSFER,
        "destination",
        ("reason", "summary"),
        optional=("reason", "summary"),
        switch="transfer_allow is none",
    ),
    "send_dtmf": ChannelTool(Kind.DIGITS, "digits", switch="tools does not name it, without *"),
    "set_variable": ChannelTool(
        Kind.VARIABLE, "name", ("value",), switch="set_variable_allow is none"
    ),
}
"""By the name that the agent has for it."""

_EXACT = re.compile(rf"[!-~]{{1,{limits.EXACT_CHARACTERS}}}")


def arguments(tool: ChannelTool, parameters: dict[str, Any]) -> list[tuple[str, str]]:
    """Check the parameters of a call: (name, value); null counts as absent."""
    given = {name: value for name, value in parameters.items() if value is not None}
    names = (tool.exact, *tool.texts)
    if not set(given) <= set(names):
        raise Refused(f"There is a parameter that it does not have; it has: {', '.join(names)}.")
    for name in names:
        if name not in given and name not in tool.optional:
            raise Refused(f"The parameter {name} is missing; it is text.")
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise Refused(f"The parameter {name} must be text.")
    exact = str(given[tool.exact]).strip()
    if not _EXACT.fullmatch(exact):
        raise Refused(
            f"The parameter {tool.exact} must have 1 to {limits.EXACT_CHARACTERS} letters, digits"
            " and signs of ASCII, and no blanks."
        )
    texts = {name: str(given[name]) for name in tool.texts if name in given}
    return [
        (tool.exact, exact),
        *((name, words.data(text, limits.STEP_ARGUMENT_BYTES)) for name, text in texts.items()),
    ]
