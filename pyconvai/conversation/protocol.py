"""The conversation protocol without any I/O: a message comes in, effects come out.

``Conversation`` holds all that the service's messages change. It reads no clock, waits for nothing
and never raises, for the agent's mistakes must not end a call: a message that it can't understand
counts as unknown. It reads bodies leniently (ids as number or string, missing keys), because the
service's own descriptions disagree with each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum, StrEnum
from typing import Any

import orjson

from .. import __version__, limits
from ..service.endings import one_line
from ..service.metadata import Metadata
from ..service.settings import Call
from .effects import (
    Admitted,
    CallTool,
    CountPong,
    CountStale,
    CountUnknown,
    Effects,
    Flush,
    Level,
    Log,
    Play,
    PlayHold,
    Queued,
    QueueTimedOut,
    Send,
)
from .heard import Heard

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


class EffectKind(StrEnum):
    """What a message does to a call, in one word: ``docs/protocol.md`` shows it."""

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


@dataclass(frozen=True, slots=True)
class ServiceError:
    """The service has reported a fault. ``kind``: its error type, if it has one."""

    message: str
    kind: str = ""


GOES_ON = frozenset({"agent_response", "agent_tool_request", "client_tool_call", "mcp_tool_call"})
"""The agent goes on: an error that was reported before is not why the conversation ends."""

OVER = "max_duration_exceeded"
"""The error after which the agent may still say that the time is over."""


class Place(Enum):
    """Where the caller stands with the service."""

    DOOR = "door"
    """The metadata has not come."""
    HALL = "hall"
    """It has: the next message tells whether an agent is there, or the caller is to wait."""
    QUEUE = "queue"
    """No agent is free. The service plays hold audio, and discards what it is sent."""
    TALK = "talk"
    """An agent is there."""


_TELLS_NOTHING = frozenset({"conversation_initiation_metadata", "queue_status", "ping"})
"""Messages that do not say that an agent is there."""

QUEUE_TIMED_OUT = "no agent was free in time (timed_out)"

ENDING_TOOLS = frozenset({"end_call", "voicemail_detection"})
"""Tools of the service after which it closes the conversation."""


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
    """The body of most messages; its key is the message's type and ``_event``."""
    return _body(message, f"{message['type']}_event")


