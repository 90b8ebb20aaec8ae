"""Tools that the caller's channel carries out: steps. Loop thread only.

Most are the dialplan's: the channel thread asks Asterisk whether there is such an extension, and
runs it (``call/step.c``). Others are ours (``channel_tools.py``). The channel is offered one step
at a time and waited for by nobody: it says when the step begins and when it is over, and each time
``look`` is called. Each call is answered once.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import orjson

from .. import limits, words
from ..core._core import SessionHandle
from ..log import ChannelLog
from . import channel_tools
from .channel_tools import ChannelTool, Kind, Refused
from .effects import CallTool

TOOL_NAME = re.compile(
    rf"(?![aehiostT]\Z)[A-Za-z][A-Za-z0-9_-]{{0,{limits.TOOL_NAME_CHARACTERS - 1}}}", re.A
)
"""Of an extension that may be a tool: none of Asterisk's own (h, s, t), and no telephone number."""

ARGUMENT_NAME = re.compile(rf"[A-Za-z0-9_]{{1,{limits.TOOL_NAME_CHARACTERS}}}", re.A)


class Outcome(IntEnum):
    """``enum convai_step_outcome``."""

    UNKNOWN = 0
    DONE = 1
    FAILED = 2
    REFUSED = 3


@dataclass(frozen=True, slots=True)
class _Asked:
    """A call of a tool that is to become a step. ``at``: when it was asked for, by the loop."""

    call: CallTool
    kind: Kind
    arguments: list[tuple[str, str]]
    at: float


def arguments(parameters: dict[str, Any]) -> list[tuple[str, str]]:
    """What becomes channel variables: (name, value). null counts as absent."""
    given = {name: value for name, value in parameters.items() if value is not None}
    if len(given) > limits.STEP_ARGUMENTS:
        raise Refused(f"There are too many parameters: {limits.STEP_ARGUMENTS} are the most.")
    for name in given:
        if not ARGUMENT_NAME.fullmatch(name):
            raise Refused(
                "The name of a parameter has other characters than A to Z, a to z, 0 to 9 and _;"
                " the phone system cannot take it."
            )
    try:
        return [(name, _value(value)) for name, value in given.items()]
    except TypeError as error:
        raise Refused("A parameter has too many lists or objects in each other.") from error


def _value(value: Any) -> str:
    """TypeError: it is nested deeper than is written."""
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return words.data(text, limits.STEP_ARGUMENT_BYTES)


