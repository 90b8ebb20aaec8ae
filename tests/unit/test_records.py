"""What is in the record of a call: its conversation, bounded, and only what was asked for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from pyconvai import limits
from pyconvai.conversation.account import Account
from pyconvai.conversation.effects import CallTool, Said, Speaker
from pyconvai.records import options, record
from pyconvai.records.signature import HEADER, signature
from pyconvai.secret import Secret
from tests.unit.engine import Call, Engine
from tests.unit.peer import Connection, RawService, close_frame, text
from tests.unit.recorded import (
    CALL_OVER,
    SECRET,
    configure,
    end,
    facts,
    inform,
    wait_lines,
)

DOCS = Path(__file__).parents[2] / "docs" / "records.md"
HOSTILE = 'one\r\ntwo "}\n{"status":"FORGED"}<b>'


def script(service: Connection) -> None:
    """A turn each, an answer that is cut short, and a tool that nobody has."""
    service.begin()
    for kind, key, body in (
        ("agent_response", "agent_response_event", {"agent_response": "Hello.", "event_id": 1}),
        ("user_transcript", "user_transcription_event", {"user_transcript": HOSTILE}),
        ("agent_response", "agent_response_event", {"agent_response": "Well, yes", "event_id": 2}),
        (
            "agent_response_correction",
            "agent_response_correction_event",
            {"corrected_agent_response": "Well,", "event_id": 2},
        ),
        (
            "client_tool_call",
            "client_tool_call",
            {"tool_name": "nothing", "tool_call_id": "t1", "parameters": {}},
        ),
    ):
        service.sock.sendall(text(**{"type": kind, key: body}))
    service.sock.sendall(close_frame(1000))
    service.drained()


def talk(engine: Engine, folder: Path, **settings: str) -> dict[str, Any]:
    """One conversation, as the module runs it; its record."""
    told = facts(for_webhook="no")
    with RawService(script) as service:
        settings = {"base_url": service.url, "auth": "none"} | settings
        call = Call(engine, settings=settings, facts=told)
        status, _ = call.ending()
        call.release()
        over = told | end(status=status)
        assert inform(engine, CALL_OVER, list(over.items())) == 0
    (found,) = wait_lines(folder, 1)
    return found


def test_a_conversation(engine: Engine, tmp_path: Path) -> None:
    configure(engine, tmp_path / "r")
    found = talk(engine, tmp_path / "r", transcripts="records")
    assert (found["status"], found["conversation_id"]) == ("AGENT_ENDED", "conv_raw")
    assert (found["caller_turns"], found["agent_turns"]) == (1, 2)
    turns = [(each["speaker"], each["text"], each["cut_short"]) for each in found["transcript"]]
    assert turns == [
        ("agent", "Hello.", False),
        ("caller", HOSTILE, False),
        ("agent", "Well,", True),
    ]
    (tool,) = found["tools"]
    assert (tool["name"], tool["outcome"]) == ("nothing", "failed")
    assert "no tool named nothing" in tool["result"]
    assert found["transcript"][2]["said"] == "Well, yes"
    assert found["counters"]["messages_received"] >= 5
    assert (found["latency"], found["away"]) == ([], [])
    assert found["talking_at"] is not None
    assert found["talking_ms"] >= 0


@pytest.mark.parametrize("where", ["", "none", "events"])
def test_no_words_are_recorded_unless_they_are_to_be(
    engine: Engine, tmp_path: Path, where: str
) -> None:
    configure(engine, tmp_path / "r")
    found = talk(engine, tmp_path / "r", **({"transcripts": where} if where else {}))
    assert found["transcript"] is None
    assert found["tools"][0]["result"] is None
    assert (found["caller_turns"], found["agent_turns"]) == (1, 2)


def test_an_engine_that_is_stopped_records_what_it_ends(tmp_path: Path) -> None:
    """The module is not quick enough to say how the call ended."""

    def silent(service: Connection) -> None:
        service.begin()
        service.drained()

    engine = Engine()
    configure(engine, tmp_path / "r")
    told = facts(for_webhook="no")
    with RawService(silent) as service:
        settings = {"base_url": service.url, "auth": "none"}
        call = Call(engine, settings=settings, facts=told)
        call.wait(1)
        mark = tmp_path / "r" / "calls"
        assert engine.stop() == 0
        call.release()
    (found,) = wait_lines(tmp_path / "r", 1)
    assert (found["status"], found["id"]) == ("UNLOADED", told["id"])
    assert not list(mark.glob("[!.]*"))


def test_what_is_gathered_is_bounded() -> None:
    account = Account()
    account.begin("conv_1", keeps_words=True)
    for number in range(limits.RECORD_TURNS + 10):
        account.said(Said(Speaker.CALLER, "y" * 100_000 if number % 2 else "", 0, final=True))
    for number in range(limits.RECORD_TOOLS + 10):
        account.called(CallTool("x" * 100_000, str(number), {}))
        account.answered(str(number), "z" * 1_000_000, is_error=False)
    told = account.told()
    assert told["caller_turns"] == limits.RECORD_TURNS + 10
    assert len(told["transcript"]) + told["transcript_left_out"] == told["caller_turns"]
    assert sum(len(each["text"]) for each in told["transcript"]) <= limits.RECORD_WORDS_CHARACTERS
    assert (len(told["tools"]), told["tools_left_out"]) == (limits.RECORD_TOOLS, 10)
    found = record.ended(facts() | end(), account)
    assert len(record.written(found)) < limits.SPOOLED_BYTES
    account.answered("0", "late", is_error=True)
    assert account.told()["tools"][0]["outcome"] == "done"


def test_what_can_be_longest_fits_into_the_spool() -> None:
    """Characters that take most, everywhere."""
    account = Account()
    account.begin("conv_1", keeps_words=True)
    widest = "\U000e0041"
    for number in range(limits.RECORD_TURNS):
        account.said(Said(Speaker.AGENT, widest * limits.RECORD_TURN_CHARACTERS, number))
    for number in range(limits.RECORD_TOOLS):
        account.called(CallTool(widest * 100, str(number), {}))
        account.answered(str(number), widest * 10_000, is_error=False)
    words = widest * 10_000
    told = facts() | end(reason=words, detail=words, caller_name=words, asked_agent=words)
    assert len(record.written(record.ended(told, account))) < limits.SPOOLED_BYTES


def test_settings() -> None:
    """An agent that there is not, and one in capitals; [general] has none."""
    pairs = [
        (0, name, value)
        for name, value in (
            ("in_service", "yes"), ("folder", "/f"), ("records_days", "7"),
            ("section", "general"), ("records", "no"),
            ("webhook_url", ""), ("webhook_secret", ""), ("ca_file", ""),
            ("section", "Sales"), ("records", "no"),
            ("webhook_url", "https://h/x"), ("webhook_secret", "s"), ("ca_file", "/ca"),
        )
    ]  # fmt: skip
    found = options.read(pairs)
    assert (found.in_service, found.folder, found.days, found.wanted) == (True, "/f", 7, True)
    destination = found.destination("SALES")
    assert destination is not None
    assert (destination.place, destination.ca_file) == ("h:443", "/ca")
    assert found.destination("nobody") is None


# ---- The page ----


def test_the_page_lists_the_fields() -> None:
    page = DOCS.read_text(encoding="utf-8").partition("**`CRASHED`**")[0]
    listed = [
        re.findall(r"(?m)^\| `(\w+)` \|", part) for part in re.split(r"(?m)^Of [^:|]+:$", page)
    ]
    account = Account()
    account.begin("conv_1", keeps_words=True)
    account.called(CallTool("x", "1", {}))
    account.said(Said(Speaker.AGENT, "Hello.", 1))
    account.interrupted(1, 2)
    found = record.ended(facts() | end(), account)
    parts = [list(found[name][0]) for name in ("tools", "transcript", "interrupted")]
    others = ["why", "step", "at_ms", "ms", "every_ms", "caller", "agent"]
    assert listed == [list(found), *parts, others]


def test_a_record_has_the_figures_of_the_end() -> None:
    """Those that the event ElevenLabsEnd has, as numbers; null is what is not known."""
    begun = record.begun(facts())
    told = {
        "TalkedMs": "900", "AgentSpokeMs": "500", "CallerSpokeMs": "300", "Queued": "7",
        "Turns": "2", "Interruptions": "1", "Steps": "3", "ToolsDone": "4", "ToolsFailed": "5",
        "EventsLeftOut": "6", "Answers": "2", "LatencyMs": "812", "LatencyMaxMs": "1430",
        "JitterMs": "0.5", "LossPercent": "5.00", "RemoteJitterMs": "", "RemoteLossPercent": "",
        "RoundTripMs": "30.2", "Mos": "3.99",
    }  # fmt: skip
    found = record.ended(facts() | end() | told, None)
    figures = {name: found[name] for name in begun if found[name] is not None}
    assert figures.items() >= {
        "agent_spoke_ms": 500, "caller_spoke_ms": 300, "queued_s": 7, "agent_responses": 2,
        "steps": 3, "tools_done": 4, "tools_failed": 5, "events_left_out": 6, "answers": 2,
        "latency_ms": 812, "latency_max_ms": 1430, "jitter_ms": 0.5, "loss_percent": 5.0,
        "round_trip_ms": 30.2, "mos": 3.99,
    }.items()  # fmt: skip
    assert (found["remote_jitter_ms"], found["remote_loss_percent"]) == (None, None)
    silent = record.ended(facts() | end() | told | {"Answers": "0", "LatencyMs": "0"}, None)
    assert (silent["answers"], silent["latency_ms"], silent["latency_max_ms"]) == (0, None, None)


def test_each_answer_has_its_time() -> None:
    """By where in the agent's audio it begins; what answers nothing, or has no words, has none."""
    account = Account()
    account.begin("conv_1", keeps_words=True)
    account.speaks(1, 0)
    account.said(Said(Speaker.AGENT, "Hello.", 1))
    account.said(Said(Speaker.CALLER, "What is it?", 0, final=True))
    account.said(Said(Speaker.AGENT, "Ten euros.", 2))
    account.speaks(2, 900)
    account.speaks(3, 1500)
    account.speaks(4, 2000)
    account.said(Said(Speaker.AGENT, "Goodbye.", 4))
    account.answers = [(2020, 700), (1500, 5), (910, 812)]
    turns = account.told()["transcript"]
    assert [turn["latency_ms"] for turn in turns] == [None, None, 812, 700]


def test_the_pages_example_verifies() -> None:
    """As a receiver would run it: the right secret, and what is wrong with others."""
    page = DOCS.read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)
    body = orjson.dumps({"id": "x"})
    now = 1_700_000_000
    header = signature(Secret(SECRET), body, now)
    verify = names["verify"]
    assert HEADER == "ElevenLabs-Signature"
    assert verify(header, body, SECRET, now + 10)
    assert not verify(header, body + b" ", SECRET, now)
    assert not verify(header, body, "other", now)
    assert not verify(header, body, SECRET, now + 3600)
    for wrong in ("", "t=x,v0=y", "v0=abc", f"t={now}", f"t={now},v0="):
        assert not verify(wrong, body, SECRET, now)
