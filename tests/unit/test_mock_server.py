"""Conversations with the mock over real sockets on loopback."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from pyconvai.mock import MockAgent
from pyconvai.mock.audio import FORMATS, noise
from pyconvai.mock.record import Record
from pyconvai.mock.scenario import Scenario, Utterance, load
from pyconvai.mock.voice import read_wav
from tests.unit.mock_client import LENIENT, LIMIT, Client, get, signed_url, tone, until

ULAW = FORMATS["ulaw_8000"]

# Every turn of these agents is short, so that a whole conversation takes about a second.
FAST = {"end_of_turn_ms": 200, "barge_in_ms": 100}
HELLO = {"text": "Hello there, my dear friend.", "sound": "noise:1:400"}
ANSWER = {"text": "An answer of several words.", "sound": "noise:2:400"}
BYE = {"text": "Goodbye.", "sound": "noise:3:300"}


def scenario(**keys: Any) -> dict[str, Any]:
    """One agent for every id: greets, answers once, says goodbye."""
    agent = {
        "format": "ulaw_8000",
        "first_message": HELLO,
        "turns": [{"say": ANSWER}, {"say": BYE, "end": True}],
        "turn_taking": FAST,
        "chunk_ms": 100,
        "ping_interval_ms": 100,
        **keys,
    }
    return {"agents": {"default": agent}, "limits": LENIENT}


@contextlib.asynccontextmanager
async def served(**keys: Any) -> AsyncIterator[MockAgent]:
    async with MockAgent(scenario(**keys), keep_audio=True) as mock:
        yield mock


@contextlib.asynccontextmanager
async def talking(mock: MockAgent, agent_id: str = "any", **options: Any) -> AsyncIterator[Client]:
    async with Client.open(mock.url, agent_id, **options) as client:
        yield client


async def heard_out(mock: MockAgent, client: Client, count: int = 1) -> None:
    """Wait until the agent has spoken so often, and a caller has heard all of it by now."""
    conversation_id = client.metadata["conversation_id"]
    (record,) = [each for each in mock.sessions if each.conversation_id == conversation_id]

    def times() -> int:
        said = [each for each in record.timeline if each["event"] == "agent_audio"]
        return sum("until_ms" in each for each in said)

    await until(lambda: times() >= count)


# --- whole conversations -----------------------------------------------------------------------


def test_a_conversation_from_greeting_to_farewell() -> None:
    async def run() -> None:
        async with served() as mock, talking(mock) as client:
            greeting = (await client.next("agent_response"))["agent_response_event"]
            assert greeting["agent_response"] == HELLO["text"]
            await heard_out(mock, client)
            client.say(tone(300, ULAW))
            heard = (await client.next("user_transcript"))["user_transcription_event"]
            assert heard["user_transcript"] == "(speech, 0.3 s)"
            answer = (await client.next("agent_response"))["agent_response_event"]
            assert answer["event_id"] > heard["event_id"] > greeting["event_id"]
            await heard_out(mock, client, 2)
            client.say(tone(300, ULAW))
            assert await client.closed() == (1000, "")
            assert client.heard(greeting["event_id"]) == noise(1, 400, ULAW)
            assert client.heard(answer["event_id"]) == noise(2, 400, ULAW)
            assert client.heard().endswith(noise(3, 300, ULAW))
            record = await mock.session(0).ended()
        assert record.checks.violations == []
        speakers = [line["speaker"] for line in record.transcript]
        assert speakers == ["agent", "caller", "agent", "caller", "agent"]
        assert (record.closed_by, record.close_code) == ("agent", 1000)
        assert record.sent_ms == record.spoke_ms == 1100
        assert record.heard_speech_ms == pytest.approx(600, abs=60)
        assert b"".join(record.caller_audio).count(tone(300, ULAW)) == 2
        # The last pongs may cross the close.
        assert len(client.pings) - len(record.checks.pong_ms) in range(4)
        assert client.pings[0]["ping_ms"] is None
        assert client.pings[-1]["ping_ms"] is not None

    asyncio.run(run())


# agent -> (its keys, event_id of the interruption, event_id of the reply)
IDS: dict[str, tuple[dict[str, Any], Any, Any]] = {
    "plain": ({}, 2, 3),
    "equal": ({"reply_id": "equal"}, 2, 2),
    "same": ({"interruption_id": "same"}, 1, 2),
    "text": ({"event_ids": "text"}, "2", "3"),
    "zero": ({"event_ids": "zero"}, 0, 0),
}
# A caller who interrupts it within a quarter of it has heard none of its four words.
LONG = {"text": "one two three four", "sound": "noise:1:60000"}
LONG_MS = 60_000


def test_the_caller_interrupts() -> None:
    async def one(mock: MockAgent, name: str) -> None:
        _, interruption, reply = IDS[name]
        async with talking(mock, name) as client:
            greeting = (await client.next("agent_response"))["agent_response_event"]
            client.say(tone(300, ULAW))
            event = await client.next("interruption")
            assert event["interruption_event"] == {"event_id": interruption}
            correction = await client.next("agent_response_correction")
            assert correction["agent_response_correction_event"] == {
                "original_agent_response": LONG["text"],
                "corrected_agent_response": "",
                "event_id": greeting["event_id"],
                "response_id": greeting["response_id"],
            }
            assert len(client.heard()) < ULAW.size(LONG_MS), "not the rest of the greeting"
            answer = (await client.next("agent_response"))["agent_response_event"]
            assert answer["event_id"] == reply

    async def run() -> None:
        base = {**scenario()["agents"]["default"], "first_message": LONG}
        agents = {name: {**base, **keys} for name, (keys, _, _) in IDS.items()}
        async with MockAgent({"agents": agents, "limits": LENIENT}) as mock:
            await asyncio.gather(*(one(mock, name) for name in agents))
        for record in mock.sessions:
            assert record.interruptions == 1
            assert record.transcript[0]["interrupted"] is True
            assert record.spoke_ms < LONG_MS / 4

    asyncio.run(run())


def test_what_may_not_be_interrupted_is_not() -> None:
    async def run() -> None:
        first = {**HELLO, "interruptible": False}
        async with served(first_message=first) as mock, talking(mock) as client:
            client.say(tone(200, ULAW))
            await heard_out(mock, client)
            client.say(tone(200, ULAW))
            await client.next("user_transcript")
            record = await mock.session(0).started()
        assert record.interruptions == 0

    asyncio.run(run())


def test_every_format_both_ways() -> None:
    async def one(mock: MockAgent, name: str) -> None:
        fmt = FORMATS[name]
        async with talking(mock, name) as client:
            assert client.metadata["agent_output_audio_format"] == name
            assert client.metadata["user_input_audio_format"] == name
            await heard_out(mock, client)
            client.say(tone(300, fmt))
            await client.next("user_transcript")
            assert client.heard() == noise(1, 400, fmt)

    async def run() -> None:
        agents = {name: {**scenario()["agents"]["default"], "format": name} for name in FORMATS}
        async with MockAgent({"agents": agents, "limits": LENIENT}) as mock:
            await asyncio.gather(*(one(mock, name) for name in FORMATS))
            assert [record.checks.violations for record in mock.sessions] == [[]] * len(FORMATS)

    asyncio.run(run())


def test_typed_text_is_a_turn() -> None:
    async def run() -> None:
        async with served() as mock, talking(mock) as client:
            await client.next("agent_response")
            await client.send({"type": "user_message", "text": "The caller pressed 5"})
            heard = await client.next("user_transcript")
            assert heard["user_transcription_event"]["user_transcript"] == "The caller pressed 5"
            await client.next("agent_response")
            record = await mock.session(0).started()
            assert record.texts[0]["text"] == "The caller pressed 5"

    asyncio.run(run())


def test_a_tool_is_called_and_its_result_spoken() -> None:
    async def run() -> None:
        turn = {
            "wait_ms": 0,
            "tool": {"name": "get_time"},
            "say_after_tool": "It is {{tool_result}}.",
        }
        async with served(turns=[turn]) as mock, talking(mock) as client:
            call = (await client.next("client_tool_call"))["client_tool_call"]
            assert (call["tool_name"], call["expects_response"]) == ("get_time", True)
            result = {"tool_call_id": call["tool_call_id"], "result": "noon", "is_error": False}
            await client.send({"type": "client_tool_result", **result})
            said = await client.next("agent_response")
            assert said["agent_response_event"]["agent_response"] == "It is noon."
            record = await mock.session(0).started()
            assert record.tool_results == [result]

    asyncio.run(run())


def test_a_tool_result_that_does_not_come_is_a_violation() -> None:
    async def run() -> None:
        turn = {"wait_ms": 0, "tool": {"name": "x", "timeout_ms": 100}, "say": BYE, "end": True}
        async with served(turns=[turn]) as mock, talking(mock) as client:
            await client.closed()
            record = await mock.session(0).ended()
        assert record.checks.counts == {"tool_result_missing": 1}

    asyncio.run(run())


def test_a_client_that_misbehaves_is_reported() -> None:
    async def run() -> None:
        async with served() as mock, talking(mock, start=False, audio=False) as client:
            await client.send({"type": "user_activity"})
            await client.start(audio=False)
            client.answer_pings = False
            await client.send({"user_audio_chunk": "not base64!"})
            await client.send({"type": "made_up"})
            await client.connection.send(b"binary")
            await client.send({"type": "pong", "event_id": 4711})
            await client.connection.send("{not JSON")
            assert await client.closed() == (1008, "Invalid message received")
            record = await mock.session(0).ended()
        found = {"init_first", "base64", "unknown_type", "binary_frame", "pong_id", "json"}
        assert set(record.checks.counts) == found
        assert mock.report()["violations"] == len(found)

    asyncio.run(run())


# --- who may talk ------------------------------------------------------------------------------


def test_signed_urls_are_checked() -> None:
    async def run() -> None:
        async with served(auth="signed_url") as mock:
            url = await signed_url(mock.url, "agent_1")
            async with Client.open(url) as client:
                assert client.metadata
            public = await outcome(mock.url, "agent_1")
            other = await outcome(url.replace("agent_1", "agent_2"))
            forged = await outcome(url[:-3] + "xyz")
            assert public == other == forged == (3000, "Could not authorize the conversation.")

    asyncio.run(run())


def test_a_signed_url_for_one_use_expires_with_it_and_fixes_the_conversation_id() -> None:
    async def run() -> None:
        async with served() as mock:
            url = await signed_url(mock.url, "a", include_conversation_id="true")
            async with Client.open(url) as client:
                assert client.metadata["conversation_id"] == url.rpartition("=")[2]
            assert (await outcome(url))[0] == 3000

    asyncio.run(run())


def test_http_refusals() -> None:
    async def run() -> None:
        agents = {"known": {"api_keys": ["right"]}}
        async with MockAgent({"agents": agents}) as mock:
            path = f"{mock.url}/v1/convai/conversation/get-signed-url"
            old = f"{mock.url}/v1/convai/conversation/get_signed_url"
            assert (await get(f"{path}?agent_id=known"))[0] == 401
            assert (await get(f"{path}?agent_id=known", xi_api_key="wrong"))[0] == 401
            assert (await get(f"{path}", xi_api_key="right"))[0] == 422
            status, body = await get(f"{path}?agent_id=other", xi_api_key="right")
            assert (status, "'other' not found" in body) == (404, True)
            assert (await get(f"{old}?agent_id=known", xi_api_key="right"))[0] == 200
            assert await get(f"{mock.url}/else") == (404, '{"detail":"Not Found"}')
            status, body = await get(f"{mock.url}/mock/report")
            assert [r["status"] for r in json.loads(body)["requests"]] == [
                401, 401, 422, 404, 200, 404
            ]  # fmt: skip

    asyncio.run(run())


def test_an_unknown_agent_is_refused_after_the_handshake() -> None:
    async def run() -> None:
        async with MockAgent({"agents": {"known": {}}}) as mock:
            code, reason = await outcome(mock.url, "other")
            assert code == 3000
            assert "does not exist" in str(reason)

    asyncio.run(run())


def test_the_subprotocol_is_taken_up_only_when_offered() -> None:
    async def run() -> None:
        async with served() as mock:
            async with talking(mock, convai=True) as client:
                assert client.connection.subprotocol == "convai"
            async with talking(mock) as client:
                assert client.connection.subprotocol is None

    asyncio.run(run())


def test_overrides_and_variables() -> None:
    async def run() -> None:
        keys = {"first_message": "Hello {{name}}.", "overrides": ["agent.first_message"]}
        async with served(**keys) as mock:
            variables: dict[str, Any] = {"dynamic_variables": {"name": "Ada"}}
            async with talking(mock, init=variables) as client:
                said = await client.next("agent_response")
                assert said["agent_response_event"]["agent_response"] == "Hello Ada."
            code, reason = await outcome(mock.url)
            assert (code, "{'name'}" in str(reason)) == (1008, True)
            init: dict[str, Any] = {
                "conversation_config_override": {"agent": {"first_message": "Hi."}}
            }
            async with talking(mock, init=init) as client:
                said = await client.next("agent_response")
                assert said["agent_response_event"]["agent_response"] == "Hi."
            init = {"conversation_config_override": {"tts": {"voice_id": "x"}}, **variables}
            code, reason = await outcome(mock.url, init=init)
            assert reason == "Override for field 'voice_id' is not allowed by config"

    asyncio.run(run())


async def status_of(client: Client) -> str:
    """The next message, which must be of the queue."""
    return str((await client.next())["queue_status_event"]["status"])


def test_concurrency_refuses() -> None:
    async def run() -> None:
        async with served(concurrency=1) as mock, talking(mock):
            assert await outcome(mock.url) == (3008, "too many concurrent connections")

    asyncio.run(run())


HOLD = noise(5, 250, ULAW)


def test_the_next_caller_is_queued() -> None:
    """Behind the metadata; with hold audio, over and over; until the one before has gone."""

    async def run() -> None:
        keys = {"concurrency": 1, "queue_ms": 60_000, "hold_audio": {"sound": "noise:5:250"}}
        async with (
            served(**keys, hold_chunk_ms=100) as mock,
            talking(mock) as first,
            talking(mock) as second,
        ):
            assert await status_of(second) == "waiting"
            for _ in range(4):
                audio = await second.next("audio")
                second.audio.append((1, base64.b64decode(audio["audio_event"]["audio_base_64"])))
            assert second.heard() == (HOLD * 2)[: ULAW.size(400)]
            await first.hush()
            await first.connection.close()
            assert await status_of(second) == "admitted"
            second.audio.clear()
            assert (await second.next())["agent_response_event"]["agent_response"] == HELLO["text"]
            await second.hush()
            await second.connection.close()
            record = await mock.session(1).ended()
            assert record.as_dict()["queue_wait_ms"] > 300
            assert record.checks.violations == []
            await mock.session(0).ended()
            async with talking(mock) as third:  # both places are free again
                assert (await third.next())["type"] == "agent_response"

    asyncio.run(run())


def test_a_queue_that_takes_too_long() -> None:
    async def run() -> None:
        async with served(admit_after_ms=60_000, queue_ms=200) as mock, talking(mock) as client:
            assert await status_of(client) == "waiting"
            assert await status_of(client) == "timed_out"
            assert (await client.closed())[0] == 4300

    asyncio.run(run())


def test_a_caller_who_leaves_the_queue() -> None:
    """Somebody behind is admitted; whoever has left takes no place."""

    async def run() -> None:
        async with served(concurrency=1, queue_ms=60_000) as mock, talking(mock) as first:
            async with talking(mock) as second:
                assert await status_of(second) == "waiting"
                await second.hush()
            assert (await mock.session(1).ended()).closed_by == "client"
            async with talking(mock) as third:
                assert await status_of(third) == "waiting"
                await first.hush()
                await first.connection.close()
                assert await status_of(third) == "admitted"

    asyncio.run(run())


def test_what_queued_clients_say_is_discarded() -> None:
    """Nobody hears it, and it is no turn; the agent's time begins at the admission."""

    async def run() -> None:
        queued = {"queue_ms": 60_000, "max_duration_s": 0.3, "hold_audio": ""}
        source = scenario(**queued)
        source["agents"]["before"] = scenario()["agents"]["default"]
        source["server"] = {"concurrency": 1}
        async with (
            MockAgent(source) as mock,
            talking(mock, "before") as before,
            talking(mock) as client,
        ):
            client.say(tone(300, ULAW))
            assert await status_of(client) == "waiting"
            await client.send({"type": "user_message", "text": "hello?"})
            record = await mock.session(1).started()
            await until(lambda: record.discarded["user_audio_chunk"] >= 20 and not client.queue)
            await before.hush()
            await before.connection.close()
            assert await status_of(client) == "admitted"
            assert client.heard() == b""
            await client.next("error")  # its maximum duration
            assert (await client.closed())[0] == 1000
            record = await mock.session(1).ended()
            assert record.discarded["user_message"] == 1
            assert record.texts == []
            assert record.heard_speech_ms == 0
            assert record.checks.violations == []

    asyncio.run(run())


