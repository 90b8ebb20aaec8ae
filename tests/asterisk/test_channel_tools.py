"""Transfers, digits and variables that an agent wants: telephones on both ends, all calls at once.

Each agent has the name of its scene, which says what the telephones do meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from testbed.rtp import EVENT_TYPE, EVENTS, Recording
from testbed.sip import HOST
from testbed.telephone import Leg
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.phone import RESULT, Result, configure, section
from tests.asterisk.stage import Played, Stage, until
from tests.asterisk.stage import play as play_scenes

_WORDS = "${ELEVENLABS_TRANSFER_REASON}|${ELEVENLABS_TRANSFER_SUMMARY}"
WORDS = f"\n same => n,Log(NOTICE,words|${{EXTEN}}|{_WORDS}|)"
DIALPLAN = f"""\
[callers]
exten => _dial_.,1,NoOp(){WORDS}
 same => n,Dial(${{${{EXTEN:5}}}})
exten => _local_.,1,Dial(Local/${{EXTEN:6}}@agents/n)
exten => _[a-z].,1,Goto(agents,${{EXTEN}},1)
include => ended

[agents]
exten => _[a-z].,1,Set(AGENT=${{EXTEN}})
 same => n,Set(SHARED(mine)=unchanged)
 same => n,ElevenLabsConvAI(${{EXTEN}})
 same => n,Log(NOTICE,{RESULT}went on|${{AGENT}})
 same => n,Hangup()
exten => 500,1,NoOp(){WORDS}
 same => n,Echo()
include => ended

[internal]
exten => 2001,1,NoOp(){WORDS}
 same => n,Echo()
exten => elsewhere,1,Log(NOTICE,elsewhere ${{CHANNEL(name)}})
 same => n,Echo()
include => ended

[ended]
exten => h,1,ExecIf($["${{AGENT}}" != ""]?Log(NOTICE,{RESULT}hung up|${{AGENT}}))
 same => n,Log(NOTICE,set|${{AGENT}}|${{ticket}}|${{SHARED(mine)}}|${{other}}|)
"""

BUILT_IN = "end_call,transfer_call,send_dtmf,set_variable"


@dataclass(frozen=True)
class Part:
    """A scene, its agent's tools in order, and its section."""

    scene: Callable[[Stage], None]
    turns: str
    keys: dict[str, str]
    greeting_ms: int


PARTS: dict[str, Part] = {}


def tool(name: str, /, *, waits: bool = True, **parameters: str) -> str:
    """The turn that calls a tool at once."""
    given = ", ".join(f'{key} = "{value}"' for key, value in parameters.items())
    expects = "" if waits else ", expects_response = false"
    return f'{{ wait_ms = 0, tool = {{ name = "{name}", parameters = {{ {given} }}{expects} }} }}'


def say(number: int, delay_ms: int = 0, ms: int = 400) -> str:
    """What an agent says: REPLIES[number - 2]."""
    sound = f'sound = "noise:{number}:{ms}", interruptible = false, delay_ms = {delay_ms}'
    return f'{{ text = "Noise.", {sound} }}'


REPLY = f"{{ wait_ms = 0, say = {say(2)} }}"
ANSWER = f"{{ say = {say(3)} }}"
"""To what the caller says."""


def part(
    *turns: str, greeting_ms: int = 400, **keys: str
) -> Callable[[Callable[[Stage], None]], Callable[[Stage], None]]:
    def add(scene: Callable[[Stage], None]) -> Callable[[Stage], None]:
        PARTS[scene.__name__] = Part(scene, ",\n".join(turns), keys, greeting_ms)
        return scene

    return add


def agents() -> str:
    texts = ['title = "channel tools"']
    for name, each in PARTS.items():
        texts.append(f"""
[agents.{name}]
pace = 0
format = "ulaw_8000"
first_message = {say(1, ms=each.greeting_ms)}
turn_taking = {{ end_of_turn_ms = 300, barge_in_ms = 240 }}
turns = [
{each.turns}
]
""")
    return "\n".join(texts)


# ---- Blind ----


@part(
    tool(
        "transfer_call", destination="dial_person_blind", reason="wants a person", summary="a; $(b)"
    ),
    transfer_allow="dial_person_blind@callers",
)
def blind(stage: Stage) -> None:
    """A person takes the call; both talk."""
    person = stage.phone("person")
    leg = stage.talk(stage.phone())
    there = person.wait_call()
    talk_to_each_other(stage, leg, there)
    leg.hangup().wait()


def talk_to_each_other(stage: Stage, leg: Leg, there: Leg) -> None:
    there.wait_up()
    stage.speak(leg, "to person")
    stage.hears(there, stage.said["to person"], "to person")
    stage.speak(there, "from person")
    stage.hears(leg, stage.said["from person"], "from person")


