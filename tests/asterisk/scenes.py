"""What telephones do with agents in mid-call: scenes for test_telephones.py, see stage.py."""

from __future__ import annotations

import socket
import time

from testbed.line import Phone as Line
from testbed.rtp import CODECS, Packet
from testbed.sip import VIDEO, port_of
from testbed.speech import speech
from testbed.telephone import Leg
from tests.asterisk.phone import section
from tests.asterisk.stage import (
    AGENT,
    MOVING,
    REPLIES,
    ULAW,
    Stage,
    loud_seconds,
    packets_of,
    until,
)
from tests.timing import EVENT, SECOND

HELD_SECONDS = 2.3
"""Long enough for two signs of life (user_activity), which go out once a second."""

CHANGES = 50
CHANGE_SECONDS = 0.013
"""Not in step with the frames of 20 ms: some change falls on one."""

LONG = ULAW.noise(6.0, seed=1)
"""What the agent of kept_quiet has to say; it begins like every agent's greeting."""


# --- hold ---


def hold(stage: Stage, how: str, seconds: float = 0.6) -> Leg:
    """The caller speaks, holds with music that is not meant for the agent, and speaks again."""
    call = stage.talk(stage.phone())
    stage.speak(call, "before")
    assert call.hold(how) == 200
    stage.speak(call, "music", seconds)
    assert call.unhold() == 200
    stage.speak(call, "after")
    sent = call.so_far().sent
    stage.seen["seconds"] = ULAW.seconds(
        sent.index(stage.said["after"]) - sent.index(stage.said["before"])
    )
    return call


def hold_sendonly(stage: Stage) -> None:
    hold(stage, "sendonly")


def hold_again(stage: Stage) -> None:
    """Held twice, each time in another way; once taken back."""
    call = stage.talk(stage.phone())
    stage.speak(call, "before")
    assert call.hold("inactive") == 200
    assert call.hold("zero") == 200
    stage.speak(call, "music")
    assert call.unhold() == 200
    stage.speak(call, "after")


def left_held(stage: Stage) -> None:
    """Nobody comes back."""
    call = stage.talk(stage.phone())
    assert call.hold() == 200
    call.hangup().wait(EVENT)


def kept_quiet(stage: Stage) -> None:
    """The agent has much to say when the hold begins, and is not to go on with it afterwards."""
    call = stage.talk(stage.phone())
    since = time.monotonic()
    assert call.hold() == 200
    stage.speak(call, "music", HELD_SECONDS)
    stage.seen["heard of it"] = packets_of(LONG, call.so_far().heard)
    assert call.unhold() == 200
    stage.seen["held"] = time.monotonic() - since
    stage.speak(call, "after")
    stage.answered(call)
    stage.seen["heard of it afterwards"] = packets_of(LONG, call.so_far().heard)


def hold_inactive(stage: Stage) -> None:
    hold(stage, "inactive")


def hold_zero(stage: Stage) -> None:
    hold(stage, "zero")


def hold_session(stage: Stage) -> None:
    hold(stage, "session")


def hold_zero_inactive(stage: Stage) -> None:
    hold(stage, "zero-inactive")


def hold_connecting(stage: Stage) -> None:
    """The first agent takes its time and fails; meanwhile the caller holds. Another one answers."""
    call = stage.phone().call(stage.agent).wait_up()
    assert call.hold() == 200
    stage.speak(call, "music", HELD_SECONDS)
    assert call.unhold() == 200
    stage.speak(call, "after")
    stage.answered(call)


def first_words(stage: Stage) -> None:
    """The first agent takes its time and fails; what the caller said and pressed is theirs."""
    call = stage.phone().call(stage.agent).wait_up()
    stage.speak(call, "first")
    call.press("5")
    stage.answered(stage.greeted(call))


# --- transfers ---


def desk_and_customer(stage: Stage) -> tuple[Leg, Leg, Leg]:
    """A customer who talks with the desk, and the desk's call to the agent."""
    desk = stage.phone("desk")
    customer, at_desk = stage.dial(stage.phone(), desk, stage.extension("desk"))
    assert at_desk.hold() == 200
    return customer, at_desk, stage.talk(desk)


def with_customer(stage: Stage, customer: Leg, reply: int) -> None:
    """The customer is heard by the agent, and hears it."""
    stage.speak(customer, "customer")
    stage.answered(customer, reply)


def consult_held(stage: Stage) -> None:
    customer, at_desk, consult = desk_and_customer(stage)
    stage.speak(consult, "desk")
    stage.answered(consult)
    assert consult.hold() == 200
    stage.transfer(at_desk, consult)
    with_customer(stage, customer, 1)