def test_a_fault_in_the_queue() -> None:
    async def run() -> None:
        fault = {"name": "close", "stage": "queue", "code": 1011, "reason": "boom"}
        async with served(admit_after_ms=60_000, faults=[fault]) as mock:
            assert await outcome(mock.url) == (1011, "boom")

    asyncio.run(run())


def test_the_services_own_limits() -> None:
    async def run() -> None:
        async with served(max_duration_s=0.2) as mock, talking(mock) as client:
            error = await client.next("error")
            assert error["error_event"]["error_type"] == "max_duration_exceeded"
            assert (await client.closed())[0] == 1000
        keys = {"input_timeout_s": 0.2, "first_message": "", "ping_interval_ms": 50}
        async with served(**keys) as mock, talking(mock, audio=False) as client:
            client.answer_pings = False
            assert await client.closed() == (1002, "No user message received for 0.2 seconds")

    asyncio.run(run())


# --- faults ------------------------------------------------------------------------------------


async def outcome(
    url: str, agent_id: str = "any", init: dict[str, Any] | None = None
) -> tuple[int | None, str | None]:
    """How a whole conversation ends, seen by the client: (code, reason); 0 for an HTTP status."""
    try:
        async with Client.open(url, agent_id, start=False) as client:
            try:
                await client.start(init)
                client.say(tone(300, ULAW))
            except ConnectionClosed:
                pass
            return await client.closed()
    except InvalidStatus as exc:
        return 0, str(exc.response.status_code)


