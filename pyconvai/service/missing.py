"""Which dynamic variables a conversation lacks, by the service's words: what is to be set.

No I/O. The names come from the service: only those that a channel variable can have are shown.
"""

from __future__ import annotations

import re

from .. import limits

_WORDS = re.compile(
    r"missing (?:required )?dynamic variables?\b(?:[^{\[]*[{\[]([^}\]]*))?", re.IGNORECASE
)
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_NAME = re.compile(rf"[A-Za-z0-9_.-]{{1,{limits.VARIABLE_NAME_CHARACTERS}}}", re.ASCII)
ERRORS = frozenset({"missing_dynamic_variable", "missing_dynamic_variable_transfer"})
"""Types of an error that say the same."""


def remedy(words: str, error: str = "") -> str:
    """What to set, as a clause; empty where nothing is missing. ``error``: the type of an error."""
    found = _WORDS.search(words[: limits.MAX_TEXT_CHARACTERS])
    if found is None and error not in ERRORS:
        return ""
    quoted = _QUOTED.findall(found[1] or "") if found else []
    names = list(dict.fromkeys(a or b for a, b in quoted))
    told = ""
    shown = 0
    for name in filter(_NAME.fullmatch, names):
        longer = f"{told}, ELEVENLABS_VAR_{name}" if told else f"ELEVENLABS_VAR_{name}"
        if len(longer) > limits.VARIABLES_CHARACTERS:
            break
        told, shown = longer, shown + 1
    if not told:
        return "set the channel variable ELEVENLABS_VAR_<name> for each dynamic variable it names"
    if others := len(names) - shown:
        told += f" and {others} more"
    return f"set the channel variable{'s' if len(names) > 1 else ''} {told}"
