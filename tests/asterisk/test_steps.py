"""Steps in real calls: the shipped examples, with telephones on both ends, all calls at once.

Each agent has the name of its scene; `play` says what the telephones do meanwhile.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from testbed.ami import Ami
from testbed.config import LOGGER, MANAGER_SECRET
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.paths import PROJECT
from testbed.root import Root
from testbed.telephones import Telephones
from testbed.variants import install_package, make_variant
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.phone import configure, section, wait_result
from tests.asterisk.stage import until
from tests.asterisk.stepping import (
    GREETING,
    PROMPTS,
    RECORDS,
    REPLY,
    ULAW,
    Played,
    Scene,
    Stage,
    agent,
    dialplan,
    files,
    keep_records,
    play,
    records,
    wait_recorded,
)

CARD = "4929715583021640"
SECRET_LOG = "messages.log"
LATE_SECONDS = 1.0
"""Between Asterisk's clock and a telephone's, which learns later of answer and end."""

NO_WAIT = "expects_response = false"
TALKS_ON = """
[[agents.talks_on.turns]]
wait_ms = 0
say = { text = "Noise.", sound = "noise:6:400", delay_ms = 1500 }
"""
"""When the step has begun for sure: until then the agent is heard out."""

AGENTS = 'title = "steps"\n' + "".join(
    (
        agent("answered", "transfer_to_sales"),
        agent("busy", "transfer_to_sales").replace("wait_ms = 0", "wait_ms = 1500"),
        agent("unanswered", "transfer_to_nobody"),
        agent("payment", "take_payment", 'amount = "12.50", note = "a;b${SHELL(x)}"'),
        agent("hangs_up", "take_payment"),
        agent("redirected", "take_payment"),
        agent("unknown", "fly"),
        agent("moved", "take_payment"),
        agent("moved_then_answered", "transfer_to_sales"),
        agent("sent_on", "transfer_call", 'destination = "elsewhere,s,1"'),
        agent("nested", "ask_another", when_done='"end"'),
        agent("talks_on", "take_payment", turns=TALKS_ON).replace("timeout", f"{NO_WAIT}, timeout"),
    )
)
TOOLS = """\
exten = transfer_to_nobody,1,Dial(${person_${AGENT}},1,g)
 same = n,Return()
exten = ask_another,1,ElevenLabsConvAI(${AGENT})
 same = n,Return(${ELEVENLABSSTATUS})
