"""The conversation protocol without any I/O: text comes in, events and text to send come out.

A message that can't be understood becomes an event too, never an exception: the agent's mistakes
must not end a call. Bodies are read leniently (ids as number or string, missing keys), for the
service's own descriptions disagree with each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from . import __version__
from .settings import Call

ENCODING_ULAW = 1
ENCODING_SLIN = 2
"""``enum convai_encoding``."""

AudioFormat = tuple[int, int]
"""(encoding, samples per second)"""

FORMATS: dict[str, AudioFormat] = {
    "ulaw_8000": (ENCODING_ULAW, 8000),
    "pcm_8000": (ENCODING_SLIN, 8000),
    "pcm_16000": (ENCODING_SLIN, 16000),
    "pcm_22050": (ENCODING_SLIN, 22050),
    "pcm_24000": (ENCODING_SLIN, 24000),
    "pcm_44100": (ENCODING_SLIN, 44100),
    "pcm_48000": (ENCODING_SLIN, 48000),
}
DEFAULT_FORMAT = "pcm_16000"


@dataclass(frozen=True, slots=True)
class Metadata:
    """The conversation is up. Formats are the service's names, such as ``ulaw_8000``."""

    conversation_id: str
    agent_format: str
    caller_format: str


@dataclass(frozen=True, slots=True)
class Audio:
    """A piece of agent audio. ``stale``: older than the last interruption, not to be played."""

    audio_base64: str
    event_id: int
    stale: bool


@dataclass(frozen=True, slots=True)
class Interruption:
    """The caller has barged in: what is queued must not be heard."""

    event_id: int


@dataclass(frozen=True, slots=True)
class AgentSays:
    """The text of the agent's turn."""

    text: str


@dataclass(frozen=True, slots=True)
class AgentSaid:
    """After an interruption: what of the turn was said."""

    text: str


@dataclass(frozen=True, slots=True)
class CallerSaid:
    """What the service understood of the caller's turn."""

    text: str


@dataclass(frozen=True, slots=True)
class Ping:
    """To be answered at once."""

    event_id: int


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The agent wants something done here. Is owed exactly one result."""

    name: str
    call_id: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ToolResponse:
    """A tool of the service's own has run, such as ``end_call``."""

    name: str
    is_error: bool


@dataclass(frozen=True, slots=True)
class ServiceError:
    """The service reports a fault. A close usually follows."""

    message: str


