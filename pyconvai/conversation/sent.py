"""What the client says: a function for each message. No I/O."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import orjson

from .. import __version__
from ..service.settings import Call
from .effects import Id, Verbatim

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
    return orjson.dumps(message).decode(errors="replace")  # what is verbatim may be no UTF-8


def _as_it_came(value: int | Id) -> Any:
    return orjson.Fragment(value.json) if isinstance(value, Verbatim) else value


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


def pong(event_id: int | Verbatim) -> str:
    """The answer to a ping."""
    return _encode({"type": "pong", "event_id": _as_it_came(event_id)})


def tool_result(call_id: Id, result: str, *, is_error: bool) -> str:
    """The answer to a tool call."""
    return _encode(
        {
            "type": "client_tool_result",
            "tool_call_id": _as_it_came(call_id),
            "result": result,
            "is_error": is_error,
        }
    )


def mcp_approval(call_id: Id, *, approved: bool) -> str:
    """The answer to an MCP tool that waits for somebody's approval."""
    return _encode(
        {
            "type": "mcp_tool_approval_result",
            "tool_call_id": _as_it_came(call_id),
            "is_approved": approved,
        }
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
