"""Which of the agent's responses has been played out, and how much of each was heard. Loop thread.

Positions are milliseconds of agent audio since the call began, as the playout queue counts them:
what was ever queued, less what still waits, has been played. Audio of a response that is under way
does not come through Python, so a tick looks when the queue should be empty.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from .. import limits
from ..core._core import SessionHandle
from ..ticks import Looks
from .account import Account
from .effects import Said, Speaker
from .events import Events


@dataclass(slots=True)
class _Response:
    event_id: int
    begin_ms: int


class Spoken:
    """Follows the responses of one conversation that are in the playout queue."""

    def __init__(
        self,
        handle: SessionHandle,
        events: Events,
        account: Account,
        looks: Looks,
        ask: Callable[[], None] = lambda: None,
    ) -> None:
        """``ask``: have the next audio come by ``audio``, also if it is of the last response."""
        self._handle, self._events, self._account, self._ask = handle, events, account, ask
        self._looks = looks
        self._playing: deque[_Response] = deque()
        self._texts: dict[int, str] = {}
        """What each response says, until it was heard."""
        self._heard: dict[int, tuple[int, int]] = {}
        """(ms heard, ms in all) of those whose words have not come yet."""
        self._queued_ms = 0
        self._released = asyncio.Event()

    def audio(self, event_id: int, new_response: bool, at_ms: int) -> None:
        """Audio of a response is about to be queued, behind ``at_ms`` of others."""
        if new_response:
            self._handle.count_turn()
        if not new_response and self._playing:
            return
        self._playing.append(_Response(event_id, at_ms))
        self._looks.later(self._look, limits.SETTLE_SECONDS)

    def said(self, said: Said) -> None:
        """The words of a response, which may come before, with or behind its audio."""
        if not self._events.with_words or said.speaker is not Speaker.AGENT:
            return
        event_id, text = said.event_id, said.text
        if (heard := self._heard.pop(event_id, None)) is not None:
            self._events.heard(event_id, text, *heard)
            return
        self._texts[event_id] = text
        if len(self._texts) > limits.RESPONSES_REMEMBERED:
            del self._texts[next(iter(self._texts))]

    def cut(self, queued_ms: int, waiting_ms: int, *, interruption: bool) -> None:
        """What waits is thrown away: the caller has interrupted, or is not to hear the agent."""
        played_ms = queued_ms - waiting_ms
        self._tell_played(played_ms)
        cut: list[tuple[int, int, int]] = []
        for place, each in enumerate(self._playing):
            length_ms = self._end_of(place, queued_ms) - each.begin_ms
            cut.append((each.event_id, max(0, played_ms - each.begin_ms), length_ms))
        if interruption:
            self._account.interrupted(*(cut[0][1:] if cut else (0, 0)))
        if interruption and cut:
            first = self._playing[0].begin_ms
            latency_ms = self._handle.answered_ms(first, first + cut[0][2])
            self._events.interruption(*cut[0], latency_ms)
        elif interruption:
            self._events.interruption(None, 0, 0)
        for response in cut:
            self._over(*response)
        self._playing.clear()
        self._stop()

    async def last_words(self) -> None:
        """The conversation is over, and its audio is still being played: until all was heard.

        ``release`` ends that: the channel does not play it any more.
        """
        self._stop()
        while self._playing and not self._released.is_set():
            queued_ms, waiting_ms = self._handle.playout()
            self._tell_played(queued_ms - waiting_ms)
            if not waiting_ms:
                self._finish(queued_ms)
            try:
                async with asyncio.timeout(waiting_ms / 1000):
                    await self._released.wait()
            except TimeoutError:
                pass

    def release(self) -> None:
        """Nobody listens any more."""
        self._stop()
        self._released.set()

    # ---- On a tick ----

    def _stop(self) -> None:
        self._looks.cancel(self._look)

    def _look(self) -> None:
        queued_ms, waiting_ms = self._handle.playout()
        self._tell_played(queued_ms - waiting_ms)
        if not waiting_ms and queued_ms == self._queued_ms:
            self._finish(queued_ms)
            self._ask()
        self._queued_ms = queued_ms
        if self._playing:
            self._looks.later(self._look, waiting_ms / 1000 + limits.SETTLE_SECONDS)

    # ---- What is over ----

    def _end_of(self, place: int, queued_ms: int) -> int:
        """Where a response ends: where the next one begins, if there is one."""
        follows = place + 1 < len(self._playing)
        return self._playing[place + 1].begin_ms if follows else queued_ms

    def _tell_played(self, played_ms: int) -> None:
        """Tell of those that another one follows."""
        while len(self._playing) > 1 and self._playing[1].begin_ms <= played_ms:
            self._is_spoken(self._playing[1].begin_ms)

    def _finish(self, queued_ms: int) -> None:
        while self._playing:
            self._is_spoken(self._end_of(0, queued_ms))

    def _is_spoken(self, end_ms: int) -> None:
        response = self._playing.popleft()
        length_ms = end_ms - response.begin_ms
        latency_ms = self._handle.answered_ms(response.begin_ms, end_ms)
        self._events.spoken(response.event_id, length_ms, latency_ms)
        self._over(response.event_id, length_ms, length_ms)

    def _over(self, event_id: int, heard_ms: int, length_ms: int) -> None:
        self._account.heard(event_id, heard_ms, length_ms, self._handle.heard(event_id))
        if not self._events.with_words:
            return
        text = self._texts.pop(event_id, None)
        if text is not None:
            self._events.heard(event_id, text, heard_ms, length_ms)
        else:
            self._heard[event_id] = heard_ms, length_ms
            if len(self._heard) > limits.RESPONSES_REMEMBERED:
                del self._heard[next(iter(self._heard))]