class Conversation:
    """One conversation on one connection, seen from the client: all that messages change.

    The session carries out the effects and tells what only the playout queue knows: positions, in
    milliseconds of agent audio.
    """

    def __init__(self) -> None:
        self.last_error: ServiceError | None = None
        """The fault that may be why the service closes the connection."""
        self.ending_tool = ""
        """The tool with which the agent says it ends the call."""
        self.last_response = 0
        """Id of the agent's last turn, which feedback is on."""
        self.place = Place.DOOR
        self._waits_at_door = False
        self._agent_came = False
        """It has said something: the caller is not queued any more."""
        self._interrupted_at = 0
        self._heard = Heard()
        self._told_overflow = False

    def receive(self, message: bytes | str) -> Effects:
        """Take in one message of the service; return what the session is to do for it."""
        try:
            document = orjson.loads(message)
        except orjson.JSONDecodeError:
            return _unknown("no JSON")
        if not isinstance(document, dict) or not isinstance(document.get("type"), str):
            return _unknown("no type")
        kind = document["type"]
        if kind in GOES_ON and self.last_error and self.last_error.kind != OVER:
            self.last_error = None
        known = MESSAGES.get(kind)
        effects = known[1](self, document) if known else _unknown(kind)
        return effects if kind in _TELLS_NOTHING else (*self.admit(), *effects)

    # ---- Told by the session ----

    def admit(self) -> Effects:
        """Nothing has said that the caller is to wait: an agent is there."""
        if self.place is not Place.HALL:
            return ()
        self.place = Place.TALK
        return (Admitted(),)

    def response_began(self, event_id: int, queued_ms: int) -> None:
        """The audio of this response comes behind all that was ever queued."""
        self._heard.begin(event_id, queued_ms)

    def flushed(self, queued_ms: int, waiting_ms: int, stale_ms: int) -> str:
        """The queue has been emptied; returns the line for the debug log.

        Before that ``queued_ms`` had ever been queued, and ``waiting_ms`` of it were still to be
        heard. ``stale_ms``: as much was thrown away.
        """
        self._heard.cut(queued_ms, waiting_ms)
        return f"interrupted: {stale_ms} ms of agent audio thrown away; {self._heard}"

    def overflowed(self, waiting_ms: int) -> str:
        """The queue is full and has dropped audio; returns a warning for the log, once.

        A service that floods the queue does not stop with one message.
        """
        if self._told_overflow:
            return ""
        self._told_overflow = True
        return f"agent audio dropped: {waiting_ms // 1000} s wait to be played already"

    # ---- Audio ----

    def _audio(self, message: dict[str, Any]) -> Effects:
        body = _body(message, "audio_event")
        if not body:  # servers of 2024 said {"audio": {"chunk": ...}}
            body = {"audio_base_64": _body(message, "audio").get("chunk")}
        event_id, audio_base64 = _number(body), _text(body, "audio_base_64")
        if self.place is Place.QUEUE:
            return (PlayHold(audio_base64),)
        self._agent_came = True
        if "event_id" in body and event_id < self._interrupted_at:
            return (CountStale(len(audio_base64)),)
        return (Play(audio_base64, event_id, event_id != self._heard.event_id),)

    def _interruption(self, message: dict[str, Any]) -> Effects:
        if self.place is Place.QUEUE:
            return ()  # nobody has been interrupted, and the agent's ids have not begun
        # Audio that comes later with this very id is the reply, not the interrupted turn.
        self._interrupted_at = _number(_event_body(message))
        return (Flush(),)

    # ---- Transcript ----

    def _agent_response(self, message: dict[str, Any]) -> Effects:
        body = _event_body(message)
        self._agent_came = True
        self.last_response = _number(body)
        return _debug(f"agent: {one_line(_text(body, 'agent_response'))}")

    def _correction(self, message: dict[str, Any]) -> Effects:
        """After an interruption: what the agent has said, by the service's reckoning."""
        text = _text(_event_body(message), "corrected_agent_response")
        return _debug(f"agent, cut short: {one_line(text)}; {self._heard}")

    def _user_transcript(self, message: dict[str, Any]) -> Effects:
        text = _text(_body(message, "user_transcription_event"), "user_transcript")
        return _debug(f"caller: {one_line(text)}")

    # ---- Tools ----

    def _tool_call(self, message: dict[str, Any]) -> Effects:
        body = _body(message, "client_tool_call")
        name, call_id = _text(body, "tool_name"), _text(body, "tool_call_id")
        return (CallTool(name, call_id, _body(body, "parameters")),)

    def _server_tool(self, message: dict[str, Any]) -> Effects:
        """The service calls a tool of its own, or has run it."""
        body = _body(message, str(message["type"]))
        name, is_error = _text(body, "tool_name"), bool(body.get("is_error"))
        if name in ENDING_TOOLS and not is_error:
            self.ending_tool = name
        elif name == self.ending_tool:
            self.ending_tool = ""  # it has failed
        return _debug(f"tool of the service: ServerTool({name=}, {is_error=})")

    def _mcp_call(self, message: dict[str, Any]) -> Effects:
        """Refuse what waits for an approval; without an answer the agent would wait for minutes.

        Nobody on the telephone can approve a tool. An agent that may use it there needs it approved
        in its settings.
        """
        body = _body(message, "mcp_tool_call")
        if _text(body, "state") != "awaiting_approval":
            return ()
        told = one_line(f"MCP tool {_text(body, 'tool_name')} wants an approval: refused")
        answer = mcp_approval(_text(body, "tool_call_id"), approved=False)
        return (Log(Level.NOTICE, told), Send(answer))

    # ---- Errors ----

    def _error(self, message: dict[str, Any]) -> Effects:
        body = _body(message, "error_event")
        kind = _text(body, "error_type") or _text(body, "error_name")
        words = [kind, _text(body, "message") or _text(message, "message"), _text(body, "reason")]
        told = ": ".join(dict.fromkeys(word for word in words if word))
        return self._reported(ServiceError(told or "an error without words", kind))

    def _reported(self, error: ServiceError) -> Effects:
        self.last_error = error
        return (Log(Level.WARNING, f"the service reports: {one_line(error.message)}"),)

    # ---- State ----

    def _metadata(self, message: dict[str, Any]) -> Effects:
        body = _event_body(message)
        metadata = Metadata(
            _text(body, "conversation_id"),
            _text(body, "agent_output_audio_format") or DEFAULT_FORMAT,
            _text(body, "user_input_audio_format") or DEFAULT_FORMAT,
        )
        if self.place is not Place.DOOR:
            return (metadata,)
        self.place = Place.HALL
        return (metadata, *(self._wait() if self._waits_at_door else ()))

    def _ping(self, message: dict[str, Any]) -> Effects:
        return (Send(pong(_number(_event_body(message)))), CountPong())

    def _queue_status(self, message: dict[str, Any]) -> Effects:
        status = _text(_event_body(message), "status")
        news = _news("queue_status", status)
        if status == "timed_out":
            news = self._reported(ServiceError(QUEUE_TIMED_OUT, "queue_timed_out"))
            return (*news, QueueTimedOut()) if self.place is Place.QUEUE else news
        if status == "admitted" and self.place is Place.QUEUE:
            self.place = Place.TALK
            return (*news, Admitted())
        if self.place is Place.DOOR:
            self._waits_at_door = status == "waiting"
        elif status == "waiting":
            return (*news, *self._wait())
        return news

    def _wait(self) -> Effects:
        """Be queued. The word comes right behind the metadata, unless the network holds it up."""
        if self.place is Place.QUEUE or self._agent_came:
            return ()
        self.place = Place.QUEUE
        return (Queued(),)

    def _guardrail(self, message: dict[str, Any]) -> Effects:
        return _news("guardrail_triggered", _text(_event_body(message), "guardrail_name"))

    def _dtmf_request(self, message: dict[str, Any]) -> Effects:
        # Its content is published nowhere: the first text that could be digits is taken.
        body = _event_body(message) or _body(message, "dtmf_request") or message
        names = ("dtmf_tones", "dtmf", "digits", "tones")
        return _news("dtmf_request", next(filter(None, (_text(body, n) for n in names)), ""))

    def _mcp_status(self, message: dict[str, Any]) -> Effects:
        servers = _body(message, "mcp_connection_status").get("integrations")
        servers = servers if isinstance(servers, list) else []
        down = [s for s in servers if isinstance(s, dict) and s.get("is_connected") is False]
        told = ", ".join(f"{_text(server, 'integration_id')} is down" for server in down)
        return _news("mcp_connection_status", told)

    def _state(self, message: dict[str, Any]) -> Effects:
        return _news(str(message["type"]))

    def _nothing(self, message: dict[str, Any]) -> Effects:
        """The message is known and asks for nothing."""
        return ()


