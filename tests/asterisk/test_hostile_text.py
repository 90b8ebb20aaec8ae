"""Hostile text is text, and nothing else, for every program that watches calls.

It comes from the service (what agent and caller have said, tools, ids, the end), from a tool's
result and from the caller's telephone; and it may get into events of AMI and ARI, CEL, CDR,
records, the webhook, the metrics and the log. All calls are placed together.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.sync.client import connect

from testbed.config import MANAGER_SECRET, USELESS_MODULES
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from testbed.telephones import Telephones
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.crowd import hold
from tests.asterisk.phone import DIALPLAN, configure, section
from tests.asterisk.stage import until
from tests.asterisk.test_metrics import get
from tests.asterisk.watching import Eavesdropper
from tests.receiver import Receiver
from tests.timing import EVENT, SECOND
from tests.unit.test_events_page import COMMON, EVENTS

MARK = "FORGED"
"""Begins a line that nobody of ours has written."""

LARGE = 1_000_000
ESCAPES = (
    f"Hi.\r\n{MARK}: 1\r\n\r\nEvent: {MARK}\r\nChannel: PJSIP/x\r\n\r\n"
    f'"}}}}\n{{"status":"{MARK}"}}\n'
    f'</script><b onload="x">&amp;\x00 \x1b[2J\x1b]0;{MARK}\x07 \x7f\x9b31m \u2028 \u202e\u2066 '
    f"${{SHELL(touch ran)}} `touch ran` $(touch ran) %0d%0a{MARK} \ud83d "
)
"""Line breaks, AMI, JSON, HTML, NUL, escapes, directions of writing, dialplan, half a character."""
TEXT = ESCAPES + "x" * LARGE
WHOLE = ESCAPES.replace("\ud83d", "")
"""TOML has no half characters."""

RESULT = f'Yes\r\n{MARK}OfResult: 1\r\n\r\n"}}]\n<b>\x1b[2J\u202e${{SHELL(touch ran)}}'.encode()
RESULT += b"\xff\xfe\xc3("
"""Of a tool in the dialplan, which Asterisk tells AMI of as a variable; no UTF-8 at its end."""

NAME = b'Eve\\"}]<b>\x1b[2J\xe2\x80\xae${SHELL(touch ran)}\xff\xfe\xc3('.decode(
    errors="surrogateescape"
)
NUMBER = f"1%0d%0a{MARK}OfCaller%3a%201%0d%0a%0d%0aEvent%3a%20{MARK}OfCaller%0d%0a%0d%0a%1b%5b2J%ff"
"""What a telephone calls itself; Asterisk itself tells AMI of it without a care."""


def toml(text: str) -> str:
    """A string of TOML, which takes JSON's escapes, but no DEL as itself."""
    return json.dumps(text).replace("\x7f", "\\u007f")


def message(kind: str, **body: object) -> str:
    return json.dumps({"type": kind, f"{kind}_event": body})


def call_tool(kind: str, **body: object) -> str:
    return json.dumps({"type": kind, kind: body})


