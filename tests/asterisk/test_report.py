"""The report of a real call, and the bundle: one Asterisk, a call with all that a page shows."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from testbed.callers import Callers, place_call
from testbed.instance import Instance
from testbed.line import Phone
from testbed.mock import MockAgent
from testbed.root import Root
from testbed.speech import speech
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.phone import RESULT, configure, section, wait_talking
from tests.asterisk.reporting import LEFT, leave, report, unpacked
from tests.planted import PIN, SECRETS, Search, digits, key, secret
from tests.timing import EVENT, MS

HOSTILE = "</p><script>alert(1)</script> \u202eevil\u202c"
LONG = f"{HOSTILE} first second third fourth fifth sixth seventh eighth ninth tenth"

SAID = "token of the dialplan"

SERVICE = f"""\
title = "report"
[agents.default]
format = "ulaw_8000"
pace = 0
first_message = {{ text = {json.dumps(LONG)}, sound = "noise:1:6000" }}
turn_taking = {{ end_of_turn_ms = 300, barge_in_ms = 240 }}
[[agents.default.turns]]
caller = "Stop, please."
tool = {{ name = "look", parameters = {{ what = "it" }}, timeout_ms = 20000 }}
say_after_tool = {{ text = "Done.", sound = "noise:2:600", interruptible = false }}
[[agents.default.turns]]
caller = "Thanks."
say = {{ text = "Bye.", sound = "noise:3:300", interruptible = false }}
end = true
[agents.quiet]
like = "default"
turns = []
"""

DIALPLAN = f"""\
[callers]
exten => _[a-z].,1,Set(AGENT=${{EXTEN}})
 same => n,ElevenLabsConvAI(${{EXTEN}})
 same => n,Log(NOTICE,{RESULT}went on|${{AGENT}})
 same => n,Hangup()
exten => secrets,1,Set(PASSWORD={secret("key")})
 same => n,Set(ELEVENLABS_OVERRIDE_custom_llm_extra_body={{"token":"{secret(SAID)}"}})
 same => n,Authenticate({digits(PIN)})
 same => n,Dial(PJSIP/{digits(PIN)}@trunk)
 same => n,ElevenLabsConvAI(default)

[elevenlabs-steps]
exten => look,1,Wait(0.5)
 same => n,Return(seen: ${{ELEVENLABS_ARG_what}})

[elsewhere]
exten => nothing,1,NoOp(of no agent)
"""

SECONDS_BEFORE = 1.5
"""The agent speaks so long before the caller interrupts it."""


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    return asterisk(dialplan=DIALPLAN, elevenlabs="[general]\n", verbose=3, debug=0)


@pytest.fixture(scope="module")
def mock(root: Root) -> Iterator[MockAgent]:
    with MockAgent(root, SERVICE) as mock:
        yield mock


def conf(mock: MockAgent, **keys: str) -> str:
    text = f"[general]\nrecords = yes\nmax_sessions = 7\nvar_code = {secret('variable')}\n"
    text += section("default", mock.url, tools="end_call,look", **keys)
    return text + section("quiet", mock.url, transcripts="none")


def page_of(pbx: Instance, name: str) -> str:
    return report(pbx, name).read_text(encoding="utf-8")


def spoken(levels: dict[str, str], side: str) -> list[float]:
    """When a side spoke, by its levels: seconds since the conversation began."""
    found = base64.b64decode(levels[side])
    return [place / 10 for place, level in enumerate(found) if level & 0x80]


def test_the_report_of_a_call(pbx: Instance, mock: MockAgent) -> None:
    """Levels by the channel's own time, the interruption where it was, words as text."""
    configure(pbx, conf(mock, transcripts="records"))
    words = speech(pbx.root, "One two three four five six seven eight nine ten.")
    phone = Phone(pbx.root, words)
    phone.silence(round(SECONDS_BEFORE * 1000)).say(1000).silence(2500).say(600).silence(8000)
    with Callers(pbx, 1, "default", play=phone, hangup_after=phone.seconds) as calls:
        calls.wait()
    made = page_of(pbx, "last")
    (record,) = _records(pbx)
    by_id = page_of(pbx, record["conversation_id"])
    assert _without_time(by_id) == _without_time(made) == _without_time(page_of(pbx, record["id"]))

    assert "<script>" not in made
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in made
    assert "U+202E" in made
    assert "\u202e" not in made
    assert "<del>" in made
    assert "seen: it" in made
    assert "Step <bdi>look</bdi>" in made
    assert "AGENT_ENDED" in made

    agent, caller = spoken(record["levels"], "agent"), spoken(record["levels"], "caller")
    (cut,) = record["interrupted"]
    assert agent[0] < 0.5
    before = [at for at in agent if at < caller[0]]
    # It was sent all at once; on the channel's time it spoke until it was interrupted.
    assert len(before) >= 10, agent
    assert cut["length_ms"] >= 5900
    assert abs(cut["heard_ms"] / 1000 - cut["at_ms"] / 1000) < 1, cut
    first = record["transcript"][0]
    assert 0 < first["heard_characters"] < len(first["said"] or first["text"])
    (away,) = record["away"]
    assert (away["why"], away["step"]) == ("step", "look")
    assert away["ms"] >= 400
    last = [at for at in agent if at > (away["at_ms"] + away["ms"]) / 1000]
    assert 0.8 <= len(last) / 10 <= 1.3, agent
    # What comes behind a step answers nobody's word; the last turn does.
    (turn,) = record["latency"]
    assert abs(turn["at_ms"] / 1000 - next(at for at in last if at > last[0] + 1)) < 0.3, agent
    assert record["loss_percent"] is not None


