"""One conversation on one WebSocket: reads the client, plays the agent's script, keeps the clock.

Three tasks a session, all on the server's loop: ``_read`` (messages of the client), ``_script``
(what the agent does, in order) and ``_watch`` (pings and time limits). The first to finish ends
the others; whoever closes the socket does so through the link, which records it.
"""

from __future__ import annotations

import asyncio
import binascii
import contextlib
import itertools
import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from websockets.exceptions import ConnectionClosed

from . import messages
from .faults import Fault
from .link import DirectConnection, Link, Over
from .misbehave import act
from .record import Record
from .scenario import Agent, ToolCall, Turn, Utterance
from .speaker import Speaker
from .turns import BargeIn, SpeechEnded, SpeechStarted, TurnTaker
from .voice import Voice

_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")

# Scores of a voice activity detection that is sure.
_SPEECH_SCORE, _SILENCE_SCORE = 0.95, 0.05

# How often the time limits are looked at when no ping is due.
_WATCH_S = 1.0

# After the script has closed the socket, the client's close frame must come in this time.
_CLOSE_LIMIT_S = 5.0


@dataclass(frozen=True)
class Typed:
    """A ``user_message``: a turn that was typed."""

    text: str


def _name_of(message: dict[str, Any]) -> str:
    if "user_audio_chunk" in message:
        return "user_audio_chunk"
    kind = message.get("type")
    return kind if isinstance(kind, str) else "(no type)"


class House(Protocol):
    """What a session needs from the server it lives in."""

    voice: Voice

    async def admit(self, agent: Agent, limit_ms: float) -> bool:
        """Waits for a free place of the agent; False when there is none in time."""

    def befalls(self, fault: Fault) -> bool:
        """Whether a fault limited by ``times`` is still to be acted out; counts it."""