def consult_open(stage: Stage) -> None:
    customer, at_desk, consult = desk_and_customer(stage)
    stage.transfer(at_desk, consult)
    with_customer(stage, customer, 0)


def turned(stage: Stage, with_agent: Leg, other: Leg) -> None:
    """REFER on the agent's leg: who is at the other call's far end has the agent then.

    Asterisk moves their channel there after it has told of success. A telephone that hangs up at
    once may take that channel away before, from Echo() as well: docs/reliability.md.
    """
    stage.transfer(with_agent, other, stays=True)
    stage.pbx.wait_log(f"has taken over the call with agent {stage.agent}")
    with_agent.hangup()


def consult_turned(stage: Stage) -> None:
    """The desk's telephone asks it of the other call."""
    customer, at_desk, consult = desk_and_customer(stage)
    assert consult.hold() == 200
    turned(stage, consult, at_desk)
    with_customer(stage, customer, 0)


def consult_connecting(stage: Stage) -> None:
    """The desk, which held its leg at once, does not wait for the agent."""
    desk = stage.phone("desk")
    customer, at_desk = stage.dial(stage.phone(), desk, stage.extension("desk"))
    consult = desk.call(stage.agent).wait_up()
    assert consult.hold() == 200
    stage.transfer(at_desk, consult)
    stage.greeted(customer)
    with_customer(stage, customer, 0)


def consult_by_keys(stage: Stage) -> None:
    """Asterisk's own attended transfer: the desk presses keys and hangs up."""
    desk = stage.phone("desk")
    customer, at_desk = stage.dial(stage.phone(), desk, f"keys_desk_{stage.agent}")
    at_desk.press("*2700")
    stage.greeted(at_desk)
    at_desk.hangup()
    with_customer(stage, customer, 0)


def blind(stage: Stage) -> None:
    """The desk sends the customer, on hold, to the agent's extension."""
    desk = stage.phone("desk")
    customer, at_desk = stage.dial(stage.phone(), desk, stage.extension("desk"))
    assert at_desk.hold() == 200
    assert at_desk.transfer(stage.agent) == 200
    stage.greeted(customer)
    with_customer(stage, customer, 0)


def picked_up(stage: Stage) -> None:
    """Another telephone takes the call with the agent (INVITE with Replaces)."""
    first = stage.talk(stage.phone())
    other = stage.pick_up(stage.phone("colleague"), first)
    with_customer(stage, other, 0)


def picked_up_held(stage: Stage) -> None:
    first = stage.talk(stage.phone())
    assert first.hold() == 200
    other = stage.pick_up(stage.phone("colleague"), first)
    with_customer(stage, other, 0)
    other.press("7")
    stage.answered(other, 1)


def picked_up_twice(stage: Stage) -> None:
    """Each device has a hold of its own."""
    first = stage.talk(stage.phone())
    assert first.hold() == 200
    second = stage.pick_up(stage.phone("second"), first)
    stage.speak(second, "before")
    assert second.hold("inactive") == 200
    stage.speak(second, "music")
    assert second.unhold() == 200
    stage.speak(second, "after")
    assert second.hold("zero") == 200
    third = stage.pick_up(stage.phone("third"), second)
    stage.speak(third, "customer")
    until(lambda: any(reply in third.so_far().heard for reply in REPLIES), "no reply")


def picked_up_in_alaw(stage: Stage) -> None:
    """The other telephone speaks another codec; it is heard, and hears."""
    first = stage.talk(stage.phone())
    assert first.hold() == 200
    other = stage.pick_up(stage.phone("colleague", codec="alaw"), first)
    other.say(other.codec.noise(0.5, seed=5))
    until(lambda: loud_seconds(other.so_far().heard, "alaw") > 0.3, "no reply")


def picked_up_connecting(stage: Stage) -> None:
    """Before the agent is there; the first telephone held."""
    first = stage.phone().call(stage.agent).wait_up()
    assert first.hold() == 200
    other = stage.pick_up(stage.phone("colleague"), first)
    stage.greeted(other)
    with_customer(stage, other, 0)


def consult_in_alaw(stage: Stage) -> None:
    """The customer speaks another codec than the desk."""
    desk = stage.phone("desk")
    customer, at_desk = stage.dial(stage.phone(codec="alaw"), desk, stage.extension("desk"))
    consult = stage.talk(desk)
    assert consult.hold() == 200
    stage.transfer(at_desk, consult)
    customer.say(customer.codec.noise(0.5, seed=5))
    until(lambda: loud_seconds(customer.so_far().heard, "alaw") > 0.3, "no reply")


