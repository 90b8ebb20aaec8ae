"""Telephones and lines that misbehave: what a scenario says is sent, and the manual's works."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest

from testbed import service
from testbed.callers import Callers
from testbed.errors import TestbedError
from testbed.instance import Instance
from testbed.line import COMFORT_NOISE_TYPE, Phone
from testbed.paths import PROJECT
from testbed.root import Root
from testbed.rtp import CODECS, Packet, Recording
from testbed.speech import speech
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.stage import until

PAGE = PROJECT / "docs" / "testing.md"
TYPES = {name: codec.payload_type for name, codec in CODECS.items()}


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    return asterisk(module=False)


@pytest.fixture(scope="module")
def words(root: Root) -> Path:
    return speech(root, "One two three four five six seven eight.")


def fields(packets: list[Packet], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(getattr(packet, name) for name in names) for packet in packets]


def ms(phone: Phone) -> list[int]:
    """When each packet is sent."""
    return [round(1000 * packet.at) for packet in phone.packets]


def test_the_packets_of_a_scenario_are_sent(root: Root, pbx: Instance, words: Path) -> None:
    """Each as it was planned, none before its time; and Asterisk has heard them."""
    phone = Phone(root, words, sequence=65530).say(400).pause(220, noise=True).say(200)
    phone.codec("alaw").length(40).say(400).source(77).length(30).say(300)
    phone.stall(100, 200).repeat({3}).swap({40}).lose(10, seed=1)
    spoken = {p.payload for p in phone.packets if p.payload_type == TYPES["ulaw"]}

    def is_through(line: Recording) -> bool:
        """Whether all has been sent, and has come back as far as Echo() understands it."""
        echoed = {packet.payload for packet in line.packets_received}
        return len(line.packets_sent) >= len(phone.packets) and spoken <= echoed

    with Callers(pbx, 1, "100", also=["alaw"], play=phone) as calls:
        calls.wait_up()
        until(lambda: is_through(calls[0].so_far()), "not all has come back")
    sent = calls[0].recording.packets_sent
    names = ("timestamp", "ssrc", "payload_type", "marker", "payload")
    assert fields(sent, *names) == fields(phone.packets, *names)
    assert [p.sequence for p in sent] == [p.sequence % 65536 for p in phone.packets]
    late = [is_.at - planned.at for is_, planned in zip(sent, phone.packets, strict=True)]
    assert min(late) >= late[0] - 0.005, "the first one was on time, or late: ticks are of 5 ms"


def test_what_a_telephone_does(root: Root, words: Path) -> None:
    """Numbers, time stamps, payload types and sizes."""
    phone = Phone(root, words, sequence=1, timestamp=0).say(60).pause(220).say(20)
    assert (ms(phone), phone.seconds) == ([0, 20, 40, 280], 0.3)
    assert fields(phone.packets, "sequence", "timestamp", "marker") == [
        (1, 0, True), (2, 160, False), (3, 320, False), (4, 2240, True)
    ]  # fmt: skip

    phone = Phone(root, words, sequence=1, timestamp=0).pause(300, noise=True).silence(20)
    assert ms(phone) == [0, 200, 300]
    assert fields(phone.packets, "payload_type", "timestamp", "marker") == [
        (COMFORT_NOISE_TYPE, 0, False), (COMFORT_NOISE_TYPE, 1600, False), (0, 2400, True)
    ]  # fmt: skip
    assert set(phone.packets[-1].payload) <= {0xFF, 0x7F}

    phone = Phone(root, words, "opus", timestamp=0).say(40).codec("g722").say(40)
    assert fields(phone.packets, "payload_type", "timestamp") == [
        (TYPES["opus"], 0), (TYPES["opus"], 960), (9, 1920), (9, 2080)
    ]  # fmt: skip
    with pytest.raises(TestbedError, match="60 ms is no whole number of 40 ms"):
        Phone(root, words, "opus").say(60).length(40).say(80)

    phone = Phone(root, words, sequence=1, timestamp=0).say(20).jump(sequence=9, timestamp=99)
    phone.say(20).source(5, sequence=3, timestamp=4).say(20)
    assert fields(phone.packets, "ssrc", "sequence", "timestamp") == [
        (1, 1, 0), (1, 11, 259), (5, 3, 4)
    ]  # fmt: skip


@pytest.mark.parametrize("codec", ["ulaw", "alaw", "g722"])
def test_what_is_said_when_is_the_callers_clock(root: Root, words: Path, codec: str) -> None:
    """Whatever the lengths of packets, and whatever came before."""
    whole = b"".join(packet.payload for packet in Phone(root, words, codec).say(1200).packets)
    for length, before in itertools.product((10, 20, 30, 40, 60), (0, 60)):
        phone = Phone(root, words, codec, packet_ms=length).pause(before).say(1080)
        said = b"".join(packet.payload for packet in phone.packets)
        assert said == whole[before * 8 :][: 1080 * 8]
        assert {len(packet.payload) for packet in phone.packets} == {length * 8}


def test_what_the_network_does(root: Root, words: Path) -> None:
    """To the packets, and to the times at which they come."""

    def line(length: int = 200) -> Phone:
        return Phone(root, words, sequence=0).say(length)

    def order(phone: Phone) -> list[int]:
        return [packet.sequence for packet in phone.packets]

    assert order(line().drop({2, 3, 9})) == [0, 1, 4, 5, 6, 7, 8]
    lost = [len(line(20_000).lose(10, seed).packets) for seed in range(4)]
    assert 880 < min(lost) <= max(lost) < 920
    assert len({str(order(line(2000).lose(10, seed))) for seed in range(4)}) == 4
    assert order(line().repeat({1})) == [0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert order(line().swap({1, 5})) == [0, 2, 1, 3, 4, 6, 5, 7, 8, 9]
    assert ms(line().swap({1})) == ms(line())
    assert ms(line().stall(50, 80)) == [0, 20, 40, 130, 130, 130, 130, 140, 160, 180]
    assert ms(line(100).delay(40, 90)) == [0, 20, 130, 150, 170]
    assert ms(line(100).burst(40)) == [40, 40, 80, 80, 120]
    assert ms(line().drift(100_000)) == [0, 22, 44, 66, 88, 110, 132, 154, 176, 198]


def test_the_manuals_example_works(
    root: Root, pbx: Instance, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it stands there, but for the instance that it rings."""
    text = PAGE.read_text(encoding="utf-8").split("\n### RTP\n")[1]
    found = re.search(r"^```python\n(.*?)^```", text, re.M | re.S)
    assert found is not None
    monkeypatch.setattr(service, "attach", lambda name: pbx)
    exec(compile(found[1], str(PAGE), "exec"), {})
    assert re.fullmatch(r"caller hung up after \d\.\d s\n", capsys.readouterr().out)
