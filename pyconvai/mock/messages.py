"""Server-to-client messages as dictionaries, one function per type. Shapes only, no behaviour."""

from __future__ import annotations

import json
from typing import Any

EventId = int | str
Message = dict[str, Any]


def dump(message: object) -> str:
    """Compact JSON text."""
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False)


def metadata(conversation_id: str, output_format: str, input_format: str) -> Message:
    """The first message of every conversation."""
    return {
        "type": "conversation_initiation_metadata",
        "conversation_initiation_metadata_event": {
            "conversation_id": conversation_id,
            "agent_output_audio_format": output_format,
            "user_input_audio_format": input_format,
        },
    }


def audio_text(base64_text: str, event_id: EventId) -> str:
    """An audio message as JSON text, built by hand: it is by far the most frequent one."""
    identifier = f'"{event_id}"' if isinstance(event_id, str) else event_id
    return (
        f'{{"type":"audio","audio_event":{{"audio_base_64":"{base64_text}",'
        f'"event_id":{identifier}}}}}'
    )


def audio_final(event_id: EventId) -> Message:
    """The empty chunk that ends a response."""
    event = {"audio_base_64": "", "event_id": event_id, "is_final": True}
    return {"type": "audio", "audio_event": event}


def agent_response(text: str, event_id: EventId) -> Message:
    """Full text of the agent's turn."""
    event = {"agent_response": text, "event_id": event_id}
    return {"type": "agent_response", "agent_response_event": event}


def agent_response_correction(original: str, heard: str, event_id: EventId) -> Message:
    """What of an interrupted turn was said."""
    event = {
        "original_agent_response": original,
        "corrected_agent_response": heard,
        "event_id": event_id,
    }
    return {"type": "agent_response_correction", "agent_response_correction_event": event}


def agent_response_complete(event_id: EventId) -> Message:
    """The agent has generated all of its turn."""
    return {
        "type": "agent_response_complete",
        "agent_response_complete_event": {"event_id": event_id},
    }


def interruption(event_id: EventId) -> Message:
    """The caller barged in."""
    return {"type": "interruption", "interruption_event": {"event_id": event_id}}


def user_transcript(text: str, event_id: EventId, tentative: bool = False) -> Message:
    """What the caller said."""
    name = "tentative_user_transcript" if tentative else "user_transcript"
    body = "tentative_user_transcription_event" if tentative else "user_transcription_event"
    return {"type": name, body: {"user_transcript": text, "event_id": event_id}}


def ping(event_id: EventId, ping_ms: int | None) -> Message:
    """Latency probe; ``ping_ms`` is always present because one official client needs the key."""
    return {"type": "ping", "ping_event": {"event_id": event_id, "ping_ms": ping_ms}}


def client_tool_call(
    name: str, call_id: str, parameters: Message, event_id: EventId, expects: bool | None
) -> Message:
    """A tool call for the client; ``expects`` None leaves ``expects_response`` out."""
    call: Message = {
        "tool_name": name,
        "tool_call_id": call_id,
        "parameters": parameters,
        "event_id": event_id,
    }
    if expects is not None:
        call["expects_response"] = expects
    return {"type": "client_tool_call", "client_tool_call": call}


def agent_tool_request(name: str, call_id: str, kind: str, event_id: EventId) -> Message:
    """A tool is about to run; ``kind``: client, system, webhook or mcp."""
    request = {"tool_name": name, "tool_call_id": call_id, "tool_type": kind, "event_id": event_id}
    return {"type": "agent_tool_request", "agent_tool_request": request}


def agent_tool_response(
    name: str, call_id: str, kind: str, is_error: bool, event_id: EventId
) -> Message:
    """A tool's outcome as other parts of the service see it."""
    return {
        "type": "agent_tool_response",
        "agent_tool_response": {
            "tool_name": name,
            "tool_call_id": call_id,
            "tool_type": kind,
            "is_error": is_error,
            "is_called": True,
            "event_id": event_id,
        },
    }


def queue_status(status: str) -> Message:
    """Where a caller stands who waits for a free agent: waiting, admitted, timed_out."""
    return {"type": "queue_status", "queue_status_event": {"status": status}}


def vad_score(score: float) -> Message:
    """How sure the service is that it hears speech, 0 to 1."""
    return {"type": "vad_score", "vad_score_event": {"vad_score": score}}


def error(shape: str, code: int, error_type: str, text: str) -> Message:
    """An error in one of the three shapes seen in the wild: client_error, error, text."""
    if shape == "text":
        return {"type": "error", "message": f"received {code} {text}"}
    if shape == "client_error":
        event: Message = {"code": code, "error_name": error_type, "message": text}
        return {"type": "client_error", "error_event": event}
    event = {"code": code, "message": text, "error_type": error_type, "reason": text}
    return {"type": "error", "error_event": event}
