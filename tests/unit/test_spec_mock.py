"""What the mock says conforms to the service's own descriptions, except for ordered faults."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from pyconvai.mock import MockAgent, messages
from pyconvai.mock.audio import FORMATS
from pyconvai.mock.faults import CATALOGUE, LARGE
from pyconvai.mock.scenario import _ALL_EVENTS as ALL_EVENTS
from tests.specs.schemas import FILES, faults
from tests.timing import PROGRAM, SECOND
from tests.unit.mock_client import LENIENT, tone

ULAW = FORMATS["ulaw_8000"]
LISTEN_SECONDS = {"silence": 2 * SECOND}  # to an agent that never hangs up; to others PROGRAM
BYE = {"wait_ms": 0, "say": {"text": "Goodbye.", "sound": "noise:3:100"}, "end": True}

QUIET: dict[str, Any] = {
    "format": "ulaw_8000",
    "first_message": {"text": "Hello.", "sound": "noise:1:200"},
    "turns": [BYE],
    "turn_taking": {"end_of_turn_ms": 200, "barge_in_ms": 100},
    "chunk_ms": 50,
    "ping_interval_ms": 50,
    "client_events": list(ALL_EVENTS),
}
EVENTFUL: dict[str, Any] = {
    **QUIET,
    "is_final": True,
    "first_message": {"text": "one two three four", "sound": "noise:1:20000"},
    "turns": [
        {"tool": {"name": "add", "parameters": {"a": 1}}, "say_after_tool": "{{tool_result}}"},
        {"wait_ms": 0, "tool": {"name": "tell", "expects_response": False}},
        {"wait_ms": 0, "transfer": "200"},
        BYE,
    ],
}


class Caller:
    """Interrupts the greeting, answers pings and tool calls, and keeps all that it is told.

    It reads on, whatever it is told: what is wrong is not its to say.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self.said: list[str | bytes] = []
        self._socket = socket

    async def listen(self) -> None:
        """Until the mock closes."""
        await self._send(type="conversation_initiation_client_data")
        talking = asyncio.create_task(self._talk())
        try:
            async for message in self._socket:
                self.said.append(message)
                with contextlib.suppress(ValueError, TypeError):
                    await self._answer(json.loads(message))
        finally:
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)

    async def _answer(self, message: dict[str, Any]) -> None:
        if "ping_event" in message:
            await self._send(type="pong", event_id=message["ping_event"]["event_id"])
        if "client_tool_call" in message:
            call_id = message["client_tool_call"]["tool_call_id"]
            answer = {"tool_call_id": call_id, "result": "3", "is_error": False}
            await self._send(type="client_tool_result", **answer)

    async def _talk(self) -> None:
        """Silence, half a second of a tone, silence, in mu-law and in real time."""
        voice = tone(3000, ULAW)
        for at in itertools.count(0, 160):
            audio = voice[at : at + 160] if 1600 <= at < 5600 else ULAW.silence * 160
            await self._send(user_audio_chunk=base64.b64encode(audio).decode())
            await asyncio.sleep(0.02)

    async def _send(self, **message: Any) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self._socket.send(json.dumps(message))


async def converse(mock: MockAgent, agent_id: str) -> list[str | bytes]:
    """All that an agent says."""
    url = f"ws{mock.url[4:]}/v1/convai/conversation?agent_id={agent_id}"
    async with connect(url, open_timeout=PROGRAM, close_timeout=SECOND) as socket:
        caller = Caller(socket)
        with contextlib.suppress(TimeoutError, ConnectionClosed):
            async with asyncio.timeout(LISTEN_SECONDS.get(agent_id, PROGRAM)):
                await caller.listen()
    return caller.said


def against(said: list[str | bytes]) -> list[str]:
    """What is wrong with these messages."""
    found = []
    for message in said:
        try:
            document = json.loads(message)
        except ValueError as error:
            found.append(str(error))
            continue
        found += faults("server", document) if isinstance(document, dict) else ["no object"]
    return found


def kinds(said: list[str | bytes]) -> set[str]:
    return {json.loads(message)["type"] for message in said}


OLD_TOOL = {"name": "x", "expects_response": "absent"}
# What the agent's configuration changes about its messages.
MANNERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "equal-reply": {"reply_id": "equal"},
    "same-id": {"interruption_id": "same"},
    "zero-ids": {"event_ids": "zero"},
    "tiny-chunks": {"chunk_bytes": 1, "first_message": {"text": "Hm.", "sound": "noise:1:50"}},
    "at-once": {"pace": 0},
    "fragments": {"fragment_bytes": 7},
    "old-tool": {"turns": [{"wait_ms": 0, "tool": OLD_TOOL}, BYE]},
    "short": {"max_duration_s": 0.5, "turns": []},
}


