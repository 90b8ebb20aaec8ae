"""Acts out the faults of a scenario on a live session. What each means: faults.CATALOGUE."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from . import messages
from .faults import Fault
from .link import Link
from .messages import dump
from .record import Record
from .scenario import Agent
from .speaker import Speaker
from .voice import Voice

# The size of the largest message seen from the service.
_LARGE_BYTES = 1_500_000


class Session(Protocol):
    """What faults are acted out on: the conversation of session.py."""

    agent: Agent
    record: Record
    link: Link
    speaker: Speaker
    voice: Voice
    last_tool_call: dict[str, Any] | None
    metadata_wanted: bool

    async def send_metadata(self) -> None:
        """Say that the conversation is up."""

    async def send_ping(self, event_id: Any) -> None:
        """Ask whether the client is there."""

    def stop_pings(self) -> None:
        """Ask no more."""

    def stop_reading(self) -> None:
        """Leave in the socket what the client sends."""


async def act(session: Session, fault: Fault) -> None:
    """Does what the fault says. Raises Over when that ends the conversation."""
    session.record.event("fault", name=fault.name, stage=fault.stage)
    if fault.after_ms:
        await asyncio.sleep(fault.after_ms / 1000)
    await _ACTIONS[fault.name](session, fault)


async def _delay(session: Session, fault: Fault) -> None:
    await asyncio.sleep(fault.integer("ms", 1000) / 1000)


async def _silence(session: Session, fault: Fault) -> None:
    session.stop_pings()
    await asyncio.Event().wait()


async def _stop_reading(session: Session, fault: Fault) -> None:
    session.stop_reading()
    session.record.checks.suspended = True


async def _reset(session: Session, fault: Fault) -> None:
    await session.link.reset()


async def _drop(session: Session, fault: Fault) -> None:
    await session.link.drop()


async def _close(session: Session, fault: Fault) -> None:
    await session.link.close(fault.integer("code", 1011), fault.text("reason"))


async def _send(session: Session, fault: Fault) -> None:
    if "message" in fault.options:
        await session.link.send(fault.options["message"], forced=True)
    else:
        await session.link.send_text("(text)", fault.text("text"))


async def _binary(session: Session, fault: Fault) -> None:
    session.record.sent["(binary)"] += 1
    await session.link.connection.send(bytes(fault.integer("bytes", 160)))


async def _unknown_type(session: Session, fault: Fault) -> None:
    message = {"type": "brand_new_event", "brand_new_event": {"value": 1}}
    await session.link.send(message, forced=True)


async def _no_type(session: Session, fault: Fault) -> None:
    await session.link.send_text("(no type)", '{"note":"a message without a type"}')


async def _not_json(session: Session, fault: Fault) -> None:
    await session.link.send_text("(not JSON)", "this is {not JSON")


async def _large_message(session: Session, fault: Fault) -> None:
    what = fault.text("what", "unknown")
    size = fault.integer("bytes", _LARGE_BYTES) - len(dump(_large(what, "")))
    message = _large(what, "x" * max(0, size))
    if what == "lists":
        message["padding"] = [[]] * (size // len("[],"))
    await session.link.send_text(message["type"], dump(message), fault.integer("fragments", 0))


def _large(what: str, padding: str) -> messages.Message:
    """A message with this in it."""
    match what:
        case "agent_response":
            return messages.agent_response(padding, 0, "resp_large")
        case "user_transcript":
            return messages.user_transcript(padding, 0)
        case "error":
            return messages.error("client_error", 1002, "unknown", padding)
        case "tool_result":
            return messages.agent_tool_response_full_payload("x", "c", "webhook", padding, 0)
        case _:
            return {"type": "brand_new_event", "padding": padding}


async def _error(session: Session, fault: Fault) -> None:
    shape = fault.text("shape", "error")
    text = fault.text("text", "This request exceeds your quota limit.")
    kind = fault.text("error_type", "unknown")
    await session.link.send(
        messages.error(shape, fault.integer("code", 1002), kind, text), forced=True
    )


async def _queue_status(session: Session, fault: Fault) -> None:
    await session.link.send(messages.queue_status(fault.text("status", "waiting")), forced=True)


async def _metadata_missing(session: Session, fault: Fault) -> None:
    session.metadata_wanted = False


async def _metadata_partial(session: Session, fault: Fault) -> None:
    session.metadata_wanted = False
    event = {"conversation_id": session.record.conversation_id}
    await session.link.send(
        {
            "type": "conversation_initiation_metadata",
            "conversation_initiation_metadata_event": event,
        }
    )


async def _metadata_twice(session: Session, fault: Fault) -> None:
    await session.send_metadata()


async def _metadata_other(session: Session, fault: Fault) -> None:
    other = fault.text("format", "pcm_16000")
    message = messages.metadata(session.record.conversation_id, other, other)
    await session.link.send(message)


async def _response_again(session: Session, fault: Fault) -> None:
    if session.speaker.last_response is not None:
        await session.link.send(session.speaker.last_response)


async def _bad_base64(session: Session, fault: Fault) -> None:
    text = messages.audio_text("!!! not base64 !!!", session.speaker.ids.current())
    await session.link.send_text("audio", text)


async def _half_sample(session: Session, fault: Fault) -> None:
    text = messages.audio_text("AA==", session.speaker.ids.current())
    await session.link.send_text("audio", text)


async def _old_audio(session: Session, fault: Fault) -> None:
    fmt = session.agent.output_format
    data = fmt.silence * (fmt.size(fault.integer("ms", 100)) // fmt.sample_bytes)
    chunk = base64.b64encode(data).decode("ascii")
    await session.link.send({"type": "audio", "audio": {"chunk": chunk}})
    session.speaker.sent_audio(data, fmt)


async def _audio(session: Session, fault: Fault) -> None:
    fmt = session.agent.output_format
    sound = fault.text("sound", "noise:99:400")
    data = await session.voice.render_async("", sound, session.agent.voice, fmt)
    event_id = session.speaker.ids.current(fault.integer("offset", -1))
    text = messages.audio_text(base64.b64encode(data).decode("ascii"), event_id)
    await session.link.send_text("audio", text)
    session.record.event("extra_audio", event_id=event_id, audio_ms=round(fmt.ms(len(data))))


async def _flood(session: Session, fault: Fault) -> None:
    kind = fault.text("type", "unknown")
    for number in range(fault.integer("count", 1000)):
        if kind == "ping":
            await session.send_ping(900_000 + number)
        elif kind == "audio":
            await _half_second(session)
        elif kind == "vad_score":
            await session.link.send(messages.vad_score(0.5), forced=True)
        elif kind == "error":
            message = messages.error("error", 1, "unknown", f"oops {number}")
            await session.link.send(message, forced=True)
        else:
            await _unknown_type(session, fault)


async def _half_second(session: Session) -> None:
    fmt = session.agent.output_format
    data = fmt.silence * (fmt.size(500) // fmt.sample_bytes)
    text = base64.b64encode(data).decode("ascii")
    await session.link.send_text("audio", messages.audio_text(text, session.speaker.ids.current()))
    session.speaker.sent_audio(data, fmt)


async def _ping(session: Session, fault: Fault) -> None:
    event_id = fault.options.get("event_id", 0)
    await session.send_ping(event_id)


async def _tool_call_again(session: Session, fault: Fault) -> None:
    if session.last_tool_call is not None:
        await session.link.send(session.last_tool_call)


_ACTIONS: dict[str, Callable[[Session, Fault], Awaitable[None]]] = {
    "delay": _delay,
    "silence": _silence,
    "stop_reading": _stop_reading,
    "reset": _reset,
    "drop": _drop,
    "close": _close,
    "send": _send,
    "binary": _binary,
    "unknown_type": _unknown_type,
    "no_type": _no_type,
    "not_json": _not_json,
    "large_message": _large_message,
    "error": _error,
    "queue_status": _queue_status,
    "metadata_missing": _metadata_missing,
    "metadata_partial": _metadata_partial,
    "metadata_twice": _metadata_twice,
    "metadata_other": _metadata_other,
    "response_again": _response_again,
    "bad_base64": _bad_base64,
    "half_sample": _half_sample,
    "old_audio": _old_audio,
    "audio": _audio,
    "flood": _flood,
    "ping": _ping,
    "tool_call_again": _tool_call_again,
}