CLOSES = {
    "close-open": (3000, "The AI agent you are trying to reach does not exist."),
    "close-init": (1008, "Missing required dynamic variables in first message: {'customer'}"),
    "close-metadata": (1008, "Override for field 'first_message' is not allowed by config"),
    "close-greeting": (1002, "This request exceeds your quota limit."),
    "close-caller": (1011, "Unexpected error in websocket endpoint: boom"),
    "close-turn": (1002, "LLM timeout"),
    "close-busy": (3008, "too many concurrent connections"),
    "close-normal-at-once": (1000, ""),
    "error-then-close": (1002, "LLM timeout"),
    "reset-open": (1006, ""),
    "reset-metadata": (1006, ""),
    "reset-greeting": (1006, ""),
    "reset-turn": (1006, ""),
    "handshake-403": (0, "403"),
    "handshake-500": (0, "500"),
    "one-key": None,
}


def test_closes_at_every_stage() -> None:
    async def run() -> None:
        async with MockAgent("faults") as mock:
            names = [name for name, end in CLOSES.items() if end is not None]
            ends = await asyncio.gather(*(outcome(mock.url, name) for name in names))
            found = {n: (c, r or "") for n, (c, r) in zip(names, ends, strict=True)}
            assert found == {name: CLOSES[name] for name in names}

    asyncio.run(run())