# Faults that send something, and what they need to do so.
SENDING: dict[str, dict[str, Any]] = {
    "error:client_error": {"shape": "client_error"},
    "error:error": {"shape": "error", "error_type": "llm_timeout"},
    "error:text": {"shape": "text"},
    "flood:ping": {"type": "ping", "count": 5},
    "flood:audio": {"type": "audio", "count": 2},
    "flood:vad_score": {"type": "vad_score", "count": 5},
    "flood:unknown": {"type": "unknown", "count": 5},
    "send:text": {"text": "[1, 2]"},
    "send:message": {"message": {"type": "audio"}},
    **{f"large_message:{what}": {"what": what, "bytes": 20_000} for what in LARGE},
    "response_again": {"stage": "greeting"},
    "metadata_partial": {"stage": "init"},
    "metadata_missing": {"stage": "init"},
    "audio": {"stage": "greeting", "sound": "noise:9:100"},
    "tool_call_again": {"stage": "tool"},
    "delay": {"ms": 50},
}
# The faults that consist in a message outside the protocol. queue_status is no fault, but a
# message that only the service's own widget knows.
DELIBERATE = {
    "error:text",
    "flood:unknown",
    "send:text",
    "send:message",
    "large_message:unknown",
    "large_message:lists",
    "metadata_partial",
    "queue_status",
    "binary",
    "unknown_type",
    "no_type",
    "not_json",
    "old_audio",
    "bad_base64",
}


# Each fault of a conversation, in each of its forms.
CASES = [
    case
    for name in CATALOGUE
    if name != "http_status"
    for case in sorted(key for key in SENDING if key.partition(":")[0] == name) or [name]
]


def faulty(case: str) -> dict[str, Any]:
    """An agent with that fault."""
    fault = {"name": case.partition(":")[0], "stage": "metadata"} | SENDING.get(case, {})
    tool = {"wait_ms": 0, "tool": {"name": "x"}}
    return QUIET | {"faults": [fault], "turns": [tool, BYE] if fault["stage"] == "tool" else [BYE]}


Said = dict[str, list[str | bytes]]


@pytest.fixture(scope="module")
def said() -> Said:
    """What each agent says in a conversation of its own; all at the same time."""
    agents = {f"manner:{name}": EVENTFUL | keys for name, keys in MANNERS.items()}
    agents |= {f"format:{name}": QUIET | {"format": name} for name in FORMATS}
    agents |= {case: faulty(case) for case in CASES}
    agents["text-ids"] = QUIET | {"event_ids": "text"}

    async def run() -> Said:
        async with MockAgent({"agents": agents, "limits": LENIENT}) as mock:
            heard = await asyncio.gather(*(converse(mock, name) for name in agents))
        return dict(zip(agents, heard, strict=True))

    return asyncio.run(run())


@pytest.mark.parametrize("manner", MANNERS)
def test_an_eventful_call(said: Said, manner: str) -> None:
    assert against(said[f"manner:{manner}"]) == []


@pytest.mark.parametrize("name", FORMATS)
def test_every_format(said: Said, name: str) -> None:
    messages_of = said[f"format:{name}"]
    assert against(messages_of) == []
    first = json.loads(messages_of[0])["conversation_initiation_metadata_event"]
    assert first["agent_output_audio_format"] == first["user_input_audio_format"] == name


@pytest.mark.parametrize("case", CASES)
def test_faults(said: Said, case: str) -> None:
    """A fault is a message outside the protocol only where that is the very fault."""
    found = against(said[case])
    assert bool(found) == (case in DELIBERATE), "\n".join(found)


def test_text_ids_are_the_one_manner_outside_the_protocol(said: Said) -> None:
    """No description has them; clients should put up with them."""
    found = [against([message]) for message in said["text-ids"]]
    assert any(found)
    assert all("is not of type 'integer'" in "\n".join(lines) for lines in found if lines)


def test_queue_status_is_in_no_description() -> None:
    """Once one of them has it, it must be held against that."""
    for status in ("waiting", "admitted", "timed_out"):
        assert len(faults("server", messages.queue_status(status))) == len(FILES)


def test_every_kind_that_the_mock_can_say_was_heard(said: Said) -> None:
    """A kind of message that is added to the mock must be added to these tests."""
    source = Path(messages.__file__).read_text(encoding="utf-8")
    known = set(re.findall(r'"type": ?"(\w+)"', source))
    heard = {kind for case in said if case not in DELIBERATE for kind in kinds(said[case])}
    assert kinds(said["manner:plain"]) == set(ALL_EVENTS), "it may send everything, and does"
    assert known | set(ALL_EVENTS) == heard | {"queue_status"}
