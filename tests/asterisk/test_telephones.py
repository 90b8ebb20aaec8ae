"""Telephones that hold, transfer, pick up and change their mind, with agents, all at once.

Who holds and who is the caller: hold, digits and first words belong to the caller's side of a call
and follow the device, whatever becomes of the channel.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from testbed.ami import Ami
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from testbed.telephones import Telephones
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.phone import configure, section, wait_result
from tests.asterisk.scenes import (
    HELD_SECONDS,
    MORE_SCENES,
    SCENES,
    agents,
    fax_pending,
    service,
)
from tests.asterisk.stage import (
    DIALPLAN,
    GREETING,
    Played,
    loud_seconds,
    play,
    until,
)
from tests.timing import FULL, only_in_full

LAG_SECONDS = 0.06
"""How far the agent's clock may be from the caller's."""


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    return asterisk(
        dialplan=DIALPLAN,
        elevenlabs="[general]\n",
        codecs=("ulaw", "alaw", "g722", "h264"),
        endpoint={"trust_id_inbound": "yes"},
        files={"features.conf": "[featuremap]\natxfer = *2\n"},
    )


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


def about(*names: str) -> pytest.MarkDecorator:
    """Take these scenes; some are played in the full run alone."""
    usual, more = ({each.__name__ for each in scenes} for scenes in (SCENES, MORE_SCENES))
    assert set(names) <= usual | more, names
    one_more = only_in_full("one more scene of its kind")
    playing = [pytest.param(n, marks=[] if n in usual else [one_more]) for n in names]
    return pytest.mark.parametrize("played", playing, indirect=True)


@about(
    "hold_sendonly",
    "hold_inactive",
    "hold_zero",
    "hold_session",
    "hold_zero_inactive",
    "hold_again",
)
def test_hold(played: Played) -> None:
    """L8, L11: what the telephone plays meanwhile is not for the agent; before and after all is."""
    assert played.hears("before")
    assert played.hears("after")
    assert played.heard_of("music") == 0


@about("hold_sendonly", "hold_inactive", "hold_zero", "hold_session", "hold_zero_inactive")
def test_hold_lasts_as_long_for_the_agent(played: Played) -> None:
    """L11: silence of the same length."""
    assert abs(played.seconds_between("before", "after") - played.seen["seconds"]) < LAG_SECONDS


@about("kept_quiet")
def test_the_agent_is_kept_quiet_meanwhile(played: Played) -> None:
    """L11: a sign of life once a second, and what it said before is not gone on with."""
    seen = played.seen
    assert int(HELD_SECONDS) <= played.session["received"].get("user_activity", 0) <= seen["held"]
    assert seen["heard of it"] == seen["heard of it afterwards"]


@about("left_held")
def test_the_caller_leaves_while_held(played: Played) -> None:
    """L11: the call ends as ever."""
    assert [result.status for result in played.results] == ["HANGUP"]
    assert (played.session["close_code"], played.session["closed_by"]) == (1000, "client")


@about("hold_connecting")
def test_hold_while_connecting(played: Played) -> None:
    """L9: the agent that takes over hears no music, and is not interrupted by it."""
    assert played.heard_of("music") == 0
    assert played.hears("after")
    assert played.session["interruptions"] == 0


@about("first_words")
def test_first_words_outlive_an_agent(played: Played) -> None:
    """L9: they and the digits are the caller's, whoever the agent is."""
    assert played.hears("first")
    assert "5" in str(played.session["texts"])


@about(
    "consult_held",
    "consult_open",
    "consult_turned",
    "consult_connecting",
    "picked_up_connecting",
    "blind",
    "picked_up",
    "picked_up_held",
    "picked_up_twice",
    "moved_on",
    "refused_refer",
)
def test_transferred(played: Played) -> None:
    """L8: whoever has the call then is heard, and hears."""
    assert played.hears("customer")


@about("consult_by_keys")
def test_transferred_by_keys(played: Played) -> None:
    """L8: through a Local channel, which converts what the customer says."""
    assert loud_seconds(played.heard) > 0.3


