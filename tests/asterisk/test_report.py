"""The report of a real call, and the bundle: one Asterisk, a call with all that a page shows."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from testbed.ami import Ami
from testbed.callers import Callers, place_call
from testbed.instance import Instance
from testbed.line import Phone
from testbed.mock import MockAgent
from testbed.root import Root
from testbed.rtp import CODECS
from testbed.speech import speech
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.page import Viewer, add_users
from tests.asterisk.phone import RESULT, configure, section, wait_talking
from tests.asterisk.reporting import LEFT, leave, report, unpacked
from tests.asterisk.stage import loud_seconds, until
from tests.planted import PIN, SECRETS, Search, digits, key, mark, secret

ULAW = CODECS["ulaw"]
DONE = ULAW.noise(0.6, seed=2)
"""What the agent says behind its tool."""

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

PASSWORD = mark("key").translate(str.maketrans("0123456789abcdef", "ghijklmnopqrstuv"))
"""One that looks like a word, and like nothing that a rule could know."""

PLANTED = tuple(
    each.replace("{}", PASSWORD)
    for each in (
        "Authenticate({})",
        "VMAuthenticate(100@default,{})",
        "DISA({},internal)",
        "VoiceMailMain({}@default,s)",
        "System(curl -u user:{} https://crm.example.com/)",
        "Set(X=${CURL(https://user:{}@crm.example.com/{})})",
        "Set(CURLOPT(userpwd)=user:{})",
        "SIPAddHeader(Authorization: Basic {})",
        "Set(PJSIP_HEADER(add,Authorization)=Digest {})",
        "Dial(SIP/user:{}@trunk.example.com/${EXTEN},30,G(vault^{}^1))",
        "MYSQL(Connect connid db.example.com user {} crm)",
        "Set(ODBC_LOGIN({})=yes)",
        "Set(HASH=${SHA1({}${EXTEN})})",
        'GotoIf($["${PIN}" = "{}"]?in:out)',
        "{}({})",
        "ElevenLabsConvAI({},c)",
        "ElevenLabsConvAI(default,{})",
        "Set(ELEVENLABS_VAR_x={})",
    )
)
"""Lines of the dialplan around the application."""

PLACES = """
[vault-{}]
include => {}
switch => IAX2/user:{}@pbx.example.com/vault
ignorepat => 9{}
exten => {},1({}),ElevenLabsConvAI(default)
exten => {},hint,PJSIP/{}
exten => 100/{},1,ElevenLabsConvAI(default)
exten => _{}X.,1,NoOp()
; #exec /usr/bin/secrets {}
""".replace("{}", PASSWORD)
"""... and a context with one wherever a dialplan has room for words."""

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
{{planted}}

[elevenlabs-steps]
exten => look,1,Wait(0.5)
 same => n,Return(seen: ${{ELEVENLABS_ARG_what}})

[elsewhere]
exten => nothing,1,NoOp(of no agent)
"""
DIALPLAN = (
    DIALPLAN.replace("{planted}", "\n".join(f" same => n,{each}" for each in PLANTED)) + PLACES
)

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
    text = "[general]\nhttp_page = yes\nrecords = yes\nmax_sessions = 7\n"
    text += f"var_code = {secret('variable')}\n"
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
    with Callers(pbx, 1, "default") as calls:
        (call,) = calls
        until(lambda: loud_seconds(call.so_far().heard) > SECONDS_BEFORE, "no greeting")
        call.say(ULAW.noise(1.0, seed=11))
        until(lambda: DONE in call.so_far().heard, "the tool is not done")
        call.say(ULAW.noise(0.6, seed=12))
        calls.wait()
    (record,) = _records(pbx)
    made = page_of(pbx, "last")
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
    before = [at for at in agent if at < caller[0]]
    # It was sent all at once; on the channel's time it spoke until it was interrupted.
    assert len(before) >= 10, agent
    assert cut["length_ms"] >= 5900
    assert abs(cut["at_ms"] - cut["heard_ms"] - 1000 * agent[0]) < 1000, (cut, agent[0])
    first = record["transcript"][0]
    assert 0 < first["heard_characters"] < len(first["said"] or first["text"])
    (away,) = record["away"]
    assert (away["why"], away["step"]) == ("step", "look")
    assert away["ms"] >= 400
    last = [at for at in agent if at > (away["at_ms"] + away["ms"]) / 1000]
    # 0.9 s in tenths, of which the first may have begun in the step, and the last is not whole.
    assert 7 <= len(last) <= 13, agent
    # What comes behind a step answers nobody's word; the last turn does.
    (turn,) = record["latency"]
    assert abs(turn["at_ms"] / 1000 - next(at for at in last if at > last[0] + 1)) < 0.3, agent
    assert record["loss_percent"] is not None