FORMATS = {"agent_output_audio_format": "ulaw_8000", "user_input_audio_format": "ulaw_8000"}
SENDS = (
    ("init", message("conversation_initiation_metadata", conversation_id=TEXT, **FORMATS)),
    ("greeting", message("agent_response", agent_response=TEXT, event_id=1)),
    ("greeting", json.dumps({"type": "user_transcript",
                             "user_transcription_event": {"user_transcript": TEXT}})),
    ("greeting", message("agent_response_correction", original_agent_response=TEXT,
                         corrected_agent_response=TEXT, event_id=1)),
    ("greeting", call_tool("client_tool_call", tool_name=ESCAPES, tool_call_id=ESCAPES,
                           parameters={})),
    ("greeting", call_tool("client_tool_call", tool_name=TEXT, tool_call_id="large",
                           parameters={})),
    ("greeting", call_tool("agent_tool_response", tool_name=TEXT, tool_call_id=TEXT,
                           tool_type="system", is_error=False)),
    ("greeting", message("error", message=TEXT, error_type=TEXT, code=TEXT)),
    ("greeting", message("queue_status", status=TEXT)),
)  # fmt: skip
FAULTS = ",\n".join(
    f'{{ name = "send", stage = "{stage}", text = {toml(text)} }}' for stage, text in SENDS
)
SERVICE = f"""\
title = "hostile text"
[agents.default]
format = "ulaw_8000"
first_message = {{ text = "Hello.", sound = "noise:1:300", interruptible = false }}
[[agents.default.turns]]
wait_ms = 0
tool = {{ name = "evil", parameters = {{ summary = {toml(WHOLE)} }}, timeout_ms = 20000 }}
say_after_tool = {{ text = "Goodbye.", sound = "noise:2:300", interruptible = false }}
[[agents.default.turns]]
wait_ms = 0
tool = {{ name = "end_call", parameters = {{ reason = {toml(WHOLE)} }}, timeout_ms = 5000 }}
[agents.hostile]
like = "default"
faults = [
{FAULTS}
]
[agents.caller]
like = "default"
"""
AGENTS = ("hostile", "caller")
STEPS = f"""
[elevenlabs-steps]
exten => evil,1,Return(${{URIDECODE({quote_from_bytes(RESULT)})}})
"""
FILES = {
    "ari.conf": f"[general]\nenabled = yes\n[watcher]\ntype = user\npassword = {MANAGER_SECRET}\n",
    "cdr.conf": "[general]\nenable = yes\n",
    "cel.conf": "[general]\nenable = yes\nevents = USER_DEFINED\n",
    "cdr_custom.conf": "[mappings]\ncdr.txt => ${CSV_QUOTE(${CDR(elevenlabs)})}\n",
    "cel_custom.conf": "[mappings]\n"
    "cel.txt => ${CSV_QUOTE(${userdeftype})},${CSV_QUOTE(${eventextra})}\n",
    "modules.conf": "[modules]\nautoload = yes\n" + "".join(
        f"noload = {name}.so\n"
        for name in USELESS_MODULES if name not in ("cdr_custom", "cel_custom")
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """What has come out of it, everywhere."""

    pbx: Instance
    ami: bytes
    ari: list[dict[str, Any]]
    lines: list[bytes]
    """Of the file of records."""
    bodies: list[bytes]
    """Of the webhook's requests."""
    metrics: str

    def csv(self, name: str) -> list[list[str]]:
        (file,) = Path(self.pbx.folder).rglob(name)
        return list(csv.reader(io.StringIO(file.read_text(encoding="utf-8"), newline="")))

    def blocks(self) -> list[dict[str, str]]:
        """Our events of AMI; a field that is there twice fails."""
        found = []
        for block in self.ami.split(b"\r\n\r\n"):
            if block.startswith(b"Event: ElevenLabs"):
                pairs = [line.split(b": ", 1) for line in block.split(b"\r\n")]
                assert all(len(pair) == 2 or pair[0].endswith(b":") for pair in pairs), block
                names = [pair[0].decode() for pair in pairs]
                assert len(set(names)) == len(names), names
                texts = [b"".join(pair[1:]).decode() for pair in pairs]
                found.append(dict(zip(names, texts, strict=True)))
        return found


def drained(socket: Any) -> list[dict[str, Any]]:
    """All user events, up to the end of each conversation."""
    found = list[dict[str, Any]]()
    while [each["eventname"] for each in found].count("ElevenLabsEnd") < len(AGENTS):
        event = json.loads(socket.recv(timeout=EVENT))
        if event["type"] == "ChannelUserevent":
            found.append(event)
    return found


@pytest.fixture(scope="module")
def seen(asterisk: StartAsterisk, root: Root) -> Iterator[Seen]:
    """Asterisk itself tells the log what the dialplan does: so it is told to say little."""
    pbx = asterisk(
        dialplan=DIALPLAN + STEPS, elevenlabs="[general]\n", files=FILES, verbose=0, debug=0
    )
    for name in ("cdr-custom", "cel-custom"):
        (pbx.log_path.parent / name).mkdir()
    url = f"ws://127.0.0.1:{pbx.ports.http}/ari/events?app=watch&subscribeAll=true"
    url += f"&api_key=watcher:{MANAGER_SECRET}"
    with (
        MockAgent(root, SERVICE) as mock,
        Receiver() as receiver,
        Eavesdropper(pbx) as ami,
        connect(url, max_size=None, close_timeout=1 * SECOND) as ari,
        Telephones(pbx) as phones,
    ):
        general = "[general]\nrecords = yes\nwebhook_secret = wsec_0123456789abcdef\n"
        keys = {"tools": "*", "transcripts": "all", "ari_events": "yes", "debug": "yes"}
        conf = general + f"webhook_url = {receiver.url}\n"
        said = configure(pbx, conf + "".join(section(name, mock.url, **keys) for name in AGENTS))
        assert "reloaded successfully" in said, said
        eve = phones.phone("eve").call("caller", sender=f'"{NAME}" <sip:{NUMBER}@127.0.0.1>')
        hold(pbx, ["hostile"], hangup_after=60 * SECOND)
        eve.wait(EVENT)
        pbx.wait_no_channels()
        bodies = [each.body for each in receiver.wait(len(AGENTS), EVENT)]
        end = b"\r\n\r\nEvent: ElevenLabsEnd\r\n"
        until(lambda: ami._heard.count(end) == len(AGENTS), "no end")
        events = drained(ari)
        yield Seen(pbx, bytes(ami._heard), events, record_lines(pbx), bodies,
                   get(pbx, "elevenlabs/metrics"))  # fmt: skip


def record_lines(pbx: Instance) -> list[bytes]:
    """Those that were sent stand in the file: it is written first."""
    files = (pbx.folder / "spool" / "elevenlabs").glob("records-*.jsonl")
    return [line for file in files for line in file.read_bytes().split(b"\n") if line]


def texts_in(value: object) -> Iterator[str]:
    """All strings of a document, names included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from (name, *texts_in(each))
    elif isinstance(value, list):
        for each in value:
            yield from texts_in(each)


CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def test_events_of_ami_have_their_fields_and_no_others(seen: Seen) -> None:
    """And so has each the same number of lines, whatever stands in them."""
    blocks = seen.blocks()
    assert {block["Agent"] for block in blocks} == set(AGENTS)
    told = {block["Event"] for block in blocks}
    assert told >= {f"ElevenLabs{name}" for name in ("Start", "End", "Transcript", "Tool", "Step")}
    # Of the two that Asterisk tells of, one is broken by its caller's name.
    channels = [
        set(re.findall(r"(?m)^(\w+): ", block.decode(errors="replace")))
        for block in seen.ami.split(b"\r\n\r\n") if block.startswith(b"Event: Newchannel")
    ]  # fmt: skip
    of_channel = max(channels, key=len)
    for block in blocks:
        documented = set(EVENTS[block["Event"]]) | set(COMMON)
        assert block.keys() - of_channel <= documented, block.keys()
        assert block.keys() >= of_channel | set(COMMON), block.keys()
        assert not any(CONTROL.search(text) for text in block.values()), block
        assert all(len(text.encode()) <= 4096 for text in block.values())
    assert f"\r\n{MARK}: ".encode() not in seen.ami
    assert f"Event: {MARK}\r\n".encode() not in seen.ami
    words = [block for block in blocks if block["Event"] == "ElevenLabsTranscript"]
    assert any(block["Text"].startswith("Hi. FORGED: 1 Event: FORGED") for block in words)
    assert any(block.get("Truncated") == "1" for block in words)


def test_events_of_ari_are_the_same(seen: Seen) -> None:
    blocks = seen.blocks()
    for agent in AGENTS:
        fields = [each["userevent"] for each in seen.ari if each["userevent"]["Agent"] == agent]
        own = [block for block in blocks if block["Agent"] == agent]
        assert [each["eventname"] for each in fields] == [block["Event"] for block in own]
        for each, block in zip(fields, own, strict=True):
            del each["eventname"]
            assert each.items() <= block.items()


def test_cel_and_cdr_hold_json(seen: Seen) -> None:
    """And as many lines as there were events, and calls."""
    logged = ("ElevenLabsStart", "ElevenLabsStep", "ElevenLabsEnd")
    told = sorted(block["Event"] for block in seen.blocks() if block["Event"] in logged)
    until(lambda: len(seen.csv("cel.txt")) >= len(told), "CEL has not all")
    rows = seen.csv("cel.txt")
    assert sorted(row[0] for row in rows) == told
    for name, extra in rows:
        fields = json.loads(extra)
        assert fields.keys() <= set(EVENTS[name]) | set(COMMON)
        assert not any(CONTROL.search(text) for text in texts_in(fields))

    def left() -> list[dict[str, Any]]:
        return [json.loads(row[0]) for row in seen.csv("cdr.txt") if row and row[0]]

    until(lambda: len(left()) >= len(AGENTS), "CDR has not all")
    assert {each["Agent"] for each in left()} == set(AGENTS)
    assert all(len(each) == 9 for each in left())


def test_a_record_is_one_line_of_json(seen: Seen) -> None:
    """What was said is in it, without a byte that a terminal, a page or a reader acts upon."""
    assert len(seen.lines) == len(AGENTS)
    found = {}
    for line in seen.lines:
        assert not set(line) & set(b"<>&\r\n\x00\x1b\x7f")
        line.decode("utf-8")
        found[json.loads(line)["agent"]] = json.loads(line)
    assert found.keys() == set(AGENTS)
    for record in found.values():
        assert record["status"] == "AGENT_ENDED"
        (own,) = [tool for tool in record["tools"] if tool["name"] == "evil"]
        assert own["result"].startswith("Yes")
        assert len(own["result"]) <= 1000
    hostile = found["hostile"]
    said = {(turn["speaker"], turn["text"][:20]) for turn in hostile["transcript"]}
    assert {("caller", TEXT[:20]), ("agent", TEXT[:20])} <= said
    assert all(len(turn["text"]) <= 4000 for turn in hostile["transcript"])
    assert hostile["conversation_id"] is None
    assert found["caller"]["caller_name"].startswith('Eve\\"}]<b>\x1b[2J\u202e${SHELL')
    assert found["caller"]["caller_number"].startswith("1\r\nFORGEDOfCaller: 1\r\n")


def test_the_webhook_has_the_very_record(seen: Seen) -> None:
    assert sorted(seen.bodies) == sorted(seen.lines)


def test_no_text_is_in_the_metrics(seen: Seen) -> None:
    labels = [
        (sample.name, name, value)
        for family in text_string_to_metric_families(seen.metrics)
        for sample in family.samples
        if sample.name.startswith("elevenlabs_")
        for name, value in sample.labels.items()
    ]
    assert {value for _, name, value in labels if name == "agent"} <= {*AGENTS, ""}
    assert MARK not in seen.metrics
    assert "Eve" not in seen.metrics


def test_a_line_of_the_log_is_one_of_ours(seen: Seen) -> None:
    """With `debug` on, which logs each message. Asterisk itself writes down the caller's name."""
    log = seen.pbx.log()
    assert not re.search(rf"(?m)^(?:{MARK}|Event: {MARK}|Channel|\"|{{|Hi|Yes|<)(?!Of)", log)
    ours = re.findall(r"(?m)^\[.*(?:ElevenLabs: |app_elevenlabs_convai\.c: | call/).*$", log)
    assert any(MARK in line for line in ours)
    for line in ours:
        assert not CONTROL.search(line), line
        assert len(line) < 10_000


def test_nothing_runs(seen: Seen) -> None:
    assert not (seen.pbx.folder / "ran").exists()
