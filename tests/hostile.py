"""Messages that no service should send, and after each of which the call goes on.

For the engine alone and for real calls. Audio in them is what must not be heard.
"""

from __future__ import annotations

import json
from typing import Any


def _message(kind: str, body_key: str = "", body: Any = None, **more: Any) -> str:
    return json.dumps({"type": kind} | ({body_key: body} if body_key else {}) | more)


def _nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def _call(**more: Any) -> str:
    return _message("client_tool_call", "client_tool_call", {"tool_name": "none"} | more)


IDS = (
    "-1",
    "1e3",
    "1E400",
    "18446744073709551616",
    "9" * 40,
    '"x\\n"',
    "null",
    "true",
    "[1,{}]",
    '"\\ud83d"',
)
"""As JSON."""

PINGS = {
    **{
        f"ping {event_id}": f'{{"type":"ping","ping_event":{{"event_id":{event_id}}}}}'
        for event_id in IDS
    },
    "ping nested": f'{{"type":"ping","ping_event":{{"event_id":{_nested(300)}}}}}',
}
"""Each is owed a pong."""

OTHERS = {
    "nothing": "",
    "a word": "null",
    "half a message": '{"type":"ping"',
    "a list": "[1, 2]",
    "no type": "{}",
    "a type that is no text": '{"type":{"type":"ping"}}',
    "an unknown type": _message("x" * 5000),
    "control characters": _message("\x1b[31m\r\n\u202e\u2028"),
    "twice": '{"type":"vad_score","type":"interruptions","type":"vad_score"}',
    "300 deep": f'{{"type":"agent_response","agent_response_event":{_nested(300)}}}',
    "1000 deep": f'{{"type":"agent_response","agent_response_event":{_nested(1000)}}}',
    "10000 deep": f'{{"type":"agent_response","agent_response_event":{_nested(10_000)}}}',
    "half an emoji": '{"type":"user_transcript","user_transcription_event":{"x":"\\ud83d"}}',
    "a number beyond all bounds": '{"type":"vad_score","vad_score_event":{"vad_score":1e999}}',
    "a ping's id too long": f'{{"type":"ping","ping_event":{{"event_id":{"1" * 100_000}}}}}',
    "bodies that are none": _message("agent_response", "agent_response_event", [1]),
    "texts that are none": _message(
        "user_transcript", "user_transcription_event", {"user_transcript": {"a": 1}}
    ),
    "long text": _message(
        "agent_response", "agent_response_event", {"agent_response": "\u00e9 " * 200_000}
    ),
    "long name": _message(
        "agent_tool_response", "agent_tool_response", {"tool_name": "y" * 300_000}
    ),
    "many lists": f'{{"type":"rich_content","rich_content":[{"[]," * 400_000}[]]}}',
    "many members": "{" + ",".join(f'"k{n}":{n}' for n in range(50_000)) + ',"type":"vad_score"}',
    "a call without an id": _call(parameters={}),
    "a call with a number for an id": _call(tool_call_id=7, parameters={}),
    "a call with a list for parameters": _call(tool_call_id="l", parameters=[1]),
    "a call with null for parameters": _call(tool_call_id="n", parameters=None),
    "a call with text for parameters": _call(tool_call_id="t", parameters='{"a": '),
    "a call with an id too long": _call(tool_call_id="i" * 5000, parameters={}),
    "a call too long": _call(tool_call_id="long", parameters={"a": "b" * 100_000}),
    "an approval without an id": _message(
        "mcp_tool_call", "mcp_tool_call", {"state": "awaiting_approval"}
    ),
    "an interruption without an id": _message(
        "interruption", "interruption_event", {"event_id": None}
    ),
    "audio that is none": _message(
        "audio", "audio_event", {"audio_base_64": "????", "event_id": 1}
    ),
    "audio with letters": _message(
        "audio", "audio_event", {"audio_base_64": "\u00e9" * 4, "event_id": 1}
    ),
    "audio that is no text": _message(
        "audio", "audio_event", {"audio_base_64": [1], "event_id": 1}
    ),
    "audio that is one character": _message(
        "audio", "audio_event", {"audio_base_64": "A", "event_id": 1}
    ),
    "an error": _message("error", "error_event", {"message": "odd\r\n" * 1000, "error_type": [1]}),
    "the queue": _message("queue_status", "queue_status_event", {"status": 7}),
    "servers that are none": _message(
        "mcp_connection_status",
        "mcp_connection_status",
        {"integrations": [{"is_connected": False}] * 500},
    ),
}
"""Nothing is owed for these but results of tools."""

ALL = PINGS | OTHERS