def test_http_faults() -> None:
    async def run() -> None:
        async with MockAgent("faults") as mock:
            path = f"{mock.url}/v1/convai/conversation/get-signed-url?agent_id="

            async def ask(name: str) -> tuple[int, str]:
                return await get(path + name, xi_api_key="test-key")

            for status in (401, 403, 404, 422, 429, 500):
                assert (await ask(f"http-{status}"))[0] == status
            assert await ask("http-200-empty") == (200, "")
            assert (await ask("http-redirect"))[0] == 302
            assert (await ask("http-html"))[1].startswith("<html>")
            assert [(await ask("http-500-once"))[0] for _ in range(2)] == [500, 200]
            with pytest.raises(OSError):  # noqa: PT011  (ConnectionResetError or its URLError)
                await ask("http-reset")

    asyncio.run(run())


@pytest.mark.parametrize("agent", ["http-reset", "handshake-reset"])
def test_a_reset_is_a_reset(agent: str) -> None:
    async def run() -> None:
        async with MockAgent("faults") as mock:
            port = int(mock.url.rpartition(":")[2])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            path = (
                "conversation" if agent.startswith("handshake") else "conversation/get-signed-url"
            )
            request = f"GET /v1/convai/{path}?agent_id={agent} HTTP/1.1\r\nHost: x\r\nUpgrade: x"
            writer.write(f"{request}\r\n\r\n".encode())
            with pytest.raises(ConnectionResetError):
                await asyncio.wait_for(reader.read(), LIMIT)
            writer.close()

    asyncio.run(run())


