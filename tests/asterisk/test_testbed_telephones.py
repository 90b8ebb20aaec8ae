"""The testbed's telephones themselves: what they ask of Asterisk happens."""

from __future__ import annotations

import re
import time

import pytest

from testbed import service
from testbed.instance import Instance
from testbed.paths import PROJECT
from testbed.rtp import CODECS
from testbed.sip import HOLDS, VIDEO
from testbed.telephone import Leg
from testbed.telephones import Telephones
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.stage import until, wait_joined
from tests.timing import EVENT

PAGE = PROJECT / "docs" / "testing.md"
ULAW = CODECS["ulaw"]
SAID = ULAW.noise(0.4, seed=3)

DIALPLAN = """\
[callers]
exten => echo,1,Answer()
 same => n,Echo()
exten => desk,1,Dial(${desk})
; as in docs/testing.md
exten => 100,1,Goto(echo,1)
exten => 200,1,Dial(${desk})
exten => ring,1,Dial(${colleague})
exten => refer,1,Answer()
 same => n,Transfer(PJSIP/sip:echo@127.0.0.1:${CHANNEL(pjsip,local_addr):-5})
 same => n,Log(NOTICE,transfer ${TRANSFERSTATUS})
exten => number,1,Log(NOTICE,from ${CALLERID(num)} ${CALLERID(num-pres)} for ${EXTEN})
 same => n,Goto(echo,1)
exten => read,1,Answer()
 same => n,Read(PRESSED,,1,,,10)
 same => n,Log(NOTICE,pressed ${PRESSED})
"""


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    endpoint = {"trust_id_inbound": "yes", "moh_passthrough": "yes"}
    return asterisk(module=False, dialplan=DIALPLAN, endpoint=endpoint)


def hears(leg: Leg, other: Leg | None = None) -> None:
    """What the leg says arrives at the other one; at itself, if it is with Echo."""
    there, said = other or leg, ULAW.noise(0.3, seed=time.monotonic_ns())
    wait_joined(leg, there)
    leg.say(said)
    until(lambda: said in there.so_far().heard, f"{leg} not heard")


def test_hold_and_other_offers(pbx: Instance) -> None:
    with Telephones(pbx) as phones:
        call = phones.phone("customer").call("echo").wait_up()
        hears(call)
        for how in HOLDS:
            assert call.hold(how) == 200
            assert call.unhold() == 200
            hears(call)
        assert call.offer_video() == 200
        assert call.offer_fax() == 488
        hears(call)
        call.hangup().wait(EVENT)
        assert call.ended_by == "caller"


def test_hold_by_the_far_end(pbx: Instance) -> None:
    """Asterisk hands on what the desk's telephone does."""
    with Telephones(pbx) as phones:
        desk = phones.phone("desk")
        call = phones.phone("customer").call("desk").wait_up()
        at_desk = desk.wait_call()
        hears(at_desk, call)
        for hold, asked in ((at_desk.hold, "sendonly"), (at_desk.unhold, "sendrecv")):
            assert hold() == 200
            until(lambda: call.asked == asked, f"{call.asked}, not {asked}")  # noqa: B023
        hears(at_desk, call)


def test_attended_transfer_and_pick_up(pbx: Instance) -> None:
    with Telephones(pbx) as phones:
        customer = phones.phone("customer")
        desk, colleague = phones.phone("desk"), phones.phone("colleague")
        call = customer.call("desk").wait_up()
        at_desk = desk.wait_call()
        hears(call, at_desk)
        assert at_desk.hold() == 200
        consult = desk.call("ring").wait_up()
        at_colleague = colleague.wait_call()
        hears(consult, at_colleague)
        assert at_desk.transfer_to(consult) == 200
        hears(call, at_colleague)
        hears(at_colleague, call)
        picked = desk.call("ring", replaces=at_colleague).wait_up()
        at_colleague.wait(EVENT)
        hears(call, picked)
        assert picked.transfer("echo") == 200
        hears(call)


def test_refused_cancelled_and_early_ends(pbx: Instance) -> None:
    with Telephones(pbx) as phones:
        desk = phones.phone("desk", answers=False)
        customer = phones.phone("customer")
        first = customer.call("desk")
        desk.wait_call().refuse()
        first.wait(EVENT)
        second = customer.call("desk")
        rung = desk.wait_call()
        second.hangup().wait(EVENT)
        rung.wait(EVENT)
        assert (first.ended_by, first.status) == ("refused", 486)
        assert (second.ended_by, rung.ended_by) == ("caller", "asterisk")
        third = customer.call("desk")
        at_desk = desk.wait_call().answer()
        third.wait_up()
        at_desk.hangup().wait(EVENT)
        third.wait(EVENT)
        assert third.ended_by == "asterisk"


def test_follows_a_refer(pbx: Instance) -> None:
    with Telephones(pbx) as phones:
        customer = phones.phone("customer")
        start = len(pbx.log())
        call = customer.call("refer").wait_up()
        pbx.wait_log("transfer SUCCESS", start=start)
        referred = customer.legs[1].wait_up()
        hears(referred)
        call.wait(EVENT)


def test_numbers_and_digits(pbx: Instance) -> None:
    with Telephones(pbx) as phones:
        customer = phones.phone("customer", "5550100")
        customer.call("number").wait_up()
        pbx.wait_log("from 5550100 allowed_not_screened for number")
        asserted = ("P-Asserted-Identity", "<sip:5550199@testbed>")
        customer.call("number", headers=[("Privacy", "id"), asserted], more=VIDEO).wait_up()
        pbx.wait_log("from 5550199 prohib")
        call = customer.call("read").wait_up()
        assert call.press_info("7") == 200
        pbx.wait_log("pressed 7")


def test_the_example_works_as_it_stands(
    pbx: Instance, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it stands there, but for the instance that it rings."""
    text = PAGE.read_text(encoding="utf-8").split("\n### SIP\n")[1]
    found = re.search(r"^```python\n(.*?)^```", text, re.M | re.S)
    assert found is not None
    monkeypatch.setattr(service, "attach", lambda name: pbx)
    exec(compile(found[1], str(PAGE), "exec"), {})
    assert re.fullmatch(r"the customer heard \d\.\d s\n", capsys.readouterr().out)