def _records(pbx: Instance) -> list[dict[str, Any]]:
    folder = pbx.folder / "spool" / "elevenlabs"
    until = time.monotonic() + EVENT
    while not (files := list(folder.glob("records-*.jsonl"))):
        assert time.monotonic() < until
        time.sleep(20 * MS)
    return [orjson.loads(line) for line in files[0].read_bytes().splitlines()]


def _without_time(page: str) -> str:
    return re.sub(r"Made [^b]*by", "", page)


def test_calls_that_are_up_and_commands(pbx: Instance, mock: MockAgent) -> None:
    """By its channel's name, which Tab offers; without words where none are to be kept."""
    configure(pbx, conf(mock))
    with Callers(pbx, 1, "quiet", hangup_after=60) as calls:
        wait_talking(pbx, 1)
        (channel,) = re.findall(
            r"(?m)^(PJSIP/\S+) .* talking ", pbx.cli("elevenlabs show sessions")
        )
        offered = pbx.cli('_command matchesarray "elevenlabs report P" "P"')
        assert channel in offered.split(), offered
        made = page_of(pbx, channel)
        assert "the call is up" in made
        assert "What was said is not kept" in made
        assert "first second" not in made
        calls.hangup_all()
    pbx.wait_no_channels()
    assert "no call nobody is up" in pbx.cli("elevenlabs report nobody")
    assert "Usage: elevenlabs report" in pbx.cli("elevenlabs report")
    left = leave(pbx, "tests/asterisk/test_x.py::test_y[a/b]")
    assert left == LEFT / "tests-asterisk-test_x.py-test_y-a-b-.html"
    assert "quiet" in left.read_text(encoding="utf-8")
    left.unlink()


def test_no_secret_is_in_a_bundle(pbx: Instance, mock: MockAgent) -> None:
    """Whatever is in the configuration, the dialplan and the log."""
    fault = f"[wrong]\nagent_id = x\nelevenlabs_api_key = {key('key in a wrong place')}\n"
    configure(pbx, conf(mock, api_key=key("key in elevenlabs.conf")) + fault)
    configure(pbx, conf(mock, api_key=key("key in elevenlabs.conf")))
    place_call(pbx, "nobody")
    files = unpacked(report(pbx, "bundle"))
    found = [
        each for name, text in files.items() for each in Search((*SECRETS, PIN)).text(text, name)
    ]
    assert not found, "\n".join(map(str, found))
    for name, text in (
        ("versions.txt", "app_elevenlabs_convai"),
        ("versions.txt", "Asterisk "),
        ("config.txt", "max_sessions = 7"),
        ("config.txt", "api_key = *** (set)"),
        ("config.txt", "var_code = *** (set)"),
        ("dialplan.txt", "ElevenLabsConvAI(default)"),
        ("dialplan.txt", "look"),
        ("counters.txt", "elevenlabs_calls_total"),
        ("asterisk.txt", "PBX Core settings"),
        ("endings.jsonl", "AGENT_ENDED"),
        ("log.txt", "NOAGENT"),
    ):
        assert text in files[name], (name, files[name])
    assert "of no agent" not in files["dialplan.txt"]
    assert "script" not in files["endings.jsonl"]
    assert digits(PIN)[:6] not in files["dialplan.txt"]