class Steps:
    """Those of one conversation."""

    def __init__(
        self,
        handle: SessionHandle,
        log: ChannelLog,
        most: int,
        *,
        tell: Callable[[CallTool, str, bool], None],
        unknown: Callable[[CallTool], None],
        refused: Callable[[CallTool, str], None],
        changed: Callable[[], None],
        late: Callable[[str], None],
    ) -> None:
        """``most``: in one call. The others are called back, always from the loop.

        ``tell``: answer a call (the text, whether it is an error); ``unknown``: answer one that is
        no step; ``refused``: answer one that is not allowed, for this reason; ``changed``:
        ``running`` has; ``late``: tell the agent by other means, for it has not waited.
        """
        self._handle, self._log, self._most = handle, log, most
        self._tell, self._unknown, self._refused = tell, unknown, refused
        self._changed, self._late = changed, late
        self._waiting: deque[_Asked] = deque()
        self._offered: _Asked | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._begun = 0
        self._under_way = False
        """What was offered is being done."""

    @property
    def running(self) -> bool:
        """The dialplan has the channel."""
        offered = self._offered
        return self._under_way and offered is not None and offered.kind is Kind.DIALPLAN

    @property
    def name(self) -> str:
        """Of the tool that has the channel; empty: none has."""
        return self._offered.call.name if self.running and self._offered else ""

    def ask(self, call: CallTool, tool: ChannelTool | None = None) -> None:
        """Have it done when its turn comes, or answer at once why not.

        ``tool``: one of ours; None: the dialplan's.
        """
        now = asyncio.get_running_loop().time()
        try:
            if tool is None:
                asked = _Asked(call, Kind.DIALPLAN, arguments(call.parameters), now)
            else:
                given = channel_tools.arguments(tool, call.parameters)
                asked = _Asked(call, tool.kind, given, now)
        except Refused as refused:
            self._tell(call, str(refused), True)
            return
        if len(self._waiting) >= limits.TOOLS_AT_ONCE:
            text = f"Too many tools at once: {limits.TOOLS_AT_ONCE} wait already."
            self._tell(call, f"{text} Try again later.", True)
            return
        self._waiting.append(asked)
        self._next()

    @property
    def used_up(self) -> bool:
        """Whether the call may have no more of them."""
        return self._begun >= self._most

    def used_up_words(self, call: CallTool) -> str:
        """Of a tool that would be one more; a sentence for the agent."""
        return f"{call.name} is refused: this call has had {self._begun} steps, which is the most."

    def look(self) -> None:
        """See what the channel has said."""
        if self._offered is not None and not self._under_way and self._handle.step_begun:
            self._begun += 1
            self._under_way = True
            self._watch(False)
            self._log.debug(f"step {self._offered.call.name} begins")
            self._changed()
        outcome = self._handle.collect_step()
        if outcome is not None:
            self._over(Outcome(outcome[0]), outcome[1])

    def close(self) -> None:
        """The conversation is over: answer what is open, and have nothing begin any more."""
        self._watch(False)
        offered, self._offered = self._offered, None
        if offered is not None and (outcome := self._handle.collect_step()) is not None:
            self._tell(offered.call, outcome[1], outcome[0] != Outcome.DONE)
        elif offered is not None:
            begins = self._under_way or not self._handle.withdraw_step()
            self._tell(offered.call, "The conversation is over.", not begins)
        self._under_way = False
        while self._waiting:
            self._tell(self._waiting.popleft().call, "The conversation is over.", True)

    def _next(self) -> None:
        """Offer the channel what is next, unless it has something."""
        while self._waiting and self._offered is None and self._handle.step_free:
            asked = self._waiting.popleft()
            if self.used_up and asked.kind is Kind.DIALPLAN:
                self._unknown(asked.call)
            elif self.used_up:
                self._tell(asked.call, self.used_up_words(asked.call), True)
            elif self._handle.offer_step(asked.kind, asked.call.name, asked.arguments):
                self._offered = asked
            else:  # there is no memory for it
                self._tell(asked.call, f"{asked.call.name} could not be begun.", True)
        self._watch((self._offered is not None and not self._under_way) or bool(self._waiting))

    def _watch(self, on: bool) -> None:
        """Whether to give up what does not begin in time."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if on and not self._under_way:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(limits.STEP_BEGIN_SECONDS, self._give_up)

    def _give_up(self) -> None:
        """The channel has not begun what it was offered, or does not let go of what was before."""
        self._timer = None
        if self._offered is not None and not self._handle.withdraw_step():
            return  # it begins just now: `look` follows
        asked = self._offered or self._waiting.popleft()
        self._offered = None
        said = f"step {asked.call.name}: the channel does not begin it"
        self._log.warning(said, "steps that were given up")
        self._tell(asked.call, f"{asked.call.name} could not be begun and was given up.", True)
        self._next()

    def _over(self, outcome: Outcome, text: str) -> None:
        was_running = self.running
        asked, self._offered, self._under_way = self._offered, None, False
        if was_running:
            self._changed()
        if asked is not None and outcome is Outcome.UNKNOWN:
            self._unknown(asked.call)
        elif asked is not None and outcome is Outcome.REFUSED:
            self._refused(asked.call, text)
        elif asked is not None:
            self._tell(asked.call, text, outcome is Outcome.FAILED)
            seconds = asyncio.get_running_loop().time() - asked.at
            if seconds > limits.RESULT_SECONDS:
                self._late(f"{asked.call.name} has ended after {seconds:.0f} s: {text}")
        self._next()
