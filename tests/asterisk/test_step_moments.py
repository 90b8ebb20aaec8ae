"""Every moment of every example, and what ends it there: caller, person, redirect, unload, stop."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from testbed.telephones import Telephones
from tests.asterisk import example_scenes as scenes
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.phone import configure, results
from tests.asterisk.stage import until
from tests.asterisk.stepping import (
    PROMPTS,
    REPLY,
    Played,
    Scene,
    Stage,
    agent,
    dialplan,
    files,
    play,
)
from tests.timing import SECOND, only_in_full

pytestmark = only_in_full("every moment of every example")

KEEPS = """\
exten = call_and_keep,1,Dial(${person_${AGENT}},25,g)
 same = n,Return(${DIALSTATUS})
"""


@dataclass(frozen=True)
class Moment:
    """In the middle of a step."""

    tool: str
    come: Callable[[Stage], None]
    """Until it has come; whoever the caller talks with is `stage.other` then."""
    parameters: str = ""
    over: bool = False
    """Whether the conversation has ended before."""
    person: str = ""
    """What the agent is told when the person hangs up; empty: there is none, or nothing is told."""


def ringing(stage: Stage) -> None:
    stage.other = stage.person.wait_call()
    stage.in_step()


def talking(stage: Stage) -> None:
    ringing(stage)
    assert stage.other
    stage.other.answer().wait_up()
    stage.ended()
    stage.talk(stage.other)


def kept(stage: Stage) -> None:
    ringing(stage)
    assert stage.other
    stage.other.answer().wait_up()
    stage.talk(stage.other)


def briefing(stage: Stage) -> None:
    stage.other = scenes.briefed(stage)


def waiting(stage: Stage) -> None:
    stage.in_step()
    scenes.hears_music(stage)


def served(stage: Stage) -> None:
    scenes.member(stage)
    stage.other = stage.person.wait_call().answer().wait_up()
    stage.ended()
    stage.talk(stage.other)


def parked(stage: Stage) -> None:
    stage.ended()
    scenes.hears_music(stage)


def conference(stage: Stage) -> None:
    other = stage.person.call(f"room_{stage.name}").wait_up()
    stage.in_step()
    stage.talk(other)


def survey(stage: Stage) -> None:
    stage.in_step()
    stage.hears(stage.leg, PROMPTS["how-many-stars"])


def playing(stage: Stage) -> None:
    stage.in_step()
    stage.hears_some(stage.leg, PROMPTS["opening-hours"])


MOMENTS = {
    "ringing": Moment("transfer_to_sales", ringing, person="BUSY"),
    "talking": Moment("transfer_to_sales", talking, over=True),
    "kept": Moment("call_and_keep", kept, person="ANSWER"),
    "briefing": Moment("warm_transfer", briefing, 'summary = "Ann"', person="declined"),
    "waiting": Moment("transfer_to_queue", waiting),
    "served": Moment("transfer_to_queue", served, over=True),
    "parked": Moment("park_caller", parked, over=True),
    "conference": Moment("join_conference", conference),
    "survey": Moment("ask_satisfaction", survey),
    "recording": Moment("leave_message", scenes.recording, 'mailbox = "4711"'),
    "playing": Moment("play_hours", playing),
}


def caller(stage: Stage) -> None:
    stage.leg.hangup().wait()


def person(stage: Stage) -> None:
    assert stage.other
    stage.other.hangup()
    if MOMENTS[moment_of(stage.name)].person:
        stage.hears(stage.leg, REPLY)
        stage.speak(stage.leg, "afterwards")
        stage.leg.hangup()
    stage.leg.wait()


def redirect(stage: Stage) -> None:
    stage.sent_elsewhere()
    stage.leg.wait()


ENDS: dict[str, Callable[[Stage], None]] = {
    each.__name__: each for each in (caller, person, redirect)
}
REFUSALS = {"busy": (486, "BUSY"), "declined": (603, "CHANUNAVAIL"), "away": (480, "NOANSWER")}
"""How the person's telephone refuses, and what the agent is told."""

HAS_PERSON = ("ringing", "talking", "kept", "briefing", "served")
OTHERS = [f"{name}_{end}" for end in ("unload", "stop") for name in MOMENTS]
NAMES = [
    *(f"{name}_{end}" for end in ENDS for name in MOMENTS if end != "person" or name in HAS_PERSON),
    *(f"{tool}_{how}" for tool in ("ringing", "briefing") for how in REFUSALS),
]


def moment_of(name: str) -> str:
    """The moment in the name of an agent."""
    return name.partition("_")[0]