def _debug(text: str) -> Effects:
    return (Log(Level.DEBUG, text),)


def _news(kind: str, text: str = "") -> Effects:
    """Something that a person may want to know."""
    return (Log(Level.NOTICE, one_line(f"the service tells: {kind} {text}")),)


def _unknown(kind: str) -> Effects:
    return (CountUnknown(), Log(Level.DEBUG, f"ignored: {one_line(kind)}"))


_Reader = Callable[[Conversation, dict[str, Any]], Effects]

MESSAGES: dict[str, tuple[EffectKind, _Reader]] = {
    "agent_chat_response_part": (EffectKind.NONE, Conversation._nothing),
    "agent_reasoning_response_part": (EffectKind.NONE, Conversation._nothing),
    "agent_response": (EffectKind.TRANSCRIPT, Conversation._agent_response),
    "agent_response_complete": (EffectKind.NONE, Conversation._nothing),
    "agent_response_correction": (EffectKind.TRANSCRIPT, Conversation._correction),
    "agent_response_metadata": (EffectKind.NONE, Conversation._nothing),
    "agent_tool_request": (EffectKind.END, Conversation._server_tool),
    "agent_tool_response": (EffectKind.END, Conversation._server_tool),
    "agent_tool_response_full_payload": (EffectKind.END, Conversation._server_tool),
    "agent_typing": (EffectKind.NONE, Conversation._nothing),
    "asr_initiation_metadata": (EffectKind.NONE, Conversation._nothing),
    "audio": (EffectKind.AUDIO, Conversation._audio),
    "client_error": (EffectKind.ERROR, Conversation._error),
    "client_tool_call": (EffectKind.TOOL, Conversation._tool_call),
    "context_usage": (EffectKind.NONE, Conversation._nothing),
    "conversation_initiation_metadata": (EffectKind.STATE, Conversation._metadata),
    "dtmf_request": (EffectKind.STATE, Conversation._dtmf_request),
    "error": (EffectKind.ERROR, Conversation._error),
    "external_agent_connected": (EffectKind.STATE, Conversation._state),
    "external_agent_disconnected": (EffectKind.STATE, Conversation._state),
    "guardrail_triggered": (EffectKind.STATE, Conversation._guardrail),
    "internal_tentative_agent_response": (EffectKind.NONE, Conversation._nothing),
    "internal_turn_probability": (EffectKind.NONE, Conversation._nothing),
    "interruption": (EffectKind.AUDIO, Conversation._interruption),
    "mcp_connection_status": (EffectKind.STATE, Conversation._mcp_status),
    "mcp_tool_call": (EffectKind.TOOL, Conversation._mcp_call),
    "ping": (EffectKind.STATE, Conversation._ping),
    "queue_status": (EffectKind.STATE, Conversation._queue_status),
    "rich_content": (EffectKind.NONE, Conversation._nothing),
    "tentative_user_transcript": (EffectKind.NONE, Conversation._nothing),
    "user_transcript": (EffectKind.TRANSCRIPT, Conversation._user_transcript),
    "vad_score": (EffectKind.NONE, Conversation._nothing),
}
"""Every message of the service that is known: the kind of its effects, and what reads it."""


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
"""Every message that the engine sends; the core makes ``user_audio_chunk``."""


def _encode(message: dict[str, Any]) -> str:
    assert message["type"] in SENT
    return orjson.dumps(message).decode()


def opening(call: Call) -> str:
    """The first message. It leaves out keys without content: to the service, empty is a value."""
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
    """``enum convai_say``: what operators and programs may say to the agent during a call."""

    MESSAGE = 0
    CONTEXT = 1
    ACTIVITY = 2
    FEEDBACK = 3


def utterance(kind: Say, text: str, event_id: int) -> str:
    """Make the message that says this. ``event_id``: of the response that feedback is on."""
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


def for_log(message: bytes | str) -> str:
    """A message as one line for the log, with audio and secrets cut out."""
    try:
        line = orjson.dumps(_cut(orjson.loads(message))).decode()
    except orjson.JSONDecodeError:
        return f"(no JSON, {len(message)} bytes)"
    except (orjson.JSONEncodeError, RecursionError):  # orjson reads deeper than it writes
        return f"(nested too deep, {len(message)} bytes)"
    if len(line) > limits.MAX_LOGGED_CHARACTERS:
        return f"{line[: limits.MAX_LOGGED_CHARACTERS]}... ({len(line)} characters)"
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
