"""What of a dialplan is shown to whoever helps: what is known to be harmless. No I/O.

A line of a dialplan may have a credential anywhere, and no rule finds each of them. So nothing of
a line is copied. What is shown are words out of lists: applications that Asterisk has, names that
elevenlabs.conf has, options and variables of the module's own. All else is ``***``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import orjson

from ..conversation.steps import TOOL_NAME
from ..secret import SHOWN
from ..service.settings import OVERRIDES

_HEAD = f"""\
; Applications and what is said with the module's own names; {SHOWN} stands for all else: contexts
; that elevenlabs.conf does not name, extensions, labels, arguments.
"""

_APPLICATION = "elevenlabsconvai"

_OPTIONS = re.compile(r"(?:[ncrg]|m(?:\([^()]*\))?)*")
"""Of the application; the argument of ``m`` is the name of a class of music."""

_SPECIAL = frozenset("aehiostT") | {"fax"}
"""Extensions that are Asterisk's own names."""

_PATTERN = re.compile(r"_[XZNxzn.!]+")
"""One that says how long a number is, and nothing of it."""

_OURS = re.compile(
    r"(?<![A-Za-z0-9])_{0,2}(ELEVENLABS(?:STATUS|REASON|DETAIL|CONVERSATIONID|DTMF|QUEUED|LATENCY"
    r"|_TRANSFER_REASON|_TRANSFER_SUMMARY|_(?:VAR|JSON|ARG)_[A-Za-z0-9_]{1,64}"
    rf"|_OVERRIDE_(?:{'|'.join(OVERRIDES)})|(?=\()))(?![A-Za-z0-9_])"
)
"""Variables, and the function, of the module's. Names behind ``VAR``, ``JSON`` and ``ARG`` are
those that the agent's settings at the service have as well."""

_REGISTERED = re.compile(r"^ *([A-Za-z][A-Za-z0-9_]*): ", re.MULTILINE)
"""A line of ``core show applications``."""


@dataclass(frozen=True)
class Known:
    """Names that are no secret."""

    agents: Mapping[str, str]
    """As they are written, by the same in lower case, as Asterisk compares them."""
    contexts: frozenset[str]
    """Of steps and tools, as elevenlabs.conf names them."""
    applications: Mapping[str, str]
    """As ``agents``."""

    @property
    def all(self) -> frozenset[str]:
        """Those of agents and contexts, in lower case."""
        return frozenset(self.agents) | {name.lower() for name in self.contexts}


def known(agents: Iterable[str], contexts: Iterable[str], applications: str) -> Known:
    """``applications``: what Asterisk's command lists."""
    registered = _REGISTERED.findall(applications)
    return Known(_by_lower(agents), frozenset(contexts), _by_lower(registered))


def _by_lower(names: Iterable[str]) -> dict[str, str]:
    return {name.lower(): name for name in names}


def shown(lines: str, names: Known) -> str:
    """Lines as the module gives them, each a list of JSON, as a text for people.

    A line: context, extension, priority, application, arguments (``control/cli_bundle.c``).
    """
    told, numbers = [_HEAD], dict[str, int]()
    before, missing = ("", ""), set(names.contexts)
    for text in lines.split("\n"):
        if not text:
            continue
        context, extension, priority, application, arguments = orjson.loads(text)
        missing.discard(context)
        if context != before[0]:
            told.append(f"\n[{_context(context, names, numbers)}]\n")
        if (context, extension) != before:
            told.append(f"extension {_extension(extension, context in names.contexts)}\n")
        before = context, extension
        name = names.applications.get(application.lower(), SHOWN)
        told.append(f"  {int(priority)} {name}({_arguments(name, arguments, names)})\n")
    told += [f"\nthere is no context {name}\n" for name in sorted(missing)]
    return "".join(told)


def _context(name: str, names: Known, numbers: dict[str, int]) -> str:
    """Its name, or a number that tells it from others."""
    if name in names.contexts:
        return name
    return f"{SHOWN} {numbers.setdefault(name, len(numbers) + 1)}"


def _extension(name: str, is_tool: bool) -> str:
    if name in _SPECIAL or _PATTERN.fullmatch(name) or (is_tool and TOOL_NAME.fullmatch(name)):
        return name
    return SHOWN


def _arguments(application: str, arguments: str, names: Known) -> str:
    if application.lower() == _APPLICATION:
        agent, comma, options = arguments.partition(",")
        return f"{_agent(agent.strip(), names)}{comma}{_options(options) if comma else ''}"
    ours = list(dict.fromkeys(_OURS.findall(arguments)))
    return " ".join([*ours, SHOWN]) if arguments else ""


def _agent(name: str, names: Known) -> str:
    if "${" in name:
        return f"${{{SHOWN}}}"
    return names.agents.get(name.lower(), SHOWN) if name else ""


def _options(options: str) -> str:
    if not _OPTIONS.fullmatch(options):
        return SHOWN
    return re.sub(r"\([^()]*\)", f"({SHOWN})", options)
