"""Words from outside in a dialplan that hands them to a shell: data in quotes, and nothing runs."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from tests.asterisk.ami import Ami
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.crowd import Outcome, hold
from tests.asterisk.phone import DIALPLAN, configure, section
from tests.timing import EVENT, SECOND

KEY = "sk_0123456789abcdef0123456789abcdef"
EVIL = 'bye"; $(touch ran) id; `touch ran`; touch ran; "\r\nForged: 1\x1b[31m\x9b31m'
AS_DATA = "bye touch ran id touch ran touch ran Forged: 1 31m 31m"

DETAIL_TO_SHELL = """\
 same => n,Set(WORDS=${ELEVENLABSREASON}|${ELEVENLABSDETAIL}|${ELEVENLABSCONVERSATIONID})
 same => n,System(echo "${AGENT}|${WORDS}" >> calls.txt)
"""
"""In the folder that Asterisk runs in."""


def fault(name: str, stage: str, **keys: object) -> str:
    """A fault of the mock's, in TOML, whose strings are JSON's."""
    pairs = {"name": name, "stage": stage} | keys
    return "{ " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in pairs.items()) + " }"


def message(kind: str, **body: object) -> str:
    """A message of the service's, sent as it is."""
    return json.dumps({"type": kind, f"{kind}_event": body})


FORMATS = {"agent_output_audio_format": "ulaw_8000", "user_input_audio_format": "ulaw_8000"}
FAULTS = {
    "close": [fault("close", "greeting", code=1008, reason=EVIL)],
    "error": [
        fault("error", "greeting", shape="error", code=1011, error_type="x", text=EVIL),
        fault("close", "greeting", code=1011, reason=""),
    ],
    "http": [
        fault(
            "http_status",
            "signed_url",
            status=422,
            body=json.dumps({"detail": {"message": f"{EVIL}; {KEY}"}}),
        )
    ],
    "queue": [
        fault("send", "greeting", text=message("queue_status", status=EVIL)),
        fault("close", "greeting", code=1000, reason=EVIL),
    ],
    "number": [
        fault(
            "send",
            "init",
            text=message(
                "conversation_initiation_metadata",
                conversation_id="conv_1\r\nForged: 1",
                **FORMATS,
            ),
        ),
        fault("close", "greeting", code=1008, reason="over"),
    ],
}
"""By agent: where it says it; "number" in the conversation's id."""

AGENTS = f"""\
title = "evil words"
[agents.default]
format = "ulaw_8000"
first_message = {{ text = "Hello.", sound = "noise:1:300", interruptible = false }}
[agents.tool]
like = "default"
[[agents.tool.turns]]
wait_ms = 0
say = {{ text = "Goodbye.", sound = "noise:2:200", interruptible = false }}
tool = {{ name = "end_call", parameters = {{ reason = {json.dumps(EVIL)} }}, timeout_ms = 5000 }}
""" + "".join(
    f'[agents.{name}]\nlike = "default"\nfaults = [{", ".join(faults)}]\n'
    for name, faults in FAULTS.items()
)
NAMES = ["tool", *FAULTS]


@dataclass(frozen=True)
class Seen:
    """What all calls have left."""

    outcomes: dict[str, Outcome]
    folder: Path
    lines: dict[str, list[str]]
    """Of calls.txt by agent: reason, detail and conversation id."""
    events: bytes
    log: str
    tested: str
    """What `elevenlabs test agent` says."""


@pytest.fixture(scope="module")
def seen(asterisk: StartAsterisk, root: Root) -> Seen:
    """All calls at once, with debug on."""
    tell = " same => n,Log(NOTICE,"
    dialplan = DIALPLAN.replace(tell, DETAIL_TO_SHELL + tell, 1)
    pbx: Instance = asterisk(dialplan=dialplan, elevenlabs="[general]\n")
    with MockAgent(root, AGENTS) as mock, Ami(pbx, events="call") as ami:
        configure(
            pbx,
            "".join(
                section(name, mock.url, connect_attempts="1", debug="yes", api_key=KEY)
                for name in NAMES
            ),
        )
        outcomes = hold(pbx, NAMES, hangup_after=60 * SECOND)
        tested = pbx.cli("elevenlabs test agent http")
        events = _all_of(ami)
    calls = (pbx.folder / "calls.txt").read_text(encoding="utf-8").splitlines()
    lines = {line.split("|")[0]: line.split("|")[1:] for line in calls}
    return Seen(outcomes, pbx.folder, lines, events, pbx.log(), tested)


def _all_of(ami: Ami) -> bytes:
    """All that AMI tells until the last channel has gone, as it comes."""
    ami._socket.settimeout(EVENT)
    come = b""
    while come.count(b"\nEvent: Hangup\r") < len(NAMES) or not come.endswith(b"\r\n\r\n"):
        come += ami._file.read1()
    return come


def test_nothing_runs(seen: Seen) -> None:
    """K2: whoever says it, in quotes of a shell it is data."""
    assert not (seen.folder / "ran").exists()
    assert set(seen.lines) == set(NAMES)
    for name in ("tool", "close", "queue"):
        _, detail, conversation_id = seen.lines[name]
        assert detail.startswith(AS_DATA), name
        assert conversation_id.startswith("conv_")
    assert AS_DATA in seen.lines["error"][1]
    assert AS_DATA in seen.lines["http"][1]


def test_the_reason_is_ours_alone(seen: Seen) -> None:
    """K2: it says what to do, in no words but ours."""
    for reason, _, _ in seen.lines.values():
        assert reason
        assert "bye" not in reason
        assert "touch" not in reason


def test_an_id_that_is_none(seen: Seen) -> None:
    """K10: it is told once, and nobody else gets it; the call goes on without."""
    assert seen.lines["number"][1:] == ["over", ""]
    assert seen.log.count("a conversation's id that is none: conv_1 Forged: 1\n") == 1


def test_no_line_is_forged(seen: Seen) -> None:
    """K10: log, events and commands have one line where one was written, and no escape codes."""
    assert seen.events.count(b"Event: ElevenLabsEnd") == len(NAMES)
    for text in (seen.log, seen.events.decode(), seen.tested):
        assert not re.search(r"(?m)^Forged|[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f]", text)
    assert "Detail: bye" in seen.events.decode()
    assert "FAILED, REJECTED: the request for a signed URL was refused" in seen.tested


def test_no_key_is_echoed(seen: Seen) -> None:
    """K6, K11: the service repeats it in an error, and debug is on."""
    assert KEY not in seen.tested
    assert KEY not in seen.log
    assert KEY.encode() not in seen.events
    assert KEY not in "".join(seen.lines["http"])
