"""What telephones do with the recipes of docs/cookbook.md: scenes for test_cookbook.py."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from testbed.instance import Instance
from testbed.telephone import Leg
from testbed.telephones import Telephones
from tests.asterisk.cookbook import PROMPTS
from tests.asterisk.stage import packets_of, until
from tests.asterisk.stepping import GREETING, NUMBER, REPLY, SOME, ULAW, Stage
from tests.planted import key
from tests.timing import SECOND

AFTERWARDS = ULAW.noise(0.4, seed=4)
"""What the agent says when its tool is through."""

LONG_GREETING = ULAW.noise(1.0, seed=5)
"""Of an agent that takes a seat in a conference: its first words may come too soon."""

TENANTS = {"acme_agent": "key", "globex_agent": "key in the file"}
"""Each tenant's agent, and which of the planted keys it has."""

AGENT = """
[agents.{name}]
format = "ulaw_8000"
pace = 0
first_message = {{ text = "Noise.", sound = "noise:{greeting}", interruptible = false }}
{more}"""
REPLIES = """
[[agents.{name}.turns]]
say = {{ text = "Noise.", sound = "noise:2:400", interruptible = false }}
"""
CALLS = """
[[agents.{name}.turns]]
wait_ms = 0
tool = {{ name = "{tool}", timeout_ms = 60000 }}
say_after_tool = {{ text = "Noise.", sound = "noise:4:400", interruptible = false }}
"""
AWAY = 'faults = [{ name = "http_status", stage = "signed_url", status = 503 }]\n'
TOOLS = {"listen": "to_person", "record": "card_number"}


def service() -> str:
    """The agents of all recipes."""
    text = 'title = "cookbook"\n'
    for name in ("outbound", "campaign", "headers", "night"):
        text += AGENT.format(name=name, greeting="1:300", more="")
    text += AGENT.format(name="meeting", greeting="5:1000", more="")
    text += REPLIES.format(name="meeting")
    for name, tool in TOOLS.items():
        text += AGENT.format(name=name, greeting="1:300", more="")
        text += REPLIES.format(name=name) + CALLS.format(name=name, tool=tool)
    text += AGENT.format(name="words", greeting="1:300", more=AWAY)
    for name, which in TENANTS.items():
        admits = f'api_keys = ["{key(which)}"]\n'
        text += AGENT.format(name=name, greeting="1:300", more=admits)
    return text + CALLS.format(name="acme_agent", tool="play_hours")


@dataclass
class Kitchen:
    """Where all recipes are tried at once."""

    pbx: Instance
    phones: Telephones
    stages: dict[str, Stage] = field(default_factory=dict)
    """By the agent's name."""
    legs: dict[str, Leg] = field(default_factory=dict)
    """Whatever call a scene wants to show its test."""
    shown: dict[str, str] = field(default_factory=dict)
    """Whatever Asterisk has said that a test wants to see."""

    def stage(self, name: str, context: str) -> Stage:
        """A caller of the recipe in this context, which has this agent."""
        self.stages[name] = stage = Stage(self.pbx, self.phones, name, context)
        return stage

    def greeted(self, name: str, leg: Leg) -> Leg:
        """Keep the call, and wait for the agent's first words."""
        self.legs[name] = leg
        until(lambda: packets_of(GREETING, leg.so_far().heard) >= SOME, f"{name}: no greeting")
        return leg

    def originate(self, number: str, context: str) -> Leg:
        """Have Asterisk call a telephone, as `channel originate` does."""
        phone = self.phones.phone(f"called_{number}", number)
        return self.phones.originate(phone, Context=context, Exten="100", Priority="1").wait_up()


Scene = Callable[[Kitchen], None]


def hears(leg: Leg, sound: bytes) -> None:
    """Wait until a telephone has heard that whole."""
    until(lambda: sound in leg.so_far().heard, f"not heard by {leg}")


