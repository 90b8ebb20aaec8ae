"""The misbehaviour a scenario can order, by name and stage. Data only; session.py acts it out.

A fault is looked up when a conversation reaches its stage, so the same few actions cover every
moment of a call.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .audio import FORMATS
from .table import Table

# Stages of a conversation, in order. Those of HTTP come before the 101; the last of them, in which
# the service is asked for the agent's settings, belongs to no conversation.
HTTP_STAGES = ("signed_url", "handshake", "settings")
SOCKET_STAGES = (
    "open",  # right after the 101, before the client's first message is read
    "init",  # the client's initiation has come, metadata has not been sent
    "queue",  # the caller has been told to wait, and hears hold audio
    "metadata",  # right after the metadata; of a queued call, after its admission
    "greeting",  # half of the first message's audio has been sent
    "caller",  # the caller has begun to speak
    "turn",  # half of an answer's audio has been sent
    "interruption",  # right after an interruption was sent
    "tool",  # right after a tool call was sent
    "farewell",  # half of the last sentence's audio has been sent
    "end",  # where the normal close would come
)
STAGES = HTTP_STAGES + SOCKET_STAGES

_HTTP = "HTTP"
_SOCKET = "socket"

# name -> (where it can happen, its own keys, one line of help). The help is printed by --faults.
CATALOGUE: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "http_status": (
        (_HTTP,),
        ("status", "body", "location"),
        "answer with this status; body: a name from BODIES or literal text",
    ),
    "delay": ((_HTTP, _SOCKET), ("ms",), "do everything this much later"),
    "silence": ((_HTTP, _SOCKET), (), "say nothing more, but keep the connection and read on"),
    "stop_reading": ((_SOCKET,), (), "read nothing more, so that the client's buffers fill"),
    "reset": ((_HTTP, _SOCKET), (), "TCP reset without a close frame"),
    "drop": ((_SOCKET,), (), "end of the TCP stream (FIN) without a close frame"),
    "close": ((_SOCKET,), ("code", "reason"), "close the socket with code and reason"),
    "send": ((_SOCKET,), ("text", "message"), "send this text, or this table as JSON"),
    "binary": ((_SOCKET,), ("bytes",), "send a binary frame"),
    "unknown_type": ((_SOCKET,), (), "send a message of an unknown type"),
    "no_type": ((_SOCKET,), (), "send a message without a type"),
    "not_json": ((_SOCKET,), (), "send text that is not JSON"),
    "large_message": (
        (_SOCKET,),
        ("bytes", "fragments", "what"),
        "send a message of this size, optionally in fragments; what: unknown, lists,"
        " agent_response, user_transcript, tool_result, error",
    ),
    "error": (
        (_SOCKET,),
        ("shape", "code", "error_type", "text"),
        "send an error in one of three shapes: client_error, error, text",
    ),
    "queue_status": ((_SOCKET,), ("status",), "send queue_status: waiting, admitted, timed_out"),
    "metadata_missing": ((_SOCKET,), (), "go on without ever sending metadata (stage init)"),
    "metadata_partial": ((_SOCKET,), (), "send metadata without formats (stage init)"),
    "metadata_twice": ((_SOCKET,), (), "send metadata a second time"),
    "bad_base64": ((_SOCKET,), (), "send audio that is not base64"),
    "half_sample": ((_SOCKET,), (), "send one byte of audio, half a PCM sample"),
    "old_audio": ((_SOCKET,), ("ms",), 'send audio in the shape of 2024: {"audio":{"chunk":…}}'),
    "audio": (
        (_SOCKET,),
        ("offset", "sound"),
        "send audio whose event_id is the newest one plus offset (-1: stale, 0: equal)",
    ),
    "flood": (
        (_SOCKET,),
        ("count", "type"),
        "send many messages: ping, unknown, vad_score, audio, error",
    ),
    "ping": ((_SOCKET,), ("event_id",), "send a ping with this event_id (number or text)"),
    "response_again": ((_SOCKET,), (), "send the last agent_response again, with its response_id"),
    "metadata_other": (
        (_SOCKET,),
        ("format",),
        "send a second metadata that names this format for both ways",
    ),
    "tool_call_again": ((_SOCKET,), (), "send the tool call a second time with the same id"),
}

BODIES: dict[str, str] = {
    "invalid_key": '{"detail":{"type":"authentication_error","code":"invalid_api_key",'
    '"status":"invalid_api_key","message":"Invalid API key","request_id":"mock","param":null}}',
    "legacy_key": '{"detail":{"status":"invalid_api_key","message":"Invalid API key"}}',
    "missing_permissions": '{"detail":{"status":"missing_permissions","message":'
    '"The API key you used is missing the permission convai_read to execute this operation."}}',
    "agent_not_found": '{"detail":{"status":"document_not_found","code":"agent_not_found",'
    '"message":"Agent with ID \'{agent_id}\' not found."}}',
    "tool_not_found": '{"detail":{"status":"tool_not_found",'
    '"message":"Document with id {agent_id} not found."}}',
    "validation": '{"detail":[{"loc":["query","agent_id"],"msg":"Field required",'
    '"type":"missing"}]}',
    "rate_limit": '{"detail":{"type":"rate_limit_error","code":"rate_limit_exceeded",'
    '"status":"rate_limit_exceeded","message":"Too many requests","request_id":"mock",'
    '"param":null}}',
    "concurrent_limit": '{"detail":{"type":"rate_limit_error","code":"concurrent_limit_exceeded",'
    '"status":"too_many_concurrent_requests","message":"Too many concurrent requests",'
    '"request_id":"mock","param":null}}',
    "plain": '{"detail":"Not Found"}',
    "html": "<html><body><h1>502 Bad Gateway</h1></body></html>",
    "empty": "",
    "cut": '{"signed_url":"wss://',
    "no_url": '{"signed_url":null}',
}

# What an http_status fault says when the scenario gives no body.
DEFAULT_BODY = {
    401: "invalid_key",
    403: "missing_permissions",
    404: "agent_not_found",
    422: "validation",
    429: "rate_limit",
}

LARGE = ("unknown", "lists", "agent_response", "user_transcript", "tool_result", "error")
"""What a large message can be."""

_CHOICES = {
    "what": LARGE,
    "shape": ("client_error", "error", "text"),
    "status": ("waiting", "admitted", "timed_out"),
    "type": ("ping", "unknown", "vad_score", "audio", "error"),
}
_INTEGERS = {"ms", "code", "bytes", "fragments", "offset", "count"}


@dataclass(frozen=True)
class Fault:
    """One ordered misbehaviour.

    ``turn``: for the stages of answers, which one (1 is the first; 0 means each). ``times``: how
    many sessions (or requests) of the agent it befalls; 0 means all.
    """

    name: str
    stage: str
    turn: int = 0
    times: int = 0
    after_ms: int = 0
    options: dict[str, Any] = field(default_factory=dict)

    def integer(self, key: str, default: int) -> int:
        """An option that is a number."""
        return int(self.options.get(key, default))

    def text(self, key: str, default: str = "") -> str:
        """An option that is text."""
        return str(self.options.get(key, default))


def parse_fault(table: Table) -> Fault:
    """A ``[[…faults]]`` table. Raises ScenarioError."""
    name = table.text("name", choices=tuple(CATALOGUE))
    if not name:
        raise table.error("name", f"missing; allowed: {', '.join(CATALOGUE)}")
    places, keys, _ = CATALOGUE[name]
    stages = (HTTP_STAGES if _HTTP in places else ()) + (SOCKET_STAGES if _SOCKET in places else ())
    stage = table.text("stage", choices=stages)
    if not stage:
        raise table.error("stage", f"missing; allowed for {name}: {', '.join(stages)}")
    fault = Fault(
        name=name,
        stage=stage,
        turn=table.integer("turn", 0),
        times=table.integer("times", 0),
        after_ms=table.integer("after_ms", 0),
        options={key: _option(table, name, key) for key in keys if table.has(key)},
    )
    table.finish()
    return fault


def _option(table: Table, name: str, key: str) -> Any:
    if key == "status" and name == "http_status":
        return table.integer(key, 500, 100, 599)
    if key == "format":
        return table.text(key, choices=tuple(FORMATS))
    if key in _CHOICES:
        return table.text(key, choices=_CHOICES[key])
    if key == "code":
        return table.integer(key, 1000, 1000, 4999)
    if key in _INTEGERS:
        return table.integer(key, 0, -1000, 64 << 20)
    if key == "event_id":
        return table.raw(key)
    if key == "message":
        return table.raw(key)
    return table.text(key)
