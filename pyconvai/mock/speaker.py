"""How the agent speaks: audio in bursts, the caller's playback estimated, barge-in obeyed."""

from __future__ import annotations

import asyncio
import base64
import itertools
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from . import messages
from .audio import AudioFormat
from .link import Link
from .record import Record
from .scenario import Agent, Utterance

if TYPE_CHECKING:
    from .messages import EventId

# base64 of an utterance is the same for every session: kept per (audio, chunk size). The key
# holds the bytes object alive, so its identity is a safe and cheap key.
_encoded: dict[tuple[int, int], tuple[bytes, list[tuple[str, int]]]] = {}
_ENCODED_LIMIT = 512


def chunks(audio: bytes, size: int) -> list[tuple[str, int]]:
    """(base64 text, bytes) of each chunk of ``audio``."""
    key = (id(audio), size)
    if key not in _encoded:
        if len(_encoded) >= _ENCODED_LIMIT:
            _encoded.clear()
        parts = [audio[i : i + size] for i in range(0, len(audio), size)]
        texts = [(base64.b64encode(part).decode("ascii"), len(part)) for part in parts]
        _encoded[key] = (audio, texts)
    return _encoded[key][1]


class EventIds:
    """Numbers of turns, in the style that the scenario wants."""

    def __init__(self, agent: Agent):
        self._agent = agent
        self._number = agent.first_event_id - 1
        self._reuse = False

    def styled(self, number: int) -> EventId:
        """``number`` as this agent writes event ids."""
        if self._agent.event_ids == "zero":
            return 0
        return str(number) if self._agent.event_ids == "text" else number

    def current(self, offset: int = 0) -> EventId:
        """The newest id, plus ``offset``."""
        return self.styled(self._number + offset)

    def agent_turn(self) -> EventId:
        """Id of the next answer."""
        if self._reuse and self._agent.reply_id == "equal":
            self._reuse = False
            return self.current()
        self._reuse = False
        return self._next()

    def caller_turn(self) -> EventId:
        """Id of the caller's turn: the interruption that began it has claimed one already."""
        return self.current() if self._reuse else self._next()

    def interruption(self) -> EventId:
        """Id of an interruption: a new one, or that of the interrupted turn."""
        self._reuse = True
        return self._next() if self._agent.interruption_id == "next" else self.current()

    def _next(self) -> EventId:
        self._number += 1
        return self.styled(self._number)