def moved_on(stage: Stage) -> None:
    """The desk talks with the agent, consults a colleague, and gives the agent to him."""
    desk, colleague = stage.phone("desk"), stage.phone("colleague")
    talking = stage.talk(desk)
    assert talking.hold() == 200
    consult, at_colleague = stage.dial(desk, colleague, stage.extension("colleague"))
    assert consult.hold() == 200
    turned(stage, talking, consult)
    with_customer(stage, at_colleague, 0)
    sessions = stage.pbx.cli("elevenlabs show sessions")
    stage.seen["shown"] = next(line for line in sessions.splitlines() if stage.agent in line)
    stage.seen["channels"] = stage.pbx.cli("core show channels concise")


def refused_refer(stage: Stage) -> None:
    """A telephone cannot send an agent elsewhere that is no channel's far end."""
    call = stage.talk(stage.phone())
    assert call.transfer("elsewhere") >= 400
    with_customer(stage, call, 0)


# --- offers in mid-call ---


def codec(stage: Stage) -> None:
    """The caller's telephone goes on in A-law."""
    wav = speech(stage.pbx.root, "One two three four five six seven eight nine ten.")
    line = Line(stage.pbx.root, wav).silence(5000).codec("alaw").say(1500).silence(3000)
    alaw = CODECS["alaw"].payload_type
    first = next(n for n, packet in enumerate(line.packets) if packet.payload_type == alaw)
    call = stage.talk(stage.phone(), play=line)
    until(lambda: len(call.so_far().packets_sent) >= first - 5, "not sent")
    assert call.change_codec("alaw") == 200
    until(lambda: len(in_alaw(call)) > 20, "nothing heard in A-law")


def codecs(stage: Stage) -> None:
    """It changes its mind again and again while the agent's frames are written.

    With Echo() one such change in a hundred ends the call, without a BYE: docs/reliability.md.
    """
    calls = [stage.talk(stage.phone(f"customer{i}")) for i in range(4)]
    for number in range(CHANGES):
        for call in calls:
            assert call.change_codec(("alaw", "ulaw")[number % 2]) == 200
        time.sleep(CHANGE_SECONDS * SECOND)
    sessions = stage.pbx.cli("elevenlabs show sessions")
    stage.seen["up"] = sessions.count(f" {stage.agent} ")


def in_alaw(call: Leg) -> list[Packet]:
    """What the telephone has heard in A-law."""
    alaw = CODECS["alaw"].payload_type
    return [each for each in call.so_far().packets_received if each.payload_type == alaw]


def video(stage: Stage) -> None:
    """Video is accepted and sent, first in the call and then in its middle."""
    for number, call in enumerate([stage.talk(stage.phone("tv"), more=VIDEO)]):
        stage.speak(call, f"before {number}")
        assert call.offer_video() == 200
        send_video(call)
        stage.speak(call, f"after {number}")