def scene(name: str) -> Scene:
    """Until the moment has come, and its end."""
    moment, _, end = name.partition("_")

    def play_it(stage: Stage) -> None:
        if end in REFUSALS:
            stage.person.wait_call().refuse(REFUSALS[end][0])
            stage.hears(stage.leg, REPLY)
            stage.leg.hangup()
            return
        MOMENTS[moment].come(stage)
        ENDS[end](stage)

    play_it.__name__ = name
    return play_it


def service() -> str:
    text = 'title = "moments"\n' + scenes.LISTENING.format("briefing", "3:500")
    for name in (*NAMES, *OTHERS):
        moment = MOMENTS[moment_of(name)]
        text += agent(name, moment.tool, moment.parameters)
    return text


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk, root: Root) -> Instance:
    more = {"queues.conf": scenes.queues([*NAMES, *OTHERS]), "res_parking.conf": scenes.PARKING}
    plan = dialplan(root, KEEPS, list(scenes.REPLACE.items()))
    return asterisk(dialplan=plan, elevenlabs="[general]\n", files=files(root) | more)


@pytest.fixture(scope="module")
def all_played(pbx: Instance, root: Root) -> dict[str, Played]:
    """One end after the other, all moments at once."""
    played: dict[str, Played] = {}
    for end in (*ENDS, *REFUSALS):
        names = [name for name in NAMES if name.endswith(f"_{end}")]
        with MockAgent(root, service(), record=True) as mock:
            configure(pbx, scenes.sections(mock.url, names))
            played |= play(pbx, mock, [scene(name) for name in names])
    return played


@pytest.fixture
def played(all_played: dict[str, Played], request: pytest.FixtureRequest) -> Played:
    return all_played[request.param]


@pytest.mark.parametrize("played", NAMES, indirect=True)
def test_a_moment(pbx: Instance, played: Played) -> None:
    """The status is right, the service is told, and the agent has heard nothing of it."""
    name = played.session["agent_id"]
    moment, end = MOMENTS[moment_of(name)], name.partition("_")[2]
    assert played.session["close_code"] == 1000
    assert played.session["violations"] == []
    played.agent_heard_only(*(["afterwards"] if end == "person" and moment.person else []))
    if end in REFUSALS:
        assert played.answer == (REFUSALS[end][1], False)
    elif end == "person" and moment.person:
        assert played.answer == (moment.person, False)
    else:
        assert played.caller_heard(REPLY) == 0
    if end == "redirect":
        assert f" {name}\n" in pbx.log().partition("elsewhere PJSIP")[2]
    else:
        assert played.status == ("TRANSFER" if moment.over else "HANGUP")


def all_at_once(pbx: Instance, phones: Telephones, end: str) -> list[Stage]:
    """A call in each moment."""

    def come(name: str) -> Stage:
        stage = Stage(pbx, phones, f"{name}_{end}")
        MOMENTS[name].come(stage)
        return stage

    with ThreadPoolExecutor(len(MOMENTS)) as threads:
        return list(threads.map(come, MOMENTS))


def test_unload_in_every_moment(pbx: Instance, root: Root) -> None:
    start = len(pbx.log())
    with MockAgent(root, service()) as mock:
        configure(pbx, scenes.sections(mock.url, OTHERS))
        with Telephones(pbx) as phones:
            stages = all_at_once(pbx, phones, "unload")
            # Refused as long as Dial waits for the person's key: not our wait to break off.
            unload = "module unload -f app_elevenlabs_convai"
            until(lambda: "Unloaded" in pbx.cli(unload), "not unloaded", 30 * SECOND)
            for stage in stages:
                stage.leg.wait()
        pbx.wait_no_channels()
        assert "Loaded" in pbx.cli("module load app_elevenlabs_convai.so")
    ended = {each.agent: each.status for each in reversed(results(pbx, start)) if each.status}
    assert ended == {
        f"{name}_unload": "TRANSFER" if moment.over else "UNLOADED"
        for name, moment in MOMENTS.items()
    }
    assert {session["close_code"] for session in mock.report["sessions"]} == {1000}


def test_stop_in_every_moment(pbx: Instance, root: Root) -> None:
    """The last test: nothing runs behind it."""
    with MockAgent(root, service()) as mock, Telephones(pbx) as phones:
        configure(pbx, scenes.sections(mock.url, OTHERS))
        all_at_once(pbx, phones, "stop")
        pbx.cli("core stop now")
        until(lambda: not pbx.running, "Asterisk has not ended")
        closed = len(MOMENTS) + 1  # that of the briefing
        until(lambda: [e["event"] for e in mock.events()].count("closed") == closed, "no close")
    assert pbx.exit_status == 0
    for session in mock.report["sessions"]:
        assert (session["close_code"], session["closed_by"]) == (1000, "client")
