"""What is cut out of a text before somebody sends it in: credentials and numbers. No I/O.

Rules, not names of ours alone: a log and names have what others have written. What looks like a
credential goes, rather too much than too little. Secrets that the engine holds are found by their
value as well (``secret.scrub``), and so is what elevenlabs.conf has and the bundle does not show.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable

from .. import limits
from ..secret import SHOWN, scrub

_TELLING = (
    r"(?:key|secret|token|passw|pwd|(?:pass(?:phrase|code)?|pw|pin|[-_]auth)(?![a-z])"
    r"|authorization|credential|signature|cookie|extra_body)"
)
"""A name with one of these in it has a value that nobody is to see."""

_ASSIGNED = re.compile(
    rf"""(?ix)
    (?<![\w.-])(?=[\w.-]*?{_TELLING})
    (?P<name>[\w.-]++(?:[^()\s=]{{0,80}}+\)|\([^()\s=]{{0,80}}+\))?["'}}\]]*+\s*+(?:=>?|:)\s*+)
    (?P<value>"[^"\n]*"|'[^'\n]*'|(?:bearer|basic|digest|token|apikey)\s+[^\s"']+|[^\s,;&|)\]}}"']+)
    """
)
"""Also where the name is a function's, or its argument: CURLOPT(userpwd)=. Others wrote these, and
a match holds up the loop: each run of letters is looked at once, whatever it is."""

_LOGIN = re.compile(r"(?<![^\s/,&(\"'=])([\w.+-]++):[^\s@/,&)]++@")
"""The name and the password that a channel is dialled with: SIP/name:password@trunk."""

_BEARER = re.compile(r"(?i)\b(bearer|basic|digest)\s+[A-Za-z0-9+/=._~-]{6,}")
_OPTION = re.compile(r"(?<=\s)(-u|-p|--user|--password|--oauth2-bearer)([ =]\s*|(?<=-[up]))\S+")
"""Of a program that the dialplan runs."""

_ASKS = re.compile(r"(?i)\b(Authenticate|VMAuthenticate|DISA|VoiceMailMain)\([^()\n]*\)")
"""Applications whose argument is a PIN."""

_OF_THE_SERVICE = re.compile(r"(?i)\b(?:sk|xi|cvtkn|wsec|whsec|ek|pk)_[A-Za-z0-9_-]{6,}")
_URL = re.compile(
    r"(?i)\b([a-z][a-z0-9+.-]{1,15}://)([^\s/?#\"'<>]*@)?([^\s/?#\"'<>)]*)([^\s\"'<>)]*)"
)
_LONG = re.compile(
    r"(?<![A-Za-z0-9_-])(?=[A-Za-z0-9_-]*\d)(?=[A-Za-z0-9_-]*[A-Za-z])[A-Za-z0-9_-]{16,}"
)
"""Letters and digits without a blank between them: a token, an id of somebody's."""

_ADDRESS = re.compile(r"(?i)(?<![\w.+-])[\w.+-]++@(?=[\w-]+\.)")
_NUMBER = re.compile(r"(?<![\w.])\+?\(?\d(?:[ ()/-]{0,2}\d){4,}(?!\w)|\d{5,}")
"""Of a telephone: five digits or more, with signs between them; or as a part of a word."""

_STAYS = re.compile(r"(\bconv_[a-z0-9]{20,40}\b|\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?Z?)")
"""The service's id of a conversation, which it is asked about; a time of day."""

_KEPT_DIGITS = 2

_LOCAL = re.compile(r"\bLocal/[^\s;,]+?((?:-[0-9a-f]{8})?(?:;[12])?)(?=[\s:,;]|$)")
"""A channel that is named for an extension and its context."""

_QUOTED = re.compile(
    r"(?<!\w)'[^'\n]*'(?!\w)"
    r"|(?<= = )[^\n]+?(?=: allowed is | leads back to )"
    r"|(?<=there is no key )[^;\n]+|(?<=there is no override )[^;\n]+"
    r"|(?<=ELEVENLABS\()[^)\n]*(?=\) cannot be )"
)
"""What our own lines quote of elevenlabs.conf and of the dialplan."""