def _records(pbx: Instance) -> list[dict[str, Any]]:
    folder = pbx.folder / "spool" / "elevenlabs"
    found: list[dict[str, Any]] = []

    def is_there() -> bool:
        for file in folder.glob("records-*.jsonl"):
            found.extend(map(orjson.loads, file.read_bytes().splitlines()))
        return bool(found)

    until(is_there, "nothing is recorded")
    return found


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
    text = conf(mock, api_key=key("key in elevenlabs.conf"))
    for line in (f"max_sessions = {PASSWORD}", f"{PASSWORD} = yes", f"override_{PASSWORD} = x"):
        assert PASSWORD in configure(pbx, f"{text}[wrong]\nagent_id = x\n{line}\n")
        pbx.cli("module reload app_elevenlabs_convai")  # and this says it in the log
    configure(pbx, text + fault)
    for name in ("environment", "branch_id", "metrics_user", "get_state_allow", "var_x"):
        general = f"[general]\n{name} = {PASSWORD}\n"
        general += "metrics_password = x\n" if name == "metrics_user" else ""
        said = configure(pbx, text.replace("[general]\n", general, 1))
        assert "reloaded successfully" in said, said
        assert PASSWORD not in str(unpacked(report(pbx, "bundle")))
    configure(pbx, text)
    place_call(pbx, "nobody")
    place_call(pbx, PASSWORD)
    files = unpacked(report(pbx, "bundle"))
    assert PASSWORD not in str(files)
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
        ("dialplan.txt", "ElevenLabsConvAI(default)\n"),
        ("dialplan.txt", "ElevenLabsConvAI(default,***)\n"),
        ("dialplan.txt", "[elevenlabs-steps]\nextension look\n  1 Wait(***)\n"),
        ("dialplan.txt", "Authenticate(***)"),
        ("dialplan.txt", "(ELEVENLABS_VAR_x ***)"),
        ("counters.txt", "elevenlabs_calls_total"),
        ("asterisk.txt", "PBX Core settings"),
        ("endings.jsonl", "AGENT_ENDED"),
        ("log.txt", "NOAGENT"),
    ):
        assert text in files[name], (name, files[name])
    assert "of no agent" not in files["dialplan.txt"]
    assert "script" not in files["endings.jsonl"]
    assert digits(PIN)[:6] not in files["dialplan.txt"]


# ---- Who may only look at calls ----

SPOKEN = ("seventh", "please", "seen: it", "Bye")
"""Of the agent, of the caller, what a tool has told the agent, and the agent's last word."""

ITEMS = ("transcript", "summary")


def ways(pbx: Instance, viewer: Viewer, ami: Ami, channel: str, number: int) -> dict[str, str]:
    """All that a user of AMI with `reporting` alone comes by, of one call."""
    seen = {
        f"{path} of the page": viewer.ask("GET", f"/elevenlabs/{path}?call={number}&from=0")[1]
        for path in ("status.json", "report")
    }
    for item in ITEMS:
        variable = f"ELEVENLABS({item},{channel})"
        seen[item] = ami.ask("Getvar", Variable=variable).get("Value", "")
        form = {"action": "getvar", "variable": variable}
        seen[f"{item} over HTTP"] = viewer.ask("POST", "/rawman", form)[1]
    ami.ask("Status", Channel=channel, Variables=",".join(f"ELEVENLABS({item})" for item in ITEMS))
    for action in ("ElevenLabsSessions", "ElevenLabsAgents", "CoreShowChannels"):
        ami.ask(action)
    seen["actions and events"] = str(ami.events())
    with viewer.watch(call=number, **{"from": 0}) as shown:
        seen["events of the page"] = json.dumps(next(shown))
    return seen


@pytest.mark.parametrize("where", ["records", "all"])
def test_who_may_only_look(pbx: Instance, mock: MockAgent, where: str) -> None:
    """Words that are for the records are for who reads files, in a call and behind it."""
    add_users(pbx)
    configure(pbx, conf(mock, transcripts=where))
    viewer = Viewer(pbx, "reports")
    phone = Phone(pbx.root, speech(pbx.root, "One two three four five six seven eight nine ten."))
    phone.silence(1500).say(1000).silence(20_000)
    with Ami(pbx, user="reports", events="on") as ami:
        with Callers(pbx, 1, "default", play=phone, hangup_after=60) as calls:
            wait_talking(pbx, 1)
            (call,) = viewer.status()["calls"]
            until(
                lambda: all(word in page_of(pbx, call["channel"]) for word in SPOKEN[:3]),
                "not all of it is in the report",
            )
            up = ways(pbx, viewer, ami, call["channel"], call["id"])
            calls.hangup_all()
        pbx.wait_no_channels()
        (over,) = [each for each in viewer.status()["endings"] if each["id"] == call["id"]]
        behind = ways(pbx, viewer, ami, over["channel"], over["id"])
    assert all(word in page_of(pbx, "last") for word in SPOKEN[:3])
    shown = {name: [w for w in SPOKEN if w in up[name] or w in behind[name]] for name in up}
    if where == "all":
        assert shown["report of the page"] == list(SPOKEN[:3])
        for name in ("status.json of the page", "events of the page", "transcript"):
            assert shown[name], (name, up[name])  # of `heard` test_view.py has the same
    else:
        assert not any(shown.values()), [up[n] for n in shown if shown[n]]
        assert not any(up[item] for item in ITEMS), up
        assert "What was said is not shown" in up["report of the page"]
        assert "What was said is not shown" in behind["report of the page"]
