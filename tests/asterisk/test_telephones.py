"""Telephones that hold, transfer, pick up and change their mind, with agents, all at once.

Who holds and who is the caller: hold, digits and first words belong to the caller's side of a call
and follow the device, whatever becomes of the channel.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from pyconvai.mock.audio import FORMATS, decode
from testbed.ami import Ami
from testbed.instance import Instance
from testbed.line import Phone as Line
from testbed.mock import MockAgent
from testbed.root import Root
from testbed.rtp import CODECS, Packet
from testbed.sip import VIDEO, port_of
from testbed.speech import speech
from testbed.telephone import Leg
from testbed.telephones import Telephones
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.phone import configure, section, wait_result
from tests.asterisk.stage import AGENT, DIALPLAN, GREETING, ULAW, Played, Stage, play, until
from tests.timing import FULL, SECOND

HELD_SECONDS = 2.3
"""Long enough for two signs of life (user_activity), which go out once a second."""

LAG_SECONDS = 0.06
"""How far the agent's clock may be from the caller's."""

LOUD = 1000
"""A sample that is speech."""

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


def kept_quiet(stage: Stage) -> None:
    """The agent has much to say when the hold begins, and is not to go on with it afterwards."""
    call = stage.talk(stage.phone())
    assert call.hold() == 200
    stage.speak(call, "music", HELD_SECONDS)
    assert call.unhold() == 200
    stage.speak(call, "after")
    stage.answered(call)
    stage.seen["heard"] = call.so_far().heard


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
    customer = stage.phone().call(stage.extension("desk")).wait_up()
    at_desk = desk.wait_call()
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
    assert at_desk.transfer_to(consult) == 200
    with_customer(stage, customer, 1)


def consult_open(stage: Stage) -> None:
    customer, at_desk, consult = desk_and_customer(stage)
    assert at_desk.transfer_to(consult) == 200
    with_customer(stage, customer, 0)


def consult_turned(stage: Stage) -> None:
    """The desk's telephone asks it of the other call: REFER on the agent's leg."""
    customer, at_desk, consult = desk_and_customer(stage)
    assert consult.hold() == 200
    assert consult.transfer_to(at_desk) == 200
    with_customer(stage, customer, 0)


def blind(stage: Stage) -> None:
    """The desk sends the customer, on hold, to the agent's extension."""
    desk = stage.phone("desk")
    customer = stage.phone().call(stage.extension("desk")).wait_up()
    at_desk = desk.wait_call()
    assert at_desk.hold() == 200
    assert at_desk.transfer(stage.agent) == 200
    stage.greeted(customer)
    with_customer(stage, customer, 0)


def picked_up(stage: Stage) -> None:
    """Another telephone takes the call with the agent (INVITE with Replaces)."""
    first = stage.talk(stage.phone())
    other = stage.phone("colleague").call(stage.agent, replaces=first).wait_up()
    with_customer(stage, other, 0)
    first.wait(10 * SECOND)


def picked_up_held(stage: Stage) -> None:
    first = stage.talk(stage.phone())
    assert first.hold() == 200
    other = stage.phone("colleague").call(stage.agent, replaces=first).wait_up()
    with_customer(stage, other, 0)
    other.press("7")


def moved_on(stage: Stage) -> None:
    """The desk talks with the agent, consults a colleague, and gives the agent to him."""
    desk, colleague = stage.phone("desk"), stage.phone("colleague")
    talking = stage.talk(desk)
    assert talking.hold() == 200
    consult = desk.call(stage.extension("colleague")).wait_up()
    at_colleague = colleague.wait_call()
    assert consult.hold() == 200
    assert talking.transfer_to(consult) == 200
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
    line = Line(stage.pbx.root, wav).silence(1500).codec("alaw").say(1500).silence(3000)
    call = stage.talk(stage.phone(), play=line)
    time.sleep(max(0.0, (call.answered_at or 0.0) + 1.4 - time.monotonic()))
    assert call.change_codec("alaw") == 200
    until(lambda: len(in_alaw(call)) > 20, "nothing heard in A-law")


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


def diverted(stage: Stage) -> None:
    diversion = ("Diversion", "<sip:5550188@testbed>;reason=no-answer")
    stage.talk(stage.phone(number="5550177"), headers=[diversion])


def outbound(stage: Stage) -> None:
    """Asterisk rings somebody, and the agent talks with them."""
    called = stage.phone("called", "+15550199")
    stage.greeted(stage.phones.originate(called, **dialled(stage), CallerID="Shop <5550100>"))