@dataclass(frozen=True, slots=True)
class Note:
    """A message that is known and asks for nothing."""

    kind: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message of a type that is not known, or without one, or that is no message at all."""

    kind: str


Event = (
    Metadata
    | Audio
    | Interruption
    | AgentSays
    | AgentSaid
    | CallerSaid
    | Ping
    | ToolCall
    | ToolResponse
    | ServiceError
    | Note
    | Unknown
)


def _number(body: dict[str, Any], key: str = "event_id") -> int:
    """An id as number or string; 0 where there is none."""
    try:
        return int(body.get(key) or 0)
    except (TypeError, ValueError):
        return 0


def _text(body: dict[str, Any], key: str) -> str:
    value = body.get(key)
    return value.strip() if isinstance(value, str) else ""


class Conversation:
    """One conversation, seen from the client. Remembers only the last interruption."""

    def __init__(self) -> None:
        self._interrupted_at = 0

    def receive(self, message: bytes | str) -> Event:
        """Turn one message of the service into an event."""
        try:
            document = orjson.loads(message)
        except orjson.JSONDecodeError:
            return Unknown("no JSON")
        if not isinstance(document, dict) or not isinstance(document.get("type"), str):
            return Unknown("no type")
        kind = document["type"]
        reader = _READERS.get(kind)
        if reader is None:
            return Note(kind) if kind in NOTES else Unknown(kind)
        return reader(self, document)

    def _metadata(self, message: dict[str, Any]) -> Event:
        body = _body(message, "conversation_initiation_metadata_event")
        return Metadata(
            _text(body, "conversation_id"),
            _text(body, "agent_output_audio_format") or DEFAULT_FORMAT,
            _text(body, "user_input_audio_format") or DEFAULT_FORMAT,
        )

    def _audio(self, message: dict[str, Any]) -> Event:
        body = _body(message, "audio_event")
        if not body:  # servers of 2024 said {"audio": {"chunk": ...}}
            body = {"audio_base_64": _body(message, "audio").get("chunk")}
        event_id = _number(body)
        stale = "event_id" in body and event_id < self._interrupted_at
        return Audio(_text(body, "audio_base_64"), event_id, stale)

    def _interruption(self, message: dict[str, Any]) -> Event:
        # Audio that comes later with this very id is the reply, not the interrupted turn.
        self._interrupted_at = _number(_body(message, "interruption_event"))
        return Interruption(self._interrupted_at)

    def _ping(self, message: dict[str, Any]) -> Event:
        return Ping(_number(_body(message, "ping_event")))

    def _agent_response(self, message: dict[str, Any]) -> Event:
        return AgentSays(_text(_body(message, "agent_response_event"), "agent_response"))

    def _correction(self, message: dict[str, Any]) -> Event:
        body = _body(message, "agent_response_correction_event")
        return AgentSaid(_text(body, "corrected_agent_response"))

    def _user_transcript(self, message: dict[str, Any]) -> Event:
        return CallerSaid(_text(_body(message, "user_transcription_event"), "user_transcript"))

    def _tool_call(self, message: dict[str, Any]) -> Event:
        body = _body(message, "client_tool_call")
        return ToolCall(
            _text(body, "tool_name"), _text(body, "tool_call_id"), _body(body, "parameters")
        )

    def _tool_response(self, message: dict[str, Any]) -> Event:
        body = _body(message, str(message["type"]))
        return ToolResponse(_text(body, "tool_name"), bool(body.get("is_error")))

    def _error(self, message: dict[str, Any]) -> Event:
        body = _body(message, "error_event")
        parts = (
            _text(body, "error_type") or _text(body, "error_name"),
            _text(body, "message") or _text(message, "message"),
            _text(body, "reason"),
        )
        return ServiceError(": ".join(part for part in parts if part) or "an error without words")


_READERS: dict[str, Callable[[Conversation, dict[str, Any]], Event]] = {
    "conversation_initiation_metadata": Conversation._metadata,
    "audio": Conversation._audio,
    "interruption": Conversation._interruption,
    "ping": Conversation._ping,
    "agent_response": Conversation._agent_response,
    "agent_response_correction": Conversation._correction,
    "user_transcript": Conversation._user_transcript,
    "client_tool_call": Conversation._tool_call,
    "agent_tool_response": Conversation._tool_response,
    "agent_tool_response_full_payload": Conversation._tool_response,
    "error": Conversation._error,
    "client_error": Conversation._error,
}


def _body(message: dict[str, Any], key: str) -> dict[str, Any]:
    body = message.get(key)
    return body if isinstance(body, dict) else {}


NOTES = frozenset(
    {
        "agent_chat_response_part",
        "agent_reasoning_response_part",
        "agent_response_complete",
        "agent_response_metadata",
        "agent_tool_request",
        "agent_typing",
        "asr_initiation_metadata",
        "context_usage",
        "dtmf_request",
        "external_agent_connected",
        "external_agent_disconnected",
        "guardrail_triggered",
        "internal_tentative_agent_response",
        "internal_turn_probability",
        "mcp_connection_status",
        "mcp_tool_call",
        "queue_status",
        "rich_content",
        "tentative_user_transcript",
        "vad_score",
    }
)


# ---- What the client says ----


def _encode(message: dict[str, Any]) -> str:
    return orjson.dumps(message).decode()


def opening(call: Call) -> str:
    """The first message. Keys without content are left out: an empty one is a statement too."""
    message: dict[str, Any] = {"type": "conversation_initiation_client_data"}
    if call.overrides:
        message["conversation_config_override"] = call.overrides
    if call.dynamic_variables:
        message["dynamic_variables"] = call.dynamic_variables
    message["source_info"] = {
        "source": "unknown",
        "version": f"app_elevenlabs_convai {__version__}",
    }
    return _encode(message)


def pong(event_id: int) -> str:
    """The answer to a ping."""
    return _encode({"type": "pong", "event_id": event_id})


def tool_result(call_id: str, result: str, *, is_error: bool) -> str:
    """The answer to a tool call."""
    return _encode(
        {
            "type": "client_tool_result",
            "tool_call_id": call_id,
            "result": result,
            "is_error": is_error,
        }
    )


# ---- For the log ----

_CUT_KEYS = frozenset({"audio_base_64", "chunk", "user_audio_chunk", "alignment"})
_SECRET_PREFIX = "secret__"
MAX_LOGGED_CHARACTERS = 2000


def for_log(message: bytes | str) -> str:
    """A message as one line for the log, with audio and secrets cut out."""
    try:
        document = orjson.loads(message)
    except orjson.JSONDecodeError:
        return f"(no JSON, {len(message)} bytes)"
    line = orjson.dumps(_cut(document)).decode()
    if len(line) > MAX_LOGGED_CHARACTERS:
        return f"{line[:MAX_LOGGED_CHARACTERS]}... ({len(line)} characters)"
    return line


def _cut(value: Any, key: str = "") -> Any:
    if key in _CUT_KEYS and value:
        return f"<{len(value)}>" if isinstance(value, str) else "<cut>"
    if key.startswith(_SECRET_PREFIX):
        return "<secret>"
    if isinstance(value, dict):
        return {name: _cut(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_cut(item) for item in value]
    return value