def test_silence_before_the_handshake_ends_with_the_mock() -> None:
    async def run() -> None:
        mock = MockAgent("faults")
        await mock.start()
        url = f"ws{mock.url[4:]}/v1/convai/conversation?agent_id=handshake-silent"
        attempt = asyncio.create_task(connect(url, open_timeout=None).__aenter__())
        await until(lambda: mock._held)
        assert not attempt.done()
        async with asyncio.timeout(LIMIT):
            await mock.stop()
        outcomes = await asyncio.gather(attempt, return_exceptions=True)
        assert isinstance(outcomes[0], InvalidHandshake | OSError | EOFError)

    asyncio.run(run())


def test_a_client_that_is_not_read_still_lets_the_mock_end() -> None:
    async def run() -> None:
        mock = MockAgent("faults")
        await mock.start()
        async with talking(mock, "stop-reading") as client:
            await client.next("agent_response")
            async with asyncio.timeout(LIMIT):
                await mock.stop()

    asyncio.run(run())


def test_silence_after_the_handshake() -> None:
    async def run() -> None:
        async with MockAgent("faults") as mock, talking(mock, "silent-open", start=False) as client:
            await client.send({"type": "conversation_initiation_client_data"})
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await client.connection.recv()

    asyncio.run(run())


def test_odd_messages_are_sent_as_ordered() -> None:
    async def run() -> None:
        async with MockAgent("faults") as mock:
            url = f"ws{mock.url[4:]}/v1/convai/conversation?agent_id=odd-messages"
            got: list[Any] = []
            async with connect(url) as ws, asyncio.timeout(LIMIT):
                await ws.send('{"type":"conversation_initiation_client_data"}')
                while not any("dtmf_request" in str(message) for message in got):
                    got.append(await ws.recv())
            text = "\n".join(str(message) for message in got)
            for part in ("brand_new_event", "a message without a type", "{not JSON", "[1, 2]"):
                assert part in text
            assert any(isinstance(message, bytes) for message in got)
            assert '"audio_base_64":"!!!' in text

    asyncio.run(run())