def send_video(call: Leg) -> None:
    """Some packets of video; what is in them is nobody's business."""
    ports = [port_of(message.body.replace("m=video", "m=audio")) for message in call.responses]
    answer = call.responses[-1].body.partition("m=video ")[2]
    port = int(answer.split()[0])
    assert port, ports
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for i in range(20):
            header = bytes([0x80, 99, 0, i, 0, 0, 12 * i // 256, 12 * i % 256, 0, 0, 0, 9])
            out.sendto(header + bytes(600), ("127.0.0.1", port))


def fax(stage: Stage) -> None:
    call = stage.talk(stage.phone())
    stage.speak(call, "before")
    assert call.offer_fax() == 488
    stage.speak(call, "after")


def fax_pending(stage: Stage) -> None:
    call = stage.talk(stage.phone())
    stage.said["meanwhile"], stage.said_by["meanwhile"] = ULAW.noise(2.0, seed=6), call
    call.say(stage.said["meanwhile"])
    assert call.offer_fax() >= 400
    stage.speak(call, "after")


# --- numbers ---


def number(stage: Stage) -> None:
    stage.talk(stage.phone(number="5550177"))


def withheld(stage: Stage) -> None:
    asserted = ("P-Asserted-Identity", "<sip:5550177@testbed>")
    sender = '"Anonymous" <sip:anonymous@anonymous.invalid>'
    stage.talk(stage.phone(), sender=sender, headers=[("Privacy", "id"), asserted])


def anonymous(stage: Stage) -> None:
    stage.talk(stage.phone(), sender='"Anonymous" <sip:anonymous@anonymous.invalid>')


def private(stage: Stage) -> None:
    """The number is told to Asterisk alone."""
    asserted = ("P-Asserted-Identity", '"Jo" <sip:5550177@testbed>')
    stage.talk(stage.phone(number="5550177"), headers=[asserted, ("Privacy", "id;critical")])


def unknown(stage: Stage) -> None:
    stage.talk(stage.phone(), sender="<sip:Unknown@testbed>")


def diverted(stage: Stage) -> None:
    diversion = ("Diversion", "<sip:5550188@testbed>;reason=no-answer")
    stage.talk(stage.phone(number="5550177"), headers=[diversion])


def outbound(stage: Stage) -> None:
    """Asterisk rings somebody, and the agent talks with them."""
    called = stage.phone("called", "+15550199")
    stage.greeted(stage.phones.originate(called, **dialled(stage), CallerID="Shop <5550100>"))


def rung_by_application(stage: Stage) -> None:
    """No dialplan and no number of ours."""
    called = stage.phone("called", "+15550197")
    stage.greeted(stage.phones.originate(called, **application(stage)))


def outbound_told(stage: Stage) -> None:
    """The dialplan knows better who calls whom."""
    called = stage.phone("called", "+15550196")
    told = "ELEVENLABS_VAR_caller_number=5550111,ELEVENLABS_VAR_called_number=5550122"
    stage.greeted(stage.phones.originate(called, **dialled(stage), Variable=told))


def application(stage: Stage) -> dict[str, str]:
    return {"Application": "ElevenLabsConvAI", "Data": stage.agent}


def dialled(stage: Stage) -> dict[str, str]:
    return {"Context": "callers", "Exten": stage.agent, "Priority": "1"}


# --- sent elsewhere ---


def redirected(stage: Stage) -> None:
    call = stage.talk(stage.phone())
    redirect(stage, call)


def yanked(stage: Stage) -> None:
    """AMI's Originate with an application: there is no dialplan to go on in."""
    called = stage.phone("called", "+15550198")
    call = stage.phones.originate(called, **application(stage))
    stage.greeted(call)
    redirect(stage, call)


def sent_off_early(stage: Stage) -> None:
    redirect(stage, stage.phone().call(stage.agent).wait_up())


def redirect(stage: Stage, call: Leg) -> None:
    """The call is elsewhere then, with Echo."""
    sessions = stage.pbx.cli("elevenlabs show sessions").splitlines()
    channel = next(line for line in sessions if f" {stage.agent} " in line).split()[0]
    elsewhere = {"Context": "callers", "Exten": "elsewhere", "Priority": "1"}
    with MOVING:
        stage.phones.manage("Redirect", Channel=channel, **elsewhere)
        stage.pbx.wait_log(f"elsewhere {channel}")
    stage.speak(call, "echo")
    stage.hears(call, stage.said["echo"], "echo")


SCENES = [
    *(hold_sendonly, hold_inactive, hold_zero, kept_quiet, hold_connecting, first_words),
    *(consult_held, consult_open, consult_turned, blind, picked_up, picked_up_held, moved_on),
    *(picked_up_twice, picked_up_in_alaw, consult_connecting, refused_refer, codec, video, fax),
    *(number, withheld, anonymous, private, diverted, outbound),
    *(redirected, yanked),
]
MORE_SCENES = [
    *(codecs, hold_session, hold_zero_inactive, consult_by_keys, sent_off_early),
    *(hold_again, left_held, unknown, rung_by_application),
    *(picked_up_connecting, consult_in_alaw, outbound_told),
]

FAILING = """
faults = [
  { name = "delay", stage = "signed_url", ms = 600 },
  { name = "http_status", stage = "signed_url", status = 401 },
]
"""


def service() -> str:
    """The mock's agents: one a scene, and those with something of their own."""
    own = {
        # Much of it is still to be heard when the hold begins, and is to be forgotten.
        "kept_quiet": 'first_message = { text = "N.", sound = "noise:1:6000" }\n',
        "first_words": f"first_message = {{ {NOISE}, interruptible = false }}\n",
        "consult_connecting": 'faults = [{ name = "delay", stage = "init", ms = 4000 }]\n',
        "picked_up_connecting": 'faults = [{ name = "delay", stage = "init", ms = 4000 }]\n',
        "sent_off_early": 'faults = [{ name = "delay", stage = "init", ms = 9000 }]\n',
    }
    lines = ['title = "telephones"', f"[agents.default]{AGENT}", f"[agents.failing]{FAILING}"]
    lines += [f'[agents.{name}]\nlike = "default"\n{text}' for name, text in own.items()]
    return "\n".join(lines)


NOISE = 'text = "N.", sound = "noise:1:400"'


def agents(url: str) -> str:
    """elevenlabs.conf: those whose first agent fails have another one."""
    text = section("default", url)
    for each in SCENES + MORE_SCENES:
        name = each.__name__
        if name in ("hold_connecting", "first_words"):
            text += section(f"{name}_second", url, agent_id=name)
            text += section(name, url, agent_id="failing", fallback_agent=f"{name}_second")
        else:
            text += section(name, url)
    return text
