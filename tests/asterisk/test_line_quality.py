"""Was the agent slow, or the line bad? Events, records and `show session` tell, by RTP with RTCP.

Three calls at once: a line that loses packets and an agent that is quick; a good line and an agent
that is slow; and a channel without RTP.
"""

from __future__ import annotations

import re
import statistics
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from testbed.ami import Ami
from testbed.callers import Callers
from testbed.instance import Instance
from testbed.line import Phone
from testbed.mock import MockAgent
from testbed.root import Root
from testbed.speech import speech
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.phone import DIALPLAN, configure, section
from tests.asterisk.stage import until
from tests.timing import SECOND
from tests.unit.test_events_page import EVENTS

SLOW_MS = 1200
LOSS = 10
"""Percent."""
WORDS = 2
SAY_MS, QUIET_MS = 600, 3600
REST_SECONDS = 40 * SECOND
"""What a line has left when all has been said: the callers hang up before that."""

SERVICE = f"""\
title = "line"
[agents.quick]
format = "ulaw_8000"
first_message = {{ text = "Hello.", sound = "noise:1:300", interruptible = false }}
turn_taking = {{ end_of_turn_ms = 300 }}
when_done = "repeat"
turns = [{{ say = {{ text = "Yes.", sound = "noise:2:300", interruptible = false }} }}]
[agents.slow]
like = "quick"
[[agents.slow.turns]]
say = {{ text = "Yes.", sound = "noise:2:300", interruptible = false, delay_ms = {SLOW_MS} }}
"""
AGENTS = ("quick", "slow")
LINE = ("JitterMs", "LossPercent", "RemoteJitterMs", "RemoteLossPercent", "RoundTripMs", "Mos")


@dataclass(frozen=True)
class Seen:
    shown: dict[str, str]
    """By `elevenlabs show session`."""
    quality: dict[str, dict[str, str]]
    ends: dict[str, dict[str, str]]
    """ElevenLabsQuality and ElevenLabsEnd, by the agent; that of the channel without RTP is ""."""
    records: dict[str, dict[str, Any]]
    """By the id."""
    latency: dict[str, str]
    """ELEVENLABSLATENCY, by the channel's unique id."""


def sessions(pbx: Instance) -> dict[str, str]:
    """The channels of telephones, by agent."""
    shown = pbx.cli("elevenlabs show sessions")
    return {agent: name for name, agent in re.findall(r"(?m)^(PJSIP\S+) +(\S+) ", shown)}


def show_session(pbx: Instance, agent: str) -> str:
    channels = sessions(pbx)
    return pbx.cli(f"elevenlabs show session {channels[agent]}") if agent in channels else ""


@pytest.fixture(scope="module")
def seen(asterisk: StartAsterisk, root: Root) -> Seen:
    pbx = asterisk(dialplan=DIALPLAN, elevenlabs="[general]\n")
    rtp = pbx.etc / "rtp.conf"
    # Asterisk reckons loss when it sends a report, by default each 5 s.
    rtp.write_text(rtp.read_text() + "rtcpinterval = 500\n")
    pbx.cli("module reload res_rtp_asterisk.so")
    words = speech(root, "One two three four five six seven eight.")
    phones = [Phone(root, words).silence(1600) for _ in AGENTS]
    for phone in phones:
        for _ in range(WORDS):
            phone.say(SAY_MS).silence(QUIET_MS)
        phone.silence(round(1000 * REST_SECONDS))
    phones[0].lose(LOSS, seed=5)
    shown: dict[str, str] = {}

    def is_shown() -> bool:
        shown.update({agent: show_session(pbx, agent) for agent in AGENTS})
        told = (f"{WORDS} answered", "round trip")
        has_lost = re.search(r"Line: +0*[1-9]", shown["quick"])
        return bool(has_lost) and all(words in text for text in shown.values() for words in told)

    with MockAgent(root, SERVICE) as mock, Ami(pbx, "on") as ami:
        keys = {"transcripts": "records"}
        conf = "[general]\nrecords = yes\n" + "".join(section(n, mock.url, **keys) for n in AGENTS)
        said = configure(pbx, conf)
        assert "reloaded successfully" in said, said
        with Callers(pbx, len(AGENTS), AGENTS.__getitem__, play=phones) as calls:
            calls.wait_up()
            pbx.cli("channel originate Local/quick@callers application Wait 2")
            until(is_shown, f"{shown}")
            calls.hangup_all()
            calls.wait()
        pbx.wait_no_channels()
        events = ami.events("Hangup", len(AGENTS) + 2)  # and both ends of the Local channel
    quality: dict[str, dict[str, str]] = {}
    ends: dict[str, dict[str, str]] = {}
    for event in events:
        name = event.get("Event")
        if name in ("ElevenLabsQuality", "ElevenLabsEnd"):
            told = quality if name == "ElevenLabsQuality" else ends
            told["" if event["Channel"].startswith("Local") else event["Agent"]] = event
    latency = {
        event["Uniqueid"]: event["Value"] for event in events
        if event.get("Event") == "VarSet" and event["Variable"] == "ELEVENLABSLATENCY"
    }  # fmt: skip
    return Seen(shown, quality, ends, records(pbx, len(ends)), latency)