def listen(kitchen: Kitchen) -> None:
    """A supervisor listens, and whispers to the person who has taken over."""
    stage = kitchen.stage("listen", "listened")
    stage.hears(stage.leg, GREETING)
    supervisor = kitchen.phones.phone("supervisor", "5550199")

    def spying(count: int) -> None:
        until(lambda: kitchen.pbx.log().count("Spying on channel") == count, "nobody listens")

    ear = supervisor.call(f"*90{NUMBER}").wait_up()
    spying(1)
    stage.speak(stage.leg, "to agent")
    stage.hears(stage.leg, REPLY)
    stage.hears_some(ear, REPLY)
    person = stage.person.wait_call().answer().wait_up()
    stage.ended()
    mouth = supervisor.call(f"*91{NUMBER}").wait_up()
    spying(2)
    stage.speak(mouth, "whispered")
    stage.hears_some(person, stage.played.said["whispered"])
    stage.talk(person)
    for word in ("to person", "from person"):
        stage.hears_some(mouth, stage.played.said[word])
    stage.leg.hangup()
    for leg in (person, ear, mouth):
        leg.wait()
    stage.played.others |= {"ear": ear, "mouth": mouth, "person": person}


def meeting(kitchen: Kitchen) -> None:
    """Two people, of whom each calls the agent in; there is one all the same."""
    stage = kitchen.stage("meeting", "meeting")
    other = stage.person.call("meeting").wait_up()
    stage.talk(other, "other")
    stage.leg.press("*5")
    for leg in (stage.leg, other):
        stage.hears_some(leg, LONG_GREETING)
    other.press("*5")
    asked = "call_agent@meeting:1] ExecIf"
    until(lambda: kitchen.pbx.log().count(asked) == 2, "not asked for")
    stage.speak(other, "to agent")
    for leg in (stage.leg, other):
        stage.hears_some(leg, REPLY)
    other.hangup()
    stage.leg.hangup()
    until(lambda: not stage.shown(), "the agent stays alone")


def record(kitchen: Kitchen) -> None:
    """The caller agrees, talks, has a card number taken, and talks."""
    stage = kitchen.stage("record", "recorded")
    stage.hears(stage.leg, PROMPTS["may-we-record"])
    stage.leg.press("1")
    stage.hears(stage.leg, GREETING)
    stage.speak(stage.leg, "before")
    stage.hears(stage.leg, REPLY)
    stage.hears(stage.leg, PROMPTS["enter-card-number"])
    stage.speak(stage.leg, "in the pause")
    stage.leg.press("4#")
    stage.hears(stage.leg, AFTERWARDS)
    stage.speak(stage.leg, "behind")
    stage.leg.hangup().wait()
    until(lambda: kitchen.pbx.log().count("End MixMonitor Recording") == 2, "not recorded")


def no_consent(kitchen: Kitchen) -> None:
    """The caller presses something else."""
    leg = kitchen.phones.phone("refuses").call("recorded").wait_up()
    hears(leg, PROMPTS["may-we-record"])
    leg.press("2")
    kitchen.greeted("no_consent", leg).hangup().wait()


def outbound(kitchen: Kitchen) -> None:
    """A mailbox has a long greeting, a person a short one."""
    machine = kitchen.originate("15550120", "outbound")
    machine.say(ULAW.noise(1.8, seed=120))
    person = kitchen.originate("15550121", "outbound")
    person.say(ULAW.noise(0.4, seed=121))
    kitchen.greeted("person", person).hangup()
    hears(machine, PROMPTS["please-call-us"])
    machine.wait()
    kitchen.legs["machine"] = machine


def campaign(kitchen: Kitchen) -> None:
    """Three answer, one after the other when there is a place, and one is busy."""
    numbers = [f"1555013{n}" for n in range(4)]
    phones = [kitchen.phones.phone(f"phone_{number}") for number in numbers[:3]]
    busy = kitchen.phones.phone(f"phone_{numbers[3]}", answers=False)
    for number in numbers:
        kitchen.pbx.cli(f"database put todo {number} yes")

    def up() -> list[Leg]:
        legs = [leg for phone in phones for leg in phone.legs]
        return [leg for leg in legs if leg.ended_at is None and GREETING in leg.so_far().heard]

    kitchen.pbx.cli("channel originate Local/start@campaign/n application Wait 1")
    until(lambda: len(up()) == 2, "not two calls")
    kitchen.shown["todo"] = kitchen.pbx.cli("database show todo")
    up()[0].hangup().wait()
    until(lambda: len(up()) == 2, "not the third")
    up()[0].hangup().wait()
    busy.wait_call().refuse(486)
    up()[0].hangup().wait()
    done = re.compile(r"/called/1555013\d +: (HANGUP|BUSY)")

    def called() -> str:
        return kitchen.pbx.cli("database show called")

    until(lambda: len(done.findall(called())) == 4, "not four results")
    kitchen.shown["called"] = called()