_NO_AGENT = re.compile(r"(no such agent[^\[\n]*\[)[^\n]*")
"""The detail behind it is what the dialplan has asked for."""

_OF_THE_SYSTEM = re.compile(
    r"(?<=System name:)[^\n]+|(?<=Prefix: )[^\n]+|(?<=Path: )[^\n]+|^  \S+ => [^\n]+"
    r"|^\S+?(?=/[^/\s]+(?:/\.\.\.)? => )"
)
"""Of Asterisk's own settings: names and addresses that its operator has given."""

_HOST = re.compile(r"(?i)https?://(?:[^/?#]*@)?([^/?#:]+)")
_SERVICE = "elevenlabs.io"
_HIDDEN_LEAST = 4
"""Characters of what is looked for by its value: fewer would be in every other word."""


def without_secrets(text: str) -> str:
    """The text without what is a credential, or looks like one."""
    return _but_what_stays(scrub(text), _without_secrets)


def without_numbers(text: str) -> str:
    """The text without telephone numbers, of which the last two digits stay, and mailboxes."""
    return _but_what_stays(text, _without_numbers)


def cut(text: str) -> str:
    """Both."""
    return without_numbers(without_secrets(text))


def without_quotes(text: str) -> str:
    """A line of the module's without what it quotes of elevenlabs.conf and of the dialplan."""
    return _NO_AGENT.sub(rf"\1{SHOWN}]", _QUOTED.sub(SHOWN, text))


def without_names(text: str) -> str:
    """A line of Asterisk's settings without what its operator has given a name to."""
    return _OF_THE_SYSTEM.sub(SHOWN, text)


def finder(values: Iterable[str], known: Container[str]) -> Callable[[str], str]:
    """A function that cuts these values out of a text, and the parts of those that are lists.

    known: names in lower case that stay, whatever has the same value.
    """
    pieces = {part.strip() for value in values for part in (value, *value.split(","))}
    pieces |= {host for piece in pieces for host in _HOST.findall(piece)}
    words = sorted(filter(lambda piece: _is_hidden(piece, known), pieces), key=len, reverse=True)
    if not words:
        return lambda text: text
    any_of_them = "|".join(map(re.escape, words[: limits.BUNDLE_HIDDEN]))
    pattern = re.compile(rf"(?i)(?<!\w)(?:{any_of_them})(?!\w)")
    return lambda text: pattern.sub(SHOWN, text)


def _is_hidden(piece: str, known: Container[str]) -> bool:
    return (
        len(piece) >= _HIDDEN_LEAST
        and piece.lower() not in known
        and not piece.lower().endswith(_SERVICE)
    )


def _but_what_stays(text: str, cut_out: Callable[[str], str]) -> str:
    pieces = _STAYS.split(text)
    return "".join(each if place % 2 else cut_out(each) for place, each in enumerate(pieces))


def _without_secrets(text: str) -> str:
    text = _URL.sub(_url, text)
    text = _LOGIN.sub(lambda found: f"{found[1]}:{SHOWN}@", text)
    text = _ASSIGNED.sub(lambda found: f"{found['name']}{SHOWN}", text)
    text = _BEARER.sub(lambda found: f"{found[1]} {SHOWN}", text)
    text = _OPTION.sub(lambda found: f"{found[1]}{found[2]}{SHOWN}", text)
    text = _ASKS.sub(lambda found: f"{found[1]}({SHOWN})", text)
    text = _OF_THE_SERVICE.sub(SHOWN, text)
    return _LONG.sub(SHOWN, text)


def _without_numbers(text: str) -> str:
    text = _LOCAL.sub(rf"Local/{SHOWN}\1", text)
    return _NUMBER.sub(_number, _ADDRESS.sub(f"{SHOWN}@", text))


def _url(found: re.Match[str]) -> str:
    """Scheme and host; what is behind them may be a credential."""
    more = f"/{SHOWN}" if len(found[4]) > 1 else found[4]
    return f"{found[1]}{SHOWN + '@' if found[2] else ''}{found[3]}{more}"


def _number(found: re.Match[str]) -> str:
    digits = re.sub(r"\D", "", found[0])
    return f"{SHOWN}{digits[-_KEPT_DIGITS:]}"
