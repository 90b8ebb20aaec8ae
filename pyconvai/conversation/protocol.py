"""The conversation protocol without any I/O: text comes in, events and text to send come out.

A message that can't be understood becomes an event too, never an exception: the agent's mistakes
must not end a call. Bodies are read leniently (ids as number or string, missing keys), for the
service's own descriptions disagree with each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any

import orjson

from .. import __version__
from ..service.metadata import Metadata
from ..service.settings import Call

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
    event_id: int = 0


@dataclass(frozen=True, slots=True)
class AgentSaid:
    """After an interruption: what of the turn was said, by the service's reckoning."""

    text: str
    event_id: int = 0


@dataclass(frozen=True, slots=True)
class CallerSaid:
    """What the service understood of the caller's turn. ``final``: it will not change its mind."""

    text: str
    final: bool = True


@dataclass(frozen=True, slots=True)
class Ping:
    """To be answered at once."""

    event_id: int


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The agent wants something done here. Is owed exactly one result.

    Also if it says that it expects none: so do the service's own clients with ``expects_response``.
    """

    name: str
    call_id: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ServerTool:
    """A tool of the service's own is called, or has run, such as ``end_call``."""

    name: str
    is_error: bool = False

    @property
    def ends_call(self) -> bool:
        """Whether the close that comes is the tool's doing."""
        return self.name in ENDING_TOOLS and not self.is_error


@dataclass(frozen=True, slots=True)
class McpCall:
    """A tool of an MCP server. ``waits``: only if somebody approves, and an answer is owed."""

    name: str
    call_id: str
    waits: bool


@dataclass(frozen=True, slots=True)
class ServiceError:
    """The service reports a fault. A close usually follows. ``kind``: its error type, if any."""

    message: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class News:
    """Something about the conversation that a person may want to know; asks for nothing."""

    kind: str
    text: str = ""


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
    | ServerTool
    | McpCall
    | ServiceError
    | News
    | Note
    | Unknown
)

ENDING_TOOLS = frozenset({"end_call", "voicemail_detection"})
"""Tools of the service's after which it closes the conversation."""


class Effect(StrEnum):
    """What a message does to a call. Every message that is known has one."""

    NONE = "none"
    TRANSCRIPT = "transcript"
    """A line in the debug log."""
    STATE = "state"
    """The state of the session or of its playout, or a line in the log."""
    AUDIO = "audio"
    TOOL = "tool"
    """An answer is sent."""
    ERROR = "error"
    """A warning in the log, and part of the reason if a close follows."""
    END = "end"
    """Tells why the close that follows came."""


def _number(body: dict[str, Any], key: str = "event_id") -> int:
    """An id as number or string; 0 where there is none, or none that could be sent back."""
    try:
        number = int(body.get(key) or 0)
    except (TypeError, ValueError, OverflowError):
        return 0
    return number if -(2**63) <= number < 2**63 else 0


def _text(body: dict[str, Any], key: str) -> str:
    value = body.get(key)
    return value.strip() if isinstance(value, str) else ""


def _body(message: dict[str, Any], key: str) -> dict[str, Any]:
    body = message.get(key)
    return body if isinstance(body, dict) else {}


def _event_body(message: dict[str, Any]) -> dict[str, Any]:
    """The body of a message that keeps to the rule: under its type and ``_event``."""
    return _body(message, f"{message['type']}_event")


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
        known = MESSAGES.get(kind)
        return known[1](self, document) if known else Unknown(kind)

    def _metadata(self, message: dict[str, Any]) -> Event:
        body = _event_body(message)
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
        self._interrupted_at = _number(_event_body(message))
        return Interruption(self._interrupted_at)

    def _ping(self, message: dict[str, Any]) -> Event:
        return Ping(_number(_event_body(message)))

    # ---- Transcript ----

    def _agent_response(self, message: dict[str, Any]) -> Event:
        body = _event_body(message)
        return AgentSays(_text(body, "agent_response"), _number(body))

    def _correction(self, message: dict[str, Any]) -> Event:
        body = _event_body(message)
        return AgentSaid(_text(body, "corrected_agent_response"), _number(body))

    def _user_transcript(self, message: dict[str, Any]) -> Event:
        return CallerSaid(_text(_body(message, "user_transcription_event"), "user_transcript"))

    def _tentative(self, message: dict[str, Any]) -> Event:
        body = _body(message, "tentative_user_transcription_event")
        return CallerSaid(_text(body, "user_transcript"), final=False)

    # ---- Tools ----

    def _tool_call(self, message: dict[str, Any]) -> Event:
        body = _body(message, "client_tool_call")
        return ToolCall(
            _text(body, "tool_name"),
            _text(body, "tool_call_id"),
            _body(body, "parameters"),
        )

    def _server_tool(self, message: dict[str, Any]) -> Event:
        body = _body(message, str(message["type"]))
        return ServerTool(_text(body, "tool_name"), bool(body.get("is_error")))

    def _mcp_call(self, message: dict[str, Any]) -> Event:
        body = _body(message, "mcp_tool_call")
        waits = _text(body, "state") == "awaiting_approval"
        return McpCall(_text(body, "tool_name"), _text(body, "tool_call_id"), waits)

    # ---- Errors ----

    def _error(self, message: dict[str, Any]) -> Event:
        body = _body(message, "error_event")
        kind = _text(body, "error_type") or _text(body, "error_name")
        words = [kind, _text(body, "message") or _text(message, "message"), _text(body, "reason")]
        told = ": ".join(dict.fromkeys(word for word in words if word))
        return ServiceError(told or "an error without words", kind)

    # ---- State ----

    def _queue_status(self, message: dict[str, Any]) -> Event:
        status = _text(_event_body(message), "status")
        if status == "timed_out":
            return ServiceError("no agent was free in time (timed_out)", "queue_timed_out")
        return News("queue_status", status)

    def _guardrail(self, message: dict[str, Any]) -> Event:
        return News("guardrail_triggered", _text(_event_body(message), "guardrail_name"))

    def _dtmf_request(self, message: dict[str, Any]) -> Event:
        # Its content is published nowhere: the first text that could be digits is taken.
        body = _event_body(message) or _body(message, "dtmf_request") or message
        names = ("dtmf_tones", "dtmf", "digits", "tones")
        return News("dtmf_request", next(filter(None, (_text(body, n) for n in names)), ""))

    def _mcp_status(self, message: dict[str, Any]) -> Event:
        servers = _body(message, "mcp_connection_status").get("integrations")
        servers = servers if isinstance(servers, list) else []
        down = [s for s in servers if isinstance(s, dict) and s.get("is_connected") is False]
        told = ", ".join(f"{_text(server, 'integration_id')} is down" for server in down)
        return News("mcp_connection_status", told)

    def _state(self, message: dict[str, Any]) -> Event:
        return News(str(message["type"]))

    def _note(self, message: dict[str, Any]) -> Event:
        return Note(str(message["type"]))