@pytest.mark.parametrize(("name", "size"), [("large-fragmented", 1_500_000), ("largest", 1 << 24)])
def test_large_messages(name: str, size: int) -> None:
    async def run() -> None:
        async with MockAgent("faults") as mock, talking(mock, name) as client:
            message = await client.next("brand_new_event")
            assert len(json.dumps(message, separators=(",", ":"))) == size

    asyncio.run(run())


def test_audio_after_an_interruption() -> None:
    async def one(mock: MockAgent, agent: str, offset: int, seed: int) -> None:
        async with talking(mock, agent) as client:
            client.say(tone(600, ULAW))
            event_id = (await client.next("interruption"))["interruption_event"]["event_id"]
            before = len(client.audio)
            await client.next("user_transcript")
            assert client.audio[before] == (event_id + offset, noise(seed, 400, ULAW))

    def long_winded(source: Scenario) -> Scenario:
        """They speak for as long as it may take a caller to interrupt."""
        said = Utterance(LONG["text"], LONG["sound"])
        agents = {
            name: dataclasses.replace(agent, first_message=said)
            for name, agent in source.agents.items()
        }
        return dataclasses.replace(source, agents=agents)

    async def run() -> None:
        async with MockAgent(long_winded(load("faults"))) as mock:
            await asyncio.gather(one(mock, "stale-audio", -1, 66), one(mock, "equal-audio", 0, 67))

    asyncio.run(run())