class Speaker:
    """Sends utterances and knows, by the clock, what of them a prompt client has played."""

    def __init__(self, agent: Agent, link: Link, record: Record):
        self._agent = agent
        self._link = link
        self._record = record
        self._barge_in: asyncio.Future[None] | None = None
        self._play_until = 0.0
        self.ids = EventIds(agent)
        self.interruptible = False

    @property
    def speaking(self) -> bool:
        """Whether the caller would talk over the agent now."""
        return self._barge_in is not None

    def barge_in(self) -> None:
        """The caller interrupts; ignored while nothing interruptible is said."""
        waiter = self._barge_in
        if waiter is not None and self.interruptible and not waiter.done():
            waiter.set_result(None)

    async def say(
        self,
        said: Utterance,
        text: str,
        audio: bytes,
        halfway: Callable[[], Awaitable[None]],
        last: bool = False,
    ) -> bool:
        """Says one utterance; True when the caller heard it to the end.

        ``halfway`` is awaited when half of the audio has been sent. ``last``: return as soon as
        everything is sent, if the agent closes right then. Raises what ``halfway`` raises.
        """
        event_id = self.ids.agent_turn()
        line = self._record.said("agent", text)
        await self._link.send(messages.agent_response(text, event_id))
        fmt = self._agent.output_format
        start = self._play_until = self._record.now()
        span = {
            "at_ms": round(start),
            "event": "agent_audio",
            "event_id": event_id,
            "audio_ms": round(fmt.ms(len(audio))),
            "text": text,
        }
        self._record.timeline.append(span)
        self.interruptible = said.interruptible and "interruption" in self._agent.client_events
        self._barge_in = asyncio.get_running_loop().create_future()
        try:
            sent = await self._stream(audio, fmt, event_id, halfway)
            if not (last and self._agent.close_after == "sent"):
                await self._wait(self._play_until)
            heard = not self._barge_in.done()
        finally:
            self._barge_in = None
        span["until_ms"] = round(self._record.now())
        if heard:
            self._record.spoke_ms += fmt.ms(len(audio))
        else:
            await self._interrupted(event_id, text, line, fmt.ms(len(audio)), sent, start)
        return heard

    async def _stream(
        self,
        audio: bytes,
        fmt: AudioFormat,
        event_id: EventId,
        halfway: Callable[[], Awaitable[None]],
    ) -> float:
        """Sends the chunks at the agent's pace until done or interrupted; milliseconds sent."""
        assert self._barge_in is not None
        parts = chunks(audio, self._agent.chunk_bytes or fmt.size(self._agent.chunk_ms))
        began = self._record.now()
        sent = 0.0
        offset = 0
        for number, (text, size) in enumerate(parts):
            if number == (len(parts) + 1) // 2:
                await halfway()
            if self._agent.pace:
                await self._wait(began + sent / self._agent.pace)
            if self._barge_in.done():
                return sent
            await self._send_chunk(text, audio[offset : offset + size], fmt, event_id)
            offset += size
            sent += fmt.ms(size)
        if len(parts) <= 1:
            await halfway()
        if self._agent.is_final:
            await self._link.send(messages.audio_final(event_id))
        await self._link.send(messages.agent_response_complete(event_id))
        return sent

    async def _send_chunk(
        self, text: str, data: bytes, fmt: AudioFormat, event_id: EventId
    ) -> None:
        if "audio" in self._agent.client_events:
            await self._link.send_text("audio", messages.audio_text(text, event_id))
        self.sent_audio(data, fmt)

    async def hold(self, audio: bytes) -> None:
        """Plays hold audio over and over, a piece at a time, at real time, until cancelled."""
        fmt, piece_ms = self._agent.output_format, self._agent.hold_chunk_ms
        size, event_id = fmt.size(piece_ms), self.ids.styled(self._agent.first_event_id)
        began = self._record.now()
        for number in itertools.count():
            start = number * size % len(audio)
            piece = (audio[start:] + audio * (size // len(audio) + 1))[:size]
            text = base64.b64encode(piece).decode("ascii")
            await self._send_chunk(text, piece, fmt, event_id)
            due = began + (number + 1) * piece_ms
            await asyncio.sleep(max(0.0, due - self._record.now()) / 1000)

    def end_hold(self) -> None:
        """The caller is through: what was to be heard later of the hold audio is not."""
        self._record.cut_agent()
        self._play_until = self._record.now()

    def sent_audio(self, data: bytes, fmt: AudioFormat) -> None:
        """Accounts audio that has been sent, also by faults."""
        self._play_until = max(self._play_until, self._record.now())
        if self._record.keep_audio:
            self._record.agent_audio.append((self._play_until, data))
        self._play_until += fmt.ms(len(data))
        self._record.sent_ms += fmt.ms(len(data))

    async def _wait(self, until_ms: float) -> None:
        """Waits for a point of the session's clock, or for the caller to barge in."""
        remaining = (until_ms - self._record.now()) / 1000
        if remaining > 0 and self._barge_in is not None and not self._barge_in.done():
            await asyncio.wait([self._barge_in], timeout=remaining)

    async def _interrupted(
        self,
        event_id: EventId,
        text: str,
        line: dict[str, object],
        whole_ms: float,
        sent_ms: float,
        start_ms: float,
    ) -> None:
        """Tells the client, and corrects the transcript to what can have been heard."""
        heard_ms = min(sent_ms, self._record.now() - start_ms)
        self._record.spoke_ms += heard_ms
        self._record.interruptions += 1
        self._record.cut_agent()
        self._play_until = self._record.now()
        words = text.split()
        kept = words[: int(len(words) * heard_ms / whole_ms)] if whole_ms else []
        heard = " ".join(kept)
        line["text"] = f"{heard}…"
        line["interrupted"] = True
        new_id = self.ids.interruption()
        await self._link.send(messages.interruption(new_id))
        self._record.event(
            "interruption",
            event_id=new_id,
            interrupted=event_id,
            heard_ms=round(heard_ms),
            unplayed_ms=round(sent_ms - heard_ms),
        )
        await self._link.send(messages.agent_response_correction(text, heard, event_id))
