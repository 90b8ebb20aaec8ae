"""The mock agent against the official clients, which none of us wrote.

``tests/conformance/install.sh`` installs them into ``build/conformance`` (another place:
``CONVAI_CONFORMANCE``); what is not there is skipped, and said.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pyconvai.mock import MockAgent
from pyconvai.mock.audio import FORMATS, noise
from pyconvai.mock.record import Record
from tests.timing import SECOND

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
INSTALLED = Path(os.environ.get("CONVAI_CONFORMANCE", ROOT / "build" / "conformance"))
NODE = INSTALLED / "node"
LIMIT = 60 * SECOND
# Two cores carry this many clients without making them late.
AT_ONCE = 4
PCM = FORMATS["pcm_16000"]

Job = tuple[str, str, str]  # client, agent id, mode
Outcome = tuple[dict[str, Any], Record | None]  # what the client saw, what the mock saw

pytestmark = pytest.mark.limit(300)


SPOKEN = [
    ("python_sdk", "public"),
    ("python_sdk", "signed"),
    ("node_sdk", "signed"),
    ("client_js", "public"),
    ("client_js", "signed"),
]
RESPONSES = ["Greeting.", "A long answer.", "The sum is 5.", "Goodbye."]
CLOSES = {
    "close-open": (3000, "Could not authorize the conversation."),
    "close-init": (1008, "Missing required dynamic variables in first message: {'x'}"),
    "close-greeting": (1002, "This request exceeds your quota limit."),
    "close-normal": (1000, ""),
    "reset": (1006, ""),
    "queued": (1000, ""),
    "queue-timeout": (4300, "No agent was available in time"),
}
AGENTS_END = ("close-normal", "queued")


def talk_agent(mode: str) -> str:
    """The plain call: of an agent that insists on signed URLs, where they are used."""
    return "private" if mode == "signed" else "default"


CLIENTS = ["python_sdk", "node_sdk", "client_js"]
JOBS: list[Job] = [
    *((client, talk_agent(mode), mode) for client, mode in SPOKEN),
    *((client, "rough", mode) for client, mode in SPOKEN),
    ("client_js", "default", "text"),
    *((client, "said", "said") for client in CLIENTS),
    *((client, agent, "signed") for client in CLIENTS for agent in [*CLOSES, "refused"]),
]


def missing(client: str) -> str | None:
    """Why a client cannot be run, or None."""
    hint = "run tests/conformance/install.sh"
    if client == "python_sdk":
        if list(INSTALLED.glob("venv/lib/python*/site-packages/elevenlabs")):
            return None
        return f"PyPI elevenlabs is not installed in {INSTALLED}: {hint}"
    package = "elevenlabs-js" if client == "node_sdk" else "client"
    if shutil.which("node") and (NODE / f"node_modules/@elevenlabs/{package}").is_dir():
        return None
    return f"npm @elevenlabs/{package} is not installed in {INSTALLED}, or node is not: {hint}"


def command(client: str) -> list[str]:
    """How to start a client's script."""
    if client == "python_sdk":
        return [str(INSTALLED / "venv" / "bin" / "python"), str(HERE / "python_sdk.py")]
    return ["node", str(NODE / f"{client}.mjs")]