"""


def answered(stage: Stage) -> None:
    """A person takes the call; both talk, and the person hangs up."""
    sales = stage.person.wait_call()
    stage.in_step()
    stage.speak(stage.leg, "ringing")
    sales.answer().wait_up()
    stage.ended()
    stage.talk(sales, "sales")
    sales.hangup()
    stage.leg.wait()


def busy(stage: Stage) -> None:
    """The person declines: the agent goes on, and hears the caller again."""
    sales = stage.person.wait_call()
    stage.in_step()
    stage.speak(stage.leg, "ringing")
    sales.refuse(486)
    stage.hears(stage.leg, REPLY)
    stage.speak(stage.leg, "afterwards")
    stage.leg.hangup()


def unanswered(stage: Stage) -> None:
    """Nobody answers."""
    stage.person.wait_call()
    stage.hears(stage.leg, REPLY)
    stage.leg.hangup()


def payment(stage: Stage) -> None:
    """The digits of a card, while the caller also speaks."""
    stage.in_step()
    stage.leg.press(CARD)
    stage.speak(stage.leg, "secret")
    stage.hears(stage.leg, REPLY)
    stage.leg.press("1#")
    stage.speak(stage.leg, "afterwards")
    stage.leg.hangup()


def hangs_up(stage: Stage) -> None:
    """In the middle of a step."""
    stage.in_step()
    stage.leg.hangup()


def redirected(stage: Stage) -> None:
    """In the middle of a step, by AMI."""
    stage.in_step()
    stage.sent_elsewhere()
    stage.leg.wait()


def unknown(stage: Stage) -> None:
    """A tool that is no extension: the agent goes on."""
    stage.hears(stage.leg, REPLY)
    stage.leg.hangup()


def sent_on(stage: Stage) -> None:
    """By the agent, for good."""
    stage.leg.wait()


def moved(stage: Stage) -> None:
    """A desk consults the agent, and transfers its customer there while a step has the channel."""
    customer = stage.played.others["customer"] = stage.take_customer("5550102")
    customer.press(CARD)
    stage.hears(customer, REPLY)
    stage.speak(customer, "afterwards")
    customer.hangup()


def moved_then_answered(stage: Stage) -> None:
    """The customer comes while sales is rung; then sales takes the call, which is theirs."""
    sales = stage.person.wait_call()
    customer = stage.take_customer("5550103")
    sales.answer().wait_up()
    stage.ended()
    stage.leg = stage.played.leg = customer
    stage.talk(sales, "sales")
    customer.hangup()
    sales.wait()


def said_in(shown: str) -> float:
    """Seconds that the agent has said by `elevenlabs show session`, whatever became of them."""
    return sum(float(each) for each in re.findall(r"([\d.]+) s (?:received|stale)", shown))


def talks_on(stage: Stage) -> None:
    """The agent does not wait for the tool, and speaks meanwhile."""
    stage.in_step()
    show = f"elevenlabs show session {stage.shown().split()[0]}"
    until(lambda: said_in(stage.pbx.cli(show)) > 1.09, "nothing said")
    stage.leg.press(CARD)
    stage.hears(stage.leg, PROMPTS["enter-card-number"])
    stage.leg.hangup()


def nested(stage: Stage) -> None:
    """Each agent has another one asked, until there may be no more."""
    stage.leg.wait()


SCENES: tuple[Scene, ...] = (
    answered,
    busy,
    unanswered,
    payment,
    hangs_up,
    redirected,
    unknown,
    sent_on,
    moved,
    moved_then_answered,
    talks_on,
    nested,
)


@pytest.fixture(scope="module")
def scenes(asterisk: StartAsterisk, root: Root) -> tuple[Instance, dict[str, Played]]:
    logger = f"{LOGGER}{documented('logger.conf')}"
    pbx = asterisk(
        dialplan=dialplan(root, TOOLS),
        elevenlabs="[general]\n",
        debug=5,
        files=files(root) | {"logger.conf": logger},
    )
    keep_records(pbx)
    manager = pbx.etc / "manager.conf"
    users = documented("manager.conf").replace("secret = ...", f"secret = {MANAGER_SECRET}")
    manager.write_text(f"{manager.read_text()}\n{users}")
    pbx.cli("manager reload")
    with (
        MockAgent(root, AGENTS, record=True) as mock,
        Ami(pbx, events="on", user="wallboard") as classes,
        Ami(pbx, events="on", user="everything") as filtered,
    ):
        text = "".join(
            section(each.__name__, mock.url, tools="*", transfer_allow="s@elsewhere")
            for each in SCENES
        )
        said = configure(pbx, text)
        assert "reloaded successfully" in said, said
        pbx.cli("elevenlabs debug on")
        played = play(pbx, mock, SCENES)
        wait_recorded(pbx)
        told.extend([str(event) for event in each.events()] for each in (classes, filtered))
    return pbx, played


def documented(file: str) -> str:
    """The lines of docs/tools.md for a file that would tell of digits."""
    page = (PROJECT / "docs" / "tools.md").read_text(encoding="utf-8")
    found = re.search(rf"(?ms)^; {re.escape(file)}\n(.*?)(?=^; |^```$)", page)
    assert found, file
    return found[1]


told: list[list[str]] = []
"""By AMI, to the two users that docs/tools.md has for payments."""


Scenes = tuple[Instance, dict[str, Played]]


def test_a_transfer_that_is_answered(scenes: Scenes) -> None:
    """K1, K4: the conversation ends at once; the agent hears neither the ringing nor the two."""
    played = scenes[1]["answered"]
    assert played.result is not None
    assert (played.result.status, played.result.went_on) == ("TRANSFER", True)
    assert played.session["close_code"] == 1000
    played.agent_heard_only()
    assert played.caller_heard(REPLY) == 0
    assert played.session["violations"] == []


def test_a_transfer_that_is_declined(scenes: Scenes) -> None:
    """K1: the agent is told, goes on, and hears the caller again."""
    played = scenes[1]["busy"]
    assert played.answer == ("BUSY", False)
    played.agent_heard_only("afterwards")
    assert played.status == "HANGUP"


def test_a_transfer_that_nobody_answers(scenes: Scenes) -> None:
    """K1: a subroutine that returns nothing has its DIALSTATUS told."""
    assert scenes[1]["unanswered"].answer == ("DIALSTATUS=NOANSWER", False)


def test_the_digits_of_a_payment_are_found_nowhere(scenes: Scenes) -> None:
    """K2: not at the service, in no variable, and in no log that is written as documented."""
    pbx, played_all = scenes
    played = played_all["payment"]
    assert played.answer == ("accepted", False)
    played.agent_heard_only("afterwards")
    assert played.caller_heard(PROMPTS["enter-card-number"]) > 0
    assert [text["text"] for text in played.session["texts"]] == ["1"]
    assert CARD not in str(played.session)
    log = pbx.log()
    assert "digits|payment|1#|" in log
    ours = [line for line in log.splitlines() if "ElevenLabs: " in line]
    assert ours
    assert CARD[:8] not in "\n".join(ours)
    documented = _logged(pbx)
    assert "elsewhere PJSIP" in documented
    assert CARD[:8] not in documented
    for events in told:
        assert any("ElevenLabsStart" in event for event in events)
        assert not any(CARD[:8] in event or "DTMF" in event for event in events)
    for kind in RECORDS:
        written = records(pbx, kind, "payment")
        assert written
        assert CARD[:8] not in str(written)
    dumps = re.findall(r"(?ms)^Variables:\n(.*?)^=+$", log)
    (variables,) = (each for each in dumps if "AGENT=payment" in each)
    assert "card=" not in variables
    assert "ELEVENLABS_ARG" not in variables
    assert "amount=" not in variables


def _logged(pbx: Instance) -> str:
    """What was written to the log that has the documented levels."""
    (file,) = Path(pbx.folder).rglob(SECRET_LOG)
    return file.read_text(encoding="utf-8")


def test_who_hangs_up_in_a_step(scenes: Scenes) -> None:
    """K3."""
    played = scenes[1]["hangs_up"]
    assert played.result is not None
    assert (played.result.status, played.result.went_on) == ("HANGUP", False)
    assert len(played.session["tool_results"]) == 1


def test_who_is_sent_elsewhere_in_a_step(scenes: Scenes) -> None:
    """K3: the redirect is carried out."""
    pbx, played = scenes
    assert played["redirected"].session["close_code"] == 1000
    assert "elsewhere PJSIP" in pbx.log()
    assert len(played["redirected"].session["tool_results"]) == 1


def test_another_telephone_in_a_step(scenes: Scenes) -> None:
    """K3: the step goes on with it, and so does the agent, which is told."""
    played = scenes[1]["moved"]
    assert played.answer == ("accepted", False)
    assert played.agent_hears("afterwards")
    told = [text["text"] for text in played.session["texts"]]
    assert told == ["The call has been moved to another telephone, whose number is 5550102."]


def test_another_telephone_while_a_person_is_rung(scenes: Scenes) -> None:
    """K3: whose conversation it is, Dial has been told by the id that the channel had before."""
    played = scenes[1]["moved_then_answered"]
    assert played.status == "TRANSFER"
    assert played.session["close_code"] == 1000
    played.agent_heard_only()


def test_an_agent_that_does_not_wait(scenes: Scenes) -> None:
    """K2: what it says in a step is not for the caller."""
    played = scenes[1]["talks_on"]
    assert played.caller_heard(ULAW.noise(0.4, seed=6)) == 0
    played.agent_heard_only()


def test_what_steps_leave_in_cdr(scenes: Scenes) -> None:
    """K5: a record more for each time that somebody is rung; together they are the whole call."""
    pbx, played = scenes

    def of(name: str, field: str) -> list[str]:
        return [record[field] for record in records(pbx, "cdr_custom", name)]

    assert of("payment", "lastapp") == ["ElevenLabsConvAI"]
    assert of("hangs_up", "lastapp") == ["ElevenLabsConvAI"]
    assert of("busy", "lastapp") == ["Dial", "ElevenLabsConvAI"]
    assert of("busy", "disposition") == ["BUSY", "ANSWERED"]
    assert of("answered", "lastapp") == ["Dial", "Hangup"]
    assert of("answered", "disposition") == ["ANSWERED", "ANSWERED"]
    for name in ("payment", "busy", "answered"):
        whole, parts = played[name].leg.seconds, of(name, "billsec")
        assert abs(sum(map(int, parts)) - whole) <= len(parts) + LATE_SECONDS, name


def test_what_steps_leave_in_cel(scenes: Scenes) -> None:
    """K5: the agent's application ends when the step's begins, and begins again behind it."""
    events = [
        (each["eventtype"], each["appname"])
        for each in records(scenes[0], "cel_custom", "payment")
        if each["eventtype"].startswith("APP_")
    ]
    ours = [("APP_START", "ElevenLabsConvAI"), ("APP_END", "ElevenLabsConvAI")]
    assert events == [*ours, ("APP_START", "Read"), ("APP_END", "Read"), *ours]


def told_cel(pbx: Instance, name: str) -> list[tuple[str, dict[str, str]]]:
    """Our own events of a scene's call."""
    events = [each for each in records(pbx, "cel_custom", name) if each["userdeftype"]]
    return [(each["userdeftype"], json.loads(each["eventextra"])) for each in events]