_Reader = Callable[[Conversation, dict[str, Any]], Event]

MESSAGES: dict[str, tuple[Effect, _Reader]] = {
    "agent_chat_response_part": (Effect.NONE, Conversation._note),
    "agent_reasoning_response_part": (Effect.NONE, Conversation._note),
    "agent_response": (Effect.TRANSCRIPT, Conversation._agent_response),
    "agent_response_complete": (Effect.NONE, Conversation._note),
    "agent_response_correction": (Effect.TRANSCRIPT, Conversation._correction),
    "agent_response_metadata": (Effect.NONE, Conversation._note),
    "agent_tool_request": (Effect.END, Conversation._server_tool),
    "agent_tool_response": (Effect.END, Conversation._server_tool),
    "agent_tool_response_full_payload": (Effect.END, Conversation._server_tool),
    "agent_typing": (Effect.NONE, Conversation._note),
    "asr_initiation_metadata": (Effect.NONE, Conversation._note),
    "audio": (Effect.AUDIO, Conversation._audio),
    "client_error": (Effect.ERROR, Conversation._error),
    "client_tool_call": (Effect.TOOL, Conversation._tool_call),
    "context_usage": (Effect.NONE, Conversation._note),
    "conversation_initiation_metadata": (Effect.STATE, Conversation._metadata),
    "dtmf_request": (Effect.STATE, Conversation._dtmf_request),
    "error": (Effect.ERROR, Conversation._error),
    "external_agent_connected": (Effect.STATE, Conversation._state),
    "external_agent_disconnected": (Effect.STATE, Conversation._state),
    "guardrail_triggered": (Effect.STATE, Conversation._guardrail),
    "internal_tentative_agent_response": (Effect.NONE, Conversation._note),
    "internal_turn_probability": (Effect.NONE, Conversation._note),
    "interruption": (Effect.AUDIO, Conversation._interruption),
    "mcp_connection_status": (Effect.STATE, Conversation._mcp_status),
    "mcp_tool_call": (Effect.TOOL, Conversation._mcp_call),
    "ping": (Effect.STATE, Conversation._ping),
    "queue_status": (Effect.STATE, Conversation._queue_status),
    "rich_content": (Effect.NONE, Conversation._note),
    "tentative_user_transcript": (Effect.TRANSCRIPT, Conversation._tentative),
    "user_transcript": (Effect.TRANSCRIPT, Conversation._user_transcript),
    "vad_score": (Effect.NONE, Conversation._note),
}
"""Every message of the service's that is known: its one effect, and what reads it."""


# ---- What the client says ----


SENT = frozenset(
    {
        "client_tool_result",
        "contextual_update",
        "conversation_initiation_client_data",
        "feedback",
        "mcp_tool_approval_result",
        "pong",
        "user_activity",
        "user_audio_chunk",
        "user_message",
    }
)
"""Every message that is sent; ``user_audio_chunk`` is made by the core."""


def _encode(message: dict[str, Any]) -> str:
    assert message["type"] in SENT
    return orjson.dumps(message).decode()


def opening(call: Call) -> str:
    """The first message. Keys without content are left out: an empty one is a statement too."""
    message: dict[str, Any] = {"type": "conversation_initiation_client_data", **call.overrides}
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


def mcp_approval(call_id: str, *, approved: bool) -> str:
    """The answer to an MCP tool that waits for somebody's approval."""
    return _encode(
        {"type": "mcp_tool_approval_result", "tool_call_id": call_id, "is_approved": approved}
    )


class Say(IntEnum):
    """``enum convai_say``: what others may say to the agent during a call."""

    MESSAGE = 0
    CONTEXT = 1
    ACTIVITY = 2
    FEEDBACK = 3


def utterance(kind: Say, text: str, event_id: int) -> str:
    """One of these as a message. Feedback is on the response with this id."""
    if kind is Say.MESSAGE:
        return _encode({"type": "user_message", "text": text})
    if kind is Say.CONTEXT:
        return _encode({"type": "contextual_update", "text": text})
    if kind is Say.ACTIVITY:
        return _encode({"type": "user_activity"})
    score = None if text == "none" else text
    return _encode({"type": "feedback", "event_id": event_id, "score": score})


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