def dialled(stage: Stage) -> dict[str, str]:
    return {"Context": "callers", "Exten": stage.agent, "Priority": "1"}


# --- sent elsewhere ---


def redirected(stage: Stage) -> None:
    call = stage.talk(stage.phone())
    redirect(stage, call)


def yanked(stage: Stage) -> None:
    """AMI's Originate with an application: there is no dialplan to go on in."""
    called = stage.phone("called", "+15550198")
    application = {"Application": "ElevenLabsConvAI", "Data": stage.agent}
    call = stage.phones.originate(called, **application)
    stage.greeted(call)
    redirect(stage, call)


def redirect(stage: Stage, call: Leg) -> None:
    """The call is elsewhere then, with Echo."""
    sessions = stage.pbx.cli("elevenlabs show sessions").splitlines()
    channel = next(line for line in sessions if f" {stage.agent} " in line).split()[0]
    elsewhere = {"Context": "callers", "Exten": "elsewhere", "Priority": "1"}
    stage.phones.manage("Redirect", Channel=channel, **elsewhere)
    stage.pbx.wait_log(f"elsewhere {channel}")
    stage.speak(call, "echo")
    stage.hears(call, stage.said["echo"], "echo")


SCENES = [
    *(hold_sendonly, hold_inactive, hold_zero, kept_quiet, hold_connecting, first_words),
    *(consult_held, consult_open, consult_turned, blind, picked_up, picked_up_held, moved_on),
    *(refused_refer, codec, video, fax),
    *(number, withheld, anonymous, private, diverted, outbound),
    *(redirected, yanked),
]
MORE_SCENES = [hold_session, hold_zero_inactive]

FAILING = """
faults = [
  { name = "delay", stage = "signed_url", ms = 1200 },
  { name = "http_status", stage = "signed_url", status = 401 },
]
"""


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    return asterisk(
        dialplan=DIALPLAN,
        elevenlabs="[general]\n",
        codecs=("ulaw", "alaw", "g722", "h264"),
        endpoint={"trust_id_inbound": "yes"},
    )


def service() -> str:
    """The mock's agents: one a scene, and those with something of their own."""
    own = {
        # All of it comes at once; it is to be forgotten when the hold begins.
        "kept_quiet": 'pace = 0\nfirst_message = { text = "N.", sound = "noise:1:6000" }\n',
        "first_words": 'first_message = { text = "N.", sound = "noise:1:400", interruptible = false }',
    }
    lines = ['title = "telephones"', f"[agents.default]{AGENT}", f"[agents.failing]{FAILING}"]
    lines += [f'[agents.{name}]\nlike = "default"\n{text}' for name, text in own.items()]
    return "\n".join(lines)


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


@pytest.fixture(scope="module")
def all_played(pbx: Instance, root: Root) -> Iterator[dict[str, Played | Exception]]:
    with MockAgent(root, service(), record=True) as mock:
        configure(pbx, agents(mock.url))
        yield play(pbx, mock, SCENES + (MORE_SCENES if FULL else []))


@pytest.fixture
def played(all_played: dict[str, Played | Exception], request: pytest.FixtureRequest) -> Played:
    """What came of the scene that the test is about; an error in it is the test's."""
    came = all_played[request.param]
    if isinstance(came, Exception):
        raise came
    return came


def about(*scenes: object) -> pytest.MarkDecorator:
    """Take these scenes, as far as they are played."""
    playing = SCENES + (MORE_SCENES if FULL else [])
    names = [each.__name__ for each in playing if each in scenes]
    return pytest.mark.parametrize("played", names, indirect=True)


@about(hold_sendonly, hold_inactive, hold_zero, hold_session, hold_zero_inactive)
def test_hold(played: Played) -> None:
    """L8, L11: what the telephone plays meanwhile is not for the agent; before and after all is."""
    assert played.hears("before")
    assert played.hears("after")
    assert played.heard_of("music") == 0


@about(hold_sendonly, hold_inactive, hold_zero, hold_session, hold_zero_inactive)
def test_hold_lasts_as_long_for_the_agent(played: Played) -> None:
    """L11: silence of the same length."""
    assert abs(played.seconds_between("before", "after") - played.seen["seconds"]) < LAG_SECONDS


@about(kept_quiet)
def test_the_agent_is_kept_quiet_meanwhile(played: Played) -> None:
    """L11: a sign of life once a second, and what it said before is not gone on with."""
    assert played.session["received"].get("user_activity", 0) == int(HELD_SECONDS)
    heard, late = played.seen["heard"], LONG[ULAW.bytes_in(HELD_SECONDS) :]
    size = ULAW.packet_bytes
    assert LONG[: ULAW.bytes_in(0.4)] in heard
    assert not any(late[i : i + size] in heard for i in range(0, len(late), size))