def test_what_we_tell_cel(scenes: Scenes) -> None:
    """Start, steps, end, with the fields of AMI's events; transfers."""
    told = told_cel(scenes[0], "payment")
    start, begun, done, end = (name for name, _ in told)
    assert (start, begun, done, end) == (
        *("ElevenLabsStart", "ElevenLabsStep", "ElevenLabsStep", "ElevenLabsEnd"),
    )
    fields = [extra for _, extra in told]
    assert {extra["Agent"] for extra in fields} == {"payment"}
    assert {extra["ConversationId"] for extra in fields} == {
        scenes[1]["payment"].session["conversation_id"]
    }
    assert [extra["State"] for extra in fields[1:3]] == ["begun", "done"]
    assert fields[3]["Status"] == "HANGUP"
    assert CARD not in str(told)
    sent = dict(told_cel(scenes[0], "sent_on"))
    transfer = sent["ElevenLabsTransfer"]
    to = (transfer["Destination"], transfer["Place"], transfer["Method"])
    assert to == ("s", "elsewhere", "blind")
    assert sent["ElevenLabsEnd"]["Status"] == "TRANSFER"


def test_what_we_tell_cdr(scenes: Scenes) -> None:
    """The last record of each call has what became of the conversation."""
    for name, status in (("payment", "HANGUP"), ("answered", "TRANSFER"), ("sent_on", "TRANSFER")):
        left = json.loads(records(scenes[0], "cdr_custom", name)[-1]["elevenlabs"])
        assert (left["Agent"], left["Status"]) == (name, status)
        assert left["ConversationId"] == scenes[1][name].session["conversation_id"]
        assert int(left["TalkedMs"]) > 100
        assert left.keys() >= {"Queued", "Steps", "LatencyMs", "LatencyMaxMs"}


