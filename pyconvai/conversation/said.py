"""The words of a conversation, for the dialplan to read: transcript, summary, and what was heard.

Loop thread only. The core keeps them where any thread may read them without Python
(``core/said.h``), and knows what has been played. All that goes there has passed the door.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from .. import limits, words
from ..core import _core
from ..core._core import SessionHandle
from .effects import Said, Speaker

_BETWEEN = " / "
"""Two turns. No turn has it in it; ``core/said.c`` looks for it."""


@dataclass(slots=True)
class _Turn:
    who: Speaker
    event_id: int
    text: str
    """Data, with who says it."""


class Words:
    """What is told of one conversation."""

    def __init__(self, handle: SessionHandle, *, tells: bool) -> None:
        """``tells``: there is to be a transcript, and a summary (the key ``transcripts``)."""
        self._handle, self._tells = handle, tells
        self._turns: deque[_Turn] = deque()
        self._ahead: dict[int, str] = {}
        """Texts of the agent's turns whose audio has not come, by their ids; 0: without one."""
        self._playing: int | None = None
        """Id of the turn whose audio was queued last."""
        self._cut: int | None = None
        """The same of the one that was cut short last, until another one begins."""

    # ---- What is heard ----

    def begin(self, event_id: int) -> None:
        """The next audio is of this turn of the agent's."""
        self._handle.begin_response(event_id)
        self._playing, self._cut = event_id, None
        text = self._ahead.pop(event_id, "") or self._ahead.pop(0, "")
        if text:
            self._heard(text)

    def cut(self) -> None:
        """What is queued is thrown away; the core knows how much that is."""
        if self._playing is not None:
            self._cut = self._playing
        self._playing = None

    def _heard(self, text: str) -> None:
        self._handle.tell_response(words.data(text, limits.TURN_BYTES), len(text))

    # ---- Turns ----

    def said(self, said: Said) -> None:
        """Somebody says this. What the service has not made up its mind about is left out."""
        if said.speaker is Speaker.AGENT:
            self._agent(said)
        elif said.final:
            self._add(said)

    def _agent(self, said: Said) -> None:
        if self._playing is not None and said.event_id in (self._playing, 0):
            self._heard(said.text)
        else:
            self._ahead[said.event_id] = said.text
            if len(self._ahead) > limits.RESPONSES_REMEMBERED:
                del self._ahead[next(iter(self._ahead))]
        last = self._last(said.event_id) if said.again else None
        if last is None:
            self._add(said)
        else:
            self._replace(last, said.text)

    def corrected(self, text: str, event_id: int) -> None:
        """Of that turn the agent has said no more than this: the service's guess.

        It counts when it sends, which is before the caller hears; so that is the most there was.
        """
        if self._cut is not None and event_id in (self._cut, 0):
            self._handle.correct_response(len(text))
        last = self._last(event_id)
        if last is not None:
            self._replace(last, text)

    def _last(self, event_id: int) -> _Turn | None:
        """The agent's last turn, of this id if that is one."""
        for turn in reversed(self._turns):
            if turn.who is Speaker.AGENT and event_id in (turn.event_id, 0):
                return turn
        return None

    # ---- The transcript ----

    def _add(self, said: Said) -> None:
        if self._tells and said.text:
            text = _turn(said.speaker, said.text)
            self._turns.append(_Turn(said.speaker, said.event_id, text))
            self._tell()

    def _replace(self, turn: _Turn, text: str) -> None:
        if text:
            turn.text = _turn(turn.who, text)
        else:
            self._turns.remove(turn)
        self._tell()

    def _tell(self) -> None:
        length = sum(len(turn.text.encode()) + len(_BETWEEN) for turn in self._turns)
        while length > limits.TRANSCRIPT_BYTES:
            length -= len(self._turns.popleft().text.encode()) + len(_BETWEEN)
        text = _BETWEEN.join(turn.text for turn in self._turns)
        self._handle.tell_words(_core.TRANSCRIPT, text)

    # ---- Tools ----

    def tool(self, parameters: dict[str, Any]) -> None:
        """The agent has called a tool: what it sums up of the conversation, if it does."""
        summary = parameters.get("summary")
        if self._tells and isinstance(summary, str):
            text = words.data(summary, limits.SUMMARY_BYTES)
            self._handle.tell_words(_core.SUMMARY, text)


def _turn(who: Speaker, text: str) -> str:
    line = f"{who}: {words.data(text, limits.TURN_BYTES)}"
    while _BETWEEN in line:
        line = line.replace(_BETWEEN, " ")
    return line
