"""Each cause of the table of endings, at each stage where it can come: what the dialplan is told.

The table is that of docs/protocol.md. All calls are up at once, so that this takes as long as one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from testbed.rtp import CODECS
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.crowd import Outcome, hold
from tests.asterisk.phone import DIALPLAN, configure, section, settled
from tests.planted import KEY
from tests.specs.page import rows
from tests.timing import SECOND

ULAW = CODECS["ulaw"]
GREETING, FAREWELL = ULAW.noise(0.6, seed=1), ULAW.noise(0.6, seed=2)

AGENTS = """\
title = "endings"
[agents.default]
format = "ulaw_8000"
chunk_ms = 100
pace = 0
first_message = { text = "Hello.", sound = "noise:1:600" }
turns = [{ wait_ms = 0, say = { text = "Goodbye.", sound = "noise:2:600" }, end = true }]
"""

EARLY = ("open", "init")
STAGES = (*EARLY, "metadata", "greeting", "end")
"""The socket is open; the client has introduced itself; the metadata has been sent; half of the
greeting has been sent, which is being heard; the farewell has been sent."""

WORDS = "these are the words of the service"

TABLE = {cause: (status.strip("`"), meaning) for _, cause, status, meaning in rows("Endings")}
"""(status, meaning) of each cause."""


@dataclass(frozen=True)
class Case:
    """One call: what befalls it, and what its dialplan must be told."""

    cause: str
    stage: str
    faults: tuple[dict[str, object], ...]
    says: tuple[str, ...]

    @property
    def agent(self) -> str:
        """Short: many phones and logs cut what is longer."""
        words = (*re.findall(r"\w+", self.cause.replace(" before the metadata", "")), self.stage)
        how = ("drop",) if self.faults[-1]["name"] == "drop" else ()
        return "-".join((*words, *how)).lower()

    @property
    def status(self) -> str:
        return TABLE[self.cause][0]


def close(code: int, stage: str, reason: str = WORDS) -> dict[str, object]:
    return {"name": "close", "stage": stage, "code": code, "reason": reason}


def close_case(key: str, stage: str) -> Case:
    """A close frame with a code of the table, or with one that is in no table."""
    cause = f"close `{key} before the metadata`"
    if stage not in EARLY or cause not in TABLE:
        cause = f"close `{key}`"
    code = 4242 if key == "other" else int(key)
    meaning = TABLE[cause][1].removesuffix(" (retry)")
    return Case(cause, stage, (close(code, stage),), (f"{meaning} ({code})", WORDS))


def broken_case(how: str, stage: str) -> Case:
    """No close frame at all: what WebSocket calls 1006."""
    cause = "close `none before the metadata`" if stage in EARLY else "close `none`"
    meaning = TABLE[cause][1].removesuffix(" (retry)")
    return Case(cause, stage, ({"name": how, "stage": stage},), (meaning,))


def http_case(key: str, stage: str) -> Case:
    """An answer in place of the signed URL, or of the upgrade."""
    number, _, limited = key.partition(" with ")
    code = {"3xx": 307, "5xx": 503, "other": 418}.get(number) or int(number)
    words = f"{WORDS}: no quota" if limited else WORDS
    body = json.dumps({"detail": {"message": words}})
    fault = {"name": "http_status", "stage": stage, "status": code, "body": body}
    if key == "3xx":
        fault["location"] = "http://127.0.0.1:9/elsewhere"
    return Case(f"HTTP `{key}`", stage, (fault,), (str(code), "" if key == "3xx" else words))


def error_case(key: str) -> Case:
    """An error message whose type is in the table, then a close that alone would mean ERROR."""
    fault = {"name": "error", "stage": "greeting", "shape": "error", "code": 1011}
    fault |= {"error_type": key, "text": WORDS}
    return Case(f"error `{key}`", "greeting", (fault, close(1011, "greeting", "")), (WORDS,))


def words_case(key: str) -> Case:
    """S3: words of the service's that say more than its code, where it uses words."""
    text = f"so it was {key.upper()} this time"
    return Case(f"words `{key}`", "greeting", (close(1002, "greeting", text),), (text,))


def cases() -> Iterator[Case]:
    """All of the table."""
    for cause in TABLE:
        kind, _, key = cause.replace("`", "").partition(" ")
        if kind == "HTTP":
            yield from (http_case(key, stage) for stage in ("signed_url", "handshake"))
        elif kind == "error":
            yield error_case(key)
        elif kind == "words":
            yield words_case(key)
        elif key == "none":
            yield from (broken_case(how, stage) for how in ("drop", "reset") for stage in STAGES)
        elif "before" not in key:
            yield from (close_case(key, stage) for stage in STAGES)


CASES = {case.agent: case for case in cases()}


@dataclass(frozen=True)
class Neighbour:
    """A call whose end some word or error could be taken for, and is not."""

    status: str
    faults: tuple[dict[str, object], ...]
    heard: bool = False
    """Whether the farewell is."""


SURVIVED = ("Tool 'crm_log' not found", "This exceeds your quota limit.", "Maximum duration",
            "Could not authorize")  # fmt: skip
CRASH = "Unexpected error: concurrent.futures._base.CancelledError: too many concurrent requests"


def error(stage: str, shape: str, text: str, kind: str = "mcp_tool_error") -> dict[str, object]:
    fault = {"name": "error", "stage": stage, "shape": shape, "code": 1008}
    return fault | {"error_type": kind, "text": text}