@about("consult_connecting", "picked_up_connecting")
def test_the_agent_is_told_who_has_the_call(played: Played) -> None:
    """L8: also if it was not there yet; it was asked for with the number of the device before."""
    (told,) = played.session["texts"]
    assert told["type"] == "contextual_update"
    assert "moved to another telephone" in told["text"]
    assert variables(played)["caller_number"] not in told["text"]


@about("picked_up_twice")
def test_each_device_has_a_hold_of_its_own(played: Played) -> None:
    """L8: the second telephone's music is not heard, its words are."""
    assert played.hears("before")
    assert played.hears("after")
    assert played.heard_of("music") == 0


@about("picked_up_in_alaw", "consult_in_alaw")
def test_picked_up_in_another_codec(played: Played) -> None:
    """L8: what follows the device is its codec as well."""
    assert loud_seconds(played.heard) > 0.4


@about("picked_up_held")
def test_digits_after_a_pick_up(played: Played) -> None:
    """L8: they are those of the telephone that has the call."""
    assert "7" in str(played.session["texts"])


@about("moved_on")
def test_a_moved_channel_is_shown_by_its_name(played: Played) -> None:
    """L8: the session is that of the device that has the call."""
    assert f"{played.seen['shown'].split()[0]}!" in played.seen["channels"]


@about("codec")
def test_another_codec_in_mid_call(played: Played) -> None:
    """L8: what is said in A-law is heard."""
    assert loud_seconds(played.heard) > 0.4


@about("codecs")
def test_many_changes_of_the_codec(played: Played) -> None:
    """L8: none of them ends a call."""
    assert played.seen["up"] == 4
    assert [result.status for result in played.results] == ["HANGUP"] * 4


@about("video", "fax")
def test_other_offers(played: Played) -> None:
    """L8: an offer of video, or of fax, does the call no harm."""
    for word in played.said:
        assert played.hears(word), word


@only_in_full("Asterisk thinks for five seconds")
def test_fax_where_asterisk_could(asterisk: StartAsterisk, root: Root) -> None:
    """L8: it asks the application whether it wants the fax, while the caller speaks on."""
    pbx = asterisk(dialplan=DIALPLAN, elevenlabs="[general]\n", endpoint={"t38_udptl": "yes"})
    with MockAgent(root, service(), record=True) as mock:
        configure(pbx, section("fax_pending", mock.url))
        played = play(pbx, mock, [fax_pending])["fax_pending"]
    assert isinstance(played, Played), played
    assert played.hears("meanwhile")
    assert played.hears("after")


def variables(played: Played) -> dict[str, str]:
    """What the agent was told."""
    return dict(played.session["dynamic_variables"])


@about("number", "diverted")
def test_the_callers_number(played: Played) -> None:
    """L14: it is told where it is not withheld."""
    told = variables(played)
    assert told | {"call_direction": "inbound", "caller_number": "5550177"} == told


@about("withheld", "anonymous", "private", "unknown")
def test_a_withheld_number(played: Played) -> None:
    """L14: it is empty."""
    assert variables(played)["caller_number"] == ""


@about("outbound")
def test_an_outbound_call(played: Played) -> None:
    """L13: the agent is told whom it talks with, and by which number."""
    told = variables(played)
    wanted = {"call_direction": "outbound", "called_number": "+15550199"}
    assert told | wanted | {"caller_number": "5550100"} == told


@about("rung_by_application")
def test_an_outbound_call_without_a_number(played: Played) -> None:
    """L13: what nobody knows is empty."""
    told = variables(played)
    assert (told["called_number"], told["caller_number"]) == ("+15550197", "")


@about("outbound_told")
def test_the_dialplan_knows_better(played: Played) -> None:
    """L13: both numbers can be set."""
    told = variables(played)
    assert (told["called_number"], told["caller_number"]) == ("5550122", "5550111")


@about("redirected", "yanked", "sent_off_early")
def test_sent_elsewhere(pbx: Instance, played: Played) -> None:
    """L15: with a dialplan to go on in or without, the reason says so."""
    name = played.name
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
