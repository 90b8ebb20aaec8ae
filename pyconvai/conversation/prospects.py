"""What is known of an agent's next call, for those who choose whom to call. Loop thread only.

A queue of Asterisk's, and a lamp, are to know when an agent cannot be had. Nobody looks by himself:
what a call has met is told to the module, which believes it for so long (``call/agent_state.c``).
"""

from __future__ import annotations

from .. import limits
from ..core import _core
from ..service.backoff import BackOff
from ..service.endings import Ending, Status
from ..service.settings import Settings

_AWAY = frozenset({Status.UNREACHABLE, Status.TIMEOUT})
"""Ends before a conversation that the next call would meet as well."""


def reached(agent: str) -> None:
    """A call has come to a conversation."""
    _core.away(agent, 0)


def failed(agent: str, settings: Settings, back_off: BackOff, ending: Ending) -> None:
    """A call has not: ``ending`` says why.

    One of several hosts that may be asked is enough for the next call.
    """
    seconds = min(back_off.left(host) for host in settings.hosts)
    if not seconds and ending.status in _AWAY:
        seconds = limits.DEAD_SECONDS
    if seconds:
        _core.away(agent, round(seconds * 1000))