@part(tool("transfer_call", destination="internal,2001,1"), transfer_allow="100,_2XXX@internal")
def located(stage: Stage) -> None:
    """To context, extension and priority: an echo."""
    echo(stage, "2001")


@part(tool("transfer_call", destination="500"), transfer_allow="500")
def beside(stage: Stage) -> None:
    """To an extension of the agent's own context."""
    echo(stage, "500")


def echo(stage: Stage, extension: str) -> None:
    leg = stage.talk(stage.phone())
    stage.pbx.wait_log(f"words.{extension}")
    stage.speak(leg, "echo")
    stage.hears(leg, stage.said["echo"], "echo")
    leg.hangup().wait()


@part(
    tool("transfer_call", destination="2001"),
    tool("transfer_call", destination="internal,2002,1"),
    tool("transfer_call", destination="2001\\n"),
    REPLY,
    transfer_allow="_200[2-9]@internal",
)
def refused(stage: Stage) -> None:
    """Not allowed, and not there: the agent goes on."""
    leg = stage.talk(stage.phone())
    stage.answered(leg)
    leg.hangup().wait()


@part(
    tool("transfer_call", destination="dial_person_through", reason="queue"),
    transfer_allow="dial_person_through@callers",
)
def through(stage: Stage) -> None:
    """The agent is behind a Local channel, as a queue's member is: the caller leaves it."""
    person = stage.phone("person")
    leg = stage.phone().call("local_through").wait_up()
    there = person.wait_call()
    talk_to_each_other(stage, leg, there)
    stage.seen["channels"] = stage.pbx.cli("core show channels concise")
    leg.hangup().wait()


@part(
    tool("transfer_call", destination="dial_person_redirected"),
    greeting_ms=8000,
    transfer_allow="dial_person_redirected@callers",
)
def redirected(stage: Stage) -> None:
    """Somebody else wants the caller while the transfer waits for the agent's last words.

    Which are long: a busy machine takes seconds for the commands here.
    """
    leg = stage.phone().call("redirected").wait_up()
    until(lambda: len(leg.so_far().heard) > 0, "nothing heard")
    found = stage.pbx.cli("elevenlabs show sessions").splitlines()
    (channel,) = (line.split()[0] for line in found if " redirected " in line)
    stage.phones.manage(
        "Redirect", Channel=channel, Context="internal", Exten="elsewhere", Priority="1"
    )
    stage.pbx.wait_log("elsewhere PJSIP")
    leg.hangup().wait()


# ---- By REFER ----


@part(
    tool("transfer_call", destination="dial_person_referred", reason="far"),
    transfer_method="refer",
    transfer_allow="dial_person_referred@{sip}",
)
def referred(stage: Stage) -> None:
    """The customer's telephone calls the person by itself, and tells so."""
    person, phone = stage.phone("person"), stage.phone()
    leg = stage.talk(phone)
    there = person.wait_call().wait_up()
    stage.seen["asked"] = asked(leg)
    leg.wait()
    talk_to_each_other(stage, phone.legs[-1], there)
    phone.legs[-1].hangup().wait()


def asked(leg: Leg) -> str:
    """Where Asterisk has referred a telephone to."""
    until(lambda: any(m.method == "REFER" for m in leg.requests), "no REFER")
    return [m.header("Refer-To") for m in leg.requests if m.method == "REFER"][-1]


@part(
    tool("transfer_call", waits=False, destination="sip:100@far.example"),
    ANSWER,
    transfer_method="refer",
    transfer_allow="_sip:1XX@far.example",
)
def declined(stage: Stage) -> None:
    """The far end takes its time, in which agent and caller talk; then it declines."""
    phone = stage.phone()
    phone.follows = False
    leg = stage.talk(phone)
    stage.seen["asked"] = asked(leg)
    leg.tell(100)
    stage.speak(leg, "meanwhile")
    stage.answered(leg, 1)
    leg.tell(603)
    until(lambda: len(answers(stage)) > 0, "not answered")
    stage.speak(leg, "afterwards")
    leg.hangup().wait()


def answers(stage: Stage) -> list[str]:
    """What the log says of transfers of this scene's that have come to nothing."""
    lines = stage.pbx.log().splitlines()
    return [line for line in lines if "tool transfer_call failed: The transfer was refused" in line]


@part(
    tool("transfer_call", destination="sip:100@far.example"),
    REPLY,
    transfer_method="refer",
    transfer_allow="_sip:1XX@far.example",
)
def busy(stage: Stage) -> None:
    """The telephone will not be referred."""
    phone = stage.phone()
    phone.refuses = 486
    leg = stage.talk(phone)
    stage.answered(leg)
    leg.hangup().wait()