def test_the_extension_h_runs_once(scenes: Scenes) -> None:
    """K5: behind all, whoever has hung up, and wherever."""
    log = scenes[0].log()
    for name in ("payment", "busy", "answered", "hangs_up"):
        assert len(re.findall(rf"NOTICE.* digits\|{name}\|", log)) == 1, name


def test_agents_that_ask_another(scenes: Scenes) -> None:
    """K3: four may have a caller; one after the other is told how it went with the next."""
    pbx, played = scenes
    sessions = played["nested"].seen["sessions"]
    told = [each["result"] for session in sessions for each in session["tool_results"]]
    assert sorted(told) == ["AGENT_ENDED", "AGENT_ENDED", "AGENT_ENDED", "LIMIT"]
    assert "4 agents have this caller already" in pbx.log()
    assert played["nested"].caller_heard(GREETING) == 15
    assert played["nested"].leg.heard.count(REPLY) == 4
    assert played["nested"].status == "AGENT_ENDED"


def test_a_forced_unload_in_a_step(scenes: Scenes, root: Root) -> None:
    """K3: the call ends as UNLOADED, and the module goes; it comes back as if nothing had been."""
    pbx, _ = scenes
    start = len(pbx.log())
    with MockAgent(root, AGENTS) as mock, Telephones(pbx) as phones:
        configure(pbx, section("hangs_up", mock.url, tools="*"))
        stage = Stage(pbx, phones, "hangs_up")
        stage.in_step()
        with Ami(pbx) as ami:
            shown = pbx.cli("elevenlabs show sessions")
            (channel,) = re.findall(r"(?m)^(PJSIP\S+) ", shown)
            state = ami.ask("Getvar", Variable=f"ELEVENLABS(state,{channel})")
            assert state["Value"] == "step"
            assert ami.ask("Getvar", Variable="ELEVENLABS(state)")["Value"] == ""
        assert "Unloaded" in pbx.cli("module unload -f app_elevenlabs_convai")
        assert wait_result(pbx, start).status == "UNLOADED"
        stage.leg.wait()
        pbx.wait_no_channels()
        assert "Loaded" in pbx.cli("module load app_elevenlabs_convai.so")
    (session,) = mock.report["sessions"]
    assert session["close_code"] == 1000
    assert len(session["tool_results"]) == 1


