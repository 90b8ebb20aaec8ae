"""What becomes of the shipped examples: scenes for test_examples.py, see stepping.py."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from testbed.telephone import Leg
from tests.asterisk.phone import section
from tests.asterisk.stage import until
from tests.asterisk.stepping import BRIEFING, GREETING, MUSIC, PROMPTS, REPLY, Scene, Stage, agent

SUMMARY = "Ann Smith for "
"""What the agent tells of the caller, with the scene behind it."""


def hears_music(stage: Stage) -> None:
    """Wait until the caller does."""
    stage.hears_some(stage.leg, MUSIC)


# --- warm transfer ---


def briefed(stage: Stage, by: bytes = BRIEFING) -> Leg:
    """The person answers, and has been told who calls; the caller hears music."""
    sales = stage.person.wait_call()
    stage.in_step()
    sales.answer().wait_up()
    stage.hears(sales, by)
    stage.speak(stage.leg, "meanwhile")
    hears_music(stage)
    stage.played.others["person"] = sales
    return sales


def warm(stage: Stage) -> None:
    """Taken by key: the two talk, and the person hangs up."""
    sales = briefed(stage)
    sales.press("1")
    stage.ended()
    stage.talk(sales)
    sales.hangup()
    stage.leg.wait()


def warm_prompt(stage: Stage) -> None:
    """The second agent cannot be had, and the prompt asks; the caller hangs up."""
    sales = briefed(stage, PROMPTS["press-1-to-accept"])
    sales.press("1")
    stage.ended()
    stage.talk(sales)
    stage.leg.hangup()
    sales.wait()


def warm_declined(stage: Stage) -> None:
    """By another key: the agent goes on."""
    briefed(stage).press("2")
    stage.hears(stage.leg, REPLY)
    stage.speak(stage.leg, "afterwards")
    stage.leg.hangup()


def warm_person_leaves(stage: Stage) -> None:
    """While they are told: the agent goes on."""
    briefed(stage).hangup()
    stage.hears(stage.leg, REPLY)
    stage.speak(stage.leg, "afterwards")
    stage.leg.hangup()


def warm_caller_leaves(stage: Stage) -> None:
    """While the person is told, who takes the call all the same."""
    sales = briefed(stage)
    stage.leg.hangup().wait()
    sales.press("1")
    sales.wait()


def warm_busy(stage: Stage) -> None:
    """Not answered at all."""
    stage.person.wait_call().refuse(486)
    stage.hears(stage.leg, REPLY)
    stage.leg.hangup()


# --- queue ---


def member(stage: Stage, interface: str = "") -> None:
    """Put the person into the queue of the scene."""
    stage.phones.manage(
        "QueueAdd",
        Queue=f"queue_{stage.name}",
        Interface=interface or f"PJSIP/caller/{stage.person.uri}",
        StateInterface="Custom:free",
    )


def queue(stage: Stage) -> None:
    """After music somebody comes into the queue who answers; the caller hangs up."""
    stage.in_step()
    hears_music(stage)
    stage.speak(stage.leg, "meanwhile")
    member(stage)
    sales = stage.person.wait_call()
    sales.answer().wait_up()
    stage.ended()
    stage.talk(sales)
    stage.leg.hangup()
    sales.wait()


def queue_times_out(stage: Stage) -> None:
    """Nobody comes. The agent has asked before how long the queue is."""
    hears_music(stage)
    stage.speak(stage.leg, "meanwhile")
    until(lambda: stage.leg.so_far().heard.count(REPLY) == 2, "no second reply")
    stage.speak(stage.leg, "afterwards")
    stage.leg.hangup()


def as_member(stage: Stage) -> None:
    """The agent is the queue's member: caller and agent hear each other."""
    member(stage, f"Local/{stage.name}@elevenlabs-members/nm")
    stage.hears_some(stage.leg, GREETING)
    stage.speak(stage.leg, "afterwards")
    until(lambda: " talking " in stage.shown(), "not talking")
    stage.leg.hangup()


def overflow(stage: Stage) -> None:
    """There is nobody in the queue: the agent answers."""
    stage.hears_some(stage.leg, GREETING)
    stage.speak(stage.leg, "afterwards")
    stage.leg.hangup()


# --- a few lines each ---


def park(stage: Stage) -> None:
    """Somebody fetches the caller from the parking space, and hangs up."""
    stage.ended()
    hears_music(stage)
    person = stage.person.call(f"space_{space(stage.name)}").wait_up()
    stage.talk(person)
    person.hangup()
    stage.leg.wait()


def park_taken(stage: Stage) -> None:
    """The space is another caller's: the agent is spoken to when that one is there."""
    stage.person.call(f"at_{space(stage.name)}").wait_up()
    stage.speak(stage.leg, "go")
    stage.hears(stage.leg, REPLY)
    stage.leg.hangup()


def conference(stage: Stage) -> None:
    """With another one, and back to the agent by key."""
    other = stage.person.call(f"room_{stage.name}").wait_up()
    stage.in_step()
    stage.talk(other)
    stage.leg.press("0")
    stage.hears(stage.leg, REPLY)
    stage.speak(stage.leg, "afterwards")
    stage.leg.hangup()
    other.hangup()


def survey(stage: Stage) -> None:
    stage.in_step()
    stage.hears(stage.leg, PROMPTS["how-many-stars"])
    stage.leg.press("4")
    stage.hears(stage.leg, REPLY)
    stage.leg.hangup()