@part(
    tool("transfer_call", destination="sip:100@far.example"),
    transfer_method="refer",
    transfer_allow="_sip:1XX@far.example",
)
def given_up(stage: Stage) -> None:
    """The caller hangs up before the far end has said what came of it."""
    phone = stage.phone()
    phone.follows = False
    leg = stage.talk(phone)
    asked(leg)
    leg.hangup().wait()
    leg.tell(487)  # or Asterisk waits for it when it is to stop


# ---- Digits and variables ----


@part(
    tool("send_dtmf", waits=False, digits="12#Aw"),
    f"{{ wait_ms = 0, say = {say(2, delay_ms=300)} }}",
)
def digits(stage: Stage) -> None:
    """What the agent says before them, and while they are sent, is heard whole."""
    leg = stage.talk(stage.phone())
    stage.answered(leg)
    stage.speak(leg, "afterwards")
    leg.hangup().wait()
    stage.seen["digits"] = tones(leg.recording)


def tones(recording: Recording) -> list[tuple[str, float]]:
    """The RFC 4733 events that a telephone was sent, and how long each was, in ms."""
    lengths: dict[int, tuple[str, float]] = {}
    for packet in recording.packets_received:
        if packet.payload_type == EVENT_TYPE:
            samples = int.from_bytes(packet.payload[2:4], "big")
            lengths[packet.timestamp] = (EVENTS[packet.payload[0]], samples / 8)
    return list(lengths.values())


@part(
    tool("set_variable", name="ticket", value="12;3\\nb"),
    tool("set_variable", name="other", value="x"),
    tool("set_variable", name="SHARED(mine)", value="x"),
    tool("send_dtmf", digits="1x"),
    REPLY,
    set_variable_allow="ticket,case",
)
def variables(stage: Stage) -> None:
    leg = stage.talk(stage.phone())
    stage.answered(leg)
    leg.hangup().wait()


@part(
    tool("set_variable", name="ticket", value="1"),
    tool("transfer_call", destination="2001"),
    REPLY,
    set_variable_allow="ticket",
    transfer_allow="2001@internal",
    steps_max="1",
)
def capped(stage: Stage) -> None:
    """A call has so many of all of these."""
    leg = stage.talk(stage.phone())
    stage.answered(leg)
    leg.hangup().wait()


@part(tool("transfer_call", destination="2001"), tool("send_dtmf", digits="1"), REPLY, tools="*")
def unasked(stage: Stage) -> None:
    """An agent that may call whatever the dialplan has is not thereby to transfer or to dial."""
    leg = stage.talk(stage.phone())
    stage.answered(leg)
    leg.hangup().wait()


@dataclass
class Seen:
    """What came of all scenes."""

    pbx: Instance
    played: dict[str, Played | Exception]

    def __getitem__(self, name: str) -> Played:
        played = self.played[name]
        if isinstance(played, Exception):
            raise played
        assert played.session["violations"] == [], played.session["violations"]
        return played

    def result(self, name: str) -> Result:
        """How the application ended."""
        return self[name].results[0]

    def answers(self, name: str) -> list[tuple[str, bool]]:
        """What the agent was told of its tools, each once."""
        told = self[name].session["tool_results"]
        assert len({each["tool_call_id"] for each in told}) == len(told)
        return [(each["result"], each["is_error"]) for each in told]


@pytest.fixture(scope="module")
def seen(asterisk: StartAsterisk, root: Root) -> Seen:
    pbx = asterisk(dialplan=DIALPLAN, elevenlabs="[general]\n")
    scenes = [each.scene for each in PARTS.values()]
    with MockAgent(root, agents(), record=True) as mock:
        here = f"{HOST}:{pbx.ports.sip}"
        text = "".join(
            section(name, mock.url, **({"tools": BUILT_IN} | filled(each.keys, here)))
            for name, each in PARTS.items()
        )
        said = configure(pbx, text)
        assert "reloaded successfully" in said, said
        pbx.cli("elevenlabs debug on")
        return Seen(pbx, play_scenes(pbx, mock, scenes))


def filled(keys: dict[str, str], here: str) -> dict[str, str]:
    return {key: value.replace("{sip}", here) for key, value in keys.items()}


DONE = ("The caller has been transferred.", False)


def test_a_blind_transfer(seen: Seen) -> None:
    """K1: the caller's audio goes to the person, and none of it to the agent."""
    assert seen.answers("blind") == [DONE]
    result = seen.result("blind")
    assert result.status == "TRANSFER"
    assert result.reason == "the agent has transferred the caller to dial_person_blind in callers"
    assert seen["blind"].session["close_code"] == 1000
    assert seen["blind"].heard_of("to person") == 0
    assert "words|dial_person_blind|wants a person|a b|" in seen.pbx.log()