async def converse(client: str, agent_id: str, mode: str) -> Outcome:
    """One conversation with a mock of its own."""
    async with MockAgent(HERE / "talk.toml") as mock:
        process = await asyncio.create_subprocess_exec(
            *command(client), mock.url, agent_id, mode, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            output, errors = await asyncio.wait_for(process.communicate(), LIMIT)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        lines = output.decode().strip().splitlines()
        assert lines, errors.decode()
        record = await mock.session(0).ended() if mock.sessions else None
        return json.loads(lines[-1]), record


@pytest.fixture(scope="module")
def outcomes() -> dict[Job, Outcome | BaseException]:
    """All conversations, a few at a time: they are made of waiting."""
    jobs = [job for job in JOBS if missing(job[0]) is None]
    for script in HERE.glob("*.mjs") if NODE.is_dir() else ():
        shutil.copy(script, NODE)  # Node looks for packages beside the script

    async def run() -> list[Outcome | BaseException]:
        places = asyncio.Semaphore(AT_ONCE)

        async def one(job: Job) -> Outcome:
            async with places:
                return await converse(*job)

        return await asyncio.gather(*map(one, jobs), return_exceptions=True)

    return dict(zip(jobs, asyncio.run(run()), strict=True))


Conversation = Callable[[str, str, str], Outcome]


@pytest.fixture
def conversation(outcomes: dict[Job, Outcome | BaseException]) -> Conversation:
    """Gives (what the client saw, what the mock saw) of one job."""

    def find(client: str, agent_id: str, mode: str) -> Outcome:
        why = missing(client)
        if why is not None:
            pytest.skip(why)
        outcome = outcomes[client, agent_id, mode]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    return find


@pytest.mark.parametrize("rough", [False, True], ids=["plain", "rough"])
@pytest.mark.parametrize(("client", "mode"), SPOKEN)
def test_a_whole_call(conversation: Conversation, client: str, mode: str, rough: bool) -> None:
    seen, record = conversation(client, "rough" if rough else talk_agent(mode), mode)
    assert record is not None
    assert seen["responses"] == RESPONSES
    assert seen["greeting"] == hashlib.sha256(noise(1, 600, PCM)).hexdigest()
    # What follows the interruption is heard whole, also by clients that drop its very id.
    ending = noise(3, 600, PCM) + noise(4, 600, PCM)
    assert seen["ending"] == hashlib.sha256(ending).hexdigest()
    assert seen["interrupts"] == 1
    assert seen["corrections"][0][0] == "A long answer."
    assert seen["tools"] == [{"a": 2, "b": 3}]
    assert len(seen["transcripts"]) == 3
    assert record.checks.violations == []
    assert [result["result"] for result in record.tool_results] == ["5"]
    assert record.interruptions == 1
    assert (record.closed_by, record.close_code) == ("agent", 1000)
    assert len(record.checks.pong_ms) >= 5
    assert record.checks.stream.audio_ms > 4000
    if client == "python_sdk":
        assert seen["closed"]["reason"] == "agent"
        assert record.init is not None
        assert record.init["user_id"] == "caller-42"
    if client == "client_js":
        assert record.subprotocol == "convai"
        assert seen["conversation_id"] == record.conversation_id


def test_a_typed_call(conversation: Conversation) -> None:
    seen, record = conversation("client_js", "default", "text")
    assert record is not None
    assert seen["responses"] == RESPONSES
    assert seen["tools"] == [{"a": 2, "b": 3}]
    assert [line["text"] for line in record.transcript if line["speaker"] == "caller"] == [
        "hello", "stop", "bye"
    ]  # fmt: skip
    assert seen["closed"]["close_code"] == 1000
    assert record.checks.violations == []


@pytest.mark.parametrize("client", CLIENTS)
def test_what_is_said_beside_audio(conversation: Conversation, client: str) -> None:
    """A greeting of the client's own, then everything that this client can say."""
    seen, record = conversation(client, "said", "said")
    assert record is not None
    assert seen["responses"] == ["Another greeting.", "Understood."]
    assert record.init is not None
    override = record.init["conversation_config_override"]["agent"]
    assert override["first_message"] == "Another greeting."
    texts = [(text["type"], text.get("text")) for text in record.texts]
    feedback = [("feedback", None)] if client == "client_js" else []
    assert texts == [
        *feedback,
        ("contextual_update", "The caller is new."),
        ("user_message", "hello"),
    ]
    assert record.received["user_activity"] == 1
    assert record.checks.violations == []
    assert (record.closed_by, record.close_code) == ("agent", 1000)


@pytest.mark.parametrize("agent", CLOSES)
@pytest.mark.parametrize("client", ["python_sdk", "client_js"])
def test_every_close(conversation: Conversation, client: str, agent: str) -> None:
    seen, record = conversation(client, agent, "signed")
    assert record is not None
    assert (record.closed_by, record.close_code) == ("agent", CLOSES[agent][0])
    closed = seen["closed"]
    assert closed["reason"] == ("agent" if agent in AGENTS_END else "error")
    assert (closed["close_code"], closed["close_reason"] or "") == CLOSES[agent]


@pytest.mark.parametrize("agent", ["queued", "queue-timeout"])
@pytest.mark.parametrize("client", CLIENTS)
def test_the_queue(conversation: Conversation, client: str, agent: str) -> None:
    """S1: they wait, with the metadata and hold audio, and keep to all rules meanwhile."""
    _, record = conversation(client, agent, "signed")
    assert record is not None
    assert record.checks.violations == []
    assert record.queue_wait_ms is not None
    assert record.sent["queue_status"] == 2
    assert record.sent["audio"] >= 2


@pytest.mark.parametrize("agent", CLOSES)
def test_every_close_ends_the_node_client(conversation: Conversation, agent: str) -> None:
    _, record = conversation("node_sdk", agent, "signed")  # it does not tell the code
    assert record is not None
    assert (record.closed_by, record.close_code) == ("agent", CLOSES[agent][0])


@pytest.mark.parametrize("client", CLIENTS)
def test_a_refused_key(conversation: Conversation, client: str) -> None:
    seen, record = conversation(client, "refused", "signed")
    assert record is None
    assert seen["http_status"] == 401 or "401" in seen["error"]


SETTINGS = {
    "agents": {
        "sales": {
            "format": "ulaw_8000",
            "api_keys": ["test-key"],
            "overrides": ["agent.language"],
            "admit_after_ms": 0,
            "settings": {"conversation_config": {"agent": {"prompt": {"tool_ids": ["tool_1"]}}}},
        }
    },
    "tools": {
        "tool_1": {
            "type": "client",
            "name": "pay",
            "description": "Take a payment.",
            "expects_response": True,
            "response_timeout_secs": -1,
            "parameters": {
                "type": "object",
                "required": ["amount"],
                "properties": {"amount": {"type": "number", "description": "In euros."}},
            },
        }
    },
}


def test_the_settings_of_an_agent() -> None:
    """What the mock tells of an agent and of a tool has no field that the official types lack."""
    if why := missing("python_sdk"):
        pytest.skip(why)

    async def run() -> dict[str, Any]:
        async with MockAgent(SETTINGS) as mock:
            python, script = command("python_sdk")[0], str(HERE / "settings_sdk.py")
            client = await asyncio.create_subprocess_exec(
                python, script, mock.url, "sales", "tool_1", stdout=asyncio.subprocess.PIPE
            )
            async with asyncio.timeout(LIMIT):
                output, _ = await client.communicate()
        seen: dict[str, Any] = json.loads(output)
        return seen

    assert asyncio.run(run()) == {
        "format": "ulaw_8000",
        "tool_ids": ["tool_1"],
        "tool": "pay",
        "faults": [],
        "refused": [401, 404, 404],
    }