def recording(stage: Stage) -> None:
    """Past the greeting by a key, until the beep."""
    stage.in_step()
    stage.leg.press("#")
    channel = re.escape(stage.shown().split()[0])
    stage.pbx.wait_log(rf"<{channel}> Playing 'beep")


def message(stage: Stage) -> None:
    """After the beep; a key ends it."""
    recording(stage)
    stage.speak(stage.leg, "message")
    stage.speak(stage.leg, "more")
    stage.leg.press("#")
    stage.hears(stage.leg, REPLY)
    stage.leg.hangup()


def no_mailbox(stage: Stage) -> None:
    stage.hears(stage.leg, REPLY)
    stage.leg.hangup()


def hours(stage: Stage) -> None:
    stage.hears(stage.leg, PROMPTS["opening-hours"])
    stage.hears(stage.leg, REPLY)
    stage.leg.hangup()


# --- all of them ---

SUMMED = 'summary = "' + SUMMARY + '{}"'
TOOLS: dict[Scene, tuple[str, str]] = {
    warm: ("warm_transfer", SUMMED),
    warm_prompt: ("warm_transfer", SUMMED),
    warm_declined: ("warm_transfer", SUMMED),
    warm_person_leaves: ("warm_transfer", SUMMED),
    warm_caller_leaves: ("warm_transfer", SUMMED),
    warm_busy: ("warm_transfer", SUMMED),
    queue: ("transfer_to_queue", ""),
    queue_times_out: ("queue_length", ""),
    park: ("park_caller", ""),
    park_taken: ("park_caller", ""),
    conference: ("join_conference", ""),
    survey: ("ask_satisfaction", ""),
    message: ("leave_message", 'mailbox = "4711"'),
    no_mailbox: ("leave_message", 'mailbox = "x0"'),
    hours: ("play_hours", ""),
}
"""Each scene that has a step: its tool, and the parameters."""

DIALLED = {"as_member": "via_as_member", "overflow": "via_overflow"}
SCENES: tuple[Scene, ...] = (*TOOLS, as_member, overflow)

AGAIN = """
[[agents.queue_times_out.turns]]
wait_ms = 0
tool = { name = "transfer_to_queue", timeout_ms = 60000 }
say_after_tool = { text = "Noise.", sound = "noise:2:400", interruptible = false }
"""
LISTENING = """
[agents.{}]
format = "ulaw_8000"
pace = 0
first_message = {{ text = "Noise.", sound = "noise:{}", interruptible = false }}
"""


def space(name: str) -> int:
    """The parking space of a scene."""
    return 701 if name == "park_taken" else 702


def service() -> str:
    """The agents, and the second one that briefs people."""
    text = 'title = "examples"\n' + LISTENING.format("briefing", "3:500")
    for scene, (tool, parameters) in TOOLS.items():
        name = scene.__name__
        again = AGAIN if scene is queue_times_out else ""
        turns = agent(name, tool, parameters.format(name), again)
        text += turns.replace("wait_ms = 0\n", "", 1) if scene is park_taken else turns
    return text + "".join(LISTENING.format(name, "1:300") for name in DIALLED)


def sections(url: str, names: Sequence[str]) -> str:
    """elevenlabs.conf, with the lines for the second agent that the example asks for."""
    text = section(
        "briefing", url, dtmf="dialplan", tools="none", max_duration="60", silence_timeout="1"
    )
    return text + "".join(section(name, url, tools="*") for name in names)


WAITS = '${IF($["${AGENT}" = "overflow"]?1:${IF($["${AGENT}" = "queue_times_out"]?8:60)})}'
REPLACE: Mapping[str, str] = {
    "ElevenLabsConvAI(briefing)": 'ElevenLabsConvAI(${IF($["${ARG2:-6}" = "prompt"]?:briefing)})',
    "(sales)": "(queue_${AGENT})",
    "(sales,ready)": "(queue_${AGENT},ready)",
    "Queue(sales,c,,,120)": f"Queue(queue_${{AGENT}},c,,,{WAITS})",
    "Queue(sales,,,,60)": f"Queue(queue_${{AGENT}},,,,{WAITS})",
    "ElevenLabsConvAI(sales_agent)": "ElevenLabsConvAI(${AGENT})",
    "exten = sales_agent,": "exten = _[a-z].,",
    "ElevenLabsConvAI(sales_agent,c)": "ElevenLabsConvAI(${EXTEN},c)",
    "park:701": "park:${SPACE}",
    "PARKINGEXTEN=701": "PARKINGEXTEN=${SPACE}",
    "incoming,100,1": "elsewhere,s,1",
    # Without announcements, which are mixed with what is said.
    "timeout)=3600)": "timeout)=3600)\n same = n,Set(CONFBRIDGE(user,quiet)=yes)",
    "ConfBridge(600)": "ConfBridge(${AGENT})",
}
"""What of the examples is another name or time for each scene."""


PARKING = "[general]\n[default]\ncontext = parkedcalls\nparkext = 700\nparkpos = 701-720\n"


def queues(names: Sequence[str] = ("queue", "queue_times_out", *DIALLED)) -> str:
    """queues.conf: a queue for each scene, as the example has it."""
    keys = "membergosub = elevenlabs-member\nretry = 1\ntimeout = 20\nautofill = yes\n"
    return "[general]\n" + "".join(f"[queue_{name}]\n{keys}" for name in names)