def records(pbx: Instance, count: int) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}

    def is_there() -> bool:
        for file in (pbx.folder / "spool" / "elevenlabs").glob("records-*.jsonl"):
            lines = [orjson.loads(line) for line in file.read_bytes().splitlines()]
            found.update({each["id"]: each for each in lines})
        return len(found) == count

    until(is_there, "not all is recorded")
    return found


def test_a_bad_line_is_told_from_a_slow_agent(seen: Seen) -> None:
    for told in (seen.quality, seen.ends):
        bad, good = told["quick"], told["slow"]
        assert LOSS / 2 < float(bad["LossPercent"]) < LOSS * 2, bad
        assert float(good["LossPercent"]) == 0, good
        assert float(bad["Mos"]) < 4 < float(good["Mos"])
    quick, slow = (int(seen.ends[agent]["LatencyMs"]) for agent in AGENTS)
    assert int(seen.ends["slow"]["Answers"]) == WORDS
    assert quick < SLOW_MS < slow


def test_the_other_side_has_sent_reports(seen: Seen) -> None:
    """So Asterisk knows of the way there, and back."""
    for agent in AGENTS:
        end = seen.ends[agent]
        assert 0 < float(end["RoundTripMs"]) < 1000 * SECOND, end
        assert float(end["RemoteLossPercent"]) == 0, end
        assert 0 <= float(end["RemoteJitterMs"]) < 1000 * SECOND, end


def test_a_session_shows_its_line(seen: Seen) -> None:
    for agent, loss in (("quick", r"0*[1-9][\d.]*"), ("slow", r"0\.00")):
        shown = seen.shown[agent]
        assert re.search(rf"(?m)^Line: +{loss} % lost, [\d.]+ ms jitter, MOS [\d.]+$", shown), shown
        assert re.search(r"(?m)^  as reported: +0\.00 % lost .*, [\d.]+ ms round trip$", shown), (
            shown
        )


def test_a_channel_without_rtp_has_no_line(seen: Seen) -> None:
    """Empty is not known; it is not good."""
    for told in (seen.quality, seen.ends):
        assert {name: told[""][name] for name in LINE} == dict.fromkeys(LINE, "")
    record = seen.records[seen.ends[""]["RecordId"]]
    assert [record[name] for name in ("jitter_ms", "loss_percent", "round_trip_ms", "mos")] == [
        None
    ] * 4


FIELDS = {
    "Agent": "agent", "AskedAgent": "asked_agent", "Status": "status", "Reason": "reason",
    "Detail": "detail", "RecordId": "id", "ConversationId": "conversation_id", "Channel": "channel",
    "AgentSpokeMs": "agent_spoke_ms", "CallerSpokeMs": "caller_spoke_ms", "Queued": "queued_s",
    "Turns": "agent_responses", "Interruptions": "interruptions", "Steps": "steps",
    "ToolsDone": "tools_done", "ToolsFailed": "tools_failed", "EventsLeftOut": "events_left_out",
    "Answers": "answers", "LatencyMs": "latency_ms", "LatencyMaxMs": "latency_max_ms",
    "JitterMs": "jitter_ms", "LossPercent": "loss_percent", "RemoteJitterMs": "remote_jitter_ms",
    "RemoteLossPercent": "remote_loss_percent", "RoundTripMs": "round_trip_ms", "Mos": "mos",
}  # fmt: skip
"""Of the end and of the record: what is the same in both."""
MEASURED_TWICE = {"Time", "Duration", "TalkedMs"}
"""By the channel and by the engine, with some milliseconds between them."""


def test_the_record_has_what_the_end_tells(seen: Seen) -> None:
    """All of it, in the same figures; and how soon each turn was answered."""
    for agent in AGENTS:
        end = seen.ends[agent]
        record = seen.records[end["RecordId"]]
        assert set(EVENTS["ElevenLabsEnd"]) | {"Agent"} <= FIELDS.keys() | MEASURED_TWICE
        for name, field in FIELDS.items():
            value = record[field]
            same = str(value) == end[name] if isinstance(value, str) else value == float(end[name])
            assert same, (name, end[name], value)
        assert abs(record["talking_ms"] - int(end["TalkedMs"])) < 1000 * SECOND
        assert seen.latency[end["Uniqueid"]] == f"{end['LatencyMs']},{end['LatencyMaxMs']}"
        times = [
            turn["latency_ms"] for turn in record["transcript"] if turn["latency_ms"] is not None
        ]
        assert len(times) == int(end["Answers"])
        assert max(times) == record["latency_max_ms"]
        assert abs(statistics.median(times) - record["latency_ms"]) <= 1
        assert all(
            turn["speaker"] == "agent" for turn in record["transcript"] if turn["latency_ms"]
        )