class Session:
    """One conversation. ``run`` returns when the socket is closed, whoever closed it."""

    def __init__(
        self,
        connection: DirectConnection,
        agent: Agent,
        record: Record,
        house: House,
        refusal: tuple[int, str] | None = None,
        conversation_id: str | None = None,
    ):
        self.connection = connection
        self.agent = agent
        self.record = record
        self.voice = house.voice
        self.link = Link(connection, agent, record)
        self.speaker = Speaker(agent, self.link, record)
        self.reading = asyncio.Event()
        self.reading.set()
        self.metadata_wanted = True
        self.admitted = False
        self._queued_at: float | None = None  # since then the caller is queued
        self._talking_at = 0.0
        self.last_tool_call: dict[str, Any] | None = None
        self._house = house
        self._refusal = refusal
        self._taker = TurnTaker(agent.input_format, agent.turn_settings)
        self._inbox: asyncio.Queue[SpeechStarted | SpeechEnded | Typed] = asyncio.Queue()
        self._init: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._results: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._variables: dict[str, Any] = {}
        self._first_message = agent.first_message
        self._max_duration_ms = agent.max_duration_s * 1000
        self._reply = 0  # number of the answer that is being given; 0: the greeting
        self._input_at = 0.0
        self._refusing: asyncio.Task[None] | None = None
        self._pinging = False
        self._next_ping = agent.first_ping_id
        self._ping_ms: int | None = None
        record.conversation_id = conversation_id or f"conv_{secrets.token_hex(14)}"
        record.subprotocol = connection.subprotocol
        record.output_format = agent.output_format.name
        record.input_format = agent.input_format.name

    async def run(self) -> None:
        """The whole conversation."""
        self.record.event("open", subprotocol=self.record.subprotocol)
        reader = asyncio.create_task(self._read())
        others = [asyncio.create_task(self._script()), asyncio.create_task(self._watch())]
        try:
            await asyncio.wait([reader, *others], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in others:
                task.cancel()
            outcomes = await asyncio.gather(*others, return_exceptions=True)
            self.reading.set()
            if not reader.done():
                await asyncio.wait([reader], timeout=_CLOSE_LIMIT_S)
            reader.cancel()
            outcomes += await asyncio.gather(reader, return_exceptions=True)
            self._finish()
        for outcome in outcomes:
            if isinstance(outcome, Exception) and not isinstance(outcome, Over | ConnectionClosed):
                raise outcome

    # --- the client's messages ---------------------------------------------------------------

    async def _read(self) -> None:
        try:
            async for message in self.connection:
                if not self.reading.is_set():
                    await self.reading.wait()
                self._received(message)
                # What has queued up until now is read without a pause, so nothing can overtake it.
                if self.reading.is_set():
                    self.connection.deliver = self._received
        except ConnectionClosed:
            pass  # the codes are read from the connection when the session is finished

    def stop_reading(self) -> None:
        """From now on messages pile up: first here, then in the client."""
        self.connection.deliver = None
        self.reading.clear()

    def _received(self, message: str | bytes) -> None:
        self._input_at = self.record.now()
        if isinstance(message, bytes):
            self.record.received["(binary)"] += 1
            self.record.violation("binary_frame", f"a binary frame of {len(message)} bytes")
            return
        try:
            data = json.loads(message)
            if not isinstance(data, dict):
                raise ValueError("not an object")
        except ValueError as exc:
            self.record.received["(not JSON)"] += 1
            self.record.violation("json", f"{exc}: {message[:80]!r}")
            self._refusing = asyncio.create_task(self._refuse_message())
            return
        if self._queued_at is not None and data.get("type") != "pong":
            self.record.discarded[_name_of(data)] += 1
        if "user_audio_chunk" in data:
            self._audio(data["user_audio_chunk"])
        else:
            self._message(data)

    async def _refuse_message(self) -> None:
        with contextlib.suppress(Over):
            await self.link.close(1008, "Invalid message received")

    def _audio(self, text: Any) -> None:
        record = self.record
        record.received["user_audio_chunk"] += 1
        record.checks.message("user_audio_chunk", record.now())
        try:
            data = binascii.a2b_base64(text, strict_mode=True)
        except (binascii.Error, TypeError, ValueError) as exc:
            record.violation("base64", f"user_audio_chunk: {exc}")
            return
        if self._queued_at is not None:
            return  # nobody listens
        record.caller_chunk(data, self.agent.input_format)
        for event in self._taker.feed(data, self.speaker.speaking):
            if isinstance(event, BargeIn):
                self.speaker.barge_in()
                continue
            name = "speech_started" if isinstance(event, SpeechStarted) else "speech_ended"
            record.event(name, **vars(event))
            self._inbox.put_nowait(event)

    def _message(self, data: dict[str, Any]) -> None:
        record = self.record
        kind = data.get("type")
        name = _name_of(data)
        record.received[name] += 1
        record.checks.message(name, record.now())
        if self._queued_at is not None and name != "pong":
            return
        handler = getattr(self, f"_on_{name}", None)
        if handler is not None:
            handler(data)
        elif name not in ("user_activity", "enclave_setup_config"):
            record.violation("unknown_type", f"message of type {kind!r}")

    def _on_conversation_initiation_client_data(self, data: dict[str, Any]) -> None:
        if not self._init.done():
            self.record.init = data
            self.record.event("init")
            self._init.set_result(data)

    def _on_pong(self, data: dict[str, Any]) -> None:
        latency = self.record.checks.pong(data.get("event_id"), self.record.now())
        if latency is not None:
            self._ping_ms = round(latency)

    def _on_client_tool_result(self, data: dict[str, Any]) -> None:
        self.record.checks.tool_result(data, self.record.now())
        result = {key: data.get(key) for key in ("tool_call_id", "result", "is_error")}
        self.record.tool_results.append(result)
        self.record.event("tool_result", **result)
        waiter = self._results.get(str(data.get("tool_call_id")))
        if waiter is not None and not waiter.done():
            waiter.set_result(data)

    def _on_user_message(self, data: dict[str, Any]) -> None:
        self._on_text(data)
        self.speaker.barge_in()
        self._inbox.put_nowait(Typed(str(data.get("text") or "")))

    def _on_text(self, data: dict[str, Any]) -> None:
        self.record.texts.append({"at_ms": round(self.record.now()), **data})
        self.record.event("text", type=data.get("type"), text=data.get("text"))

    _on_contextual_update = _on_feedback = _on_multimodal_message = _on_text
    _on_mcp_tool_approval_result = _on_text

    # --- the agent's script ------------------------------------------------------------------

    async def _script(self) -> None:
        await self._stage("open")
        if self._refusal is not None:
            await self.link.close(*self._refusal)
        await self._configure(await self._init)
        await self._stage("init")
        await self._admission()
        if self.metadata_wanted:
            await self.send_metadata()
        self.record.checks.metadata(self.record.now())
        self._pinging = True
        if not self.admitted:
            await self._queue()
        self._talking_at = self.record.now()
        await self._stage("metadata")
        if self._first_message is not None:
            await self._say(self._first_message, "greeting")
        for turn in self._turns():
            await self._take_turn(turn)
        await self._end()

    async def _configure(self, init: dict[str, Any]) -> None:
        """Overrides and dynamic variables; refuses what the agent does not allow."""
        override = init.get("conversation_config_override") or {}
        allowed = self.agent.overrides
        for section, fields in override.items():
            for name in fields if isinstance(fields, dict) else ():
                if allowed is not None and f"{section}.{name}" not in allowed:
                    text = f"Override for field '{name}' is not allowed by config"
                    await self.link.close(1008, text)
        first = (override.get("agent") or {}).get("first_message")
        if isinstance(first, str):
            self._first_message = Utterance(first) if first else None
        seconds = (override.get("conversation") or {}).get("max_duration_seconds")
        if isinstance(seconds, int):
            self._max_duration_ms = seconds * 1000
        await self._require_variables(init.get("dynamic_variables") or {})

    async def _require_variables(self, variables: dict[str, Any]) -> None:
        self._variables = {
            "system__conversation_id": self.record.conversation_id,
            "system__agent_id": self.record.agent_id,
            **variables,
        }
        greeting = self._first_message.text if self._first_message else ""
        needed = {*self.agent.required_variables, *_VARIABLE.findall(greeting)}
        missing = sorted(needed - set(self._variables))
        if missing:
            names = ", ".join(repr(name) for name in missing)
            text = f"Missing required dynamic variables in first message: {{{names}}}"
            await self.link.close(1008, text)

    async def _admission(self) -> None:
        """A place, or a refusal; a caller who may wait is told so after the metadata."""
        if self.agent.admit_after_ms < 0:
            self.admitted = await self._house.admit(self.agent, 0)
        if not self.admitted and not self.agent.queues:
            await self.link.close(3008, "too many concurrent connections")

    async def _queue(self) -> None:
        """Let the caller wait with hold audio; what the client says meanwhile is discarded."""
        record = self.record
        begun = self._queued_at = record.now()
        await self.link.send(messages.queue_status("waiting"), forced=True)
        record.event("queue", status="waiting")
        hold = asyncio.create_task(self._hold())
        try:
            await self._stage("queue")
            self.admitted = await self._wait_for_place(begun)
        finally:
            hold.cancel()
            record.queue_wait_ms = record.now() - begun
            self.speaker.end_hold()
        status = "admitted" if self.admitted else "timed_out"
        self._queued_at = None
        record.checks.metadata(record.now())
        await self.link.send(messages.queue_status(status), forced=True)
        record.event("queue", status=status)
        if not self.admitted:
            await self.link.close(4300, "No agent was available in time")

    async def _wait_for_place(self, begun: float) -> bool:
        until = begun + self.agent.patience_ms
        free_at = begun + max(0, self.agent.admit_after_ms)
        await asyncio.sleep(max(0.0, min(until, free_at) - self.record.now()) / 1000)
        if free_at > until:
            return False
        return await self._house.admit(self.agent, until - self.record.now())

    async def _hold(self) -> None:
        said = self.agent.hold_audio
        if said is not None:
            voice, fmt = self.agent.voice, self.agent.output_format
            await self.speaker.hold(
                await self.voice.render_async(said.text, said.sound, voice, fmt)
            )

    async def send_metadata(self) -> None:
        """Announces the conversation and its formats."""
        record = self.record
        await self.link.send(
            messages.metadata(record.conversation_id, record.output_format, record.input_format)
        )
        record.event("metadata_sent")

    def _turns(self) -> Iterator[Turn]:
        """The script, and what follows it according to ``when_done``."""
        turns = self.agent.turns
        if self.agent.when_done == "repeat" and turns:
            return itertools.cycle(turns)
        if self.agent.when_done == "end":
            return iter(turns)
        return itertools.chain(turns, itertools.repeat(Turn()))

    async def _take_turn(self, turn: Turn) -> None:
        heard = await self._caller(turn)
        if heard is not None:
            await self._transcribe(turn, heard)
        self._reply += 1
        stage = "farewell" if turn.end else "turn"
        if turn.say is not None:
            closing = turn.end and turn.tool is None and turn.say_after_tool is None
            await self._say(turn.say, stage, closing)
        if turn.tool is not None:
            await self._call_tool(turn.tool)
        if turn.say_after_tool is not None:
            await self._say(turn.say_after_tool, stage, turn.end)
        if turn.end:
            await self._end()

    async def _caller(self, turn: Turn) -> SpeechEnded | Typed | None:
        """Waits for the caller's turn; None when ``wait_ms`` ran out and nobody was speaking."""
        timeout = None if turn.wait_ms is None else turn.wait_ms / 1000
        while True:
            try:
                event = await asyncio.wait_for(self._inbox.get(), timeout)
            except TimeoutError:
                if not self._taker.speaking:
                    return None
                timeout = None
                continue
            if isinstance(event, SpeechStarted | SpeechEnded):
                begins = isinstance(event, SpeechStarted)
                score = _SPEECH_SCORE if begins else _SILENCE_SCORE
                await self.link.send(messages.vad_score(score))
            if not isinstance(event, SpeechStarted):
                return event
            await self._stage("caller")

    async def _transcribe(self, turn: Turn, heard: SpeechEnded | Typed) -> None:
        if isinstance(heard, Typed):
            text = heard.text
        else:
            text = turn.caller or f"(speech, {(heard.end_ms - heard.start_ms) / 1000:.1f} s)"
        event_id = self.speaker.ids.caller_turn()
        line = self.record.said("caller", text)
        if isinstance(heard, SpeechEnded):
            line["start_ms"], line["end_ms"] = heard.start_ms, heard.end_ms
        await self.link.send(messages.user_transcript(text, event_id, tentative=True))
        await self.link.send(messages.user_transcript(text, event_id))

    async def _say(self, said: Utterance, stage: str, last: bool = False) -> None:
        text = _VARIABLE.sub(lambda match: str(self._variables.get(match[1], "")), said.text)
        voice, fmt = self.agent.voice, self.agent.output_format
        audio = await self.voice.render_async(text, said.sound, voice, fmt)
        if said.delay_ms:
            await asyncio.sleep(said.delay_ms / 1000)

        async def halfway() -> None:
            await self._stage(stage)

        if await self.speaker.say(said, text, audio, halfway, last):
            self._drop_backchannel()
        else:
            await self._stage("interruption")

    def _drop_backchannel(self) -> None:
        """Speech that began and ended while the agent spoke, and did not interrupt, is no turn."""
        while not self._inbox.empty():
            event = self._inbox.get_nowait()
            if isinstance(event, Typed):
                self._inbox.put_nowait(event)
                return
            self.record.event("ignored_speech", **vars(event))

    async def _call_tool(self, tool: ToolCall) -> None:
        call_id = f"call_{secrets.token_hex(6)}"
        event_id = self.speaker.ids.current()
        request = messages.agent_tool_request(tool.name, call_id, "client", event_id)
        message = messages.client_tool_call(
            tool.name, call_id, tool.parameters, event_id, tool.expects_response
        )
        waiter = self._results[call_id] = asyncio.get_running_loop().create_future()
        self.last_tool_call = message
        self.record.checks.tool_call(call_id)
        self.record.event("tool_call", tool_name=tool.name, tool_call_id=call_id)
        await self.link.send(request)
        await self.link.send(message)
        await self._stage("tool")
        if tool.expects_response is False:
            return
        try:
            result = await asyncio.wait_for(waiter, tool.timeout_ms / 1000)
        except TimeoutError:
            self.record.checks.tool_overdue(call_id, self.record.now(), tool.timeout_ms)
            return
        self._variables["tool_result"] = str(result.get("result"))
        is_error = bool(result.get("is_error"))
        await self.link.send(
            messages.agent_tool_response(tool.name, call_id, "client", is_error, event_id)
        )

    async def _end(self) -> None:
        name, call_id = "end_call", f"end_call_{secrets.token_hex(6)}"
        event_id = self.speaker.ids.current()
        await self.link.send(messages.agent_tool_request(name, call_id, "system", event_id))
        await self.link.send(messages.agent_tool_response(name, call_id, "system", False, event_id))
        await self._stage("end")
        await self.link.close(1000, "")

    async def _stage(self, stage: str) -> None:
        for fault in self.agent.faults:
            due = fault.stage == stage and fault.turn in (0, self._reply)
            if due and self._house.befalls(fault):
                await act(self, fault)

    # --- the clock ---------------------------------------------------------------------------

    def stop_pings(self) -> None:
        """From now on the session is silent: no pings."""
        self._pinging = False

    async def send_ping(self, event_id: messages.EventId) -> None:
        """One JSON ping, whose pong the checks will expect."""
        self.record.checks.ping(event_id, self.record.now())
        await self.link.send(messages.ping(event_id, self._ping_ms))

    async def _watch(self) -> None:
        interval = self.agent.ping_interval_ms / 1000
        while True:
            await asyncio.sleep(interval or _WATCH_S)
            now = self.record.now()
            if interval and self._pinging:
                number, self._next_ping = self._next_ping, self._next_ping + 1
                await self.send_ping(str(number) if self.agent.event_ids == "text" else number)
            if now - self._input_at > self.agent.input_timeout_s * 1000:
                seconds = f"{self.agent.input_timeout_s:g}"
                await self.link.close(1002, f"No user message received for {seconds} seconds")
            if self._talking_at and now - self._talking_at > self._max_duration_ms:
                text = "Conversation has reached its maximum duration"
                error = messages.error("error", 1000, "max_duration_exceeded", text)
                await self.link.send(error, forced=True)
                await self.link.close(1000, text)

    # --- the end -----------------------------------------------------------------------------

    def _finish(self) -> None:
        record, protocol = self.record, self.connection.protocol
        received, sent = protocol.close_rcvd, protocol.close_sent
        if received is not None and (sent is None or protocol.close_rcvd_then_sent):
            record.closed_by, close = "client", received
        elif sent is not None:
            record.closed_by, close = "agent", sent
        else:
            record.closed_by, close = "agent" if self.link.closing else "network", None
        record.close_code = close.code if close else 1006
        record.close_reason = close.reason if close else ""
        record.heard_speech_ms = self._taker.speech_ms
        record.duration_ms = record.now()
        record.checks.closed(record.duration_ms, record.closed_by, record.close_code)
        record.event(
            "closed", code=record.close_code, reason=record.close_reason, by=record.closed_by
        )