def test_chunks_of_any_size_join_to_the_same_audio() -> None:
    async def one(mock: MockAgent, name: str) -> None:
        async with talking(mock, name) as client:
            fmt = FORMATS[client.metadata["agent_output_audio_format"]]
            expected = noise(5, 200, fmt) if name == "tiny-chunks" else noise(1, 1000, fmt)
            while len(client.heard()) < len(expected):
                await client.next("ping")
            assert client.heard() == expected

    async def run() -> None:
        names = ["tiny-chunks", "fragmented", "one-chunk", "odd-chunks"]
        async with MockAgent("faults") as mock:
            await asyncio.gather(*(one(mock, name) for name in names))

    asyncio.run(run())


def test_an_agent_is_no_further_ahead_than_it_may_be() -> None:
    said = {"text": "Noise.", "sound": "noise:1:700"}

    async def run() -> tuple[list[float], bytes]:
        at: list[float] = []
        loop = asyncio.get_running_loop()
        at.append(loop.time())
        async with (
            served(first_message=said, pace=50.0, ahead_ms=300, turns=[]) as mock,
            talking(mock) as client,
        ):
            while len(at) < 1 + 7:
                event = (await client.next("audio"))["audio_event"]
                at.append(loop.time())
                client.audio.append((event["event_id"], base64.b64decode(event["audio_base_64"])))
        return at, client.heard()

    at, heard = asyncio.run(run())
    assert heard == noise(1, 700, ULAW)
    # The last chunk begins at 600 ms, and may come 300 ms before that; it begins behind the start.
    assert at[-1] - at[0] > 0.29


# --- recordings --------------------------------------------------------------------------------


def test_both_sides_are_recorded(tmp_path: Path) -> None:
    async def run() -> Record:
        async with MockAgent(scenario(), record_dir=tmp_path) as mock:
            async with talking(mock) as client:
                await heard_out(mock, client)
                client.say(tone(300, ULAW))
                await client.next("user_transcript")
            return await mock.session(0).ended()

    record = asyncio.run(run())
    stem = tmp_path / f"0000-{record.conversation_id}"
    assert tone(300, ULAW) in Path(f"{stem}-caller.raw").read_bytes()
    assert Path(f"{stem}-agent.raw").read_bytes().startswith(noise(1, 400, ULAW))
    assert json.loads(Path(f"{stem}.json").read_text())["close_code"] == 1000
    stream = record.checks.stream
    assert stream.first_ms is not None
    laid_out = (stream.first_ms + stream.audio_ms) / 1000
    assert seconds(f"{stem}-caller.wav") == pytest.approx(laid_out, abs=0.01)
    assert seconds(f"{stem}-agent.wav") >= 0.4


def seconds(path: str) -> float:
    rate, samples = read_wav(Path(path))
    return len(samples) / rate
