"""Digits that the caller presses, in real calls: RFC 4733 events and in-band tones."""

from __future__ import annotations

import array
import math
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyconvai.mock.audio import FORMATS, decode, encode
from testbed.callers import Callers
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.rtp import CODECS, PACKET_MS
from tests.asterisk.conftest import StartAgent, StartAsterisk
from tests.asterisk.phone import configure, section, wait_talking
from tests.asterisk.samples import held_up
from tests.timing import EVENT, MS

ULAW = CODECS["ulaw"]
ULAW_8000 = FORMATS["ulaw_8000"]
LISTENER = """\
title = "listener"
[agents.default]
format = "ulaw_8000"
turns = []
"""
DIALPLAN = """\
[callers]
exten => _[a-z].,1,ElevenLabsConvAI(${EXTEN})
exten => h,1,Log(NOTICE,digits|${ELEVENLABSDTMF}|)
"""
QUIET = 1000
"""Amplitude below which nobody hears a tone: that of the tones here is ten times as much."""


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    return asterisk(dialplan=DIALPLAN, elevenlabs="[general]\n")


class Line:
    """One caller who is with the agent, who keeps what it hears."""

    def __init__(self, pbx: Instance, mock: MockAgent, calls: Callers) -> None:
        self.pbx, self.mock, self.calls = pbx, mock, calls
        self.call = calls[0]
        self._log = len(pbx.log())

    def wait_texts(self, count: int) -> list[dict[str, Any]]:
        """What the agent has been told, once it is so much."""

        def told() -> list[dict[str, Any]]:
            return [event for event in self.mock.events() if event["event"] == "text"]

        self.mock.wait_event(lambda _: len(told()) >= count, EVENT, f"{count} texts")
        return [{key: event[key] for key in ("type", "text")} for event in told()]

    def hang_up(self) -> str:
        """End the call; the digits, as the dialplan has them."""
        self.calls.hangup_all()
        self.calls.wait()
        self.pbx.wait_log(r"digits\|.*\|", start=self._log)
        found = re.search(r"digits\|(.*)\|", self.pbx.log()[self._log :])
        assert found
        return found[1]

    def heard_by_agent(self) -> list[int]:
        """All that the agent has heard, as samples; once the mock has stopped."""
        self.mock.stop()
        (session,) = self.mock.report["sessions"]
        assert session["violations"] == []
        (file,) = Path(self.mock.folder / "record").glob("*-caller.raw")
        return list(decode(file.read_bytes(), ULAW_8000))


@pytest.fixture
def ring(pbx: Instance, agent: StartAgent, request: pytest.FixtureRequest) -> Iterator[Line]:
    """A call; the parameter is what elevenlabs.conf says of digits."""
    keys = getattr(request, "param", {})
    with agent(LISTENER, record=True) as mock:
        configure(pbx, section("sales_agent", mock.url, **keys))
        with Callers(pbx, 1, "sales_agent") as calls:
            calls.wait_up()
            wait_talking(pbx, 1)
            yield Line(pbx, mock, calls)


def digits_told(texts: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(text["type"], text["text"]) for text in texts]


def test_digits_are_a_message(ring: Line) -> None:
    """One that `#` ends, and one that a pause of two seconds ends."""
    ring.call.press("4711#")
    assert digits_told(ring.wait_texts(1)) == [("user_message", "4711")]
    ring.call.press("12")
    assert digits_told(ring.wait_texts(2))[1:] == [("user_message", "12")]
    assert "Digits:           7 pressed" in ring.pbx.cli(
        f"elevenlabs show session {_channel(ring.pbx)}"
    )
    assert ring.hang_up() == "4711#12"


@pytest.mark.parametrize("ring", [{"dtmf": "contextual_update", "dtmf_end": "*"}], indirect=True)
def test_digits_are_context(ring: Line) -> None:
    ring.call.press("0#*")
    assert digits_told(ring.wait_texts(1)) == [
        ("contextual_update", "The caller has pressed 0# on the telephone's keypad.")
    ]
    assert ring.hang_up() == "0#*"