@about(hold_connecting)
def test_hold_while_connecting(played: Played) -> None:
    """L9: the agent that takes over hears no music, and is not interrupted by it."""
    assert played.heard_of("music") == 0
    assert played.hears("after")
    assert played.session["interruptions"] == 0


@about(first_words)
def test_first_words_outlive_an_agent(played: Played) -> None:
    """L9: they and the digits are the caller's, whoever the agent is."""
    assert played.hears("first")
    assert "5" in str(played.session["texts"])


@about(
    consult_held,
    consult_open,
    consult_turned,
    blind,
    picked_up,
    picked_up_held,
    moved_on,
    refused_refer,
)
def test_transferred(played: Played) -> None:
    """L8: whoever has the call then is heard, and hears."""
    assert played.hears("customer")


@about(picked_up_held)
def test_digits_after_a_pick_up(played: Played) -> None:
    """L8: they are those of the telephone that has the call."""
    assert "7" in str(played.session["texts"])


@about(moved_on)
def test_a_moved_channel_is_shown_by_its_name(played: Played) -> None:
    """L8: the session is that of the device that has the call."""
    assert f"{played.seen['shown'].split()[0]}!" in played.seen["channels"]


@about(codec)
def test_another_codec_in_mid_call(played: Played) -> None:
    """L8: what is said in A-law is heard."""
    voices = decode(played.heard[ULAW.bytes_in(1.6) : ULAW.bytes_in(3.2)], FORMATS["ulaw_8000"])
    assert sum(abs(value) > LOUD for value in voices) > 8000 * 0.2


@about(video, fax)
def test_other_offers(played: Played) -> None:
    """L8: an offer of video, or of fax, does the call no harm."""
    for word in played.said:
        assert played.hears(word), word


def variables(played: Played) -> dict[str, str]:
    """What the agent was told."""
    return dict(played.session["dynamic_variables"])


@about(number, diverted)
def test_the_callers_number(played: Played) -> None:
    """L14: it is told where it is not withheld."""
    told = variables(played)
    assert told | {"call_direction": "inbound", "caller_number": "5550177"} == told


@about(withheld, anonymous, private)
def test_a_withheld_number(played: Played) -> None:
    """L14: it is empty."""
    assert variables(played)["caller_number"] == ""


@about(outbound)
def test_an_outbound_call(played: Played) -> None:
    """L13: the agent is told whom it talks with, and by which number."""
    told = variables(played)
    wanted = {"call_direction": "outbound", "called_number": "+15550199"}
    assert told | wanted | {"caller_number": "5550100"} == told


@about(redirected, yanked)
def test_sent_elsewhere(pbx: Instance, played: Played) -> None:
    """L15: with a dialplan to go on in or without, the reason says so."""
    name = played.session["agent_id"]
    assert re.search(rf"agent {name} HANGUP after \d+ s: .*(sent elsewhere|taken out)", pbx.log())


def test_another_modules_unload(pbx: Instance, root: Root) -> None:
    """L15: UNLOADED is our own unload alone.

    AMI asks our channel for a lock that another call has: so its module uses our channel, and
    waits for that to end before it goes.
    """
    with (
        MockAgent(root, service()) as mock,
        Telephones(pbx) as phones,
        Ami(pbx) as ami,
        ThreadPoolExecutor() as threads,
    ):
        configure(pbx, section("locking", mock.url))
        start = len(pbx.log())
        phone = phones.phone("customer")
        locker = phone.call("locker").wait_up()
        call = phone.call("locking").wait_up()
        until(lambda: GREETING in call.so_far().heard, "greeting not heard")
        users = "module show like func_lock"
        before = pbx.cli(users)
        ours = talking(pbx)
        asked = threads.submit(ami.ask, "Getvar", Channel=ours, Variable="LOCK(mine)")
        until(lambda: pbx.cli(users) != before, "nobody waits for the lock")
        unload = threads.submit(pbx.cli, "module unload -f func_lock.so")
        pbx.wait_log(rf"Soft-Hanging \(0x10\) up channel '{ours}'", start=start)
        call.hangup()
        assert wait_result(pbx, start).status == "HANGUP"
        locker.hangup()
        asked.result()
        assert "Unloaded" in unload.result()


def talking(pbx: Instance) -> str:
    """The channel of the only call that talks."""
    lines = pbx.cli("elevenlabs show sessions").splitlines()
    (channel,) = [line.split()[0] for line in lines if " talking " in line]
    return channel
