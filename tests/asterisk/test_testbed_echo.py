"""The testbed itself: what it says about a call is what happened."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from testbed.baresip import BaresipCall
from testbed.callers import Callers, place_call
from testbed.errors import TestbedError
from testbed.instance import Instance
from testbed.paths import BUILD, PROJECT
from testbed.ports import BLOCK, TABLES
from testbed.root import Root
from testbed.rtp import CODECS
from testbed.speech import encode, loud_parts, read_wav, speech, track
from tests.asterisk.conftest import StartAsterisk
from tests.asterisk.phone import settled
from tests.timing import EVENT, PROGRAM, SECOND

CALLS = 10
TALK = 2.0
"""Seconds of audio in each call."""

DIALPLAN = """\
[callers]
exten => echo,1,Answer()
 same => n,Echo()
exten => hangup,1,Answer()
 same => n,Wait(1)
 same => n,Hangup()
exten => ring,1,Ringing()
 same => n,Wait(30)
exten => busy,1,Hangup(17)
exten => digits,1,Answer()
 same => n,SendDTMF(12#)
 same => n,Verbose(1,now press)
 same => n,Read(PRESSED,,2,,,10)
 same => n,Verbose(1,pressed ${PRESSED} here)
 same => n,Hangup()
"""


@pytest.fixture(scope="module")
def pbx(asterisk: StartAsterisk) -> Instance:
    return asterisk(module=False, dialplan=DIALPLAN)


@pytest.mark.parametrize("name", ["ulaw", "alaw", "g722", "slin16"])
def test_every_sample_of_many_calls_comes_back(pbx: Instance, name: str) -> None:
    codec = CODECS[name]
    with Callers(
        pbx,
        CALLS,
        "echo",
        codec=name,
        send=lambda i: codec.noise(TALK, seed=i),
    ) as calls:
        calls.wait_up()
        for call in calls:
            _until(lambda: len(call.so_far().heard) > len(call.said))  # noqa: B023
        calls.hangup_all()
        calls.wait()

    assert len({call.said for call in calls}) == CALLS
    for call in calls:
        heard = call.recording
        assert heard.heard.startswith(call.said), call
        assert set(heard.heard[len(call.said) :]) == {codec.silence}
        assert (heard.gaps, heard.lost, heard.reordered, heard.duplicated) == ([], 0, 0, 0)
        assert len(heard.ssrcs) == 1
        assert call.ended_by == "caller"
        assert call.seconds >= TALK


def test_speech_said_later_and_a_pause_in_sending(pbx: Instance) -> None:
    codec = CODECS["ulaw"]
    first, second = codec.noise(0.5, 1), codec.noise(0.5, 2)
    with Callers(pbx, 1, "echo", send=first, silence=False) as calls:
        call = calls[0].wait_up()
        _until(lambda: len(call.so_far().heard) == len(first))
        time.sleep(0.3 * SECOND)
        call.say(second)
        _until(lambda: len(call.so_far().heard) == len(first + second))
        call.hangup().wait(EVENT)

    assert call.sent == call.heard == first + second
    (gap,) = call.recording.gaps
    assert gap.at_byte == len(first)
    assert gap.ms >= 300


def test_asterisk_hangs_up(pbx: Instance) -> None:
    call = place_call(pbx, "hangup")
    assert call.ended_by == "asterisk"
    assert call.seconds >= 1.0


def test_caller_gives_up_while_it_rings(pbx: Instance) -> None:
    with Callers(pbx, 2, "ring") as calls:
        calls[0].hangup()  # before it is even placed
        _until(lambda: calls[1].ringing_at is not None)
        calls[1].hangup()
        calls.wait(EVENT)
    assert [call.ended_by for call in calls] == ["caller", "caller"]
    assert calls[1].answered_at is None
    pbx.wait_no_channels()


def test_refused_calls_say_so(pbx: Instance) -> None:
    busy, unknown = place_call(pbx, "busy"), place_call(pbx, "nobody")
    assert (busy.ended_by, busy.status) == ("refused", 486)
    assert (unknown.ended_by, unknown.status) == ("refused", 404)
    with Callers(pbx, 1, "busy") as calls, pytest.raises(TestbedError, match="refused"):
        calls.wait_up()


def test_digits_both_ways(pbx: Instance) -> None:
    with Callers(pbx, 1, "digits") as calls:
        call = calls[0].wait_up()
        pbx.wait_log(r"now press\n")
        assert call.so_far().digits == "12#"
        call.press("7*")
        calls.wait(EVENT)
    assert "pressed 7* here" in pbx.log()


def test_nothing_grows_from_call_to_call(pbx: Instance) -> None:
    place_call(pbx, "echo", hangup_after=0.5)
    pbx.wait_no_channels()
    before = pbx.counters()
    with Callers(pbx, CALLS, "echo") as calls:
        calls.wait_up()
        assert pbx.counters().grown_since(before)["channels"] == CALLS
        calls.hangup_all()
        calls.wait(EVENT)
    pbx.wait_no_channels()
    assert settled(pbx, before) == {}


def test_baresip_hears_what_it_says(pbx: Instance) -> None:
    said = track(pbx.root, [0.2, speech(pbx.root, "One, two, three."), 0.5])
    with BaresipCall(pbx, "echo", play=said, limit=60 * SECOND) as call:
        call.wait_up()
        _until(lambda: len(call.so_far()) > len(read_wav(said)))
        call.hangup()
        call.wait(EVENT)

    heard, source = _samples(read_wav(call.heard)), _samples(read_wav(said))
    assert len(heard) >= len(source)
    # µ-law keeps 13 bits of small samples and 4 significant bits of large ones.
    wrong = [i for i, s in enumerate(source) if abs(heard[i] - s) > abs(s) / 16 + 8]
    assert wrong == []
    assert loud_parts(read_wav(call.played)), "the loudspeaker was silent"


def test_baresip_notices_that_asterisk_hangs_up(pbx: Instance) -> None:
    hello = speech(pbx.root, "Hello?")
    with BaresipCall(pbx, "hangup", play=hello, limit=60 * SECOND) as call:
        call.wait()
    assert call.up_at is not None
    assert call.closed_at is not None
    assert call.closed_at - call.up_at >= 0.9


def test_speech_is_speech_and_stays_itself_in_every_codec(root: Root) -> None:
    wav = speech(root, "What does it cost?")
    assert loud_parts(read_wav(wav))
    seconds = len(read_wav(wav)) / 16000
    for name in ("ulaw", "alaw", "slin", "slin16"):
        codec = CODECS[name]
        assert codec.seconds(encode(root, wav, codec)) == pytest.approx(seconds, abs=0.01)


def test_two_instances_share_nothing(pbx: Instance, asterisk: StartAsterisk) -> None:
    other = asterisk(module=False, dialplan="[callers]\nexten => other,1,Hangup(17)\n")
    assert place_call(other, "other").status == 486
    assert place_call(pbx, "other").status == 404
    with pytest.raises(TestbedError, match="in use"):
        Instance(pbx.root, other.name).prepare()


def test_a_fault_in_the_configuration_is_shown(root: Root) -> None:
    broken = Instance(root, "broken", files={"asterisk.conf": "[directories]\nastmoddir => /no\n"})
    broken.prepare()
    with pytest.raises(TestbedError, match="broken"):
        broken.start()
    assert broken.stop() is None


INTERRUPTED = """\
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job's child ignores it
from testbed.baresip import BaresipCall
from testbed.callers import Callers
from testbed.instance import Instance
from testbed.mock import MockAgent
from testbed.root import Root
from testbed.speech import speech

root = Root.find()
with Instance(root, "interrupted") as asterisk, MockAgent(root) as agent:
    hello = speech(root, "Hello?")
    with Callers(asterisk, 2, "100") as calls, \\
            BaresipCall(asterisk, "100", play=hello, limit=60) as call:
        calls.wait_up()
        call.wait_up()
        print("up", asterisk.ports.first, flush=True)
        time.sleep(60)
"""


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_leaves_nothing_running(root: Root, end: signal.Signals) -> None:
    run = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert run.stdout is not None
    with run, run.stdout:
        said = run.stdout.readline().split()
        assert said[:1] == ["up"]
        children = _descendants(run.pid)
        assert {"asterisk", "sipp", "baresip", "python3"} <= set(children.values())
        sockets = _sockets(int(said[1]))
        assert len(sockets) > 5
        run.send_signal(end)
        run.wait(EVENT)
    _until(lambda: not _alive(children))
    _until(lambda: not sockets & _sockets(int(said[1])))


def test_the_shell_starts_and_stops_an_instance(root: Root) -> None:
    name = f"shell-{os.getpid()}"

    def testbed(*words: str) -> str:
        command = [sys.executable, "-m", "testbed", words[0], "--name", name, *words[1:]]
        done = subprocess.run(
            command, cwd=PROJECT, capture_output=True, text=True, timeout=PROGRAM, check=True
        )
        return done.stdout

    testbed("up")
    try:
        assert "100 channels" not in testbed("cli", "core show channels count")
        assert name in testbed("status")
        shown = testbed("call", "100", "--noise", "0.5", "--hangup-after", "1")
        assert "caller hung up (SIP 200)" in shown
        assert "lost 0, gaps 0" in shown
        assert "Asterisk Ready" in testbed("log")
    finally:
        testbed("down")
    assert name not in testbed("status")
    testbed("clean")
    assert not (BUILD / "testbed" / name).exists()


def _until(reached: Callable[[], object], limit: float = EVENT) -> None:
    """Wait until a function returns true."""
    deadline = time.monotonic() + limit
    while not reached():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.02)


def _samples(raw: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(raw) // 2}h", raw)


def _descendants(pid: int) -> dict[int, str]:
    """Return the names of all processes below one, by pid."""
    found: dict[int, str] = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found[child] = Path(f"/proc/{child}/comm").read_text().strip()
            found |= _descendants(child)
    return found


def _alive(children: dict[int, str]) -> list[str]:
    """Return which of the processes still run under their names; zombies do not."""
    alive = []
    for pid, name in children.items():
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            continue
        if f"({name})" in stat and stat.rpartition(")")[2].split()[0] != "Z":
            alive.append(name)
    return alive


def _sockets(first: int) -> set[str]:
    """Return the sockets, by inode, that have a port of the block that begins there, or its claim.

    Another run may take the block as soon as it is free: its sockets are others.
    """
    found = set[str]()
    for table in TABLES:
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            fields = line.split()
            if first <= int(fields[1].rpartition(":")[2], 16) < first + BLOCK:
                found.add(fields[9])
    claims = Path("/proc/net/unix").read_text().splitlines()
    found |= {line.split()[6] for line in claims if line.endswith(f"-testbed-ports-{first}")}
    return found - {"0"}  # of connections that have ended
