"""The conversation protocol without any I/O: a message comes in, effects come out.

``Conversation`` holds all that the service's messages change. It reads no clock, waits for nothing
and never raises, for the agent's mistakes must not end a call: a message that it can't understand
counts as unknown. It reads bodies leniently (ids as number or string, missing keys), because the
service's own descriptions disagree with each other; and in bounded time (``wire.py``), because all
calls share the loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from .. import limits
from ..core import _core
from ..service.metadata import Metadata
from ..words import conversation_id, cut
from .admission import TELLS_NOTHING, Admission, Place
from .early import EarlyAudio
from .effects import (
    AskFirst,
    CallTool,
    Corrected,
    CountPong,
    CountStale,
    CountUnknown,
    Effects,
    Flush,
    Id,
    Level,
    Log,
    Play,
    PlayHold,
    Said,
    Send,
    Speaker,
    ToolNews,
    ToolState,
    Verbatim,
)
from .heard import Heard
from .sent import mcp_approval, pong
from .wire import DIGIT_KEYS, digits_for_log, loads, parameters_of, readable, said_for_log

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
    """A line in the debug log, and an event for programs."""
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


GOES_ON = frozenset({"agent_tool_request", "client_tool_call", "mcp_tool_call"})
"""The agent goes on: an error that was reported before is not why the conversation ends."""

OVER = "max_duration_exceeded"
"""The error after which the agent may still say that the time is over."""


QUEUE_TIMED_OUT = "no agent was free in time (timed_out)"

ENDING_TOOLS = frozenset({"end_call", "voicemail_detection"})
"""Tools of the service after which it closes the conversation."""


def _event_id(body: dict[str, Any], key: str = "event_id") -> int | None:
    """An id as number or string; None where there is none that has a place among others."""
    value = body.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = int(value)
    except (ValueError, OverflowError):
        return None
    return number if -(2**63) <= number < 2**63 else None


def _number(body: dict[str, Any], key: str = "event_id") -> int:
    """An id as number or string; 0 where there is none."""
    return _event_id(body, key) or 0


def _text(body: dict[str, Any], key: str, most: int = limits.MAX_TEXT_CHARACTERS) -> str:
    """A text that a person may come to see: cut, for whoever shows it looks at each character."""
    value = body.get(key)
    return cut(value, most).strip() if isinstance(value, str) else ""


def _for_log(text: str) -> str:
    return cut(text, limits.MAX_TEXT_CHARACTERS)


def _audio_text(body: dict[str, Any], key: str) -> str:
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
        self.admission = Admission()
        self._message, self._is_cut = b"", False
        """What is read of the message that is being taken in; whether that leaves something out."""
        self._formats: tuple[str, str] | None = None
        """What the agent speaks and hears; None before the metadata."""
        self._speaks_otherwise = False
        """The service has changed the agent's format: what it says would be played as noise."""
        self._early = EarlyAudio()
        self._interrupted_at: int | None = None
        self._heard = Heard()
        self._approvals: deque[Id] = deque(maxlen=limits.TOOL_CALLS_REMEMBERED)
        self._responses: dict[str, str] = {}
        self._told: set[str] = set()

    def receive(self, message: bytes | str) -> Effects:
        """Take in one message of the service; return what the session is to do for it."""
        data = message.encode(errors="replace") if isinstance(message, str) else message
        self._message, self._is_cut = readable(data)
        try:
            return self._read()
        finally:
            self._message = b""

    def _read(self) -> Effects:
        try:
            document = loads(self._message)
        except ValueError:
            return _unknown("no JSON")
        if not isinstance(document, dict) or not isinstance(document.get("type"), str):
            return _unknown("no type")
        kind = document["type"]
        if kind in GOES_ON:
            self._survived()
        known = MESSAGES.get(kind)
        effects = known[1](self, document) if known else _unknown(kind)
        return effects if kind in TELLS_NOTHING else (*self.admission.admit(), *effects)

    def _survived(self) -> None:
        """The conversation goes on: an error before this is not why it ends."""
        if self.last_error and self.last_error.kind != OVER:
            self.last_error = None

    def once(self, what: str) -> bool:
        """Whether this is to be told: once a call, for a fault seldom stays with one message."""
        is_new = what not in self._told
        self._told.add(what)
        return is_new

    # ---- Told by the session ----

    def response_began(self, event_id: int, queued_ms: int) -> None:
        """The audio of this response comes behind all that was ever queued."""
        self._heard.begin(event_id, queued_ms)

    def flushed(
        self, queued_ms: int, waiting_ms: int, stale_ms: int, why: str = "interrupted"
    ) -> str:
        """The queue has been emptied; returns the line for the debug log.

        Before that ``queued_ms`` had ever been queued, and ``waiting_ms`` of it were still to be
        heard. ``stale_ms``: as much was thrown away.
        """
        self._heard.cut(queued_ms, waiting_ms)
        return f"{why}: {stale_ms} ms of agent audio thrown away; {self._heard}"

    def overflowed(self, waiting_ms: int) -> str:
        """The queue is full and has dropped audio; returns a warning for the log, once.

        A service that floods the queue does not stop with one message.
        """
        if not self.once("overflow"):
            return ""
        return f"agent audio dropped: {waiting_ms // 1000} s wait to be played already"

    # ---- Audio ----

    def _audio(self, message: dict[str, Any]) -> Effects:
        body = _body(message, "audio_event")
        if not body:  # servers of 2024 said {"audio": {"chunk": ...}}
            body = {"audio_base_64": _body(message, "audio").get("chunk")}
        event_id, audio_base64 = _event_id(body), _audio_text(body, "audio_base_64")
        if self.admission.place is Place.QUEUE:
            return (PlayHold(audio_base64),)
        if self._is_stale(event_id):
            return (CountStale(len(audio_base64)),)
        if self._formats is None:
            if self._early.keep(audio_base64, event_id) or not self.once("early"):
                return ()
            told = f"more than {limits.EARLY_AUDIO_BYTES} bytes came before the metadata"
            return (Log(Level.WARNING, f"agent audio left out: {told}"),)
        self.admission.agent_came = True
        self._survived()
        if self._speaks_otherwise:
            return ()
        if event_id is None:  # it can't be known to be of another response than what is queued
            event_id = self._heard.event_id or 0
        is_new = event_id != self._heard.event_id
        return (Play(audio_base64, event_id, is_new, self._characters(body)),)

    def _characters(self, body: dict[str, Any]) -> int:
        """How many a piece of audio speaks; 0 where that is not told, or was cut."""
        characters = _body(body, "alignment").get("chars")
        return len(characters) if isinstance(characters, list) and not self._is_cut else 0

    def _is_stale(self, event_id: int | None) -> bool:
        """Whether audio is older than the last interruption; without an id nobody can tell."""
        if event_id is None or self._interrupted_at is None:
            return False
        return event_id < self._interrupted_at

    def _interruption(self, message: dict[str, Any]) -> Effects:
        if self.admission.place is Place.QUEUE:
            return ()  # nobody has been interrupted, and the agent's ids have not begun
        # Audio that comes later with this very id is the reply, not the interrupted turn.
        event_id = _event_id(_event_body(message))
        if event_id is not None:
            self._interrupted_at = event_id
        self._early = EarlyAudio()
        return (Flush(),)

    # ---- Transcript ----

    def _said(self, body: dict[str, Any], key: str, speaker: Speaker, **what: bool) -> Said:
        """Words for others: one character more than they are told shows that there are more."""
        text = _text(body, key, limits.EVENT_TEXT_BYTES + 1)
        return Said(speaker, text, _number(body), truncated=self._is_cut, **what)

    def _agent_response(self, message: dict[str, Any]) -> Effects:
        body = _event_body(message)
        self.admission.agent_came = True
        said = self._said(body, "agent_response", Speaker.AGENT)
        response = _text(body, "response_id")
        before = self._responses.get(response)
        if before == said.text:
            return ()  # sent again
        if response:
            self._responses[response] = said.text
        if len(self._responses) > limits.RESPONSES_REMEMBERED:
            del self._responses[next(iter(self._responses))]
        if before is not None:
            told = _debug(f"agent, in other words: {_for_log(said.text)}")
            return (replace(said, again=True), *told)
        self._survived()
        self.last_response = said.event_id
        return (said, *_debug(f"agent: {_for_log(said.text)}"))

    def _correction(self, message: dict[str, Any]) -> Effects:
        """After an interruption: what the agent has said, by the service's reckoning."""
        body = _event_body(message)
        text = _text(body, "corrected_agent_response", limits.EVENT_TEXT_BYTES + 1)
        told = f"agent, cut short: {_for_log(text)}; {self._heard}"
        return (Corrected(text, _number(body)), *_debug(told))

    def _user_transcript(self, message: dict[str, Any]) -> Effects:
        body = _body(message, "user_transcription_event")
        said = self._said(body, "user_transcript", Speaker.CALLER, final=True)
        return (said, *_debug(f"caller: {said_for_log(_for_log(said.text))}"))

    def _tentative_transcript(self, message: dict[str, Any]) -> Effects:
        body = _body(message, "tentative_user_transcription_event")
        return (self._said(body, "user_transcript", Speaker.CALLER),)

    # ---- Tools ----

    def _tool_call(self, message: dict[str, Any]) -> Effects:
        body = _body(message, "client_tool_call")
        name, call_id = _text(body, "tool_name"), self._call_id(body, b"client_tool_call")
        if self._is_cut:
            most = limits.MESSAGE_WHOLE_BYTES
            return (CallTool(name, call_id, {}, f"The call has more than {most} bytes."),)
        parameters = parameters_of(body.get("parameters"))
        if parameters is None:
            return (CallTool(name, call_id, {}, "The parameters must be a JSON object."),)
        return (CallTool(name, call_id, parameters),)

    def _call_id(self, body: dict[str, Any], outer: bytes) -> Id:
        """The id of a tool's call, as it has to go back; empty where there is none."""
        value = body.get("tool_call_id")
        if isinstance(value, str):
            return value if len(value) <= limits.ID_CHARACTERS else ""
        raw = _core.find_json(self._message, outer, b"tool_call_id")
        is_none = raw in (b"", b"null") or len(raw) > limits.ID_CHARACTERS
        return "" if is_none else Verbatim(raw)

    def _server_tool(self, message: dict[str, Any]) -> Effects:
        """The service calls a tool of its own, or has run it."""
        body = _body(message, str(message["type"]))
        name, is_error = _text(body, "tool_name"), bool(body.get("is_error"))
        if name in ENDING_TOOLS and not is_error:
            self.ending_tool = name
        elif name == self.ending_tool:
            self.ending_tool = ""  # it has failed
        debug = _debug(f"tool of the service: ServerTool({name=}, {is_error=})")
        state = _TOOL_STATES.get(str(message["type"]))
        if state is None or _text(body, "tool_type") == "client":
            return debug  # of what is carried out here the toolbox tells
        state = ToolState.FAILED if is_error and state is ToolState.DONE else state
        return (*debug, ToolNews(name, _text(body, "tool_call_id"), state))

    def _mcp_call(self, message: dict[str, Any]) -> Effects:
        """Refuse what waits for an approval; without an answer the agent would wait for minutes.

        Nobody on the telephone can approve a tool. An agent that may use it there needs it approved
        in its settings.
        """
        body = _body(message, "mcp_tool_call")
        if _text(body, "state") != "awaiting_approval":
            return ()
        call_id = self._call_id(body, b"mcp_tool_call")
        if call_id in self._approvals:
            return ()  # asked again
        self._approvals.append(call_id)
        told = f"MCP tool {_text(body, 'tool_name')} wants an approval: refused"
        return (Log(Level.NOTICE, told, "approvals"), Send(mcp_approval(call_id, approved=False)))

    # ---- Errors ----

    def _error(self, message: dict[str, Any]) -> Effects:
        body = _body(message, "error_event")
        kind = _text(body, "error_type") or _text(body, "error_name")
        words = [kind, _text(body, "message") or _text(message, "message"), _text(body, "reason")]
        told = ": ".join(dict.fromkeys(word for word in words if word))
        return self._reported(ServiceError(told or "an error without words", kind))

    def _reported(self, error: ServiceError) -> Effects:
        self.last_error = error
        told = f"the service reports: {error.message}"
        # Audio that comes now has survived it, so it is not to be taken unseen.
        return (Log(Level.WARNING, told, "errors that the service reports"), AskFirst())

    # ---- State ----

    def _metadata(self, message: dict[str, Any]) -> Effects:
        body = _event_body(message)
        agent = _text(body, "agent_output_audio_format")
        caller = _text(body, "user_input_audio_format")
        if self._formats is not None:
            return self._formats_again(*self._formats, agent, caller)
        self._formats = (agent or DEFAULT_FORMAT, caller or DEFAULT_FORMAT)
        told_id = _text(body, "conversation_id")
        metadata = Metadata(conversation_id(told_id), *self._formats)
        wrong_id: Effects = ()
        if told_id != metadata.conversation_id:
            wrong_id = (Log(Level.WARNING, f"a conversation's id that is none: {told_id}"),)
        early = self._early.take()
        if self.admission.enter():
            hold = (PlayHold(play.audio_base64) for play in early)
            return (*wrong_id, metadata, *self.admission.wait(), *hold)
        return (*wrong_id, metadata, *(self.admission.admit() if early else ()), *early)

    def _formats_again(self, speaks: str, hears: str, agent: str, caller: str) -> Effects:
        """A second metadata. The formats of a call stay: channel and queues are made for them."""
        self._speaks_otherwise = (agent or speaks) != speaks
        changes = []
        if self._speaks_otherwise:
            changes.append(f"it speaks {agent} now, not {speaks}, and is not heard any more")
        if (caller or hears) != hears:
            changes.append(f"it is to hear {caller} now, and goes on to hear {hears}")
        if not changes:
            return ()
        told = f"the service changes the agent's formats in mid-call: {'; '.join(changes)}"
        remedy = "give the agents that it leads to the formats of the first"
        log = (Log(Level.WARNING, f"{told}; {remedy}"),) if self.once("formats") else ()
        return (*log, AskFirst())

    def _ping(self, message: dict[str, Any]) -> Effects:
        body = _event_body(message)
        raw = _core.find_json(self._message, b"ping_event", b"event_id")
        if len(raw) > limits.ID_CHARACTERS or (self._is_cut and raw == b"null"):
            return _unknown("ping with an id that is too long")
        return (Send(pong(Verbatim(raw) if raw else _number(body))), CountPong())

    def _queue_status(self, message: dict[str, Any]) -> Effects:
        status = _text(_event_body(message), "status")
        news = _news("queue_status", status)
        if status == "timed_out":
            news = self._reported(ServiceError(QUEUE_TIMED_OUT, "queue_timed_out"))
        return (*news, *self.admission.told(status))

    def _guardrail(self, message: dict[str, Any]) -> Effects:
        return _news("guardrail_triggered", _text(_event_body(message), "guardrail_name"))

    def _dtmf_request(self, message: dict[str, Any]) -> Effects:
        body = _event_body(message) or _body(message, "dtmf_request") or message
        digits = next(filter(None, (_text(body, name) for name in DIGIT_KEYS)), "")
        return _news("dtmf_request", digits_for_log(digits))  # perhaps those of the caller's

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
    told = f"the service tells: {kind} {text}".strip()
    return (Log(Level.NOTICE, told, f"{kind} of the service"),)


def _unknown(kind: str) -> Effects:
    return (CountUnknown(), Log(Level.DEBUG, f"ignored: {cut(kind, limits.MAX_TEXT_CHARACTERS)}"))


_TOOL_STATES = {
    "agent_tool_request": ToolState.CALLED,
    "agent_tool_response": ToolState.DONE,
}

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
    "conversation_history": (EffectKind.NONE, Conversation._nothing),
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
    "tentative_user_transcript": (EffectKind.TRANSCRIPT, Conversation._tentative_transcript),
    "user_transcript": (EffectKind.TRANSCRIPT, Conversation._user_transcript),
    "vad_score": (EffectKind.NONE, Conversation._nothing),
}
"""Every message of the service that is known: the kind of its effects, and what reads it."""