@pytest.mark.parametrize("ring", [{"dtmf": "dialplan", "dtmf_timeout_ms": "100"}], indirect=True)
def test_digits_are_for_the_dialplan(ring: Line) -> None:
    log = len(ring.pbx.log())
    ring.call.press("123")
    ring.pbx.wait_log(r"DTMF end '3'", start=log)
    assert ring.hang_up() == "123"
    ring.mock.stop()
    (session,) = ring.mock.report["sessions"]
    assert session["texts"] == []
    assert "user_activity" not in session["received"]


def test_tones_beside_events_are_not_heard(ring: Line) -> None:
    """As through a gateway that sends a key as event and as tone.

    Asterisk's RTP keeps the tone out while the key is down; test_dtmf.c is about channels that
    do not.
    """
    said = tone("5", 2.0)
    ring.call.say(said)
    wait_said(ring, said[:1600])
    ring.call.press("5#", packets=20, beside=True)
    ring.wait_texts(1)
    wait_said(ring, said)
    ring.hang_up()
    heard = ring.heard_by_agent()
    silences = quiet_stretches(heard, loud_from=first_loud(heard))
    # Two keys of 23 packets, and what came late.
    late = sum(held_up(ring.call.recording)) * PACKET_MS / 1000
    assert len(silences) >= 2, silences
    assert all(0.4 <= seconds <= 0.62 + late for seconds in silences[:2]), silences


def test_in_band_tones_are_digits(pbx: Instance, ring: Line) -> None:
    """A telephone without events: Asterisk hears the tones, and the agent does not."""
    ring.hang_up()
    pjsip = Path(pbx.etc) / "pjsip.conf"
    before = pjsip.read_text(encoding="utf-8")
    pjsip.write_text(before.replace("dtmf_mode = auto_info", "dtmf_mode = inband"), "utf-8")
    try:
        pbx.cli("module reload res_pjsip.so")
        with Callers(pbx, 1, "sales_agent") as calls:
            calls.wait_up()
            wait_talking(pbx, 1)
            for digit in "80#":
                calls[0].say(tone(digit, 0.2) + bytes([ULAW.silence]) * 1600)
            line = Line(pbx, ring.mock, calls)
            assert digits_told(line.wait_texts(1)) == [("user_message", "80")]
            assert line.hang_up() == "80#"
        line.mock.stop()
        last = line.mock.report["sessions"][-1]
        (file,) = Path(line.mock.folder / "record").glob(f"*-{last['conversation_id']}-caller.raw")
        heard = decode(file.read_bytes(), ULAW_8000)
    finally:
        pjsip.write_text(before, encoding="utf-8")
        pbx.cli("module reload res_pjsip.so")
    # Of 600 ms of tones: what a detector needs to be sure, for each of the three.
    assert sum(abs(sample) > QUIET for sample in heard) / 8000 < 0.2


# ---- Tones ----

ROWS, COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
KEYS = "123A456B789C*0#D"


def tone(digit: str, seconds: float) -> bytes:
    """A key of a telephone, in mu-law."""
    row, column = divmod(KEYS.index(digit), 4)
    pair = [2 * math.pi * hz / 8000 for hz in (ROWS[row], COLUMNS[column])]
    samples = (sum(8000 * math.sin(w * n) for w in pair) for n in range(int(8000 * seconds)))
    return encode(array.array("h", map(round, samples)), ULAW_8000)


def first_loud(samples: list[int]) -> int:
    return next(i for i, sample in enumerate(samples) if abs(sample) > QUIET)


def quiet_stretches(samples: list[int], loud_from: int) -> list[float]:
    """Lengths in seconds of silences of more than 100 ms between tones, from there on."""
    found, quiet = [], 0
    for sample in samples[loud_from:]:
        if abs(sample) <= QUIET:
            quiet += 1
            continue
        if quiet > 800:
            found.append(quiet / 8000)
        quiet = 0
    return found


def wait_said(line: Line, part: bytes) -> None:
    """Wait until the caller has said this."""
    until = time.monotonic() + EVENT
    while part not in line.call.so_far().sent:
        assert time.monotonic() < until
        time.sleep(50 * MS)


def _channel(pbx: Instance) -> str:
    found = re.search(r"^(PJSIP/[^!]+)", pbx.cli("core show channels concise"), re.MULTILINE)
    assert found
    return found[1]
