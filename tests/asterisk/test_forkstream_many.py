"""ForkStream() of many calls at once: complete, in order, and told of as it came."""

from __future__ import annotations

import re
import threading

import pytest

from testbed.ami import Ami
from testbed.callers import Callers
from testbed.instance import Instance
from testbed.root import Root
from tests.asterisk.forking import (
    ULAW,
    Heard,
    Listener,
    WebSocketListener,
    check_call,
    receive,
    until,
)
from tests.asterisk.phone import settled
from tests.asterisk.test_forkstream import (
    CALL_SECONDS,
    SAY_SECONDS,
    agents,
    fork,
    listeners,
    pbx,
    wait_none,
)
from tests.timing import SECOND, only_in_full

__all__ = ["listeners", "pbx"]

pytestmark = [pytest.mark.alone, only_in_full("each takes half a minute")]

MANY = 100
STARTS = 1000


@pytest.mark.parametrize("scheme", ["udp", "ws", "wss"])
def test_a_hundred_calls_are_copied_whole(
    pbx: Instance, root: Root, listeners: dict[str, Listener], scheme: str
) -> None:
    """Both directions, sample by sample."""
    listener = listeners[scheme]
    with (
        agents(pbx, root, listener, MANY),
        Callers(
            pbx,
            MANY,
            lambda i: f"bot-agent{i}",
            send=lambda i: ULAW.noise(SAY_SECONDS, 1000 + i),
            hangup_after=CALL_SECONDS + MANY / 20,
        ) as calls,
    ):
        calls.wait(60 * SECOND)
    for i, call in enumerate(calls):
        check_call(listener.ended(f"agent{i}-{MANY}"), call)
        call.forget()
    wait_none(pbx)


def _missed(heard: Heard, said: bytes) -> dict[str, int]:
    """How many samples of what was said have not come, between the first and the last that have."""
    found, size = {}, 2 * ULAW.packet_bytes
    samples = receive.decoded(said, "ulaw")
    places = {samples[at : at + size]: at // 2 for at in range(0, len(samples), size)}
    for side in ("rx", "tx"):
        came = heard.voice(side)
        at = [places[came[start : start + size]] for start in range(0, len(came), size)]
        assert at == sorted(set(at)), f"{side}: not in order"
        found[side] = at[-1] + size // 2 - at[0] - len(came) // 2 if at else 0
    return found


def _dropped(pbx: Instance, stream: str) -> bool:
    """Whether audio of both directions has found no room."""
    shown = re.findall(r"(\d+) dropped", pbx.cli(f"forkstream show stream {stream}"))
    return len(shown) == 2 and "0" not in shown


def test_a_hundred_ends_tell_what_has_come(pbx: Instance, listeners: dict[str, Listener]) -> None:
    """Stopped while callers speak, after every other listener has not read for some seconds."""
    tags = [f"end{i}" for i in range(MANY)]
    reads = threading.Event()
    with WebSocketListener(reads=reads) as late:
        where = dict(zip(tags, MANY // 2 * (listeners["ws"], late), strict=True))
        for tag in tags:
            fork(pbx, tag, f"{where[tag].url},t({tag})")
        with Callers(
            pbx, MANY, lambda i: f"echo-{tags[i]}", send=lambda i: ULAW.noise(60.0, 3000 + i)
        ) as calls:
            calls.wait_up()
            streams = {tag: where[tag].begun(tag) for tag in tags}
            ids = {tag: str(heard.start["stream_id"]) for tag, heard in streams.items()}
            said = dict(zip(tags, (call.said for call in calls), strict=True))
            for tag in tags[1::2]:
                until(lambda tag=tag: _dropped(pbx, ids[tag]), f"no room for {tag}")
            reads.set()
            for tag in tags[1::2]:
                until(
                    lambda tag=tag: all(_missed(streams[tag], said[tag]).values()),
                    f"what {tag} has behind what it has missed",
                )
            with Ami(pbx, "call") as events, Ami(pbx) as ami:
                for tag in tags:
                    answer = ami.ask("StopForkStream", StreamId=ids[tag])
                    assert answer["Response"] == "Success", answer
                told = {
                    event["StreamId"]: event
                    for event in events.events("ForkStreamStop", MANY)
                    if event["Event"] == "ForkStreamStop"
                }
            for tag in tags:
                where[tag].ended(tag)
    for tag, heard in streams.items():
        heard.check_end()
        dropped = {side: heard.end[side]["dropped"] for side in ("rx", "tx")}
        assert dropped == _missed(heard, calls[tags.index(tag)].heard), tag
        assert any(dropped.values()) == (where[tag] is late), tag
        event = told[ids[tag]]
        assert int(event["Packets"]) == len(heard.packets), tag
        assert int(event["Dropped"]) == sum(dropped.values()), tag
        assert (event["Lost"], event["Reason"]) == ("0", "stopped"), tag
        assert heard.end["reason"] == "stopped"
    wait_none(pbx)


def test_a_thousand_starts_and_stops_leave_nothing(
    pbx: Instance, listeners: dict[str, Listener]
) -> None:
    """Under load: half of them by UDP, half by WebSocket."""
    before = None
    for round_ in range(3):
        fork(pbx, "many", f"{listeners['ws' if round_ == 1 else 'udp'].url},t(many{round_})")
        count = STARTS // 20 if round_ else 4
        with Callers(
            pbx, count, "loop-x", send=lambda i: ULAW.noise(3.0, i), hangup_after=8.0
        ) as calls:
            calls.wait(120 * SECOND)
        wait_none(pbx)
        pbx.wait_no_channels()
        before = before or pbx.counters()
    assert settled(pbx, before) == {}