def neighbours() -> Iterator[tuple[str, Neighbour]]:
    """Each kind of what decides nothing."""
    for number, text in enumerate(SURVIVED):
        for shape in ("client_error", "error", "text"):
            faults = (error("end", shape, text), close(1000, "end", ""))
            yield f"survived-{number}-{shape}", Neighbour("AGENT_ENDED", faults, heard=True)
    for kind in ("override_error", "value_error"):
        faults = (error("end", "error", "no", kind), close(1000, "end", ""))
        yield f"survived-{kind}", Neighbour("AGENT_ENDED", faults, heard=True)
    told = (error("greeting", "error", SURVIVED[0]), close(1002, "end", "LLM timeout"))
    yield "survived-then-1002", Neighbour("ERROR", told, heard=True)
    wordless = (error("greeting", "error", SURVIVED[1]), close(1002, "end", ""))
    yield "survived-then-wordless", Neighbour("ERROR", wordless, heard=True)
    yield "crash-talking", Neighbour("ERROR", (close(1011, "greeting", CRASH),))
    yield "crash-early", Neighbour("ERROR", (close(1011, "init", CRASH),))
    once: dict[str, object] = {"times": 1}
    again = (close(1011, "init", CRASH) | once,)
    yield "crash-again", Neighbour("AGENT_ENDED", again, heard=True)
    within = "concurrent.futures.TimeoutError in quotas of author: notfound"
    yield "word-within", Neighbour("ERROR", (close(1002, "greeting", within),))
    yield "word-elsewhere", Neighbour("ERROR", (close(4242, "greeting", SURVIVED[1]),))


NEIGHBOURS = dict(neighbours())
CALLED_TWICE = ("crash-early", "crash-again")


def value(thing: object) -> str:
    return json.dumps(thing)  # numbers and text are the same in TOML


def scenario() -> str:
    """An agent for each case."""
    text = AGENTS
    for agent, case in (CASES | NEIGHBOURS).items():
        tables = (
            ", ".join(f"{key} = {value(thing)}" for key, thing in fault.items())
            for fault in case.faults
        )
        faults = ", ".join(f"{{ {table} }}" for table in tables)
        text += f'[agents."{agent}"]\nlike = "default"\nfaults = [{faults}]\n'
    return text


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    return asterisk(dialplan=DIALPLAN, elevenlabs="[general]\n")


@pytest.fixture(scope="module")
def outcomes(pbx: Instance, root: Root) -> dict[str, Outcome]:
    """Every case once."""
    with MockAgent(root, scenario()) as mock:
        agents = [*CASES, *NEIGHBOURS]
        attempts = dict.fromkeys(agents, "1") | {"crash-again": "2"}
        configure(
            pbx,
            "".join(section(name, mock.url, connect_attempts=attempts[name]) for name in agents),
        )
        found = hold(pbx, agents, hangup_after=60 * SECOND)
        # The engine's threads and Asterisk's pools came with these; now they must suffice.
        before = pbx.counters()
        again = hold(pbx, [*list(CASES)[::8], *CALLED_TWICE], hangup_after=60 * SECOND)
        assert not settled(pbx, before)
    return found | {f"{agent}, once more": again[agent] for agent in CALLED_TWICE}


def test_the_whole_table_is_called_for() -> None:
    """Closes before and after the metadata, so each of their rows; all else by itself."""
    assert {case.cause for case in CASES.values()} == set(TABLE)


@pytest.mark.parametrize("agent", CASES)
def test_ending(outcomes: dict[str, Outcome], agent: str) -> None:
    case, outcome = CASES[agent], outcomes[agent]
    result = outcome.result
    assert (result.status, result.went_on) == (case.status, True), result
    for words in case.says:
        assert words in result.told, result
    assert WORDS not in result.reason
    assert KEY not in result.told
    began = case.stage in ("metadata", "greeting", "end")
    assert bool(result.conversation_id) == began
    assert outcome.call.ended_by == "asterisk"


@pytest.mark.parametrize("agent", NEIGHBOURS)
def test_what_decides_nothing(outcomes: dict[str, Outcome], agent: str) -> None:
    """S2, S3: a survived error, words of a crash, a word within another one."""
    case, outcome = NEIGHBOURS[agent], outcomes[agent]
    assert (outcome.result.status, outcome.result.went_on) == (case.status, True), outcome.result
    if case.status == "AGENT_ENDED":
        assert not any(words in outcome.result.told for words in SURVIVED)
    assert (FAREWELL in outcome.call.heard) == case.heard


def test_a_crash_closes_the_service_to_nobody(outcomes: dict[str, Outcome]) -> None:
    """S3: the next call of the agent is not refused unasked."""
    for agent in CALLED_TWICE:
        outcome = outcomes[f"{agent}, once more"]
        assert outcome.result.status == NEIGHBOURS[agent].status, outcome.result


SAID = ("greeting", "end")
"""Stages at which something of the agent's may still wait to be heard."""


@pytest.mark.parametrize(
    "agent",
    [agent for agent, case in CASES.items() if case.stage in SAID and "close" in case.cause],
)
def test_what_was_said_before_the_end_is_heard(outcomes: dict[str, Outcome], agent: str) -> None:
    """S21: whoever ended it, and however, what has come is heard to its last sample."""
    heard = outcomes[agent].call.heard
    if CASES[agent].stage == "end":
        assert GREETING in heard
        assert FAREWELL in heard
    else:
        assert GREETING[: len(GREETING) // 2] in heard
        assert GREETING not in heard
