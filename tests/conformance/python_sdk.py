"""One conversation with the official Python client; the last line of output is its result.

python_sdk.py BASE_URL AGENT_ID public|signed|said
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from elevenlabs.client import ElevenLabs
from elevenlabs.conversational_ai.conversation import (
    AudioInterface,
    ClientTools,
    Conversation,
    ConversationInitiationData,
)
from elevenlabs.core.api_error import ApiError

CHUNK_S = 0.25  # what the client recommends
RATE = 16000
DISCONNECT_LIMIT_S = 5.0
OVERRIDDEN = "Another greeting."
SAY_AFTER_S = 0.5
GREETING_BYTES = 19200
ENDING_BYTES = 2 * 19200  # what is said after the interruption
# Seconds from the agent's text to the caller's next words; the second one interrupts.
SPEAK_AFTER = {"Greeting.": 0.9, "A long answer.": 1.0, "The sum is 5.": 0.9}


def tone(seconds: float) -> bytes:
    """A loud 440 Hz tone: speech, as far as the mock's ears go."""
    count = int(seconds * RATE)
    samples = (int(9000 * math.sin(2 * math.pi * 440 * n / RATE)) for n in range(count))
    return struct.pack(f"<{count}h", *samples)


class Line(AudioInterface):  # type: ignore[misc]
    """Microphone and loudspeaker."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.interrupts = 0
        self._queue = bytearray()
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def start(self, input_callback: Callable[[bytes], None]) -> None:
        threading.Thread(target=self._talk, args=(input_callback,), daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def output(self, audio: bytes) -> None:
        self.heard += audio

    def interrupt(self) -> None:
        self.interrupts += 1

    def say(self, data: bytes) -> None:
        with self._lock:
            self._queue += data

    def _talk(self, send: Callable[[bytes], None]) -> None:
        size = int(CHUNK_S * RATE) * 2
        due = time.monotonic()
        while not self._stopped.is_set():
            with self._lock:
                data = bytes(self._queue[:size])
                del self._queue[:size]
            send(data.ljust(size, b"\0"))
            due += CHUNK_S
            self._stopped.wait(max(0.0, due - time.monotonic()))


def main(base_url: str, agent_id: str, mode: str) -> dict[str, Any]:
    """The conversation as the client saw it."""
    line = Line()
    seen: dict[str, Any] = {"responses": [], "transcripts": [], "corrections": [], "tools": []}

    def say_all() -> None:
        conversation.send_contextual_update("The caller is new.")
        conversation.register_user_activity()
        conversation.send_user_message("hello")

    def response(text: str) -> None:
        seen["responses"].append(text)
        if text == OVERRIDDEN:
            threading.Timer(SAY_AFTER_S, say_all).start()
        if text in SPEAK_AFTER:
            threading.Timer(SPEAK_AFTER[text], line.say, [tone(0.75)]).start()

    def add(parameters: dict[str, Any]) -> str:
        seen["tools"].append({key: parameters[key] for key in ("a", "b")})
        return str(parameters["a"] + parameters["b"])

    ended = threading.Event()

    def disconnected(details: Any) -> None:
        seen["closed"] = vars(details)
        ended.set()

    tools = ClientTools()
    tools.register("add", add)
    conversation = Conversation(
        ElevenLabs(api_key="test-key", base_url=base_url),
        agent_id,
        user_id="caller-42",
        requires_auth=mode != "public",
        audio_interface=line,
        client_tools=tools,
        config=ConversationInitiationData(
            dynamic_variables={"caller_number": "0123"},
            conversation_config_override={"agent": {"first_message": OVERRIDDEN}}
            if mode == "said"
            else {},
        ),
        callback_agent_response=response,
        callback_agent_response_correction=lambda old, new: seen["corrections"].append([old, new]),
        callback_user_transcript=seen["transcripts"].append,
        callback_latency_measurement=lambda ms: seen.setdefault("latencies", []).append(ms),
        callback_disconnect=disconnected,
    )
    try:
        conversation.start_session()
        seen["conversation_id"] = conversation.wait_for_session_end()
        # The audio thread may be the one that notices the close, and tells it a little later.
        ended.wait(DISCONNECT_LIMIT_S)
    except ApiError as error:
        seen["http_status"] = error.status_code
    seen["interrupts"] = line.interrupts
    seen["heard_bytes"] = len(line.heard)
    seen["greeting"] = hashlib.sha256(line.heard[:GREETING_BYTES]).hexdigest()
    seen["ending"] = hashlib.sha256(line.heard[-ENDING_BYTES:]).hexdigest()
    return seen


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])), flush=True)