def headers(kitchen: Kitchen) -> None:
    """Verified by the carrier, verified here, a caller who has chosen a name, passed on."""
    phone = kitchen.phones.phone("sbc", "15550100")
    verified = "<sip:15550100@carrier.example;user=phone;verstat=TN-Validation-Passed{}>"
    says = [
        ("X-Account", 'A4711"; ${'),
        ("Diversion", "<sip:15550177@carrier.example>;reason=unconditional"),
        ("P-Asserted-Identity", f'"Ann Smith" {verified.format("-A")}'),
    ]
    named_so = f'"{verified.format("")}" <sip:15550100@carrier.example>'
    legs = [
        phone.call("headers", headers=says),
        phone.call("attested"),
        phone.call("headers", headers=[("X-Account", "3"), ("P-Asserted-Identity", named_so)]),
        phone.call(
            "headers", headers=[("X-Account", "4"), ("P-Asserted-Identity", verified.format("-B"))]
        ),
    ]
    for n, leg in enumerate(legs):
        kitchen.greeted(f"headers {n}", leg.wait_up()).hangup()


def words(kitchen: Kitchen) -> None:
    """The service is away, and a person answers; and the words for a full house."""
    person = kitchen.phones.phone("person_words", answers=False)
    leg = kitchen.phones.phone("customer_words").call("own-words").wait_up()
    hears(leg, PROMPTS["sorry-away"])
    person.wait_call().answer().wait_up().hangup()
    leg.wait()
    leg = kitchen.phones.phone("another_words").call("limit").wait_up()
    hears(leg, PROMPTS["sorry-busy"])
    person.wait_call().answer().wait_up().hangup()
    leg.wait()


def tenants(kitchen: Kitchen) -> None:
    """One of each; the first has a tool."""
    acme = kitchen.stage("acme_agent", "acme")
    globex = kitchen.stage("globex_agent", "globex")
    globex.hears(globex.leg, GREETING)
    acme.hears(acme.leg, PROMPTS["acme-opening-hours"])
    acme.hears(acme.leg, AFTERWARDS)
    acme.leg.hangup()
    globex.leg.hangup()


def night(kitchen: Kitchen) -> None:
    """The last minute of a day, the first of an evening, a holiday, and the key."""
    person = kitchen.phones.phone("person_night", answers=False)
    caller = kitchen.phones.phone("customer_night")
    by_day = caller.call("at_last_minute")
    person.wait_call().answer().wait_up()
    by_day.wait_up().hangup()
    for name in ("evening", "holiday"):
        kitchen.greeted(name, caller.call(f"at_{name}").wait_up()).hangup()

    def press(state: str) -> None:
        caller.call("*60").wait_up().wait()
        shown = kitchen.pbx.cli("devstate list")
        assert re.search(rf"Custom:night +State: +'{state}'|Custom:night.*{state}", shown), shown

    press("INUSE")
    kitchen.greeted("by key", caller.call("at_last_minute").wait_up()).hangup()
    press("NOT_INUSE")


SCENES: Sequence[Scene] = (
    *(listen, meeting, record, no_consent, outbound, campaign, headers, words, tenants, night),
)


def cook(pbx: Instance, scenes: Sequence[Scene] = SCENES) -> Kitchen:
    """Play all scenes at once, until their calls are over."""
    with Telephones(pbx) as phones, ThreadPoolExecutor(len(scenes)) as threads:
        kitchen = Kitchen(pbx, phones)
        futures = {scene.__name__: threads.submit(scene, kitchen) for scene in scenes}
        faults = {name: future.exception() for name, future in futures.items()}
    assert not any(faults.values()), {name: fault for name, fault in faults.items() if fault}
    pbx.wait_no_channels(30 * SECOND)
    return kitchen


def heard(leg: Leg, sound: bytes) -> bool:
    """Whether enough of it was heard to know it."""
    return packets_of(sound, leg.heard) >= SOME