@pytest.mark.parametrize("name", ["located", "beside"])
def test_a_transfer_within_the_dialplan(seen: Seen, name: str) -> None:
    assert seen.answers(name) == [DONE]
    assert seen[name].heard_of("echo") == 0
    assert seen[name].session["close_code"] == 1000


def test_a_transfer_that_is_not_allowed(seen: Seen) -> None:
    """K2: the agent is told, and the log says why."""
    not_allowed = "This phone system does not allow a transfer to 2001 (transfer_allow)."
    assert seen.answers("refused")[:2] == [
        (not_allowed, True),
        ("There is no extension 2002 in context internal.", True),
    ]
    assert seen.answers("refused")[2][1]
    assert seen.result("refused").status == "HANGUP"
    assert f"tool transfer_call is refused: {not_allowed}" in seen.pbx.log()


def test_the_caller_behind_a_local_channel(seen: Seen) -> None:
    """K3: it is the caller who goes; nothing of the Local channel stays between."""
    assert "Local/through" not in seen["through"].seen["channels"]
    assert seen.answers("through") == [DONE]
    assert seen.result("through").status == "TRANSFER"
    assert seen["through"].heard_of("to person") == 0
    assert "words|dial_person_through|queue||" in seen.pbx.log()


def test_a_redirect_wins(seen: Seen) -> None:
    assert seen.result("redirected").status == "HANGUP"
    assert "elsewhere PJSIP" in seen.pbx.log()
    assert "words|dial_person_redirected" not in seen.pbx.log()


def test_a_refer_that_is_followed(seen: Seen) -> None:
    """K4."""
    assert seen.answers("referred") == [DONE]
    assert seen["referred"].seen["asked"] == (
        f"sip:dial_person_referred@{HOST}:{seen.pbx.ports.sip}"
    )
    result = seen.result("referred")
    assert result.status == "TRANSFER"
    assert result.reason.endswith(", by REFER")
    assert seen["referred"].heard_of("to person") == 0


def test_a_refer_that_is_declined(seen: Seen) -> None:
    """K4: the conversation goes on while it is open, and behind it."""
    assert seen["declined"].seen["asked"] == "sip:100@far.example"
    assert seen.answers("declined") == [("The transfer was refused (603).", True)]
    assert seen["declined"].hears("meanwhile")
    assert seen["declined"].hears("afterwards")
    assert seen.result("declined").status == "HANGUP"


def test_a_telephone_that_will_not_be_referred(seen: Seen) -> None:
    assert seen.answers("busy") == [("The destination is busy (486).", True)]


def test_who_hangs_up_while_a_refer_is_open(seen: Seen) -> None:
    assert len(seen.answers("given_up")) == 1
    assert seen.result("given_up").status == "HANGUP"


def test_digits(seen: Seen) -> None:
    """K5: as RFC 4733, each 100 ms long; what is sent is not logged."""
    assert seen.answers("digits") == [("The digits have been sent.", False)]
    sent = seen["digits"].seen["digits"]
    assert "".join(digit for digit, _ in sent) == "12#A"
    assert all(80 <= ms <= 180 for _, ms in sent), sent
    assert seen["digits"].hears("afterwards")
    assert "sends 5 digits" in seen.pbx.log()


def test_variables(seen: Seen) -> None:
    """K6: those alone that are named, by their names alone, and nothing but data."""
    told = seen.answers("variables")
    assert told[0] == ("It is set.", False)
    assert [is_error for _, is_error in told] == [False, True, True, True]
    assert "(set_variable_allow)" in told[1][0]
    assert "(set_variable_allow)" in told[2][0]
    assert "set|variables|12 3 b|unchanged||" in seen.pbx.log()


def test_so_many_in_a_call(seen: Seen) -> None:
    told = seen.answers("capped")
    assert told[0] == ("It is set.", False)
    assert told[1] == (
        "transfer_call is refused: this call has had 1 steps, which is the most.",
        True,
    )


def test_what_is_off_at_first(seen: Seen) -> None:
    """K2: the log names the key that switches it on."""
    told = seen.answers("unasked")
    assert [is_error for _, is_error in told] == [True, True]
    assert all(text.startswith("The phone system has no tool named") for text, _ in told)
    why = "no extension of steps_context or tools_context, and transfer_allow is none"
    assert f"transfer_call is {why}" in seen.pbx.log()


def test_nothing_is_left(seen: Seen) -> None:
    assert "0 sessions" in seen.pbx.cli("elevenlabs show sessions")
