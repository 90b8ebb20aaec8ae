"""The door for words from outside, as the engine has it; ``words.h`` has the rules.

Whatever the service, a tool, an exception or the dialplan has said passes here before it leaves the
engine. Those who let it leave call this by themselves, so that nobody can forget to: the log
(``log.py``) and ``Ending`` (``service/endings.py``). Any thread. No I/O.
"""

from __future__ import annotations

import re

from . import limits
from .core import _core
from .secret import scrub

_TOKEN = re.compile(rf"[\w.:/%+\[\]-]{{1,{limits.MAX_SHOWN_CHARACTERS}}}", re.ASCII)
_ID = re.compile(rf"(?!-)[A-Za-z0-9_-]{{1,{limits.CONVERSATION_ID_CHARACTERS}}}", re.ASCII)
"""With a dash before it, a program would take it for an option."""


def line(text: str, most: int = limits.MAX_REASON_BYTES) -> str:
    """One line for people, of ``most`` bytes: without control characters, and without secrets."""
    return _clean(text, most, _core.LINE)


def cut(text: str, most: int) -> str:
    """At most so many characters, and of no secret a half: what cuts a text calls this."""
    return text if len(text) <= most else scrub(text, most)


def sentence(text: str, most: int = limits.MAX_REASON_BYTES) -> str:
    """A line of ours, in which no value can end a quotation or name a variable."""
    return _clean(text, most, _core.SENTENCE)


def data(text: str, most: int) -> str:
    """A line, and in it nothing that a dialplan, a shell, SQL or a spreadsheet acts upon."""
    return _clean(text, most, _core.DATA)


def text(value: str, most: int) -> str:
    """Characters of a text that stays one, as in a record: without secrets, and fit for UTF-8."""
    return scrub(value, most).encode(errors="replace").decode()


def token(text: str) -> str:
    """A name, a number or an address that may stand in a reason; ``?`` for what is none."""
    return text if not text or _TOKEN.fullmatch(text) else "?"


def conversation_id(text: str) -> str:
    """The service's id of a conversation, or nothing: what is none may be anything, a key too."""
    return text if _ID.fullmatch(text) and line(text) == text else ""


def _clean(text: str, most: int, use: int) -> str:
    """Cut first: to look at each character of a long text would hold other calls up."""
    return _core.clean(scrub(text, most + limits.SECRET_CHARACTERS), most, use) if text else ""