def test_a_tool_that_is_no_extension(scenes: Scenes) -> None:
    text, is_error = scenes[1]["unknown"].answer
    assert is_error
    assert text.startswith("The phone system has no tool named fly")


def test_nothing_is_left(scenes: Scenes) -> None:
    """Of arguments, sessions and steps; and what is written of a step by us names no argument."""
    pbx, played = scenes
    assert "0 sessions" in pbx.cli("elevenlabs show sessions")
    assert "ELEVENLABS_ARG" not in pbx.cli("core show globals")
    for each in played.values():
        assert each.session["violations"] == [], each.session["violations"]


def test_the_function_is_documented(scenes: Scenes) -> None:
    shown = scenes[0].cli("core show function ELEVENLABS")
    assert "Synopsis" in shown
    assert "conversation_id" in shown


def test_a_new_generation_in_a_step(scenes: Scenes, root: Root) -> None:
    """K3: the step, and what follows it, are those of the engine that the call began with."""
    pbx, _ = scenes
    package = make_variant(pbx, "next", append={"__init__.py": '\n__version__ = "next"\n'})
    with MockAgent(root, AGENTS, record=True) as mock, Telephones(pbx) as phones:
        configure(pbx, section("payment", mock.url, tools="*"))
        stage = Stage(pbx, phones, "payment")
        stage.in_step()
        install_package(pbx, package)
        assert "reloaded successfully" in pbx.cli("module reload app_elevenlabs_convai")
        assert "2 generations alive" in pbx.cli("elevenlabs show version")
        stage.leg.press(CARD)
        stage.hears(stage.leg, REPLY)
        stage.leg.hangup()
        shows = "elevenlabs show version"
        until(lambda: "1 generation alive" in pbx.cli(shows), "the engine before stays")
    (session,) = mock.report["sessions"]
    assert [told["result"] for told in session["tool_results"]] == ["accepted"]
    assert session["violations"] == []


def test_stop_now_in_a_step(scenes: Scenes, root: Root) -> None:
    """K3: the conversation is closed properly. The last test: nothing runs behind it."""
    pbx, _ = scenes
    with MockAgent(root, AGENTS) as mock, Telephones(pbx) as phones:
        configure(pbx, section("hangs_up", mock.url, tools="*"))
        stage = Stage(pbx, phones, "hangs_up")
        stage.in_step()
        pbx.cli("core stop now")
        until(lambda: not pbx.running, "Asterisk has not ended")
        until(lambda: any(each["event"] == "closed" for each in mock.events()), "no close")
    assert pbx.exit_status == 0
    (session,) = mock.report["sessions"]
    assert (session["close_code"], session["closed_by"]) == (1000, "client")
    assert len(session["tool_results"]) == 1
