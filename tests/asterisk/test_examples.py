"""extensions.conf.example in real calls, with telephones on both ends, all calls at once.

What a transfer without a briefing and a payment come to is in test_steps.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from tests.asterisk import example_scenes as scenes
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.phone import configure
from tests.asterisk.stepping import (
    BRIEFING,
    GREETING,
    MUSIC,
    REPLY,
    SOME,
    Played,
    dialplan,
    files,
    keep_records,
    play,
    records,
    wait_recorded,
)


class Come(NamedTuple):
    """What all scenes came to."""

    pbx: Instance
    played: dict[str, Played]
    briefings: list[str]
    """What the second agent was told of the callers."""


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk, root: Root) -> Instance:
    taken = {"queues.conf": scenes.queues(), "res_parking.conf": scenes.PARKING}
    plan = dialplan(root, replace=list(scenes.REPLACE.items()))
    pbx = asterisk(dialplan=plan, elevenlabs="[general]\n", files=files(root) | taken)
    keep_records(pbx)
    return pbx


@pytest.fixture(scope="module")
def come(pbx: Instance, root: Root) -> Come:
    with MockAgent(root, scenes.service(), record=True) as mock:
        names = [each.__name__ for each in scenes.SCENES]
        assert "reloaded successfully" in configure(pbx, scenes.sections(mock.url, names))
        played = play(pbx, mock, scenes.SCENES, scenes.DIALLED)
        wait_recorded(pbx)
    told = [s["dynamic_variables"] for s in mock.report["sessions"] if s["agent_id"] == "briefing"]
    return Come(pbx, played, [str(each["summary"]) for each in told])


@pytest.mark.parametrize("name", ["warm", "warm_prompt", "queue", "park"])
def test_handed_over(come: Come, name: str) -> None:
    """The conversation is over, and the two hear each other; the agent hears none of it."""
    played = come.played[name]
    assert played.status == "TRANSFER"
    assert played.session["close_code"] == 1000
    played.agent_heard_only()
    assert played.caller_heard(REPLY) == 0


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("warm_declined", "declined"),
        ("warm_person_leaves", "declined"),
        ("conference", "DTMF"),
        ("park_taken", "701 is taken"),
    ],
)
def test_the_way_back(come: Come, name: str, told: str) -> None:
    """The agent is told, goes on, and hears the caller again, and nothing of what was before."""
    played = come.played[name]
    assert played.answer == (told, False)
    assert played.status == "HANGUP"
    played.agent_heard_only("go" if name == "park_taken" else "afterwards")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("warm_busy", "BUSY"),
        ("survey", "4 of 5"),
        ("no_mailbox", "no such mailbox"),
        ("message", "SUCCESS"),
        ("hours", "SUCCESS"),
    ],
)
def test_what_the_agent_is_told(come: Come, name: str, told: str) -> None:
    played = come.played[name]
    assert played.answer == (told, False)
    played.agent_heard_only()


def test_a_briefing(come: Come) -> None:
    """By the second agent, and on the display; the caller hears music, and none of it."""
    by_agent = ("warm", "warm_declined", "warm_person_leaves", "warm_caller_leaves")
    assert {each.removeprefix(scenes.SUMMARY) for each in come.briefings} == {*by_agent}
    for name in (*by_agent, "warm_prompt"):
        played = come.played[name]
        assert played.caller_heard(MUSIC) >= SOME
        assert played.caller_heard(BRIEFING) == 0
        invite = played.others["person"].incoming
        assert invite is not None
        assert invite.header("From").startswith(f'"{scenes.SUMMARY}{name.replace("_", "")}')


def test_the_caller_leaves_during_a_briefing(come: Come) -> None:
    """Who takes the call then has nobody: it was not handed over."""
    played = come.played["warm_caller_leaves"]
    assert played.status == "HANGUP"
    assert played.session["close_code"] == 1000
    played.agent_heard_only()


def test_a_queue_with_the_way_back(come: Come) -> None:
    played = come.played["queue_times_out"]
    told = [each["result"] for each in played.session["tool_results"]]
    assert told == ["0 waiting, 0 free to answer", "TIMEOUT, at position 1"]
    played.agent_heard_only("afterwards")
    assert played.caller_heard(MUSIC) >= SOME


@pytest.mark.parametrize(
    ("name", "applications"),
    [
        ("queue", ["Queue", "ElevenLabsConvAI"]),
        ("queue_times_out", ["ElevenLabsConvAI"]),
        ("conference", ["ConfBridge", "ElevenLabsConvAI"]),
        ("park", ["Park", "Park", "Hangup"]),
    ],
)
def test_what_is_left_in_cdr(come: Come, name: str, applications: list[str]) -> None:
    """A record more for each time that the caller was joined with others."""
    written = records(come.pbx, "cdr_custom", name)
    assert [each["lastapp"] for each in written] == applications


@pytest.mark.parametrize("name", ["as_member", "overflow"])
def test_behind_a_queue(come: Come, name: str) -> None:
    """The agent is there, as its member or when the queue has nobody."""
    played = come.played[name]
    assert played.caller_heard(GREETING) >= SOME
    played.agent_heard_only("afterwards")


def test_a_message(come: Come) -> None:
    """What was said is in the mailbox."""
    (file,) = Path(come.pbx.folder).rglob("msg0000.wav")
    assert file.stat().st_size > 8000


def test_nothing_is_left(come: Come) -> None:
    for each in come.played.values():
        assert each.session["violations"] == []
    assert "0 sessions" in come.pbx.cli("elevenlabs show sessions")
